"""From the network's maps to hands: ideal maps of known hands give these hands back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from JSNRegistrationLib.joint_finding import network_maps as maps_of
from JSNRegistrationLib.joint_finding.hand_assembly import hands_of
from JSNRegistrationLib.joint_finding.hand_shape import Candidate, fitting
from JSNRegistrationLib.joint_finding.hand_side import side_of
from JSNRegistrationLib.joint_finding.turned_views import VIEWS, combined
from JSNRegistrationLib.joints import JOINT_NAMES, Joint
from JSNRegistrationLib.usual_hand import USUAL_PLACES_MM

CELLS = maps_of.SIDE_PX // maps_of.CELL_PX
WIDTH_PX = 14.0


def places(middle, scale: float, turn: float = 0.0, mirror: float = 1.0) -> dict[str, np.ndarray]:
    """The joints of the usual hand laid on a picture."""
    c, s = np.cos(turn), np.sin(turn)
    linear = scale * np.array([[c, -s], [s, c]]) @ np.diag([mirror, 1.0])
    return {name: linear @ (np.array(mm) - (0, -15)) + middle for name, mm in USUAL_PLACES_MM.items()}


def ideal_maps(hands: list[dict[str, np.ndarray]], oblique: bool = False) -> np.ndarray:
    """What a perfect network answers: logits of bumps, offsets, axes (upwards), widths and votes."""
    maps = np.zeros((maps_of.CHANNELS, CELLS, CELLS), np.float32)
    maps[: maps_of.JOINTS + 1] = -12.0
    y, x = np.mgrid[:CELLS, :CELLS] + 0.5
    maps[maps_of.AXIS.start + 1] = -1.0
    maps[maps_of.WIDTH] = np.log(WIDTH_PX / maps_of.CELL_PX)
    maps[maps_of.VIEW] = 4.0 if oblique else -4.0
    for hand in hands:
        palm = np.mean([hand[f"MCP{f}"] for f in (2, 3, 4, 5) if f"MCP{f}" in hand], axis=0)
        for name, place in [*hand.items(), (None, palm)]:
            cx, cy = (place + 0.5) / maps_of.CELL_PX
            away = np.hypot(x - cx, y - cy)
            channel = maps_of.PALM if name is None else JOINT_NAMES.index(name)
            maps[channel] = np.maximum(maps[channel], 4.0 - 3.0 * away**2)
            if name is None:
                continue
            near = away < 2.5
            maps[maps_of.OFFSET, near] = [(cx - x)[near], (cy - y)[near]]
            to_palm = (palm - place) / maps_of.CELL_PX / maps_of.VOTE_UNIT
            maps[maps_of.VOTE, near] = to_palm[:, None]
    return maps


@settings(max_examples=30, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(0.9, 1.3), st.sampled_from([1.0, -1.0]), st.floats(-8, 8), st.floats(-8, 8))
def test_every_joint_of_a_hand_comes_back(turn, scale, mirror, dx, dy):
    truth = places(np.array([160 + dx, 160 + dy]), scale, turn, mirror)
    (hand,) = hands_of(ideal_maps([truth]))
    assert set(hand.peaks) == set(truth)
    for name, peak in hand.peaks.items():
        assert np.hypot(*(peak.place - truth[name])) < 0.2, name
        assert peak.width == pytest.approx(WIDTH_PX, rel=0.01)
        assert peak.axis == pytest.approx([0, -1], abs=1e-6)
    assert hand.oblique < 0.1


def test_two_hands_keep_their_own_joints():
    left, right = places(np.array([80, 170]), 0.85), places(np.array([245, 160]), 0.85, mirror=-1.0)
    hands = sorted(hands_of(ideal_maps([left, right], oblique=True)), key=lambda hand: hand.palm[0])
    assert len(hands) == 2
    for hand, truth in zip(hands, (left, right), strict=True):
        assert set(hand.peaks) == set(truth)
        assert max(np.hypot(*(peak.place - truth[name])) for name, peak in hand.peaks.items()) < 0.2
        assert hand.oblique > 0.9


def test_what_is_not_there_is_not_found():
    truth = places(np.array([160, 160]), 1.1)
    lost = {name: place for name, place in truth.items() if name not in ("DIP4", "PIP4", "DIP2", "IP1")}
    (hand,) = hands_of(ideal_maps([lost]))
    assert set(hand.peaks) == set(lost)
    assert hands_of(ideal_maps([])) == []


def candidates_of(truth: dict[str, np.ndarray], heat: float = 0.6) -> dict[str, list[Candidate]]:
    return {name: [Candidate(place, heat)] for name, place in truth.items()}


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize(("name", "taken_for"), [("PIP2", "PIP4"), ("DIP3", "PIP3"), ("MCP5", "MCP2"), ("IP1", "DIP2")])
def test_a_likelier_peak_on_another_finger_is_passed_over(mirror, name, taken_for):
    truth = places(np.array([160, 160]), 1.2, 0.7, mirror)
    candidates = candidates_of(truth)
    candidates[name] = [Candidate(truth[taken_for] + 2.0, 0.8), Candidate(truth[name], 0.4)]
    assert fitting(candidates)[name] == 1


def test_a_joint_that_is_seen_only_where_its_neighbour_lies_is_left_out():
    truth = places(np.array([160, 160]), 1.2)
    candidates = candidates_of(truth)
    candidates["IP1"] = [Candidate(truth["MCP1"] + 1.0, 0.5)]
    assert "IP1" not in fitting(candidates)
    assert "MCP1" in fitting(candidates)


def test_a_dip_joint_without_its_pip_joint_is_left_out():
    truth = places(np.array([160, 160]), 1.2)
    candidates = candidates_of({name: place for name, place in truth.items() if name != "PIP5"})
    assert "DIP5" not in fitting(candidates)
    assert "DIP4" in fitting(candidates)


def test_a_joint_far_from_the_hand_is_left_out():
    truth = places(np.array([160, 160]), 1.2)
    candidates = candidates_of(truth)
    candidates["DIP5"] = [Candidate(np.array([5.0, 315.0]), 0.9)]
    assert "DIP5" not in fitting(candidates)


@pytest.mark.parametrize(("mirror", "side"), [(1.0, "left"), (-1.0, "right")])
@pytest.mark.parametrize("turn", [0.0, 1.0, np.pi / 2, np.pi, -2.0])
def test_the_side_does_not_depend_on_how_the_film_is_turned(mirror, side, turn):
    truth = places(np.array([160, 160]), 1.2, turn, mirror)
    up = (float(np.sin(turn)), float(-np.cos(turn)))
    assert side_of([Joint(name, None, tuple(place), up) for name, place in truth.items()]) == side


def test_one_finger_alone_tells_no_side():
    truth = places(np.array([160, 160]), 1.2)
    finger = [Joint(name, None, tuple(truth[name]), (0.0, -1.0)) for name in ("MCP3", "PIP3", "DIP3")]
    assert side_of(finger) is None


def test_sixteen_views_of_one_answer_are_made_one_again():
    """A made-up network whose answer to a turned or mirrored picture is the truth, turned and mirrored."""
    truth = places(np.array([150, 170]), 1.1, 0.3)
    middle = (maps_of.SIDE_PX - 1) / 2
    answers = []
    for quarters, mirrored, _ in VIEWS:
        seen = {}
        for name, (x, y) in truth.items():
            x, y = x - middle, y - middle
            x = -x if mirrored else x
            for _ in range(quarters):
                x, y = y, -x  # counter-clockwise, y down
            seen[name] = np.array([x, y]) + middle
        answer = ideal_maps([seen])
        ax, ay = 0.0, -1.0  # the finger's axis in the film as it is
        for _ in range(quarters):
            ax, ay = ay, -ax
        answer[maps_of.AXIS] = np.array([ax, ay])[:, None, None]
        answers.append(answer)
    (hand,) = hands_of(combined(np.stack(answers)))
    assert set(hand.peaks) == set(truth)
    for name, peak in hand.peaks.items():
        assert np.hypot(*(peak.place - truth[name])) < 0.2, name
        assert peak.axis == pytest.approx([0, -1], abs=1e-6)
