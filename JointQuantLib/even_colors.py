"""Colour scales whose equal steps look equal, made in Oklab: what every map of the program is coloured with."""

from __future__ import annotations

import numpy as np


def even_ramp(steps: int, lightness: np.ndarray, chroma: np.ndarray, hue_deg: np.ndarray) -> np.ndarray:
    """(steps + 1, 3) RGB colours, 0 to 1, along a path in Oklab, any two neighbours equally far apart on it.

    :param lightness: of the points of the path, with their `chroma` and `hue_deg`; all of the same length.
    """
    hue = np.deg2rad(hue_deg)
    path = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.interp(np.linspace(0.0, length[-1], steps + 1), length, np.linspace(0.0, 1.0, len(path)))
    fine = np.linspace(0.0, 1.0, len(path))
    return srgb_from_oklab(np.stack([np.interp(even, fine, column) for column in path.T], axis=1))


def mixed(ramp: np.ndarray, values: np.ndarray) -> np.ndarray:
    """RGB colours (n, 3) of n values between 0 and 1, mixed linearly between the colours of a ramp (m, 3)."""
    at = np.linspace(0.0, 1.0, len(ramp))
    return np.stack([np.interp(values, at, ramp[:, channel]) for channel in range(3)], axis=-1)


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
