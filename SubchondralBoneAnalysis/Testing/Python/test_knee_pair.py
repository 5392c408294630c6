"""One knee in CT and MR: every bone moved rigidly and known exactly, and both volumes show it where it is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.knee_shapes import LABELS, BoneShape
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.surface_distance import value_and_gradient
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume


@pytest.fixture(scope="module", params=["left", "right"])
def pair(request) -> KneePair:
    return KneePair(seed=5, side=request.param, ct_flexion_deg=3.0, mr_flexion_deg=16.0, ct_turn_deg=(1.0, 4.0, -3.0))


@pytest.fixture(scope="module")
def ct_scan():
    return CT_PROFILES["bone-0.5"].of_scan(np.random.default_rng(0))


@pytest.fixture(scope="module")
def mr_scan():
    return MR_PROFILES["dess-0.31x1.5"].of_scan(np.random.default_rng(0))


def surface_lps(knee: SimulatedKnee, bone: BoneShape) -> np.ndarray:
    """Points [n, 3] on the surface of a bone, as exact as numbers are."""
    points = bone.form.surface[::97]
    for _ in range(6):
        value, gradient = value_and_gradient(bone.form, points)
        points = points - (value / (gradient * gradient).sum(1))[:, None] * gradient
    return knee.pose.out(bone.pose.out(points))


def image_of(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_lps)
    image.SetDirection(volume.direction_lps)
    return image


@pytest.mark.parametrize("name", LABELS)
def test_a_surface_point_of_the_ct_lies_on_the_surface_in_the_mr(pair, name):
    before, after = pair.in_ct.shapes.bone(name), pair.in_mr.shapes.bone(name)
    there = surface_lps(pair.in_ct, before)
    moved = pair.motion(name).out(there)
    assert np.abs(moved - there).max() > 3.0
    assert np.abs(after.value(pair.in_mr.pose.into(moved))).max() < 1e-6
    # It is the same point of the bone, not only of its surface.
    own = before.pose.into(pair.in_ct.pose.into(there))
    assert np.abs(after.pose.into(pair.in_mr.pose.into(moved)) - own).max() < 1e-6


@pytest.mark.parametrize("name", LABELS)
def test_written_transforms_are_rigid_and_those_motions(pair, name, tmp_path):
    motion, path = pair.motion(name), str(tmp_path / f"{name}.tfm")
    assert np.allclose(motion.matrix @ motion.matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(motion.matrix) == pytest.approx(1.0)
    sitk.WriteTransform(pair.transform(name), path)
    read = sitk.ReadTransform(path)
    points = np.random.default_rng(0).uniform(-80, 80, (20, 3))
    assert np.abs([read.TransformPoint(p) for p in points.tolist()] - motion.out(points)).max() < 1e-6


def test_the_femur_bends_against_the_tibia_by_the_flexion_and_the_fibula_goes_with_the_tibia(pair):
    femur, tibia, fibula = (pair.motion(name).matrix for name in ("femur", "tibia", "fibula"))
    bent = np.degrees(np.arccos((np.trace(femur @ tibia.T) - 1) / 2))
    assert bent == pytest.approx(pair.mr_flexion_deg - pair.ct_flexion_deg, abs=1.5)
    assert np.allclose(tibia, fibula)


def test_the_transform_brings_the_labels_of_the_mr_onto_those_of_the_ct(pair, mr_scan):
    ct_grid = pair.in_ct.grid(2.0)
    ct = pair.ct_labels(ct_grid).array
    wide = pair.mr_grid(mr_scan)
    mr = pair.mr_labels(grid_around(pair.in_mr.centre_lps, (180.0, 180.0, 150.0), 1.5, wide.direction_lps))
    for name, number in LABELS.items():
        if name == "fibula":
            continue
        moved = sitk.GetArrayFromImage(
            sitk.Resample(
                image_of(mr),
                image_of(Volume(ct, ct_grid.spacing_mm, ct_grid.origin_lps)),
                pair.transform(name),
                sitk.sitkNearestNeighbor,
            )
        )
        # Beyond the field of the MR there is nothing to compare.
        near = np.abs(lattice_lps(ct_grid, np.argwhere(np.ones(ct.shape, bool)))[:, 2]).reshape(ct.shape) < 45
        one, other = (ct == number) & near, (moved == number) & near
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.95, name


def test_volumes_lie_on_the_grids_of_their_scans(pair, ct_scan, mr_scan):
    ct_grid, mr_grid = pair.ct_grid(ct_scan), pair.mr_grid(mr_scan)
    assert ct_grid.spacing_mm == ct_scan.spacing_mm
    assert mr_grid.spacing_mm == mr_scan.spacing_mm
    assert mr_grid.array.shape == (80, 512, 512)
    axes = np.reshape(mr_grid.direction_lps, (3, 3))
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert np.allclose(np.abs(axes[:, 2]), (1, 0, 0))  # sagittal
    for grid, knee in ((ct_grid, pair.in_ct), (mr_grid, pair.in_mr)):
        middle = lattice_lps(grid, 0.5 * (np.array([grid.array.shape]) - 1))[0]
        assert np.linalg.norm(middle - knee.centre_lps) < 20


def test_scans_repeat_bit_for_bit_and_their_noise_changes_with_the_seed(pair, ct_scan, mr_scan):
    small = grid_around((0.0, 0.0, 0.0), (60.0, 60.0, 24.0), 1.5)
    thin = grid_around(pair.in_mr.centre_lps, (60.0, 60.0, 24.0), (3.0, 1.5, 1.5), pair.mr_grid(mr_scan).direction_lps)
    for make, scan, grid, kind in ((pair.ct, ct_scan, small, np.int16), (pair.mr, mr_scan, thin, np.float32)):
        first, again, other = (make(scan, grid, seed).array for seed in (1, 1, 2))
        assert first.dtype == kind
        assert first.shape == grid.array.shape
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_knees_that_cannot_be_bent_so_are_refused():
    with pytest.raises(BadInput, match="20 degrees apart"):
        KneePair(ct_flexion_deg=0.0, mr_flexion_deg=30.0)
    with pytest.raises(BadInput, match="no trabeculae"):
        KneePair().structure_at("tibia", (0.0, 0.0, -8.0))
