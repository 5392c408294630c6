"""Sensitivity on real films: one bone is moved by a known amount, and the answer must follow it.

Closure cannot see a method that always answers zero. Here the drawn region of one bone is taken out of a real film as
a layer above the soft tissue (filled in from around the bones), moved along the joint axis by -0.6 to +0.3 mm and a
little sideways, put back, and noise is added to both films. The slope of the estimate on the truth must be 1.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from mcp_series import ASSUMED_SPACING_MM, JointSeries, crop_of, in_parallel, joint_series
from registration_methods import JUDGED, registered
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.narrowing import space_change_px
from JSNRegistrationLib.registration import JointRegistration

NOISE = 0.012  # of the contrast of the film: about the grain of these films
MOVED_TWICE = 2  # each film with two motions: the upper bone, then the lower one
MOST_WIDER_MM, MOST_NARROWER_MM = 0.3, -0.6


def pairs_of(series: JointSeries, way: str) -> list[tuple[float, float]]:
    """(true change, estimate) in pixels for the first usable film of a joint."""
    crop = next((found[1] for found in map(crop_of, series.films) if found is not None), None)
    if crop is None:
        return []
    rng = np.random.default_rng([int(c) for c in series.name.encode()])
    moved = []
    for which in range(MOVED_TWICE):
        true = rng.uniform(MOST_NARROWER_MM, MOST_WIDER_MM) / ASSUMED_SPACING_MM
        moved.append((true, *with_one_bone_moved(crop, true, rng, ("upper", "lower")[which])))
    answers = registered(way, [(first, second) for _, first, second in moved], spacing_known=False)
    return [(true, _estimate(answer, first)) for (true, first, _), answer in zip(moved, answers, strict=True)]


def _estimate(answer: JointRegistration, first: JointCrop) -> float:
    return space_change_px(answer.upper.matrix, answer.lower.matrix, np.array(first.origin_px), np.array(first.axis))


def with_one_bone_moved(
    crop: JointCrop, change_px: float, rng: np.random.Generator, bone: str
) -> tuple[JointCrop, JointCrop]:
    """The crop and a second visit in which one bone has moved so that the joint space changed by `change_px`."""
    film = crop.pixels.astype(float)
    own, other = (crop.upper, crop.lower) if bone == "upper" else (crop.lower, crop.upper)
    soft = _filled(film, _grown(own, 5) | _grown(other, 3))
    layer = ndimage.gaussian_filter(_grown(own, 3).astype(float), 1.0) * ~other * (film - soft)
    axis = np.asarray(crop.axis)
    away = 1.0 if bone == "upper" else -1.0
    motion = away * change_px * axis + rng.uniform(-2.0, 2.0) * np.array([-axis[1], axis[0]])
    moved = film - layer + ndimage.shift(layer, motion[::-1], order=5, mode="nearest")
    region = ndimage.shift(own.astype(float), motion[::-1], order=1) > 0.5
    grain = NOISE * np.ptp(np.percentile(film, (1, 99)))
    films = [(picture + rng.normal(0.0, grain, film.shape)).astype(np.float32) for picture in (film, moved)]
    origin = tuple(np.add(crop.origin_px, motion / 2))
    return replace(crop, pixels=films[0]), replace(crop, pixels=films[1], origin_px=origin, **{bone: region})


def measure(shared_data: Path, part: str) -> list[dict]:
    """The table of slopes over all joints of a part, with and without the network."""
    series = joint_series(shared_data, part, 1)
    return [_row(part, way, in_parallel(partial(pairs_of, way=way), series)) for way in JUDGED]


def _row(part: str, way: str, found: list[list[tuple[float, float]]]) -> dict:
    true, estimate = np.array([pair for pairs in found for pair in pairs]).T
    error = estimate - true
    return {
        "films": f"real, {part}, one bone moved",
        "pairs": way,
        "N": len(true),
        "slope on truth": round(np.polyfit(true, estimate, 1)[0], 4),
        "mean error, px": round(error.mean(), 3),
        "SD of error, px": round(error.std(), 3),
        "worst, px": round(np.abs(error).max(), 3),
    }


def _grown(region: np.ndarray, reach_px: float) -> np.ndarray:
    return ndimage.distance_transform_edt(~region) <= reach_px


def _filled(film: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The film with a hole filled smoothly from around it."""
    filled, known = np.where(hole, 0.0, film), ~hole
    done = known.copy()
    for reach in (2, 4, 8, 16, 32, 64):
        weight = ndimage.gaussian_filter(known.astype(float), reach)
        value = ndimage.gaussian_filter(np.where(known, film, 0.0), reach)
        now = ~done & (weight > 0.02)
        filled[now] = value[now] / weight[now]
        done |= now
    for _ in range(50):
        filled[hole] = ndimage.gaussian_filter(filled, 3.0)[hole]
    return filled
