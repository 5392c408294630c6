"""Implicit surfaces and how they are joined: functions that are negative inside, near to a distance in mm.

The smooth minimum and maximum are the polynomial ones of Quilez (iquilezles.org/articles/smin): they differ from
the sharp ones by at most a quarter of their width, and only where the two values are closer than it.
"""

from __future__ import annotations

import numpy as np


def smooth_min(a: np.ndarray, b: np.ndarray, width_mm: float) -> np.ndarray:
    """Union of two shapes with a fillet of about `width_mm`."""
    overlap = np.maximum(width_mm - np.abs(a - b), 0.0) / width_mm
    return np.minimum(a, b) - 0.25 * width_mm * overlap * overlap


def smooth_max(a: np.ndarray, b: np.ndarray, width_mm: float) -> np.ndarray:
    """What two shapes have in common, its edges rounded over about `width_mm`."""
    return -smooth_min(-a, -b, width_mm)


def ellipse(x: np.ndarray, y: np.ndarray, a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """Near to the distance from an ellipse with half axes a and b: its equation over the length of its gradient."""
    u, v = x / a, y / b
    s = np.sqrt(u * u + v * v) + 1e-9
    u, v = u / a, v / b
    return s * (s - 1.0) / (np.sqrt(u * u + v * v) + 1e-11)


def ellipsoid(x: np.ndarray, y: np.ndarray, z: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """Near to the distance from an ellipsoid with half axes a, b and c."""
    u, v, w = x / a, y / b, z / c
    s = np.sqrt(u * u + v * v + w * w) + 1e-9
    u, v, w = u / a, v / b, w / c
    return s * (s - 1.0) / (np.sqrt(u * u + v * v + w * w) + 1e-11)


def bell(t: np.ndarray) -> np.ndarray:
    """exp(-t^2)."""
    return np.exp(-t * t)
