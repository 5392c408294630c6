"""The four trabecular parameters by the two-dimensional definitions of the SRRD paper, for comparison with it only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_local
from skimage.morphology import skeletonize

from JointQuantLib.job import Progress

PIXEL_MM = 0.1  # every slice is resampled to this pixel size
BLOCK_PIXELS = 11  # window of the local threshold
OFFSET = 1.0  # of the local threshold, in the unit of the image
SMALLEST_PIXELS = 4  # smaller objects are removed, smaller holes filled
SMALLEST_ON_SKELETON = 0.9  # pixels
SPACE_FACTOR = 3.0
SMALLEST_VALUE = 1e-6  # a slice with no more than this does not count
MOST_PIXELS = 4000  # along an edge of a slice: no knee is wider than 40 cm
MARGIN_PIXELS = 8  # around the region: more than the window of the local threshold reaches

FINE_MM = 0.05
DEFINITION_NOTE = (
    "Two-dimensional definitions of the SRRD paper, for comparison with it only: Tb.Th is about half the thickness, "
    "Tb.Sp about one and a half times the separation, and BV/TV is made of the two and is no volume fraction."
)
FINE_NOTE = (
    f"The slices were resampled from {{finest:.3g}} to {PIXEL_MM:g} mm as the definition asks, which loses much of "
    "the structure."
)
GREY_NOTE = "Bone is what the paper's own local threshold finds, not what the segmentation of this job found."
LARGE_NOTE = "The slices are wider than any knee, so the set is not given: is the voxel size in millimetres?"
NOTHING_NOTE = "No slice holds both bone and space in the region by these definitions."


@dataclass(frozen=True)
class SrrdCompatible:
    """The paper's parameters of one region; None where no slice gives a value.

    :param bv_tv: Tb.Th / (Tb.Th + Tb.Sp).
    :param tb_th_mm: mean of the slices.
    :param tb_sp_mm: mean of the slices.
    :param tb_n_per_mm: 1 / (Tb.Th + Tb.Sp).
    :param slices: sagittal slices that gave a thickness.
    :param note: what a reader has to know about these numbers.
    """

    bv_tv: float | None
    tb_th_mm: float | None
    tb_sp_mm: float | None
    tb_n_per_mm: float | None
    slices: int
    note: str


def srrd_compatible(
    image: np.ndarray,
    spacing_mm: tuple[float, float, float],
    direction_lps: tuple[float, ...],
    region: np.ndarray | None = None,
    progress: Progress | None = None,
) -> SrrdCompatible:
    """Measure as the SRRD paper's reference program does, slice by sagittal slice, oddities included.

    In each slice, resampled in its plane to 0.1 mm (grey values linearly, structure and region by the nearest voxel):

    1. Bone is above a local threshold (Gaussian window of 11 pixels, offset 1), in the region and where the image is
       not 0; a structure that is segmented already is bone as it is. The threshold sees the slice beyond the region.
    2. Objects and holes of bone below 4 pixels are removed. Space is what else is in the region.
    3. The value of a phase is the mean distance transform (pixels, to the nearest pixel of anything else) on its
       skeleton, of all pixels with at least 0.9: Tb.Th is 0.1 mm times that of bone, Tb.Sp 0.1 mm times 3 times that of
       space.

    Each value is the mean over the slices that have more than 1e-6. BV/TV and Tb.N follow from these two.

    What is odd about it, and stays: the distance to the edge is *half* a thickness; the factor 3 of the space has no
    reason in the source (a comment there asks for one), so that a structure as thick as its space has a BV/TV of 0.25;
    the offset of 1 is in whatever unit the image has; a slice cuts oblique trabeculae obliquely.

    :param image: [k, j, i]; bool for a structure, true in bone, else grey values, bone bright.
    :param spacing_mm: of the voxels, along (k, j, i).
    :param direction_lps: 3 x 3 row by row, as of :class:`~SubchondralBoneAnalysisLib.volume.Volume`.
    :param region: bool [k, j, i]; the whole volume if None.
    """
    axis = sagittal_axis(direction_lps)
    plane_mm = tuple(spacing_mm[a] for a in range(3) if a != axis)
    notes = [DEFINITION_NOTE] if image.dtype == bool else [DEFINITION_NOTE, GREY_NOTE]
    widths = [n * edge for a, (n, edge) in enumerate(zip(image.shape, spacing_mm, strict=True)) if a != axis]
    if max(widths) > MOST_PIXELS * PIXEL_MM:
        return SrrdCompatible(None, None, None, None, 0, " ".join([*notes, LARGE_NOTE]))
    values = []
    slices = np.moveaxis(image, axis, 0)
    insides = [None] * len(slices) if region is None else np.moveaxis(region, axis, 0)
    for piece, inside in zip(slices, insides, strict=True):
        if progress is not None:
            progress.check()
        values.append(slice_values(piece, plane_mm, inside))
    thickness, spacing = ([pair[phase] for pair in values if pair[phase] > SMALLEST_VALUE] for phase in (0, 1))
    if min(plane_mm) < FINE_MM:
        notes.append(FINE_NOTE.format(finest=min(plane_mm)))
    if not thickness or not spacing:
        return SrrdCompatible(None, None, None, None, len(thickness), " ".join([*notes, NOTHING_NOTE]))
    th, sp = float(np.mean(thickness)), float(np.mean(spacing))
    return SrrdCompatible(th / (th + sp), th, sp, 1.0 / (th + sp), len(thickness), " ".join(notes))


def sagittal_axis(direction_lps: tuple[float, ...]) -> int:
    """The axis of an array [k, j, i] that lies nearest to the patient's left-right direction."""
    return 2 - int(np.argmax(np.abs(direction_lps[:3])))


