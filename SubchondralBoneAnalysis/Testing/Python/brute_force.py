"""The definition of local thickness, taken literally: one opening by a sphere for every distance that occurs."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt


def squared_to_nearest(points: np.ndarray, weights: tuple[int, int, int]) -> np.ndarray:
    """Whole squared distances [k, j, i] from each voxel to the nearest one of `points` (bool, at least one)."""
    nearest = distance_transform_edt(~points, sampling=np.sqrt(weights), return_distances=False, return_indices=True)
    away = nearest - np.indices(points.shape)
    return sum(w * d.astype(np.int64) ** 2 for w, d in zip(weights, away, strict=True))


def squared_radius_by_openings(
    phase: np.ndarray, surface: np.ndarray, weights: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Squared radius of the largest sphere that holds each voxel of a phase, and of the one around the voxel itself.

    :param phase: [k, j, i] bool; `surface`: the voxels to which distances are measured.
    """
    around = np.where(phase, squared_to_nearest(surface, weights), 0)
    largest = np.zeros(phase.shape, np.int64)
    for radius in np.unique(around[phase])[::-1]:
        opened = phase & (squared_to_nearest(around >= radius, weights) < radius)
        largest[opened & (largest == 0)] = radius
    return largest, around
