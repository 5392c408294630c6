"""A knee CT as it is measured: HU on an even grid, with what a reader of the results should know about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.dicom_ct import geometry_warnings, read_dicom_ct
from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import is_dicom
from SubchondralBoneAnalysisLib.ct_reading.even_grid import even_volume
from SubchondralBoneAnalysisLib.ct_reading.hounsfield_check import TissuePeaks, check_hounsfield
from SubchondralBoneAnalysisLib.ct_reading.hounsfield_slices import AIR_HU, in_hounsfield
from SubchondralBoneAnalysisLib.ct_reading.metal import STREAKS_MM, find_metal, streak_zone
from SubchondralBoneAnalysisLib.ct_reading.slice_positions import slice_positions
from SubchondralBoneAnalysisLib.ct_reading.voxel_size import LARGEST_MM, SMALLEST_MM, unfit_voxels
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

SQUARE = 1e-3  # cosine of the angle between the rows and the columns of a slice, at most


@dataclass(frozen=True, eq=False)
class KneeCt:
    """A CT of one or both knees.

    :param volume: HU as int16 [k, j, i] on a rectangular grid; -1024 where nothing was measured.
    :param metal: bool [k, j, i], metal and what its streaks reach; None if there is none.
    :param warnings: sentences without the name of the file.
    :param series: which DICOM series it is; the name of the file for other formats.
    :param side: "left" or "right" where DICOM says so, else None.
    :param implants: bool [k, j, i], the metal alone, without the zone of its streaks; None if there is none.
    :param tissues: where fat and muscle have their peaks.
    """

    volume: Volume
    metal: np.ndarray | None
    warnings: tuple[str, ...]
    series: str
    side: str | None = None
    tissues: TissuePeaks | None = field(default=None)
    implants: np.ndarray | None = None


def read_ct(path: str | Path) -> KneeCt:
    """Read a knee CT: a folder of DICOM files or one file of a series, NRRD, NIfTI, MHA or MHD.

    Shifted (tilted gantry) and unevenly spaced slices are brought to an even grid, which a warning says.

    :raises BadInput: it is no CT, not in HU, too coarse or too fine, has missing slices, or it is not clear which of
        several series is meant; one sentence that says why and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: check the name of the CT.")
    if path.is_dir() or is_dicom(path):
        volume, chosen, warnings = read_dicom_ct(path)
        series, side = str(chosen), chosen.source.side
    else:
        volume, warnings = _read_file(path)
        series, side = path.name, None
    unfit = unfit_voxels(volume.spacing_mm)
    if unfit:
        raise BadInput(f"{path} {unfit}: give a CT reconstructed with voxels of {SMALLEST_MM} to {LARGEST_MM} mm.")
    tissues = check_hounsfield(volume)
    implants, metal = find_metal(volume), None
    if implants is not None:
        metal = streak_zone(implants, volume)
        cm3 = np.count_nonzero(metal) * volume.voxel_mm3 / 1000
        warnings += (f"it holds metal: the {cm3:.1f} cm³ up to {STREAKS_MM:.0f} mm around it are not measured",)
    return KneeCt(volume, metal, warnings, series, side, tissues, implants)


def _read_file(path: Path) -> tuple[Volume, tuple[str, ...]]:
    """A volume from a file that is not DICOM, padding below -1024 as -1024; sheared slices are moved upright."""
    volume = read_volume(path)
    volume = replace(volume, array=in_hounsfield(volume.array))
    across, down, along = np.reshape(volume.direction_lps, (3, 3)).T
    if abs(across @ down) > SQUARE:
        raise BadInput(f"{path} has slices whose rows and columns are not at right angles: save it on an upright grid.")
    normal = np.cross(across, down)
    normal = normal * np.sign(normal @ along)
    depth, pixel_mm = len(volume.array), volume.spacing_mm[1:]
    positions = np.outer(np.arange(depth) * volume.spacing_mm[0], along)
    places = slice_positions(positions, (across, down), pixel_mm, normal)
    if places.upright:
        return volume, ()
    even = even_volume(
        volume.array,
        places,
        pixel_mm,
        (across, down),
        volume.origin_lps,
        outside=AIR_HU,
        finest_mm=SMALLEST_MM,
        normal=normal,
    )
    return replace(even, path=path, files=volume.files), geometry_warnings(places, pixel_mm, even)
