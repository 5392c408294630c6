"""Where the receive coil hears well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WAVES = 8
WAVELENGTH_MM = (110.0, 260.0)  # from about the width of a knee to twice that
REACH_MM = (75.0, 120.0)  # along the leg: the SD of the Gaussian by which the sensitivity falls to the ends of the coil


@dataclass(frozen=True, eq=False)
class Coil:
    """Smooth sensitivity around the middle of the image: the exponential of a few long waves, falling along the leg.

    :param waves: wave vectors in radian per mm along (k, j, i), [n, 3].
    :param phases: of each, [n].
    :param sd: of the logarithm of the waves over many places.
    :param reach_mm: SD of the Gaussian along the rows j, infinite for a coil that is even.
    """

    waves: np.ndarray
    phases: np.ndarray
    sd: float
    reach_mm: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, sd: float) -> Coil:
        """A coil; an even one where the SD is 0."""
        directions = rng.standard_normal((WAVES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(*WAVELENGTH_MM, (WAVES, 1))
        phases, reach = rng.uniform(0, 2 * np.pi, WAVES), rng.uniform(*REACH_MM)
        return cls(2 * np.pi * directions / lengths, phases, sd, reach if sd > 0.0 else np.inf)

    def slice_sensitivity(self, k_mm: float, j_mm: np.ndarray, i_mm: np.ndarray) -> np.ndarray:
        """Sensitivity, float32 [j, i], at places in mm from the middle of the image."""
        amplitude = self.sd * np.sqrt(2.0 / WAVES)
        rows = amplitude * np.exp(1j * (np.outer(j_mm, self.waves[:, 1]) + self.waves[:, 0] * k_mm + self.phases))
        columns = np.exp(1j * np.outer(self.waves[:, 2], i_mm))
        logarithm = rows.real @ columns.real - rows.imag @ columns.imag
        logarithm -= 0.5 * (np.asarray(j_mm)[:, None] / self.reach_mm) ** 2
        return np.exp(logarithm.astype(np.float32))
