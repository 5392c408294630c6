"""Struts and plates on the borders of cells: space shared out among random points, each wall open or closed.

A closed wall is a plate. Of an open one its edges stay, where three cells meet: the struts. Cells of random points have
all sizes, so that fine mesh lies beside large spaces, as in bone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.thickness_scale import thickness_per_cell, tile_step_mm
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits

EDGE = 96  # voxels of the tile along each axis
ROUNDING = 0.085  # SD in cells: bone is round where it branches
THICKNESS_SPREAD = 0.30  # SD of the logarithm of how thick walls and struts are beside each other
CLOSED = 0.65  # part of the walls that is closed where the structure is of plates
FAR = 1e9
BLOCK, SUPERBLOCK = 4, 16  # voxels along each axis of what the points near it are sought for at once
NUMBERS = 4001  # random numbers that the pairs of cells share; a prime


def voronoi_tile(traits: StructureTraits, rng: np.random.Generator) -> StructureTile:
    """A tile of plates and struts between the cells of random points."""
    stretch = traits.anisotropy ** (np.array([2.0, -1.0, -1.0]) / 3.0)
    cell_mm = traits.tb_th_mm / thickness_per_cell("voronoi", traits)
    step_mm = tile_step_mm(traits.tb_th_mm)
    size = EDGE * step_mm / cell_mm
    field = _walls(
        rng.random((round(size**3), 3)) * size,
        size,
        stretch,
        CLOSED * traits.plate,
        rng.random(NUMBERS),
        np.exp(THICKNESS_SPREAD * rng.standard_normal(NUMBERS)),
        np.empty((EDGE, EDGE, EDGE), np.float32),
    )
    return StructureTile.of_field(gaussian_filter(field, ROUNDING * EDGE / size, mode="wrap"), step_mm)


@njit(nogil=True, cache=True)
def _walls(
    points: np.ndarray,
    size: float,
    stretch: np.ndarray,
    closed: float,
    chance: np.ndarray,
    thick: np.ndarray,
    field: np.ndarray,
) -> np.ndarray:
    """Distance [k, j, i] in cells from the nearest closed wall or edge, less where it is thicker.

    :param points: [n, 3] along (k, j, i) in cells, in a cube of `size` cells that repeats.
    :param stretch: [3] of the cells along (k, j, i).
    """
    edge, step = field.shape[0], size / field.shape[0]
    near, square = np.empty(3, np.int64), np.empty(3)
    normal, walls, at = np.empty((2, 3)), np.empty(2), np.empty(3)
    all_numbers, squares = np.arange(len(points)), np.empty(len(points))
    around, around_numbers = np.empty(points.shape), np.empty(len(points), np.int64)
    places, numbers = np.empty(points.shape), np.empty(len(points), np.int64)
    per_voxel = 0.5 * step * np.sqrt((1.0 / stretch**2).sum())
    count_around, last = 0, -1
    for block in range((edge // BLOCK) ** 3):
        k0, j0, i0 = _corner(block, edge)
        if block * BLOCK**3 // SUPERBLOCK**3 != last:
            last = block * BLOCK**3 // SUPERBLOCK**3
            for axis, first in enumerate((k0, j0, i0)):
                at[axis] = (first + 0.5 * SUPERBLOCK) * step
            count_around = _points_near(
                points,
                all_numbers,
                len(points),
                size,
                stretch,
                at,
                SUPERBLOCK * per_voxel,
                around,
                around_numbers,
                squares,
            )
        for axis, first in enumerate((k0, j0, i0)):
            at[axis] = (first + 0.5 * BLOCK) * step
        count = _points_near(
            around, around_numbers, count_around, np.inf, stretch, at, BLOCK * per_voxel, places, numbers, squares
        )
        for k in range(k0, k0 + BLOCK):
            for j in range(j0, j0 + BLOCK):
                for i in range(i0, i0 + BLOCK):
                    at[0], at[1], at[2] = (k + 0.5) * step, (j + 0.5) * step, (i + 0.5) * step
                    _three_nearest(places, count, stretch, at, near, square)
                    one = near[0]
                    far = FAR
                    for n in range(2):
                        # The wall lies where both points are equally far: distance along its normal in space.
                        other = near[n + 1]
                        length = 1e-18
                        for axis in range(3):
                            normal[n, axis] = (places[other, axis] - places[one, axis]) / stretch[axis] ** 2
                            length += normal[n, axis] ** 2
                        length = np.sqrt(length)
                        for axis in range(3):
                            normal[n, axis] /= length
                        walls[n] = (square[n + 1] - square[0]) / (2.0 * length)
                        pair = _pair(numbers[one], numbers[other])
                        if chance[pair] < closed:
                            far = min(far, walls[n] / thick[pair])
                    cosine = normal[0, 0] * normal[1, 0] + normal[0, 1] * normal[1, 1] + normal[0, 2] * normal[1, 2]
                    across = walls[0] ** 2 + walls[1] ** 2 - 2.0 * cosine * walls[0] * walls[1]
                    strut = np.sqrt(max(across, 0.0) / max(1.0 - cosine * cosine, 0.05))
                    a, b, c = numbers[one], numbers[near[1]], numbers[near[2]]
                    field[k, j, i] = min(far, strut / thick[_pair(a + b + c, a ^ b ^ c)])
    return field


@njit(nogil=True, cache=True, inline="always")
def _pair(one: int, other: int) -> int:
    """Which of the random numbers two cells have, whichever comes first."""
    return (min(one, other) * 7919 + max(one, other) * 104729) % NUMBERS


@njit(nogil=True, cache=True, inline="always")
def _corner(block: int, edge: int) -> tuple[int, int, int]:
    """The first voxel of a block; all blocks of one superblock come one after the other."""
    inner, outer = SUPERBLOCK // BLOCK, edge // SUPERBLOCK
    small, large = block % inner**3, block // inner**3
    return (
        (large // outer**2) * SUPERBLOCK + (small // inner**2) * BLOCK,
        (large // outer % outer) * SUPERBLOCK + (small // inner % inner) * BLOCK,
        (large % outer) * SUPERBLOCK + (small % inner) * BLOCK,
    )


@njit(nogil=True, cache=True)
def _points_near(
    points: np.ndarray,
    point_numbers: np.ndarray,
    of: int,
    size: float,
    stretch: np.ndarray,
    at: np.ndarray,
    reach: float,
    places: np.ndarray,
    numbers: np.ndarray,
    squares: np.ndarray,
) -> int:
    """How many of the first `of` points can be among the three nearest of a place no farther than `reach` from `at`.

    The first of `places` and `numbers` are filled with where they lie and which they are.

    :param size: of the cube that repeats; infinite where the points lie where they are meant already.
    """
    least = np.full(3, FAR)
    for n in range(of):
        square = 0.0
        for axis in range(3):
            away = points[n, axis] - at[axis]
            if size < FAR:
                away -= size * np.round(away / size)
            square += (away / stretch[axis]) ** 2
        squares[n] = square
        if square < least[2]:
            least[2] = square
            least.sort()
    most = (np.sqrt(least[2]) + 2.0 * reach) ** 2
    count = 0
    for n in range(of):
        if squares[n] <= most:
            numbers[count] = point_numbers[n]
            for axis in range(3):
                away = points[n, axis] - at[axis]
                if size < FAR:
                    away -= size * np.round(away / size)
                places[count, axis] = at[axis] + away
            count += 1
    return count


@njit(nogil=True, cache=True)
def _three_nearest(
    places: np.ndarray, count: int, stretch: np.ndarray, at: np.ndarray, near: np.ndarray, square: np.ndarray
) -> None:
    """Which of the first `count` places are nearest to `at`: three, the nearest first, and their squared distances."""
    square[:] = FAR
    for n in range(count):
        d = (
            ((places[n, 0] - at[0]) / stretch[0]) ** 2
            + ((places[n, 1] - at[1]) / stretch[1]) ** 2
            + ((places[n, 2] - at[2]) / stretch[2]) ** 2
        )
        if d >= square[2]:
            continue
        rank = 2
        while rank > 0 and d < square[rank - 1]:
            square[rank], near[rank] = square[rank - 1], near[rank - 1]
            rank -= 1
        square[rank], near[rank] = d, n
