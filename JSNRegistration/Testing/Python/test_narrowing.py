"""The change of the joint space: its sign, where it is read, its profile, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from JSNRegistrationLib import narrowing
from JSNRegistrationLib.motion import IDENTITY, angle_of, compose, inverse, motion_about, scale_of
from JSNRegistrationLib.narrowing import (
    CONFIDENCE_Z,
    PROFILE_REACH,
    JointFrame,
    carried,
    joint_space_change,
    space_change_px,
    standard_error_px,
)

UPWARDS = JointFrame(np.array([80.0, 60.0]), np.array([0.0, -1.0]))
BREADTH_PX = 100.0
quickly = settings(max_examples=60, deadline=None, derandomize=True)


def shifted(x: float, y: float) -> np.ndarray:
    return motion_about(np.zeros(2), 0.0, 1.0, np.array([x, y]))


def change_of(upper, lower, frame=UPWARDS, side=None):
    return joint_space_change(upper, lower, frame, 0.1, side, BREADTH_PX)


def bones_apart(frame: JointFrame, gap: float, bend: float, common: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motions that widen the space by `gap` along the axis and bend the joint by `bend`, both halves each."""
    halves = []
    for half in (0.5, -0.5):
        own = motion_about(frame.origin_px, half * bend, 1.0, half * gap * frame.axis)
        halves.append(compose(common, own))
    return halves[0], halves[1]


angles = st.floats(-np.pi, np.pi)
frames = st.builds(
    lambda x, y, angle: JointFrame(np.array([x, y]), np.array([np.cos(angle), np.sin(angle)])),
    st.floats(-300, 300),
    st.floats(-300, 300),
    angles,
)
commons = st.builds(
    lambda angle, scale, x, y: motion_about(np.array([50.0, 40.0]), angle, scale, np.array([x, y])),
    angles,
    st.floats(0.6, 1.6),
    st.floats(-50, 50),
    st.floats(-50, 50),
)
gaps = st.floats(-6, 3)
bends = st.floats(np.radians(-3), np.radians(3))


def test_an_upper_bone_that_comes_nearer_is_negative_and_one_that_goes_away_positive():
    assert space_change_px(shifted(0, 2.5), IDENTITY, UPWARDS.origin_px, UPWARDS.axis) == pytest.approx(-2.5)
    assert space_change_px(shifted(0, -1.5), IDENTITY, UPWARDS.origin_px, UPWARDS.axis) == pytest.approx(1.5)
    assert space_change_px(IDENTITY, shifted(0, -0.5), UPWARDS.origin_px, UPWARDS.axis) == pytest.approx(-0.5)


def test_a_bone_that_slides_across_the_joint_changes_no_space():
    assert space_change_px(shifted(3, 0), shifted(-2, 0), UPWARDS.origin_px, UPWARDS.axis) == 0


@quickly
@given(frame=frames, gap=gaps, bend=bends, common=commons)
def test_the_change_is_the_gap_however_the_finger_lies_and_whatever_the_scale(frame, gap, bend, common):
    upper, lower = bones_apart(frame, gap, bend, common)
    assert space_change_px(upper, lower, frame.origin_px, frame.axis) == pytest.approx(gap, abs=1e-9)


@quickly
@given(frame=frames, gap=gaps, bend=bends, common=commons)
def test_the_profile_is_the_gap_and_the_slope_of_the_bend(frame, gap, bend, common):
    upper, lower = bones_apart(frame, gap, bend, common)
    change = change_of(upper, lower, frame)
    expected = gap - 2.0 * np.sin(bend / 2.0) * change.profile_offsets_px
    assert change.profile_px == pytest.approx(expected, abs=1e-9)
    assert change.profile_px[2] == pytest.approx(change.change_px, abs=1e-12)
    assert change.tilt_deg == pytest.approx(np.degrees(bend), abs=1e-9)


def test_an_upper_bone_turned_clockwise_narrows_the_right_of_the_film():
    upper = motion_about(UPWARDS.origin_px, np.radians(2.0), 1.0, np.zeros(2))
    change = change_of(upper, IDENTITY)
    assert change.profile_order == "image left to right"
    assert change.tilt_deg == pytest.approx(2.0)
    assert change.profile_px[0] > 0.5
    assert change.profile_px[-1] < -0.5


def test_the_profile_reaches_as_far_as_it_says():
    offsets = change_of(IDENTITY, IDENTITY).profile_offsets_px
    assert offsets == pytest.approx(PROFILE_REACH * BREADTH_PX * np.array([-1, -0.5, 0, 0.5, 1]))


def test_without_a_side_the_profile_runs_from_left_to_right_also_where_the_finger_points_down():
    downwards = JointFrame(UPWARDS.origin_px, np.array([0.0, 1.0]))
    upper = motion_about(UPWARDS.origin_px, np.radians(2.0), 1.0, np.zeros(2))  # now the bone below
    profile = change_of(upper, IDENTITY, downwards).profile_px
    assert profile[0] < -0.5  # its left end has gone up, to the other bone
    assert profile[-1] > 0.5


