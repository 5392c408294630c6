"""Training of the synthetic CT: pairs lie on each other, learning lowers the loss, a resumed training is the same."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from synthesis_scenes import SHIFT_LPS, leg, places, write_cohort

from JointQuantLib.errors import BadInput, Cancelled
from JointQuantLib.job import Progress
from JointQuantLib.weights import read_weights
from SubchondralBoneAnalysisLib.cohort_folder import read_participants
from SubchondralBoneAnalysisLib.ct_synthesis.slices import to_slices
from SubchondralBoneAnalysisLib.synthesis import MODEL
from SubchondralBoneAnalysisLib.training.synthesis_training_request import SynthesisTrainingRequest
from SubchondralBoneAnalysisLib.volume import read_volume

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
pytest.importorskip("monai", reason="MONAI is not installed here")

from SubchondralBoneAnalysisLib.training import paired_learning, synthesis_fitting, train_synthesis  # noqa: E402
from SubchondralBoneAnalysisLib.training.checkpoints import CHECKPOINT  # noqa: E402
from SubchondralBoneAnalysisLib.training.mr_variation import Batch, moved, varied  # noqa: E402
from SubchondralBoneAnalysisLib.training.slice_samples import Drawing  # noqa: E402
from SubchondralBoneAnalysisLib.training.synthesis_losses import structure_loss  # noqa: E402
from SubchondralBoneAnalysisLib.training.synthesis_set import paired_knees  # noqa: E402

SILENT = Progress("none")


class StopsAt(Progress):
    """As a user who cancels when that many steps are done."""

    def __init__(self, steps: int) -> None:
        super().__init__("none")
        self.left = [steps]

    def check(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Cancelled("the job was cancelled")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pieces and checks of a size that a test has time for."""
    for name, value in {"EDGE": 64, "COARSE_EDGE": 64, "COARSE_BATCH": 4}.items():
        monkeypatch.setattr(paired_learning, name, value)
    monkeypatch.setattr(train_synthesis.unpaired_learning, "EDGE", 32)
    monkeypatch.setattr(train_synthesis, "CHECK_PIECES", 4)


def trained(request: SynthesisTrainingRequest, folder) -> dict[str, np.ndarray]:
    train_synthesis.train(request, folder, SILENT)
    return read_weights(folder, MODEL).arrays


def test_the_ct_of_a_pair_lies_on_its_mr(cohort, tmp_path):
    one = read_participants(cohort)[1]
    (knee,) = paired_knees([one], tmp_path, lambda _: None)
    there = places(to_slices(read_volume(one.mr))) - SHIFT_LPS
    inside, _ = leg(there)
    assert knee.hu.shape == knee.mr.shape == there.shape[:3]
    # Partial volumes at surfaces, of slices 3 mm thick, are neither.
    deep = np.linalg.norm(there, axis=-1) < 11
    assert knee.hu[deep].min() > 500
    radius = np.linalg.norm(there, axis=-1)
    assert np.abs(knee.hu[inside & (radius > 17) & (np.hypot(there[..., 0], there[..., 1]) < 25)]).max() < 100
    assert (knee.bone[deep] == 1).all()
    assert not knee.bone[radius > 16].any()
    edge = np.abs(radius - 14) < 0.3
    assert knee.hu[edge].mean() == pytest.approx(320, abs=60)  # half way: no shift of the surface


def test_pieces_and_their_truth_move_together(cohort, tmp_path):
    knees = paired_knees(read_participants(cohort), tmp_path, lambda _: None)
    pieces = Drawing(knees, 64, np.random.default_rng(0)).pieces(8)
    torch.manual_seed(0)
    before = Batch(*map(torch.from_numpy, (pieces.stack, pieces.target, pieces.known, pieces.bone)))
    batch = moved(before)
    assert not torch.equal(batch.stack, before.stack)
    # In the MR the bone is dark and the leg around it bright; so it must be wherever the piece was turned to.
    middle, known = batch.stack[:, 2, None], batch.known > 0
    bone, muscle = known & (batch.target > 0.55), known & ((batch.target - 0.04).abs() < 0.05)
    assert middle[bone].mean() < 0.4
    assert middle[muscle].mean() > 0.45
    assert batch.bone[bone].mean() > 0.95
    seen = varied(batch)
    assert seen.shape == batch.stack.shape
    assert 0 <= seen.min() <= seen.max() < 1
    assert (seen - batch.stack).abs().mean() > 0.03


def test_structure_is_compared_whatever_the_grey_values_mean():
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 1, 12, 12), scale_factor=4, mode="bicubic")
    assert structure_loss(image, 2 - 3 * image) < 1e-3
    assert structure_loss(image, image.roll(2, 3)) > 0.05


