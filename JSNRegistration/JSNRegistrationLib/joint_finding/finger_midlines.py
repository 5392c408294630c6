"""From a whole-hand film to the midlines of its fingers, tip first.

Everything is measured in the radius of the largest circle inside the palm, so the pixel spacing need not be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.graph import MCP_Geometric

# Coarse pixels per palm radius: about 0.5 mm on an adult hand, whose palm circle has a radius near 40 mm.
PALM_RADIUS = 80
_FIRST_LOOK = 480  # rows or columns (the longer) of the first, rough look at the film
_MOST_PATHS = 9


@dataclass(frozen=True)
class CoarseHand:
    """A film shrunk so that the palm has a radius of PALM_RADIUS pixels. Points here are (row, column)."""

    scale: float  # film pixels per coarse pixel
    mask: np.ndarray  # bool, the hand with the forearm
    depth: np.ndarray  # distance to the outside of the mask
    bone: np.ndarray  # brightness against the surroundings, in local standard deviations

    @property
    def palm(self) -> np.ndarray:
        return np.array(np.unravel_index(np.argmax(self.depth), self.depth.shape), float)


def shrink(pixels: np.ndarray, factor: float) -> np.ndarray:
    """The film [row, column] sampled at every `factor` pixels; pixel (0, 0) keeps its centre."""
    smooth = ndimage.gaussian_filter(pixels, factor / 2.5) if factor > 1 else pixels
    rows, columns = (int((n - 1) / factor) + 1 for n in pixels.shape)
    grid = np.meshgrid(np.arange(rows) * factor, np.arange(columns) * factor, indexing="ij")
    return ndimage.map_coordinates(smooth, grid, order=1, mode="nearest")


def stretch(pixels: np.ndarray) -> np.ndarray:
    """Brightness between 0 (dark background) and about 1 (bright bone)."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1.2)


def log_brightness(pixels: np.ndarray) -> np.ndarray:
    """Logarithm of the stretched brightness, so that a gap in the thick palm counts as much as one in a thin finger."""
    return np.log(stretch(pixels) + 0.1)


def look_coarsely(pixels: np.ndarray) -> CoarseHand | None:
    """The hand at the coarse scale; None where nothing on the film is as large as a palm."""
    first = max(max(pixels.shape) / _FIRST_LOOK, 1.0)
    mask = _hand_mask(shrink(pixels, first))
    radius = ndimage.distance_transform_edt(mask).max() if mask.any() else 0
    if radius < 0.06 * min(mask.shape):
        return None
    scale = radius * first / PALM_RADIUS
    coarse = shrink(pixels, scale)
    mask = _hand_mask(coarse)
    return CoarseHand(scale, mask, ndimage.distance_transform_edt(mask), _bone_contrast(coarse, mask))


def _hand_mask(pixels: np.ndarray) -> np.ndarray:
    bright = stretch(pixels)
    dark = bright[np.sqrt(bright) < threshold_otsu(np.sqrt(bright))] if np.ptp(bright) > 0 else bright
    # The background is not always zero: a collimated, scattered background is subtracted before the threshold.
    lifted = np.sqrt(np.clip(ndimage.gaussian_filter(bright, 1) - np.median(dark), 0, None))
    if not np.ptp(lifted) > 0:
        return np.zeros(pixels.shape, bool)
    # Fingertips are thinner than the palm that dominates Otsu's bright class, hence three quarters of it.
    mask = ndimage.binary_opening(lifted > 0.75 * threshold_otsu(lifted), iterations=2)
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    # The thickest piece: side letters and collimator edges are thin.
    thickest = labels.flat[np.argmax(ndimage.distance_transform_edt(mask))]
    return ndimage.binary_fill_holes(labels == thickest)


