"""The simulated films of whole hands: the truth that they state is what they show."""

from __future__ import annotations

import numpy as np
import pytest

from JSNRegistrationLib.joint_finding.hand_side import side_of
from JSNRegistrationLib.joints import JOINT_NAMES, Joint
from JSNRegistrationLib.simulation.growing_bones import Growth, growing_bone
from JSNRegistrationLib.simulation.hand_film import draw_view, simulate_hand_film
from JSNRegistrationLib.simulation.joint_cutout import bones_of, simulate_joint_cutouts
from JSNRegistrationLib.simulation.posed_hand import HandTraits, pose_hand
from JSNRegistrationLib.simulation.skeleton_growth import BoneAge

PITCH_MM = 0.6


def traits(years: float, diseased: float = 0.0) -> HandTraits:
    return HandTraits(BoneAge(years), 1.0, 1.0, diseased, 1.0, PITCH_MM)


def test_the_same_seed_gives_the_same_film_and_another_seed_another():
    first, again, other = (simulate_hand_film(seed) for seed in (7, 7, 8))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.hands[0].joints, again.hands[0].joints, equal_nan=True)
    assert not np.array_equal(first.pixels[:100, :100], other.pixels[:100, :100])


@pytest.mark.parametrize("years", [2.0, 6.0, 12.0, 30.0])
def test_a_joint_lies_midway_between_its_two_bones(years):
    hand = pose_hand(np.random.default_rng(3), traits(years))
    for name, joint in hand.joints.items():
        near = []
        for bone in bones_of(name):
            points = hand.bones[bone].points.places_mm
            near.append(np.sqrt(((points - joint.place_mm) ** 2).sum(axis=1).min()))
        # Half the joint space, the unossified cartilage of a child included; the surfaces are curved.
        assert max(near) < (1.8 if years > 18 else 5.0), name
        assert abs(near[0] - near[1]) < 1.2, name


def test_bones_grow_and_their_epiphyses_appear():
    young, older, adult = (pose_hand(np.random.default_rng(5), traits(years)) for years in (2.0, 9.0, 30.0))
    lengths = [np.ptp(hand.bones["MC3"].points.places_mm[:, 1]) for hand in (young, older, adult)]
    assert lengths == sorted(lengths)
    assert "scaphoid" not in young.bones
    assert "scaphoid" in older.bones


def test_between_shaft_and_epiphysis_lies_the_growth_plate():
    def widest_gap(growth: Growth) -> float:
        """The longest stretch without bone along the middle of a proximal phalanx, mm."""
        bone = growing_bone(np.random.default_rng(1), 40.0, (15.0, 8.0, 11.0), "proximal", growth, pitch_mm=0.4)
        u, v, w = bone.points.places_mm.T
        return float(np.diff(np.sort(u[np.hypot(v, w) < 1.5])).max())

    assert widest_gap(Growth(True)) < 0.6
    assert widest_gap(Growth(False, 1.0, 1.5)) == pytest.approx(1.5, abs=0.7)


@pytest.mark.parametrize(("mirror", "side"), [(1, "left"), (-1, "right")])
@pytest.mark.parametrize("seed", range(4))
def test_seen_from_the_back_the_side_follows_from_the_order_of_the_fingers(mirror, side, seed):
    rng = np.random.default_rng(seed)
    hand = pose_hand(rng, traits(30.0))
    view = draw_view(rng, oblique=False, mirror=mirror)
    joints = []
    for name, joint in hand.joints.items():
        axis = view[:, :3] @ joint.axis
        place = view @ np.append(joint.place_mm, 1.0)
        joints.append(Joint(name, None, tuple(place), tuple(axis / np.hypot(*axis))))
    assert side_of(joints) == side


def test_films_hold_amputations_and_second_hands_and_oblique_views():
    hands = [hand for seed in range(60) for hand in simulate_hand_film(seed, long_side_px=96).hands]
    whole = [np.isfinite(hand.joints[:, 0]).sum() for hand in hands]
    assert len(hands) > 62
    assert max(whole) == len(JOINT_NAMES)
    assert min(whole) < len(JOINT_NAMES)
    assert any(hand.oblique for hand in hands)
    assert not all(hand.oblique for hand in hands)


def test_the_regions_of_a_joint_picture_cover_bone_on_both_sides_of_the_joint():
    pictures = simulate_joint_cutouts(5)
    assert pictures
    for picture in pictures:
        upper, lower = picture.bones > 127
        rows = np.arange(len(upper))[:, None]
        # The finger points up: the distal bone is above the proximal one.
        assert (rows * upper).sum() / upper.sum() < (rows * lower).sum() / lower.sum(), picture.name
        assert min(upper.mean(), lower.mean()) > 0.02, picture.name
