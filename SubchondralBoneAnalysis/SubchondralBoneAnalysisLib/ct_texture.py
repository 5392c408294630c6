"""The texture of bone in a CT: how its values spread about their local mean, and how large the grains are.

Trabeculae are not seen one by one in a clinical CT; what is left of them is a grey pattern. The variance of the noise
adds to that of the pattern, on which it does not depend, and can be taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

LOCAL_MM = 4.0  # FWHM over which the local mean is taken: plate and shaft lie further apart, trabeculae nearer
FWHM = 2.3548
LAYER_MM = 0.5  # of depth, for the mean by depth
FARTHEST_MM = 2.0  # up to which neighbours are compared


@dataclass(frozen=True)
class Texture:
    """Of a region, with the noise.

    :param variance_hu2: about the local mean and the mean by depth.
    :param skewness: positive where few bright spots stand on a dark ground.
    :param grain_mm: FWHM of the autocorrelation, the size of the pattern's grains.
    """

    variance_hu2: float
    skewness: float
    grain_mm: float


def about_local_mean(ct: Volume, bone: np.ndarray) -> np.ndarray:
    """The values float32 [k, j, i] less their mean around, which is taken inside `bone` (bool [k, j, i]) only."""
    sigma = LOCAL_MM / FWHM / np.asarray(ct.spacing_mm)
    weights = bone.astype(np.float32)
    values = np.where(bone, ct.array, 0).astype(np.float32)
    near = ndimage.gaussian_filter(weights, sigma, truncate=3)
    mean = ndimage.gaussian_filter(values, sigma, truncate=3) / np.maximum(near, 1e-3)
    return np.where(bone, values - mean, 0)


def texture(
    detail: np.ndarray, region: np.ndarray, spacing_mm: tuple[float, float, float], depth_mm: np.ndarray | None = None
) -> Texture:
    """The texture of a region (bool [k, j, i], not empty) from values about their local mean (the same box).

    :param depth_mm: below the surface; the mean of each layer of the region is taken off, so that a plate, which is
        brighter than what is below it, is no texture.
    """
    values = detail[region].astype(float)
    values -= values.mean() if depth_mm is None else _by_layer(values, depth_mm[region])
    variance = float(np.mean(values**2))
    skewness = float(np.mean(values**3) / max(variance, 1e-9) ** 1.5)
    about = np.zeros(region.shape)
    about[region] = values
    return Texture(variance, skewness, _grain_mm(about, region, variance, spacing_mm))


def _by_layer(values: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    """The mean of the layer in which each value lies; what has no depth is a layer of its own."""
    layer = np.floor(np.nan_to_num(depth_mm, nan=-1.0) / LAYER_MM).astype(int)
    layer -= layer.min()
    return (np.bincount(layer, values) / np.maximum(np.bincount(layer), 1))[layer]


def _grain_mm(detail: np.ndarray, region: np.ndarray, variance: float, spacing_mm: tuple[float, float, float]) -> float:
    """Twice the distance at which the autocorrelation has fallen to one half, mean of the three axes."""
    widths = []
    for axis, step in enumerate(spacing_mm):
        values, inside = np.moveaxis(detail, axis, 0), np.moveaxis(region, axis, 0)
        before, width = 1.0, 2 * FARTHEST_MM
        for lag in range(1, min(int(FARTHEST_MM / step) + 1, len(values))):
            both = inside[lag:] & inside[:-lag]
            if not both.any():
                break
            after = float(np.mean(values[lag:][both] * values[:-lag][both])) / max(variance, 1e-9)
            if after < 0.5:
                width = 2 * step * (lag - 1 + (before - 0.5) / (before - after))
                break
            before = after
        widths.append(width)
    return float(np.mean(widths))
