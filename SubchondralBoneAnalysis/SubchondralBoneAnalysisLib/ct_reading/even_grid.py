"""From slices that are shifted against each other, or of unequal steps, to a volume of rectangular voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.ct_reading.slice_positions import SlicePositions
from SubchondralBoneAnalysisLib.volume import Volume

SPLINE_ORDER = 3  # in the plane of the slices, where linear interpolation would blur the trabeculae
FINEST_SHARE = 10  # per cent of the steps that may be finer than the step of the even grid


def even_volume(
    slices: np.ndarray,
    places: SlicePositions,
    pixel_mm: Sequence[float],
    axes: Sequence[Sequence[float]],
    first: Sequence[float],
    outside: int,
    finest_mm: float,
    normal: np.ndarray | None = None,
) -> Volume:
    """Put slices on a grid whose third axis is their normal; nothing is interpolated that lies on the grid already.

    Shifted slices stay at their heights and are moved in their own planes by a cubic spline, kept within the grey
    values of the slice. Only unequal steps are interpolated from slice to slice, linearly.

    :param slices: [k, j, i].
    :param places: of the slices.
    :param pixel_mm: distance of rows and of columns.
    :param axes: unit vectors of i and j in LPS.
    :param first: centre of voxel [0, 0, 0] in mm, LPS.
    :param outside: grey value where no slice has a pixel.
    :param finest_mm: the smallest step of the grid.
    :param normal: the direction of the heights; i x j unless given.
    """
    origin = np.array(first, float)
    if not places.upright:
        slices, moved_px = upright(slices, places.shifts_px, outside)
        origin = origin + np.array(axes).T @ (moved_px * np.array(pixel_mm)[::-1])
    step = places.step_mm
    if not places.even:
        step = max(float(np.percentile(places.steps_mm, FINEST_SHARE)), finest_mm)
        slices = at_even_heights(slices, places.heights_mm, step)
    normal = np.cross(*axes) if normal is None else normal
    direction = np.column_stack([*axes, normal])
    return Volume(slices, (step, *pixel_mm), tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def upright(slices: np.ndarray, shifts_px: np.ndarray, outside: int) -> tuple[np.ndarray, np.ndarray]:
    """Move slices in their planes, straight above one another, on a plane that is as large as all of them together.

    :param slices: [k, j, i].
    :param shifts_px: [slice, 2] in columns and rows: where the first pixel of a slice lies.
    :param outside: grey value where a slice has no pixel.
    :returns: the slices, and where in columns and rows their common first pixel lies.
    """
    first = np.floor(shifts_px.min(axis=0)).astype(int)
    columns, rows = np.ceil(shifts_px.max(axis=0)).astype(int) - first
    depth, height, width = slices.shape
    moved = np.full((depth, height + rows, width + columns), outside, slices.dtype)
    for target, plane, shift in zip(moved, slices, shifts_px - first, strict=True):
        i, j = np.floor(shift + 1e-6).astype(int)
        part = np.clip(shift - (i, j), 0.0, None)
        shifted = ndimage.shift(plane.astype(np.float32), part[::-1], order=SPLINE_ORDER, mode="nearest")
        shifted = np.rint(np.clip(shifted, plane.min(), plane.max())).astype(slices.dtype)
        # A pixel that is moved in from beyond the edge of the slice was never measured.
        left, top = (part > 1e-3).astype(int)
        target[j + top : j + height, i + left : i + width] = shifted[top:, left:]
    return moved, first.astype(float)


def at_even_heights(slices: np.ndarray, heights_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Interpolate slices [k, j, i] linearly at heights that go on by one step, from the first to the last."""
    heights = np.arange(0.0, heights_mm[-1] + 1e-6, step_mm)
    above = np.clip(np.searchsorted(heights_mm, heights), 1, len(heights_mm) - 1)
    share = (heights - heights_mm[above - 1]) / (heights_mm[above] - heights_mm[above - 1])
    evenly = np.empty((len(heights), *slices.shape[1:]), slices.dtype)
    for target, k, part in zip(evenly, above, np.clip(share, 0.0, 1.0).astype(np.float32), strict=True):
        np.rint((1 - part) * slices[k - 1] + part * slices[k], out=target, casting="unsafe")
    return evenly
