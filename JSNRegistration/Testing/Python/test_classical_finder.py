"""The finder of the finger joints, on simulated hands, whose joints are known, and on real ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from JSNRegistrationLib.joint_finding.classical_finder import find_joints
from JSNRegistrationLib.joint_finding.finger_chain import find_gaps, seam_depth
from JSNRegistrationLib.joint_finding.joint_centring import centre_joint
from JSNRegistrationLib.joints import FINGER_JOINTS, JOINT_NAMES
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph
from JSNRegistrationLib.simulation.hand import simulate_hand

SPACING_MM = 0.25


@pytest.fixture(scope="module")
def hand():
    return simulate_hand(5, spacing_mm=SPACING_MM, visits=1)


@pytest.fixture(scope="module")
def truth(hand) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {j.name: (np.array(j.position_px), np.array(j.axis)) for j in hand.joints[0]}


def film_of(pixels: np.ndarray, side: str | None = None) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), None, "unknown", Path("film"), "", None, side, None, (0.0, 1.0))


def turned(pixels: np.ndarray, truth: dict, degrees: float) -> tuple[np.ndarray, dict]:
    """The film and its truth turned about the middle of the film, on a canvas that keeps the corners."""
    margin = max(pixels.shape) // 4
    pixels = np.pad(pixels, margin, mode="constant", constant_values=np.percentile(pixels, 1))
    middle = (np.array(pixels.shape) - 1) / 2
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    back = np.array([[cosine, -sine], [sine, cosine]])  # from the turned film, (row, column)
    film = ndimage.affine_transform(pixels, back, middle - back @ middle, order=1, cval=float(pixels[0, 0]))
    forward = np.array([[cosine, -sine], [sine, cosine]])  # (x, y)
    centre = middle[::-1]
    return film, {n: (forward @ (p + margin - centre) + centre, forward @ a) for n, (p, a) in truth.items()}


def assert_found(found, truth, spacing_mm: float = SPACING_MM) -> None:
    """All fourteen, within 1 mm along and 2 mm across the finger, and in the mean within 5 degrees."""
    assert [j.name for j in found] == [n for names in FINGER_JOINTS.values() for n in names]
    tilts = []
    for joint in found:
        position, axis = truth[joint.name]
        offset = (np.array(joint.position_px) - position) * spacing_mm
        assert abs(offset @ axis) < 1.0, joint.name
        assert abs(offset @ [-axis[1], axis[0]]) < 2.0, joint.name
        assert np.hypot(*joint.axis) == pytest.approx(1.0)
        tilts.append(np.degrees(np.arccos(np.clip(np.dot(joint.axis, axis), -1, 1))))
        assert tilts[-1] < 12, joint.name
    assert np.mean(tilts) < 5


def test_all_joints_of_a_simulated_left_hand_are_found(hand, truth):
    found = find_joints(film_of(hand.films[0]))
    assert_found(found, truth)
    assert {j.side for j in found} == {"left"}
    assert min(j.confidence for j in found) > 0.3
    for joint in found:
        assert 5 < joint.width_px * SPACING_MM < 25


def test_a_mirrored_film_is_a_right_hand(hand, truth):
    pixels = hand.films[0][:, ::-1]
    last = pixels.shape[1] - 1
    found = find_joints(film_of(pixels))
    assert {j.side for j in found} == {"right"}
    assert_found(found, {n: (np.array([last - p[0], p[1]]), a * [-1, 1]) for n, (p, a) in truth.items()})


@pytest.mark.parametrize("degrees", [-30, 30, 180])
def test_a_turned_hand_is_found(hand, truth, degrees):
    pixels, moved = turned(hand.films[0], truth, degrees)
    found = find_joints(film_of(pixels))
    assert {j.side for j in found} == {"left"}
    assert_found(found, moved)


def test_the_grey_scale_does_not_matter(hand, truth):
    assert_found(find_joints(film_of(hand.films[0] * 16.0 + 300.0)), truth)


def test_the_side_of_the_film_wins_over_the_thumb(hand):
    assert {j.side for j in find_joints(film_of(hand.films[0], side="right"))} == {"right"}


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((400, 300)),
        np.full((400, 300), 7.0),
        np.random.default_rng(1).normal(100, 10, (400, 300)),
        np.pad(np.ones((200, 30)), 100),
        np.ones((3, 3)),
    ],
    ids=["black", "even", "noise", "bar", "tiny"],
)
def test_a_film_without_a_hand_gives_no_sure_joint(pixels):
    assert all(joint.confidence < 0.6 for joint in find_joints(film_of(pixels)))


def gap_strip(course: np.ndarray, depth: float = 0.2) -> np.ndarray:
    """A straightened bone [along, across] with a dark line 3 pixels wide that follows `course`."""
    rows = np.arange(120.0)[:, None]
    return -depth * np.exp(-0.5 * ((rows - course[None, :]) / 1.5) ** 2)


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.3])
def test_the_dark_line_is_found_where_it_crosses_the_middle(slope):
    t = np.arange(-36.0, 37.0)
    strip = gap_strip(60 + slope * t + t**2 / 150)
    assert abs(int(np.argmax(seam_depth(strip[:, np.abs(t) <= 20]))) - 60) <= 1
    gaps = find_gaps(strip, t)
    assert np.min(np.abs(gaps.at - 60)) <= 2


def test_the_foot_of_one_bright_plate_is_no_gap():
    t = np.arange(-20.0, 21.0)
    assert seam_depth(-gap_strip(60 + 0 * t)).max() < 1e-6


def test_a_joint_is_centred_to_a_fraction_of_a_pixel():
    rows, columns = np.indices((220, 160)).astype(float)
    bone = 1.0 / (1 + np.exp((np.abs(columns - 81.0) - 28) / 0.8))
    gap = np.exp(-0.5 * ((rows - 112.4) / 1.6) ** 2)
    image = np.log(0.1 + 0.3 + 0.5 * bone * (1 - 0.6 * gap))
    line = np.stack([np.arange(20.0, 200.0), np.full(180, 78.0)], 1)
    place = centre_joint(image, line, 95.0, wide=False, usual_width=57.0)
    assert place.point == pytest.approx([112.4, 81.0], abs=0.3)
    assert place.axis == pytest.approx([-1.0, 0.0])
    assert place.width == pytest.approx(56, abs=2)


def test_all_joints_are_found_on_two_real_films_of_one_hand(shared_data):
    for visit in (1, 2):
        film = read_radiograph(shared_data / "hand-radiographs" / "adult-two-visits" / f"adult_ra_visit{visit}.png")
        found = {j.name: j for j in find_joints(film)}
        assert sorted(found) == sorted(JOINT_NAMES)
        assert {j.side for j in found.values()} == {"left"}
        for names in FINGER_JOINTS.values():
            for lower, upper in pairwise(names):
                step = np.subtract(found[upper].position_px, found[lower].position_px)
                assert step @ found[lower].axis > 0.8 * np.hypot(*step)
