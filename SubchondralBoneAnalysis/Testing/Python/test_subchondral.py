"""Subchondral regions of simulated knees and of balls: where they lie, how deep, and that no voxel size decides it.

Of the knees, the ends of femur and tibia that the regions lie in are enough.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_resolution import BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.patch_cutting.patch_bones import patch_bone
from SubchondralBoneAnalysisLib.patches import place_patches
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps

SIZE_MM = (100.0, 92.0, 112.0)
WIDER_MM = 14.0  # for a knee or a grid that is turned
COARSE_MM, FINE_MM = 1.0, 0.8
ALLOWED = 0.06  # change of the volume of a region at these voxels
SAME_PLACE_MM = 0.5


def knee_labels(knee: SimulatedKnee, spacing_mm: float, turned: Rotation | None = None) -> Volume:
    """Femur and tibia of a simulated knee on a grid that may be turned against the knee."""
    middle = knee.pose.out(np.array([[0.0, 8.0, 26.0]]))[0]
    direction = (turned or Rotation.identity()).as_matrix().ravel()
    wider = WIDER_MM if turned is not None or any(knee.tilt_deg) else 0.0
    size = tuple(mm + wider for mm in SIZE_MM)
    labels = knee.labels(grid_around(tuple(middle), size, spacing_mm, tuple(direction)))
    return replace(labels, array=np.where(labels.array > 2, 0, labels.array))


def every_other(labels: Volume) -> Volume:
    """With every other voxel along j and i: those of the MR are half as wide as its slices are apart."""
    k, j, i = labels.spacing_mm
    return replace(labels, array=np.ascontiguousarray(labels.array[:, ::2, ::2]), spacing_mm=(k, 2 * j, 2 * i))


def changes(found: SubchondralRegions, other: SubchondralRegions) -> np.ndarray:
    """By which share the volume of each region differs."""
    assert [region.name for region in found.regions] == [region.name for region in other.regions]
    return np.array([a.volume_mm3 / b.volume_mm3 - 1 for a, b in zip(found.regions, other.regions, strict=True)])


def patch_places(knee: SimulatedKnee, found: SubchondralRegions) -> dict[str, np.ndarray]:
    """Centres of the patches by their names, in the frame that the knee has in every image."""
    patches = [patch for bone in found.bones.values() for patch in place_patches(patch_bone(bone))]
    return {patch.name: knee.pose.into(patch.centre_lps_mm[None])[0] for patch in patches}


def assert_same_patches(places: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    common = set(places) & set(other)
    assert len(common) >= 0.9 * max(len(places), len(other)) > 200
    away = [np.linalg.norm(places[name] - other[name]) for name in common]
    assert max(away) < SAME_PLACE_MM


@pytest.fixture(scope="module")
def knee() -> SimulatedKnee:
    return SimulatedKnee(seed=1)


@pytest.fixture(scope="module")
def coarse_labels(knee: SimulatedKnee) -> Volume:
    return knee_labels(knee, COARSE_MM)


@pytest.fixture(scope="module")
def found(knee: SimulatedKnee) -> SubchondralRegions:
    return find_regions(knee_labels(knee, FINE_MM), knee.side)


@pytest.fixture(scope="module")
def places(knee: SimulatedKnee, found: SubchondralRegions) -> dict[str, np.ndarray]:
    return patch_places(knee, found)


@pytest.mark.parametrize("spacing_mm", [0.5, 0.8, 1.0])
def test_depth_below_a_ball_is_within_a_fifth_of_a_millimetre(spacing_mm: float) -> None:
    axis = (np.arange(round(50 / spacing_mm)) + 0.3) * spacing_mm - 25
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = Volume((x**2 + y**2 + z**2 < 20**2).astype(np.uint8), (spacing_mm,) * 3, (axis[0],) * 3)
    rng = np.random.default_rng(0)
    way = rng.normal(size=(2000, 3))
    depth = rng.uniform(0, 10, 2000)
    outside, _ = bone_surface(ball, 1).distance_mm((20 - depth)[:, None] * way / np.linalg.norm(way, axis=1)[:, None])
    error = np.abs(-outside - depth)
    assert error.mean() < 0.1
    assert np.percentile(error, 95) < 0.2


def test_a_surface_is_the_same_wherever_the_origin_lies() -> None:
    axis = np.arange(-12, 13)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = Volume((x**2 + y**2 + z**2 < 10**2).astype(np.uint8), (1.0,) * 3, (-12.0,) * 3)
    far = np.array([800.0, -1600.0, 2400.0])  # whole steps of the lattice
    here = bone_surface(ball, 1)
    there = bone_surface(replace(ball, origin_lps=tuple(far - 12)), 1)
    np.testing.assert_allclose(there.points_lps - far, here.points_lps, atol=1e-3)


def test_no_surface_is_within_reach_of_what_is_far() -> None:
    axis = np.arange(-12, 13)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = bone_surface(Volume((x**2 + y**2 + z**2 < 10**2).astype(np.uint8), (1.0,) * 3, (-12.0,) * 3), 1)
    distance, nearest = ball.distance_mm(np.array([[14.0, 0.0, 0.0], [40.0, 0.0, 0.0]]), reach_mm=6)
    assert distance[0] == pytest.approx(4, abs=0.5)
    assert np.isnan(distance[1])
    assert nearest[1] == 0


def test_every_region_has_voxels_and_its_own_name(found: SubchondralRegions) -> None:
    assert len({region.name for region in found.regions}) == len(found.regions) == 2 * 2 * 3 * 3
    for region in found.regions:
        assert found.voxels_of(region).sum() == region.voxels > 0


def test_depths_of_the_regions_are_those_of_the_simulated_bone(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    for bone in ("femur", "tibia"):
        numbers = [region.number for region in found.regions if region.bone == bone]
        at = np.argwhere(np.isin(found.labels.array, numbers))[::20]
        places = knee.pose.into(to_lps(at, found.labels))
        truth = -knee.shapes.bone(bone).nearest(places, deep=True).distance_mm
        error = found.depth_mm.array[tuple(at.T)] - truth
        assert abs(error.mean()) < 0.05
        assert np.percentile(np.abs(error), 95) < 0.2


def test_a_tilted_knee_on_a_turned_grid_of_other_voxels_has_the_same_regions_and_patches(
    knee: SimulatedKnee, found: SubchondralRegions, places: dict[str, np.ndarray]
) -> None:
    tilted = replace(knee, tilt_deg=(20.0, 0.0, 0.0))
    grid = Rotation.from_euler("y", 20, degrees=True)
    again = find_regions(knee_labels(tilted, COARSE_MM, grid), knee.side)
    change = changes(again, found)
    assert np.median(np.abs(change)) < 0.015
    assert np.abs(change).max() < ALLOWED
    assert_same_patches(patch_places(tilted, again), places)


def test_a_mirrored_knee_has_mirrored_regions_and_patches(
    knee: SimulatedKnee, found: SubchondralRegions, places: dict[str, np.ndarray]
) -> None:
    other = knee.mirrored()
    mirrored = find_regions(knee_labels(other, FINE_MM), other.side)
    assert np.abs(changes(mirrored, found)).max() < 0.01
    assert np.mean(mirrored.labels.array[:, :, ::-1] != found.labels.array) < 0.01 * np.mean(found.labels.array > 0)
    for bone, of in mirrored.bones.items():
        expected = found.bones[bone].frame.origin_lps * (-1, 1, 1)
        assert np.abs(of.frame.origin_lps - expected).max() < 0.05
    assert_same_patches(patch_places(other, mirrored), places)


def test_the_tibial_strip_without_regions_widens_to_the_front_and_to_the_back(found: SubchondralRegions) -> None:
    parts = found.bones["tibia"].compartments
    (front, back), strip = parts.cuts_mm["lateral"], parts.notch_mm
    asked = np.array([(strip + 1, front + 0.1, 0), (strip + 1, front - 5, 0), (strip + 6, front - 5, 0)])
    asked = np.vstack([asked, (strip + 1, back + 6, 0), (strip + 4, back + 6, 0)])
    assert parts.number_at(parts.frame.places_lps(asked)).tolist() == [5, 0, 4, 0, 6]


def test_joint_space_is_about_the_simulated_one(knee: SimulatedKnee, found: SubchondralRegions) -> None:
    least = {width.compartment: width.smallest_mm for width in found.joint_space.widths if width.subregion is None}
    for compartment, truth in zip(("medial", "lateral"), knee.joint_space_mm, strict=True):
        assert truth - 0.3 < least[compartment] < truth + 1.0


def test_a_femur_without_whole_condyles_has_no_regions_and_says_why(knee: SimulatedKnee, coarse_labels: Volume) -> None:
    top = np.argwhere(coarse_labels.array == 1)[:, 0].min() + 18
    found = find_regions(replace(coarse_labels, array=coarse_labels.array[:top]), knee.side)
    assert "mm of the femur are in the image" in found.missing["femur"]
    assert {region.bone for region in found.regions} == {"tibia"}


def test_labels_without_a_tibia_are_refused(knee: SimulatedKnee, coarse_labels: Volume) -> None:
    femur = coarse_labels.array % 2
    with pytest.raises(BadInput, match="no tibia"):
        find_regions(replace(coarse_labels, array=femur[np.flatnonzero(femur.any(axis=(1, 2)))[0] :][:20]), knee.side)


def test_the_regions_of_a_real_knee_lie_under_its_cartilage(shared_data) -> None:
    """0.94 of the femur's area and 0.91 of the tibia's; the front of the medial trochlea has no cartilage drawn."""
    labels = every_other(read_volume(shared_data / "knee-mr" / "right_knee_bone_cartilage_labels.nrrd"))
    bones = np.select([labels.array == 5, labels.array == 6], [1, 2], 0).astype(np.uint8)
    found = find_regions(replace(labels, array=bones), "right")
    for bone, cartilage, least in (("femur", (1,), 0.93), ("tibia", (2, 3), 0.89)):
        of = found.bones[bone]
        places = to_lps(np.argwhere(np.isin(labels.array, cartilage)), labels)
        under = cKDTree(places).query(of.surface.points_lps)[0] < 1.2
        area, on = of.surface.areas_mm2, of.subregion > 0
        assert area[on & under].sum() / area[on].sum() > least


def test_metal_beside_the_joint_does_not_move_the_edge_of_the_bone() -> None:
    knee = SimulatedKnee(seed=2)
    grid = knee.grid(1.2, (90.0, 85.0, 80.0))
    labels, ct = knee.labels(grid), knee.ct(grid)
    blur = BlurEstimate(1.3, 0.0, 500, "cortex")
    resolution = CtResolution(ct.spacing_mm, None, blur, blur, ())
    clean = find_regions(labels, knee.side, ct, resolution=resolution)
    streaks = np.zeros(ct.array.shape, bool)
    middle = clean.bones["tibia"].surface.points_lps[clean.bones["tibia"].subregion == 2].mean(axis=0)
    k, j, i = np.rint(to_index(middle, ct)).astype(int)
    streaks[k - 8 : k + 9, j - 8 : j + 9, i - 8 : i + 9] = True
    spoiled = replace(ct, array=np.where(streaks, ct.array * 3 + 900, ct.array).astype(np.int16))
    found = find_regions(labels, knee.side, spoiled, resolution=resolution, unusable=streaks)
    assert found.bones["tibia"].plate.plate_hu == pytest.approx(clean.bones["tibia"].plate.plate_hu, rel=0.15)
    inside = streaks[tuple(np.rint(to_index(found.bones["tibia"].surface.points_lps, ct)).astype(int).T)]
    assert inside.any()
    assert np.isnan(found.bones["tibia"].plate.thickness_mm[inside]).mean() > 0.95
    for one, other in zip(clean.regions, found.regions, strict=True):
        assert other.volume_mm3 == pytest.approx(one.volume_mm3, rel=0.06)
