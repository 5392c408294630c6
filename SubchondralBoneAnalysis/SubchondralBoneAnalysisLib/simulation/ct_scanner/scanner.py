"""What a CT scanner makes of a knee: how sharp and how noisy its volumes are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from SubchondralBoneAnalysisLib.volume import Volume

SD_OF_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))


@dataclass(frozen=True)
class Scanner:
    """A CT scanner and its reconstruction; slices are the planes of the i and j axes of the grid.

    :param in_plane_fwhm_mm: full width at half maximum of the point spread in the slice, of the whole system.
    :param axial_fwhm_mm: the same across the slices.
    :param overshoot: of an edge-enhancing kernel: the point spread is (1 + s) Gaussian - s Gaussian of twice the SD.
    :param noise_hu: SD of the noise.
    :param noise_peak_per_mm: where the noise power of the slice has its peak; it rises from 0 as behind a ramp filter.
    """

    in_plane_fwhm_mm: float = 0.75
    axial_fwhm_mm: float = 0.8
    overshoot: float = 0.0
    noise_hu: float = 30.0
    noise_peak_per_mm: float = 0.45

    @property
    def sd_mm(self) -> tuple[float, float]:
        """SD of the point spread (in the slice, across it)."""
        return self.in_plane_fwhm_mm * SD_OF_FWHM, self.axial_fwhm_mm * SD_OF_FWHM

    def edge(self, depth_mm: np.ndarray, sd_mm: np.ndarray | float) -> np.ndarray:
        """What is seen of a half space of 1 at a depth below its surface: its edge response."""
        sharp = ndtr(depth_mm / sd_mm)
        if self.overshoot == 0.0:
            return sharp
        return (1.0 + self.overshoot) * sharp - self.overshoot * ndtr(0.5 * depth_mm / sd_mm)

    def sd_along(self, normals_lps: np.ndarray, grid: Volume) -> np.ndarray:
        """SD of the point spread [n] along unit vectors [n, 3], in mm."""
        across_slices = normals_lps @ np.reshape(grid.direction_lps, (3, 3))[:, 2]
        in_plane, axial = self.sd_mm
        part = across_slices * across_slices
        return np.sqrt(in_plane**2 * (1.0 - part) + axial**2 * part)

    def noise(self, grid: Volume, rng: np.random.Generator) -> np.ndarray:
        """Noise in HU, float32 [k, j, i]: coloured in the slice, correlated across slices as the blur is."""
        shape, (dk, dj, di) = grid.array.shape, grid.spacing_mm
        radius = np.hypot(fftfreq(shape[1], dj)[:, None], rfftfreq(shape[2], di)[None, :])
        power = np.maximum(radius, 0.02) * np.exp(-0.5 * (radius / self.noise_peak_per_mm) ** 2)
        colour = np.sqrt(power).astype(np.float32)
        noise = rng.standard_normal(shape, dtype=np.float32)
        for slice_ in noise:
            slice_[:] = irfft2(rfft2(slice_) * colour, shape[1:])
        sd = 0.7 * self.sd_mm[1] / dk
        if sd > 0.2:
            noise = gaussian_filter1d(noise, sd, axis=0, mode="wrap")
        return noise * np.float32(self.noise_hu / max(float(noise.std()), 1e-6))
