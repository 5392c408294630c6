"""Distances between voxel centres as whole numbers, so that no comparison of two distances is ever rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FINEST_MM = 1e-7  # spacings are taken to this; no scanner states them better
LARGEST_EXACT = 2**60  # of a squared distance: sums of two still fit 64 bits


@dataclass(frozen=True)
class Lattice:
    """The grid of voxel centres.

    The squared distance of two voxels that are (dk, dj, di) apart is ``dk^2 wk + dj^2 wj + di^2 wi`` in units of
    `unit_mm2`, with whole numbers `weights` = (wk, wj, wi). Cubic voxels have the weights (1, 1, 1).
    """

    weights: tuple[int, int, int]
    unit_mm2: float

    @classmethod
    def of(cls, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Lattice:
        """The lattice of a volume [k, j, i] with voxels of `spacing_mm` (k, j, i).

        The ratios of the spacings are exact for spacings that are multiples of 1e-7 mm, as long as the squared
        diagonal of the volume fits 60 bits; else they are rounded by less than 1e-9.

        :raises ValueError: when a spacing is not a positive number.
        """
        if len(spacing_mm) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
            raise ValueError(f"voxel spacing {spacing_mm}: three positive numbers are needed")
        steps = [max(1, round(s / FINEST_MM)) for s in spacing_mm]
        largest = sum(n**2 * (w // math.gcd(*steps)) ** 2 for n, w in zip(shape, steps, strict=True))
        if largest > LARGEST_EXACT:
            finest = max(s * n for s, n in zip(spacing_mm, shape, strict=True)) / 2**29
            steps = [max(1, round(s / finest)) for s in spacing_mm]
        step = math.gcd(*steps)
        weights = tuple((s // step) ** 2 for s in steps)
        # The spacing itself, not its rounding to whole steps, says how long a unit is.
        return cls(weights, math.prod(spacing_mm) ** (2 / 3) / math.prod(weights) ** (1 / 3))

    def largest_possible(self, shape: tuple[int, int, int]) -> int:
        """The squared distance of two opposite corners of a volume, in units."""
        return sum(w * (n - 1) ** 2 for w, n in zip(self.weights, shape, strict=True))

    def to_mm(self, squared: np.ndarray) -> np.ndarray:
        """The distances in mm (float64) of squared distances in units."""
        return np.sqrt(np.asarray(squared, np.float64) * self.unit_mm2)
