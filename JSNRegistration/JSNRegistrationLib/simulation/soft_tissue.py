"""The outline and thickness of the hand's soft tissue: rounded tapered segments around the bones, melted together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Segment:
    """A tapered limb between two points (px), with its radius at both ends and its greatest thickness, all in px."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    thickness: float


def thickness_map(segments: list[Segment], shape: tuple[int, int], crease_px: float) -> np.ndarray:
    """Thickness in px of the union of the segments; crease_px softens the creases between them."""
    total = np.zeros(shape)
    for part in segments:
        reach = max(part.radii) + 1
        low = np.floor(np.minimum(part.start, part.end) - reach).astype(int)
        high = np.ceil(np.maximum(part.start, part.end) + reach).astype(int) + 1
        x0, y0 = np.clip(low, 0, None)
        x1, y1 = min(high[0], shape[1]), min(high[1], shape[0])
        if x0 >= x1 or y0 >= y1:
            continue
        x, y = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
        along = part.end - part.start
        t = ((x - part.start[0]) * along[0] + (y - part.start[1]) * along[1]) / max(along @ along, 1e-9)
        t = np.clip(t, 0, 1)
        distance = np.hypot(x - part.start[0] - t * along[0], y - part.start[1] - t * along[1])
        radius = part.radii[0] + t * (part.radii[1] - part.radii[0])
        body = part.thickness * np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, None))
        region = total[y0:y1, x0:x1]
        region[:] = (region**4 + body**4) ** 0.25
    # the skin: no hard crease where two segments meet
    smooth = ndimage.gaussian_filter(total, crease_px)
    return np.where(total > 0, np.minimum(smooth, 1.5 * total), 0)
