"""A piece of noise that repeats in space, with the grain of a tissue, seen through a scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

EDGE = 96  # samples of the piece along each axis
STEP_MM = 0.4


@dataclass(frozen=True, eq=False)
class TexturedNoise:
    """Noise of unit SD before the scanner, given at any point of the knee frame."""

    piece: np.ndarray
    step_mm: float = STEP_MM

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        grain_mm: tuple[float, float, float],
        blur: np.ndarray | None = None,
        step_mm: float = STEP_MM,
    ) -> TexturedNoise:
        """Noise whose power is a Gaussian shell.

        :param grain_mm: wavelength along (x, y, z) at which it has its power.
        :param blur: covariance [3, 3] in mm^2 of a Gaussian point spread, in the knee frame.
        """
        frequency = np.fft.fftfreq(EDGE, step_mm)
        z, y, x = np.meshgrid(frequency, frequency, np.fft.rfftfreq(EDGE, step_mm), indexing="ij")
        radius = np.sqrt((x * grain_mm[0]) ** 2 + (y * grain_mm[1]) ** 2 + (z * grain_mm[2]) ** 2)
        shell = np.exp(-0.5 * ((radius - 1.0) / 0.45) ** 2)
        shell[0, 0, 0] = 0.0
        spectrum = np.fft.rfftn(rng.standard_normal((EDGE,) * 3)) * shell
        sd = np.fft.irfftn(spectrum, s=(EDGE,) * 3, axes=(0, 1, 2)).std()
        if blur is not None:
            at = np.stack([x, y, z], -1)
            spectrum *= np.exp(-2 * np.pi**2 * np.einsum("...a,ab,...b->...", at, blur, at))
        piece = np.fft.irfftn(spectrum, s=(EDGE,) * 3, axes=(0, 1, 2)) / sd
        return cls(piece.astype(np.float32), step_mm)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The noise [n] at points [n, 3] of the knee frame."""
        return map_coordinates(self.piece, points.T[::-1] / self.step_mm, order=1, mode="grid-wrap")
