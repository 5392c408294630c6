"""Binary volumes to measure: random, trabecular, made to be difficult, and shapes of which the truth is known."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfftn, rfftn


def trabecular(size: int, seed: int = 0, bv_tv: float = 0.26, period: float = 16.5) -> np.ndarray:
    """Plates and rods between random waves of a band, [k, j, i] bool; `period` in voxels."""
    random = np.random.default_rng(seed)
    along, last = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    frequency = np.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + last**2)
    band = np.exp(-0.5 * ((frequency * period - 1) / 0.25) ** 2)
    waves = [irfftn(rfftn(random.standard_normal((size,) * 3)) * band, s=(size,) * 3) for _ in range(2)]
    height = np.sqrt(waves[0] ** 2 + 0.35 * waves[1] ** 2)
    return height < np.quantile(height, bv_tv)


def difficult(size: int) -> dict[str, np.ndarray]:
    """Volumes [k, j, i] bool in which many spheres are alike, touch, or reach over a tile or a border."""
    k, j, i = np.mgrid[:size, :size, :size]
    middle = (size - 1) / 2
    from_middle = (k - middle) ** 2 + (j - middle) ** 2 + (i - middle) ** 2
    one_hole = np.ones((size,) * 3, bool)
    one_hole[size // 3, size // 2, size - 1] = False
    grid = np.ones((size,) * 3, bool)
    grid[::9, ::7, ::5] = False
    return {
        "checkerboard": (k + j + i) % 2 == 0,
        "one voxel of the other phase": one_hole,
        "a lattice of single voxels": grid,
        "shells": (np.sqrt(from_middle) // 3) % 2 == 0,
        "wedge": np.abs(k - middle) < 1 + 0.3 * i,
        "sheets of one and two voxels": (i % 5 < 2) | (j % 7 == 0),
        "one sphere of the volume's width": from_middle < middle**2,
        "hole in the corner": from_middle > 3,
    }


def sheets(size: int, thickness: float, period: float, normal: tuple[float, float, float]) -> np.ndarray:
    """Parallel plates [k, j, i] bool of a thickness and period in voxels; `normal` (k, j, i) of any length."""
    unit = np.array(normal) / np.linalg.norm(normal)
    place = np.tensordot(unit, np.mgrid[:size, :size, :size] - (size - 1) / 2, 1)
    return np.mod(place + 0.37, period) < thickness


def grid_of(shape: tuple[int, int, int], spacing: tuple = (1.0, 1.0, 1.0)) -> np.ndarray:
    """Where voxel centres lie, in mm from the middle of the volume, [k, j, i, 3] along k, j, i."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def gyroid_sheet(size: int, thickness: float, period: float, seed: int) -> np.ndarray:
    """All voxels [k, j, i] bool nearer than half a thickness to a gyroid, turned and shifted at random.

    The distance is exact: the nearest point of the surface is found by Newton steps for each voxel near it.
    """
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0]
    start = 2 * np.pi * (grid_of((size,) * 3) @ turn / period + random.random(3))
    near = np.abs(_gyroid(start)[0]) < 2.5 * np.pi * (thickness / 2 + 1) / period * 2
    place = start[near]
    point, pull = place.copy(), np.zeros(len(place))
    for _ in range(30):  # the nearest point: on the surface, and straight above or below the voxel
        value, slope = _gyroid(point)
        square = (slope**2).sum(axis=-1)
        pull = ((place - point) * slope).sum(axis=-1) / square
        point = point + 0.7 * ((place - point) - pull[:, None] * slope) - (value / square)[:, None] * slope
    away = np.linalg.norm(place - point, axis=-1) * period / (2 * np.pi)
    structure = np.zeros((size,) * 3, bool)
    structure[near] = away < thickness / 2
    return structure


def _gyroid(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gyroid function and its gradient."""
    sine, cosine = np.sin(at), np.cos(at)
    value = (sine * np.roll(cosine, -1, axis=-1)).sum(axis=-1)
    return value, cosine * np.roll(cosine, -1, axis=-1) - np.roll(sine, 1, axis=-1) * sine
