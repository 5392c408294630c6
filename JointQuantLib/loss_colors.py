"""The colours of the loss, 0 to 1: one scale for every map, in the report and in the slice views."""

from __future__ import annotations

import numpy as np

FULL_LOSS_MM = 1.0  # a loss of 1: the films differ as if the bone lay this far off itself, or farther
STEPS = 16  # colours are mixed linearly between so many steps


def loss_colors(loss: np.ndarray) -> np.ndarray:
    """RGB colours 0 to 1, shape (n, 3), of n losses between 0 (alike) and 1 (as if misplaced by ``FULL_LOSS_MM``)."""
    at, ramp = np.linspace(0.0, 1.0, STEPS + 1), loss_ramp()
    return np.stack([np.interp(loss, at, ramp[:, channel]) for channel in range(3)], axis=-1)


def loss_ramp(steps: int = STEPS) -> np.ndarray:
    """(steps + 1, 3) RGB colours, 0 to 1, for a loss of 0 to 1: blue over purple and orange to yellow.

    Lightness rises evenly and neighbours are equally far apart in Oklab, so equal differences of loss look equal, with
    a red-green colour deficiency too.
    """
    fine = np.linspace(0.0, 1.0, 2001)
    lightness = 0.42 + 0.50 * fine
    hue = np.deg2rad(275 + 190 * fine)
    chroma = 0.16 + 0.03 * np.cos(2 * np.pi * (fine - 0.3))  # stays within what a screen can show
    path = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.interp(np.linspace(0.0, length[-1], steps + 1), length, fine)
    return srgb_from_oklab(np.stack([np.interp(even, fine, column) for column in path.T], axis=1))


def srgb_from_oklab(oklab: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB colours, clipped to 0..1, of (n, 3) Oklab colours (matrices of B. Ottosson, 2020)."""
    cone_roots = oklab @ np.transpose(
        [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
    )
    linear = cone_roots**3 @ np.transpose(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
