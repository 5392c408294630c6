"""Joints that moved as a hand moves are not doubted; one at another place is, and it alone where that can be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from JSNRegistrationLib.bones import typical_width_mm
from JSNRegistrationLib.joint_correspondence import USUAL_PLACES_MM, doubts_between, doubts_within, hand_scale
from JSNRegistrationLib.joints import FINGER_JOINTS, JOINT_NAMES, Joint
from JSNRegistrationLib.simulation import simulate_hand

SCALE = 6.0  # pixels a millimetre of a hand of usual size


def joint_at(name: str, place) -> Joint:
    return Joint(name, "left", (float(place[0]), float(place[1])), (0.0, -1.0))


def moved_by(joints: list[Joint], turn_deg: float, scale: float, shift, about=(0.0, 0.0)) -> list[Joint]:
    """The joints turned about a point, scaled and shifted: exact."""
    a = np.deg2rad(turn_deg)
    turn = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return [joint_at(j.name, turn @ np.subtract(j.position_px, about) + np.add(about, shift)) for j in joints]


@pytest.fixture(params=["usual", "simulated"])
def hand(request) -> list[Joint]:
    """The usual places, and a hand of other proportions."""
    if request.param == "usual":
        return [joint_at(name, 600 + SCALE * np.array(place)) for name, place in USUAL_PLACES_MM.items()]
    return [joint_at(j.name, np.array(j.position_px) * 3) for j in simulated()]


_kept: list = []


def simulated():
    if not _kept:
        _kept.extend(simulate_hand(11, spacing_mm=0.5, visits=1).joints[0])
    return _kept


def by_name(joints: list[Joint]) -> dict[str, Joint]:
    return {joint.name: joint for joint in joints}


def with_places(joints: list[Joint], places: dict) -> list[Joint]:
    return [joint_at(j.name, places.get(j.name, j.position_px)) for j in joints]


def scale_of(joints: list[Joint]) -> float:
    return hand_scale({joint.name: np.array(joint.position_px) for joint in joints})


@pytest.mark.parametrize(("turn", "scale"), [(0, 1.0), (35, 1.0), (180, 0.5), (-90, 1.7)])
def test_a_whole_hand_that_is_laid_down_anew_is_not_doubted(hand, turn, scale):
    assert doubts_between(hand, moved_by(hand, turn, scale, (40.0, -70.0)), 0) == {}


def test_small_errors_of_the_finder_are_not_doubted(hand):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        away = {j.name: np.add(j.position_px, rng.normal(0, 0.8 * scale_of(hand), 2)) for j in hand}
        assert doubts_between(hand, moved_by(with_places(hand, away), 8.0, 1.02, (9, 4)), 0) == {}, seed


@pytest.mark.parametrize("finger", FINGER_JOINTS)
@pytest.mark.parametrize("angle", [-12.0, 12.0])
def test_a_finger_that_is_spread_by_twelve_degrees_is_not_doubted(hand, finger, angle):
    root, *others = FINGER_JOINTS[finger]
    own = [joint for joint in hand if joint.name in others]
    spread = moved_by(own, angle, 1.0, (0, 0), by_name(hand)[root].position_px)
    assert doubts_between(hand, [j for j in hand if j.name not in others] + spread, 0) == {}


def test_fingers_that_are_all_spread_and_bent_are_not_doubted(hand):
    later = list(hand)
    for finger, angle in zip(FINGER_JOINTS, (15, 10, 3, -6, -12), strict=True):
        root, *others = FINGER_JOINTS[finger]
        own = [joint for joint in later if joint.name in others]
        later = [j for j in later if j.name not in others]
        later += moved_by(own, angle, 0.9, (0, 0), by_name(hand)[root].position_px)  # seen shorter: bent
    assert doubts_between(hand, moved_by(later, 20, 1.1, (30, 5)), 0) == {}


@pytest.mark.parametrize("name", [name for name in JOINT_NAMES if name != "IP1"])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_joint_that_lies_one_bone_width_aside_is_doubted(hand, name, angle):
    there = np.array(by_name(hand)[name].position_px)
    width = typical_width_mm(name) * scale_of(hand)
    a = np.deg2rad(angle)
    shifted = with_places(hand, {name: there + width * np.array([np.cos(a), np.sin(a)])})
    doubts = doubts_between(hand, moved_by(shifted, 12, 1.05, (5, 5)), 0)
    assert set(doubts) == {name}
    assert doubts[name] == (
        f"{name} lies elsewhere on the hand than in visit 1: it may be another joint; check its position"
    )


@pytest.mark.parametrize("widths", [-1.0, 1.0])
def test_a_joint_of_the_thumb_is_doubted_one_bone_width_along_it(hand, widths):
    """Across the thumb such a step is no more than a thumb that is spread by 25 degrees."""
    root, tip = (np.array(by_name(hand)[name].position_px) for name in ("MCP1", "IP1"))
    step = widths * typical_width_mm("IP1") * scale_of(hand) * (tip - root) / np.hypot(*(tip - root))
    assert set(doubts_between(hand, with_places(hand, {"IP1": tip + step}), 0)) == {"IP1"}


@pytest.mark.parametrize(
    ("a", "b"),
    [("PIP2", "PIP3"), ("PIP3", "PIP4"), ("DIP4", "DIP5"), ("MCP2", "MCP3"), ("MCP4", "MCP5"), ("PIP3", "DIP3")],
)
def test_two_joints_that_changed_places_are_doubted_and_no_other(hand, a, b):
    places = by_name(hand)
    swapped = with_places(hand, {a: places[b].position_px, b: places[a].position_px})
    assert set(doubts_between(hand, swapped, 1)) == {a, b}
    assert "visit 2" in doubts_between(hand, swapped, 1)[a]


def test_two_fingers_that_changed_names_are_doubted_whole(hand):
    places = by_name(hand)
    swap = {f"{kind}2": places[f"{kind}3"].position_px for kind in ("MCP", "PIP", "DIP")}
    swap |= {f"{kind}3": places[f"{kind}2"].position_px for kind in ("MCP", "PIP", "DIP")}
    assert set(doubts_between(hand, with_places(hand, swap), 0)) == set(swap)


def test_the_other_hand_is_doubted_whole(hand):
    mirrored = [joint_at(j.name, (2000 - j.position_px[0], j.position_px[1])) for j in hand]
    doubts = doubts_between(hand, mirrored, 0)
    assert len(doubts) >= 8
    assert doubts_between(hand, moved_by(mirrored, 90, 1, (0, 0)), 0).keys() == doubts.keys()


@pytest.mark.parametrize("names", [("MCP2", "PIP2", "DIP2"), ("MCP2", "MCP5", "PIP3"), ("DIP2", "DIP3", "DIP4")])
def test_three_joints_tell_that_something_is_wrong_but_not_what(hand, names):
    three = [joint for joint in hand if joint.name in names]
    assert doubts_between(three, moved_by(three, 30, 1.2, (10, 10)), 0) == {}
    last = by_name(three)[names[2]]
    far = with_places(three, {names[2]: np.add(last.position_px, 25 * scale_of(hand))})
    doubts = doubts_between(three, far, 0)
    assert set(doubts) == set(names)
    assert all("check their positions" in doubt for doubt in doubts.values())


def test_two_joints_tell_nothing(hand):
    two = hand[:2]
    assert doubts_between(two, moved_by(two, 90, 3, (0, 0)), 0) == {}
    assert doubts_between([], hand, 0) == {}


def test_only_joints_of_both_films_are_looked_at(hand):
    without = [joint for joint in hand if joint.name not in ("MCP3", "DIP5")]
    assert doubts_between(hand, moved_by(without, 10, 1, (0, 0)), 0) == {}


# ---------------------------------------------------------------------------------------------------- within one film


def test_a_hand_by_itself_is_not_doubted(hand):
    assert doubts_within(hand) == {}
    assert doubts_within(moved_by(hand, 133, 0.4, (3, 3))) == {}
    assert doubts_within([]) == {}


def test_two_names_at_one_place_are_doubted_both(hand):
    place = np.array(by_name(hand)["DIP3"].position_px)
    near = with_places(hand, {"PIP3": place + 0.2 * typical_width_mm("DIP3") * scale_of(hand)})
    doubts = doubts_within(near)
    assert {"PIP3", "DIP3"} <= set(doubts)
    assert "PIP3 and DIP3 are at the same place" in doubts["DIP3"]


@pytest.mark.parametrize("kind", ["MCP", "PIP", "DIP"])
def test_fingers_that_are_out_of_order_are_doubted(hand, kind):
    places = by_name(hand)
    a, b = f"{kind}3", f"{kind}4"
    swapped = with_places(hand, {a: places[b].position_px, b: places[a].position_px})
    doubts = doubts_within(swapped)
    assert set(doubts) == {a, b}
    assert "order of the fingers" in doubts[a]


def test_the_size_of_a_hand_needs_no_spacing_and_bears_a_wrong_joint(hand):
    scale = scale_of(hand)
    assert scale_of(moved_by(hand, 70, 0.5, (1, 1))) == pytest.approx(scale / 2)
    assert scale_of(with_places(hand, {"DIP3": (0.0, 0.0)})) == pytest.approx(scale, rel=0.06)
    assert hand_scale({"MCP2": np.zeros(2)}) is None
    assert hand_scale({"MCP2": np.zeros(2), "MCP3": np.zeros(2)}) is None


def test_a_joint_of_a_picture_of_one_joint_is_no_joint_of_a_hand(hand):
    assert doubts_within([replace(hand[0], name="JOINT")]) == {}