@pytest.mark.parametrize(("side", "thumb"), [("right", -1), ("left", 1)])
def test_radial_comes_first_and_is_where_the_thumb_lies_in_a_palm_down_film(side, thumb):
    # The upper bone turns about the joint so that the space closes at the end named by `thumb` (1: right of the film).
    upper = motion_about(UPWARDS.origin_px, np.radians(2.0 * thumb), 1.0, np.zeros(2))
    change = change_of(upper, IDENTITY, side=side)
    assert change.profile_order == "radial to ulnar"
    assert change.profile_px[0] < -0.5
    assert change.profile_px[-1] > 0.5
    assert np.sign(change.profile_offsets_px[0]) == thumb


@quickly
@given(frame=frames, gap=gaps, bend=bends, common=commons, turn=angles)
def test_turning_the_picture_changes_nothing(frame, gap, bend, common, turn):
    whole = motion_about(np.array([90.0, 90.0]), turn, 1.0, np.array([4.0, -7.0]))
    upper, lower = bones_apart(frame, gap, bend, common)
    here = change_of(upper, lower, frame, "left")
    turned_frame = carried(frame, whole, whole)
    there = change_of(compose(upper, inverse(whole)), compose(lower, inverse(whole)), turned_frame, "left")
    assert there.change_px == pytest.approx(here.change_px, abs=1e-9)
    assert there.profile_px == pytest.approx(here.profile_px, abs=1e-9)
    assert there.tilt_deg == pytest.approx(here.tilt_deg, abs=1e-9)


@quickly
@given(frame=frames, gap=gaps, bend=bends, common=commons)
@example(frame=UPWARDS, gap=-6.0, bend=np.radians(3), common=IDENTITY)
def test_the_way_back_from_the_carried_frame_is_the_opposite_change(frame, gap, bend, common):
    upper, lower = bones_apart(frame, gap, bend, common)
    there = carried(frame, upper, lower)
    back = space_change_px(inverse(upper), inverse(lower), there.origin_px, there.axis)
    assert back / scale_of(common) == pytest.approx(-gap, abs=1e-3)


@quickly
@given(frame=frames, gap=gaps, bend=bends, common=commons)
@example(frame=UPWARDS, gap=-6.0, bend=np.radians(3), common=IDENTITY)
def test_a_frame_carried_there_and_back_is_itself(frame, gap, bend, common):
    upper, lower = bones_apart(frame, gap, bend, common)
    again = carried(carried(frame, upper, lower), inverse(upper), inverse(lower))
    assert again.axis == pytest.approx(frame.axis, abs=1e-9)
    assert again.origin_px == pytest.approx(frame.origin_px, abs=1e-6)


def test_a_carried_axis_turns_by_the_mean_of_both_bones():
    upper, lower = bones_apart(UPWARDS, -1.0, np.radians(6), motion_about(np.zeros(2), np.radians(10), 1.2, np.ones(2)))
    axis = carried(UPWARDS, upper, lower).axis
    turned = np.degrees(np.arctan2(axis[1], axis[0]) - np.arctan2(*UPWARDS.axis[::-1]))
    assert turned == pytest.approx(10.0)
    assert np.degrees(angle_of(upper)) == pytest.approx(13.0)


def test_the_interval_is_the_change_and_two_standard_errors_to_either_side():
    change = change_of(shifted(0, 1), IDENTITY)
    assert change.interval_px == pytest.approx((-1 - CONFIDENCE_Z * 0.1, -1 + CONFIDENCE_Z * 0.1))


@pytest.fixture
def bare(monkeypatch):
    """The standard error as the covariance alone gives it."""
    monkeypatch.setattr(narrowing, "SE_FLOOR_MM", 0.0)


@pytest.mark.usefixtures("bare")
def test_the_standard_error_is_that_of_the_change_by_the_formula():
    random = np.random.default_rng(5)
    root = 0.02 * random.standard_normal((7, 7))
    axis = np.array([0.6, -0.8])
    origin = np.array([40.0, 50.0])
    common = motion_about(origin, 0.3, 1.0, np.array([3.0, 4.0]))
    small = random.standard_normal((20000, 7)) @ root.T
    changes = [space_change_px(*_nudged(common, common, own, origin), origin, axis) for own in small[:4000]]
    assert standard_error_px(root @ root.T, axis, 0.15) == pytest.approx(np.std(changes), rel=0.05)


def _nudged(upper, lower, own, origin):
    scale = np.exp(own[6])
    return (
        compose(upper, motion_about(origin, own[2], scale, own[:2])),
        compose(lower, motion_about(origin, own[5], scale, own[3:5])),
    )


def test_the_standard_error_never_falls_below_its_floor_in_millimetres():
    nothing = np.zeros((7, 7))
    assert standard_error_px(nothing, UPWARDS.axis, 0.1) * 0.1 == pytest.approx(narrowing.SE_FLOOR_MM)
    assert standard_error_px(nothing, UPWARDS.axis, 0.2) * 0.2 == pytest.approx(narrowing.SE_FLOOR_MM)
    assert narrowing.SE_FLOOR_MM > 0
