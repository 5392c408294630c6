"""Which voxels are bone, by each of the named methods, and the sentence that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bone_volumes import SPACING_KJI_MM, ball, grey, plates_and_rods
from skimage.filters import threshold_otsu

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib import segmentation
from SubchondralBoneAnalysisLib.region import check_measurable
from SubchondralBoneAnalysisLib.segmentation import Segmentation, histogram, local_means, segment
from SubchondralBoneAnalysisLib.volume import Volume

BONE = plates_and_rods(32)


def volume(array: np.ndarray, spacing: tuple[float, float, float] = SPACING_KJI_MM) -> Volume:
    return Volume(array, spacing, path=Path("v.nrrd"))


def sentence(refused: pytest.ExceptionInfo) -> str:
    text = str(refused.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


# ------------------------------------------------------------------------------------------------------------- binary


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("value", [1, 7, 255])
def test_a_binary_volume_is_taken_as_it_is_whatever_its_value_for_bone(kind, value):
    value = 1 if kind is bool else value
    found = segment(volume((BONE * value).astype(kind)))
    assert found.structure.dtype == bool
    assert np.array_equal(found.structure, BONE)
    assert (found.method, found.threshold) == ("binary", None)
    assert found.description == f"The volume is binary as given: {value} is bone, 0 is not."


def test_a_volume_of_0_and_1_in_8_bit_is_not_copied():
    array = BONE.astype(np.uint8)
    assert np.shares_memory(segment(volume(array)).structure, array)


def test_a_negative_value_for_bone_is_bone():
    assert np.array_equal(segment(volume(BONE * np.int16(-1))).structure, BONE)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.where(BONE, 2, 1), "is not binary (its values are 1 to 2)"),
        (BONE + 1 * (np.arange(32) == 3), "is not binary (its values are 0 to 2)"),
        (grey(BONE), "is not binary"),
        (np.zeros((4, 4, 4)), "holds no bone (it is 0 everywhere)"),
        (np.ones((4, 4, 4)), "holds bone only, no marrow (it is 1 everywhere)"),
    ],
)
def test_what_is_not_binary_is_refused_with_the_way_out(array, said):
    with pytest.raises(BadInput) as refused:
        segment(volume(array))
    assert said in sentence(refused)
    assert "--segmentation (fixed, otsu, local)" in sentence(refused)


# ---------------------------------------------------------------------------------------------------- one threshold


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_a_fixed_threshold_is_where_bone_begins(kind):
    array = np.where(BONE, 251, 250).astype(kind)
    found = segment(volume(array), "fixed", 250.0)
    assert np.array_equal(found.structure, BONE)
    assert found.threshold == 250.0
    assert found.description == "Bone is every voxel above 250 (fixed threshold in the unit of the image)."


@pytest.mark.parametrize("threshold", [-1.0, 7.0, 8.0, 1e9])
def test_a_threshold_outside_the_grey_values_is_refused(threshold):
    with pytest.raises(BadInput) as refused:
        segment(volume(BONE * np.uint8(7)), "fixed", threshold)
    assert "is outside the grey values of v.nrrd, which are 0 to 7" in sentence(refused)


def test_otsu_is_that_of_scikit_image():
    for array in (grey(BONE), grey(BONE).astype(np.float32) / 7, (grey(BONE) // 8 + 100).astype(np.uint8)):
        found = segment(volume(array), "otsu")
        assert found.threshold == pytest.approx(threshold_otsu(array), rel=1e-6)
        assert np.array_equal(found.structure, array > found.threshold)
        assert f"{found.threshold:.6g}" in found.description


def test_otsu_of_a_wide_range_of_integers_has_few_bins():
    array = grey(BONE).astype(np.int32) * 1000
    counts, values = histogram(array)
    assert len(counts) == len(values) == segmentation.BINS
    assert counts.sum() == array.size
    assert np.array_equal(segment(volume(array), "otsu").structure, BONE)


def test_otsu_sees_only_what_is_known():
    """Metal beside a specimen draws the threshold between bone and metal, unless what lies outside is unknown."""
    array, known = grey(BONE), np.ones(BONE.shape, bool)
    known[:, :, 16:] = False
    array[~known] = 20_000
    assert segment(volume(array), "otsu").threshold > 1000
    found = segment(volume(array), "otsu", known=known)
    assert np.array_equal(found.structure, BONE & known)
    assert "inside the region" in found.description


def test_one_grey_value_has_no_threshold():
    with pytest.raises(BadInput) as refused:
        segment(volume(np.full((4, 4, 4), 40)), "otsu")
    assert "has one grey value only" in sentence(refused)


# ------------------------------------------------------------------------------------------------------ neighbourhood


def test_a_local_threshold_follows_a_drift_that_no_single_threshold_does():
    drift = np.linspace(0.0, 1500.0, 32)
    array = grey(BONE) + drift
    wrong = np.mean(segment(volume(array), "otsu").structure != BONE)
    found = segment(volume(array), "local", window_mm=0.6, offset=100.0)
    assert wrong > 0.15
    assert np.mean(found.structure != BONE) < 0.03
    assert "0.6 mm full width at half maximum" in found.description
    assert "more than 100 above" in found.description


def test_the_mean_is_that_of_a_gaussian_with_the_width_at_half_maximum_that_was_asked():
    """Of a single bright voxel the means are the Gaussian itself: half of the peak at half the width, in mm."""
    array = np.zeros((41, 41, 41), np.float32)
    array[20, 20, 20] = 1e6
    spacing = np.array((0.1, 0.05, 0.05))
    ((_, mean),) = local_means(array, 0.6 * segmentation.SIGMA_OF_FWHM / spacing)
    at_half_width = [mean[23, 20, 20], mean[20, 26, 20], mean[20, 20, 14]]
    assert np.array(at_half_width) / mean[20, 20, 20] == pytest.approx([0.5] * 3, rel=0.01)


def test_what_lies_beyond_the_border_or_is_unknown_does_not_count():
    array, known = np.full(BONE.shape, 500, np.int16), np.ones(BONE.shape, bool)
    known[:, :6] = False
    array[~known] = -30_000
    for part, mean in local_means(array, np.array((2.0, 3.0, 3.0)), known):
        assert mean[known[part]] == pytest.approx(500.0, rel=1e-5)
    for _, mean in local_means(np.full(BONE.shape, 500, np.int16), np.array((2.0, 3.0, 3.0))):
        assert mean == pytest.approx(500.0, rel=1e-5)


@pytest.mark.parametrize("known", [None, ball(32)])
def test_slabs_make_no_difference(monkeypatch, known):
    array, sigma = grey(BONE), np.array((1.1, 1.5, 1.5))
    (whole,) = (mean for _, mean in local_means(array, sigma, known))
    monkeypatch.setattr(segmentation, "SLAB_BYTES", 4 * 32 * 32 * 5)
    parts = list(local_means(array, sigma, known))
    assert len(parts) > 4
    assert np.array_equal(np.concatenate([mean for _, mean in parts]), whole)


def test_a_flat_image_has_no_bone_by_rounding():
    array = np.full((24, 12, 12), 1000.1, np.float32)
    array[:12] = 0
    found = segment(volume(array), "local", window_mm=0.15)
    assert found.structure[12].all()
    assert not found.structure[18:].any()


def test_a_floor_keeps_the_noise_of_marrow_out():
    array = grey(ball(32))
    without, with_floor = (
        segment(volume(array), "local", threshold, window_mm=0.4).structure for threshold in (None, 300.0)
    )
    outside = ~ball(32, 0.45)
    assert without[outside].mean() > 0.1
    assert not with_floor[outside].any()
    assert "and above 300" in segment(volume(array), "local", 300.0, window_mm=0.4).description


@pytest.mark.parametrize(("window", "said"), [(0.1, "is less than two voxels"), (5.0, "is wider than v.nrrd itself")])
def test_a_window_that_does_not_fit_the_volume_is_refused(window, said):
    with pytest.raises(BadInput) as refused:
        segment(volume(grey(BONE)), "local", window_mm=window)
    assert said in sentence(refused)


# ----------------------------------------------------------------------------------------------------------- one piece


def test_the_largest_piece_is_kept_with_its_cavities_and_the_rest_is_told():
    bone = np.zeros((20, 20, 20), bool)
    bone[2:12, 2:12, 2:12] = True
    bone[5:8, 5:8, 5:8] = False
    bone[12, 12, 12] = True  # joined by a corner: one of the 26 neighbours
    kept = bone.copy()
    bone[16:18, 16:18, 16:18] = True
    found = segment(volume(bone), keep_largest=True)
    assert np.array_equal(found.structure, kept)
    assert found.description.endswith(
        "Only the largest connected piece (26 neighbours) is kept: 1 smaller piece, 0.815 % of the bone, left out."
    )


def test_bone_that_is_unknown_joins_no_pieces():
    bone, known = np.zeros((20, 20, 20), bool), np.ones((20, 20, 20), bool)
    bone[10, 10, :] = True
    known[:, :, 8:10] = False
    found = segment(volume(bone), keep_largest=True, known=known)
    assert found.structure.sum() == 10


# ----------------------------------------------------------------------------------------------------- fit to measure


THIN_REGION = np.zeros((8, 8, 8), bool)
THIN_REGION[2:6, 3, 2:6] = True
BLOCK = np.zeros((8, 8, 8), bool)
BLOCK[2:6, 2:6, 2:6] = True
CORNER = np.zeros((8, 8, 8), bool)
CORNER[:2, :2, :2] = True
SHEET = np.zeros((8, 8, 8), bool)
SHEET[4] = True


@pytest.mark.parametrize(
    ("structure", "region", "said"),
    [
        (BLOCK & False, None, "holds no bone, marrow only"),
        (BLOCK | True, None, "holds no marrow, bone only"),
        (BLOCK, CORNER, "as a region holds no bone, marrow only"),
        (~BLOCK, CORNER, "as a region holds no marrow, bone only"),
        (BLOCK, THIN_REGION, "is one voxel thin as a region"),
        (BLOCK, np.indices((8, 8, 8)).sum(axis=0) % 2 == 0, "is one voxel thin as a region"),
        (SHEET, None, "holds bone that is one voxel thin altogether"),
        (~SHEET, None, "holds marrow that is one voxel thin altogether"),
        (BLOCK, None, None),
        (BLOCK, ~CORNER, None),
    ],
)
def test_what_has_nothing_to_measure_is_refused(structure, region, said):
    segmentation = Segmentation(structure, "otsu", 7.0, "Bone is every voxel above 7.")
    if said is None:
        check_measurable(segmentation, region, Path("v.nrrd"))
        return
    with pytest.raises(BadInput) as refused:
        check_measurable(segmentation, region, Path("v.nrrd"))
    assert said in sentence(refused)
    assert ("above 7" in sentence(refused)) == ("as a region" not in sentence(refused) or "only" in sentence(refused))
    assert sentence(refused).startswith("v.nrrd ")
