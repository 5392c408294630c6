"""How a film put together from layers is taken and shown: its grain, its exposure, its processing, its storage.

Nothing here is shared with the simulation or the training.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

GRAIN_SIGMA_PX = 0.55  # blur of the grain: noise of neighbouring pixels is not independent
GREYS = 255


@dataclass(frozen=True)
class Presentation:
    """Grey = offset + gain x value^gamma of 255, after unsharp masking (strength, sigma in pixels), then JPEG."""

    gain: float = 0.8
    offset: float = 0.1
    gamma: float = 1.0
    unsharp: float = 0.0
    unsharp_px: float = 12.0
    jpeg_quality: int | None = None
    blur_px: float = 0.0


def with_grain(film: np.ndarray, grain: float, rng: np.random.Generator) -> np.ndarray:
    """A film (0 to 1) with noise of standard deviation `grain` at its middle grey, more where it is bright.

    Bright is where few quanta arrive: with one neper between black and white the noise of the logarithm of their number
    grows by exp(grey / 2).
    """
    noise = ndimage.gaussian_filter(rng.standard_normal(film.shape), GRAIN_SIGMA_PX, mode="wrap")
    return film + grain / noise.std() * np.exp(0.5 * (np.clip(film, 0.0, 1.0) - 0.5)) * noise


def presented(film: np.ndarray, how: Presentation) -> np.ndarray:
    """The film (0 to 1) as stored: whole grey values 0 to 255, float32."""
    if how.blur_px:
        film = ndimage.gaussian_filter(film, how.blur_px, mode="nearest")
    if how.unsharp:
        film = film + how.unsharp * (film - ndimage.gaussian_filter(film, how.unsharp_px, mode="nearest"))
    grey = how.offset + how.gain * np.sign(film) * np.abs(film) ** how.gamma
    pixels = np.clip(np.round(GREYS * grey), 0, GREYS)
    return (pixels if how.jpeg_quality is None else through_jpeg(pixels, how.jpeg_quality)).astype(np.float32)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Whole grey values 0 to 255 after JPEG compression."""
    stored = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored), dtype=float)
