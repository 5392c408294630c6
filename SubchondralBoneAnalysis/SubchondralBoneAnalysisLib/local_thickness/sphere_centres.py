"""Which spheres are needed: those that no sphere around one of the 26 neighbours holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.local_thickness.spheres import KINDS, SphereTables
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

BLOCK = 64  # voxels of a row that have one entry in `SphereCentres.first`
SLICES = 4


@dataclass(frozen=True)
class SphereCentres:
    """The centres in some slices that are needed, row by row.

    `slices`: first and end of them. `column`: (n,) uint16, their index i. `first`: [k, j, blocks + 1], where in
    `column` those of a block of a row begin, and at last where those of the row end.
    """

    slices: tuple[int, int]
    column: np.ndarray
    first: np.ndarray


class NeededCentres:
    """The centres of all spheres that are not held by another, found when they are asked for.

    A sphere that is left out lies within one of a larger radius, so it changes no thickness. Those that are kept are
    more than needed where only farther neighbours would hold them.

    :param squared: squared radii [k, j, i], 0 outside the structure.
    """

    def __init__(self, squared: np.ndarray, tables: SphereTables, workers: Workers) -> None:
        self._squared = squared
        self._tables = tables
        self._workers = workers
        self._kept: dict[int, SphereCentres] = {}  # by their first slice

    def within(self, first: int, end: int) -> SphereCentres:
        """Those in the slices `first` to `end` and a few more; those before them are forgotten."""
        starts = range(first // SLICES * SLICES, end, SLICES)
        missing = [start for start in starts if start not in self._kept]
        kept = {start: self._kept[start] for start in starts if start in self._kept}
        self._kept = kept | dict(zip(missing, self._workers.each(self._found, missing), strict=True))
        parts = [self._kept[start] for start in starts]
        before = np.cumsum([0, *(len(part.column) for part in parts)])
        return SphereCentres(
            (starts[0], parts[-1].slices[1]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.first + count for part, count in zip(parts, before[:-1], strict=True)]),
        )

    def _found(self, start: int) -> SphereCentres:
        depth, height, width = self._squared.shape
        end = min(start + SLICES, depth)
        column = np.empty((end - start) * height * width, np.uint16)
        first = np.empty((end - start, height, -(-width // BLOCK) + 1), np.int64)
        square_of_step = (KINDS**2) @ self._tables.weights
        count = _find(self._squared, start, end, self._tables.holding, square_of_step, column, first)
        return SphereCentres((start, end), column[:count].copy(), first)


@njit(nogil=True, cache=True)
def _find(squared, start, end, holding, square_of_step, column, first):
    depth, height, width = squared.shape
    nothing = np.zeros(width, squared.dtype)
    # A voxel's own row, the largest of the rows beside it in the slice (along j), of those above and below (along k),
    # and of the four that are diagonal to it; one more at both ends.
    own = np.zeros(width + 2, squared.dtype)
    beside = np.zeros(width + 2, squared.dtype)
    above = np.zeros(width + 2, squared.dtype)
    diagonal = np.zeros(width + 2, squared.dtype)
    count = 0
    for k in range(start, end):
        for j in range(height):
            row = squared[k, j]
            largest = row[0]
            for i in range(width):
                largest = max(largest, row[i])
            if largest == 0:
                first[k - start, j, :] = count
                continue
            up, down, left, right = k > 0, k + 1 < depth, j > 0, j + 1 < height
            a = squared[k, j - 1] if left else nothing
            b = squared[k, j + 1] if right else nothing
            c = squared[k - 1, j] if up else nothing
            d = squared[k + 1, j] if down else nothing
            for i in range(width):
                own[i + 1] = row[i]
                beside[i + 1] = max(a[i], b[i])
                above[i + 1] = max(c[i], d[i])
            a = squared[k - 1, j - 1] if up and left else nothing
            b = squared[k - 1, j + 1] if up and right else nothing
            c = squared[k + 1, j - 1] if down and left else nothing
            d = squared[k + 1, j + 1] if down and right else nothing
            for i in range(width):
                diagonal[i + 1] = max(a[i], b[i], c[i], d[i])
            for i in range(width):
                if i % BLOCK == 0:
                    first[k - start, j, i // BLOCK] = count
                radius = row[i]
                if radius == 0:
                    continue
                if _holds(max(own[i], own[i + 2]), radius, 0, holding, square_of_step):
                    continue
                if _holds(beside[i + 1], radius, 1, holding, square_of_step):
                    continue
                if _holds(above[i + 1], radius, 2, holding, square_of_step):
                    continue
                if _holds(max(beside[i], beside[i + 2]), radius, 3, holding, square_of_step):
                    continue
                if _holds(max(above[i], above[i + 2]), radius, 4, holding, square_of_step):
                    continue
                if _holds(diagonal[i + 1], radius, 5, holding, square_of_step):
                    continue
                if _holds(max(diagonal[i], diagonal[i + 2]), radius, 6, holding, square_of_step):
                    continue
                column[count] = i
                count += 1
            first[k - start, j, -1] = count
    return count


@njit(nogil=True, cache=True)
def _holds(other, own, kind, holding, square_of_step):
    """Whether the sphere of squared radius `other` around a neighbour holds that of `own`."""
    if holding.shape[1] > 0:
        return other >= holding[kind, own]
    # No table: radius and step are compared, with a margin for rounding: right on any lattice, and a few more are kept.
    return np.sqrt(np.float64(other)) >= (np.sqrt(np.float64(own)) + np.sqrt(square_of_step[kind])) * (1 + 1e-12)
