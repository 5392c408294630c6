"""Which part of k-space is measured, and how it is weighted."""

from __future__ import annotations

import numpy as np


def window(part: np.ndarray, taper: float) -> np.ndarray:
    """Weight of k-space, float32.

    :param part: frequency over the highest one that is measured; beyond 1 there is nothing (zero filling).
    :param taper: part of the measured half axis over which the weight falls as a squared cosine; 0 cuts sharply, and
        then edges ring with an overshoot of 9 % (Gibbs).
    """
    part = np.abs(np.asarray(part, np.float32))
    if taper <= 0.0:
        return (part <= 1.0).astype(np.float32)
    into = np.clip((part - (1.0 - taper)) / np.float32(taper), 0.0, 1.0)
    return np.cos(np.float32(0.5 * np.pi) * into) ** 2


def axis_window(size: int, acquired: float, taper: float) -> np.ndarray:
    """Weights [size] of the k-space of an axis of the image, in the order of `fftfreq`, float32."""
    return window(np.fft.fftfreq(size) * 2.0 / acquired, taper)
