"""Simple texture features of a patch of a CT or MR: do real structures look as simulated ones do?

Everything is of the patch as it was sampled, noise included. A CT is described in HU and in space; an MR in parts of
its own mean and within its slices, of which a patch has but a few.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import kurtosis, skew

from SubchondralBoneAnalysisLib.ct_texture import about_local_mean, texture
from SubchondralBoneAnalysisLib.volume import Volume

FARTHEST_MM = 2.5  # up to which neighbours are compared
SLOWEST_PER_MM = 0.25  # of the spectrum that is fitted: slower waves are the trend over the patch
CT_BIN_HU = 25.0
MR_BIN = 0.05  # of the mean
SPACE, SLICE = (0, 1, 2), (1, 2)  # array axes
SHELLS = 8


def ct_features(ct: Volume) -> dict[str, float]:
    """Of a patch of a CT in HU; the names carry the units."""
    values = np.asarray(ct.array, float)
    region = np.ones(values.shape, bool)
    detail = about_local_mean(ct, region)
    local = texture(detail, region, ct.spacing_mm)
    return {
        "mean, HU": float(values.mean()),
        "SD, HU": float(values.std()),
        "SD about the local mean, HU": float(np.sqrt(local.variance_hu2)),
        "grain, mm": local.grain_mm,
        "gradient, HU/mm": mean_gradient(values, ct.spacing_mm, SPACE),
        "entropy, bit": entropy(values, CT_BIN_HU),
    } | _shape(values, ct.spacing_mm, SPACE)


def mr_features(mr: Volume) -> dict[str, float]:
    """Of a patch of an MR, in parts of its mean; the names carry the units."""
    values = np.asarray(mr.array, float)
    values = values / values.mean()
    return {
        "SD over mean": float(values.std()),
        "gradient over mean, 1/mm": mean_gradient(values, mr.spacing_mm, SLICE),
        "entropy, bit": entropy(values, MR_BIN),
        "5th percentile over mean": float(np.percentile(values, 5)),
        "95th percentile over mean": float(np.percentile(values, 95)),
    } | _shape(values, mr.spacing_mm, SLICE)


def _shape(values: np.ndarray, spacing_mm: tuple[float, float, float], axes: tuple[int, ...]) -> dict[str, float]:
    """What does not depend on the unit of the values, along array axes."""
    lengths = {axis: half_length_mm(values, axis, spacing_mm[axis]) for axis in axes}
    along = {f"autocorrelation along {'kji'[axis]}, mm": length for axis, length in lengths.items()}
    return {
        "skewness": float(skew(values, axis=None)),
        "kurtosis": float(kurtosis(values, axis=None)),
        **along,
        "longest over shortest autocorrelation": max(lengths.values()) / min(lengths.values()),
        "spectral slope": spectral_slope(values, spacing_mm, axes),
    }


def mean_gradient(values: np.ndarray, spacing_mm: tuple[float, float, float], axes: tuple[int, ...] = SPACE) -> float:
    """Mean length of the gradient along array axes by central differences, per mm."""
    parts = np.gradient(values, *(spacing_mm[axis] for axis in axes), axis=axes)
    return float(np.linalg.norm(parts, axis=0).mean())


def entropy(values: np.ndarray, bin_width: float) -> float:
    """Of the histogram, in bit (Shannon)."""
    counts = np.unique(np.floor(values / bin_width), return_counts=True)[1]
    share = counts / counts.sum()
    return float(-np.sum(share * np.log2(share)))


def half_length_mm(values: np.ndarray, axis: int, step_mm: float) -> float:
    """Distance along an axis at which the autocorrelation about the mean has fallen to one half."""
    moved = np.moveaxis(values - values.mean(), axis, 0)
    variance, before = float(np.mean(moved**2)), 1.0
    last = min(int(FARTHEST_MM / step_mm), len(moved) - 1)
    for lag in range(1, last + 1):
        after = float(np.mean(moved[lag:] * moved[:-lag])) / variance
        if after < 0.5:
            return step_mm * (lag - 1 + (before - 0.5) / (before - after))
        before = after
    return step_mm * last


def spectral_slope(values: np.ndarray, spacing_mm: tuple[float, float, float], axes: tuple[int, ...] = SPACE) -> float:
    """Of the logarithm of the power on that of the frequency, from `SLOWEST_PER_MM` to the lowest Nyquist frequency.

    The power is the mean over what is not along `axes`. A window takes away the jump between opposite faces of the
    patch; shells of equal width in the logarithm keep the many high frequencies from deciding alone.
    """
    centred = values - values.mean()
    square = 0.0
    for axis in axes:
        others = [other for other in range(3) if other != axis]
        centred = centred * np.expand_dims(np.hanning(values.shape[axis] + 2)[1:-1], others)
        square = square + np.expand_dims(np.fft.fftfreq(values.shape[axis], spacing_mm[axis]) ** 2, others)
    power = np.abs(np.fft.fftn(centred, axes=axes)) ** 2
    frequency = np.sqrt(np.broadcast_to(square, power.shape))
    use = (frequency >= SLOWEST_PER_MM) & (frequency <= 0.5 / max(spacing_mm[axis] for axis in axes))
    logarithm = np.log(frequency[use])
    edges = np.linspace(logarithm.min(), logarithm.max() + 1e-9, SHELLS + 1)
    shell = np.digitize(logarithm, edges) - 1
    counts = np.bincount(shell, minlength=SHELLS)
    there = counts > 0
    mean = np.bincount(shell, power[use], SHELLS)[there] / counts[there]
    at = np.bincount(shell, logarithm, SHELLS)[there] / counts[there]
    return float(np.polyfit(at, np.log(mean), 1)[0])
