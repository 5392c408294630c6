"""The registration of a joint drawn by a formula: what was done to the bones is what is found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose, farthest_apart, mirrored, upside_down
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import angle_of, scale_of
from JSNRegistrationLib.narrowing import JointFrame, JointSpaceChange, carried, joint_space_change, space_change_px
from JSNRegistrationLib.registration import JointRegistration, prepare, register

JOINT = AnalyticJoint(1)
SPACING_MM = 0.15
BREADTH_PX = 14.5 / SPACING_MM
NEAR_PX = 4.0 / SPACING_MM  # "near the joint": as far as the profile reaches
EXACT_PX = 0.01
FLIPPED_PX = 1e-3


def some(examples: int) -> settings:
    """A few examples, always the same; a failing one is shown as it is, since to make it smaller takes minutes."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


poses = st.builds(
    Pose,
    shift_px=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    turn_deg=st.floats(-8, 8),
    gap_px=st.floats(-6, 3),
    aside_px=st.floats(-1, 1),
    bend_deg=st.floats(-3, 3),
    magnification=st.floats(0.99, 1.01),
)
gains = st.builds(Exposure, gain=st.floats(0.5, 2.0), offset=st.floats(-50, 200))
noisy = st.builds(
    Exposure, gain=st.floats(0.5, 2.0), offset=st.floats(-50, 200), noise=st.just(4.0), noise_seed=st.integers(0, 999)
)


@cache
def reference() -> AnalyticFilm:
    return JOINT.film()


def registered(first: JointCrop, second: JointCrop) -> JointRegistration:
    return register(prepare(first, first.nominal_spacing_mm), prepare(second, second.nominal_spacing_mm))


def change_of(found: JointRegistration, crop: JointCrop, side: str | None = None) -> JointSpaceChange:
    frame = JointFrame(np.asarray(crop.origin_px), np.asarray(crop.axis))
    return joint_space_change(found.upper.matrix, found.lower.matrix, frame, 0.0, side, BREADTH_PX)


def assert_found(film: AnalyticFilm, pose: Pose, exact_px: float = EXACT_PX) -> None:
    """The reference film against this one: change, profile and motions are the true ones."""
    found = registered(reference().crop, film.crop)
    change = change_of(found, reference().crop)
    true_profile = pose.gap_px - 2.0 * np.sin(np.radians(pose.bend_deg) / 2.0) * change.profile_offsets_px
    assert change.change_px == pytest.approx(pose.gap_px, abs=exact_px)
    assert change.profile_px == pytest.approx(true_profile, abs=exact_px)
    assert change.tilt_deg == pytest.approx(pose.bend_deg, abs=np.degrees(exact_px / NEAR_PX))
    for bone, truth in zip((found.upper, found.lower), reference().motions_to(film), strict=True):
        assert farthest_apart(bone.matrix, truth, reference().crop.origin_px, NEAR_PX) < exact_px


# A film against itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 6.0])
@pytest.mark.parametrize("turn_deg", [0.0, 33.0])
def test_a_film_against_itself_has_not_changed(noise, turn_deg):
    crop = JOINT.film(Pose((1.3, -0.4), turn_deg), Exposure(noise=noise)).crop
    found = registered(crop, crop)
    assert np.abs(change_of(found, crop).profile_px).max() < 1e-6
    for bone in (found.upper, found.lower):
        assert bone.matrix == pytest.approx(np.eye(3)[:2], abs=1e-6)
        assert bone.similarity == pytest.approx(1.0, abs=1e-6)


def test_the_same_film_at_another_exposure_has_not_changed():
    brighter = JOINT.film(exposure=Exposure(gain=1.7, offset=300.0)).crop
    found = registered(reference().crop, brighter)
    assert np.abs(change_of(found, brighter).profile_px).max() < 1e-4


# Known motions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pose",
    [
        Pose(shift_px=(2.3, -1.7)),
        Pose(turn_deg=7.0),
        Pose(bend_deg=2.0),
        Pose(bend_deg=-3.0),
        Pose(gap_px=-1.0),
        Pose(gap_px=-6.0),
        Pose(gap_px=3.0),
        Pose(aside_px=1.0),
        Pose(magnification=1.01),
    ],
    ids=lambda pose: next(f"{name} {value}" for name, value in vars(pose).items() if value != getattr(Pose(), name)),
)
def test_each_kind_of_motion_is_found(pose):
    assert_found(JOINT.film(pose), pose)


@some(20)
@given(pose=poses, exposure=gains)
def test_any_motion_is_found_at_any_gain(pose, exposure):
    assert_found(JOINT.film(pose, exposure), pose)


