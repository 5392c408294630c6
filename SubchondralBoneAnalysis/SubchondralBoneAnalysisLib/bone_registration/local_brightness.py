"""How bright the tissues of one HU are here and there: cartilage and muscle have the same HU, but not the same signal.

Where cartilage is brighter than the CT tells, its edge would be taken for one that lies deeper in the bone, and the
bone would be pulled away from its joint. So the brightness on either side of the surface is told from the voxels near
by that lie wholly on that side: those at the edge itself have no say.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_registration.tissue_equations import Equations

OUTSIDE_SHARE, INSIDE_SHARE = 0.02, 0.98  # of the bone: a voxel with less, or more, lies on one side
NEAR_MM = 4.0  # SD of the Gaussian by which voxels count
CELL_MM = 1.25  # voxels are gathered into cells of this size
EXPECTED_VOXELS = 10.0  # by how many the brightness of the whole bone's tissue counts against those near by
FEWEST = 200  # voxels on one side; fewer tell nothing
DIMMEST, BRIGHTEST = 0.3, 3.0


def local_brightness(points: np.ndarray, values: np.ndarray, found: Equations) -> np.ndarray:
    """By what the signal at every point outside of the bone, and in it, is to be multiplied, [n, 2].

    :param points: [n, 3] mm, `values` [n] what the MR shows there, `found` what is predicted.
    """
    cell = np.rint((points - points.min(axis=0)) / CELL_MM).astype(int)
    shape = tuple(cell.max(axis=0) + 1)
    flat = np.ravel_multi_index(cell.T, shape)
    sides = (found.outside, found.share < OUTSIDE_SHARE), (found.within, found.share > INSIDE_SHARE)
    return np.stack([_ratio(values, predicted, only, flat, shape) for predicted, only in sides], axis=1)


def _ratio(
    values: np.ndarray, predicted: np.ndarray, only: np.ndarray, flat: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Values over predictions near every point, by least squares over the points of one side."""
    if np.count_nonzero(only) < FEWEST:
        return np.ones(len(values))
    p = predicted[only]
    expected = EXPECTED_VOXELS * float(np.mean(p**2))
    above = _gathered(flat[only], p * values[only], shape) + expected
    below = _gathered(flat[only], p**2, shape) + expected
    return np.clip((above / below).ravel()[flat], DIMMEST, BRIGHTEST)


def _gathered(flat: np.ndarray, amounts: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums over the points near every cell, a point in the middle counting as one."""
    sd = NEAR_MM / CELL_MM
    sums = np.bincount(flat, amounts, int(np.prod(shape))).reshape(shape)
    return ndimage.gaussian_filter(sums, sd) * (2 * np.pi) ** 1.5 * sd**3
