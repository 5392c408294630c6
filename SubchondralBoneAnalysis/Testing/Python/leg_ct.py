"""A leg of simple shapes, known at every point, and CT series of it as scanners write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset, uid
from pydicom.sequence import Sequence as Items
from scipy.special import expit

from SubchondralBoneAnalysisLib.volume import Volume

AIR, FAT, MUSCLE, CORTEX, MARROW = -1000.0, -100.0, 55.0, 1200.0, 150.0
EDGE_MM = 0.7  # how fast one tissue goes over into the next: the slices of a scanner are blurred too
CENTRE = np.array([80.0, -20.0, 300.0])
AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SIZE, PIXEL_MM, STEP_MM, SLICES = (56, 64), 1.2, 1.0, 40
GANTRY = np.radians(15.0)
TILTED = ((1.0, 0.0, 0.0), (0.0, float(np.cos(GANTRY)), float(-np.sin(GANTRY))))
UID = "1.2.826.0.1.3680043.10.77"

Shape = Callable[[np.ndarray], np.ndarray]


def leg(points: np.ndarray) -> np.ndarray:
    """HU at points [..., 3] in LPS: skin and fat, muscle, and a slanted shaft of bone with a thick cortex."""
    x, y, z = np.moveaxis(points - CENTRE, -1, 0)
    about = np.hypot(x, 1.1 * y)
    across = np.hypot(x - 4 - 0.15 * z, y + 3 - 0.1 * z)
    hu = np.full(about.shape, AIR)
    for distance, tissue in ((30 - about, FAT), (23 - about, MUSCLE), (12 - across, CORTEX), (8 - across, MARROW)):
        hu += (tissue - hu) * expit(distance / EDGE_MM)
    return hu


def with_nail(points: np.ndarray) -> np.ndarray:
    """The leg with a steel nail of 6 mm in the marrow."""
    x, y, z = np.moveaxis(points - CENTRE, -1, 0)
    nail = np.hypot(x - 4 - 0.15 * z, y + 3 - 0.1 * z) < 3
    return np.where(nail, 3071.0, leg(points))


def sampled(volume: Volume, shape: Shape = leg) -> np.ndarray:
    """What a shape has at the voxel centres of a volume, [k, j, i]."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.array.shape), indexing="ij"), axis=-1)
    turn = np.reshape(volume.direction_lps, (3, 3))
    return shape((index * volume.spacing_mm)[..., ::-1] @ turn.T + volume.origin_lps)


def first_pixels(heights_mm: Sequence[float], centre: np.ndarray = CENTRE) -> np.ndarray:
    """The first pixels [slice, 3] of slices around a centre, which the table moves along the patient."""
    middle = np.mean([min(heights_mm), max(heights_mm)])
    corner = centre - [PIXEL_MM * (SIZE[1] - 1) / 2, PIXEL_MM * (SIZE[0] - 1) / 2, 0]
    return np.array([corner + [0, 0, height - middle] for height in heights_mm])


def plane_of(shape: Shape, first: np.ndarray, axes: Sequence[Sequence[float]] = AXES) -> np.ndarray:
    """HU [j, i] of a slice."""
    j, i = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]), indexing="ij")
    return shape(first + PIXEL_MM * (i[..., None] * np.array(axes[0]) + j[..., None] * np.array(axes[1])))


def write_ct(
    folder: Path,
    heights_mm: Sequence[float] | None = None,
    *,
    shape: Shape = leg,
    axes: Sequence[Sequence[float]] = AXES,
    centre: np.ndarray = CENTRE,
    number: int = 1,
    skip: Sequence[int] = (),
    slope: float = 1.0,
    intercept: float = -1024.0,
    edit: Callable[[Dataset, np.ndarray, int], None] | None = None,
    **tags: object,
) -> Path:
    """Write slices of a shape as a CT series of one file a slice.

    :param heights_mm: of the slices along the patient; `SLICES` of `STEP_MM` unless given.
    :param skip: slices that are left out.
    :param edit: changes a file, given its data set, stored pixels and number.
    :param tags: by keyword, in all files.
    """
    folder.mkdir(exist_ok=True, parents=True)
    heights_mm = np.arange(SLICES) * STEP_MM if heights_mm is None else heights_mm
    for k, first in enumerate(first_pixels(heights_mm, centre)):
        if k in skip:
            continue
        stored = np.rint((plane_of(shape, first, axes) - intercept) / slope).astype(np.int16)
        dataset = _header(number, f"{UID}.2.{number}.{k}", k + 1)
        dataset.ImagePositionPatient = [f"{part:.6f}"[:16] for part in first]
        dataset.ImageOrientationPatient = [f"{part:.10f}"[:16] for axis in axes for part in axis]
        dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        if edit:
            edit(dataset, stored, k)
        _save(dataset, stored, folder / f"s{number}_{k:03d}.dcm")
    return folder


