"""Functions of space that change slowly, computed on a wider lattice and interpolated to all voxels of a grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SubchondralBoneAnalysisLib.simulation.voxel_grid import lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

LATTICE_MM = 2.0


class SmoothFields:
    """Fields at the voxels of a grid, a few slices at a time.

    Between lattice points `LATTICE_MM` apart a distance from something of radius R is wrong by at most LATTICE_MM^2 /
    (8 R) along each axis: 0.05 mm at 10 mm.
    """

    def __init__(self, grid: Volume, fields: Callable[[np.ndarray], np.ndarray]) -> None:
        """:param fields: from points [n, 3] in LPS to values [f, n]."""
        self._weights = [
            _linear(size, max(1, int(LATTICE_MM / step)))
            for size, step in zip(grid.array.shape, grid.spacing_mm, strict=True)
        ]
        indices = [
            np.arange(weights.shape[1]) * max(1, int(LATTICE_MM / step))
            for weights, step in zip(self._weights, grid.spacing_mm, strict=True)
        ]
        kji = np.stack(np.meshgrid(*indices, indexing="ij"), -1)
        self._values = np.stack(
            [fields(lattice_lps(grid, layer.reshape(-1, 3))).astype(np.float32) for layer in kji], 1
        ).reshape(-1, *kji.shape[:3])

    def slices(self, first: int, end: int) -> np.ndarray:
        """The fields [f, k, j, i], float32, in the slices `first` to `end`."""
        along_k, along_j, along_i = self._weights[0][first:end], self._weights[1], self._weights[2]
        used = along_k.any(0)
        coarse = self._values[:, used]
        wide = along_j @ (coarse @ along_i.T)
        return np.tensordot(along_k[:, used], wide, (1, 1)).swapaxes(0, 1)


def _linear(size: int, step: int) -> np.ndarray:
    """Weights [size, lattice points] of linear interpolation from every `step`-th index."""
    points = -(-(size - 1) // step) + 1
    at = np.arange(size) / step
    return np.maximum(1.0 - np.abs(at[:, None] - np.arange(points)), 0.0).astype(np.float32)
