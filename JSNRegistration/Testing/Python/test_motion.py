"""Motions of the film plane are a group, and their parts say what they do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from JSNRegistrationLib.motion import (
    IDENTITY,
    angle_of,
    apply,
    between_pieces,
    compose,
    halfway,
    inverse,
    motion_about,
    relative_angle,
    scale_of,
)

POINTS = np.array([[0.0, 0.0], [100.0, 3.0], [-20.0, 250.5]])

coordinates = st.floats(-500, 500)
places = st.tuples(coordinates, coordinates).map(np.array)
turns = st.floats(-1.4, 1.4)
scales = st.floats(0.5, 2.0)
shifts = st.tuples(st.floats(-30, 30), st.floats(-30, 30)).map(np.array)
motions = st.builds(motion_about, places, turns, scales, shifts)
quickly = settings(max_examples=50, deadline=None, derandomize=True)


def test_the_identity_leaves_every_point():
    assert np.array_equal(apply(IDENTITY, POINTS), POINTS)


def test_a_quarter_turn_takes_right_to_down_as_seen_on_the_film():
    quarter = motion_about(np.array([10.0, 20.0]), np.pi / 2, 1.0, np.zeros(2))
    assert apply(quarter, [11.0, 20.0]) == pytest.approx([10.0, 21.0])
    assert apply(quarter, [10.0, 21.0]) == pytest.approx([9.0, 20.0])


@quickly
@given(centre=places, turn=turns, scale=scales, shift=shifts)
def test_a_motion_about_a_centre_only_shifts_the_centre(centre, turn, scale, shift):
    motion = motion_about(centre, turn, scale, shift)
    assert apply(motion, centre) == pytest.approx(centre + shift, abs=1e-9)
    assert angle_of(motion) == pytest.approx(turn, abs=1e-12)
    assert scale_of(motion) == pytest.approx(scale, rel=1e-12)


@quickly
@given(motion=motions)
def test_a_motion_and_its_inverse_cancel_on_both_sides(motion):
    assert compose(inverse(motion), motion) == pytest.approx(IDENTITY, abs=1e-9)
    assert compose(motion, inverse(motion)) == pytest.approx(IDENTITY, abs=1e-9)


@quickly
@given(first=motions, second=motions)
def test_composing_is_doing_one_after_the_other(first, second):
    assert apply(compose(second, first), POINTS) == pytest.approx(apply(second, apply(first, POINTS)), abs=1e-8)


@quickly
@given(first=motions, second=motions, third=motions)
def test_composing_does_not_depend_on_the_brackets(first, second, third):
    assert compose(third, compose(second, first)) == pytest.approx(compose(compose(third, second), first), abs=1e-7)


@quickly
@given(lower=motions, bend=st.floats(-3.1, 3.1))
def test_the_relative_angle_is_the_bend_whatever_both_bones_do_together(lower, bend):
    upper = compose(lower, motion_about(np.array([5.0, 6.0]), bend, 1.0, np.zeros(2)))
    assert relative_angle(upper, lower) == pytest.approx(bend, abs=1e-9)


def test_the_relative_angle_of_bones_on_both_sides_of_half_a_turn_is_small():
    upper, lower = (motion_about(np.zeros(2), np.radians(turn), 1.0, np.zeros(2)) for turn in (-179.0, 179.0))
    assert np.degrees(relative_angle(upper, lower)) == pytest.approx(2.0)


@quickly
@given(motion=motions, cut_from=shifts, cut_to=shifts)
def test_a_motion_between_pieces_is_the_motion_between_their_films(motion, cut_from, cut_to):
    of_films = between_pieces(motion, tuple(cut_from), tuple(cut_to))
    assert apply(of_films, POINTS + cut_from) == pytest.approx(apply(motion, POINTS) + cut_to, abs=1e-8)


@quickly
@given(motion=motions)
def test_half_way_between_equals_is_the_same(motion):
    assert halfway(motion, motion) == pytest.approx(motion, abs=1e-8)


@quickly
@given(first=motions, nudge=st.tuples(st.floats(-0.1, 0.1), st.floats(0.95, 1.05), shifts))
def test_half_way_does_not_depend_on_the_order_nor_on_the_direction(first, nudge):
    turn, scale, shift = nudge
    second = compose(first, motion_about(np.array([70.0, 80.0]), turn, scale, shift))
    middle = halfway(first, second)
    assert halfway(second, first) == pytest.approx(middle, abs=1e-7)
    assert halfway(inverse(first), inverse(second)) == pytest.approx(inverse(middle), abs=1e-7)


@quickly
@given(first=motions, turn=st.floats(-0.3, 0.3), scale=st.floats(0.9, 1.1))
def test_half_way_is_half_of_the_turn_and_half_of_the_scale(first, turn, scale):
    second = compose(first, motion_about(np.array([70.0, 80.0]), turn, scale, np.zeros(2)))
    middle = halfway(first, second)
    assert relative_angle(middle, first) == pytest.approx(turn / 2, abs=1e-9)
    assert scale_of(middle) / scale_of(first) == pytest.approx(np.sqrt(scale), rel=1e-9)
