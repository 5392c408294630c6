"""A whole bone's trabeculae on a fine lattice, seen at any points through a Gaussian point spread of any direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numba import njit

PHASES = 8  # places of a point between two lattice points that have a kernel of their own
REACH_SD = 3.0  # half width of a kernel
COARSE_FROM = 0.8  # SD of the blur over the step of the half as fine lattice from which on that one is used


@dataclass(frozen=True, eq=False)
class FineBone:
    """How much of each cell is bone.

    :param parts: uint8 [k, j, i], of `full` parts; the array's axes are z, y and x of the bone's own frame.
    :param origin_mm: (x, y, z), the centre of cell [0, 0, 0].
    """

    parts: np.ndarray
    full: int
    step_mm: float
    origin_mm: np.ndarray

    def seen(self, points: np.ndarray, covariance: np.ndarray, overshoot: float = 0.0) -> np.ndarray:
        """Part of bone [n], float32, at points [n, 3] (x, y, z) of the bone's own frame after a blur; outside is none.

        :param covariance: [3, 3] of the point spread in mm^2, in the bone's own frame.
        :param overshoot: of an edge-enhancing kernel, as of `Scanner`.
        """
        sharpest = np.sqrt(np.linalg.eigvalsh(covariance)[0])
        if sharpest >= COARSE_FROM * 2 * self.step_mm and self.full < 64:
            return self.half_as_fine.seen(points, covariance, overshoot)
        kernels = _kernels(tuple(covariance.ravel().tolist()), self.step_mm, overshoot)
        at = np.ascontiguousarray(((points - self.origin_mm) / self.step_mm)[:, ::-1])
        found = np.empty(len(points), np.float32)
        _gather(self.parts, at, kernels, found)
        found /= self.full
        return found

    @cached_property
    def half_as_fine(self) -> FineBone:
        """The same bone with cells twice as wide."""
        padded = np.pad(self.parts, [(0, size % 2) for size in self.parts.shape])
        return FineBone(halved(padded), 8 * self.full, 2 * self.step_mm, self.origin_mm + 0.5 * self.step_mm)


def halved(parts: np.ndarray) -> np.ndarray:
    """Sums [k, j, i], uint8, over 2 x 2 x 2 cells of an array of even shape."""
    parts = parts.view(np.uint8)
    wide = parts[:, :, 0::2] + parts[:, :, 1::2]
    wide = wide[:, 0::2] + wide[:, 1::2]
    return wide[0::2] + wide[1::2]


@lru_cache(maxsize=8)
def _kernels(covariance: tuple[float, ...], step_mm: float, overshoot: float) -> np.ndarray:
    """Weights [phase k, j, i, k, j, i], float32, each kernel with the sum 1."""
    # The cells are as wide as the step: what they average is a part of the blur already.
    own = np.reshape(covariance, (3, 3))[::-1, ::-1] - np.eye(3) * step_mm**2 / 12.0
    spread, axes = np.linalg.eigh(own)
    spread = np.maximum(spread, (0.3 * step_mm) ** 2)
    wide = 2.0 if overshoot > 0 else 1.0
    along = np.sqrt((axes**2 * spread).sum(1))
    reach = np.ceil(REACH_SD * wide * along / step_mm).astype(int)
    phase = (np.arange(PHASES) + 0.5) / PHASES
    # Kernel cells lie from -reach + 1 to reach of the lattice point before the place.
    cells = [np.arange(-n + 1, n + 1)[None, :] - phase[:, None] for n in reach]
    offsets = np.empty((PHASES,) * 3 + tuple(2 * reach) + (3,))
    for axis, cell in enumerate(cells):
        shape = [1] * 6
        shape[axis], shape[3 + axis] = cell.shape
        offsets[..., axis] = step_mm * cell.reshape(shape)
    square = ((offsets @ axes) ** 2 / spread).sum(-1)
    weights = np.exp(-0.5 * square)
    weights /= weights.sum((3, 4, 5), keepdims=True)
    if overshoot > 0:
        dim = np.exp(-0.125 * square)
        weights = (1.0 + overshoot) * weights - overshoot * dim / dim.sum((3, 4, 5), keepdims=True)
    return weights.astype(np.float32)


@njit(nogil=True, cache=True, fastmath=True)
def _gather(parts: np.ndarray, at: np.ndarray, kernels: np.ndarray, found: np.ndarray) -> None:
    """Weighted sums of the cells around places [n, 3] (k, j, i) in steps of the lattice."""
    phases = kernels.shape[0]
    nk, nj, ni = kernels.shape[3:]
    for n in range(len(at)):
        k0, j0, i0 = np.floor(at[n, 0]), np.floor(at[n, 1]), np.floor(at[n, 2])
        kernel = kernels[int((at[n, 0] - k0) * phases), int((at[n, 1] - j0) * phases), int((at[n, 2] - i0) * phases)]
        k1, j1, i1 = int(k0) - nk // 2 + 1, int(j0) - nj // 2 + 1, int(i0) - ni // 2 + 1
        total = np.float32(0.0)
        first, last = max(0, -i1), min(ni, parts.shape[2] - i1)
        for k in range(max(0, -k1), min(nk, parts.shape[0] - k1)):
            for j in range(max(0, -j1), min(nj, parts.shape[1] - j1)):
                row, weights = parts[k1 + k, j1 + j], kernel[k, j]
                for i in range(first, last):
                    total += weights[i] * np.float32(row[i1 + i])
        found[n] = total