@pytest.mark.parametrize("gamma", [0.8, 0.9, 1.1, 1.2])
def test_another_grey_scale_moves_the_change_by_less_than_a_twentieth_of_a_pixel(gamma):
    """Bending the grey scale moves an edge that is then blurred; this is what the README states as the limit."""
    pose = Pose((1.3, -0.7), 2.0, -1.0, 0.0, 0.5)
    found = registered(reference().crop, JOINT.film(pose, Exposure(1.4, 20.0, gamma)).crop)
    assert change_of(found, reference().crop).change_px == pytest.approx(-1.0, abs=0.05)


def test_a_narrowing_is_negative_and_a_widening_positive():
    for gap_px in (-2.0, 1.5):
        found = registered(reference().crop, JOINT.film(Pose(gap_px=gap_px)).crop)
        change = change_of(found, reference().crop).change_px
        assert np.sign(change) == np.sign(gap_px)
        assert change == pytest.approx(gap_px, abs=0.05)


# Scale ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("magnification", [0.985, 1.0, 1.02])
def test_films_of_different_spacing_give_the_change_in_millimetres(magnification):
    fine = JOINT.film(spacing_mm=0.1)
    pose = Pose((2.0, -1.0), 4.0, -0.45 / 0.15, 0.0, 1.0, magnification)
    coarse = JOINT.film(pose, Exposure(1.3, 40.0), spacing_mm=0.15)
    found = registered(fine.crop, coarse.crop)
    assert change_of(found, fine.crop).change_px * 0.1 == pytest.approx(-0.45, abs=EXACT_PX * 0.15)
    assert scale_of(found.upper.matrix) == pytest.approx(magnification * 0.1 / 0.15, rel=5e-4)
    assert found.expected_scale == pytest.approx(0.1 / 0.15)


def test_unknown_spacing_leaves_the_scale_to_the_bones():
    film = JOINT.film(Pose(magnification=1.03, gap_px=-1.0))
    found = register(prepare(reference().crop, None), prepare(film.crop, None))
    assert scale_of(found.lower.matrix) == pytest.approx(1.03, rel=5e-4)
    assert found.expected_scale == 1.0


@some(6)
@given(pose=poses, exposure=noisy)
def test_both_bones_always_have_one_scale(pose, exposure):
    found = registered(reference().crop, JOINT.film(pose, exposure).crop)
    for upper, lower in ((found.upper.matrix, found.lower.matrix), found.forward, found.backward):
        assert scale_of(upper) == pytest.approx(scale_of(lower), rel=1e-9)


# Symmetries -----------------------------------------------------------------------------------------------------------


def assert_flips(first: JointCrop, second: JointCrop) -> None:
    """The visits swapped, with origin and axis carried over: the same change with the other sign."""
    forth, back = registered(first, second), registered(second, first)
    frame = JointFrame(np.asarray(first.origin_px), np.asarray(first.axis))
    motions = (forth.upper.matrix, forth.lower.matrix)
    there = carried(frame, *motions)
    returned = space_change_px(back.upper.matrix, back.lower.matrix, there.origin_px, there.axis)
    assert returned / scale_of(motions[0]) == pytest.approx(-change_of(forth, first).change_px, abs=FLIPPED_PX)


@some(8)
@given(pose=poses, exposure=gains)
def test_swapping_the_visits_flips_the_sign(pose, exposure):
    assert_flips(reference().crop, JOINT.film(pose, exposure).crop)


@some(8)
@given(pose=poses, exposure=noisy, first=noisy)
def test_swapping_noisy_visits_of_unequal_exposure_flips_the_sign(pose, exposure, first):
    assert_flips(JOINT.film(exposure=first).crop, JOINT.film(pose, exposure).crop)


@pytest.mark.parametrize("pose", [Pose((1.2, -0.7), 3.0, -1.5, 0.3, 1.2, 1.004), Pose((-3.0, 2.0), -5.0, 1.0, 0, -2.0)])
def test_mirroring_both_films_swaps_the_profile_and_nothing_else(pose):
    first, second = reference(), JOINT.film(pose, Exposure(1.3, 20.0, noise=3.0))
    plain = registered(first.crop, second.crop)
    mirror = registered(mirrored(first), mirrored(second))
    here, there = change_of(plain, first.crop), change_of(mirror, mirrored(first))
    assert here.profile_order == there.profile_order == "image left to right"
    assert there.change_px == pytest.approx(here.change_px, abs=FLIPPED_PX)
    assert there.profile_px == pytest.approx(here.profile_px[::-1], abs=FLIPPED_PX)
    assert np.ptp(here.profile_px) > 0.5
    assert there.tilt_deg == pytest.approx(-here.tilt_deg, abs=np.degrees(FLIPPED_PX / NEAR_PX))
    assert there.profile_offsets_px == pytest.approx(here.profile_offsets_px)
    assert mirror.upper.similarity == pytest.approx(plain.upper.similarity, abs=1e-6)
    assert mirror.lower.similarity == pytest.approx(plain.lower.similarity, abs=1e-6)