def slice_values(
    image: np.ndarray, spacing_mm: tuple[float, float], region: np.ndarray | None = None
) -> tuple[float, float]:
    """Tb.Th and Tb.Sp in mm of one slice [row, column], as `srrd_compatible` defines them; 0 where there is none."""
    rows, columns = (places(n, edge) for n, edge in zip(image.shape, spacing_mm, strict=True))
    if region is None:
        area = np.ones((len(rows), len(columns)), bool)
    else:
        area = region[np.ix_(nearest(rows, image.shape[0]), nearest(columns, image.shape[1]))]
    if not area.any():
        return 0.0, 0.0
    window = tuple(_around(area.any(axis=1 - a)) for a in (0, 1))
    area, rows, columns = area[window], rows[window[0]], columns[window[1]]
    if image.dtype == bool:
        phase = image[np.ix_(nearest(rows, image.shape[0]), nearest(columns, image.shape[1]))]
    else:
        grid = np.meshgrid(rows, columns, indexing="ij")
        grey = ndimage.map_coordinates(image, grid, output=np.float64, order=1, mode="nearest")
        phase = grey > threshold_local(grey, BLOCK_PIXELS, method="gaussian", offset=OFFSET)
        area &= grey != 0
    bone = without_specks(phase & area, area)
    th, sp = (_mean_on_skeleton(part) * PIXEL_MM for part in (bone, area & ~bone))
    return th, sp * SPACE_FACTOR


def without_specks(bone: np.ndarray, area: np.ndarray) -> np.ndarray:
    """A structure [row, column] without objects and holes (in `area`) of fewer than 4 pixels (4 neighbours)."""
    bone = bone & ~_small(bone)
    return bone | (_small(~bone) & area)


def places(count: int, spacing_mm: float) -> np.ndarray:
    """Where the pixels of 0.1 mm lie that cover `count` pixels of `spacing_mm`, in the indices of these."""
    wanted = max(1, round(count * spacing_mm / PIXEL_MM))
    return (np.arange(wanted) + 0.5) * PIXEL_MM / spacing_mm - 0.5


def nearest(positions: np.ndarray, count: int) -> np.ndarray:
    """The indices, 0 to count - 1, that lie nearest."""
    return np.clip(np.floor(positions + 0.5 + 1e-9).astype(int), 0, count - 1)


def _small(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = SMALLEST_PIXELS
    return sizes[labels] < SMALLEST_PIXELS


def _mean_on_skeleton(phase: np.ndarray) -> float:
    """Mean distance transform on the skeleton, in pixels; 0 where the phase has none, or nothing else is there."""
    if not phase.any() or phase.all():
        return 0.0
    on_skeleton = ndimage.distance_transform_edt(phase)[skeletonize(phase)]
    kept = on_skeleton[on_skeleton >= SMALLEST_ON_SKELETON]
    return float(kept.mean()) if len(kept) else 0.0


def _around(line: np.ndarray) -> slice:
    ends = np.flatnonzero(line)
    return slice(max(0, ends[0] - MARGIN_PIXELS), ends[-1] + 1 + MARGIN_PIXELS)
