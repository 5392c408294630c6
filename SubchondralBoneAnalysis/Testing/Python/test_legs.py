"""Both legs of a CT are told apart, also where they touch; a part of a leg is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SubchondralBoneAnalysisLib.bone_finding.legs import Leg, legs_in
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee, ct_of_legs
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

VOXEL_MM = 2.0
APART_MM = 104.0  # from knee to knee: their skin touches


@pytest.fixture(scope="module")
def knees() -> tuple[SimulatedKnee, SimulatedKnee]:
    right = SimulatedKnee(seed=11, side="right", centre_lps=(-APART_MM / 2, 0.0, 0.0), tilt_deg=(4.0, 5.0, 10.0))
    return right, SimulatedKnee(seed=12, side="left", centre_lps=(APART_MM / 2, 0.0, 0.0))


@pytest.fixture(scope="module")
def both(knees) -> Volume:
    return ct_of_legs(knees, grid_around((0.0, 15.0, 0.0), (260.0, 150.0, 130.0), VOXEL_MM))


def check_holds_its_knee(leg: Leg, ct: Volume, own: SimulatedKnee, other: SimulatedKnee) -> None:
    bone = own.labels(ct).array > 0
    assert bone[leg.box].sum() == bone.sum()
    assert (leg.volume.array == ct.array[leg.box])[bone[leg.box]].all()
    assert (leg.volume.array[(other.labels(ct).array > 0)[leg.box]] == -1024).all()


def test_two_legs_that_touch_are_two_boxes_without_the_other(knees, both):
    legs = legs_in(both)
    assert [leg.side_in_image for leg in legs] == ["right", "left"]
    check_holds_its_knee(legs[0], both, *knees)
    check_holds_its_knee(legs[1], both, *knees[::-1])
    assert not any(leg.warnings for leg in legs)


def test_the_place_of_a_box_is_that_of_its_voxels(both):
    for leg in legs_in(both):
        first = [part.start for part in leg.box]
        np.testing.assert_allclose(leg.volume.origin_lps, np.add(both.origin_lps, np.multiply(first[::-1], VOXEL_MM)))
        assert leg.volume.array.shape == both.array[leg.box].shape


def test_the_order_of_the_voxels_changes_nothing(both):
    """Feet first, and from left to right: k runs down and i to the right."""
    far = np.multiply([both.array.shape[2] - 1, 0, both.array.shape[0] - 1], VOXEL_MM)
    stored = np.ascontiguousarray(both.array[::-1, :, ::-1])
    origin = tuple((np.array(both.origin_lps) + far).tolist())
    turned = Volume(stored, both.spacing_mm, origin, (-1, 0, 0, 0, 1, 0, 0, 0, -1))
    for leg, same in zip(legs_in(turned), legs_in(both), strict=True):
        assert leg.side_in_image == same.side_in_image
        assert abs(leg.volume.array.shape[2] - same.volume.array.shape[2]) <= 1


def test_a_leg_that_is_mostly_beyond_the_volume_is_left_out_and_told(knees, both):
    bone = knees[1].labels(both).array > 0
    first = np.nonzero(bone.any(axis=(0, 1)))[0][0]
    (leg,) = legs_in(replace(both, array=both.array[:, :, : first + 10]))
    assert "part of another leg" in leg.warnings[0]
    assert (leg.volume.array[bone[:, :, : first + 10][leg.box]] == -1024).all()


def test_one_leg_is_one(knees):
    ct = knees[1].ct(knees[1].grid(VOXEL_MM))
    (leg,) = legs_in(ct)
    assert leg.side_in_image is None
    assert leg.warnings == ()


@pytest.mark.parametrize("hu", [-1000, 50])
def test_without_bone_the_whole_volume_is_one_leg(hu):
    ct = Volume(np.full((20, 30, 40), hu, np.int16), (2.0, 2.0, 2.0))
    (leg,) = legs_in(ct)
    assert leg.volume.array.shape == ct.array.shape


def test_the_legs_of_a_real_ct(shared_data):
    ct = read_volume(shared_data / "knee-ct" / "visible_human_female_plateau.nrrd")
    assert [leg.side_in_image for leg in legs_in(ct)] == ["right", "left"]
    assert len(legs_in(read_volume(shared_data / "knee-ct" / "knee_ct_right_image_side.nrrd"))) == 1
