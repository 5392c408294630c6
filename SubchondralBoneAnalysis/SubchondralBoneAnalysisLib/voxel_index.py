"""From a place in the patient to a place among the voxels of a volume and back, and the values found there."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume


def index_per_mm(volume: Volume) -> np.ndarray:
    """The matrix (3, 3) that takes a step in mm (x, y, z) of LPS to a step in voxels (k, j, i)."""
    return np.linalg.inv(mm_per_index(volume))


def mm_per_index(volume: Volume) -> np.ndarray:
    """The matrix (3, 3) that takes a step in voxels (k, j, i) to a step in mm (x, y, z) of LPS."""
    direction = np.reshape(volume.direction_lps, (3, 3))
    return (direction * np.array(volume.spacing_mm[::-1]))[:, ::-1]


def to_lps(index: np.ndarray, volume: Volume) -> np.ndarray:
    """Places (..., 3) in mm of LPS of indices (..., 3) (k, j, i), which may have fractions."""
    return np.asarray(index, float) @ mm_per_index(volume).T + volume.origin_lps


def to_index(points_lps: np.ndarray, volume: Volume) -> np.ndarray:
    """Where points (..., 3) in mm of LPS lie among the voxels, as (..., 3) indices (k, j, i) with fractions."""
    return (np.asarray(points_lps, float) - volume.origin_lps) @ index_per_mm(volume).T


def values_at(points_lps: np.ndarray, volume: Volume, order: int = 1, outside: float = 0.0) -> np.ndarray:
    """The values (...) of a volume at points (..., 3) in mm of LPS.

    :param order: 0 for labels (the nearest voxel), 1 between the eight voxels around.
    :param outside: what is given beyond the volume.
    """
    index = np.moveaxis(to_index(points_lps, volume), -1, 0)
    kind = np.float32 if order else volume.array.dtype
    return ndimage.map_coordinates(volume.array, index, kind, order, mode="constant", cval=outside)
