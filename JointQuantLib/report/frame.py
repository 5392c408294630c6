"""The joint frame for display: a square window on a film, turned so that the finger points up and never mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

# Side of the window that is shown, by kind of joint, in mm: both bone ends and a piece of both shafts.
WINDOW_MM = {"MCP": 24.0, "IP": 20.0, "PIP": 20.0, "DIP": 16.0}
WINDOW_IN_BONE_WIDTHS = 1.7  # where the spacing is unknown


@dataclass(frozen=True)
class JointFrame:
    """`origin_px` is in the middle of the window, `axis` (proximal to distal) points up; `side_px` in film pixels."""

    origin_px: tuple[float, float]
    axis: tuple[float, float]
    side_px: float

    @property
    def across(self) -> np.ndarray:
        """Unit vector in the film that points to the right in the window."""
        return np.array([-self.axis[1], self.axis[0]])

    def film_points(self, size: int) -> np.ndarray:
        """Film points (x, y) of the pixel centres of a size x size picture; shape (size, size, 2)."""
        steps = ((np.arange(size) + 0.5) / size - 0.5) * self.side_px
        right, up = steps[None, :, None], -steps[:, None, None]
        return np.asarray(self.origin_px) + right * self.across + up * np.asarray(self.axis)

    def percent(self, points: np.ndarray) -> np.ndarray:
        """Film points (n, 2) as (x, y) in the window: 0 to 100 from left to right and from top to bottom."""
        away = np.asarray(points, float) - np.asarray(self.origin_px)
        inside = np.column_stack([away @ self.across, -away @ np.asarray(self.axis)])
        return 50 + 100 * inside / self.side_px

    def carried(self, upper_motion: np.ndarray, lower_motion: np.ndarray) -> JointFrame:
        """The same physical window in the other film: carried by the mean of the two motions (2 x 3)."""
        upper, lower = np.asarray(upper_motion, float), np.asarray(lower_motion, float)
        origin = np.append(self.origin_px, 1.0)
        turn = rotation_of(upper) + rotation_of(lower)
        axis = turn @ np.asarray(self.axis)
        scale = float(np.sqrt(scale_of(upper) * scale_of(lower)))
        return JointFrame(
            tuple((upper @ origin + lower @ origin) / 2), tuple(axis / np.linalg.norm(axis)), self.side_px * scale
        )


def scale_of(motion: np.ndarray) -> float:
    return float(np.sqrt(abs(np.linalg.det(motion[:, :2]))))


def rotation_of(motion: np.ndarray) -> np.ndarray:
    return motion[:, :2] / scale_of(motion)


def window_side_px(joint: dict, visit: int, spacing_mm: float | None, shape: tuple[int, int]) -> float:
    """Side of the window in film pixels: by the kind of joint in mm, else by the bone width, at most the film."""
    kind = joint["name"].rstrip("0123456789")
    largest = float(min(shape))
    if spacing_mm and kind in WINDOW_MM:
        return min(WINDOW_MM[kind] / spacing_mm, largest)
    if spacing_mm:
        return min(WINDOW_MM["MCP"] / spacing_mm, largest)
    width = bone_width_px(joint["visits"][visit])
    return min(WINDOW_IN_BONE_WIDTHS * width, largest) if width else largest


def bone_width_px(place: dict) -> float | None:
    """Width across the joint of the wider of the two outlines; None where there are none."""
    if not place.get("axis"):
        return None
    across = np.array([-place["axis"][1], place["axis"][0]])
    outlines = [np.asarray(place[bone], float) for bone in ("upper", "lower") if place.get(bone)]
    return max((float(np.ptp(outline @ across)) for outline in outlines), default=None)


def sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Film values at a grid of points (rows, columns, 2) by cubic interpolation; NaN where the film is not known.

    Where a film pixel is smaller than a picture pixel the film is smoothed first, so that nothing aliases.
    """
    piece, at = cut(image, points)
    known = np.isfinite(piece)
    if not known.any():
        return np.full(points.shape[:-1], np.nan)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled = piece[tuple(nearest)].astype(float)
    step = float(np.hypot(*(points[0, 1] - points[0, 0])))
    if step > 1.2:
        filled = gaussian_filter(filled, 0.45 * step)
    values = map_coordinates(filled, at, order=3, mode="nearest")
    inside = map_coordinates(known.astype(float), at, order=1, mode="constant", cval=0.0) > 0.5
    return np.where(inside, values, np.nan)


def sample_loss(loss: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Loss map at a grid of points: interpolated inside its regions only (0 to 1), NaN outside them."""
    piece, at = cut(loss, points)
    inside = np.isfinite(piece) & (piece >= 0)
    if not inside.any():
        return np.full(points.shape[:-1], np.nan)
    weight = map_coordinates(inside.astype(float), at, order=1, mode="constant", cval=0.0)
    value = map_coordinates(np.where(inside, piece, 0.0).astype(float), at, order=1, mode="constant", cval=0.0)
    return np.where(weight > 0.5, np.clip(value / np.maximum(weight, 1e-6), 0, 1), np.nan)


def cut(image: np.ndarray, points: np.ndarray, margin: int = 12) -> tuple[np.ndarray, list[np.ndarray]]:
    """The piece of a film around a grid of points, and where the points lie in it (rows, columns)."""
    corners = points[[0, 0, -1, -1], [0, -1, 0, -1]]
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    right, bottom = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, 0)
    return image[top:bottom, left:right], [points[..., 1] - top, points[..., 0] - left]
