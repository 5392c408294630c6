"""The noise of a CT, measured in the soft tissue of the image itself.

The SD of the values in small squares of soft tissue is most often that of the noise alone, since most squares hold one
tissue: the most frequent SD is the noise (Christianson et al., AJR 205:W93, 2015; Malkus and Szczykutowicz, Med Phys
44:2173, 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

SQUARE_MM = 6.0  # edge of a square; 36 mm2 as in the first of the sources
LEAST_PIXELS = 5  # along an edge
SOFT_HU = (-150.0, 120.0)  # fat to muscle: the mean of a square
NO_EDGE_HU = (-300.0, 250.0)  # between which the smoothed values of a square lie, so that it holds no air and no bone
SMOOTH_MM = 1.0
SLICES = 60  # that are looked at, spread over the volume
LEAST_SQUARES = 200
ALIKE = 0.15  # part of the noise by which the SD of a square may differ for its values to count as noise only
LAGS_MM = 3.0


@dataclass(frozen=True)
class CtNoise:
    """SD of the noise in soft tissue, in HU; `grain_mm`: FWHM of its autocorrelation along a slice, the size of its
    grains (white noise has one voxel); `squares`: how many it was measured in."""

    sd_hu: float
    grain_mm: float
    squares: int


def ct_noise(ct: Volume, unusable: np.ndarray | None = None) -> CtNoise | None:
    """The noise of a CT whose slices are along j and i; None where too little even soft tissue is in the image.

    :param unusable: bool [k, j, i], true around metal and where there is no image.
    """
    chosen = np.unique(np.linspace(0, len(ct.array) - 1, SLICES).round().astype(int))
    values = ct.array[chosen].astype(np.float32)
    pixel = np.asarray(ct.spacing_mm[1:])
    edge = np.maximum(np.round(SQUARE_MM / pixel).astype(int) | 1, LEAST_PIXELS)
    mean = ndimage.uniform_filter(values, (0, *edge))
    variance = ndimage.uniform_filter(values**2, (0, *edge)) - mean**2
    variance *= np.prod(edge) / (np.prod(edge) - 1)
    usable = _even(values, pixel, edge) & (mean > SOFT_HU[0]) & (mean < SOFT_HU[1]) & (variance > 0)
    if unusable is not None:
        usable &= ~ndimage.maximum_filter(unusable[chosen], (1, *edge))
    for axis, half in zip((1, 2), edge // 2, strict=True):
        np.moveaxis(usable, axis, 0)[:half] = False
        np.moveaxis(usable, axis, 0)[len(np.moveaxis(usable, axis, 0)) - half :] = False
    centres = usable[:, edge[0] // 2 :: edge[0], edge[1] // 2 :: edge[1]]  # squares side by side
    if np.count_nonzero(centres) < LEAST_SQUARES:
        return None
    sd = np.sqrt(variance[usable])
    noise = _mode(sd)
    alike = usable & (np.abs(np.sqrt(np.maximum(variance, 0)) - noise) < ALIKE * noise)
    return CtNoise(noise, _grain_mm(values - mean, alike, pixel), int(np.count_nonzero(centres)))


def _even(values: np.ndarray, pixel: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """True at the centre of each square in which there is neither air nor bone."""
    smooth = ndimage.gaussian_filter(values, (0, *(SMOOTH_MM / pixel)))
    wrong = (smooth < NO_EDGE_HU[0]) | (smooth > NO_EDGE_HU[1])
    return ~ndimage.maximum_filter(wrong, (1, *edge))


def _mode(values: np.ndarray) -> float:
    """The most frequent of positive values: the half-sample mode of Bickel and Frühwirth (2006), of their logarithms
    since a distribution of SD is wide where it is high; down to a tenth of the values, not to two of them."""
    ordered = np.sort(np.log(values))
    least = max(len(ordered) // 10, 3)
    while len(ordered) > least:
        half = (len(ordered) + 1) // 2
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        first = int(np.argmin(widths))
        ordered = ordered[first : first + half]
    return float(np.exp(ordered.mean()))


def _grain_mm(noise: np.ndarray, where: np.ndarray, pixel: np.ndarray) -> float:
    """Twice the distance at which the autocorrelation has fallen to one half, mean of the two axes of the slice."""
    widths = []
    for axis, step in zip((1, 2), pixel, strict=True):
        values, counts = np.moveaxis(noise, axis, 0), np.moveaxis(where, axis, 0)
        square = float(np.mean(values[counts] ** 2))
        before, width = 1.0, None
        for lag in range(1, int(LAGS_MM / step) + 2):
            both = counts[lag:] & counts[:-lag]
            after = float(np.mean(values[lag:][both] * values[:-lag][both])) / square if both.any() else 0.0
            if after < 0.5:
                width = 2 * step * (lag - 1 + (before - 0.5) / (before - after))
                break
            before = after
        widths.append(width or 2 * LAGS_MM)
    return float(np.mean(widths))
