"""Local thickness (Hildebrand and Ruegsegger, J Microsc 185:67, 1997), exactly, of one phase of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness.distance_map import largest, squared_distances
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.sphere_centres import NeededCentres
from SubchondralBoneAnalysisLib.local_thickness.sphere_painting import paint
from SubchondralBoneAnalysisLib.local_thickness.spheres import SphereTables
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers


@dataclass(frozen=True)
class ThicknessMap:
    """`squared_radius` [k, j, i], whole numbers in units of `lattice`: of the largest sphere that holds the voxel.

    0 outside the phase. `squared_distance` [k, j, i], alike: of the sphere around the voxel itself.
    """

    squared_radius: np.ndarray
    squared_distance: np.ndarray
    lattice: Lattice


def local_thickness(
    codes: np.ndarray,
    phase: int,
    lattice: Lattice,
    workers: Workers,
    storage: Storage | None = None,
    device: str = "cpu",
) -> ThicknessMap:
    """The local thickness of a phase: at each voxel, the largest sphere within the phase that holds the voxel.

    The sphere around a voxel reaches to the centre of the nearest voxel of the other phase and holds all voxels whose
    centre is nearer than that. The answer is that of one opening by a sphere for every distance that occurs, voxel for
    voxel. Nothing beyond the volume is a surface: a sphere near its border may reach over it, and is painted inside.

    :param codes: [k, j, i] uint8: the phases 0 and 1, and 2 where nothing is known.
    :param phase: which phase, 0 or 1.
    :param storage: where the maps are made; in memory unless given.
    :param device: "cpu", or a device of PyTorch; the answer is the same.
    :raises ValueError: when the other phase has no voxel.
    """
    if device != "cpu":
        from SubchondralBoneAnalysisLib.local_thickness.torch_form import thickness_by_torch

        return ThicknessMap(*thickness_by_torch(codes, phase, lattice, device), lattice)
    storage = storage or Storage()
    squared = squared_distances(codes, phase, lattice, workers, storage)
    widest = largest(squared, workers)
    tables = SphereTables.up_to(widest, lattice)
    radius = storage.empty(squared.shape, squared.dtype)
    reach = tables.reach_of(widest)[0]

    def let_go(end: int) -> None:
        storage.let_go(radius, 0, end)
        storage.let_go(squared, 0, max(0, end - reach - 1))

    paint(squared, NeededCentres(squared, tables, workers), tables, widest, radius, workers, let_go)
    return ThicknessMap(radius, squared, lattice)