def test_a_right_hand_mirrored_is_a_left_hand_with_the_same_profile_from_radial_to_ulnar():
    first, second = reference(), JOINT.film(Pose((1.2, -0.7), 3.0, -1.5, 0.3, 1.2))
    right = change_of(registered(first.crop, second.crop), first.crop, "right")
    left = change_of(registered(mirrored(first), mirrored(second)), mirrored(first), "left")
    assert right.profile_order == left.profile_order == "radial to ulnar"
    assert left.profile_px == pytest.approx(right.profile_px, abs=FLIPPED_PX)
    assert left.change_px == pytest.approx(right.change_px, abs=FLIPPED_PX)


@pytest.mark.parametrize("side", ["left", None])
def test_half_a_turn_of_both_films_changes_nothing(side):
    first, second = reference(), JOINT.film(Pose((1.2, -0.7), 3.0, -1.5, 0.3, 1.2), Exposure(noise=3.0))
    here = change_of(registered(first.crop, second.crop), first.crop, side)
    there = change_of(registered(upside_down(first), upside_down(second)), upside_down(first), side)
    profile = there.profile_px if side else there.profile_px[::-1]  # left to right as seen has turned as well
    assert there.change_px == pytest.approx(here.change_px, abs=FLIPPED_PX)
    assert profile == pytest.approx(here.profile_px, abs=FLIPPED_PX)
    assert there.tilt_deg == pytest.approx(here.tilt_deg, abs=1e-3)


def test_half_a_turn_of_the_second_film_alone_changes_nothing():
    first, second = reference(), JOINT.film(Pose((1.2, -0.7), 3.0, -1.5, 0.3, 1.2))
    here = change_of(registered(first.crop, second.crop), first.crop)
    there = change_of(registered(first.crop, upside_down(second)), first.crop)
    assert there.profile_px == pytest.approx(here.profile_px, abs=FLIPPED_PX)
    assert there.tilt_deg == pytest.approx(here.tilt_deg, abs=1e-3)


@some(8)
@given(both=st.floats(-180, 180), second_only=st.floats(-40, 40), gap_px=st.floats(-2, 2), bend_deg=st.floats(-1, 1))
def test_fingers_may_point_anywhere(both, second_only, gap_px, bend_deg):
    first = JOINT.film(Pose(turn_deg=both))
    second = JOINT.film(Pose((0.7, 0.4), both + second_only, gap_px, 0.0, bend_deg))
    found = registered(first.crop, second.crop)
    change = change_of(found, first.crop, "right")
    true_profile = gap_px - 2.0 * np.sin(np.radians(bend_deg) / 2.0) * change.profile_offsets_px
    assert change.profile_px == pytest.approx(true_profile, abs=2 * EXACT_PX)  # pixels of two other grids
    turned = np.degrees(angle_of(found.lower.matrix)) + bend_deg / 2.0 - second_only
    assert (turned + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.05)


# Starts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off_px", "off_deg"), [((0.0, 15.0), 0.0), ((12.0, -8.0), 0.0), ((6.0, 6.0), 12.0)])
def test_a_joint_found_wrongly_in_the_second_film_is_still_registered(off_px, off_deg):
    """The joint frame of the second film is off by 2 mm, or by 12 degrees: the search finds the bones."""
    pose = Pose((1.0, -2.0), 3.0, -1.0, 0.0, 1.0)
    film = JOINT.film(pose)
    angle = np.radians(off_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wrong = JointCrop(
        **{
            **vars(film.crop),
            "origin_px": tuple(np.add(film.crop.origin_px, off_px)),
            "axis": tuple(turn @ film.crop.axis),
        }
    )
    assert change_of(registered(reference().crop, wrong), reference().crop).change_px == pytest.approx(-1.0, abs=0.02)


def test_a_bone_that_is_hardly_in_the_picture_is_refused():
    with pytest.raises((ValueError, np.linalg.LinAlgError)):
        registered(reference().crop, JOINT.film(Pose((0.0, -75.0))).crop)
