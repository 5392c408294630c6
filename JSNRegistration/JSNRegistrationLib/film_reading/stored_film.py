"""What a film file holds, before any choice of spacing and date is made; and the grey values of every kind of film."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.pixel_spacing import SpacingTags

SMALLEST_SIDE_PX = 64
MOST_PIXELS = 100_000_000

DisplayRange = tuple[float, float]


@dataclass(frozen=True, eq=False)
class StoredFilm:
    """A film as its file gives it: float32 [row, column], bone bright, padding filled; the tags that matter."""

    pixels: np.ndarray
    display_range: DisplayRange
    spacing: SpacingTags = field(default_factory=SpacingTags)
    date: date | None = None
    side: str | None = None
    patient_key: str | None = None
    warnings: tuple[str, ...] = ()


def refuse_unfit_size(film: str, rows: int, columns: int) -> None:
    """Refuse, before any pixel is decoded, what cannot be a film of a joint."""
    if min(rows, columns) < SMALLEST_SIDE_PX:
        raise BadInput(
            f"{film} is too small ({columns} x {rows} pixels): give the film in full resolution, "
            f"at least {SMALLEST_SIDE_PX} pixels on each side."
        )
    if rows * columns > MOST_PIXELS:
        raise BadInput(f"{film} is too large for a film ({columns} x {rows} pixels): give one radiograph of a hand.")


def fill_padding(film: str, pixels: np.ndarray, padding: np.ndarray | None) -> np.ndarray:
    """Make padding as dark as the darkest real pixel, as if nothing but air lay there; return float32.

    :param pixels: grey values [row, column], bone bright.
    :param padding: where no film is, bool [row, column], or None.
    :raises BadInput: all real pixels have one value.
    """
    pixels = pixels.astype(np.float32)
    real = pixels if padding is None else pixels[~padding]
    if real.size == 0 or not np.isfinite(real).all() or real.min() == real.max():
        raise BadInput(f"{film} shows nothing, all its pixels have one grey value: export the film again.")
    if padding is not None:
        pixels[padding] = real.min()
    return pixels


def robust_range(pixels: np.ndarray) -> DisplayRange:
    """Black and white for drawing: the 0.5 and 99.5 percentiles, or the extremes where these fall together."""
    low, high = np.percentile(pixels, (0.5, 99.5))
    if low == high:
        low, high = pixels.min(), pixels.max()
    return float(low), float(high)
