"""Pictures of a joint: the film, the red-cyan fusion of two films, the loss map. Arrays in, data addresses out."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.loss_colors import loss_colors

LOSS_STEPS = 192  # palette entries of the loss; the other 64 are the grey film around it
BACKGROUND = 0.45  # brightness of the film around a map


def loss_palette() -> np.ndarray:
    """256 RGB colours, uint8: LOSS_STEPS of the loss from 0 to 1, then 64 dimmed greys."""
    colours = loss_colors(np.linspace(0, 1, LOSS_STEPS))
    greys = np.repeat(np.linspace(0, BACKGROUND, 256 - LOSS_STEPS)[:, None], 3, axis=1)
    return np.round(255 * np.vstack([colours, greys])).astype(np.uint8)


def grey_range(values: np.ndarray) -> tuple[float, float]:
    """Values shown as black and white: robust extremes of one window. NaN is left out."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(known, (0.5, 99.8))
    return float(low), float(max(high, low + 1e-6))


def grey(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """0 (black) to 1 (white); NaN becomes black."""
    return np.nan_to_num(np.clip((values - limits[0]) / (limits[1] - limits[0]), 0, 1))


def fusion(from_grey: np.ndarray, to_values: np.ndarray, to_limits: tuple[float, float]) -> np.ndarray:
    """RGB 0 to 1: the *from* film in red, the *to* film in green and blue; dimmed grey where only one is known."""
    known = np.isfinite(to_values)
    to_grey = grey(to_values, to_limits)
    both = np.stack([from_grey, to_grey, to_grey], axis=-1)
    return np.where(known[..., None], both, BACKGROUND * from_grey[..., None])


def loss_indices(loss: np.ndarray, from_grey: np.ndarray) -> np.ndarray:
    """Palette index per pixel, uint8: the colour of the loss, or the dimmed film where the loss is NaN."""
    colour = np.round(np.nan_to_num(loss) * (LOSS_STEPS - 1))
    film = LOSS_STEPS + np.round(from_grey * (255 - LOSS_STEPS))
    return np.where(np.isfinite(loss), colour, film).astype(np.uint8)


def jpeg(picture: np.ndarray, quality: int = 88) -> str:
    """Data address of a picture 0 to 1, [row, column] grey or [row, column, 3] RGB."""
    return encoded(Image.fromarray(np.round(255 * picture).astype(np.uint8)), "JPEG", quality=quality, subsampling=0)


def palette_png(indices: np.ndarray) -> str:
    """Data address of a picture of indices into `loss_palette`; its colours are exact."""
    image = Image.fromarray(indices)
    image.putpalette(loss_palette().tobytes(), "RGB")
    return encoded(image, "PNG")


def shrunk(path: Path, longest: int = 1100) -> tuple[str, int, int] | None:
    """A picture file for embedding: data address, width and height; None where there is no such file."""
    if not path.is_file():
        return None
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return encoded(image, "JPEG", quality=85, subsampling=0), image.width, image.height


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A grey picture 0 to 1 at another size (width, height), smoothed where it shrinks."""
    image = Image.fromarray(np.round(255 * picture).astype(np.uint8))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS)) / 255


def encoded(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
