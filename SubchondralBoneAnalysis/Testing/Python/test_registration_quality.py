"""How far a bone lies beside its edge in an MR, on bones whose place is known exactly; and which knees are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.special import erf

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.bone_registration.edge_profiles import edge_shifts
from SubchondralBoneAnalysisLib.bone_registration.local_agreement import local_agreement
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import pose_of
from SubchondralBoneAnalysisLib.bone_registration.quality import BoneQuality, bone_quality
from SubchondralBoneAnalysisLib.bone_registration.rest_motion import rest_motion
from SubchondralBoneAnalysisLib.bone_registration.same_knee import (
    check_same_knee,
    looks_amiss,
    mirrored,
    mirrored_better,
)
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.simulation.voxel_grid import SAGITTAL, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

CORTEX_MM = 1.2
BLUR_MM = 0.35
SEMI_AXES = np.array([14.0, 18.0, 11.0])
FEMUR_CENTRE, TIBIA_CENTRE = np.array([0.0, 0.0, 15.0]), np.array([0.0, 0.0, -15.0])
TURN_DEG, SHIFT_MM = (8.0, -5.0, 6.0), (3.0, -2.0, 4.0)


def depth(points: np.ndarray, centre: np.ndarray, semi_axes: np.ndarray) -> np.ndarray:
    """Distance below the surface of an ellipsoid, right to first order about it."""
    scaled = (points - centre) / semi_axes
    radius = np.linalg.norm(scaled, axis=-1)
    return radius * (1 - radius) / np.maximum(np.linalg.norm(scaled / semi_axes, axis=-1), 1e-6)


def layers(below_mm: np.ndarray, outside: float, cortex: float, inside: float) -> np.ndarray:
    """Values through soft tissue, cortex and marrow, both edges blurred."""
    first, second = (0.5 * (1 + erf((below_mm - at) / (np.sqrt(2) * BLUR_MM))) for at in (0.0, CORTEX_MM))
    return (outside + (cortex - outside) * first + (inside - cortex) * second).astype(np.float32)


def bones(grid: Volume, values: tuple, place=lambda points: points, grown_mm: float = 0.0, scale=1.0) -> Volume:
    """An image of femur and tibia; `place` takes its places to where they are in the CT."""
    index = np.argwhere(np.ones(grid.array.shape, bool))
    at = place(lattice_lps(grid, index)).reshape(*grid.array.shape, 3)
    below = np.maximum(*(depth(at, centre, SEMI_AXES * scale) for centre in (FEMUR_CENTRE, TIBIA_CENTRE)))
    return Volume(layers(below + grown_mm, *values), grid.spacing_mm, grid.origin_lps, grid.direction_lps)


HU, DARK_MARROW, BRIGHT_MARROW = (50, 1100, 250), (0.8, 0.05, 0.15), (0.4, 0.05, 1.0)


@pytest.fixture(scope="module")
def ct() -> Volume:
    return bones(grid_around((0, 0, 0), (44, 52, 64), (0.6, 0.5, 0.5)), HU)


@pytest.fixture(scope="module")
def labels(ct) -> Volume:
    at = lattice_lps(ct, np.argwhere(np.ones(ct.array.shape, bool))).reshape(*ct.array.shape, 3)
    array = np.zeros(ct.array.shape, np.uint8)
    for number, centre in ((1, FEMUR_CENTRE), (2, TIBIA_CENTRE)):
        array[depth(at, centre, SEMI_AXES) > 0] = number
    return replace(ct, array=array)


@pytest.fixture(scope="module")
def surface(labels):
    return bone_surface(labels, 1)


def transform(shift=(0.0, 0.0, 0.0)) -> sitk.Euler3DTransform:
    """The true motion of both bones, and a shift too much (in the MR)."""
    result = sitk.Euler3DTransform()
    result.SetRotation(*np.radians(TURN_DEG).tolist())
    result.SetTranslation((np.array(SHIFT_MM) + shift).tolist())
    return result


def mr_grid(slice_mm: float = 1.5, size_mm=(56.0, 66.0, 46.0)) -> Volume:
    return grid_around(SHIFT_MM, size_mm, (slice_mm, 0.45, 0.45), SAGITTAL)


def mr_of(values: tuple, slice_mm: float = 1.5, parts: int = 3, **changes) -> Volume:
    """An MR of the bones, averaged through the thickness of its slices."""
    grid, total = mr_grid(slice_mm), 0.0
    back = pose_of(transform()).into
    for part in (np.arange(parts) + 0.5) / parts - 0.5:
        origin = np.array(grid.origin_lps) - (part * slice_mm, 0, 0)
        total = total + bones(replace(grid, origin_lps=tuple(origin.tolist())), values, back, **changes).array / parts
    return replace(grid, array=total.astype(np.float32))


@pytest.fixture(scope="module")
def synthetic() -> Volume:
    return mr_of(HU)


def along_normals(surface, shift) -> np.ndarray:
    """How far out of the bone an edge is seen that a shift of the transform has left behind."""
    return -(surface.normals @ pose_of(transform()).matrix.T) @ np.array(shift)


def shifts_of(surface, ct, labels, seen, is_ct, shift=(0.0, 0.0, 0.0)):
    wanted = surface.points_lps[:, 2] < 20
    return edge_shifts(surface, wanted, ct, labels, 1, seen, is_ct, pose_of(transform(shift)))


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.0, 0.7, 0.0), (0.3, -0.5, 0.9)])
def test_the_edge_is_found_as_far_away_as_the_bone_was_shifted(surface, ct, labels, synthetic, shift):
    found = shifts_of(surface, ct, labels, synthetic, True, shift)
    error = found.shift_mm - along_normals(surface, shift)[found.numbers]
    sharp = found.inside & (found.blur_mm < 0.5)
    assert sharp.mean() > 0.5
    assert abs(np.median(error[sharp])) < 0.03
    assert np.median(np.abs(error[sharp])) < 0.05
    assert np.median(found.fit[sharp]) > 0.95


def test_a_larger_bone_has_its_edge_outwards(surface, ct, labels):
    found = shifts_of(surface, ct, labels, mr_of(HU, grown_mm=0.5), True)
    assert np.median(found.shift_mm[found.blur_mm < 0.5]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("slice_mm", [0.8, 3.0])
def test_thick_slices_blur_the_edges_they_cut_and_no_others(surface, ct, labels, slice_mm):
    shift = (0.0, 0.8, 0.4)
    found = shifts_of(surface, ct, labels, mr_of(HU, slice_mm, parts=5 if slice_mm > 2 else 1), True, shift)
    error = found.shift_mm - along_normals(surface, shift)[found.numbers]
    across = np.abs((surface.normals @ pose_of(transform()).matrix.T)[found.numbers, 0])
    assert found.blur_mm == pytest.approx(across * np.sqrt(max(slice_mm**2 - 0.533**2, 0)) / 2, abs=0.02)
    assert np.median(np.abs(error[found.blur_mm < 0.8])) < 0.06


@pytest.mark.parametrize("values", [DARK_MARROW, BRIGHT_MARROW], ids=["dark marrow", "bright marrow"])
def test_an_mr_of_any_contrast_shows_the_edge_too(surface, ct, labels, values):
    shift = (0.0, 0.6, -0.7)
    found = shifts_of(surface, ct, labels, mr_of(values), False, shift)
    sharp = found.inside & (found.blur_mm < 0.5)
    rest = rest_motion(found.points_lps, found.normals, found.shift_mm, found.areas_mm2 * sharp)
    assert rest.offset_mm == pytest.approx(np.linalg.norm(shift), abs=0.15)


def test_the_rest_of_a_motion_is_told_by_its_part_along_the_normals(surface):
    # An ellipsoid that turns about its middle a little, and moves.
    turn, shift = np.radians([1.0, 2.0, -1.5]), np.array([0.4, -0.3, 0.8])
    moved = np.cross(turn, surface.points_lps - FEMUR_CENTRE) + shift
    along = np.einsum("nc,nc->n", moved, surface.normals)
    along[::10] = 3.0  # what is no edge of the bone
    found = rest_motion(surface.points_lps, surface.normals, along + 0.1, surface.areas_mm2)
    explained = found.motion.out(surface.points_lps) - surface.points_lps
    assert np.abs(explained - moved).max() < 0.1
    assert found.offset_mm == pytest.approx(np.sqrt((moved**2).sum(axis=1).mean()), abs=0.05)
    assert found.even_mm == pytest.approx(0.1, abs=0.05)


def test_a_bone_in_its_place_is_registered(surface, ct, labels, synthetic):
    found = bone_quality(surface, ct, labels, synthetic, synthetic, transform(), "femur")
    assert found.verdict == "registered"
    assert found.surface_median_mm < 0.05
    assert found.offset_mm < 0.1
    assert found.covered > 0.95
    assert found.agreement > 0.95
    assert "femur" in found.reason


def test_a_shifted_bone_is_doubtful_and_its_distances_are_those_of_the_shift(surface, ct, labels, synthetic):
    shift = (0.2, 1.4, 0.6)
    found = bone_quality(surface, ct, labels, synthetic, synthetic, transform(shift), "femur")
    assert found.verdict == "doubtful"
    assert found.offset_mm == pytest.approx(np.linalg.norm(shift), abs=0.15)
    assert "1.5 mm" in found.reason
    assert found.shape_median_mm < 0.1
    away = np.abs(along_normals(surface, shift))
    assert found.surface_median_mm == pytest.approx(np.median(away), abs=0.15)
    assert found.surface_p95_mm == pytest.approx(np.percentile(away, 95), abs=0.15)


def test_another_bone_is_a_mismatch(surface, ct, labels):
    other = mr_of(HU, scale=np.array([1.15, 0.9, 1.1]))
    found = bone_quality(surface, ct, labels, other, other, transform(), "femur")
    assert found.verdict == "mismatch"
    assert found.shape_p95_mm > 1.0


def test_an_mr_without_bone_is_a_mismatch(surface, ct, labels):
    noise = np.random.default_rng(0).normal(50, 30, mr_grid().array.shape).astype(np.float32)
    empty = replace(mr_grid(), array=noise)
    assert bone_quality(surface, ct, labels, empty, empty, transform(), "femur").verdict == "mismatch"


def test_a_bone_beside_the_mr_is_outside(surface, ct, labels, synthetic):
    found = bone_quality(surface, ct, labels, synthetic, synthetic, transform((0, 45, 0)), "femur")
    assert found.verdict == "outside"
    assert found.covered < 0.3


@pytest.mark.parametrize("with_synthetic", [True, False], ids=["synthetic CT", "MR alone"])
def test_agreement_is_high_where_bones_lie_right_and_low_where_they_do_not(ct, labels, synthetic, with_synthetic):
    mr = mr_of(DARK_MARROW)
    seen = synthetic if with_synthetic else None
    right = local_agreement(ct, labels, mr, seen, {"femur": transform(), "tibia": transform()})
    half = local_agreement(ct, labels, mr, seen, {"femur": transform(), "tibia": transform((0, 1.5, 1.5))})
    assert right.array.dtype == np.float32
    assert right.array.shape == mr.array.shape
    told = np.isfinite(right.array)
    assert ((right.array[told] >= 0) & (right.array[told] <= 1)).all()
    index = np.argwhere(told)
    at = pose_of(transform()).into(lattice_lps(mr, index))
    assert np.abs(np.max([depth(at, c, SEMI_AXES) for c in (FEMUR_CENTRE, TIBIA_CENTRE)], axis=0)).max() < 8
    assert not told[0].any()  # far from bone
    assert np.nanmedian(right.array) > 0.9
    there = half.array[told]
    femur, tibia = (np.nanmedian(there[side * at[:, 2] > 3]) for side in (1, -1))
    assert femur > 0.9
    assert tibia < femur - 0.05


def quality(verdict: str, median: float = 0.2, misfit: float = 0.3) -> BoneQuality:
    return BoneQuality(median, 3 * median, 0.9, 0.8, verdict, "", misfit=misfit)


def test_the_mr_of_the_same_knee_passes_also_where_one_bone_is_not_seen():
    check_same_knee({"femur": quality("registered"), "tibia": quality("registered")}, False, "left")
    check_same_knee({"femur": quality("registered"), "tibia": quality("doubtful")}, False, "left")
    check_same_knee({"femur": quality("registered"), "tibia": quality("outside"), "patella": quality("mismatch")},
                    False, "left")  # fmt: skip


def test_the_other_knee_is_refused_by_its_mirror_image():
    here = {"femur": quality("registered", 0.6, 0.7), "tibia": quality("mismatch", 0.8, 1.5)}
    there = {"femur": quality("registered"), "tibia": quality("registered")}
    assert looks_amiss(here)
    assert not looks_amiss(there)
    assert mirrored_better(here, there)
    assert not mirrored_better(there, here)
    with pytest.raises(BadInput, match=r"^knee.nrrd shows a left knee, the CT a right one: give the MR of the same"):
        check_same_knee(here, True, "right", "knee.nrrd")


def test_the_knee_of_another_person_is_refused_with_its_distances():
    here = {"femur": quality("mismatch", 2.4, 3.0), "tibia": quality("mismatch", 3.1, 3.5)}
    other = {"femur": quality("mismatch", 2.0, 2.8), "tibia": quality("mismatch", 2.9, 3.3)}
    assert not mirrored_better(here, other)
    with pytest.raises(BadInput, match=r"surfaces of femur and tibia lie 2.4 mm and 3.1 mm \(median\) from where"):
        check_same_knee(here, False, "right")
    nearly_so = {"femur": quality("registered", 0.4, 0.72), "tibia": quality("registered", 0.3, 0.70)}
    with pytest.raises(BadInput, match="no motion makes them fit"):  # what is not sure of each bone is so of both
        check_same_knee(nearly_so, False, "right")
    with pytest.raises(BadInput, match="neither femur nor tibia"):
        check_same_knee({"femur": quality("outside"), "patella": quality("registered")}, False, "right")


def test_a_mirrored_volume_has_left_and_right_exchanged_on_its_own_grid():
    grid = grid_around((5, 0, 0), (10, 12, 8), (2.0, 1.0, 1.0), SAGITTAL)
    at = lattice_lps(grid, np.argwhere(np.ones(grid.array.shape, bool))).reshape(*grid.array.shape, 3)
    turned = mirrored(replace(grid, array=at[..., 0] * 1000 + at[..., 1]))
    middle = at[..., 0].min() + at[..., 0].max()
    assert np.allclose(turned.array, (middle - at[..., 0]) * 1000 + at[..., 1])
    assert turned.direction_lps == grid.direction_lps
