"""Closure on real films: A to B, B to C and C to A, each registered by itself, should add up to no change.

For every three films of a joint the space change is read at one origin along one axis, both carried round the loop by
the mean of the bones' motions. The robust SD is 1.4826 x the median of the absolute closure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from mcp_series import JointSeries, crop_of, in_parallel, joint_series
from registration_methods import GUIDED, JUDGED, registered

from JSNRegistrationLib.joint_measurement import pair_evidence
from JSNRegistrationLib.motion import between_pieces, inverse, scale_of
from JSNRegistrationLib.narrowing import JointFrame, carried, space_change_px
from JSNRegistrationLib.verdict import MEASURED, NOT_MEASURABLE, judge

REFUSED = "refused"


@dataclass(frozen=True)
class Loop:
    """One loop of three films: its closure in pixels of the first film, and the worst verdict of its pairs."""

    joint: str
    closure_px: float
    se_px: float
    verdict: str


def loops_of(series: JointSeries, find: Callable = crop_of, way: str = GUIDED) -> list[Loop]:
    """All loops of three films of a joint; closure NaN where a film is refused or a pair fails.

    find(path) gives a film and its joint, by default with the drawn regions.
    """
    crops = [find(path) for path in series.films]
    pairs = [(a, b) for a, b in combinations(range(len(crops)), 2) if crops[a] is not None and crops[b] is not None]
    answers = registered(way, [(crops[a][1], crops[b][1]) for a, b in pairs], spacing_known=False)
    motions, judged, errors = {}, {}, {}
    for (a, b), found in zip(pairs, answers, strict=True):
        if isinstance(found, str):
            continue
        first, second = crops[a][1], crops[b][1]
        motions[a, b] = tuple(
            between_pieces(bone.matrix, first.offset_px, second.offset_px) for bone in (found.upper, found.lower)
        )
        motions[b, a] = tuple(inverse(motion) for motion in motions[a, b])
        evidence = pair_evidence(found, first, second)
        judged[a, b] = judge(evidence).status
        errors[a, b] = evidence.se_mm / first.nominal_spacing_mm
    return [_loop(series.name, crops, motions, judged, errors, films) for films in combinations(range(len(crops)), 3)]


def _loop(name, crops, motions, judged, errors, films) -> Loop:
    a, b, c = films
    around = ((a, b), (b, c), (a, c))
    if not all(pair in motions for pair in around):
        return Loop(name, np.nan, np.nan, REFUSED)
    crop = crops[a][1]
    frame = JointFrame(np.add(crop.origin_px, crop.offset_px), np.asarray(crop.axis))
    closure, scale = 0.0, 1.0
    for upper, lower in (motions[a, b], motions[b, c], motions[c, a]):
        closure += space_change_px(upper, lower, frame.origin_px, frame.axis) / scale
        frame = carried(frame, upper, lower)
        scale *= np.sqrt(scale_of(upper) * scale_of(lower))
    verdicts = [judged[pair] for pair in around]
    worst = next((v for v in (NOT_MEASURABLE, "doubtful") if v in verdicts), MEASURED)
    return Loop(name, closure, float(np.sqrt(sum(errors[pair] ** 2 for pair in around))), worst)


def measure(shared_data: Path, part: str) -> list[dict]:
    """The table of closures, with and without the network: all loops, those not refused, those of measured pairs."""
    series = joint_series(shared_data, part, 3)
    rows = []
    for way in JUDGED:
        loops = [loop for found in in_parallel(partial(loops_of, way=way), series) for loop in found]
        rows += [row | {"pairs": f"{way}: {row['pairs']}"} for row in rows_of(part, len(series), loops)]
    return rows


def rows_of(part: str, joints: int, loops: list[Loop]) -> list[dict]:
    """The table: before the verdict, without the pairs that are not measurable, measured pairs only."""
    kept = {
        "before the verdict": [loop for loop in loops if loop.verdict != REFUSED],
        "without not measurable": [loop for loop in loops if loop.verdict in (MEASURED, "doubtful")],
        "measured only": [loop for loop in loops if loop.verdict == MEASURED],
    }
    return [_row(part, joints, len(loops), name, chosen) for name, chosen in kept.items()]


def _row(part: str, joints: int, loops: int, which: str, chosen: list[Loop]) -> dict:
    closure = np.array([loop.closure_px for loop in chosen])
    standardised = closure / [loop.se_px for loop in chosen]
    return {
        "films": f"real, {part}",
        "joints": joints,
        "pairs": which,
        "N": len(closure),
        "refused, %": round(100 * (1 - len(closure) / loops), 1),
        "robust SD, px": round(1.4826 * np.median(np.abs(closure)), 3),
        "SD, px": round(closure.std(), 3),
        "beyond 1 px, %": round(100 * np.mean(np.abs(closure) > 1), 1),
        "beyond 2 px, %": round(100 * np.mean(np.abs(closure) > 2), 1),
        "robust SD of closure / its standard error": round(1.4826 * np.median(np.abs(standardised)), 2),
    }
