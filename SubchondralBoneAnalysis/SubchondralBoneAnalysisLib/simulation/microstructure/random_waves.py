"""Random waves of one band of wavelengths, in a cube that repeats in space."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfftn


def random_waves(
    edge: int, wavelength: tuple[float, float, float], width: float, rng: np.random.Generator
) -> np.ndarray:
    """A Gaussian random field of unit SD, float32 [k, j, i], whose power lies on a soft shell.

    :param edge: voxels along each axis.
    :param wavelength: at which the power has its middle, along k, j, i in voxels.
    :param width: SD of the shell, as a part of its radius.
    """
    reach = [min(int(edge / length * (1 + 3 * width)) + 1, edge // 2 - 1) for length in wavelength]
    around = [np.r_[0 : far + 1, -far:0] for far in reach[:2]]
    k, j, i = np.ix_(*around, np.arange(reach[2] + 1))
    radius = np.sqrt(sum((at * length / edge) ** 2 for at, length in zip((k, j, i), wavelength, strict=True)))
    power = np.exp(-0.5 * ((radius - 1) / width) ** 2).astype(np.float32)
    power[0, 0, 0] = 0
    waves = rng.standard_normal((*power.shape, 2), np.float32).view(np.complex64)[..., 0] * power
    spectrum = np.zeros((edge, edge, edge // 2 + 1), np.complex64)
    spectrum[np.ix_(around[0], around[1], np.arange(reach[2] + 1))] = waves
    field = irfftn(spectrum, s=(edge,) * 3, overwrite_x=True)
    return field / field.std()
