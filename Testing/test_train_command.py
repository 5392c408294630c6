"""The command `train`: what it refuses, what reaches the training, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from JointQuantLib.cli import main
from JointQuantLib.devices import torch_available
from JointQuantLib.job import Progress
from JSNRegistrationLib.training.joint_training_request import TrainingRequest
from SubchondralBoneAnalysisLib.training.synthesis_training_request import SynthesisTrainingRequest

needs_torch = pytest.mark.skipif(not torch_available(), reason="PyTorch is not installed here")


@pytest.fixture
def training(monkeypatch) -> list[TrainingRequest]:
    """Puts a file in place of hours of training, and collects what was asked of it."""
    asked = []

    def train(request: TrainingRequest, folder: Path, progress: Progress) -> None:
        asked.append(request)
        (folder / "hand-joints.npz").write_text("weights")
        progress.step(1.0, "trained")

    stand_in = ModuleType("JSNRegistrationLib.training.train_joints")
    stand_in.train = train
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return asked


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str]:
    """The exit code of the command, and what it said on standard error."""
    code = main(["train", *(str(argument) for argument in arguments), "--progress", "none"])
    return code, capsys.readouterr().err


def test_without_torch_it_says_where_to_get_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, error = run(capsys, "hand-joints", "--out", tmp_path / "x")
    assert code == 2
    assert error.startswith("jointquant: training needs PyTorch")
    assert "development environment" in error
    assert "Slicer's PyTorch extension" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@needs_torch
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "MODEL"),
        (["knees"], "knees"),
        (["hand-joints"], "--out"),
        (["hand-joints", "--out", "x", "--films", "0"], "0 is none"),
        (["hand-joints", "--out", "x", "--films", "1.5"], "'1.5' is no whole number"),
        (["hand-joints", "--out", "x", "--minutes", "0"], "'0' is no number of minutes"),
        (["hand-joints", "--out", "x", "--minutes", "nan"], "'nan' is no number of minutes"),
        (["hand-joints", "--out", "x", "--device", "gpu"], "'gpu' is no device"),
        (["hand-joints", "--out", "x", "--device", "cuda:99"], "--device cuda:99 cannot be used"),
        (["hand-joints", "--out", "x", "--data", "nowhere"], "--data nowhere is no folder"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(capsys, monkeypatch, tmp_path, training, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, error = run(capsys, *arguments)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert training == []
    assert list(tmp_path.iterdir()) == []


@needs_torch
@pytest.mark.parametrize("data", ["x", "x/films"])
def test_films_inside_the_folder_to_be_replaced_are_refused(capsys, tmp_path, training, data):
    (tmp_path / "x" / "films").mkdir(parents=True)
    (tmp_path / "x" / "result.json").write_text('{"schema": "jointquant-training/1"}')
    code, error = run(capsys, "hand-joints", "--out", tmp_path / "x", "--data", tmp_path / data, "--overwrite")
    assert code == 2
    assert "lies in the folder that would be replaced" in error
    assert training == []


@needs_torch
def test_what_was_asked_reaches_the_training_and_the_result(capsys, tmp_path, training):
    options = ["--seed", 7, "--films", 300, "--minutes", 2.5, "--data", tmp_path, "--device", "cpu"]
    assert run(capsys, "hand-joints", "--out", tmp_path / "x", *options) == (0, "")
    assert training == [TrainingRequest(seed=7, films=300, minutes=2.5, data=tmp_path, device="cpu")]
    result = json.loads((tmp_path / "x" / "result.json").read_text("utf-8"))
    assert (result["schema"], result["job"]) == ("jointquant-training/1", "train hand-joints")
    assert (result["device"], result["seed"]) == ("cpu", 7)
    assert result["parameters"]["films"] == 300
    assert str(tmp_path) not in json.dumps(result["parameters"])
    assert (tmp_path / "x" / "hand-joints.npz").read_text() == "weights"


@needs_torch
def test_a_training_may_replace_an_earlier_one(capsys, tmp_path, training):
    for arguments in ([], ["--overwrite"]):
        assert run(capsys, "hand-joints", "--out", tmp_path / "x", *arguments) == (0, "")
    assert training[0] == training[1]
    assert training[0].device in ("cpu", "cuda", "mps")  # resolved, never auto


def test_the_command_that_trains_it_again_names_no_folder():
    assert TrainingRequest().command() == "jointquant train hand-joints --seed 0 --device cpu"
    asked = TrainingRequest(seed=3, films=20000, minutes=1.5, data=Path("a") / "films", device="cuda:1")
    assert asked.command() == (
        "jointquant train hand-joints --seed 3 --films 20000 --minutes 1.5 --data films --device cuda:1"
    )


# ------------------------------------------------------------------------------------------------ train synthesis

needs_monai = pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI is not installed here")


@pytest.fixture
def synthesis(monkeypatch) -> list[SynthesisTrainingRequest]:
    """The same in place of the training of the synthetic CT."""
    asked = []

    def train(request: SynthesisTrainingRequest, _folder: Path, progress: Progress) -> None:
        asked.append(request)
        progress.step(1.0, "trained")

    stand_in = ModuleType("SubchondralBoneAnalysisLib.training.train_synthesis")
    stand_in.train = train
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return asked


@needs_torch
@needs_monai
def test_a_training_of_the_synthetic_ct_keeps_its_checkpoints_beside_the_result(capsys, tmp_path, synthesis):
    (tmp_path / "cohort").mkdir()
    options = ["--data", tmp_path / "cohort", "--unpaired", "--steps", 5, "--patience", 2, "--device", "cpu"]
    assert run(capsys, "synthesis", "--out", tmp_path / "x", *options) == (0, "")
    assert run(capsys, "synthesis", "--out", tmp_path / "y", *options, "--resume", "--keep", tmp_path / "k") == (0, "")
    first, second = synthesis
    assert (first.keep, first.resume) == (tmp_path / "x.training", False)
    assert (second.keep, second.resume) == (tmp_path / "k", True)
    assert (first.unpaired, first.steps, first.patience, first.minutes, first.device) == (True, 5, 2, None, "cpu")
    result = json.loads((tmp_path / "x" / "result.json").read_text("utf-8"))
    assert result["job"] == "train synthesis"
    assert str(tmp_path) not in json.dumps(result["parameters"])


@needs_torch
@needs_monai
def test_a_synthetic_ct_needs_a_cohort_to_learn_from(capsys, tmp_path, synthesis):
    code, error = run(capsys, "synthesis", "--out", tmp_path / "x", "--data", tmp_path / "nowhere")
    assert code == 2
    assert "is no folder: give a cohort" in error
    assert synthesis == []
