"""Whether a number may be trusted: measured, doubtful or not measurable, and why."""

from __future__ import annotations

from dataclasses import dataclass

from JSNRegistrationLib.evidence import Evidence
from JSNRegistrationLib.mismatch import mismatch_probability

MEASURED, DOUBTFUL, NOT_MEASURABLE = "measured", "doubtful", "not_measurable"


@dataclass(frozen=True)
class Verdict:
    """``status`` is one of measured, doubtful, not_measurable; ``reason`` a sentence, empty when measured."""

    status: str
    reason: str = ""


@dataclass(frozen=True)
class _Limit:
    """Beyond `doubtful` a number is doubtful, beyond `refused` it is not given."""

    doubtful: float
    refused: float


# Set on the simulated joints and on the real films kept for development; see README, "Which numbers to trust".
LEAST_COVER = _Limit(0.80, 0.60)
LEAST_FOUND = _Limit(0.5, 0.15)
LEAST_SIMILARITY = _Limit(0.70, 0.58)
LEAST_TEXTURE = _Limit(0.45, 0.15)
MOST_MISMATCH = _Limit(0.05, 0.5)  # probability
MOST_WAYS_APART_MM = _Limit(0.15, 0.35)
MOST_SE_MM = _Limit(0.13, 0.18)
MOST_TURN_DEG = _Limit(12.0, 25.0)
MOST_MAGNIFICATION = _Limit(0.03, 0.045)


def judge(evidence: Evidence) -> Verdict:
    """The verdict of the worst limit that is passed; the first reason where refused, all of them where doubtful."""
    low = (
        (evidence.similarity, LEAST_SIMILARITY, "the two films of a bone do not match well (similarity {:.2f})"),
        (evidence.cover, LEAST_COVER, "only {:.0%} of a bone is shown by both films"),
        (evidence.found, LEAST_FOUND, evidence.found_reason or "the joint was not found with confidence ({:.2f})"),
    )
    if evidence.texture is not None:
        low += ((evidence.texture, LEAST_TEXTURE, "the texture inside a bone is not the same in both films ({:.2f})"),)
    high = (
        (mismatch_probability(evidence), MOST_MISMATCH, "the bones do not match: a mismatch is {:.0%} likely"),
        (evidence.ways_apart_mm, MOST_WAYS_APART_MM, "forward and backward registration do not agree"),
        (evidence.se_mm, MOST_SE_MM, "the standard error is large"),
        (abs(evidence.relative_turn_deg), MOST_TURN_DEG, "the bones are turned against each other by {:.0f} degrees"),
        (abs(evidence.magnification - 1.0), MOST_MAGNIFICATION, "the magnification differs by {:.1%}"),
    )
    refused = [text.format(v) for v, limit, text in low if not v >= limit.refused]
    refused += [text.format(v) for v, limit, text in high if not v <= limit.refused]
    if refused:
        return Verdict(NOT_MEASURABLE, refused[0])
    doubts = [text.format(v) for v, limit, text in low if v < limit.doubtful]
    doubts += [text.format(v) for v, limit, text in high if v > limit.doubtful]
    return Verdict(DOUBTFUL, "; ".join(doubts)) if doubts else Verdict(MEASURED)
