"""How far an MR shows fat displaced, and along which way, as its header tells.

Fat is read 3.4 ppm too low in frequency, and the readout gradient makes a place of that: the displacement is 3.4 ppm of
the Larmor frequency over the bandwidth of a measured pixel, in measured pixels along the readout (chemical shift of the
first kind; Brown et al., Magnetic Resonance Imaging, 2nd ed. 2014, chapter 17). To which of both sides depends on the
polarity of the gradient, of which no header speaks.

A DICOM header tells it, or a JSON file beside a volume of another format, under the names of DICOM as dcm2niix writes
them: MagneticFieldStrength, PixelBandwidth, InPlanePhaseEncodingDirection (ROW or COL) and, where more pixels were made
than measured, AcquisitionMatrix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import is_dicom
from SubchondralBoneAnalysisLib.volume import Volume

FAT_HZ_PER_TESLA = 3.4 * 42.577  # ppm times MHz per tesla
FIELD, BANDWIDTH, MATRIX = "MagneticFieldStrength", "PixelBandwidth", "AcquisitionMatrix"
DIRECTIONS = ("InPlanePhaseEncodingDirection", "InPlanePhaseEncodingDirectionDICOM")
TAGS = (FIELD, BANDWIDTH, MATRIX, DIRECTIONS[0])
BELIEVED = {FIELD: (0.1, 15.0), BANDWIDTH: (10.0, 5000.0)}  # else the header is wrong
MOST_MM = 3.0
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def fat_displacement(path: Path, volume: Volume) -> np.ndarray | None:
    """The way [3] in mm of LPS by which fat is displaced to one side or the other; None where no header tells.

    :param path: of the MR: a DICOM file or folder, or a file with its JSON beside it.
    :param volume: what was read of it.
    """
    header = _of_dicom(path) if path.is_dir() or is_dicom(path) else _beside(path)
    try:
        field, bandwidth = (float(header[name]) for name in (FIELD, BANDWIDTH))
        phase = next(str(header[name]) for name in DIRECTIONS if header.get(name))[:3].upper()
        measured = max((int(n) for n in (header.get(MATRIX) or ())[:2]), default=0)
    except (KeyError, TypeError, ValueError, StopIteration):
        return None
    known = zip((field, bandwidth), BELIEVED.values(), strict=True)
    if phase not in ("ROW", "COL") or not all(low <= value <= high for value, (low, high) in known):
        return None
    # Phase is encoded along the rows, which is i: then the readout runs along j; and the reverse.
    axis = 1 if phase == "ROW" else 0
    pixels, mm = (numbers[2 - axis] for numbers in (volume.array.shape, volume.spacing_mm))
    pixel_mm = mm * pixels / measured if measured > 0 else mm
    away_mm = FAT_HZ_PER_TESLA * field / bandwidth * pixel_mm
    return np.reshape(volume.direction_lps, (3, 3))[:, axis] * away_mm if away_mm <= MOST_MM else None


def _of_dicom(path: Path) -> Mapping[str, Any]:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and is_dicom(file):
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(TAGS), force=True)
                return {name: header.get(name) for name in TAGS}
            except (InvalidDicomError, OSError, ValueError):
                return {}
    return {}


def header_beside(path: Path) -> Path | None:
    """The JSON file with the header of a volume that is not DICOM, under its name; None where there is none."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        return None
    header = path.with_name(path.name[: len(path.name) - len(ending)] + ".json")
    return header if header.is_file() else None


def _beside(path: Path) -> Mapping[str, Any]:
    header = header_beside(path)
    try:
        found = {} if header is None else json.loads(header.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
