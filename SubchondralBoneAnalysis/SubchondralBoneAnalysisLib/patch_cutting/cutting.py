"""The voxels of patches, sampled from the CT: thousands in seconds, without aliasing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numba import njit
from scipy import ndimage

from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.patches import Patch
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import index_per_mm, to_index, to_lps

PATCHES_AT_A_TIME = 16
MARGIN = 3  # voxels around what is cut, for the cubic
TRUNCATE = 4.0  # standard deviations of the average
WHOLE_STEPS = 1e-3  # by which an edge over the grid may differ from a whole number


def cut_patches(ct: Volume, patches: Sequence[Patch], grid_mm: float, workers: Workers) -> np.ndarray:
    """The values float32 [patch, k, j, i] of patches on a grid of `grid_mm`, k from the surface into the bone.

    Between voxels by the cubic of Keys (IEEE Trans ASSP 29:1153, 1981; a = -1/2), which keeps the values of the voxels
    and does not blur. Along the axes on which the grid is coarser than the CT, the CT is first averaged by a Gaussian
    of SD 0.5 (grid² - voxel²)^½, which leaves 1 % at the frequency of the grid. Beyond the CT the nearest voxel counts.

    :param patches: all of one size.
    :raises ValueError: sizes differ, or are no whole number of steps of the grid.
    """
    sizes = {patch.edge_mm for patch in patches}
    if len(sizes) > 1:
        raise ValueError(f"patches of several sizes are cut apart: {sorted(sizes)} mm")
    if not sizes:
        return np.empty((0, 0, 0, 0), np.float32)
    count = round(sizes.pop() / grid_mm)
    if count < 1 or abs(patches[0].edge_mm / grid_mm - count) > WHOLE_STEPS * count:
        raise ValueError(f"an edge of {patches[0].edge_mm:g} mm is no whole number of steps of {grid_mm:g} mm")
    centres = np.array([patch.centre_lps_mm for patch in patches])
    axes = np.array([patch.axes_lps for patch in patches])
    source = _averaged(_around(ct, centres, patches[0].edge_mm, grid_mm), grid_mm)
    # Rows of `axes` are i, j, k; the array runs k, j, i.
    steps = grid_mm * axes[:, ::-1] @ index_per_mm(source).T
    starts = to_index(centres, source) - steps.sum(axis=1) * (count - 1) / 2
    cut = np.empty((len(patches), count, count, count), np.float32)
    # Voxels of the border again beyond it, so that the cubic has its four wherever a patch ends.
    voxels = np.pad(source.array, MARGIN, mode="edge")
    row, shape = voxels.ravel(), voxels.shape

    def fill(first: int, end: int) -> None:
        _fill(cut[first:end], row, shape, starts[first:end] + MARGIN, steps[first:end])

    workers.share(len(patches), PATCHES_AT_A_TIME, fill)
    return cut


def _around(ct: Volume, centres: np.ndarray, edge_mm: float, grid_mm: float) -> Volume:
    """The part of the CT that holds all patches, and what is averaged into them."""
    reach = np.sqrt(3) / 2 * edge_mm / np.asarray(ct.spacing_mm) + 2 * MARGIN + np.ceil(TRUNCATE * _sigma(ct, grid_mm))
    index = to_index(centres, ct)
    low = np.clip(np.floor(index.min(axis=0) - reach).astype(int), 0, np.array(ct.array.shape) - 1)
    high = np.clip(np.ceil(index.max(axis=0) + reach).astype(int) + 1, low + 1, ct.array.shape)
    origin = to_lps(low, ct)
    part = ct.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return replace(ct, array=part, origin_lps=tuple(origin))


def _averaged(ct: Volume, grid_mm: float) -> Volume:
    sigma = _sigma(ct, grid_mm)
    if not any(sigma):
        return ct
    smooth = ndimage.gaussian_filter(ct.array.astype(np.float32), sigma, mode="nearest", truncate=TRUNCATE)
    return replace(ct, array=smooth)


def _sigma(ct: Volume, grid_mm: float) -> np.ndarray:
    """Of the average along (k, j, i), in voxels; 0 where the grid is no coarser than the CT."""
    spacing = np.asarray(ct.spacing_mm)
    return 0.5 * np.sqrt(np.maximum(0.0, grid_mm**2 - spacing**2)) / spacing


@njit(nogil=True, cache=True, inline="always")
def _keys(t):
    """Weights of the four voxels around, at the fraction t from the second to the third."""
    half = np.float32(0.5)
    back = np.float32(1) - t
    before, after = -half * t * back * back, -half * t * t * back
    # Two of the four and the rules that the weights add to 1 and hold a straight line.
    third = t - after - after + before
    return before, np.float32(1) - before - third - after, third, after


@njit(nogil=True, cache=True, inline="always")
def _held(place, size):
    """A place that has one voxel before it and two after it."""
    return min(max(place, 1.0), size - 2.001)


@njit(nogil=True, cache=True, fastmath=True)
def _fill(cut, source, shape, starts, steps):
    """Sample `source`, the voxels of a volume of `shape` in a row, at starts[n] + (a, b, c) @ steps[n] in (k, j, i)."""
    depth, height, width = shape
    for n in range(cut.shape[0]):
        for a in range(cut.shape[1]):
            for b in range(cut.shape[2]):
                for c in range(cut.shape[3]):
                    z = starts[n, 0] + a * steps[n, 0, 0] + b * steps[n, 1, 0] + c * steps[n, 2, 0]
                    y = starts[n, 1] + a * steps[n, 0, 1] + b * steps[n, 1, 1] + c * steps[n, 2, 1]
                    x = starts[n, 2] + a * steps[n, 0, 2] + b * steps[n, 1, 2] + c * steps[n, 2, 2]
                    z, y, x = _held(z, depth), _held(y, height), _held(x, width)
                    k, j, i = int(z), int(y), int(x)
                    across = _keys(np.float32(x - i))
                    down = _keys(np.float32(y - j))
                    through = _keys(np.float32(z - k))
                    total = np.float32(0)
                    for p in range(4):
                        sheet = np.float32(0)
                        for q in range(4):
                            # Unsigned: a signed number is asked each time whether it counts from the end.
                            at = np.uintp(((k - 1 + p) * height + j - 1 + q) * width + i - 1)
                            sheet += down[q] * (
                                across[0] * np.float32(source[at])
                                + across[1] * np.float32(source[at + np.uintp(1)])
                                + across[2] * np.float32(source[at + np.uintp(2)])
                                + across[3] * np.float32(source[at + np.uintp(3)])
                            )
                        total += through[p] * sheet
                    cut[n, a, b, c] = total
