"""The sub-pixel refinement: where it looks, what it bears, and that its covariance is the scatter of its answers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose, farthest_apart
from scipy import ndimage

from JSNRegistrationLib.features import feature_levels
from JSNRegistrationLib.motion import compose, motion_about, scale_of
from JSNRegistrationLib.narrowing import space_change_px
from JSNRegistrationLib.refinement import compared_regions, refine
from JSNRegistrationLib.registration import SE_FACTOR, prepare, register

JOINT = AnalyticJoint(1)
USUAL_SCALE = (0.0, 0.01)
POSE = Pose((1.3, -0.7), 2.0, -1.0, 0.0, 0.5)


@cache
def film(pose: Pose = Pose(), spacing_mm: float = 0.15) -> AnalyticFilm:  # noqa: B008  frozen
    return JOINT.film(pose, spacing_mm=spacing_mm)


def refined(first: AnalyticFilm, second: AnalyticFilm, start, log_scale=USUAL_SCALE):
    return refine(first.crop, feature_levels(first.crop), second.crop, feature_levels(second.crop), start, log_scale)


def change_of(found, first: AnalyticFilm) -> float:
    return space_change_px(found.upper.matrix, found.lower.matrix, first.frame.origin_px, first.frame.axis)


def with_pixels(of: AnalyticFilm, pixels: np.ndarray) -> AnalyticFilm:
    return replace(of, crop=replace(of.crop, pixels=pixels.astype(np.float32)))


def test_the_compared_regions_are_the_bones_with_their_edges_and_not_the_other_bone():
    crop = film().crop
    upper, lower = compared_regions(crop)
    assert not (upper & crop.lower).any()
    assert not (lower & crop.upper).any()
    for region, bone in ((upper, crop.upper), (lower, crop.lower)):
        away = bone & ~ndimage.binary_dilation(crop.lower if bone is crop.upper else crop.upper, iterations=8)
        assert region[away].all()
        assert np.count_nonzero(region & ~bone) > 0.02 * np.count_nonzero(bone)


def test_overlapping_bones_are_compared_where_each_lies_alone():
    crop = film().crop
    crop = replace(crop, upper=ndimage.binary_dilation(crop.upper, iterations=14))  # over the end of the lower bone
    assert (crop.upper & crop.lower).any()
    upper, lower = compared_regions(crop)
    assert not (upper & crop.lower).any()
    assert not (lower & crop.upper).any()


@pytest.mark.parametrize("off", [(2.0, -1.5, 0.0), (-1.0, 2.0, 2.0), (0.0, 0.0, -3.0)])
def test_the_answer_does_not_depend_on_the_start(off):
    first, second = film(), film(POSE)
    truth = first.motions_to(second)
    wrong = motion_about(first.frame.origin_px, np.radians(off[2]), 1.0, np.array(off[:2]))
    here = refined(first, second, truth)
    there = refined(first, second, tuple(compose(motion, wrong) for motion in truth))
    for one, other in ((here.upper, there.upper), (here.lower, there.lower)):
        assert farthest_apart(one.matrix, other.matrix, first.frame.origin_px, 30.0) < 5e-3


def test_a_certain_scale_is_kept_and_an_uncertain_one_is_found():
    first, second = film(), film(Pose(magnification=1.02))
    start = first.motions_to(first)
    kept = refined(first, second, start, (0.0, 1e-6))
    found = refined(first, second, start, (0.0, 0.03))
    assert scale_of(kept.upper.matrix) == pytest.approx(1.0, abs=1e-4)
    assert scale_of(found.upper.matrix) == pytest.approx(1.02, abs=5e-4)
    assert scale_of(found.upper.matrix) == pytest.approx(scale_of(found.lower.matrix), rel=1e-12)


def test_a_slow_shading_of_the_second_film_moves_nothing():
    first, second = film(), film(POSE)
    y, x = np.mgrid[: second.crop.pixels.shape[0], : second.crop.pixels.shape[1]] / 75.0 - 1.0
    shaded = with_pixels(second, second.crop.pixels + 40 * x - 30 * y + 25 * x * y)
    start = first.motions_to(second)
    plain, other = (change_of(refined(first, s, start), first) for s in (second, shaded))
    assert other == pytest.approx(plain, abs=0.02)


def test_an_erosion_of_one_bone_moves_it_little():
    """A bite of 1.5 mm out of the edge of the upper bone beside the joint is no motion."""
    first, second = film(), film(POSE)
    at = second.frame.origin_px + 36 * np.array([1.0, 0.0]) + 14 * second.frame.axis
    y, x = np.mgrid[: second.crop.pixels.shape[0], : second.crop.pixels.shape[1]]
    bite = 50.0 * np.exp(-0.5 * ((x - at[0]) ** 2 + (y - at[1]) ** 2) / 4.0**2)
    eroded = with_pixels(second, second.crop.pixels - bite)
    start = first.motions_to(second)
    plain, other = (change_of(refined(first, s, start), first) for s in (second, eroded))
    assert other == pytest.approx(plain, abs=0.05)


def test_likeness_is_one_for_the_same_film_and_falls_with_noise():
    first = film()
    same = refined(first, first, first.motions_to(first))
    assert same.upper.similarity == pytest.approx(1.0, abs=1e-9)
    noisy = [JOINT.film(exposure=Exposure(noise=noise)) for noise in (4.0, 16.0)]
    little, much = (refined(first, n, first.motions_to(n)).lower.similarity for n in noisy)
    assert much < little < 1.0


def test_cover_is_the_share_of_the_bone_that_the_other_film_shows():
    first, second = film(), film(Pose((0.0, -45.0)))  # 30 rows are left above the joint
    found = refined(first, second, first.motions_to(second))
    upper = compared_regions(first.crop)[0]
    rows = np.nonzero(upper)[0]
    assert found.upper.cover == pytest.approx(np.mean(rows - 45 > 1), abs=0.02)
    assert found.lower.cover > 0.95


def test_a_bone_with_hardly_a_pixel_is_refused():
    first = film()
    bare = replace(first, crop=replace(first.crop, upper=np.zeros_like(first.crop.upper)))
    with pytest.raises(ValueError, match="too little of the bone"):
        refined(bare, first, first.motions_to(first))


@pytest.fixture(scope="module")
def repeated() -> tuple[np.ndarray, np.ndarray]:
    """Errors of the change and its stated variance, for one joint filmed again and again with other noise."""
    spacing, pose, runs = 0.2, Pose((0.4, -0.3), 1.0, -0.7, 0.0, 0.3), 60
    still, moved = film(spacing_mm=spacing), film(pose, spacing)
    random = np.random.default_rng(77)
    slope = np.array([*still.frame.axis, 0.0, *(-still.frame.axis), 0.0, 0.0])
    changes, variances = [], []
    for _ in range(runs):
        first, second = (
            with_pixels(f, f.crop.pixels + 5.0 * random.standard_normal(f.crop.pixels.shape)) for f in (still, moved)
        )
        found = register(prepare(first.crop, spacing), prepare(second.crop, spacing))
        changes.append(change_of(found, first))
        variances.append(slope @ found.covariance @ slope)
    return np.array(changes) - pose.gap_px, np.array(variances)


def test_the_stated_error_is_the_scatter_over_noise(repeated):
    """Without the factor for what is not noise, which no repetition of these films shows."""
    errors, variances = repeated
    stated = np.sqrt(np.mean(variances)) / SE_FACTOR
    assert 0.5 < stated / np.std(errors, ddof=1) < 2.0


def test_noise_brings_no_bias(repeated):
    errors, _ = repeated
    assert abs(np.mean(errors)) < 4.0 * np.std(errors) / np.sqrt(len(errors)) + 0.01


def test_the_covariance_is_a_covariance(repeated):
    assert (repeated[1] > 0).all()
    first = JOINT.film(exposure=Exposure(noise=4.0))
    covariance = refined(first, film(POSE), first.motions_to(film(POSE))).covariance
    assert covariance == pytest.approx(covariance.T, rel=1e-6)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_twice_the_noise_is_about_twice_the_error():
    stated = []
    for noise in (3.0, 6.0):
        first = JOINT.film(exposure=Exposure(noise=noise, noise_seed=1))
        second = JOINT.film(POSE, Exposure(noise=noise, noise_seed=2))
        covariance = refined(first, second, first.motions_to(second)).covariance
        slope = np.array([*first.frame.axis, 0.0, *(-first.frame.axis), 0.0, 0.0])
        stated.append(np.sqrt(slope @ covariance @ slope))
    assert 1.4 < stated[1] / stated[0] < 2.8
