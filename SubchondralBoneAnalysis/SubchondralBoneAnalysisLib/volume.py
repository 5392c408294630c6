"""One volume: its voxels with their place in the patient, read from and written to files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.local_thickness.diameter_map import DiameterMap
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.nrrd_writing import write_nrrd
from SubchondralBoneAnalysisLib.quiet_libraries import quiet_libraries
from SubchondralBoneAnalysisLib.volume_header import (
    SAY_VOXEL_SIZE,
    check_nifti,
    check_voxel_size_is_given,
    files_of,
    is_tiff,
    tiff_stack,
)

READABLE = "give a NRRD, NIfTI, MHA, MHD or TIFF stack, or the folder of one DICOM series"
POSITION = "0020|0032"  # Image Position (Patient)
EVEN_SLICES = 0.01  # of the step from slice to slice, by which a step of a series may differ
SAME_PLACE = 0.1  # of a voxel, by which the far ends of two grids may lie apart
SAME_DIRECTION = 1e-3  # of a unit vector
SLAB = 32  # slices that are read at a time


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and where they are.

    :param array: [k, j, i] as stored in the file: 8 or 16 bit, float, bool; never copied to another type.
    :param spacing_mm: distance of voxel centres along (k, j, i).
    :param origin_lps: centre of voxel [0, 0, 0] in mm, (x, y, z) in LPS.
    :param direction_lps: row by row the 3 x 3 matrix whose columns are the directions of the i, j and k axis in LPS.
    :param path: the file or folder as it was named by the caller.
    :param files: all files that it was read from, in the order of reading.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction_lps: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    path: Path | None = None
    files: tuple[Path, ...] = ()

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return math.prod(self.spacing_mm)


def read_volume(path: str | Path, storage: Storage | None = None) -> Volume:
    """Read a NRRD, NIfTI, MetaImage or TIFF stack, or the DICOM series in a folder.

    :param storage: where its voxels are kept; in memory unless given. From a MetaImage that is not packed they go to
        the files of a storage slab by slab, from other formats when all have been read.
    :raises BadInput: the volume cannot be used; one sentence that says why and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist: check the name of the volume.")
    with quiet_libraries():
        volume = _read_series(path) if path.is_dir() else _read_file(path, storage or Storage())
    thin = min(volume.array.shape)
    if thin == 1:
        raise BadInput(f"{path} is one voxel thin ({_size(volume)} voxels): a volume is needed, {READABLE}.")
    # The smallest and the largest value are NaN where one value is: no copy of the volume is needed to find it.
    if not all(np.isfinite(end) for piece in volume.array for end in (piece.min(), piece.max())):
        raise BadInput(f"{path} has voxels that are NaN or infinite: give every voxel a number, air where nothing is.")
    return right_handed(volume)


def right_handed(volume: Volume) -> Volume:
    """A volume whose axes i, j, k are right-handed: where they are not, k is counted the other way round.

    Slicer keeps no others: it would turn the maps against the volume's own description.
    """
    directions = np.reshape(volume.direction_lps, (3, 3))
    if np.linalg.det(directions) > 0:
        return volume
    origin = np.asarray(volume.origin_lps) + directions[:, 2] * volume.spacing_mm[0] * (len(volume.array) - 1)
    turned = directions * [1, 1, -1]
    return replace(
        volume,
        array=volume.array[::-1],
        origin_lps=tuple(origin.tolist()),
        direction_lps=tuple((turned + 0.0).ravel().tolist()),
    )


