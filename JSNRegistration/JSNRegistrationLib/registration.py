"""One joint in two films: the motion of both bones, both ways and averaged, with its covariance and fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from JSNRegistrationLib.bones import CLASSICAL, JointCrop
from JSNRegistrationLib.features import FeatureLevel, feature_levels
from JSNRegistrationLib.motion import BoneMotion, halfway, inverse
from JSNRegistrationLib.refinement import Refinement, refine
from JSNRegistrationLib.starting_motion import back, frames_matched, searched

MAGNIFICATION_SD = 0.01  # a finger lies 0 to 20 mm above the detector, the tube about a metre away
UNKNOWN_SCALE_SD = 0.03  # two films of unknown spacing, cut alike

# The sandwich covariance sees noise, not all that a turned finger or a new exposure does to a picture. On 144 simulated
# joints the error was 3.3 times its standard error (easy 2.8, medium 3.9, hard 3.2; README, "How sure a number is").
SE_FACTOR = 3.3
BLANK = "a film is blank there"
TOO_LITTLE_SEEN = "too little of the bones is seen in both films"


@dataclass(frozen=True)
class PreparedCrop:
    """A crop with the pictures in which it is compared, and the spacing of its film where that is known (mm)."""

    crop: JointCrop
    levels: tuple[FeatureLevel, ...]
    spacing_mm: float | None


@dataclass(frozen=True)
class JointRegistration:
    """Motions of the bones of a joint between two crops (crop pixels), what they leave open and how they fit.

    ``covariance`` (7 x 7), in the order of ``Refinement.covariance``, is calibrated: it holds what was seen to go wrong
    on joints with known motion, not only what the noise does. ``forward`` and ``backward`` are what each way alone
    answers (2 x 3, upper and lower, both from the first crop to the second). ``expected_scale`` is *to* pixels per
    *from* pixel by the spacings alone.
    """

    upper: BoneMotion
    lower: BoneMotion
    covariance: np.ndarray
    forward: tuple[np.ndarray, np.ndarray]
    backward: tuple[np.ndarray, np.ndarray]
    expected_scale: float
    registered_by: str = CLASSICAL  # or NETWORK


def prepare(crop: JointCrop, spacing_mm: float | None) -> PreparedCrop:
    """A crop made ready for registration."""
    return PreparedCrop(crop, feature_levels(crop), spacing_mm)


def register(first: PreparedCrop, second: PreparedCrop) -> JointRegistration:
    """Register the bones of a joint from the first crop to the second.

    Tries the start from the joint frames and the searched one, keeps the better after the coarse level, refines it both
    ways and takes the halfway of both answers: neither film is the reference, and the bias that the interpolation of
    one film brings cancels (film registration guide: RMSE .0171 to .0148 mm). Raises ValueError where a bone has too
    few pixels in a crop or a crop is blank, LinAlgError where too little of a bone is seen in both.
    """
    if not (np.ptp(first.crop.pixels) and np.ptp(second.crop.pixels)):
        raise ValueError(BLANK)
    scale = expected_scale(first.spacing_mm, second.spacing_mm)
    start = frames_matched(first.crop, second.crop, scale[0])
    candidates = [(start, start), searched(first.crop, first.levels[0], second.levels[0], start)]
    log_scale = (float(np.log(scale[0])), scale[1])
    coarse = [
        refine(first.crop, first.levels, second.crop, second.levels, c, log_scale, last_level=1) for c in candidates
    ]
    best = max(coarse, key=_fit)
    begin = (best.upper.matrix, best.lower.matrix)
    forth = refine(first.crop, first.levels, second.crop, second.levels, begin, log_scale, first_level=1)
    backward_scale = (-log_scale[0], log_scale[1])
    home = refine(second.crop, second.levels, first.crop, first.levels, back(begin), backward_scale, first_level=1)
    return _both_ways(forth, home, scale[0])


def expected_scale(first_mm: float | None, second_mm: float | None) -> tuple[float, float]:
    """Expected scale between films of these spacings (*to* pixels per *from* pixel; None where one is unknown) and the
    standard deviation of its logarithm."""
    if first_mm and second_mm:
        return first_mm / second_mm, MAGNIFICATION_SD
    return 1.0, UNKNOWN_SCALE_SD


def _fit(refinement: Refinement) -> float:
    return refinement.upper.similarity + refinement.lower.similarity


def _both_ways(forth: Refinement, home: Refinement, expected_scale: float) -> JointRegistration:
    returned = (inverse(home.upper.matrix), inverse(home.lower.matrix))
    bones = [
        BoneMotion(
            halfway(ahead.matrix, back_home), min(ahead.similarity, came.similarity), min(ahead.cover, came.cover)
        )
        for ahead, back_home, came in zip((forth.upper, forth.lower), returned, (home.upper, home.lower), strict=True)
    ]
    ahead = (forth.upper.matrix, forth.lower.matrix)
    return JointRegistration(*bones, SE_FACTOR**2 * forth.covariance, ahead, returned, expected_scale)