def test_learning_lowers_the_loss_of_the_coarse_network_and_then_of_the_fine_one(cohort, tmp_path, monkeypatch):
    knees = paired_knees(read_participants(cohort), tmp_path, lambda _: None)
    torch.manual_seed(0)
    learning = paired_learning.PairedLearning(Drawing(knees, 64, np.random.default_rng(0)), "cpu")
    coarse = [learning.step(0.1)["coarse values"] for _ in range(40)]
    assert np.mean(coarse[-8:]) < 0.5 * np.mean(coarse[:3])
    before = {name: value.clone() for name, value in learning.generator.network.coarse.state_dict().items()}
    always = learning.drawing.pieces(4)
    monkeypatch.setattr(Drawing, "pieces", lambda *_: always)
    monkeypatch.setattr(paired_learning, "moved", lambda batch: batch)
    fine = [learning.step(paired_learning.COARSE_UNTIL + 0.02)["values"] for _ in range(25)]
    assert np.mean(fine[-5:]) < 0.7 * np.mean(fine[:3])
    after = learning.generator.network.coarse.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert {"adversarial", "discriminator"} <= set(learning.step(0.9))


def test_a_resumed_training_is_the_same(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis_fitting, "KEEP_EVERY", 4)
    request = SynthesisTrainingRequest(cohort, keep=tmp_path / "keep", seed=3, steps=12)
    at_once = trained(request, tmp_path / "one")
    entry = read_weights(tmp_path / "one", MODEL).entry
    assert (tmp_path / "one" / f"{MODEL}.npz").stat().st_size < 4_000_000
    assert entry.label == "trained on the user's own images"  # this cohort has no definition that makes it again
    assert entry.command == f"jointquant train synthesis --data {cohort.name} --seed 3 --steps 12 --device cpu"

    (request.keep / CHECKPOINT).unlink()
    with pytest.raises(Cancelled):
        train_synthesis.train(request, tmp_path / "two", StopsAt(12))  # slices are said too
    checkpoint = torch.load(request.keep / CHECKPOINT, weights_only=True)
    assert 0 < checkpoint["course"]["step"] < 12
    again = trained(replace(request, resume=True), tmp_path / "two")
    assert all(np.array_equal(array, again[name]) for name, array in at_once.items())


def test_only_the_checkpoint_of_the_same_training_is_gone_on_from(cohort, tmp_path):
    request = SynthesisTrainingRequest(cohort, keep=tmp_path, resume=True, steps=1)
    with pytest.raises(BadInput, match="nothing to go on from"):
        trained(request, tmp_path / "out")
    trained(replace(request, resume=False), tmp_path / "out")
    with pytest.raises(BadInput, match="of another training"):
        trained(replace(request, seed=9), tmp_path / "out")
    (tmp_path / CHECKPOINT).write_bytes(b"\x80\x02cos\nsystem\n.")  # a pickle that would run a command
    with pytest.raises(BadInput, match="no checkpoint, or damaged"):
        trained(request, tmp_path / "out")


def test_training_stops_when_no_check_is_better(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis_fitting, "CHECK_EVERY", 1)
    monkeypatch.setattr(paired_learning.PairedLearning, "check", lambda *_: {"loss": 1.0})
    request = SynthesisTrainingRequest(cohort, keep=tmp_path, steps=50, patience=2)
    trained(request, tmp_path / "out")
    assert read_weights(tmp_path / "out", MODEL).entry.measured["steps"] == 3


def test_unpaired_training_needs_no_transforms(cohort, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(cohort, own)
    for path in own.glob("sub-*/ct_to_mr_femur.tfm"):
        path.unlink()
    request = SynthesisTrainingRequest(own, keep=tmp_path / "keep", steps=2)
    with pytest.raises(BadInput, match="holds no transform from CT to MR"):
        trained(request, tmp_path / "out")
    (own / "sub-0002" / "bones.nrrd").unlink()
    with pytest.raises(BadInput, match=r"bones.nrrd is missing"):
        trained(request, tmp_path / "out")
    request = replace(request, unpaired=True)
    first = trained(replace(request, steps=1), tmp_path / "one")
    second = trained(request, tmp_path / "two")
    assert "unpaired" in read_weights(tmp_path / "two", MODEL).entry.trained_on
    assert any(not np.array_equal(array, second[name]) for name, array in first.items())


def test_without_validation_some_are_not_learned_from(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", knees=10)
    table = cohort / "participants.csv"
    table.write_text(table.read_text("utf-8").replace("validation", "train"), "utf-8")
    learners, checks = train_synthesis._participants(cohort)
    assert [one.name for one in checks] == ["sub-0001", "sub-0009"]
    assert len(learners) == 8
    assert not {one.name for one in checks} & {one.name for one in learners}


def test_nobody_to_learn_from(cohort, tmp_path):
    table = (cohort / "participants.csv").read_text("utf-8").replace("train", "test")
    own = tmp_path / "own"
    shutil.copytree(cohort, own)
    (own / "participants.csv").write_text(table, "utf-8")
    with pytest.raises(BadInput, match="nobody in the split train"):
        trained(SynthesisTrainingRequest(own), tmp_path / "out")
