"""Directions and planes between neighbouring voxels, and the share of all directions that each stands for."""

from __future__ import annotations

import numpy as np
from scipy.spatial import SphericalVoronoi

# The 13 ways from a voxel to its 26 neighbours, (dk, dj, di); opposite ways are one.
STEPS = np.array(
    [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    + [(0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0)]
    + [(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)]
)


def unit_vectors(steps: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The directions (n, 3) and lengths in mm (n,) of steps (n, 3) along k, j, i."""
    millimetres = steps * np.asarray(spacing_mm)
    lengths = np.linalg.norm(millimetres, axis=1)
    return millimetres / lengths[:, None], lengths


def shares(directions: np.ndarray) -> np.ndarray:
    """The share (n,) of all directions that is nearest to each of n unit vectors or to its opposite; their sum is 1.

    These are the weights by which lattice directions stand for all of space (Ohser and Schladitz, 3D Images of
    Materials Structures, 2009, section 5.1).
    """
    areas = SphericalVoronoi(np.concatenate([directions, -directions])).calculate_areas()
    return areas[: len(directions)] / areas[: len(directions)].sum()
