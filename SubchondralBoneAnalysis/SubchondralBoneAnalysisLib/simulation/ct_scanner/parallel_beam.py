"""Parallel-beam projections of slices and their filtered back projection, on a coarse square lattice."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.sparse import csr_array


@lru_cache(maxsize=4)
def projector(size: int, angles: int) -> csr_array:
    """Line integrals, in pixels, of square slices: [angles x rays, size x size], float32.

    Rays are one pixel apart; a pixel is shared between the two rays that are nearest to its centre.
    """
    middle, rays = 0.5 * (size - 1), ray_count(size)
    y, x = (np.indices((size, size)) - middle).reshape(2, -1)
    rows, columns, weights = [], [], []
    for number, angle in enumerate(np.arange(angles) * np.pi / angles):
        at = x * np.cos(angle) + y * np.sin(angle) + 0.5 * (rays - 1)
        first = np.floor(at).astype(int)
        for ray, weight in ((first, 1.0 - (at - first)), (first + 1, at - first)):
            rows.append(number * rays + ray)
            columns.append(np.arange(size * size))
            weights.append(weight)
    entries = np.concatenate(weights).astype(np.float32)
    place = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((entries, place), shape=(angles * rays, size * size))


def ray_count(size: int) -> int:
    """Rays of each projection: as many as the diagonal of a slice is long."""
    return int(np.ceil(size * np.sqrt(2.0))) + 4


def back_projected(projections: np.ndarray, size: int) -> np.ndarray:
    """Slices [size, size, n] whose line integrals in pixels are the projections [angles, rays, n].

    Filtered by the ramp of Ramachandran and Lakshminarayanan (PNAS 68:2236, 1971).
    """
    angles, rays, slices = projections.shape
    length = next_fast_len(2 * rays, real=True)
    at = np.arange(length)
    at = np.minimum(at, length - at)
    ramp = np.where(at % 2 == 1, -1.0 / (np.pi * np.maximum(at, 1)) ** 2, 0.0)
    ramp[0] = 0.25
    filtered = irfft(rfft(projections, length, axis=1) * rfft(ramp)[:, None], length, axis=1)[:, :rays]
    beams = projector(size, angles).T @ filtered.reshape(angles * rays, slices).astype(np.float32)
    return beams.reshape(size, size, slices) * np.float32(np.pi / angles)
