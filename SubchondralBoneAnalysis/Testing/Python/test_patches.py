"""Where patches are placed on bodies of known form, that their names hold, and what is in them when they are cut."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.patch_cutting.cutting import cut_patches
from SubchondralBoneAnalysisLib.patch_cutting.patch_bones import patch_bone
from SubchondralBoneAnalysisLib.patches import Patch, PatchBone, PatchRule, place_patches
from SubchondralBoneAnalysisLib.region_finding.bone_frame import BoneFrame
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.subchondral import find_regions
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, values_at

NAMES = {1: ("medial", "central"), 2: ("lateral", "central")}
PLANE, CYLINDER, SPHERE = "plane", "cylinder", "sphere"
RADIUS_MM = 25.0
REACH_MM = {PLANE: (24, 24, 24), CYLINDER: (18, 99, 99), SPHERE: (99, 99, 99)}  # of the articular part, from the origin


def depth_of(form: str, places: np.ndarray) -> np.ndarray:
    """Depth in mm below the surface of a body, of places (..., 3) in the body's own frame."""
    if form == PLANE:
        return -places[..., 2]
    if form == CYLINDER:
        return RADIUS_MM - np.hypot(places[..., 1], places[..., 2])
    return RADIUS_MM - np.linalg.norm(places, axis=-1)


def body(form: str, voxel_mm: float = 0.6, turn_deg: tuple = (0, 0, 0), mirrored: bool = False) -> PatchBone:
    """A body with its frame turned against the grid, the grid itself slanting and off centre."""
    axes = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() * [[-1 if mirrored else 1], [1], [1]]
    frame = BoneFrame(np.array([3.3, -41.7, 12.9]), axes)
    direction = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    count = int(66 / voxel_mm)
    grid = np.moveaxis(np.indices((count,) * 3)[::-1], 0, -1) * voxel_mm
    origin = frame.origin_lps - direction @ np.full(3, (count - 1) / 2 * voxel_mm + 0.13)
    own = frame.coordinates(grid @ direction.T + origin)
    like = Volume(np.empty(0), (voxel_mm,) * 3, tuple(origin), tuple(direction.ravel()))
    columns = np.where(own[..., 0] < 0, 1, 2) * (np.abs(own) < REACH_MM[form]).all(axis=-1)
    depth = depth_of(form, own).astype(np.float32)
    return PatchBone("tibia", replace(like, array=depth), replace(like, array=columns.astype(np.uint8)), NAMES, frame)


def found_by_name(bone: PatchBone, rule: PatchRule | None = None) -> dict[str, Patch]:
    patches = place_patches(bone, rule)
    assert len({patch.name for patch in patches}) == len(patches)
    return {patch.name: patch for patch in patches}


# ------------------------------------------------------------------------------------------------------ on known bodies


def test_patches_of_a_plane_are_the_lattice_of_the_bone():
    bone = body(PLANE, turn_deg=(20, -15, 30))
    patches = found_by_name(bone, PatchRule(overlap=0.0, band_mm=(1.5, 13.5)))
    for name, patch in patches.items():
        _, face, place, layer = name.rsplit("-", 1)[0].split("-", 2) + [name.rsplit("-", 1)[1]]
        lateral, posterior = float(place[1:4]), float(place[5:8])
        depth = 4.5 if layer == "D1" else 10.5
        assert face == "proximal"
        assert patch.depth_mm == pytest.approx(depth, abs=0.02)
        own = bone.frame.coordinates(patch.centre_lps_mm)
        assert np.allclose(own, [6 * lateral, 6 * posterior, -depth], atol=0.02)
        # k goes into the bone; i and j are the bone's own axes here.
        assert np.allclose(patch.axes_lps, bone.frame.axes * [[1], [1], [-1]], atol=1e-3)
        assert patch.compartment == ("medial" if lateral < 0 else "lateral") or lateral == 0
    # 7 x 7 columns of 6 mm fit under a square of 48 mm, in two layers.
    assert len(patches) == 7 * 7 * 2


