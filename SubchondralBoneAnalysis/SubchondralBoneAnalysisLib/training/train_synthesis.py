"""Fits the network that makes a CT of an MR: read it top to bottom. Needs torch and MONAI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from JointQuantLib import devices
from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.weights import TRAINED_ON_SIMULATED, ManifestEntry, write_weights
from SubchondralBoneAnalysisLib.cohort_folder import COHORT, Participant, read_participants
from SubchondralBoneAnalysisLib.ct_synthesis.generator import arrays_of
from SubchondralBoneAnalysisLib.synthesis import MODEL
from SubchondralBoneAnalysisLib.training import paired_learning, unpaired_learning
from SubchondralBoneAnalysisLib.training.knee_slices import KneeSlices
from SubchondralBoneAnalysisLib.training.paired_learning import PairedLearning
from SubchondralBoneAnalysisLib.training.slice_samples import Drawing, Pieces
from SubchondralBoneAnalysisLib.training.synthesis_fitting import Course, Learning, fit
from SubchondralBoneAnalysisLib.training.synthesis_set import Said, paired_knees, unpaired_knees
from SubchondralBoneAnalysisLib.training.synthesis_training_request import SynthesisTrainingRequest
from SubchondralBoneAnalysisLib.training.unpaired_learning import UnpairedLearning

STEPS = 8000
EVERY = 8  # one of so many is kept for the checks, where the cohort names none of them validation
CHECK_PIECES, CHECK_SEED = 16, 1
KEEP = "training"


def train(request: SynthesisTrainingRequest, folder: Path, progress: Progress) -> None:
    """Write the weights of the generator and their manifest into `folder`.

    Slices and the checkpoint go to `request.keep`, else into a folder beside the weights; what is there is used again.

    :raises BadInput: the cohort, a file of it or the checkpoint cannot be used.
    :raises Cancelled: the job was stopped; the checkpoint stays in `request.keep`.
    """
    keep = Path(request.keep or Path(folder) / KEEP)
    keep.mkdir(parents=True, exist_ok=True)
    learners, checks = _participants(request.data)
    rng = np.random.default_rng(request.seed)
    with devices.full_precision():
        torch.manual_seed(request.seed)
        cutting, learning_progress = progress.part(0.0, 0.1), progress.part(0.1, 1.0)
        prepare = _unpaired if request.unpaired else _paired
        learning, check_on = prepare(request, learners, checks, rng, keep, cutting)
        course = fit(learning, request, request.steps or STEPS, rng, check_on, keep, learning_progress)
        _write(request, Path(folder), learning, course, len(learners), learning.check(check_on))


def _participants(cohort: Path) -> tuple[list[Participant], list[Participant]]:
    """Those to learn from, and those to check with: of the split validation, else some that are not learned from."""
    everyone = read_participants(Path(cohort))
    learners, checks = ([one for one in everyone if one.split == split] for split in ("train", "validation"))
    if not learners:
        raise BadInput(f"{cohort} has nobody in the split train: name in participants.csv those to learn from.")
    if checks or len(learners) == 1:
        return learners, checks or learners
    checks = learners[::EVERY]
    return [one for one in learners if one not in checks], checks


def _paired(request, learners, checks, rng, keep: Path, progress: Progress) -> tuple[Learning, Pieces]:
    edge = paired_learning.COARSE_EDGE
    knees, known = (
        paired_knees(part, keep, said) for part, said in zip((learners, checks), _said(progress), strict=True)
    )
    return PairedLearning(Drawing(knees, edge, rng), request.device), _check_pieces(known, edge)


def _unpaired(request, learners, checks, rng, keep: Path, progress: Progress) -> tuple[Learning, Pieces]:
    edge = unpaired_learning.EDGE
    (mr, ct), (known, _) = (
        unpaired_knees(part, keep, said) for part, said in zip((learners, checks), _said(progress), strict=True)
    )
    learning = UnpairedLearning(Drawing(mr, edge, rng), Drawing(ct, edge, rng), request.device)
    return learning, _check_pieces(known, edge)


def _said(progress: Progress) -> tuple[Said, Said]:
    """How far the cutting of slices is, of those to learn from and then of those to check with."""
    parts = progress.part(0.0, 0.8), progress.part(0.8, 1.0)
    return tuple(lambda done, part=part: part.step(done, "Cutting slices of MR and CT") for part in parts)


def _check_pieces(knees: list[KneeSlices], edge: int) -> Pieces:
    return Drawing(knees, edge, np.random.default_rng(CHECK_SEED)).pieces(CHECK_PIECES)


def _write(request, folder: Path, learning, course: Course, knees: int, check: dict[str, float]) -> None:
    measured = {f"{name}_of_checked_pieces": round(value, 4) for name, value in check.items()}
    measured |= {"steps": course.step, "minutes": round(course.seconds / 60, 1)}
    simulated = _is_simulated(Path(request.data))
    what = f"{knees} {'simulated ' if simulated else ''}knees, {'unpaired' if request.unpaired else 'paired'} MR and CT"
    label = TRAINED_ON_SIMULATED if simulated else "trained on the user's own images"
    arrays = arrays_of(learning.generator.kept)
    write_weights(folder, MODEL, arrays, ManifestEntry(request.command(), request.seed, what, label, measured))


def _is_simulated(cohort: Path) -> bool:
    """Only a simulated cohort has the definition that makes it again."""
    try:
        return "sha256_of_definition" in json.loads((cohort / COHORT).read_text("utf-8"))
    except (OSError, ValueError):
        return False