def write_enhanced_ct(path: Path, order: Sequence[int] | None = None) -> Path:
    """Write slices of the leg as one enhanced CT file, its frames in any order, each with its own rescale slope."""
    firsts = first_pixels(np.arange(SLICES) * STEP_MM)
    order = range(SLICES) if order is None else order
    dataset = _header(1, f"{UID}.3.1", 1, sop_class=uid.EnhancedCTImageStorage)
    dataset.NumberOfFrames = SLICES
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [PIXEL_MM, PIXEL_MM], STEP_MM
    orientation.ImageOrientationPatient = [part for axis in AXES for part in axis]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([orientation])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    frames, pixels = [], []
    for k in order:
        slope = 1.0 + k % 2
        position, rescale, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [f"{part:.6f}"[:16] for part in firsts[k]]
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, -1024, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Items([position]), Items([rescale])
        frames.append(frame)
        pixels.append(np.rint((plane_of(leg, firsts[k]) + 1024) / slope).astype(np.int16))
    dataset.PerFrameFunctionalGroupsSequence = Items(frames)
    _save(dataset, np.array(pixels), path)
    return path


def corners(points: np.ndarray) -> np.ndarray:
    """Whether points lie outside the round field of a scanner, 33 mm around the centre."""
    return np.hypot(points[..., 0] - CENTRE[0], points[..., 1] - CENTRE[1]) > 33.0


def label_map(shape: tuple[int, int, int] = (40, 40, 40)) -> dict[str, np.ndarray]:
    """Bones of a small knee as masks [k, j, i], k to S and j to P: femur above tibia, a patella, a fibula."""
    k, j, i = np.ogrid[tuple(slice(0, n) for n in shape)]
    femur = (k >= 22) & (np.hypot(j - 22, i - 20) < 12)
    tibia = (k <= 18) & (np.hypot(j - 22, i - 20) < 11)
    patella = (np.abs(k - 26) < 5) & (np.hypot(j - 4, i - 20) < 4)
    fibula = (k <= 12) & (np.hypot(j - 30, i - 35) < 3)
    return {"femur": femur, "tibia": tibia, "patella": patella, "fibula": fibula}


def numbered(numbers: dict[str, int]) -> np.ndarray:
    """Those bones as one label map of uint8."""
    masks = label_map()
    labels = np.zeros(masks["femur"].shape, np.uint8)
    for bone, number in numbers.items():
        labels[masks[bone]] = number
    return labels


def sheared(slant: float) -> tuple[float, ...]:
    """The direction matrix of a volume whose slices lie shifted to P by `slant` of their distance."""
    along = np.array([0.0, slant, 1.0]) / np.hypot(slant, 1.0)
    return tuple(np.column_stack([*AXES, along]).ravel().tolist())


def ends(volume: Volume) -> np.ndarray:
    """The corners of a volume in LPS, [8, 3]."""
    index = np.array(list(product(*((0, n - 1) for n in volume.array.shape)))) * volume.spacing_mm
    return index[:, ::-1] @ np.reshape(volume.direction_lps, (3, 3)).T + volume.origin_lps


def _header(number: int, instance: str, slice_number: int, sop_class: str = uid.CTImageStorage) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = sop_class, instance, "CT"
    dataset.PatientID, dataset.PatientName = "4711", "Secret^Name"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID}.0", f"{UID}.1.{number}"
    dataset.SeriesNumber, dataset.InstanceNumber = number, slice_number
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return dataset


def _save(dataset: Dataset, stored: np.ndarray, path: Path) -> None:
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
