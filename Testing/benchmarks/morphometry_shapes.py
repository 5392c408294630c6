"""Volumes to measure of which the truth is known in closed form, and a trabecular one that is alike at every size.

Lengths are in mm, places are from the middle of the volume, arrays are [k, j, i] bool; `spacing_mm` is along k, j, i.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfftn, rfftn
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes, mesh_surface_area

NEWTON_STEPS = 12
GYROID_POINTS = 97  # along a period, for the area of its surface


def grid(extent_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Places (3, k, j, i) of the voxel centres of a cube of `extent_mm`, in mm along k, j, i."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in ((round(extent_mm / s), s) for s in spacing_mm)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def inside(places: np.ndarray, margin_mm: float) -> np.ndarray:
    """The region [k, j, i] bool that keeps a margin to the border of the volume."""
    border = [np.abs(axis).max() - margin_mm for axis in places]
    return np.all([np.abs(axis) <= end for axis, end in zip(places, border, strict=True)], axis=0)


def turned(places: np.ndarray, turn: Rotation, shift_mm: np.ndarray) -> np.ndarray:
    """The places (3, ...) as a body sees them that was turned and shifted."""
    return np.tensordot(turn.as_matrix().T, places, 1) - np.reshape(shift_mm, (3,) + (1,) * (places.ndim - 1))


def plates(places: np.ndarray, thickness_mm: float, period_mm: float) -> np.ndarray:
    """Parallel plates across the first axis."""
    return np.abs(_within(places[0], period_mm)) < thickness_mm / 2


def rods(places: np.ndarray, diameter_mm: float, period_mm: float) -> np.ndarray:
    """Parallel rods along the first axis, on a square lattice."""
    return _square(_within(places[1:], period_mm)) < diameter_mm**2 / 4


def strut_lattice(places: np.ndarray, diameter_mm: float, period_mm: float, nodes: int | None = None) -> np.ndarray:
    """Rods along the edges of a cubic lattice; of `nodes` along each axis, or without an end.

    One node and three struts to a cell: an Euler number of -2. `nodes` cubed as a whole have 3 n^2 (n - 1) struts.
    """
    if nodes is None:
        near = _within(places, period_mm) ** 2
        return near.sum(axis=0) - near.max(axis=0) < diameter_mm**2 / 4
    half = (nodes - 1) / 2
    index = places / period_mm
    across = ((index - np.clip(np.round(index + half) - half, -half, half)) * period_mm) ** 2
    beyond = (np.maximum(np.abs(index) - half, 0) * period_mm) ** 2
    ways = [across.sum(axis=0) - across[axis] + beyond[axis] for axis in range(3)]
    return np.min(ways, axis=0) < diameter_mm**2 / 4


def ellipsoid(places: np.ndarray, half_axes_mm: tuple[float, float, float]) -> np.ndarray:
    """An ellipsoid in the middle."""
    return _square(places / np.reshape(half_axes_mm, (3, 1, 1, 1))) < 1


def torus(places: np.ndarray, large_mm: float, small_mm: float) -> np.ndarray:
    """A ring around the first axis: the radii of the ring and of its section."""
    return (np.hypot(places[1], places[2]) - large_mm) ** 2 + places[0] ** 2 < small_mm**2


def gyroid_sheet(places: np.ndarray, thickness_mm: float, period_mm: float) -> np.ndarray:
    """All that is nearer to the gyroid surface than half the thickness, so the sheet is equally thick everywhere."""
    scale = 2 * np.pi / period_mm
    points, half = places.reshape(3, -1) * scale, thickness_mm / 2 * scale
    # The gradient is at most sqrt(3) long, so a value is not farther from 0 than sqrt(3) times the distance.
    near = np.flatnonzero(np.abs(_gyroid(points)) <= np.sqrt(3) * half)
    sheet = np.zeros(points.shape[1], bool)
    for some in np.array_split(near, max(1, len(near) // 2**18)):
        sheet[some] = gyroid_distance(points[:, some]) < half
    return sheet.reshape(places.shape[1:])


def gyroid_distance(points: np.ndarray) -> np.ndarray:
    """Distance (n,) of points (3, n) to the nearest point of the gyroid of the period 2 pi; right below 0.7.

    Newton's method for the foot of the perpendicular: p + t grad f(p) = x and f(p) = 0 together.
    """
    slope = _gyroid_slope(points)
    steepness = _square(slope)
    t = _gyroid(points) / steepness
    foot = points - t * slope
    for _ in range(NEWTON_STEPS):
        slope = _gyroid_slope(foot)
        matrix = np.zeros((points.shape[1], 4, 4))
        matrix[:, :3, :3] = np.eye(3) + t[:, None, None] * _gyroid_bend(foot)
        matrix[:, :3, 3] = matrix[:, 3, :3] = slope.T
        residual = np.concatenate([foot + t * slope - points, _gyroid(foot)[None]])
        step = np.linalg.solve(matrix, residual.T[..., None])[..., 0].T
        # A step is never longer than a fifth, so that no point goes over to another part of the surface.
        step *= np.minimum(1, 0.2 / np.maximum(np.sqrt(_square(step[:3])), 1e-12))
        foot, t = foot - step[:3], t - step[3]
        if np.abs(step).max() < 1e-10:
            break
    distance = np.sqrt(_square(points - foot))
    return np.where(np.abs(_gyroid(foot)) < 1e-9, distance, np.inf)


def gyroid_sheet_of_one_period(thickness: float) -> tuple[float, float, float]:
    """Volume, surface and integral of the mean curvature of one period of a sheet; lengths in periods.

    By Steiner's formula from the area of the surface and its Gaussian curvature, 2 pi times the Euler number -8.
    """
    period = GYROID_POINTS - 1
    x = 2 * np.pi * np.indices((GYROID_POINTS,) * 3, np.float32) / period
    vertices, faces, _, _ = marching_cubes(_gyroid(x), 0.0)
    area = float(mesh_surface_area(vertices, faces)) / period**2
    gauss = 2 * np.pi * -8
    volume = area * thickness + gauss * thickness**3 / 12
    return volume, 2 * area + gauss * thickness**2 / 2, gauss * thickness


def trabecular(size: int, seed: int = 0, bv_tv: float = 0.26, period: float = 20.75) -> np.ndarray:
    """Plates and rods between two random waves of one band, `period` in voxels; the mean local thickness is 4.6."""
    random = np.random.default_rng(seed)
    along, last = np.fft.fftfreq(size).astype(np.float32), np.fft.rfftfreq(size).astype(np.float32)
    band = np.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + last**2)
    band = np.exp(-0.5 * ((band * np.float32(period) - 1) / np.float32(0.25)) ** 2)
    height = np.zeros((size,) * 3, np.float32)
    for weight in (1.0, 0.35):
        spectrum = rfftn(random.standard_normal((size,) * 3, dtype=np.float32), overwrite_x=True)
        spectrum *= band
        wave = irfftn(spectrum, s=(size,) * 3, overwrite_x=True)
        height += np.float32(weight) * wave**2 / np.mean(wave**2, dtype=np.float64).astype(np.float32)
    return height < np.partition(height.ravel(), round(bv_tv * height.size))[round(bv_tv * height.size)]


def _within(places: np.ndarray, period: float) -> np.ndarray:
    """Places from the middle of their own period."""
    return places - period * np.round(places / period)


def _square(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("a...,a...->...", vectors, vectors)


def _gyroid(points: np.ndarray) -> np.ndarray:
    (x, y, z) = points
    return np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)


def _gyroid_slope(points: np.ndarray) -> np.ndarray:
    sine, cosine = np.sin(points), np.cos(points)
    return cosine * np.roll(cosine, -1, axis=0) - sine * np.roll(sine, 1, axis=0)


def _gyroid_bend(points: np.ndarray) -> np.ndarray:
    """Second derivatives (n, 3, 3)."""
    sine, cosine = np.sin(points), np.cos(points)
    bend = np.zeros((points.shape[1], 3, 3))
    for a in range(3):
        after, before = (a + 1) % 3, (a - 1) % 3
        bend[:, a, a] = -sine[a] * cosine[after] - sine[before] * cosine[a]
        bend[:, a, after] = bend[:, after, a] = -cosine[a] * sine[after]
    return bend
