"""Voxels of an MR near a bone, by which the bone is fitted."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_registration.bone_window import BoneWindow
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes

TRUNCATE = 3.0


def smoothed(array: np.ndarray, axes: MrAxes, blur_mm: float) -> np.ndarray:
    """The MR, float32, with a Gaussian (SD in mm) within its slices, and across where they are thin against it."""
    sds = [blur_mm / axes.spacing_mm[2], blur_mm / axes.spacing_mm[1], blur_mm / axes.spacing_mm[0]]
    if sds[0] < 0.5:
        sds[0] = 0.0
    return ndimage.gaussian_filter(array, sds, output=np.float32, truncate=TRUNCATE)


def points_near(
    array: np.ndarray,
    axes: MrAxes,
    window: BoneWindow,
    band_mm: tuple[float, float],
    most: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """At most so many voxels whose distance from the surface of the bone is in the band: places, values.

    :returns: [n, 3] in mm along (i, j, k) of the MR, and [n].
    """
    shape = np.array(array.shape[::-1])
    first = np.clip(np.floor(window.low / axes.spacing_mm).astype(int), 0, shape - 1)
    reach = window.low + window.step_mm * (np.array(window.hu.shape[::-1]) - 1)
    last = np.clip(np.ceil(reach / axes.spacing_mm).astype(int), 0, shape - 1)
    lattice = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    # The nearest voxel of the window for every voxel of the MR, axis by axis.
    near = [
        np.clip(np.rint((at * mm - low) / window.step_mm).astype(int), 0, n - 1)
        for at, mm, low, n in zip(lattice, axes.spacing_mm, window.low, window.hu.shape[::-1], strict=True)
    ]
    distance = window.distance_mm[np.ix_(near[2], near[1], near[0])]
    chosen = np.flatnonzero((distance > band_mm[0]) & (distance < band_mm[1]))
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    k, j, i = np.unravel_index(chosen, distance.shape)
    index = np.stack([lattice[0][i], lattice[1][j], lattice[2][k]], axis=1)
    return index * axes.spacing_mm, array[index[:, 2], index[:, 1], index[:, 0]].astype(float)
