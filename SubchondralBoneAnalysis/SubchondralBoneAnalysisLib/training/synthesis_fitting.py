"""The loop of a training: batches, the rate, the clock, checks and checkpoints; it goes on where it was stopped."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.training.checkpoints import read_checkpoint, write_checkpoint
from SubchondralBoneAnalysisLib.training.slice_samples import Pieces
from SubchondralBoneAnalysisLib.training.synthesis_training_request import SynthesisTrainingRequest

LOG_EVERY, CHECK_EVERY, KEEP_EVERY = 25, 200, 50  # steps

log = logging.getLogger(__name__)


class Learning(Protocol):
    """Paired or unpaired."""

    def step(self, done: float) -> dict[str, float]: ...

    def check(self, pieces: Pieces) -> dict[str, float]: ...

    def state(self) -> dict[str, Any]: ...

    def go_on_from(self, state: dict[str, Any]) -> None: ...


@dataclass
class Course:
    """How far a training has come.

    :param least: the least loss of a check, `since` the number of checks after it.
    """

    step: int = 0
    seconds: float = 0.0
    least: float = math.inf
    since: int = 0


def fit(
    learning: Learning,
    request: SynthesisTrainingRequest,
    steps: int,
    rng: np.random.Generator,
    check_on: Pieces,
    keep: Path,
    progress: Progress,
) -> Course:
    """Learn for `steps` steps, or the minutes that were asked for, from the start or from the checkpoint in `keep`.

    :param rng: what draws the pieces; its state is kept with the checkpoint, so that a resumed training is the same.
    :raises BadInput: there is no checkpoint to go on from, or it is of another training.
    :raises Cancelled: the job was stopped; the last checkpoint stays.
    """
    course = _resumed(learning, request, rng, keep) if request.resume else Course()
    begun = time.monotonic() - course.seconds
    done = _done(course, steps, request.minutes)
    while done < 1 and not _worn_out(course, request.patience):
        losses = learning.step(done)
        course.step += 1
        course.seconds = time.monotonic() - begun
        done = _done(course, steps, request.minutes)
        if course.step % CHECK_EVERY == 0:
            _check(learning, course, check_on)
        if course.step % KEEP_EVERY == 0:
            _keep(learning, request, course, rng, keep)
        if course.step % LOG_EVERY == 0:
            said = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
            log.info("step %d, %.0f s: %s", course.step, course.seconds, said)
            progress.step(min(done, 1.0), f"Step {course.step}: {said}")
        else:
            progress.check()
    _keep(learning, request, course, rng, keep)
    return course


def _done(course: Course, steps: int, minutes: float | None) -> float:
    return max(course.step / steps, 0.0 if minutes is None else course.seconds / 60 / minutes)


def _worn_out(course: Course, patience: int | None) -> bool:
    return patience is not None and course.since >= patience


def _check(learning: Learning, course: Course, check_on: Pieces) -> None:
    found = learning.check(check_on)
    better = found["loss"] < course.least
    course.least, course.since = (found["loss"], 0) if better else (course.least, course.since + 1)
    log.info("step %d, check: %s", course.step, ", ".join(f"{name} {value:.4g}" for name, value in found.items()))


def _keep(learning: Learning, request: SynthesisTrainingRequest, course: Course, rng, keep: Path) -> None:
    state = {
        "asked": _identity(request),
        "course": vars(course).copy(),
        "learning": learning.state(),
        "pieces": json.dumps(rng.bit_generator.state),
        "torch": torch.get_rng_state(),
    }
    write_checkpoint(keep, state)


def _resumed(learning: Learning, request: SynthesisTrainingRequest, rng, keep: Path) -> Course:
    state = read_checkpoint(keep, request.device)
    try:
        if state["asked"] != _identity(request):
            raise BadInput(
                f"the checkpoint in {keep} is of another training ({state['asked']}): ask for the same data, kind and "
                "seed again, or train without --resume."
            )
        learning.go_on_from(state["learning"])
        rng.bit_generator.state = json.loads(state["pieces"])
        torch.set_rng_state(state["torch"].cpu())
        return Course(**state["course"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise BadInput(f"the checkpoint in {keep} is of another version: train without --resume.") from error


def _identity(request: SynthesisTrainingRequest) -> str:
    kind = "unpaired" if request.unpaired else "paired"
    return f"{kind}, data {Path(request.data).name}, seed {request.seed}"
