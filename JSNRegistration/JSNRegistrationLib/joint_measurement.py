"""One joint over all visits: its bones registered in every pair of films, the pairs made to agree, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from JSNRegistrationLib.bones import JointCrop, joint_space_width, typical_width_mm
from JSNRegistrationLib.evidence import Evidence
from JSNRegistrationLib.joints import JointKey
from JSNRegistrationLib.motion import between_pieces, relative_angle, scale_of
from JSNRegistrationLib.narrowing import (
    JointFrame,
    JointSpaceChange,
    carried,
    joint_space_change,
    space_change_px,
    standard_error_px,
)
from JSNRegistrationLib.registration import JointRegistration, expected_scale
from JSNRegistrationLib.starting_motion import frames_matched
from JSNRegistrationLib.texture import texture_likeness
from JSNRegistrationLib.verdict import DOUBTFUL, MEASURED, NOT_MEASURABLE, Verdict, judge
from JSNRegistrationLib.visits import PairEstimate, agreed_motions

MOST_WIDTH_SE_MM = 0.2  # a less certain width is not given: where bones overlap, one is read that is not there
MOST_DISAGREEMENT = 3.0  # standard errors between what a pair says by itself and what all visits say together


@dataclass(frozen=True)
class SeenJoint:
    """A joint in one visit: its crop, or the reason why there is none.

    ``doubt`` says why the joint may be misplaced in this visit, ``unlike`` why it may not be the joint of an earlier
    visit, by the index of that visit. Numbers of such a joint are doubtful at best.
    """

    crop: JointCrop | None
    reason: str | None = None
    doubt: str | None = None
    unlike: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairMeasurement:
    """One joint between two visits; motions are 2 x 3 and, like the frame, in film pixels.

    ``change``, from motions that agree over all visits, is None where the joint cannot be measured; ``pairwise`` is the
    change by this pair of films alone, None where that pair alone cannot be measured. ``frames_matched`` lays the joint
    frames on each other: the pictures before registration.
    """

    from_visit: int
    to_visit: int
    verdict: Verdict
    frame: JointFrame | None = None
    frames_matched: np.ndarray | None = None
    upper: np.ndarray | None = None
    lower: np.ndarray | None = None
    change: JointSpaceChange | None = None
    pairwise: JointSpaceChange | None = None
    pairwise_upper: np.ndarray | None = None
    pairwise_lower: np.ndarray | None = None
    evidence: Evidence | None = None
    registered_by: str | None = None
    similarity: tuple[float, float] | None = None
    ways_apart_px: float | None = None


@dataclass(frozen=True)
class JointMeasurement:
    """One joint over all visits: how it was seen, its frame (film pixels) and joint space width (px, standard error)
    in each, and every pair of visits, earlier first.
    """

    name: str
    side: str | None
    seen: tuple[SeenJoint, ...]
    frames: tuple[JointFrame | None, ...]
    widths: tuple[tuple[float, float] | None, ...]
    pairs: tuple[PairMeasurement, ...]

    @property
    def key(self) -> JointKey:
        return JointKey(self.side, self.name)


def measure_joint(
    name: str,
    side: str | None,
    seen: Sequence[SeenJoint],
    spacings_mm: Sequence[float | None],
    own: Mapping[tuple[int, int], JointRegistration | str],
) -> JointMeasurement:
    """Measure one joint in all its visits.

    ``spacings_mm`` are those of the films, None where unknown; ``own`` the registrations of its crops, or why there are
    none, in all pairs of visits that show it (``register_patient``).
    """
    trusted = {
        (a, b): _in_films(found, seen[a].crop, seen[b].crop)
        for (a, b), found in own.items()
        if isinstance(found, JointRegistration)
        and judge(pair_evidence(found, seen[a].crop, seen[b].crop)).status != NOT_MEASURABLE
    }
    # What may be another joint has no say where there are visits without a doubt.
    undoubted = {(a, b): pair for (a, b), pair in trusted.items() if not _doubt(seen, a, b)}
    agreed = agreed_motions(undoubted or trusted)
    frames = _frames(seen, agreed)
    pairs = tuple(
        _pair(a, b, name, side, spacings_mm, seen, frames, own.get((a, b)), agreed.get((a, b)))
        for a, b in combinations(range(len(seen)), 2)
    )
    widths = tuple(None if s.crop is None else _width(s.crop, frame) for s, frame in zip(seen, frames, strict=True))
    return JointMeasurement(name, side, tuple(seen), frames, widths, pairs)


def _doubt(seen: Sequence[SeenJoint], a: int, b: int) -> str:
    """Why a joint may not be the same one in two visits; empty where nothing speaks against it."""
    own = [(f"visit {v + 1}: {seen[v].doubt}" if seen[v].doubt else None) for v in (a, b)]
    return "; ".join(doubt for doubt in (seen[b].unlike.get(a), *own) if doubt)


def _in_films(found: JointRegistration, first: JointCrop, second: JointCrop) -> PairEstimate:
    upper, lower = (
        between_pieces(bone.matrix, first.offset_px, second.offset_px) for bone in (found.upper, found.lower)
    )
    return PairEstimate(upper, lower, found.covariance, np.add(first.origin_px, first.offset_px))


def _own_frame(crop: JointCrop) -> JointFrame:
    return JointFrame(np.add(crop.origin_px, crop.offset_px), np.asarray(crop.axis, float))


def _frames(seen: Sequence[SeenJoint], agreed) -> tuple[JointFrame | None, ...]:
    """The frame of the first visit that shows the joint, carried to the others; a visit's own where no pair holds."""
    own = [None if s.crop is None else _own_frame(s.crop) for s in seen]
    if not agreed:
        return tuple(own)
    first = min(a for a, _ in agreed)
    return tuple(
        carried(own[first], *agreed[first, visit][:2]) if (first, visit) in agreed else frame
        for visit, frame in enumerate(own)
    )


