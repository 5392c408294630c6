"""Knowing when not to answer: joints that were made unregistrable, against good ones.

What makes a joint unregistrable was fixed by what is left of it, not by any score:

* other joint: the second film shows another finger of the same side.
* other person: the second film shows the same finger and side (simulated: the same joint) of another person.
* fused overlap (ankylosis): in the second film the joint space is gone, and out to 6 to 8 mm from its line, about as
  far as the widened ends of the bones reach, bone of another texture has taken the place of both bones and of their
  margins. Bone layers of real films are pushed over each other by the joint space and up to 2 mm more beforehand.
* motion blur: during the exposure of the second film the hand moved along half a circle 2 to 3.5 mm across: by twice
  the distance of neighbouring trabeculae (about 1 mm) or more in one direction, and by that distance in every other.

Good: the joints of ``registration_joints``. Where the truth is known (overlap, blur) the table says how many answers
are wrong in fact. The score is the method's own probability of a mismatch; its ROC area comes with the interval of
DeLong et al. 1988. ``fit_mismatch`` fits that probability, on joints of the development part only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from layer_motion import REACHES, Reach
from mcp_series import ASSUMED_SPACING_MM, in_parallel
from registration_joints import MOTIONS, REAL, SIMULATED, JointSpec, KnownJoint, make, real_films, specs
from registration_methods import JUDGED, METHODS, Answer
from scipy import ndimage

from JointQuantLib.statistics import area_under_roc
from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.verdict import MEASURED, NOT_MEASURABLE

GOOD = "good"
OTHER_JOINT, OTHER_PERSON, OVERLAP, SMEARED = "other joint", "other person", "fused overlap", "motion blur"
BAD = (OTHER_JOINT, OTHER_PERSON, OVERLAP, SMEARED)
EACH = {"evaluation": 40, "development": 24}  # unregistrable joints of every kind
GOOD_EACH = {"evaluation": 10, "development": 6}  # good joints of every source, motion and noise
OVERLAP_MM = (0.0, 2.0)  # beyond the joint space
FUSED_MM = (6.0, 8.0)  # from the joint line into each bone
FUSED_EDGE_MM = 1.0
SMEAR_MM = (2.0, 3.5)
SMEAR_STEPS = 33
TRABECULAE_MM = (0.2, 0.8)  # sigmas of the blurs between which they lie
FRESH_GRAIN = 0.012  # of the contrast, put on a film where its own was taken away
TOGETHER = 8


@dataclass(frozen=True)
class FlagTask:
    """A pair of films that is ``kind``: the first film of ``first`` and the second film of ``second``."""

    kind: str
    first: JointSpec
    second: JointSpec


@dataclass(frozen=True)
class Flagged:
    """What a method said about a pair: probability of a mismatch and verdict; ``error_mm`` NaN where no truth is."""

    method: str
    kind: str
    source: str
    mismatch: float
    verdict: str | None
    error_mm: float


def tasks(shared_data: Path | None, part: str, each: int | None = None) -> list[FlagTask]:
    """All pairs of a part."""
    good = [FlagTask(GOOD, spec, spec) for spec in specs(shared_data, part, GOOD_EACH[part] if each is None else 1)]
    return good + [task for kind in BAD for task in _bad(kind, shared_data, part, each or EACH[part])]


def flagged(chosen: Sequence[FlagTask]) -> list[Flagged]:
    """Our methods on some pairs."""
    made = [pair_of(task) for task in chosen]
    found = []
    for method in METHODS:
        if method.name not in JUDGED:
            continue
        answers = method.register([(first, second) for first, second, _ in made])
        for task, answer, (_, _, one) in zip(chosen, answers, made, strict=True):
            error = _error_mm(one, answer)
            found.append(Flagged(method.name, task.kind, task.first.source, answer.mismatch, answer.verdict, error))
    return found


def measure(shared_data: Path | None, part: str, each: int | None = None) -> list[dict]:
    """The table: how well each method tells each kind of unregistrable joint from good ones."""
    chosen = tasks(shared_data, part, each)
    found = in_parallel(flagged, [chosen[k : k + TOGETHER] for k in range(0, len(chosen), TOGETHER)])
    answers = [answer for some in found for answer in some]
    return [_row(name, kind, answers, part) for name, kind in product(JUDGED, ("all", *BAD))]


def _bad(kind: str, shared_data: Path | None, part: str, count: int) -> list[FlagTask]:
    """Pairs of one kind: half of them simulated, where that can be made, half real."""
    motions = [MOTIONS[k % 2] for k in range(count)]  # easy and medium: nothing else is wrong with them
    every = [spec for spec in specs(shared_data, part, count) if spec.noise == "low" and spec.motion != MOTIONS[-1]]
    simulated = [spec for spec in every if spec.source == SIMULATED]
    real = [spec for spec in every if spec.source == REAL]
    if kind == OTHER_JOINT:
        return _of_films(kind, shared_data, part, motions, same_finger=False)
    if kind == OTHER_PERSON:
        people = [FlagTask(kind, a, replace(a, seed=b.seed)) for a, b in pairwise(simulated)]
        return people[: count // 2] + _of_films(kind, shared_data, part, motions[count // 2 :], same_finger=True)
    if kind == OVERLAP:
        rng = np.random.default_rng(len(part))
        real = [replace(spec, reach=_closing(-rng.uniform(*OVERLAP_MM))) for spec in real]
    chosen = simulated[: count // 2] + real[: count - count // 2] if real else simulated[:count]
    return [FlagTask(kind, spec, spec) for spec in chosen]


def _closing(beyond_mm: float) -> Reach:
    return replace(REACHES["easy"], change_mm=(beyond_mm, beyond_mm), closes_to_overlap=True)


def _of_films(kind: str, shared_data: Path | None, part: str, motions: list[str], same_finger: bool) -> list[FlagTask]:
    films = real_films(shared_data, part) if shared_data is not None else ()
    firsts = [film for film in films if film.stem == "film_0"]
    finger = {film: film.parent.name.split("_", 2)[2] for film in firsts}  # side and finger
    side = {film: finger[film].split("_")[0] for film in firsts}
    found = []
    for a, b in ((a, b) for step in (1, 2, 3) for a, b in zip(firsts, firsts[step:], strict=False)):
        alike = finger[a] == finger[b] if same_finger else finger[a] != finger[b] and side[a] == side[b]
        if alike and len(found) < len(motions):
            one, two = (
                JointSpec(REAL, motions[len(found)], "low", len(found), ASSUMED_SPACING_MM, film) for film in (a, b)
            )
            found.append(FlagTask(kind, one, two))
    return found


def pair_of(task: FlagTask) -> tuple[JointCrop, JointCrop, KnownJoint | None]:
    """Both crops, and the joint with its truth, where there is one."""
    one = make(task.first)
    if task.first != task.second:
        return one.first, make(task.second).second, None
    if task.kind == GOOD:
        return one.first, one.second, one
    rng = np.random.default_rng([task.first.seed, BAD.index(task.kind)])
    return one.first, {OVERLAP: _fused, SMEARED: _smeared}[task.kind](one.second, rng), one


def _error_mm(one: KnownJoint | None, answer: Answer) -> float:
    if one is None or answer.upper is None:
        return np.nan
    return one.change_mm(answer.upper, answer.lower) - one.true_mm


def _smeared(crop: JointCrop, rng: np.random.Generator) -> JointCrop:
    """The crop smeared along half a circle that lies any way round, as a hand that moved during the exposure."""
    across, start = rng.uniform(*SMEAR_MM) / crop.nominal_spacing_mm, rng.uniform(0.0, 2.0 * np.pi)
    way = 0.5 * across * np.exp(1j * (start + np.linspace(0.0, np.pi, SMEAR_STEPS)))
    pixels = crop.pixels.astype(float)
    shifted = [ndimage.shift(pixels, (at.imag, at.real), order=1, mode="nearest") for at in way - way.mean()]
    return _with_fresh_grain(crop, np.mean(shifted, axis=0), np.ones(pixels.shape), rng)


def _fused(crop: JointCrop, rng: np.random.Generator) -> JointCrop:
    """The crop with one bone of a new texture where the joint space and the ends of both bones were."""
    spacing = crop.nominal_spacing_mm
    pixels = crop.pixels.astype(float)
    fine, coarse = (mm / spacing for mm in TRABECULAE_MM)
    bones = crop.upper | crop.lower
    weight = ndimage.gaussian_filter(bones.astype(float), 2.0 * coarse) + 1e-6
    ground = ndimage.gaussian_filter(np.where(bones, pixels, 0.0), 2.0 * coarse) / weight
    inside = ndimage.binary_erosion(bones, iterations=round(1.0 / spacing))
    texture = ndimage.gaussian_filter(pixels, fine) - ndimage.gaussian_filter(pixels, coarse)
    new = rng.standard_normal(pixels.shape)
    new = ndimage.gaussian_filter(new, fine) - ndimage.gaussian_filter(new, coarse)
    new *= np.std(texture[inside]) / np.std(new)
    rows, columns = np.indices(pixels.shape)
    along = (columns - crop.origin_px[0]) * crop.axis[0] + (rows - crop.origin_px[1]) * crop.axis[1]
    reach = rng.uniform(*FUSED_MM) / spacing
    joined = ndimage.binary_closing(np.pad(bones, 60), iterations=round(3.0 / spacing))[60:-60, 60:-60]
    zone = ndimage.gaussian_filter((joined & (np.abs(along) < reach)).astype(float), FUSED_EDGE_MM / spacing / 2.0)
    return _with_fresh_grain(crop, zone * (ground + new) + (1.0 - zone) * pixels, zone, rng)


def _with_fresh_grain(crop: JointCrop, pixels: np.ndarray, where: np.ndarray, rng: np.random.Generator) -> JointCrop:
    grain = FRESH_GRAIN * np.ptp(np.percentile(crop.pixels, (1, 99))) * rng.standard_normal(pixels.shape)
    return replace(crop, pixels=np.round(pixels + where * grain).astype(np.float32))


def _row(name: str, kind: str, answers: list[Flagged], part: str) -> dict:
    own = [a for a in answers if a.method == name]
    good = [a for a in own if a.kind == GOOD]
    bad = [a for a in own if a.kind in ((kind,) if kind != "all" else BAD)]
    row = {"films": part, "program": name, "pairs": f"{name}, {kind}", "unregistrable": len(bad), "good": len(good)}
    if not bad:
        return row
    # A score that is NaN (no answer at all) is the surest sign that there is none.
    scores = np.nan_to_num([a.mismatch for a in bad + good], nan=np.inf)
    area, (low, high) = area_under_roc(scores, [True] * len(bad) + [False] * len(good))
    errors = np.abs([a.error_mm for a in bad])
    return row | {
        "area under the ROC": round(area, 4),
        "95 % interval": f"{low:.4f} to {high:.4f}",
        "unregistrable ones refused, %": _share(bad, NOT_MEASURABLE),
        "unregistrable ones called measured, %": _share(bad, MEASURED),
        "RMSE of those with a truth, mm": (
            round(float(np.sqrt(np.nanmean(errors**2))), 4) if np.isfinite(errors).any() else ""
        ),
        "of those with a truth, wrong by more than 0.2 mm, %": (
            round(100 * float(np.mean(errors[np.isfinite(errors)] > 0.2)), 1) if np.isfinite(errors).any() else ""
        ),
        "good ones refused, %": _share(good, NOT_MEASURABLE),
        "good ones called measured, %": _share(good, MEASURED),
    }


def _share(answers: list[Flagged], verdict: str) -> float:
    return round(100 * float(np.mean([a.verdict == verdict for a in answers])), 1)
