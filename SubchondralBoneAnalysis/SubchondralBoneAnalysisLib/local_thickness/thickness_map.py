"""Local thickness (Hildebrand and Ruegsegger, J Microsc 185:67, 1997), exactly, of one phase of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness.distance_map import largest, squared_distances
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.sphere_centres import needed_centres
from SubchondralBoneAnalysisLib.local_thickness.sphere_painting import painted
from SubchondralBoneAnalysisLib.local_thickness.spheres import SphereTables
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers


@dataclass(frozen=True)
class ThicknessMap:
    """`squared_radius` [k, j, i], whole numbers in units of `lattice`: of the largest sphere that holds the voxel.

    0 outside the phase. `squared_distance` [k, j, i], alike: of the sphere around the voxel itself.
    """

    squared_radius: np.ndarray
    squared_distance: np.ndarray
    lattice: Lattice


def local_thickness(codes: np.ndarray, phase: int, lattice: Lattice, workers: Workers) -> ThicknessMap:
    """The local thickness of a phase: at each voxel, the largest sphere within the phase that holds the voxel.

    The sphere around a voxel reaches to the centre of the nearest voxel of the other phase and holds all voxels whose
    centre is nearer than that. The answer is that of one opening by a sphere for every distance that occurs, voxel for
    voxel. Nothing beyond the volume is a surface: a sphere near its border may reach over it, and is painted inside.

    :param codes: [k, j, i] uint8: the phases 0 and 1, and 2 where nothing is known.
    :param phase: which phase, 0 or 1.
    :raises ValueError: when the other phase has no voxel.
    """
    squared = squared_distances(codes, phase, lattice, workers)
    widest = largest(squared, workers)
    tables = SphereTables.up_to(widest, lattice)
    centres = needed_centres(squared, tables, workers)
    return ThicknessMap(painted(squared, centres, tables, widest, workers), squared, lattice)
