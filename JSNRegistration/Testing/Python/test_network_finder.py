"""The trained finder on simulated films that it has not learned from, and on the real films for development."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from JointQuantLib import devices
from JointQuantLib.weights import NoWeights
from JSNRegistrationLib import trained_network
from JSNRegistrationLib.joint_finding import joint_finder, network_finder
from JSNRegistrationLib.joints import JOINT_NAMES, Hand
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph
from JSNRegistrationLib.simulation.hand import simulate_hand
from JSNRegistrationLib.simulation.hand_film import simulate_hand_film

HERE = Path(__file__)
CHILD_FILMS = HERE.parents[4] / "shared" / "data" / "hand-radiographs" / "child"
MARKS = HERE.parents[3] / "Testing" / "marks" / "hand_films.json"
NEVER_LEARNED = 77_000_000  # seeds of films that the training of the shipped weights did not use

pytestmark = pytest.mark.skipif(not network_finder.NETWORK.available(), reason="PyTorch is not installed here")
real_films = pytest.mark.skipif(not CHILD_FILMS.is_dir(), reason="../shared/data/hand-radiographs is not there")


def film_of(pixels: np.ndarray) -> Radiograph:
    return Radiograph(
        pixels=np.ascontiguousarray(pixels, dtype=np.float32),
        spacing_mm=None,
        spacing_source="unknown",
        date=None,
        side=None,
        path=Path("film.png"),
        sha256="0" * 64,
        patient_key=None,
        display_range=(0.0, 255.0),
    )


def places(hand: Hand) -> dict[str, np.ndarray]:
    return {joint.name: np.array(joint.position_px) for joint in hand.joints}


@pytest.fixture(scope="module")
def adult():
    """A film of the product's own simulator (not the one it learned from), and where its joints are."""
    hand = simulate_hand(3, visits=1, spacing_mm=0.25)
    truth = {joint.name: np.array(joint.position_px) for joint in hand.joints[0]}
    return hand.films[0], truth, 185 / 0.25  # about the hand's length in pixels


def test_all_joints_of_an_adult_hand_within_a_fiftieth_of_its_length(adult):
    pixels, truth, length = adult
    (hand,) = network_finder.find_hands(film_of(pixels), "cpu")
    found = places(hand)
    assert set(found) == set(truth)
    assert max(np.hypot(*(found[name] - truth[name])) for name in truth) < 0.02 * length
    assert hand.side == "left"
    assert hand.view == "PA"


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_film_gives_the_same_joints(adult, quarters):
    pixels, _, length = adult
    upright = places(network_finder.find_hands(film_of(pixels), "cpu")[0])
    (hand,) = network_finder.find_hands(film_of(np.rot90(pixels, quarters)), "cpu")
    rows, columns = pixels.shape
    back = {
        1: lambda p: np.array([columns - 1 - p[1], p[0]]),
        2: lambda p: np.array([columns - 1 - p[0], rows - 1 - p[1]]),
        3: lambda p: np.array([p[1], rows - 1 - p[0]]),
    }[quarters]
    found = places(hand)
    assert set(found) == set(upright)
    assert hand.side == "left"
    assert max(np.hypot(*(back(found[name]) - upright[name])) for name in upright) < 0.01 * length


def test_an_inverted_film_gives_the_same_joints(adult):
    pixels, _, length = adult
    upright = places(network_finder.find_hands(film_of(pixels), "cpu")[0])
    found = places(network_finder.find_hands(film_of(pixels.max() - pixels), "cpu")[0])
    assert set(found) == set(upright)
    assert max(np.hypot(*(found[name] - upright[name])) for name in upright) < 0.01 * length


def test_a_mirrored_film_gives_the_same_names_and_the_other_side(adult):
    pixels, _, length = adult
    upright = places(network_finder.find_hands(film_of(pixels), "cpu")[0])
    (hand,) = network_finder.find_hands(film_of(pixels[:, ::-1]), "cpu")
    found = places(hand)
    assert hand.side == "right"
    assert set(found) == set(upright)
    mirrored = {name: np.array([pixels.shape[1] - 1 - x, y]) for name, (x, y) in found.items()}
    assert max(np.hypot(*(mirrored[name] - upright[name])) for name in upright) < 0.01 * length


def test_the_side_that_dicom_gives_wins(adult):
    (hand,) = network_finder.find_hands(replace(film_of(adult[0]), side="right"), "cpu")
    assert hand.side == "right"
    assert {joint.side for joint in hand.joints} == {"right"}


