"""Training of the registration network: what it learns from is true, and the command works, also on own films."""

from __future__ import annotations

import json

import numpy as np
import pytest
from analytic_joint import AnalyticJoint, Exposure, Pose
from hand_jobs import write_hand

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")

from JointQuantLib.cli import main  # noqa: E402
from JointQuantLib.weights import read_weights  # noqa: E402
from JSNRegistrationLib.gauss_newton import gauss_newton_step  # noqa: E402
from JSNRegistrationLib.halfway_pictures import FINE, FINE_BLUR_MM, compared_joint  # noqa: E402
from JSNRegistrationLib.network import RegistrationNetwork  # noqa: E402
from JSNRegistrationLib.similarity import Similarity  # noqa: E402
from JSNRegistrationLib.trained_network import fill  # noqa: E402
from JSNRegistrationLib.training import picture_variation, train_registration  # noqa: E402
from JSNRegistrationLib.training.own_films import own_joints  # noqa: E402
from JSNRegistrationLib.training.registration_loss import loss_of  # noqa: E402
from JSNRegistrationLib.training.registration_pairs import TrueJoints, registration_batch  # noqa: E402

POSES = (Pose(), Pose((2.0, -1.0), 4.0, -2.0, 0.3, 1.0), Pose((-1.0, 2.0), -3.0, 1.0, 0.0, -1.5, 1.004))


@pytest.fixture
def joints() -> TrueJoints:
    """Three films of one joint drawn by a formula, with its true motions."""
    films = [AnalyticJoint(3).film(pose, Exposure(noise=1.0, noise_seed=k)) for k, pose in enumerate(POSES)]
    compared = [compared_joint(film.crop) for film in films]
    motions = []
    for film, joint in zip(films, compared, strict=True):
        to_film = [Similarity.of_matrix(motion) for motion in films[0].motions_to(film)]
        motions.append([joint.frame.inverse().after(motion).after(compared[0].frame) for motion in to_film])
    upper, lower = (
        Similarity(np.array([m[bone].turn for m in motions]), np.array([m[bone].shift for m in motions]))
        for bone in range(2)
    )
    return TrueJoints(compared, np.zeros(3, int), upper, lower)


def batch_and_step(joints: TrueJoints, monkeypatch, seed: int):
    """A batch that is varied by textures at most, and where an unguided step leads from it (24, 2, 3)."""
    for share in ("NOISY", "BENT", "BLURRED", "SPOTTED", "TILTED"):
        monkeypatch.setattr(picture_variation, share, 0.0)
    batch = registration_batch(joints, 24, np.random.default_rng(seed))
    step = gauss_newton_step(
        None, batch.pictures, FINE, FINE_BLUR_MM, batch.excess_log_scale, torch.full((24,), 0.01), stretching=False
    )
    return batch, torch.stack([step.parameters[:, 0:3], step.parameters[:, 3:6]], dim=1)


def test_a_step_from_a_batch_goes_where_the_batch_says(joints, monkeypatch):
    """Also in the mirror, and from a start that is wrong by up to a quarter of a millimetre."""
    monkeypatch.setattr(picture_variation, "TEXTURED", 0.0)
    batch, found = batch_and_step(joints, monkeypatch, 2)
    before = batch.left[..., :3].abs().mean(dim=(0, 1))
    after = (found - batch.left[..., :3]).abs().mean(dim=(0, 1))
    assert torch.all(after < 0.25 * before)
    small = batch.left[..., :2].abs().amax(dim=(1, 2)) < 0.05
    assert small.any()
    assert (found - batch.left[..., :3])[small][..., :2].abs().max() < 0.02


def test_textures_that_are_laid_over_move_with_the_bones(joints, monkeypatch):
    monkeypatch.setattr(picture_variation, "TEXTURED", 1.0)
    monkeypatch.setattr(picture_variation, "STRONGEST_TEXTURE", (2.0, 2.0))
    batch, found = batch_and_step(joints, monkeypatch, 3)
    small = batch.left[..., :2].abs().amax(dim=(1, 2)) < 0.05
    left = batch.left[small][..., :2]
    assert (found[small][..., :2] - left).abs().mean() < 0.2 * left.abs().mean()


def test_a_bone_that_is_tilted_is_seen_as_stretched(joints, monkeypatch):
    for share in ("TEXTURED", "NOISY", "BENT", "BLURRED", "SPOTTED"):
        monkeypatch.setattr(picture_variation, share, 0.0)
    monkeypatch.setattr(picture_variation, "TILTED", 0.0)
    batch = registration_batch(joints, 4, np.random.default_rng(4))
    zero, usual = torch.zeros(4), torch.full((4,), 0.01)

    def seen(along: float) -> torch.Tensor:
        pictures = batch.pictures.numpy().copy()
        for bone in pictures:
            picture_variation._tilt(bone, np.array([0.0, 1j * along]))
        return gauss_newton_step(None, torch.from_numpy(pictures), FINE, FINE_BLUR_MM, zero, usual).fit.stretch

    more = seen(0.01) - seen(-0.01)
    assert more.numpy() == pytest.approx(0.02, abs=0.005)


def test_learning_makes_the_step_end_nearer_to_the_truth(joints):
    """Thirty steps on one noisy batch: the loss of that batch falls, and the gradient reaches the compared feature."""
    torch.manual_seed(0)
    network = RegistrationNetwork()
    batch = registration_batch(joints, 4, np.random.default_rng(5))
    known = batch.pictures, batch.left, batch.excess_log_scale
    optimiser = torch.optim.Adam(network.learned.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = sum(loss_of(network, network(batch.pictures), *known).values())
        optimiser.zero_grad()
        loss.backward()
        assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in network.learned.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < losses[0]


def test_the_command_trains_and_goes_on_with_own_films(tmp_path, monkeypatch):
    """Two simulated joints and a tenth of a minute; then one film of a hand, by the weights that were just made."""
    monkeypatch.setattr(train_registration, "CHECK_BATCHES", 2)
    images, first, second = (tmp_path / name for name in ("images", "first", "second"))
    common = ["--joints", "2", "--minutes", "0.05", "--images", str(images), "--progress", "none", "--device", "cpu"]
    images.mkdir()
    assert main(["train", "hand-registration", "--out", str(first), "--seed", "7", *common]) == 0
    weights = read_weights(first, "hand-registration")
    assert weights.entry.seed == 7
    assert weights.entry.label == "trained on simulated images"
    assert "--joints 2" in weights.entry.command
    fill(RegistrationNetwork(), "hand-registration", weights.arrays)

    own = tmp_path / "own films"
    own.mkdir()
    write_hand(tmp_path)[0].rename(own / "hand.png")
    assert len(own_joints(own).films) >= 8
    assert main(["train", "hand-registration", "--out", str(second), "--data", str(own), *common]) == 0
    weights = read_weights(second, "hand-registration")
    assert weights.entry.label == "trained on simulated images and the user's own films"
    assert json.loads((second / "result.json").read_text())["parameters"]["data"]


def test_own_films_without_a_joint_are_told(tmp_path, capsys):
    from hand_jobs import write_picture

    write_picture(tmp_path / "empty.png", np.random.default_rng(0).normal(100, 5, (300, 300)))
    arguments = ["--out", str(tmp_path.parent / "models"), "--data", str(tmp_path), "--joints", "1"]
    assert main(["train", "hand-registration", *arguments, "--progress", "none", "--device", "cpu"]) == 2
    assert "No finger joint was found" in capsys.readouterr().err
