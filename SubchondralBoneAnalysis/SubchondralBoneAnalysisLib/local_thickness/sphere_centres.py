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
    """The centres that are needed, row by row.

    `column`: (n,) uint16, their index i. `first`: [k, j, blocks + 1], where in `column` those of a block of a row begin,
    and at last where those of the row end.
    """

    column: np.ndarray
    first: np.ndarray


def needed_centres(squared: np.ndarray, tables: SphereTables, workers: Workers) -> SphereCentres:
    """The centres of all spheres that are not held by another, for squared radii [k, j, i].

    A sphere that is left out lies within one of a larger radius, so it changes no thickness. Those that are kept are
    more than needed where only farther neighbours would hold them.
    """
    parts = workers.share(len(squared), SLICES, lambda a, b: _centres(squared, tables, a, b))
    ends = np.cumsum([0, *(len(part.column) for part in parts)])
    first = np.concatenate([part.first + end for part, end in zip(parts, ends[:-1], strict=True)])
    return SphereCentres(np.concatenate([part.column for part in parts]), first)


def _centres(squared: np.ndarray, tables: SphereTables, start: int, end: int) -> SphereCentres:
    depth, height, width = squared.shape
    column = np.empty((end - start) * height * width, np.uint16)
    first = np.empty((end - start, height, -(-width // BLOCK) + 1), np.int64)
    square_of_step = (KINDS**2) @ tables.weights
    count = _find(squared, start, end, tables.holding, square_of_step, column, first)
    return SphereCentres(column[:count].copy(), first)


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
                diagonal[i + 1] = max(max(a[i], b[i]), max(c[i], d[i]))
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
    # No table: radius and step are compared, with a margin for rounding. That holds on any lattice, and keeps a few more.
    return np.sqrt(np.float64(other)) >= (np.sqrt(np.float64(own)) + np.sqrt(square_of_step[kind])) * (1 + 1e-12)
