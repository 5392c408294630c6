"""The ways to register a joint that are compared: ours and other programs, all called alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from peers import COARSE, PEERS

from JointQuantLib.weights import read_weights
from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.joint_measurement import pair_evidence
from JSNRegistrationLib.mismatch import mismatch_probability
from JSNRegistrationLib.models import models_folder
from JSNRegistrationLib.network import RegistrationNetwork
from JSNRegistrationLib.network_registration import register_joints
from JSNRegistrationLib.registration import JointRegistration, prepare, register
from JSNRegistrationLib.registration_network import NETWORK
from JSNRegistrationLib.trained_network import fill
from JSNRegistrationLib.verdict import NOT_MEASURABLE, judge

Pairs = Sequence[tuple[JointCrop, JointCrop]]
OURS, OTHER_SEED, PEER = "ours", "ours, another training", "peer"
GUIDED = "JointQuant, network and refinement"
UNGUIDED = "JointQuant, same refinement without network"
ALONE = "JointQuant, network alone (one step)"
CLASSICAL = "JointQuant, classical core"
JUDGED = (GUIDED, CLASSICAL)  # what a user gets with PyTorch, and without
SEEDS_FOLDER = Path(__file__).with_name("registration_seeds")
OTHER_SEEDS = (2, 3)  # of the same training; the network that is shipped has the seed 1

SAMPLED = 4  # slow peers that end where another one ends (to 0.0005 mm on 18 joints) get every fourth lot


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
    """``register`` answers for many joints at once, an answer for each; ``kind`` is ``OURS``, ``OTHER_SEED`` or
    ``PEER``.

    ``batched``: it uses all cores by itself, so that a patient is best handed to it as a whole. ``every``: it is asked
    only for every so many-th lot of joints.
    """

    name: str
    kind: str
    register: Callable[[Pairs], list[Answer]]
    batched: bool = False
    every: int = 1


def timed(method: Method, pairs: Pairs) -> tuple[list[Answer], float]:
    """The answers, and the processor time that they took, in seconds."""
    began = time.process_time()
    answers = method.register(pairs)
    return answers, time.process_time() - began


def registered(
    way: str, pairs: Pairs, seed: int | None = None, spacing_known: bool = True
) -> list[JointRegistration | str]:
    """The registrations of one of our ways, or why there are none; ``seed`` takes the network of another training."""
    if way == CLASSICAL:
        return [_classical(*pair, spacing_known) for pair in pairs]
    network = None if way == UNGUIDED else _network(seed)
    steps = {"coarse_steps": 0, "guided_steps": 1} if way == ALONE else {}
    return register_joints(pairs, [spacing_known] * len(pairs), network, **steps)


def _classical(first: JointCrop, second: JointCrop, spacing_known: bool) -> JointRegistration | str:
    try:
        return register(
            *(prepare(crop, crop.nominal_spacing_mm if spacing_known else None) for crop in (first, second))
        )
    except ValueError as error:  # LinAlgError is one
        return str(error)


def ours(pairs: Pairs, way: str, seed: int | None = None) -> list[Answer]:
    """The answers of one of our ways, with their standard errors and verdicts."""
    return [_answer(found, *pair) for found, pair in zip(registered(way, pairs, seed), pairs, strict=True)]


@cache
def _network(seed: int | None) -> RegistrationNetwork:
    folder = models_folder() if seed is None else SEEDS_FOLDER / str(seed)
    network = RegistrationNetwork()
    fill(network, NETWORK.name, read_weights(folder, NETWORK.name).arrays)
    return network.eval()


def _answer(found: JointRegistration | str, first: JointCrop, second: JointCrop) -> Answer:
    if isinstance(found, str):
        return Answer(None, None, verdict=NOT_MEASURABLE, mismatch=1.0)
    evidence = pair_evidence(found, first, second)
    status, mismatch = judge(evidence).status, mismatch_probability(evidence)
    return Answer(found.upper.matrix, found.lower.matrix, evidence.se_mm, status, mismatch)


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
    *(Method(way, OURS, partial(ours, way=way), batched=True) for way in (GUIDED, UNGUIDED, ALONE)),
    *(
        Method(f"{GUIDED}, seed {seed}", OTHER_SEED, partial(ours, way=GUIDED, seed=seed), batched=True)
        for seed in OTHER_SEEDS
    ),
    Method(CLASSICAL, OURS, partial(ours, way=CLASSICAL)),
    *(Method(peer.name, PEER, _one_by_one(peer), every=SAMPLED if peer.name.endswith(COARSE) else 1) for peer in PEERS),
)
