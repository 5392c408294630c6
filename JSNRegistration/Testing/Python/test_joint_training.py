"""Training of the joint finder: what it learns from is true, what it should answer is best, and the command works."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")

from JointQuantLib.cli import main  # noqa: E402
from JointQuantLib.errors import BadInput  # noqa: E402
from JointQuantLib.weights import read_weights  # noqa: E402
from JSNRegistrationLib.bone_finding.bone_network import BoneNetwork  # noqa: E402
from JSNRegistrationLib.joint_finding import network_maps as maps_of  # noqa: E402
from JSNRegistrationLib.joint_finding.joint_network import JointNetwork  # noqa: E402
from JSNRegistrationLib.joints import JOINT_NAMES  # noqa: E402
from JSNRegistrationLib.trained_network import fill  # noqa: E402
from JSNRegistrationLib.training import bone_pictures, joint_targets  # noqa: E402
from JSNRegistrationLib.training.film_augmentation import varied_films  # noqa: E402
from JSNRegistrationLib.training.fitting import fit  # noqa: E402
from JSNRegistrationLib.training.grey_variation import regraded  # noqa: E402

SIDE = maps_of.SIDE_PX


class Silent:
    """A progress that says nothing."""

    def step(self, *_said) -> None: ...


def test_joints_stay_on_their_place_when_films_are_turned_mirrored_and_cropped():
    y, x = np.mgrid[:448, :448]
    joints = np.full((1, 2, len(JOINT_NAMES), 5), np.nan, np.float32)
    for k, place in enumerate([(120, 150), (260, 110), (300, 300), (150, 330)]):
        joints[0, 0, k] = [*place, 0.6, -0.8, 20]
    random = torch.Generator().manual_seed(3)
    seen = 0
    for k in range(4):
        px, py = joints[0, 0, k, :2]
        # a dot at the joint, a longer and fainter one along its axis
        film = 200 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 40)
        film += 120 * np.exp(-((x - px - 0.6 * 24) ** 2 + (y - py + 0.8 * 24) ** 2) / 40)
        films = torch.from_numpy(film.astype(np.uint8))[None].repeat(12, 1, 1)
        pictures, there = varied_films(
            films, torch.tensor([[448, 448]] * 12), torch.from_numpy(joints).repeat(12, 1, 1, 1), SIDE, random
        )
        for picture, found in zip(pictures[:, 0].numpy(), there[:, 0, k].numpy(), strict=True):
            if not np.isfinite(found[0]) or not (12 < found[:2]).all() or not (found[:2] < SIDE - 12).all():
                continue
            (cx, cy), (ax, ay) = found[:2], found[2:4]
            scale = found[4] / 20
            level = np.median(picture)
            # dots are bright, or dark on an inverted film: a parabola of the signal finds their middle
            signal = np.abs(picture - level)
            rows, columns = np.mgrid[:SIDE, :SIDE]
            near = np.hypot(columns - cx, rows - cy) < 6 * max(scale, 0.5)
            weight = np.where(near, signal, 0) ** 4
            if weight.max() < 1e-3:
                continue
            middle = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
            assert np.hypot(*(middle - found[:2])) < 1.6
            assert np.hypot(ax, ay) == pytest.approx(1, abs=1e-4)
            ahead = signal[int(round(cy + 24 * scale * ay)) % SIDE, int(round(cx + 24 * scale * ax)) % SIDE]
            behind = signal[int(round(cy - 24 * scale * ay)) % SIDE, int(round(cx - 24 * scale * ax)) % SIDE]
            inside = min(cx, cy) > 30 * scale and max(cx, cy) < SIDE - 30 * scale
            assert not inside or ahead > behind
            seen += 1
    assert seen > 15


def test_regrading_leaves_everything_on_its_place():
    y, x = np.mgrid[:64, :64]
    dot = torch.from_numpy(np.exp(-((x - 40) ** 2 + (y - 20) ** 2) / 30).astype(np.float32))
    pictures = regraded(dot[None, None].repeat(20, 1, 1, 1), torch.Generator().manual_seed(0))
    for picture in pictures[:, 0].numpy():
        row, column = np.unravel_index(np.argmax(picture), picture.shape)
        assert np.hypot(row - 20, column - 40) < 4


def true_joints() -> torch.Tensor:
    joints = torch.full((1, 2, len(JOINT_NAMES), 5), float("nan"))
    for k in range(len(JOINT_NAMES)):
        joints[0, 0, k] = torch.tensor([40.0 + 17 * k, 150.0 + 40 * np.sin(k), 0.6, -0.8, 16.0])
    return joints


def answer_to(joints: torch.Tensor, shift_px: float = 0.0) -> torch.Tensor:
    """A perfect network's answer to joints that lie shift_px to the left of where it says."""
    cells = SIDE // maps_of.CELL_PX
    answer = torch.zeros(1, maps_of.CHANNELS, cells, cells)
    y, x = torch.meshgrid(torch.arange(cells) + 0.5, torch.arange(cells) + 0.5, indexing="ij")
    answer[:, : maps_of.JOINTS + 1] = -9.0
    answer[:, maps_of.AXIS] = torch.tensor([0.6, -0.8])[None, :, None, None]
    answer[:, maps_of.WIDTH] = float(np.log(16.0 / maps_of.CELL_PX))
    answer[:, maps_of.VIEW] = -6.0
    palm = (joint_targets.palms(joints)[0, 0] + 0.5) / maps_of.CELL_PX
    for k in range(len(JOINT_NAMES)):
        cx, cy = (joints[0, 0, k, :2] + 0.5 + torch.tensor([shift_px, 0.0])) / maps_of.CELL_PX
        away = torch.hypot(x - cx, y - cy)
        answer[0, k] = torch.maximum(answer[0, k], 5 - 5 * away**2)
        near = away < 1.8
        answer[0, maps_of.OFFSET.start][near] = (cx - x)[near]
        answer[0, maps_of.OFFSET.start + 1][near] = (cy - y)[near]
        answer[0, maps_of.VOTE.start][near] = (palm[0] - cx) / maps_of.VOTE_UNIT
        answer[0, maps_of.VOTE.start + 1][near] = (palm[1] - cy) / maps_of.VOTE_UNIT
    answer[0, maps_of.PALM] = 5 - 2 * ((x - palm[0]) ** 2 + (y - palm[1]) ** 2)
    return answer


