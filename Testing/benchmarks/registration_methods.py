"""The ways to register a joint that are compared: ours and other programs, all called alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from peers import PEERS

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.joint_measurement import pair_evidence
from JSNRegistrationLib.registration import prepare, register
from JSNRegistrationLib.verdict import NOT_MEASURABLE, judge

Pairs = Sequence[tuple[JointCrop, JointCrop]]
OURS, PEER = "ours", "peer"
CLASSICAL = "JointQuant, classical"


@dataclass(frozen=True)
class Answer:
    """What one way answers for one joint: motions (2 x 3, crop pixels, first to second), None where it gave up.

    ``se_mm`` is the standard error of the change that it states, ``mismatch`` the probability (or any score, more is
    worse) that it is wrong, NaN where it says nothing of the kind; ``verdict`` a status of ``verdict.judge`` or None.
    """

    upper: np.ndarray | None
    lower: np.ndarray | None
    se_mm: float = np.nan
    verdict: str | None = None
    mismatch: float = np.nan


GAVE_UP = Answer(None, None)


@dataclass(frozen=True)
class Method:
    """``register`` answers for many joints at once, an answer for each; ``kind`` is ``OURS`` or ``PEER``.

    ``batched``: it uses all cores by itself, so that a patient is best handed to it as a whole.
    """

    name: str
    kind: str
    register: Callable[[Pairs], list[Answer]]
    batched: bool = False


def timed(method: Method, pairs: Pairs) -> tuple[list[Answer], float]:
    """The answers, and the processor time that they took, in seconds."""
    began = time.process_time()
    answers = method.register(pairs)
    return answers, time.process_time() - began


def classical(pairs: Pairs) -> list[Answer]:
    """Our classical core, with its standard error and its verdict."""
    return [_classical(first, second) for first, second in pairs]


def _classical(first: JointCrop, second: JointCrop) -> Answer:
    try:
        found = register(*(prepare(crop, crop.nominal_spacing_mm) for crop in (first, second)))
    except ValueError:  # LinAlgError is one
        return Answer(None, None, verdict=NOT_MEASURABLE, mismatch=1.0)
    evidence = pair_evidence(found, first, second)
    # Until a calibrated probability is there: how little the worse bone looks alike.
    return Answer(
        found.upper.matrix, found.lower.matrix, evidence.se_mm, judge(evidence).status, 1.0 - evidence.similarity
    )


def _one_by_one(peer: Callable) -> Callable[[Pairs], list[Answer]]:
    def all_of(pairs: Pairs) -> list[Answer]:
        return [_asked(peer, *pair) for pair in pairs]

    return all_of


def _asked(peer: Callable, first: JointCrop, second: JointCrop) -> Answer:
    try:
        return Answer(*peer(first, second))
    except Exception:  # whatever another program throws, it gave no answer
        return GAVE_UP


METHODS = (
    Method(CLASSICAL, OURS, classical),
    *(Method(peer.name, PEER, _one_by_one(peer)) for peer in PEERS),
)