def grid_in(path: Path) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Size and spacing (k, j, i) of a volume by its header; size 0 where that cannot be read."""
    with quiet_libraries():
        try:
            files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)) if path.is_dir() else [str(path)]
            header = _header_of(files[0])
            (width, height, *depth), (across, down, *along) = header.GetSize(), header.GetSpacing()
            return (len(files) * math.prod(depth), height, width), ((*along, 1.0)[0], down, across)
        except (RuntimeError, IndexError):
            return (0, 0, 0), (1.0, 1.0, 1.0)


def write_volume(path: Path, array: np.ndarray | DiameterMap, like: Volume, packed: bool = True) -> None:
    """Write `array` [k, j, i] on the grid of `like` as an NRRD; bool is stored as 0 and 1 in 8 bit."""
    write_nrrd(path, array, like.spacing_mm, like.origin_lps, like.direction_lps, packed)


def grid_difference(volume: Volume, other: Volume) -> str | None:
    """What differs between the grids of two volumes, as "its spacing is 0.1 instead of 0.2 mm"; None if nothing does.

    Size, spacing, origin and direction are compared so that no voxel lies more than a tenth of a voxel apart.
    """
    shape, spacing = np.array(other.array.shape), np.array(other.spacing_mm)
    if volume.array.shape != other.array.shape:
        return f"its size is {_size(volume)} instead of {_size(other)} voxels"
    if (np.abs(np.subtract(volume.spacing_mm, spacing)) * shape > SAME_PLACE * spacing).any():
        return f"its spacing is {_numbers(volume.spacing_mm[::-1])} instead of {_numbers(spacing[::-1])} mm"
    turned = np.abs(np.subtract(volume.direction_lps, other.direction_lps)).max()
    if turned > min(SAME_DIRECTION, SAME_PLACE / shape.max()):
        return "its direction in space (the orientation of its axes) is another one"
    if np.abs(np.subtract(volume.origin_lps, other.origin_lps)).max() > SAME_PLACE * spacing.min():
        return f"its origin is {_numbers(volume.origin_lps)} instead of {_numbers(other.origin_lps)} mm"
    return None


def _header_of(path: str | Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _read_file(path: Path, storage: Storage) -> Volume:
    try:
        if path.stat().st_size == 0:
            raise BadInput(f"{path} is empty: {READABLE}.")
        reader = _header_of(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be opened: check that you may read it and that the disk is well.") from error
    except RuntimeError as error:
        if "spacing" in str(error).lower():
            raise BadInput(f"{path} has a voxel size that is not greater than 0: {SAY_VOXEL_SIZE}.") from error
        raise BadInput(f"{path} is not an image that can be read here: {READABLE}.") from error
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1 or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise BadInput(
            f"{path} has {max(2, reader.GetNumberOfComponents())} values a voxel (a colour or vector volume): give one "
            "with a single grey value or label a voxel."
        )
    if len(size) < 3:
        raise BadInput(f"{path} is a picture of two dimensions: a volume is needed, {READABLE}.")
    if len(size) > 3:
        raise BadInput(f"{path} has {len(size)} dimensions ({' × '.join(map(str, size))}): give one volume only.")
    if not all(edge > 0 for edge in reader.GetSpacing()):
        raise BadInput(f"{path} has a voxel size that is not greater than 0: {SAY_VOXEL_SIZE}.")
    check_voxel_size_is_given(path)
    spacing = None
    if is_tiff(path):
        pages, spacing = tiff_stack(path)
        if pages != size[2]:
            raise BadInput(f"{path} is cut short or damaged: save it again as NRRD or MHA.")
    header = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    if "pixdim[1]" in header:
        check_nifti(path, header, math.prod(size))
    try:
        array = _voxels(reader, path, storage)
    except RuntimeError as error:
        raise BadInput(f"{path} is cut short or damaged: copy or save it again.") from error
    return Volume(
        array=array,
        spacing_mm=tuple(spacing or reader.GetSpacing())[::-1],
        origin_lps=reader.GetOrigin(),
        direction_lps=reader.GetDirection(),
        path=path,
        files=files_of(path),
    )


def _voxels(reader: sitk.ImageFileReader, path: Path, storage: Storage) -> np.ndarray:
    """The voxels [k, j, i] of a file whose header has been read."""
    if not storage.in_files:
        return sitk.GetArrayFromImage(reader.Execute())
    width, height, depth = reader.GetSize()
    slab = SLAB if _is_read_in_parts(path) else depth
    array = None
    for first in range(0, depth, slab):
        end = min(first + slab, depth)
        reader.SetExtractIndex((0, 0, first))
        reader.SetExtractSize((width, height, end - first))
        image = reader.Execute()
        piece = sitk.GetArrayViewFromImage(image)
        if array is None:
            array = storage.empty((depth, height, width), piece.dtype)
        array[first:end] = piece
        storage.let_go(array, first, end)
    return array


def _is_read_in_parts(path: Path) -> bool:
    """Whether a part of a file can be had without the rest of it."""
    if path.suffix.lower() not in (".mha", ".mhd"):
        return False
    with path.open("rb") as file:
        return b"compresseddata = true" not in file.read(4096).lower()


def _read_series(folder: Path) -> Volume:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise BadInput(f"{folder} is a folder without a DICOM series: {READABLE}.")
    if len(series) > 1:
        raise BadInput(f"{folder} holds {len(series)} DICOM series: give a folder that holds one of them only.")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    reader.MetaDataDictionaryArrayUpdateOn()
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise BadInput(f"{folder} holds a DICOM series that cannot be read as one volume: {READABLE}.") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise BadInput(f"{folder} holds a DICOM series in colour: give one with a single grey value a voxel.")
    if not _evenly_spaced(reader, len(names)):
        raise BadInput(
            f"{folder} holds a DICOM series with missing, doubled or unevenly spaced slices: give one whole series."
        )
    return _volume(image, folder, tuple(Path(name) for name in names))


def _evenly_spaced(reader: sitk.ImageSeriesReader, slices: int) -> bool:
    """Whether the positions of the slices go on by the same step; true where they do not say where they are."""
    if slices < 3 or not all(reader.HasMetaDataKey(index, POSITION) for index in range(slices)):
        return True
    texts = [reader.GetMetaData(index, POSITION).split("\\") for index in range(slices)]
    steps = np.diff(np.array(texts, float), axis=0)
    uneven = np.linalg.norm(steps - np.median(steps, axis=0), axis=1)
    return bool((uneven <= EVEN_SLICES * np.linalg.norm(np.median(steps, axis=0))).all())


def _volume(image: sitk.Image, path: Path, files: tuple[Path, ...]) -> Volume:
    return Volume(
        array=sitk.GetArrayFromImage(image),
        spacing_mm=image.GetSpacing()[::-1],
        origin_lps=image.GetOrigin(),
        direction_lps=image.GetDirection(),
        path=path,
        files=files,
    )


def _size(volume: Volume) -> str:
    return " × ".join(str(n) for n in volume.array.shape[::-1])


def _numbers(values: object) -> str:
    return ", ".join(f"{float(value):.6g}" for value in values)
