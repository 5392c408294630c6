"""Where the registration of a joint starts: the joint frames laid on each other, or a search over turns and shifts."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.features import FeatureLevel
from JSNRegistrationLib.motion import apply, compose, inverse, motion_about
from JSNRegistrationLib.refinement import compared_regions

GRID_MM = 0.4
REACH_MM = 4.0  # of the search for the shift
TURNS_DEG = tuple(range(-18, 19, 3))


def frames_matched(crop: JointCrop, other: JointCrop, scale: float) -> np.ndarray:
    """The motion (2 x 3) that lays the origin and the axis of a joint on those in another film, at a given scale."""
    turn = np.arctan2(other.axis[1], other.axis[0]) - np.arctan2(crop.axis[1], crop.axis[0])
    origin = np.asarray(crop.origin_px, float)
    return motion_about(origin, turn, scale, np.asarray(other.origin_px, float) - origin)


def searched(
    crop: JointCrop, level: FeatureLevel, other_level: FeatureLevel, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Starts (2 x 3) for the upper and the lower bone: the best turn and shift near `start`, for each bone by itself.

    Normalised cross-correlation of the bone's region on a grid of ``GRID_MM``, for turns of up to 18 degrees and shifts
    of up to ``REACH_MM``, by FFT (Padfield 2012, IEEE Trans Image Process 21:2706, for a region of any shape).
    """
    step = GRID_MM / crop.nominal_spacing_mm
    half = int(np.ceil(12.0 / GRID_MM))
    down, right = np.mgrid[-half : half + 1, -half : half + 1] * step
    return tuple(
        _search_bone(crop, region, level.picture, other_level.picture, start, np.stack([right, down], axis=-1), step)
        for region in compared_regions(crop)
    )


def _search_bone(crop, region, picture, other_picture, start, grid, step) -> np.ndarray:
    origin = np.asarray(crop.origin_px, float)
    template = _sample(picture, origin + grid)
    inside = _sample(region.astype(float), origin + grid) > 0.5
    reach = int(REACH_MM / GRID_MM)
    best = (-np.inf, start)
    for turn in TURNS_DEG:
        turned = compose(start, motion_about(origin, np.radians(turn), 1.0, np.zeros(2)))
        seen = _sample(other_picture, apply(turned, origin + grid))
        score, row, column = _best_shift(template, inside, seen, reach)
        if score > best[0]:
            offset = np.array([column, row]) * step
            best = (score, compose(turned, motion_about(origin, 0.0, 1.0, offset)))
    return best[1]


def _best_shift(template, inside, seen, reach: int) -> tuple[float, int, int]:
    """Largest correlation of the template with the shifted picture, and that shift in grid steps (rows, columns)."""
    mask = inside.astype(float)
    count = mask.sum()
    if count < 20:
        return -np.inf, 0, 0
    values = np.where(inside, template - template[inside].mean(), 0.0)
    shape = [fft.next_fast_len(n + reach, real=True) for n in template.shape]
    picture, squares = fft.rfft2(seen, shape), fft.rfft2(seen**2, shape)

    def slid(kernel, spectrum):
        return fft.irfft2(np.conj(fft.rfft2(kernel, shape)) * spectrum, shape)

    product = slid(values, picture)
    spread = slid(mask, squares) - slid(mask, picture) ** 2 / count
    score = product / np.sqrt(np.maximum(spread, 1e-6 * count) * np.sum(values**2) + np.finfo(float).tiny)
    window = np.roll(score, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    row, column = np.unravel_index(np.argmax(window), window.shape)
    return float(window[row, column]), int(row) - reach, int(column) - reach


def _sample(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(picture, [points[..., 1], points[..., 0]], order=1, mode="constant")


def back(starts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Starts for the way back."""
    return inverse(starts[0]), inverse(starts[1])
