"""The exact squared distance of every voxel of a phase to the nearest voxel of the other one.

The three passes of a separable distance transform (Saito and Toriwaki, Pattern Recognition 27:1551, 1994): along the
rows by counting, then along columns and slices as the smallest of the rows around, row by row, from near to far. A row
is done when no farther one could make it smaller, so thin structures cost few passes; whole rows are compared at once,
which processors do 16 and more voxels at a time.

Beyond the volume, and where nothing is known, there is no surface: no distance is measured to either.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.local_thickness.lattice import LARGEST_EXACT, Lattice
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

UNKNOWN = 2  # code of a voxel of which nothing is known; the two phases are 0 and 1
SHORT = np.dtype(np.uint16)  # holds the squared distances of all but very wide structures of cubic voxels
SLICES = 4  # that a worker takes at a time


def cap_of(dtype: np.dtype) -> int:
    """What stands for "no surface was met" in a map of squared distances."""
    return 2**16 - 1 if dtype == SHORT else 2**31 - 1 if dtype == np.int32 else LARGEST_EXACT


def types_for(lattice: Lattice, shape: tuple[int, int, int]) -> list[np.dtype]:
    """The types to be tried for squared distances, the smallest first; the last one holds any."""
    wide = np.dtype(np.int32 if lattice.largest_possible(shape) < cap_of(np.dtype(np.int32)) else np.int64)
    return [SHORT, wide] if max(lattice.weights) <= 64 else [wide]


def squared_distances(
    codes: np.ndarray, phase: int, lattice: Lattice, workers: Workers, storage: Storage
) -> np.ndarray:
    """Squared distances [k, j, i], in units of the lattice, from each voxel of a phase to the nearest of the other.

    :param codes: [k, j, i] uint8: 0 and 1 for the two phases, `UNKNOWN` elsewhere.
    :param phase: 0 or 1; all other voxels get 0.
    :raises ValueError: when the other phase has no voxel: then there is no surface to measure to.
    """
    depth, height, _ = codes.shape
    for dtype in types_for(lattice, codes.shape):
        squared = storage.empty(codes.shape, dtype)

        def in_slices(first: int, end: int, squared: np.ndarray = squared) -> None:
            within_slices(codes, phase, lattice, squared, first, end)
            storage.let_go(codes, first, end)
            storage.let_go(squared, first, end)

        def in_space(first: int, end: int, squared: np.ndarray = squared) -> int:
            across_slices(lattice, squared, first, end)
            return int(squared[:, first:end].max())

        workers.share(depth, SLICES, in_slices)
        if max(workers.share(height, SLICES, in_space)) < cap_of(dtype):
            workers.share(depth, SLICES, lambda a, b, of=squared: forget_unknown(codes[a:b], of[a:b]))
            return squared
        storage.forget(squared)
    raise ValueError("there is no voxel of the other phase, so there is no surface to measure to")


def largest(squared: np.ndarray, workers: Workers) -> int:
    """The largest value of a map."""
    return max(workers.share(len(squared), SLICES, lambda a, b: int(squared[a:b].max())))


def within_slices(codes: np.ndarray, phase: int, lattice: Lattice, squared: np.ndarray, first: int, end: int) -> None:
    """Fill the slices `first` to `end` with squared distances within each slice by itself."""
    _rows_and_columns(codes[first:end], 1 - phase, *lattice.weights[1:], cap_of(squared.dtype), squared[first:end])


def across_slices(lattice: Lattice, squared: np.ndarray, first: int, end: int) -> None:
    """Make of the distances within slices those in space, for the rows `first` to `end` of all slices."""
    _slices(lattice.weights[0], cap_of(squared.dtype), squared[:, first:end])


@njit(nogil=True, cache=True)
def forget_unknown(codes: np.ndarray, squared: np.ndarray) -> None:
    """Set to 0 what was measured from voxels of which nothing is known."""
    for k in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            for i in range(codes.shape[2]):
                if codes[k, j, i] == UNKNOWN:
                    squared[k, j, i] = 0


@njit(nogil=True, cache=True)
def _rows_and_columns(codes, surface, weight_j, weight_i, cap, squared):
    depth, height, width = codes.shape
    plane = np.empty((height, width), squared.dtype)
    steps = np.empty(width, np.int32)
    far = np.int32(1 << 29)
    for k in range(depth):
        for j in range(height):
            row = codes[k, j]
            away = far
            for i in range(width):
                away = 0 if row[i] == surface else away + 1
                steps[i] = away
            away = far
            for i in range(width - 1, -1, -1):
                away = 0 if row[i] == surface else away + 1
                nearest = min(away, steps[i])
                plane[j, i] = min(nearest * nearest * weight_i, cap) if nearest < far else cap
        for j in range(height):
            _smallest_around(plane, j, weight_j, cap, squared[k, j])


@njit(nogil=True, cache=True)
def _slices(weight_k, cap, squared):
    depth, height, width = squared.shape
    plane = np.empty((depth, width), squared.dtype)
    for j in range(height):
        for k in range(depth):
            plane[k] = squared[k, j]
        for k in range(depth):
            _smallest_around(plane, k, weight_k, cap, squared[k, j])


@njit(nogil=True, cache=True)
def _smallest_around(plane, at, weight, cap, out):
    """Set `out` to the smallest of all rows of a plane, each raised by its squared distance from the row `at`."""
    rows, width = plane.shape
    narrow = plane.dtype.type  # in wider numbers the processor would compare fewer of them at once
    own = plane[at]
    widest = narrow(0)
    for i in range(width):
        out[i] = own[i]
        widest = max(widest, own[i])
    step = 1
    rise = weight
    while rise < np.int64(widest) and (at >= step or at + step < rows):
        before = plane[at - step] if at >= step else plane[at + step]
        after = plane[at + step] if at + step < rows else before
        raised = narrow(rise)
        room = narrow(cap - rise)  # what is raised beyond the cap stays there
        widest = narrow(0)
        for i in range(width):
            other = narrow(min(before[i], after[i], room) + raised)
            smaller = min(out[i], other)
            out[i] = smaller
            widest = max(widest, smaller)
        step += 1
        rise = weight * step * step
