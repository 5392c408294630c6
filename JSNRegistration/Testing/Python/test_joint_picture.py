"""The picture of a joint that the bone network sees, and the way of its answer back to the film."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from JSNRegistrationLib.bone_finding.bone_regions import BoneRegions
from JSNRegistrationLib.bone_finding.joint_picture import SIDE_PX, WIDTH_PX, PictureFrame, cut_picture
from JSNRegistrationLib.joint_space import space_line

turns = st.floats(-np.pi, np.pi)


@settings(max_examples=50, deadline=None)
@given(turns, st.floats(20, 300), st.floats(-50, 900), st.floats(-50, 900))
def test_from_the_picture_to_the_film_and_back(turn, width, x, y):
    frame = PictureFrame.around((x, y), (np.sin(turn), -np.cos(turn)), width)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    back = frame.in_picture(frame.on_film())
    assert np.abs(back[..., 0] - columns).max() < 1e-6
    assert np.abs(back[..., 1] - rows).max() < 1e-6


@settings(max_examples=20, deadline=None)
@given(turns, st.floats(40, 120))
def test_the_finger_points_up_in_the_picture_and_is_as_wide_as_ever(turn, width):
    y, x = np.mgrid[:400, :400].astype(float)
    axis, across = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    along = (x - 200) * axis[0] + (y - 200) * axis[1]
    beside = (x - 200) * across[0] + (y - 200) * across[1]
    film = 50.0 + 100.0 * (np.abs(beside) < width / 2) + 100.0 * ((np.abs(beside) < width / 2) & (along > 0))
    picture = cut_picture(film, PictureFrame.around((200, 200), axis, width))
    middle = SIDE_PX // 2
    assert picture[middle - 20, middle] > picture[middle + 20, middle] + 0.3
    assert (picture[middle + 15] > 0.25).sum() == pytest.approx(WIDTH_PX, abs=2)


def test_a_picture_beyond_the_border_goes_on_as_the_border():
    picture = cut_picture(np.tile(np.arange(50.0), (50, 1)), PictureFrame.around((49, 25), (0, -1), 40))
    assert picture.shape == (SIDE_PX, SIDE_PX)
    assert np.isfinite(picture).all()
    assert np.allclose(picture[:, -10:], picture[:, -1:])


def test_regions_lie_on_the_film_where_the_network_saw_them_and_may_overlap():
    frame = PictureFrame.around((130.0, 90.0), (0.0, -1.0), 76.0)  # two film pixels a pixel of the picture
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - (SIDE_PX - 1) / 2
    logits = np.stack([6 - np.hypot(x, y + 8), 6 - np.hypot(x, y)]) * 3  # discs of 6 px, the upper one 8 px higher
    regions = BoneRegions(frame, logits.astype(np.float32))
    upper, lower = regions.on_crop((100, 40), (100, 60))
    for region, centre in ((upper, (30, 34)), (lower, (30, 50))):
        rows, columns = np.nonzero(region)
        assert (columns.mean(), rows.mean()) == pytest.approx(centre, abs=0.3)
        assert region.sum() == pytest.approx(np.pi * 12**2, rel=0.05)
    assert (upper & lower).any()


def test_specks_and_holes_are_mended():
    frame = PictureFrame.around((48, 48), (0, -1), WIDTH_PX)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    disc = 20.0 - np.hypot(x - 48, y - 48)
    disc[46:49, 46:49] = -5.0  # a hole
    disc[2:4, 2:4] = 5.0  # a speck
    upper, _ = BoneRegions(frame, np.stack([disc, disc]).astype(np.float32)).on_crop((0, 0), (96, 96))
    assert ndimage.label(upper)[1] == 1
    assert upper[48, 48]


def test_a_sharp_answer_is_surer_than_a_blurred_one():
    frame = PictureFrame.around((48, 48), (0, -1), WIDTH_PX)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    away = 20.0 - np.hypot(x - 48, y - 48)
    sharp, blurred = (BoneRegions(frame, np.stack([away * k, away * k])) for k in (4.0, 0.2))
    assert sharp.seen()[0] > 0.9
    assert blurred.seen()[0] < 0.5


@settings(max_examples=30, deadline=None)
@given(turns, st.floats(-4, 6))
def test_the_space_line_is_midway_between_the_bones_even_where_they_overlap(turn, gap):
    y, x = np.mgrid[:120, :120].astype(float)
    axis, across = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    along = (x - 60) * axis[0] + (y - 60) * axis[1]
    beside = np.abs((x - 60) * across[0] + (y - 60) * across[1])
    upper = (along > gap / 2) & (along < 30) & (beside < 25)
    lower = (along < -gap / 2) & (along > -30) & (beside < 25)
    line = space_line(upper, lower, (60, 60), axis, 20.0)
    assert len(line) > 35
    assert np.abs((line - 60) @ axis).max() < 0.8
