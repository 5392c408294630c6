"""A knee MR as it is registered and measured: grey values on its own grid, with what its files say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import is_dicom, planes_in, planes_of
from SubchondralBoneAnalysisLib.ct_reading.hounsfield_check import check_hounsfield
from SubchondralBoneAnalysisLib.mr_readout import fat_displacement
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

DO = "give one MR series of the knee, as a DICOM folder, NRRD, NIfTI, MHA or MHD"
LEAST_MM = (40.0, 80.0, 80.0)  # shortest edge first: a sagittal slab that shows both condyles, as high as both bones
FEWEST_SLICES = 8
THICKEST_MM = 6.0  # between slices; beyond it the bones have no surface across them
LABELS = 64  # most values of a label map
AIR_HU = -500.0  # no MR has so much below 0
SQUARE = 1e-3  # cosine of the angle between two axes, at most


@dataclass(frozen=True, eq=False)
class KneeMr:
    """An MR of a knee.

    :param volume: float32 [k, j, i] in the scanner's own unit, in any orientation.
    :param whole_numbers: whether all its values are whole numbers of 16 bit, as scanners write them.
    :param series: which DICOM series it is; the name of the file for other formats.
    :param side: "left" or "right" where DICOM says so, else None.
    :param fat_displacement_lps: [3] mm, as `fat_displacement` reads it; None where no header tells.
    """

    volume: Volume
    whole_numbers: bool
    series: str
    side: str | None
    fat_displacement_lps: np.ndarray | None = None

    @property
    def stored(self) -> np.ndarray:
        """The voxels as they are written: of 16 bit where nothing is lost by it."""
        if not self.whole_numbers:
            return self.volume.array
        return self.volume.array.astype(np.int16 if self.volume.array.min() < 0 else np.uint16)

    @property
    def slice_axis(self) -> int:
        """The array axis across the slices: that of the longest voxel edge, the first of equal ones."""
        return int(np.argmax(np.round(self.volume.spacing_mm, 4)))

    @property
    def in_plane_mm(self) -> float:
        """The longer edge of a pixel."""
        return float(sorted(self.volume.spacing_mm)[1])

    @property
    def slice_mm(self) -> float:
        """From slice to slice."""
        return float(max(self.volume.spacing_mm))


def read_mr(path: str | Path) -> KneeMr:
    """Read a knee MR: the folder of one DICOM series, NRRD, NIfTI, MHA or MHD.

    :raises BadInput: it is no MR (a CT, a label map, another modality), too small, too coarse or of two dimensions; one
        sentence that says why and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: check the name of the MR.")
    series, side = _said_by_dicom(path)
    volume = read_volume(path)
    _check_geometry(volume, path)
    _check_values(volume, path)
    array = volume.array.astype(np.float32)
    whole = bool(volume.array.dtype.kind in "iub" and volume.array.min() >= -32768 and volume.array.max() <= 65535)
    whole &= volume.array.min() >= 0 or volume.array.max() <= 32767
    displaced = fat_displacement(path, volume)
    return KneeMr(replace(volume, array=np.ascontiguousarray(array)), whole, series, side, displaced)


def check_mr_side(mr: KneeMr, side: str, path: Path, by: str) -> None:
    """:raises BadInput: the files of the MR say that it is of the other knee; `by`: what told the side of the CT's."""
    if mr.side is not None and mr.side != side:
        raise BadInput(
            f"{path} is of the {mr.side} knee by its DICOM header, and the CT shows the {side} one (told by {by}): "
            "give the MR of the same knee, or correct the laterality in its header."
        )


def _said_by_dicom(path: Path) -> tuple[str, str | None]:
    """Name of the series and side, as far as DICOM files say so; the name of the file and None for other formats."""
    name = path.name if path.name not in ("", "..") else path.resolve().name
    if not path.is_dir() and not is_dicom(path):
        return name, None
    planes = planes_in(path) if path.is_dir() else planes_of(path)
    if not planes:
        return name, None
    other = sorted({plane.source.modality or "of no modality" for plane in planes} - {"MR"})
    if other:
        raise BadInput(f"{path} holds images that are {' and '.join(other)} by their DICOM header, not MR: {DO}.")
    if path.is_file() and len(planes) == 1:
        raise BadInput(f"{path} is one slice of a DICOM series: give the folder that holds the series.")
    sides = {plane.source.side for plane in planes} - {None}
    number = planes[0].source.number
    return name if number is None else f"series {number}", sides.pop() if len(sides) == 1 else None


def _check_geometry(volume: Volume, path: Path) -> None:
    extents = sorted(float(n * step) for n, step in zip(volume.array.shape, volume.spacing_mm, strict=True))
    size = " × ".join(f"{extent:.0f}" for extent in extents)
    if min(volume.array.shape) < FEWEST_SLICES:
        raise BadInput(f"{path} has {min(volume.array.shape)} slices, and at least {FEWEST_SLICES} are needed: {DO}.")
    if max(volume.spacing_mm) > THICKEST_MM:
        raise BadInput(
            f"{path} has slices {max(volume.spacing_mm):.2g} mm apart, too far for the surface of a bone: give a "
            f"series of {THICKEST_MM:g} mm or less, at best a 3-D one."
        )
    if any(extent < least for extent, least in zip(extents, LEAST_MM, strict=True)):
        least = " × ".join(f"{edge:g}" for edge in LEAST_MM)
        raise BadInput(f"{path} shows {size} mm, too little of a knee (at least {least} mm are needed): {DO}.")
    axes = np.reshape(volume.direction_lps, (3, 3))
    if np.abs(axes.T @ axes - np.eye(3)).max() > SQUARE:
        raise BadInput(f"{path} has axes that are not at right angles: save it on an upright grid.")


def _check_values(volume: Volume, path: Path) -> None:
    low, high = float(volume.array.min()), float(volume.array.max())
    some = volume.array[:: max(1, len(volume.array) // 16)]
    if low == high:
        raise BadInput(f"{path} has one grey value only: {DO}.")
    if volume.array.dtype.kind in "iub" and high < LABELS * 16 and len(np.unique(some)) <= LABELS:
        raise BadInput(f"{path} is a label map or a mask ({len(np.unique(some))} values), not an MR: {DO}.")
    if low < AIR_HU and _is_hounsfield(volume):
        raise BadInput(f"{path} is a CT (its grey values are Hounsfield units), not an MR: {DO}.")


def _is_hounsfield(volume: Volume) -> bool:
    """Whether air, fat and muscle lie where a CT has them."""
    try:
        check_hounsfield(volume)
    except BadInput as error:
        return "shows no bone" in str(error)  # a CT of another part is a CT, too
    return True
