"""Spheres on the lattice: how far they reach in a row, and when one holds another; by whole numbers.

The sphere of squared radius D around a voxel is all voxels whose squared distance to it is below D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice

LARGEST_TABLE = 2**20  # squared radii; beyond it, tables would be larger than the volume is worth

# The steps to the 26 neighbours by kind, (dk, dj, di) up to sign. All of a kind are the same distance away.
KINDS = np.array([(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)])


@dataclass(frozen=True)
class SphereTables:
    """What is needed to draw and compare the spheres of a volume.

    `weights`: (3,) of the lattice. `reach`: (3, n) number of voxels to either side of the centre in a row along each
    axis, by squared radius. `holding`: (7, n) the smallest squared radius of a sphere around a neighbour, by its kind,
    that holds the whole sphere of a squared radius. Both may be empty: then they are computed where they are needed.
    """

    weights: np.ndarray
    reach: np.ndarray
    holding: np.ndarray

    @classmethod
    def up_to(cls, largest: int, lattice: Lattice) -> SphereTables:
        """The tables for squared radii up to `largest`."""
        weights = np.array(lattice.weights, np.int64)
        if largest >= LARGEST_TABLE:
            return cls(weights, np.zeros((3, 0), np.int32), np.zeros((7, 0), np.int64))
        reach = np.array([[half_length(d, w, np.zeros(0, np.int32)) for d in range(largest + 1)] for w in weights])
        return cls(weights, reach.astype(np.int32), _holding(largest, weights, KINDS))

    def reach_of(self, largest: int) -> tuple[int, int, int]:
        """How many voxels (k, j, i) a sphere of a squared radius reaches to either side."""
        return tuple(int(half_length(largest, w, np.zeros(0, np.int32))) for w in self.weights)


@njit(nogil=True, cache=True)
def half_length(squared, weight, table):
    """The largest n with n^2 weight < squared, that is how far a sphere reaches along an axis; -1 for none."""
    if squared < table.size:
        return np.int64(table[squared])
    if squared <= 0:
        return np.int64(-1)
    n = np.int64(np.sqrt((squared - 1) / weight))
    while n * n * weight >= squared:
        n -= 1
    while (n + 1) * (n + 1) * weight < squared:
        n += 1
    return n


@njit(cache=True)
def _holding(largest, weights, kinds):
    """Rows of `SphereTables.holding` (Remy and Thiel, Image and Vision Computing 23:167, 2005, for the cubic lattice).

    The voxel of a sphere that is farthest from a neighbour lies on the far side, so one octant of steps is enough.
    """
    answer = np.zeros((len(kinds), largest + 1), np.int64)
    empty = np.zeros(0, np.int32)
    ends = [half_length(largest, weights[axis], empty) for axis in range(3)]
    for kind in range(len(kinds)):
        step = kinds[kind]
        far = np.zeros(largest + 1, np.int64)
        for k in range(ends[0] + 1):
            for j in range(ends[1] + 1):
                for i in range(ends[2] + 1):
                    own = k * k * weights[0] + j * j * weights[1] + i * i * weights[2]
                    if own >= largest:
                        break
                    beyond = (k + step[0], j + step[1], i + step[2])
                    other = beyond[0] ** 2 * weights[0] + beyond[1] ** 2 * weights[1] + beyond[2] ** 2 * weights[2]
                    far[own] = max(far[own], other)
        farthest = 0
        for squared in range(1, largest + 1):
            farthest = max(farthest, far[squared - 1])
            answer[kind, squared] = farthest + 1
    return answer
