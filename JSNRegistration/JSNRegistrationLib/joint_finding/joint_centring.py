"""The middle of one joint space, the axis of the finger there and the width of its bones, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.joint_finding.finger_chain import line_response

_ARM = 48  # fine pixels (about 7 mm) of midline on either side that give the axis
_REACH = 40  # half length of the piece looked at
_HALF = 52  # half width of the piece looked at


@dataclass(frozen=True)
class JointPlace:
    """(row, column) in the pixels of the image it was found in; the axis points to the fingertip."""

    point: np.ndarray
    axis: np.ndarray
    width: float


def centre_joint(image: np.ndarray, line: np.ndarray, at: float, wide: bool, usual_width: float) -> JointPlace:
    """Centres a joint near position `at` (steps) of a midline (n, 2), tip first, in an image of log brightness.

    wide says that the gap is wide and empty, not a dark line; usual_width is that of the bone at such a joint.
    """
    i = int(np.clip(round(at), 0, len(line) - 1))
    point = line[i]
    # Tips and ends of the midline may be nearer than the arm.
    arm = max(min(_ARM, i, len(line) - 1 - i), 1)
    axis = line[i - arm] - line[i + arm]
    axis = axis / np.hypot(*axis)
    across = np.array([-axis[1], axis[0]])
    # First along the finger, as the midline may pass beside the middle; then across; then finely along it again.
    for reach in (7, 3):
        piece, s, t = _cut(image, point, axis)
        middle, half_gap = (_wide_gap if wide else _dark_line)(piece, s, t, reach)
        point = point - middle * axis
        piece, s, t = _cut(image, point, axis)
        # The epiphysis of a child is narrow and faint: the shaft's end beyond it shows the width.
        start = half_gap + (12 if wide else 3)
        left, right = _bone_edges(piece[(s > -start - 11) & (s < -start)], t, usual_width)
        point = point + 0.5 * (left + right) * across
    piece, s, t = _cut(image, point, axis)
    point = point - (_wide_gap if wide else _dark_line)(piece, s, t, 3)[0] * axis
    return JointPlace(point, axis, float(right - left))


def _cut(image: np.ndarray, point: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The image around a point: [along, across]; `along` runs from the tip to the palm."""
    s, t = np.arange(-_REACH, _REACH + 0.5), np.arange(-_HALF, _HALF + 0.5)
    across = np.array([-axis[1], axis[0]])
    where = point[:, None, None] - axis[:, None, None] * s[None, :, None] + across[:, None, None] * t[None, None, :]
    return ndimage.map_coordinates(image, where, order=1, mode="nearest"), s, t


def _bone_edges(base: np.ndarray, t: np.ndarray, usual: float) -> tuple[float, float]:
    """Offsets of the edges of the distal bone from its base [along, across].

    Two clear falls of brightness about as far apart as the bone is usually wide and not far from the midline: the
    skin, the cortex of a bone behind and the growth plate make falls too.
    """
    # Not the logarithm: against bone and soft tissue the fall at the skin is then small.
    slope = ndimage.gaussian_filter1d(np.exp(base).mean(axis=0), 1.5, order=1)
    left, left_fall = _falls(slope[::-1], -t[::-1], 0.75 * usual)
    right, right_fall = _falls(-slope, t, 0.75 * usual)
    if not len(left) or not len(right):
        return -0.5 * usual, 0.5 * usual
    width, middle = left[:, None] + right[None, :], 0.5 * (right[None, :] - left[:, None])
    worth = left_fall[:, None] + right_fall[None, :]
    worth = worth - 0.5 * (np.log(width / usual) / 0.2) ** 2 - 0.5 * (middle / 9.0) ** 2
    i, k = np.unravel_index(np.argmax(worth), worth.shape)
    return -float(left[i]), float(right[k])


def _falls(fall: np.ndarray, out: np.ndarray, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """(how far out, how clear: 0 ... 2) of the places where the brightness falls outwards most steeply."""
    peak = np.zeros(len(fall), bool)
    peak[1:-1] = (fall[1:-1] >= fall[:-2]) & (fall[1:-1] > fall[2:])
    peak &= (out > 8) & (out < farthest) & (fall > 0)
    steep = fall[peak] / max(fall[peak].max(initial=0.0), 1e-9)
    return out[peak], 2.0 * np.minimum(steep / 0.4, 1.0)


def _dark_line(piece: np.ndarray, s: np.ndarray, t: np.ndarray, reach: float) -> tuple[float, float]:
    """(s, half width) where the dark line across the bone, of whatever course, crosses the middle (t = 0)."""
    core = ndimage.gaussian_filter(piece, (0.8, 1.0))[:, np.abs(t) <= 3].mean(axis=1)
    depth = ndimage.grey_closing(core, 14) - core
    # The seam says which line it is, the profile in the middle where exactly it crosses.
    value = line_response(piece, t) + 0.2 * depth - 0.001 * s**2
    k = int(np.argmax(np.where(np.abs(s) <= reach, value, -np.inf)))
    near = slice(max(k - 2, 0), k + 3)
    return _middle_of_valley(depth, s, near.start + int(np.argmax(depth[near])), 6)


def _wide_gap(piece: np.ndarray, s: np.ndarray, t: np.ndarray, reach: float) -> tuple[float, float]:
    """(s, half width) of a gap without bone."""
    core = ndimage.gaussian_filter1d(piece[:, np.abs(t) <= 8].mean(axis=1), 1.5)
    depth = ndimage.grey_closing(core, 45) - core
    return _middle_of_valley(depth, s, int(np.argmax(np.where(np.abs(s) <= reach, depth, -np.inf))), 24)


def _middle_of_valley(depth: np.ndarray, s: np.ndarray, k: int, reach: int) -> tuple[float, float]:
    """(middle, half width) between the places, within `reach` of sample k, where the valley is half as deep as at k."""
    half = 0.5 * depth[k]
    if half <= 0.01:
        return float(s[k]), 0.0

    def crossing(side: int) -> float:
        for i in range(k + side, k + side * (reach + 1), side):
            if not 0 <= i < len(depth):
                break
            if depth[i] < half:
                return s[i] - side * (half - depth[i]) / (depth[i - side] - depth[i])
        return float("nan")  # no wall on this side

    low, high = crossing(-1), crossing(1)
    if not np.isfinite(low + high):
        return float(s[k]), 0.0
    return float(0.5 * (low + high)), float(0.5 * (high - low))