def _bone_contrast(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    inside, reach = mask.astype(np.float32), 0.16 * PALM_RADIUS
    weight = ndimage.gaussian_filter(inside, reach) + 1e-3
    logs = log_brightness(pixels)
    difference = ndimage.gaussian_filter(logs, 1.0) - ndimage.gaussian_filter(logs * inside, reach) / weight
    spread = np.sqrt(ndimage.gaussian_filter(difference**2 * inside, reach) / weight) + 0.02
    return np.where(mask, difference / spread, -3.0)


def wrist_directions(hand: CoarseHand) -> list[np.ndarray]:
    """Unit (row, column) directions from the palm to what may be the forearm, the likeliest first."""
    rows, columns = np.indices(hand.mask.shape)
    offset = np.stack([rows - hand.palm[0], columns - hand.palm[1]], -1)
    away = np.hypot(offset[..., 0], offset[..., 1])
    labels, count = ndimage.label(hand.mask & (away > 1.35 * PALM_RADIUS))
    if count == 0:
        return []
    thickness = ndimage.maximum(hand.depth, labels, np.arange(1, count + 1))
    found = []
    for label in 1 + np.argsort(thickness)[::-1][:2]:
        if found and thickness[label - 1] < 0.55 * thickness.max():
            break
        # Only the piece next to the palm: a long forearm may bend away from the hand.
        direction = offset[(labels == label) & (away < 1.8 * PALM_RADIUS)].mean(axis=0)
        found.append(direction / np.hypot(*direction))
    return found


def finger_midlines(hand: CoarseHand, wrist: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(carpus, midlines): the middle of the carpus (row, column) and (n, 2) lines of step 1, each from a tip to it.

    Cheapest paths along bone from the carpus; the farthest bone is a fingertip, what lies around its path is taken
    away, and the farthest that is left is the next one (the order of TEASAR, Sato et al. 2000). There may be more
    lines than fingers: which are fingers is decided by their joints.
    """
    carpus = hand.palm + 0.7 * PALM_RADIUS * wrist
    rows, columns = np.indices(hand.mask.shape)
    down, right = rows - carpus[0], columns - carpus[1]
    away = np.hypot(down, right)
    ahead = down * wrist[0] + right * wrist[1] < 0.45 * away  # not the forearm
    bone = ndimage.gaussian_filter(hand.bone, 1.5)
    cost = 1 + 12 * np.exp(-1.6 * np.clip(bone, -3, 3))
    cost[away < 0.3 * PALM_RADIUS] = 1  # every metacarpal may leave the carpus by itself
    walkable = hand.mask & (ahead | (away < 0.5 * PALM_RADIUS))
    start = tuple(np.clip(np.round(carpus).astype(int), 0, np.array(cost.shape) - 1))
    walkable[start] = True
    search = MCP_Geometric(np.where(walkable, cost, -1))  # negative: no way through
    reached, _ = search.find_costs([start])
    tips = walkable & ahead & (bone > 0.2) & (away > 1.3 * PALM_RADIUS) & np.isfinite(reached)
    lines = []
    while tips.any() and len(lines) < _MOST_PATHS:
        tip = np.unravel_index(np.argmax(np.where(tips, reached, -1)), reached.shape)
        path = np.array(search.traceback(tip))
        around = np.ones(tips.shape, bool)
        around[path[:, 0], path[:, 1]] = False
        tips &= ndimage.distance_transform_edt(around) > 0.22 * PALM_RADIUS
        lines.append(_centred(path[::-1].astype(float), hand.bone))
    return carpus, lines


def _centred(path: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """The path moved to the middle of the bone and smoothed, lengthened a little beyond the bone's tip."""
    line = smooth_line(even_steps(path), 6)
    beyond = line[0] - line[min(8, len(line) - 1)]
    beyond /= np.hypot(*beyond) + 1e-9
    line = np.vstack([line[0] + beyond * np.arange(8, 0, -1)[:, None], line])
    for sigma in (8, 6):
        across, t = cut_strip(bone, line, 12)
        weight = ndimage.gaussian_filter1d(np.clip(across + 0.3, 0, 1.5) * np.exp(-0.5 * (t / 6) ** 2), 4, axis=0)
        offset = ndimage.gaussian_filter1d((weight * t).sum(1) / (weight.sum(1) + 1e-6), 3)
        line = smooth_line(even_steps(line + 1.5 * offset[:, None] * normals(line)[1]), sigma)
    return even_steps(line)


def even_steps(line: np.ndarray, step: float = 1.0) -> np.ndarray:
    """The polyline (n, 2) resampled at equal steps."""
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0, length[-1], step)
    return np.stack([np.interp(at, length, line[:, 0]), np.interp(at, length, line[:, 1])], 1)


def smooth_line(line: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of a polyline (n, 2), turned over about its ends so that they stay in place."""
    n = min(int(4 * sigma), len(line) - 1)
    longer = np.vstack([2 * line[0] - line[n:0:-1], line, 2 * line[-1] - line[-2 : -n - 2 : -1]])
    return ndimage.gaussian_filter1d(longer, sigma, axis=0)[n : n + len(line)]


def normals(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit tangents and unit normals (n, 2) of a polyline in (row, column)."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.hypot(*tangent.T)[:, None] + 1e-9
    return tangent, np.stack([-tangent[:, 1], tangent[:, 0]], 1)


def cut_strip(image: np.ndarray, line: np.ndarray, half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """(strip, t): the image straightened along a line: strip [along, across] with steps of 1, and the offsets t."""
    t = np.arange(-half_width, half_width + 0.5)
    points = line[:, None, :] + t[None, :, None] * normals(line)[1][:, None, :]
    return ndimage.map_coordinates(image, points.transpose(2, 0, 1), order=1, mode="nearest"), t