@pytest.mark.parametrize("form", [CYLINDER, SPHERE])
def test_patches_of_a_round_body_hang_upright_under_its_surface(form):
    bone = body(form, turn_deg=(10, 20, -35))
    patches = place_patches(bone)
    assert len(patches) > 300
    for patch in patches:
        own = bone.frame.coordinates(patch.centre_lps_mm)
        assert abs(depth_of(form, own) - patch.depth_mm) < 0.03
        outward = own * ([0, 1, 1] if form == CYLINDER else [1, 1, 1])
        cosine = bone.frame.turned(-patch.axes_lps[2]) @ outward / np.linalg.norm(outward)
        assert np.degrees(np.arccos(min(cosine, 1))) < 1
        assert np.allclose(patch.axes_lps @ patch.axes_lps.T, np.eye(3), atol=1e-9)


def test_neighbours_overlap_as_told_and_no_more():
    patches = [patch for patch in place_patches(body(SPHERE), PatchRule(overlap=0.5)) if patch.name.endswith("D1")]
    tops = np.array([patch.centre_lps_mm - 3.0 * patch.axes_lps[2] for patch in patches])
    apart = np.linalg.norm(tops[:, None] - tops[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    # 3 mm along the lattice; where two families of lines meet no nearer than 0.7 of it at the surface.
    assert apart.min() > 0.7 * 3 * (RADIUS_MM - 1.5) / RADIUS_MM - 0.01
    # On no slant is the next further than 3 mm / cos 55 degrees: there are no gaps.
    assert apart.min(axis=1).max() < 3 / np.cos(np.radians(55))


def test_every_part_of_a_patch_lies_in_the_band():
    bone = body(CYLINDER)
    rule = PatchRule(band_mm=(2.0, 10.0), edge_mm=5.0, overlap=0.4)
    for patch in place_patches(bone, rule):
        corners = patch.centre_lps_mm + 2.0 * np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T @ patch.axes_lps
        depth = depth_of(CYLINDER, bone.frame.coordinates(corners))
        assert depth.min() > 2.0 - 0.5
        assert depth.max() < 10.0 + 0.5
        assert patch.inside >= rule.least_inside


def test_no_patch_touches_what_cannot_be_used_or_leaves_the_depth_map():
    bone = body(PLANE)
    metal = (bone.frame.coordinates(np.moveaxis(_places(bone.depth_mm), 0, -1))[..., 0] > 4).astype(np.uint8)
    patches = place_patches(bone, unusable=replace(bone.depth_mm, array=metal))
    assert patches
    assert max(bone.frame.coordinates(patch.centre_lps_mm)[0] for patch in patches) < 4 - 3 + 0.6
    half = tuple(slice(0, n // 2) if axis == 2 else slice(None) for axis, n in enumerate(bone.columns.array.shape))
    cut = replace(
        bone, **{at: replace(getattr(bone, at), array=getattr(bone, at).array[half]) for at in ("depth_mm", "columns")}
    )
    whole, left = found_by_name(bone), found_by_name(cut)
    assert 0 < len(left) < len(whole)
    assert set(left) < set(whole)


def test_a_bone_without_articular_surface_has_no_patches():
    bone = body(PLANE)
    assert place_patches(replace(bone, columns=replace(bone.columns, array=np.zeros_like(bone.columns.array)))) == []


@pytest.mark.parametrize("wrong", [{"edge_mm": 0.0}, {"overlap": 1.0}, {"band_mm": (1.5, 5.0)}, {"least_inside": 0.0}])
def test_a_rule_that_nothing_can_follow_is_refused(wrong):
    with pytest.raises(ValueError):
        PatchRule(**wrong)


# ----------------------------------------------------------------------------------------------------- names and places


@pytest.mark.parametrize("form", [PLANE, CYLINDER, SPHERE])
@pytest.mark.parametrize(
    ("voxel_mm", "turn_deg", "mirrored"), [(0.4, (0, 0, 0), False), (1.0, (20, 0, 0), False), (0.8, (0, 20, -20), True)]
)
def test_a_name_is_the_same_place_in_the_bone_resampled_turned_and_mirrored(form, voxel_mm, turn_deg, mirrored):
    one, other = body(form), body(form, voxel_mm, turn_deg, mirrored)
    first, second = found_by_name(one), found_by_name(other)
    common = set(first) & set(second)
    assert len(common) > 0.93 * max(len(first), len(second))
    for name in common:
        a, b = first[name], second[name]
        apart = one.frame.coordinates(a.centre_lps_mm) - other.frame.coordinates(b.centre_lps_mm)
        assert np.linalg.norm(apart) < 0.1
        assert np.allclose(one.frame.turned(a.axes_lps), other.frame.turned(b.axes_lps), atol=0.03)


def tibia_of(knee: SimulatedKnee, voxel_mm: float) -> PatchBone:
    """The tibia of a simulated knee with its true depth and its true frame."""
    grid = grid_around(tuple(knee.pose.out(np.array([[0.0, 0.0, -8.0]]))[0]), (84.0, 62.0, 46.0), voxel_mm)
    # The frame of the simulated knee is that of a left one: x lateral, y posterior, z proximal.
    frame = BoneFrame(knee.pose.out(np.zeros((1, 3)))[0], knee.pose.matrix.T)
    depth = replace(grid, array=knee.depth_mm(grid, "tibia"))
    own = frame.coordinates(np.moveaxis(_places(grid), 0, -1))
    plateau = (np.hypot(own[..., 0] / 30, own[..., 1] / 20) < 1) & (own[..., 2] > -25) & (depth.array > 0)
    columns = np.where(own[..., 0] < 0, 1, 2) * plateau
    return PatchBone("tibia", depth, replace(grid, array=columns.astype(np.uint8)), NAMES, frame)


def test_a_name_is_the_same_place_in_a_simulated_tibia_turned_and_resampled():
    one = SimulatedKnee(3)
    other = replace(one, side="left", tilt_deg=(20.0, 0.0, 0.0))
    first, second = found_by_name(tibia_of(one, 0.9)), found_by_name(tibia_of(other, 1.0))
    common = sorted(set(first) & set(second))
    assert len(common) > 0.9 * max(len(first), len(second)) > 60
    places = [
        knee.pose.into(np.array([patches[name].centre_lps_mm for name in common]))
        for knee, patches in ((one, first), (other, second))
    ]
    assert np.linalg.norm(places[0] - places[1], axis=1).max() < 0.5


def test_patches_of_found_regions_lie_in_their_bone_and_compartment():
    knee = SimulatedKnee(3)
    labels = knee.labels(knee.grid(1.0, (96.0, 100.0, 100.0)))
    regions = find_regions(labels, knee.side)
    numbers = {region.number: region for region in regions.regions}
    for bone in regions.bones.values():
        patches = place_patches(patch_bone(bone))
        assert len(patches) > 60
        assert {patch.compartment for patch in patches} == {"medial", "lateral"}
        centres = np.array([patch.centre_lps_mm for patch in patches])
        assert (values_at(centres, labels, order=0) == {"femur": 1, "tibia": 2}[bone.name]).all()
        within = [numbers.get(int(n)) for n in values_at(centres, regions.labels, order=0)]
        same = [
            r is not None and (r.bone, r.compartment) == (p.bone, p.compartment)
            for r, p in zip(within, patches, strict=True)
        ]
        assert np.mean(same) > 0.97


# -------------------------------------------------------------------------------------------------------------- cutting


def test_a_ramp_is_cut_exactly_and_k_goes_into_the_bone():
    bone = body(SPHERE)
    patches = place_patches(bone)[::40]
    with Workers(2) as workers:
        cut = cut_patches(bone.depth_mm, patches, 0.5, workers)
        ramp = replace(bone.depth_mm, array=_places(bone.depth_mm)[0].astype(np.float32))
        left = cut_patches(ramp, patches, 0.5, workers)
    assert cut.shape == (len(patches), 12, 12, 12)
    along = (np.arange(12) - 5.5) * 0.5
    for n, patch in enumerate(patches):
        assert np.allclose(cut[n, :, 5:7, 5:7].mean(axis=(1, 2)), patch.depth_mm + along, atol=0.02)
        steps = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1)[..., ::-1]
        assert np.allclose(left[n], (patch.centre_lps_mm + steps @ patch.axes_lps)[..., 0], atol=1e-3)


def test_integers_and_floats_are_cut_alike_whatever_the_number_of_threads():
    bone = body(PLANE)
    noise = np.random.default_rng(1).integers(-1000, 2000, bone.depth_mm.array.shape)
    patches = place_patches(bone)[::7]
    cuts = []
    for kind, threads in ((np.int16, 1), (np.int16, 3), (np.float32, 2)):
        with Workers(threads) as workers:
            cuts.append(cut_patches(replace(bone.depth_mm, array=noise.astype(kind)), patches, 0.3, workers))
    assert np.array_equal(cuts[0], cuts[1])
    assert np.allclose(cuts[0], cuts[2], atol=1e-2)


def test_a_coarse_grid_does_not_alias():
    """A wave that a coarse grid cannot hold is gone, and not there at another length; one that it can hold stays."""
    bone = body(PLANE, voxel_mm=0.4)
    patches = place_patches(bone, PatchRule(overlap=0.0))[:10]
    fine, slow = (
        replace(bone.depth_mm, array=(1000 * np.sin(2 * np.pi * _places(bone.depth_mm)[0] / length)).astype(np.float32))
        for length in (1.1, 12.0)
    )
    with Workers(1) as workers:
        assert cut_patches(fine, patches, 1.0, workers).std() < 0.03 * 707
        assert cut_patches(slow, patches, 1.0, workers).std() > 0.9 * 707 * 0.9
        # On a grid finer than the CT nothing is averaged.
        assert cut_patches(fine, patches, 0.2, workers).std() > 0.75 * 707


def test_patches_that_do_not_fit_the_grid_or_each_other_are_refused():
    patches = place_patches(body(PLANE))[:2]
    ct = body(PLANE).depth_mm
    with Workers(1) as workers:
        with pytest.raises(ValueError, match="whole number"):
            cut_patches(ct, patches, 0.35, workers)
        with pytest.raises(ValueError, match="several sizes"):
            cut_patches(ct, [patches[0], replace(patches[1], edge_mm=5.0)], 0.5, workers)
        assert len(cut_patches(ct, [], 0.5, workers)) == 0


def test_a_thousand_patches_are_cut_in_seconds():
    bone = body(SPHERE, voxel_mm=0.5)
    patches = place_patches(bone, PatchRule(overlap=0.6))
    patches = (patches * (1000 // len(patches) + 1))[:1000]
    ct = replace(bone.depth_mm, array=np.zeros(bone.depth_mm.array.shape, np.int16))
    with Workers() as workers:
        cut_patches(ct, patches[:1], 0.3, workers)  # compiles
        start = perf_counter()
        cut = cut_patches(ct, patches, 0.3, workers)
    assert cut.shape == (1000, 20, 20, 20)
    assert perf_counter() - start < 10  # 0.3 s where nothing else runs


def test_places_and_indices_are_each_other_s_inverse():
    bone = body(PLANE, voxel_mm=1.5)
    index = np.stack(np.indices(bone.depth_mm.array.shape), axis=-1)
    assert np.allclose(to_index(np.moveaxis(_places(bone.depth_mm), 0, -1), bone.depth_mm), index)
    assert np.array_equal(
        values_at(np.moveaxis(_places(bone.columns), 0, -1), bone.columns, order=0), bone.columns.array
    )


def _places(volume: Volume) -> np.ndarray:
    """(3, k, j, i) mm in LPS of all voxels, by the definition of direction, spacing and origin."""
    steps = np.indices(volume.array.shape)[::-1] * np.reshape(volume.spacing_mm[::-1], (3, 1, 1, 1))
    turned = np.tensordot(np.reshape(volume.direction_lps, (3, 3)), steps, axes=1)
    return turned + np.reshape(volume.origin_lps, (3, 1, 1, 1))
