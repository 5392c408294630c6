"""Subchondral regions of simulated knees and of balls: where they lie, how deep, and that no voxel size decides it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

SIZE_MM = (120.0, 115.0, 140.0)


def knee_labels(knee: SimulatedKnee, spacing_mm: float, turned: Rotation | None = None) -> Volume:
    """Labels of a simulated knee on a grid that may be turned against the knee."""
    middle = knee.pose.out(np.array([[0.0, 8.0, 12.0]]))[0]
    direction = (turned or Rotation.identity()).as_matrix().ravel()
    return knee.labels(grid_around(tuple(middle), SIZE_MM, spacing_mm, tuple(direction)))


def volumes(found: SubchondralRegions) -> np.ndarray:
    return np.array([region.volume_mm3 for region in found.regions])


@pytest.fixture(scope="module")
def knee() -> SimulatedKnee:
    return SimulatedKnee(seed=1)


@pytest.fixture(scope="module")
def found(knee: SimulatedKnee) -> SubchondralRegions:
    return find_regions(knee_labels(knee, 0.8), knee.side)


@pytest.mark.parametrize("spacing_mm", [0.5, 0.8, 1.0])
def test_depth_below_a_ball_is_within_a_fifth_of_a_millimetre(spacing_mm: float) -> None:
    axis = (np.arange(round(50 / spacing_mm)) + 0.3) * spacing_mm - 25
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = Volume((x**2 + y**2 + z**2 < 20**2).astype(np.uint8), (spacing_mm,) * 3, (axis[0],) * 3)
    rng = np.random.default_rng(0)
    way = rng.normal(size=(2000, 3))
    depth = rng.uniform(0, 10, 2000)
    outside, _ = bone_surface(ball, 1).distance_mm((20 - depth)[:, None] * way / np.linalg.norm(way, axis=1)[:, None])
    assert np.abs(-outside - depth).mean() < 0.1
    assert np.percentile(np.abs(-outside - depth), 95) < 0.25


def test_every_region_has_voxels_and_its_own_name(found: SubchondralRegions) -> None:
    assert len({region.name for region in found.regions}) == len(found.regions) == 2 * 2 * 3 * 3
    for region in found.regions:
        assert found.voxels_of(region).sum() == region.voxels > 0


def test_depths_of_the_regions_are_those_of_the_simulated_bone(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    for bone in ("femur", "tibia"):
        truth = knee.depth_mm(found.labels, bone)
        of_bone = [region.number for region in found.regions if region.bone == bone]
        inside = np.isin(found.labels.array, of_bone) & (np.abs(truth) < 11)
        error = found.depth_mm.array[inside] - truth[inside]
        assert abs(error.mean()) < 0.1
        assert np.percentile(np.abs(error), 90) < 0.3


def test_a_turned_grid_gives_the_same_regions(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    turned = find_regions(knee_labels(knee, 0.8, Rotation.from_euler("x", 20, degrees=True)), knee.side)
    change = volumes(turned) / volumes(found) - 1
    assert np.median(np.abs(change)) < 0.02
    assert np.abs(change).max() < 0.10


def test_a_mirrored_knee_has_mirrored_regions(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    mirrored = find_regions(knee_labels(knee.mirrored(), 0.8), knee.mirrored().side)
    assert np.abs(volumes(mirrored) / volumes(found) - 1).max() < 0.06
    for bone, of in mirrored.bones.items():
        expected = found.bones[bone].frame.origin_lps * (-1, 1, 1)
        assert np.abs(of.frame.origin_lps - expected).max() < 0.3


def test_joint_space_is_about_the_simulated_one(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    least = {width.compartment: width.smallest_mm for width in found.joint_space.widths if width.subregion is None}
    for compartment, truth in zip(("medial", "lateral"), knee.joint_space_mm, strict=True):
        assert truth - 0.3 < least[compartment] < truth + 1.0


def test_a_femur_without_whole_condyles_has_no_regions_and_says_why(knee: SimulatedKnee) -> None:
    labels = knee_labels(knee, 1.0)
    top = np.argwhere(labels.array == 1)[:, 0].min() + 18
    found = find_regions(replace(labels, array=labels.array[:top]), knee.side)
    assert "femur" in found.missing
    assert {region.bone for region in found.regions} == {"tibia"}


def test_labels_without_a_tibia_are_refused(knee: SimulatedKnee) -> None:
    labels = knee_labels(knee, 1.5)
    with pytest.raises(BadInput, match="no tibia"):
        find_regions(replace(labels, array=np.where(labels.array == 2, 0, labels.array)), knee.side)


def test_the_regions_of_a_real_knee_lie_under_its_cartilage(shared_data) -> None:
    labels = read_volume(shared_data / "knee-mr" / "right_knee_bone_cartilage_labels.nrrd")
    bones = np.select([labels.array == 5, labels.array == 6], [1, 2], 0).astype(np.uint8)
    found = find_regions(replace(labels, array=bones), "right")
    for bone, cartilage, least in (("femur", (1,), 0.93), ("tibia", (2, 3), 0.88)):
        of = found.bones[bone]
        places = to_lps(np.argwhere(np.isin(labels.array, cartilage)), labels)
        under = cKDTree(places).query(of.surface.points_lps)[0] < 1.2
        area, on = of.surface.areas_mm2, of.subregion > 0
        assert area[on & under].sum() / area[on].sum() > least
