"""Trabecular bone that fills all space of a bone's frame, cut out where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.simulation.microstructure.families import make_tile
from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile, between
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits

TILT_DEG = 10.0  # SD of the angle between the structure's axis and the z axis of the bone, about each of x and y


@dataclass(frozen=True, eq=False)
class Trabeculae:
    """A tile of structure laid out through space.

    :param turn: 3 x 3, from the frame of the bone to that of the structure.
    :param offset_mm: (x, y, z), where the origin of the bone's frame lies in that of the structure.
    """

    tile: StructureTile
    turn: np.ndarray
    offset_mm: np.ndarray

    def solid_block(
        self,
        shape_kji: tuple[int, int, int],
        spacing_mm: float | tuple[float, float, float],
        origin_mm: tuple[float, float, float],
        bv_tv: float | np.ndarray,
    ) -> np.ndarray:
        """Bone on a lattice parallel to the axes of the bone's frame, bool [k, j, i].

        :param spacing_mm: along (k, j, i), or one for all.
        :param origin_mm: centre of voxel [0, 0, 0], (x, y, z).
        :param bv_tv: bone volume fraction asked for: one, or one for each slice [k], or for each voxel [k, j, i].
        :raises ValueError: when `bv_tv` has another shape.
        """
        wanted = np.asarray(bv_tv, np.float32)
        if wanted.ndim == 1:
            wanted = wanted[:, None, None]
        elif wanted.ndim not in (0, 3):
            raise ValueError(f"bv_tv has {wanted.ndim} dimensions: none, one (along k) or three are needed")
        step = np.broadcast_to(np.asarray(spacing_mm, float), 3)
        along_xyz = self.turn * step[::-1] / self.tile.step_mm
        solid = np.empty(shape_kji, np.bool_)
        _cut(
            self.tile.rank,
            np.ascontiguousarray(along_xyz[::-1, ::-1]),
            ((self.turn @ np.asarray(origin_mm, float) + self.offset_mm) / self.tile.step_mm)[::-1].copy(),
            np.broadcast_to(wanted, shape_kji),
            solid,
        )
        return solid

    def rank(self, points: np.ndarray) -> np.ndarray:
        """The rank, float32 [n], at points [n, 3] (x, y, z) in mm of the bone's frame: bone where it is < BV/TV."""
        places = (np.asarray(points, float) @ self.turn.T + self.offset_mm) / self.tile.step_mm
        ranks = np.empty(len(places), np.float32)
        _at(self.tile.rank, np.ascontiguousarray(places[:, ::-1]), ranks)
        return ranks


def make_trabeculae(family: str, traits: StructureTraits, rng: np.random.Generator) -> Trabeculae:
    """Trabecular bone of a family, at a random place, turned about z and tilted a little from it.

    Its trabecular thickness is near `traits.tb_th_mm` where the bone volume fraction is `traits.bv_tv`.

    :raises BadInput: when there is no such family.
    """
    tile = make_tile(family, traits, rng)
    about_z, about_x, about_y = rng.uniform(0, 2 * np.pi), *np.radians(TILT_DEG) * rng.standard_normal(2)
    turn = _turn(2, about_z) @ _turn(0, about_x) @ _turn(1, about_y)
    return Trabeculae(tile, turn, rng.uniform(0, tile.size_mm, 3))


def _turn(axis: int, angle: float) -> np.ndarray:
    """The rotation by an angle about the x, y or z axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


@njit(nogil=True, cache=True)
def _cut(rank: np.ndarray, along: np.ndarray, start: np.ndarray, bv_tv: np.ndarray, solid: np.ndarray) -> None:
    """Fill `solid` with where the rank is below `bv_tv`; `along` [3, 3]: steps in k, j, i as (k, j, i) of the tile."""
    for k in range(solid.shape[0]):
        for j in range(solid.shape[1]):
            w = start[0] + along[0, 0] * k + along[0, 1] * j
            v = start[1] + along[1, 0] * k + along[1, 1] * j
            u = start[2] + along[2, 0] * k + along[2, 1] * j
            for i in range(solid.shape[2]):
                # A whole bone has much room where nothing is asked for.
                if bv_tv[k, j, i] <= 0.0:
                    solid[k, j, i] = False
                    continue
                value = between(rank, w + along[0, 2] * i, v + along[1, 2] * i, u + along[2, 2] * i)
                solid[k, j, i] = value < bv_tv[k, j, i]


@njit(nogil=True, cache=True)
def _at(rank: np.ndarray, places: np.ndarray, ranks: np.ndarray) -> None:
    """The rank at places [n, 3] (k, j, i) in tile voxels."""
    for index in range(len(places)):
        ranks[index] = between(rank, places[index, 0], places[index, 1], places[index, 2])
