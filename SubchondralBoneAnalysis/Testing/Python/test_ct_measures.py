"""What is said of a region of known density and texture, and that nothing is said where the image cannot hold it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import ndimage

from SubchondralBoneAnalysisLib.ct_measures import (
    DensityAssumption,
    RegionMeasures,
    measure_regions,
    summarize_joint_space,
    summarize_plate,
)
from SubchondralBoneAnalysisLib.ct_resolution.ct_noise import CtNoise
from SubchondralBoneAnalysisLib.ct_resolution.resolution import BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.ct_resolution.resolution_gate import contrast_left
from SubchondralBoneAnalysisLib.volume import Volume

VOXEL_MM = 0.4
NOISE_HU = 30.0


def seen(fwhm_mm: float | None = 0.6, voxel_mm: float = VOXEL_MM, noise_hu: float | None = NOISE_HU) -> CtResolution:
    """A resolution as it would have been estimated."""
    blur = None if fwhm_mm is None else BlurEstimate(fwhm_mm, 0.01, 500, "cortex")
    noise = None if noise_hu is None else CtNoise(noise_hu, 0.8, 900)
    return CtResolution((voxel_mm,) * 3, noise, blur, blur, ())


def bands(
    texture_hu: float = 0.0, noise_hu: float = NOISE_HU, grain_mm: float = 1.0
) -> tuple[Volume, Volume, np.ndarray]:
    """A block whose mean falls with depth, 500 HU at 0 mm to 300 HU at 10 mm; labels 1, 2 of two bands; its depth."""
    chance = np.random.default_rng(5)
    shape = (25, 70, 70)
    depth = np.broadcast_to((np.arange(25) + 0.5)[:, None, None] * VOXEL_MM, shape)
    pattern = ndimage.gaussian_filter(chance.normal(size=shape), grain_mm / 2**0.5 / 2.3548 / VOXEL_MM)
    hu = 500 - 20 * depth + texture_hu * pattern / pattern.std() + chance.normal(0, noise_hu, shape)
    ct = Volume(hu.astype(np.int16), (VOXEL_MM,) * 3)
    return ct, replace(ct, array=np.where(depth < 5, 1, 2).astype(np.uint8)), depth


REGIONS = {1: ("upper", 5.0), 2: ("lower", 5.0)}


def check_reasons(found: RegionMeasures) -> None:
    """Every measure is a number or has a reason, and never both."""
    for field in fields(found):
        if field.name != "not_measured":
            assert (getattr(found, field.name) is None) == (field.name in found.not_measured), field.name


# -------------------------------------------------------------------------------------------------------------- density


def test_mean_and_share_of_bone_of_each_band():
    ct, labels, _ = bands()
    for found, mean in zip(measure_regions(ct, labels, REGIONS, seen()), (450, 350), strict=True):
        assert found.hu_mean == pytest.approx(mean, abs=6)
        assert found.bv_tv == pytest.approx((found.hu_mean + 40) / 1790)
        assert found.bv_tv_low < found.bv_tv < found.bv_tv_high
        assert found.volume_mm3 == pytest.approx(found.voxels * VOXEL_MM**3)
        check_reasons(found)


def test_the_assumption_is_said_and_its_tolerances_bound_the_share():
    assumption = DensityAssumption(marrow_hu=-60, bone_hu=1600, marrow_tolerance_hu=20, bone_tolerance_hu=100)
    assert "-60 ± 20 HU" in assumption.sentence
    assert "no phantom" in assumption.sentence
    share, low, high = assumption.bv_tv(355)
    assert share == pytest.approx(415 / 1660)
    assert low == pytest.approx((355 + 40) / (1700 + 40))
    assert high == pytest.approx((355 + 80) / (1500 + 80))
    with pytest.raises(ValueError, match="denser"):
        DensityAssumption(marrow_hu=100, bone_hu=200)


def test_a_mean_beyond_marrow_and_bone_has_no_share_of_bone():
    ct, labels, _ = bands()
    found = measure_regions(replace(ct, array=ct.array - 700), labels, REGIONS, seen())[0]
    assert found.hu_mean < -200
    assert found.bv_tv is None
    assert "outside what is assumed" in found.not_measured["bv_tv"]
    check_reasons(found)


@pytest.mark.parametrize(
    ("thickness_mm", "resolution", "why"),
    [(1.0, seen(1.4), "blur"), (0.3, seen(), "voxel"), (1.0, seen(None, voxel_mm=1.5), "voxel")],
)
def test_a_band_thinner_than_the_image_resolves_is_not_measured(thickness_mm, resolution, why):
    ct, labels, _ = bands()
    found = measure_regions(ct, labels, {1: ("thin", thickness_mm)}, resolution)[0]
    assert found.hu_mean is None
    assert why in found.not_measured["hu_mean"]
    check_reasons(found)


def test_absent_small_and_spoiled_regions_are_not_measured():
    ct, labels, _ = bands()
    labels.array[0, 0, :50] = 3
    metal = np.zeros(ct.array.shape, bool)
    metal[:5] = True
    found = measure_regions(ct, labels, REGIONS | {3: ("small", 5.0), 4: ("absent", 5.0)}, seen(), unusable=metal)
    assert [one.name for one in found] == ["upper", "lower", "small", "absent"]
    assert "metal" in found[0].not_measured["hu_mean"]
    assert found[1].hu_mean is not None
    assert found[2].hu_mean is None
    assert found[3].voxels == 0
    for one in found:
        check_reasons(one)
    assert measure_regions(ct, replace(labels, array=0 * labels.array), REGIONS, seen())[0].voxels == 0


def test_metal_has_no_part_in_what_is_measured():
    ct, labels, _ = bands()
    metal = np.zeros(ct.array.shape, bool)
    metal[:, :8] = True
    spoiled = replace(ct, array=np.where(metal, 3000, ct.array))
    for clean, found in zip(
        measure_regions(ct, labels, REGIONS, seen()),
        measure_regions(spoiled, labels, REGIONS, seen(), unusable=metal),
        strict=True,
    ):
        assert found.hu_mean == pytest.approx(clean.hu_mean, abs=3)
        assert found.hu_sd == pytest.approx(clean.hu_sd, abs=3)


# -------------------------------------------------------------------------------------------------------------- texture


@pytest.mark.parametrize("texture_hu", [60.0, 120.0])
def test_texture_is_what_the_noise_is_not_and_the_depth_is_not(texture_hu):
    ct, labels, depth = bands(texture_hu)
    for found in measure_regions(ct, labels, REGIONS, seen(), depth_mm=depth):
        # The local mean takes some of the pattern with it.
        assert found.texture_sd_hu == pytest.approx(texture_hu, rel=0.12)
        assert abs(found.texture_skewness) < 0.15


def test_coarser_grains_are_larger():
    grains = [
        measure_regions(*bands(100.0, noise_hu=5.0, grain_mm=grain)[:2], REGIONS, seen(noise_hu=5.0))[
            0
        ].texture_grain_mm
        for grain in (0.8, 1.2, 1.6)
    ]
    assert grains == pytest.approx([0.8, 1.2, 1.6], rel=0.15)


def test_a_bright_layer_is_no_texture_where_the_depth_is_known():
    ct, labels, depth = bands(60.0)
    plate = replace(ct, array=np.where(depth < 1, ct.array + 800, ct.array))
    with_depth = measure_regions(plate, labels, REGIONS, seen(), depth_mm=depth)[0]
    without = measure_regions(plate, labels, REGIONS, seen())[0]
    assert with_depth.texture_sd_hu < 75
    assert without.texture_sd_hu > 150


def test_noise_is_not_given_out_as_texture():
    ct, labels, _ = bands(texture_hu=0.0)
    found = measure_regions(ct, labels, REGIONS, seen())[0]
    assert found.texture_sd_hu is None
    assert "noise" in found.not_measured["texture_sd_hu"]
    assert measure_regions(*bands(100.0)[:2], REGIONS, seen(noise_hu=None))[0].texture_sd_hu is None


@pytest.mark.parametrize(
    ("resolution", "why"),
    [(seen(1.1), "contrast"), (seen(voxel_mm=0.8), "voxels"), (seen(None), "could not be estimated")],
)
def test_texture_is_refused_where_trabeculae_are_not_resolved(resolution, why):
    ct, labels, _ = bands(100.0)
    found = measure_regions(ct, labels, REGIONS, resolution)[0]
    assert found.hu_mean is not None
    assert why in found.not_measured["texture_sd_hu"]
    check_reasons(found)


def test_contrast_is_half_where_a_wave_is_2_3_times_as_long_as_the_blur():
    """The MTF of a Gaussian is one half at 0.44 / FWHM."""
    assert contrast_left(1.0, 2 * np.log(2) / np.pi) == pytest.approx(0.5)
    assert contrast_left(0.0, 1.0) == 1


# --------------------------------------------------------------------------------------------------------------- widths


def test_a_width_is_summed_up_by_area():
    width = np.array([2.0, 4.0, np.nan])
    found = summarize_joint_space(width, np.array([30.0, 10.0, 99.0]), seen())
    assert found.area_mm2 == 40
    assert found.mean_mm == pytest.approx(2.5)
    assert found.sd_mm == pytest.approx(np.sqrt(0.75))
    assert found.unresolved == 0
    many = np.linspace(1, 5, 1001)
    found = summarize_joint_space(many, np.ones(1001), seen())
    assert found.median_mm == pytest.approx(3, abs=0.01)
    assert found.smallest_mm == pytest.approx(1.2, abs=0.01)


def test_a_space_narrower_than_the_blur_is_not_given_a_width():
    narrow = np.r_[np.full(30, 0.2), np.full(70, 3.0)]
    found = summarize_joint_space(narrow, np.ones(100), seen(0.8))
    assert (found.smallest_mm, found.mean_mm) == (None, None)
    assert "30 % of the area" in found.not_measured["smallest_mm"]
    # More than half of it is wide: in the middle of the order stands a width that is known.
    assert found.median_mm == pytest.approx(3.0)
    assert found.limit_mm == 0.8
    worse = summarize_joint_space(narrow[:40], np.ones(40), seen(0.8))
    assert worse.median_mm is None
    assert set(worse.not_measured) == {"mean_mm", "sd_mm", "median_mm", "smallest_mm"}


def test_widths_around_metal_have_no_part_in_what_is_summed_up():
    width, area = np.r_[np.full(10, 9.0), np.full(90, 3.0)], np.ones(100)
    metal = width > 8
    for summarize in (summarize_joint_space, summarize_plate):
        found = summarize(width, area, seen(), metal)
        assert found.area_mm2 == 90
        assert found.mean_mm == found.median_mm == pytest.approx(3.0)
        much = summarize(width[:40], area[:40], seen(), metal[:40])
        assert (much.mean_mm, much.median_mm, much.smallest_mm) == (None, None, None)
        assert much.not_measured["median_mm"] == "25 % of the area lie around metal"


def test_a_plate_needs_a_known_blur_and_half_of_it():
    plate = np.full(50, 0.45)
    assert summarize_plate(plate, np.ones(50), seen(0.8)).mean_mm == pytest.approx(0.45)
    assert summarize_plate(plate, np.ones(50), seen(1.0)).mean_mm is None
    unknown = summarize_plate(plate, np.ones(50), seen(None))
    assert (unknown.mean_mm, unknown.area_mm2) == (None, 50)
    nothing = summarize_plate(np.full(5, np.nan), np.ones(5), seen())
    assert nothing.area_mm2 == 0
    assert nothing.not_measured["mean_mm"]


def test_what_is_found_on_a_sliver_of_a_surface_does_not_stand_for_it():
    width = np.full(100, np.nan)
    width[:15] = 4.0
    summary = summarize_joint_space(width, np.ones(100), seen())
    assert summary.mean_mm is None
    assert summary.area_mm2 == pytest.approx(15)
    assert "15 % of this part" in summary.not_measured["mean_mm"]
    width[:25] = 4.0
    assert summarize_joint_space(width, np.ones(100), seen()).mean_mm == pytest.approx(4.0)
