"""Bones found in simulated knees of which every voxel is known, and in a real CT."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.bone_filling import filled
from SubchondralBoneAnalysisLib.bones import FEMUR, NAMES, KneeBones, femur_seed, find_bones, patella_seed
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

VOXEL_MM = 1.0
SIZE_MM = (112.0, 125.0, 100.0)
KNEES = {
    "right, as usual": SimulatedKnee(seed=11, side="right"),
    "left, turned, one compartment gone": SimulatedKnee(
        seed=12, side="left", tilt_deg=(8.0, -6.0, 14.0), joint_space_mm=(0.0, 3.5)
    ),
}


@cache
def simulated(name: str) -> tuple[Volume, Volume, KneeBones]:
    """The CT of a knee, its true labels, and what was found in it."""
    knee = KNEES[name]
    grid = knee.grid(VOXEL_MM, SIZE_MM)
    ct = knee.ct(grid)
    return ct, knee.labels(grid), find_bones(ct)


@pytest.fixture(params=KNEES)
def knee(request: pytest.FixtureRequest) -> tuple[SimulatedKnee, Volume, Volume, KneeBones]:
    return KNEES[request.param], *simulated(request.param)


def surface_of(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask, border_value=1)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def distance_95(one: np.ndarray, other: np.ndarray, voxel_mm: float) -> float:
    """95th percentile of the distances between two surfaces, both ways."""
    ways = [
        ndimage.distance_transform_edt(~surface_of(b), sampling=voxel_mm)[surface_of(a)]
        for a, b in ((one, other), (other, one))
    ]
    return float(np.percentile(np.concatenate(ways), 95))


def test_every_bone_is_where_it_is(knee):
    _, _, truth, found = knee
    for number, name in NAMES.items():
        own, true = found.labels.array == number, truth.array == number
        assert dice(own, true) >= 0.97, name
        assert distance_95(own, true, VOXEL_MM) <= VOXEL_MM, name
        assert ndimage.label(own)[1] == 1, name


def test_the_side_is_that_of_the_body(knee):
    simulated, _, _, found = knee
    assert found.side == simulated.side


@pytest.fixture
def usual() -> tuple[Volume, KneeBones]:
    """The CT of a right knee, and its bones."""
    ct, _, found = simulated("right, as usual")
    return ct, found


def test_a_mirrored_knee_has_mirrored_bones_and_the_other_side(usual):
    ct, found = usual
    mirrored = find_bones(replace(ct, array=np.ascontiguousarray(ct.array[:, :, ::-1])))
    assert (found.side, mirrored.side) == ("right", "left")
    same = (mirrored.labels.array[:, :, ::-1] == found.labels.array)[found.labels.array > 0]
    assert same.mean() > 0.99


def test_the_orientation_of_the_file_changes_nothing(usual):
    """Stored as sagittal slices from right to left: i runs to P, j to S, k to L."""
    ct, found = usual
    stored = np.ascontiguousarray(ct.array.transpose(2, 0, 1))
    turned = find_bones(Volume(stored, ct.spacing_mm, ct.origin_lps, (0, 0, 1, 1, 0, 0, 0, 1, 0)))
    assert turned.side == found.side
    np.testing.assert_array_equal(turned.labels.array.transpose(1, 2, 0), found.labels.array)


def test_a_femur_that_is_mostly_beyond_the_volume_is_said_to_be():
    ct, truth, _ = simulated("right, as usual")
    joint = np.nonzero(truth.array == 1)[0].min()
    cut = find_bones(replace(ct, array=ct.array[: joint + 12]))
    assert cut.bones["femur"].found
    assert "of it are in the volume" in cut.bones["femur"].reason
    assert cut.bones["femur"].confidence < cut.bones["tibia"].confidence
    assert any("femur" in warning for warning in cut.warnings)


def test_where_there_is_no_bone_none_is_found():
    found = find_bones(Volume(np.full((60, 50, 40), 50, np.int16), (1.0, 1.0, 1.0)))
    assert not found.labels.array.any()
    assert found.side is None
    assert not any(bone.found for bone in found.bones.values())


@pytest.mark.parametrize("shape", [(60, 50, 40), (2, 50, 40)])
def test_what_is_no_knee_ends_with_one_sentence(shape):
    noise = np.random.default_rng(1).normal(50, 60, shape).astype(np.int16)
    found = find_bones(Volume(noise, (1.0, 1.0, 1.0)))
    assert not found.labels.array.any()
    (sentence,) = found.warnings
    assert "give the CT of a knee" in sentence


def test_a_shin_bone_without_its_joint_has_no_femur_in_it():
    ct, truth, _ = simulated("right, as usual")
    top = np.nonzero(truth.array == 2)[0].max()
    found = find_bones(replace(ct, array=ct.array[: top - 12]))
    assert found.bones["tibia"].found
    assert not found.bones["femur"].found


def test_bone_around_a_screw_is_kept():
    ct, truth, _ = simulated("right, as usual")
    places = np.argwhere(truth.array == 2)
    level = places[:, 0].max() - 15
    middle = places[places[:, 0] == level, 1].mean()
    k, j, i = np.indices(ct.array.shape)
    across = (i > places[:, 2].min() - 6) & (i < places[:, 2].max() + 3)
    screw = across & (np.hypot(k - level, j - middle) < 2.5)
    found = find_bones(replace(ct, array=np.where(screw, 3071, ct.array).astype(np.int16)), screw)
    tibia = truth.array == 2
    assert dice(found.labels.array == 2, tibia) >= 0.97
    assert distance_95(found.labels.array == 2, tibia, VOXEL_MM) <= VOXEL_MM
    assert (found.labels.array == 2)[screw & ndimage.binary_erosion(tibia, iterations=2)].mean() > 0.98


def test_a_knee_replacement_is_not_measured():
    ct, truth, _ = simulated("right, as usual")
    joint = np.nonzero(truth.array == 1)[0].min()
    metal = (truth.array > 0) & (np.abs(np.arange(len(truth.array)) - joint)[:, None, None] < 8)
    found = find_bones(replace(ct, array=np.where(metal, 3071, ct.array).astype(np.int16)), metal)
    assert not any(bone.found for bone in found.bones.values())
    assert "knee replacement" in found.warnings[0]


@pytest.mark.parametrize("hole_mm", [0.0, 2.0, 4.0])
def test_a_shell_with_a_hole_is_filled(hole_mm):
    k, j, i = np.mgrid[-30:31, -30:31, -30:31] * 0.7
    radius = np.sqrt(k**2 + j**2 + i**2)
    shell = (radius < 18) & (radius > 16.5) & ~((np.hypot(j, i) < hole_mm / 2) & (k > 0))
    wrong = filled(shell, 0.7) != (radius < 18)
    assert wrong.sum() < (0.002 if hole_mm == 0 else 0.02) * (radius < 18).sum()


def test_the_bones_of_a_real_knee_are_four_pieces(shared_data):
    ct = read_volume(shared_data / "knee-ct" / "knee_ct_right_image_side.nrrd")
    found = find_bones(ct)
    for number, name in NAMES.items():
        own = found.labels.array == number
        assert ndimage.label(own)[1] == 1, name
        assert found.bones[name].found
    millilitres = {name: (found.labels.array == n).sum() * ct.voxel_mm3 / 1000 for n, name in NAMES.items()}
    assert 90 < millilitres["femur"] < 150
    assert 75 < millilitres["tibia"] < 130
    assert found.bones["patella"].cut_by_view == ("anterior",)


def front_and_back(femur_hu: float) -> np.ndarray:
    """Bright voxels of 1 mm: a ring of femur (48 mm wide, closed below by a condyle) and a patella before it."""
    k, j, i = np.indices((60, 110, 80)).astype(float)
    away = np.hypot(j - 75.0, i - 40.0)
    hu = np.where((away < 24) & (away > 21.5), femur_hu, 30.0)
    condyle = np.sqrt((j - 72.0) ** 2 + (i - 40.0) ** 2 + (k - 18.0) ** 2)
    hu[condyle < 18] = 420.0
    hu[(condyle >= 18) & (away < 21.5) & (k < 36)] = 210.0
    hu[(np.abs(j - 25) < 9) & (np.abs(i - 40) < 16) & (k > 30)] = 500.0
    return hu


@pytest.mark.parametrize("femur_hu", [600.0, 220.0])
def test_a_patella_in_the_top_slices_is_not_taken_for_the_femur(femur_hu):
    seed = femur_seed(front_and_back(femur_hu)[-6:], 1.0)
    assert seed.any()
    assert np.nonzero(seed)[1].min() > 45


@pytest.mark.parametrize("femur_hu", [600.0, 220.0])
def test_a_bright_condyle_that_hangs_on_to_the_femur_is_not_taken_for_the_patella(femur_hu):
    hu = front_and_back(femur_hu)
    seeds = np.zeros(hu.shape, np.int32)
    seeds[-6:][femur_seed(hu[-6:], 1.0)] = FEMUR
    patella = patella_seed(hu, seeds, 1.0)
    assert patella.any()
    assert np.nonzero(patella)[1].max() < 40
