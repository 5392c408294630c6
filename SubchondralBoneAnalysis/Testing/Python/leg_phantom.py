"""A small simulated leg whose blur and noise are known: skin, fat, muscle, a tilted shaft and a round thick bone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

FINE_MM = 0.3
FWHM = 2.3548
HALF_MM = (16.0, 40.0, 40.0)


def leg(
    in_plane_fwhm_mm: float,
    axial_fwhm_mm: float,
    noise_hu: float,
    spacing_mm: tuple[float, float, float],
    cortex_mm: float = 4.0,
    round_bone: bool = True,
    seed: int = 1,
) -> Volume:
    """The CT of the leg; the noise has grains of about two voxels, and its SD is `noise_hu`."""
    axes = [np.arange(-half, half + FINE_MM / 2, FINE_MM) for half in HALF_MM]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    skin = 38 - np.hypot(j, i) + 0 * k
    hu = np.full(skin.shape, -1000.0, np.float32)
    for depth, value in ((0.0, 40), (1.8, -100), (7.0, 55)):
        hu = _painted(hu, skin - depth, value)
    shaft = 9 - np.hypot(j + 13 - 0.25 * k, i + 8)  # leans by 14 degrees
    bodies = [shaft / np.sqrt(1 + 0.25**2 / 2)]
    if round_bone:
        bodies.append(9.5 - np.sqrt(k**2 + (j + 2) ** 2 + (i - 13) ** 2))
    for body in bodies:
        hu = _painted(_painted(hu, body, 1500), body - cortex_mm, 150)
    # The share of a voxel at a surface has blurred by the width of a fine voxel already.
    sigma = np.array([axial_fwhm_mm, in_plane_fwhm_mm, in_plane_fwhm_mm]) / FWHM / FINE_MM
    sigma = np.sqrt(sigma**2 - 1 / 12)
    blurred = ndimage.gaussian_filter(hu, sigma)
    coarse = [np.arange(-half + 1, half - 1, step) for half, step in zip(HALF_MM, spacing_mm, strict=True)]
    points = np.meshgrid(*[(c + half) / FINE_MM for c, half in zip(coarse, HALF_MM, strict=True)], indexing="ij")
    sampled = ndimage.map_coordinates(blurred, points, order=3)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=sampled.shape), 0.8)
    sampled += noise_hu / noise.std() * noise
    return Volume(np.round(sampled).astype(np.int16), spacing_mm, tuple(c[0] for c in coarse[::-1]))


def _painted(hu: np.ndarray, inside_mm: np.ndarray, value: float) -> np.ndarray:
    """`value` where the distance inside a body is positive, with the share of the voxels at its surface."""
    share = np.clip(inside_mm / FINE_MM + 0.5, 0, 1)
    return (hu * (1 - share) + value * share).astype(np.float32)
