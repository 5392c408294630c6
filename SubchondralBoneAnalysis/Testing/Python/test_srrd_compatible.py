"""The SRRD paper's two-dimensional definitions give what they have to give, oddities included."""

from __future__ import annotations

import numpy as np
import pytest

from SubchondralBoneAnalysisLib.srrd_compatible import (
    sagittal_axis,
    slice_values,
    srrd_compatible,
    without_specks,
)

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SPACING = (0.1, 0.1, 0.5)


def plates(bone: int, space: int, count: int = 12) -> np.ndarray:
    """Parallel plates across j in sagittal slices along i, of so many pixels of bone and of space; bool [k, j, i]."""
    line = np.tile(np.arange(bone + space) < bone, count)
    # Half a space on either side would have no far edge: the first and last plate are cut to one pixel, of known value.
    line = np.concatenate([[True], ~np.ones(space, bool), line, [True]])
    return np.broadcast_to(line[None, :, None], (120, len(line), 3))


@pytest.mark.parametrize(("bone", "space"), [(3, 9), (5, 9), (5, 5)])
def test_of_parallel_plates_it_gives_half_the_thickness_and_one_and_a_half_of_the_separation(bone, space):
    """A plate of n pixels, n odd, has its skeleton in the middle, (n + 1)/2 pixels from the next pixel of space."""
    structure = plates(bone, space)
    found = srrd_compatible(structure, SPACING, IDENTITY)
    plate, cut, gap = 0.1 * (bone + 1) / 2, 0.1, 0.1 * (space + 1) / 2
    assert found.tb_th_mm == pytest.approx((12 * plate + 2 * cut) / 14, rel=0.02)
    assert found.tb_sp_mm == pytest.approx(3 * gap, rel=0.02)
    assert found.bv_tv == pytest.approx(found.tb_th_mm / (found.tb_th_mm + found.tb_sp_mm))
    assert found.tb_n_per_mm == pytest.approx(1.0 / (found.tb_th_mm + found.tb_sp_mm))
    assert found.slices == 3


def test_what_fills_half_of_the_space_has_a_volume_fraction_of_a_quarter():
    """The factor 3 stays as it is in the source: 1/(1 + 3) where bone is as thick as its space."""
    found = srrd_compatible(plates(5, 5, count=40), SPACING, IDENTITY)
    assert found.bv_tv == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("direction", "axis"),
    [
        (IDENTITY, 2),
        ((0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), 1),
        ((0.1, 0.2, -0.97, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0), 0),
    ],
)
def test_slices_are_sagittal_whatever_the_order_of_the_axes(direction, axis):
    assert sagittal_axis(direction) == axis


def test_the_same_structure_with_other_axes_has_the_same_values():
    structure = plates(5, 9)
    turned = (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)  # k runs to L, i to S
    found = srrd_compatible(structure.transpose(2, 1, 0), SPACING[::-1], turned)
    expected = srrd_compatible(structure, SPACING, IDENTITY)
    # Not to the last digit: the ends of a skeleton depend on how the slice is turned.
    assert (found.tb_th_mm, found.tb_sp_mm) == pytest.approx((expected.tb_th_mm, expected.tb_sp_mm), rel=0.01)
    assert found.slices == expected.slices == 3


def test_every_slice_is_resampled_to_a_tenth_of_a_millimetre():
    """Plates of 5 pixels of 0.1 mm, drawn in pixels of 0.05 mm: the same values, and a note where pixels are finer."""
    coarse = plates(5, 9)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)
    found = [srrd_compatible(s, (mm, mm, 0.5), IDENTITY) for s, mm in ((coarse, 0.1), (fine, 0.05))]
    assert found[0] == found[1]
    finer = srrd_compatible(coarse.repeat(4, axis=0).repeat(4, axis=1), (0.025, 0.025, 0.5), IDENTITY)
    assert finer.tb_th_mm == pytest.approx(found[0].tb_th_mm)
    assert "resampled from 0.025 to 0.1 mm" in finer.note
    assert "resampled" not in found[1].note
    assert "no volume fraction" in found[1].note


def test_only_the_region_counts_and_its_edge_is_an_edge():
    structure = plates(5, 9)
    region = np.zeros(structure.shape, bool)
    region[20:100, 10:15, 1] = True  # one plate, filled to both of its faces
    region[20:100, 15:24, 1] = True  # and one space
    found = srrd_compatible(structure, SPACING, IDENTITY, region)
    assert found.slices == 1
    assert found.tb_th_mm == pytest.approx(0.3, rel=0.05)
    assert found.tb_sp_mm == pytest.approx(1.5, rel=0.05)


def test_grey_slices_have_the_paper_s_own_threshold():
    """A slice whose brightness drifts more than its bone stands out: a local threshold finds the plates anyway."""
    structure = plates(5, 9)
    grey = np.where(structure, 900.0, 300.0) + 20.0 * np.arange(structure.shape[1])[None, :, None]
    binary = srrd_compatible(structure, SPACING, IDENTITY)
    found = srrd_compatible(grey.astype(np.int16), SPACING, IDENTITY)
    assert found.tb_th_mm == pytest.approx(binary.tb_th_mm, rel=0.1)
    assert found.tb_sp_mm == pytest.approx(binary.tb_sp_mm, rel=0.1)
    assert "the paper's own local threshold" in found.note
    assert "the paper's own local threshold" not in binary.note


def test_where_a_grey_image_is_0_there_is_nothing():
    grey = np.where(plates(5, 9), 900, 300).astype(np.int16)
    region = np.zeros(grey.shape, bool)
    region[:, 20:100] = True
    cut = np.where(region, grey, 0).astype(np.int16)
    assert srrd_compatible(cut, SPACING, IDENTITY).tb_sp_mm == pytest.approx(
        srrd_compatible(cut, SPACING, IDENTITY, region).tb_sp_mm
    )


def test_specks_and_pinholes_below_four_pixels_go():
    bone = np.zeros((20, 20), bool)
    bone[5:15, 5:15] = True
    whole = bone.copy()
    bone[7, 7:10] = False
    bone[1, 1:4] = True
    assert np.array_equal(without_specks(bone, np.ones_like(bone)), whole)
    bone[17, 2:6] = True
    bone[9:11, 9:11] = False
    assert without_specks(bone, np.ones_like(bone))[17, 2:6].all()
    assert not without_specks(bone, np.ones_like(bone))[9:11, 9:11].any()


def test_a_slice_without_bone_or_space_gives_nothing_and_does_not_count():
    structure = plates(5, 9).copy()
    structure[:, :, 2] = False
    assert slice_values(structure[:, :, 2], (0.1, 0.1)) == (0.0, 0.0)
    assert srrd_compatible(structure, SPACING, IDENTITY).slices == 2
    nothing = srrd_compatible(np.zeros((20, 20, 4), bool), SPACING, IDENTITY)
    assert (nothing.bv_tv, nothing.tb_th_mm, nothing.slices) == (None, None, 0)
    assert "No slice holds" in nothing.note
