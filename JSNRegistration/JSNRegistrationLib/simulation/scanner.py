"""From paths through bone and soft tissue to the pixels of a film: transmission, scatter, blur, noise, presentation.

Transmission follows Beer and Lambert for one effective energy near 35 keV (a hand film at 50-55 kVp):
I = exp(-mu_soft * (soft - bone) - mu_bone * bone), the bone taking the place of soft tissue. Coefficients: NIST tables
of mass attenuation (cortical bone 1.92 g/cm3, soft tissue 1.06 g/cm3), interpolated at 35 keV.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

MU_BONE_PER_MM = 0.176
MU_SOFT_PER_MM = 0.0334


@dataclass(frozen=True)
class Exposure:
    """How one film was taken and presented. Lengths in mm."""

    photons: float = 12000.0  # detected in an unattenuated 0.1 mm pixel
    electronic: float = 12.0  # standard deviation in photons of a 0.1 mm pixel
    scatter_fraction: float = 0.18
    scatter_mm: float = 9.0
    pedestal: float = 0.01  # of the unattenuated signal
    blur_mm: float = 0.085  # Gaussian sigma of detector and focal spot
    blur_tail: float = 0.12  # share of a tail four times as wide
    logarithmic: bool = True
    unsharp: float = 0.0
    unsharp_mm: float = 1.2
    gamma: float = 1.0
    window: tuple[float, float] = (1.0, 99.7)  # percentiles of the signal that become black and white
    headroom: tuple[float, float] = (0.0, 0.0)  # share of the window left free below and above those
    bits: int = 8
    jpeg_quality: int | None = None


def transmission(bone_mm: np.ndarray, soft_mm: np.ndarray) -> np.ndarray:
    """Share of the beam that passes; soft_mm counts bone and soft tissue together (the thickness of the part)."""
    return np.exp(-MU_SOFT_PER_MM * np.maximum(soft_mm - bone_mm, 0) - MU_BONE_PER_MM * bone_mm)


def detected(beam: np.ndarray, pixel_mm: float, exposure: Exposure, oversampling: int = 1) -> np.ndarray:
    """Noise-free signal of the detector: scatter and pedestal added, blurred, binned to film pixels."""
    scattered = _broad_blur(beam, exposure.scatter_mm * oversampling / pixel_mm)
    signal = (1 - exposure.scatter_fraction) * beam + exposure.scatter_fraction * scattered + exposure.pedestal
    sigma = exposure.blur_mm * oversampling / pixel_mm
    sharp = ndimage.gaussian_filter(signal, sigma, mode="nearest")
    if exposure.blur_tail > 0:
        tail = ndimage.gaussian_filter(signal, 4 * sigma, mode="nearest", truncate=3)
        sharp = (1 - exposure.blur_tail) * sharp + exposure.blur_tail * tail
    rows, columns = sharp.shape
    return sharp.reshape(rows // oversampling, oversampling, columns // oversampling, oversampling).mean(axis=(1, 3))


def with_noise(signal: np.ndarray, pixel_mm: float, exposure: Exposure, rng: np.random.Generator) -> np.ndarray:
    """Quantum noise, softened by the detector as real noise is, and electronic noise."""
    area = (pixel_mm / 0.1) ** 2
    photons = exposure.photons * area
    quantum = rng.poisson(np.maximum(signal, 0) * photons) / photons - signal
    correlated = ndimage.gaussian_filter(quantum, 0.6 * exposure.blur_mm / pixel_mm, mode="nearest")
    electronic = exposure.electronic * np.sqrt(area) / photons
    return signal + correlated + electronic * rng.standard_normal(signal.shape)


def presented(signal: np.ndarray, pixel_mm: float, exposure: Exposure, region: np.ndarray | None = None) -> np.ndarray:
    """The signal as a viewer shows it, bone bright, in grey values of `bits` bits; float32 holding whole numbers.

    The window is found in `region` (bool), the whole film where left out.
    """
    low = 1e-4
    values = -np.log(np.maximum(signal, low)) if exposure.logarithmic else -np.maximum(signal, low)
    if exposure.unsharp > 0:
        values = values + exposure.unsharp * (
            values - ndimage.gaussian_filter(values, exposure.unsharp_mm / pixel_mm, mode="nearest")
        )
    black, white = np.percentile(values if region is None else values[region], exposure.window)
    below, above = exposure.headroom
    black, white = black - below * (white - black), white + above * (white - black)
    grey = np.clip((values - black) / max(white - black, 1e-6), 0, 1) ** exposure.gamma
    pixels = np.round(grey * (2**exposure.bits - 1))
    if exposure.jpeg_quality is not None and exposure.bits == 8:
        pixels = _through_jpeg(pixels, exposure.jpeg_quality)
    return pixels.astype(np.float32)


def take_film(
    bone_mm: np.ndarray,
    soft_mm: np.ndarray,
    pixel_mm: float,
    exposure: Exposure,
    rng: np.random.Generator | None,
    oversampling: int = 2,
) -> np.ndarray:
    """One film from the paths on a grid `oversampling` times finer than the film; rng None means no noise."""
    signal = detected(transmission(bone_mm, soft_mm), pixel_mm, exposure, oversampling)
    if rng is not None:
        signal = with_noise(signal, pixel_mm, exposure, rng)
    return presented(signal, pixel_mm, exposure)


def _broad_blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur of many pixels, done on a coarse grid."""
    step = max(1, int(sigma_px / 6))
    coarse = ndimage.uniform_filter(image, step, mode="nearest")[::step, ::step]
    coarse = ndimage.gaussian_filter(coarse, sigma_px / step, mode="nearest")
    rows = np.arange(image.shape[0]) / step
    columns = np.arange(image.shape[1]) / step
    points = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(coarse, points, order=1, mode="nearest")


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return np.asarray(Image.open(buffer), dtype=np.float32)
