"""The picture of one joint as the bone network sees it, and the way back to the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SIDE_PX = 96
WIDTH_PX = 38.0  # of the bones across the joint, in the picture
LOW, HIGH = 1.0, 99.0  # percentiles of the grey values that become 0 and 1


@dataclass(frozen=True)
class PictureFrame:
    """Where a picture lies on its film: the joint in the middle, the axis (unit, film pixels) upwards."""

    position_px: tuple[float, float]
    axis: tuple[float, float]
    pixel_px: float  # size of a pixel of the picture in film pixels

    @staticmethod
    def around(position_px: Sequence[float], axis: Sequence[float], width_px: float) -> PictureFrame:
        """The frame for a joint whose bones are width_px film pixels wide."""
        x, y = np.asarray(axis, float) / np.hypot(*axis)
        return PictureFrame((float(position_px[0]), float(position_px[1])), (float(x), float(y)), width_px / WIDTH_PX)

    def on_film(self) -> np.ndarray:
        """Film pixels (x, y) of every pixel of the picture, (SIDE_PX, SIDE_PX, 2)."""
        steps = (np.arange(SIDE_PX) - (SIDE_PX - 1) / 2) * self.pixel_px
        up, across = np.array(self.axis), np.array([-self.axis[1], self.axis[0]])
        return np.asarray(self.position_px) + steps[None, :, None] * across - steps[:, None, None] * up

    def in_picture(self, points: np.ndarray) -> np.ndarray:
        """Picture pixels (x, y) of film points (..., 2)."""
        away = (np.asarray(points, float) - self.position_px) / self.pixel_px
        up, across = np.array(self.axis), np.array([-self.axis[1], self.axis[0]])
        return np.stack([away @ across, -(away @ up)], axis=-1) + (SIDE_PX - 1) / 2


def cut_picture(pixels: np.ndarray, frame: PictureFrame) -> np.ndarray:
    """The picture (SIDE_PX, SIDE_PX) float32 in 0..1 of a film [row, column]; beyond the film its border goes on."""
    where = frame.on_film()
    reach = 3 * frame.pixel_px
    low = np.clip(np.floor(where.min(axis=(0, 1)) - reach).astype(int), 0, np.array(pixels.shape[::-1]) - 1)
    high = np.clip(np.ceil(where.max(axis=(0, 1)) + reach).astype(int) + 1, low + 1, pixels.shape[::-1])
    piece = pixels[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    # A pixel of the picture is the mean of what lies in it.
    piece = ndimage.gaussian_filter(piece, max(0.0, 0.5 * frame.pixel_px - 0.3), mode="nearest")
    picture = ndimage.map_coordinates(piece, (where - low).transpose(2, 0, 1)[::-1], order=1, mode="nearest")
    black, white = np.percentile(picture, [LOW, HIGH])
    return np.clip((picture - black) / max(white - black, 1e-6), 0, 1).astype(np.float32)