def _width(crop: JointCrop, frame: JointFrame) -> tuple[float, float] | None:
    there = replace(crop, origin_px=tuple(frame.origin_px - crop.offset_px), axis=tuple(frame.axis))
    width, se = joint_space_width(there)
    return (width, se) if np.isfinite(width) and se * crop.nominal_spacing_mm <= MOST_WIDTH_SE_MM else None


def pair_evidence(
    found: JointRegistration, first: JointCrop, second: JointCrop, covariance: np.ndarray | None = None
) -> Evidence:
    """What speaks for and against the registration of two crops; ``covariance`` replaces the registration's own."""
    covariance = found.covariance if covariance is None else covariance
    spacing = first.nominal_spacing_mm
    origin, axis = np.asarray(first.origin_px), np.asarray(first.axis)
    apart = space_change_px(*found.forward, origin, axis) - space_change_px(*found.backward, origin, axis)
    scale = np.sqrt(scale_of(found.upper.matrix) * scale_of(found.lower.matrix))
    textures = [
        texture_likeness(first, second, region, bone.matrix)
        for region, bone in ((first.upper, found.upper), (first.lower, found.lower))
    ]
    worse = min((first, second), key=lambda crop: crop.confidence)
    return Evidence(
        similarity=min(found.upper.similarity, found.lower.similarity),
        cover=min(found.upper.cover, found.lower.cover),
        ways_apart_mm=abs(apart) * spacing,
        se_mm=standard_error_px(covariance, axis, spacing) * spacing,
        relative_turn_deg=float(np.degrees(relative_angle(found.upper.matrix, found.lower.matrix))),
        magnification=float(scale / found.expected_scale),
        found=worse.confidence,
        found_reason=worse.reason,
        texture=None if np.isnan(textures).all() else float(np.nanmin(textures)),
        registered_by=found.registered_by,
    )


def _pair(a, b, name, side, spacings_mm, seen, frames, found, agreed) -> PairMeasurement:
    missing = next((v for v in (a, b) if seen[v].crop is None), None)
    if missing is not None:
        reason = seen[missing].reason or "the joint was not found"
        return PairMeasurement(a, b, Verdict(NOT_MEASURABLE, f"visit {missing + 1}: {reason}"))
    first, second = seen[a].crop, seen[b].crop
    before = _frames_matched(first, second, expected_scale(spacings_mm[a], spacings_mm[b])[0])
    if isinstance(found, str):
        return PairMeasurement(a, b, Verdict(NOT_MEASURABLE, found), frame=frames[a], frames_matched=before)
    estimate = _in_films(found, first, second)
    spacing = first.nominal_spacing_mm
    breadth = typical_width_mm(name) / spacing
    frame = frames[a]
    pairwise_se = standard_error_px(estimate.covariance, frame.axis, spacing)
    own = joint_space_change(estimate.upper, estimate.lower, frame, pairwise_se, side, breadth)
    upper, lower, covariance = agreed if agreed is not None else (estimate.upper, estimate.lower, estimate.covariance)
    change = joint_space_change(upper, lower, frame, standard_error_px(covariance, frame.axis, spacing), side, breadth)
    evidence = pair_evidence(found, first, second, covariance)
    alone = judge(evidence)
    verdict = _doubted(_verdict(alone, agreed is not None, own, change), _doubt(seen, a, b))
    return PairMeasurement(
        a,
        b,
        verdict,
        frame=frame,
        frames_matched=before,
        upper=upper,
        lower=lower,
        change=None if verdict.status == NOT_MEASURABLE else change,
        pairwise=None if alone.status == NOT_MEASURABLE else own,
        pairwise_upper=estimate.upper,
        pairwise_lower=estimate.lower,
        evidence=evidence,
        registered_by=found.registered_by,
        similarity=(found.upper.similarity, found.lower.similarity),
        ways_apart_px=evidence.ways_apart_mm / spacing,
    )


def _verdict(alone: Verdict, agreed: bool, own: JointSpaceChange, change: JointSpaceChange) -> Verdict:
    """The verdict on the pair, in the light of what the other visits say."""
    if alone.status == NOT_MEASURABLE and agreed:
        return Verdict(DOUBTFUL, f"known through other visits only: {alone.reason}")
    if alone.status == MEASURED and abs(own.change_px - change.change_px) > MOST_DISAGREEMENT * own.se_px:
        return Verdict(
            DOUBTFUL, "the visits do not agree: this pair alone says something else than all of them together"
        )
    return alone


def _doubted(verdict: Verdict, doubt: str) -> Verdict:
    """The verdict, at best doubtful where there is a doubt that the joint is the same in both visits."""
    if not doubt or verdict.status == NOT_MEASURABLE:
        return verdict
    return Verdict(DOUBTFUL, f"{doubt}; {verdict.reason}" if verdict.reason else doubt)


def _frames_matched(first: JointCrop, second: JointCrop, scale: float) -> np.ndarray:
    return between_pieces(frames_matched(first, second, scale), first.offset_px, second.offset_px)