def test_the_right_answer_is_the_best_and_a_shifted_one_is_worse():
    joints, oblique = true_joints(), torch.zeros(1, 2, dtype=torch.bool)
    right, shifted = (joint_targets.loss_of(answer_to(joints, shift), joints, oblique) for shift in (0.0, 6.0))
    for name in ("axis", "width", "view"):
        assert right[name] < 0.01, name
    assert right["offset"] < 0.05
    assert right["heat"] < 0.5 * shifted["heat"]
    assert right["offset"] < 0.2 * shifted["offset"]


def test_a_film_without_a_joint_gives_a_loss_all_the_same():
    joints = torch.full((1, 2, len(JOINT_NAMES), 5), float("nan"))
    losses = joint_targets.loss_of(answer_to(true_joints()), joints, torch.zeros(1, 2, dtype=torch.bool))
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_the_loss_of_the_bones_is_least_for_the_truth():
    y = torch.arange(96.0)[:, None].expand(96, 96)
    bones = torch.stack([(y < 40).float(), (y > 50).float()])[None]
    logits = 12 * (bones - 0.5)
    right = sum(bone_pictures.loss_of(logits, bones).values())
    swapped = sum(bone_pictures.loss_of(logits.flip(1), bones).values())
    assert right < 0.02
    assert swapped > 1.0


def test_fitting_learns():
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 1, 1)
    random = torch.Generator().manual_seed(0)

    def batch():
        pictures = torch.rand(8, 1, 4, 4, generator=random)
        return pictures, 3 * pictures - 1

    def loss_of(answer, wanted):
        return {"away": ((answer.float() - wanted) ** 2).mean()}

    before = loss_of(network(batch()[0]), batch()[1])["away"].item()
    fitted = fit(network, batch, loss_of, 2500, "cpu", Silent())
    pictures, wanted = batch()
    assert fitted.steps == 2500
    assert loss_of(fitted.network(pictures), wanted)["away"] < 0.2 * before


def test_the_command_trains_both_networks_and_what_it_writes_can_be_used(tmp_path):
    arguments = ["--films", "2", "--minutes", "0.02", "--seed", "5", "--progress", "none", "--device", "cpu"]
    assert main(["train", "hand-joints", "--out", str(tmp_path / "models"), *arguments]) == 0
    for name, network in (("hand-joints", JointNetwork()), ("hand-bones", BoneNetwork())):
        weights = read_weights(tmp_path / "models", name)
        assert weights.entry.seed == 5
        assert "--films 2" in weights.entry.command
        assert weights.entry.label == "trained on simulated images"
        fill(network, name, weights.arrays)
        assert torch.isfinite(network.eval()(torch.rand(1, 1, 96, 96))).all()


def test_weights_of_another_network_are_refused():
    arrays = {key: value.numpy() for key, value in BoneNetwork().state_dict().items() if value.is_floating_point()}
    with pytest.raises(BadInput, match="do not fit the network"):
        fill(JointNetwork(), "hand-joints", arrays)
