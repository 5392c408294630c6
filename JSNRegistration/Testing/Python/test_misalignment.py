"""The map of what registration leaves: nothing between equal pictures, everything between strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose

from JointQuantLib.loss_colors import FULL_LOSS_MM
from JSNRegistrationLib.misalignment import MisalignmentMap, film_spline, misalignment
from JSNRegistrationLib.motion import IDENTITY, compose, motion_about
from JSNRegistrationLib.refinement import compared_regions

JOINT = AnalyticJoint(1)
POSE = Pose((1.3, -0.7), 2.0, -1.0, 0.0, 0.5)


@pytest.fixture(scope="module")
def still() -> AnalyticFilm:
    return JOINT.film()


@pytest.fixture(scope="module")
def moved() -> AnalyticFilm:
    return JOINT.film(POSE)


def compared(first: AnalyticFilm, second: AnalyticFilm | np.ndarray, motions=None) -> MisalignmentMap:
    pixels = second if isinstance(second, np.ndarray) else second.crop.pixels
    return misalignment(first.crop, film_spline(pixels), *(motions or first.motions_to(second)))


def test_equal_pictures_have_no_loss(still):
    found = compared(still, still)
    inside = np.isfinite(found.loss)
    assert np.abs(found.loss[inside]).max() < 1e-5
    assert found.mean_loss == pytest.approx(0.0, abs=1e-5)


def test_the_loss_covers_both_bones_and_nothing_else(still):
    upper, lower = compared_regions(still.crop)
    assert np.array_equal(np.isfinite(compared(still, still).loss), upper | lower)


def test_the_second_film_is_brought_onto_the_first_exactly(still):
    found = compared(still, still)
    assert found.film[2:-2, 2:-2] == pytest.approx(still.crop.pixels[2:-2, 2:-2], abs=1e-2)


def test_after_the_true_motions_hardly_anything_is_left_and_before_much(still, moved):
    after = compared(still, moved)
    before = compared(still, moved, (IDENTITY, IDENTITY))
    assert after.mean_loss < 0.01
    assert before.mean_loss > 10 * after.mean_loss


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.0), (3.0, -40.0), (1.0, 500.0)])
def test_gain_and_offset_of_either_film_are_no_loss(still, moved, gain, offset):
    plain = compared(still, moved)
    second = compared(still, JOINT.film(POSE, Exposure(gain, offset)))
    first = compared(JOINT.film(exposure=Exposure(gain, offset)), moved)
    for other in (first, second):
        assert other.loss == pytest.approx(plain.loss, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize("exposure", [Exposure(), Exposure(0.4, 20.0, 1.2), Exposure(noise=3.0), Exposure(noise=6.0)])
@pytest.mark.parametrize("off_mm", [0.1, 0.2, 0.4])
def test_the_loss_is_the_misplacement_in_mm_whatever_the_exposure_and_the_noise(still, exposure, off_mm):
    film = JOINT.film(POSE, exposure)
    upper, lower = still.motions_to(film)
    losses = []
    for direction in ((1.0, 0.0), (0.0, 1.0)):
        shift = motion_about(np.zeros(2), 0.0, 1.0, off_mm / 0.15 * np.array(direction))
        losses.append(np.nanmean(compared(still, film, (compose(upper, shift), lower)).bones[0].loss))
    assert np.sqrt(np.mean(np.square(losses))) * FULL_LOSS_MM == pytest.approx(off_mm, rel=0.25)


@pytest.mark.parametrize("noise", [0.0, 3.0, 9.0])
def test_noise_alone_leaves_the_map_dark(noise):
    first = JOINT.film(exposure=Exposure(noise=noise, noise_seed=1))
    second = JOINT.film(POSE, Exposure(noise=noise, noise_seed=2))
    loss = compared(first, second).loss
    assert np.nanmean(loss) * FULL_LOSS_MM < 0.06
    assert np.nanpercentile(loss, 95) * FULL_LOSS_MM < 0.15


def test_what_the_other_bone_has_moved_over_is_not_compared(still):
    closed = JOINT.film(Pose(gap_px=-8.0))
    upper = compared_regions(still.crop)[0]
    found = compared(still, closed)
    assert np.count_nonzero(found.bones[0].region) < np.count_nonzero(upper)
    assert found.mean_loss < 0.05


def test_unrelated_pictures_lose_nearly_everything(still):
    shape = still.crop.pixels.shape
    noise = [np.random.default_rng(seed).normal(100.0, 20.0, shape).astype(np.float32) for seed in (0, 1)]
    blank = replace(still, crop=replace(still.crop, pixels=noise[0]))
    found = compared(blank, noise[1], (IDENTITY, IDENTITY))
    assert found.mean_loss > 0.8
    assert compared(blank, noise[0], (IDENTITY, IDENTITY)).mean_loss < 1e-5


def test_the_loss_stays_on_its_scale(still):
    negative = (200.0 - still.crop.pixels).astype(np.float32)
    loss = compared(still, negative, (IDENTITY, IDENTITY)).loss
    inside = loss[np.isfinite(loss)]
    assert inside.min() >= 0.0
    assert inside.max() <= 1.0
    assert np.median(inside) == 1.0


def test_a_bone_not_laid_on_itself_shows_and_the_other_does_not(still, moved):
    upper, lower = still.motions_to(moved)
    off = compose(upper, motion_about(np.zeros(2), 0.0, 1.0, np.array([2.0, 0.0])))
    loss = compared(still, moved, (off, lower)).loss
    regions = compared_regions(still.crop)
    assert np.nanmean(loss[regions[0]]) > 0.05
    assert np.nanmean(loss[regions[1]]) < 0.01


def test_what_the_second_film_does_not_show_has_no_loss_and_no_picture(still):
    away = motion_about(np.zeros(2), 0.0, 1.0, np.array([0.0, -40.0]))
    found = compared(still, still, (away, away))
    assert np.isnan(found.film[:39]).all()
    assert np.isfinite(found.film[41:]).all()
    assert np.isnan(found.loss[:39]).all()


def test_bones_that_are_nowhere_shown_have_no_mean_loss(still):
    away = motion_about(np.zeros(2), 0.0, 1.0, np.array([1e4, 0.0]))
    found = compared(still, still, (away, away))
    assert np.isnan(found.mean_loss)
    assert np.isnan(found.loss).all()


def test_a_blank_second_film_is_no_error(still):
    found = compared(still, np.full(still.crop.pixels.shape, 7.0, np.float32), (IDENTITY, IDENTITY))
    assert np.isfinite(found.mean_loss)
    assert found.mean_loss > 0.5
