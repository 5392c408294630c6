"""A piece of trabecular structure that repeats in space, for every bone volume fraction at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

BINS = 4096
EVERY = 3  # voxels along a row from one sampled point to the next
GOLDEN = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)  # powers of 1/1.2207: points that fill a cube


@dataclass(frozen=True, eq=False)
class StructureTile:
    """A cube of structure whose opposite sides fit together.

    :param rank: float32 [k, j, i], n along each axis, in [0, 1): the share of space that becomes bone before this place
        does. Between voxels it is interpolated linearly; where it is less than the bone volume fraction is bone.
    :param step_mm: distance of its voxels.
    """

    rank: np.ndarray
    step_mm: float

    @property
    def size_mm(self) -> float:
        """After how many mm along each axis it repeats."""
        return self.rank.shape[0] * self.step_mm

    @classmethod
    def of_field(cls, field: np.ndarray, step_mm: float) -> StructureTile:
        """The tile whose bone lies where a periodic field float32 [k, j, i] is low.

        Linear interpolation leaves less of the lowest places than the voxels have, so the share of space below a value
        is counted between the voxels; once more for the ranks, which interpolate otherwise than the field.
        """
        return cls(_ranked(_ranked(_ranked(field))), step_mm)


def _ranked(field: np.ndarray) -> np.ndarray:
    """The share of space below the value of each voxel."""
    low, high = float(field.min()), float(field.max())
    scale = BINS / max(high - low, 1e-12)
    share = np.cumsum(_counts(field, low, scale))
    share = np.concatenate([[0.0], share / share[-1]]) * (1 - 1e-6)
    return _looked_up(field, low, scale, share.astype(np.float32))


@njit(nogil=True, cache=True, inline="always")
def between(rank: np.ndarray, w: float, v: float, u: float) -> float:
    """The rank interpolated at (k, j, i) = (w, v, u) in voxels, for any place in space."""
    n = rank.shape[0]
    w -= n * np.floor(w / n)
    v -= n * np.floor(v / n)
    u -= n * np.floor(u / n)
    k, j, i = int(w), int(v), int(u)
    c, b, a = np.float32(w - k), np.float32(v - j), np.float32(u - i)
    k, j, i = k % n, j % n, i % n
    kk = k + 1 if k + 1 < n else 0
    jj = j + 1 if j + 1 < n else 0
    ii = i + 1 if i + 1 < n else 0
    near = rank[k, j, i] + a * (rank[k, j, ii] - rank[k, j, i])
    side = rank[k, jj, i] + a * (rank[k, jj, ii] - rank[k, jj, i])
    near += b * (side - near)
    far = rank[kk, j, i] + a * (rank[kk, j, ii] - rank[kk, j, i])
    side = rank[kk, jj, i] + a * (rank[kk, jj, ii] - rank[kk, jj, i])
    far += b * (side - far)
    return near + c * (far - near)


@njit(nogil=True, cache=True)
def _counts(field: np.ndarray, low: float, scale: float) -> np.ndarray:
    """How often the interpolated field lies in each bin above `low`; `scale` bins to a unit of the field."""
    n = field.shape[0]
    counts = np.zeros(BINS, np.int64)
    at = 0
    for k in range(n):
        for j in range(n):
            for i in range((k + j) % EVERY, n, EVERY):
                at += 1
                w, v, u = (at * GOLDEN[0]) % 1.0, (at * GOLDEN[1]) % 1.0, (at * GOLDEN[2]) % 1.0
                value = between(field, k + w, j + v, i + u)
                counts[min(max(int((value - low) * scale), 0), BINS - 1)] += 1
    return counts


@njit(nogil=True, cache=True)
def _looked_up(field: np.ndarray, low: float, scale: float, share: np.ndarray) -> np.ndarray:
    """For each voxel the share of space below its value, interpolated in a table [BINS + 1]."""
    out = np.empty(field.shape, np.float32)
    flat, filled = field.ravel(), out.ravel()
    for index in range(flat.size):
        place = (flat[index] - low) * scale
        bin_ = min(int(place), BINS - 1)
        part = np.float32(place - bin_)
        filled[index] = share[bin_] + part * (share[bin_ + 1] - share[bin_])
    return out
