"""The pixels of a DICOM series in Hounsfield units."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import Plane
from SubchondralBoneAnalysisLib.quiet_libraries import quiet_libraries

AIR_HU = -1024  # least value of a 12 bit CT; what lies below it is padding
LARGEST_HU = np.iinfo(np.int16).max


def hounsfield_slices(planes: Sequence[Plane]) -> np.ndarray:
    """HU of planes as int16 [k, j, i] in their order; padding is `AIR_HU`.

    :raises BadInput: a file is damaged, or compressed in a way that cannot be read here.
    """
    volume = np.empty((len(planes), *planes[0].size), np.int16)
    of_file: dict[Path, list[int]] = {}
    for k, plane in enumerate(planes):
        of_file.setdefault(plane.file, []).append(k)
    for file, slices in of_file.items():
        stored = _stored(file)
        for k in slices:
            plane = planes[k]
            pixels = stored if plane.frame is None else stored[plane.frame]
            if pixels.shape != plane.size:
                raise _damaged(file)
            volume[k] = in_hounsfield(pixels, plane.rescale, plane.padding)
    return volume


def in_hounsfield(
    stored: np.ndarray, rescale: tuple[float, float] = (1.0, 0.0), padding: tuple[float, float] | None = None
) -> np.ndarray:
    """HU as int16 of stored values: HU = slope * stored + intercept (DICOM PS3.3, C.11.1.1.2).

    :param padding: lowest and highest stored value that are no measurement.
    """
    slope, intercept = rescale
    hu = np.clip(np.rint(stored * np.float32(slope) + np.float32(intercept)), AIR_HU, LARGEST_HU).astype(np.int16)
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return hu


def _stored(file: Path) -> np.ndarray:
    with quiet_libraries(), warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(file, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                implicit, _ = dataset.original_encoding
                syntaxes = pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian
                dataset.file_meta.TransferSyntaxUID = syntaxes[0 if implicit else 1]
            return dataset.pixel_array
        except Exception as error:  # of a parser, or of a decoder that gives up
            raise _damaged(file) from error


def _damaged(file: Path) -> BadInput:
    return BadInput(
        f"{file} is a DICOM file that is damaged, cut short or compressed in a way not read here: export the CT again, "
        "uncompressed."
    )