def test_both_hands_of_a_film_are_found_each_with_its_own_side(adult):
    pixels, truth, length = adult
    both = np.hstack([pixels[:, ::-1], pixels])
    hands = network_finder.find_hands(film_of(both), "cpu")
    assert [hand.side for hand in hands] == ["right", "left"]
    width = pixels.shape[1]
    for hand, where in zip(hands, (lambda x: width - 1 - x, lambda x: x + width), strict=True):
        found = places(hand)
        assert len(found) >= 12
        for name, place in found.items():
            assert np.hypot(place[0] - where(truth[name][0]), place[1] - truth[name][1]) < 0.02 * length, name


def test_joints_that_are_cut_off_are_absent_and_not_invented(adult):
    pixels, truth, length = adult
    row = int(0.5 * (truth["MCP3"][1] + truth["PIP3"][1]))
    (hand,) = network_finder.find_hands(film_of(pixels[row:]), "cpu")
    found = places(hand)
    assert {"MCP2", "MCP3", "MCP4"} <= set(found)
    for name, place in found.items():
        assert truth[name][1] > row - 0.02 * length, f"{name} was invented"
        assert np.hypot(*(place + (0, row) - truth[name])) < 0.03 * length, name


@pytest.mark.parametrize("what", ["blank", "noise", "gradient"])
def test_a_picture_without_a_hand_has_no_hand(what):
    rng = np.random.default_rng(0)
    y, _ = np.mgrid[:600, :500]
    pixels = {"blank": np.full((600, 500), 90.0), "noise": rng.normal(120, 30, (600, 500)), "gradient": 0.4 * y}[what]
    assert network_finder.find_hands(film_of(pixels), "cpu") == ()


def test_films_of_every_age_pose_and_quality_that_it_has_not_learned_from():
    within, asked, wrong, invented, films_of_other_count = 0, 0, 0, 0, 0
    for seed in range(NEVER_LEARNED, NEVER_LEARNED + 16):
        film = simulate_hand_film(seed)
        hands = network_finder.find_hands(film_of(film.pixels), "cpu")
        truth = [hand.joints for hand in film.hands if np.isfinite(hand.joints[:, 0]).sum() >= 6]
        films_of_other_count += len(hands) != len(truth)
        shown = {n for joints in truth for i, n in enumerate(JOINT_NAMES) if np.isfinite(joints[i, 0])}
        invented += sum(name not in shown for hand in hands for name in places(hand))
        for joints in truth:
            length = 4.3 * np.nanmedian(joints[:, 4]) * 2.6  # a hand is about eleven bones' widths long
            for index, name in enumerate(JOINT_NAMES):
                if not np.isfinite(joints[index, 0]):
                    continue
                asked += 1
                off = [np.hypot(*(places(h)[name] - joints[index, :2])) for h in hands if name in places(h)]
                within += bool(off) and min(off) < 0.02 * length
                wrong += bool(off) and min(off) > 0.06 * length
    assert within > 0.9 * asked
    assert wrong < 0.03 * asked
    assert invented < 0.03 * asked
    assert films_of_other_count <= 1


def test_without_weights_the_classical_finder_is_used(monkeypatch, adult):
    def missing(_name):
        raise NoWeights("there are none")

    monkeypatch.setattr(trained_network, "arrays_of", missing)
    assert joint_finder.finder_in_use() == joint_finder.CLASSICAL
    (hand,) = joint_finder.find_hands(film_of(adult[0]))
    assert len(hand.joints) == len(JOINT_NAMES)


@pytest.mark.skipif(not devices.torch_available() or devices.choose("auto") == "cpu", reason="there is no GPU here")
def test_a_gpu_gives_the_same_joints(adult):
    film = film_of(adult[0])
    on_cpu, on_gpu = (places(network_finder.find_hands(film, device)[0]) for device in ("cpu", "auto"))
    assert set(on_cpu) == set(on_gpu)
    assert max(np.hypot(*(on_cpu[name] - on_gpu[name])) for name in on_cpu) < 0.05


@real_films
def test_real_films_of_children():
    """The ten films for development; the benchmark has all."""
    marks = json.loads(MARKS.read_text(encoding="utf-8"))["films"]
    off, missed = [], 0
    for path in sorted(CHILD_FILMS.glob("*.png"))[:10]:
        passes = marks[path.name]["passes"]
        length = np.mean([np.hypot(*np.subtract(p["wrist"], p["tip"])) for p in passes])
        (hand,) = network_finder.find_hands(read_radiograph(path), "cpu")
        found = places(hand)
        assert hand.side == "left", path.name
        for name in JOINT_NAMES:
            if all(p[name] for p in passes) and name in found:
                off.append(np.hypot(*(found[name] - np.mean([p[name] for p in passes], axis=0))) / length)
            else:
                missed += 1
    assert missed <= 4  # thumbs that leave the film
    assert np.mean(np.array(off) < 0.02) > 0.97
    assert np.median(off) < 0.005
