"""Patches of a CT at their places in an MR: where they lie, and what is measured in them, against analytic truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from mr_pairs import SAGITTAL, motion

from SubchondralBoneAnalysisLib.knee_findings import MeasuredPatch
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.mr_comparison import compare
from SubchondralBoneAnalysisLib.mr_patches import carried, moved, patches_in_mr, regions_in_mr
from SubchondralBoneAnalysisLib.mr_reading import KneeMr
from SubchondralBoneAnalysisLib.mr_structure import (
    against_contrast,
    against_share,
    against_structure,
    apparent_structure,
)
from SubchondralBoneAnalysisLib.patch_cutting.cutting import cut_patches
from SubchondralBoneAnalysisLib.patches import Patch
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegion
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps, values_at

TRANSFORM = motion((8.0, -12.0, 15.0), (20.0, -7.0, 11.0))
MARROW, BONE = 1500.0, 60.0


def patch_at(centre_lps: np.ndarray, name: str = "tibia-proximal-L+00P+00-D1", bone: str = "tibia") -> Patch:
    turn = np.array(motion((20.0, 35.0, -10.0), (0, 0, 0)).GetMatrix()).reshape(3, 3)
    return Patch(name, bone, "medial", "central", 4.5, np.asarray(centre_lps, float), turn, 6.0, 1.0)


def mr_of(signal, spacing=(0.5, 0.25, 0.25), shape=(60, 120, 120)) -> Volume:
    """A small MR around the place of the CT's origin in the MR, of a signal by place (LPS) in the CT."""
    grid = Volume(np.zeros(shape, np.float32), spacing, (0.0, 0.0, 0.0), SAGITTAL)
    middle = to_lps((np.array(shape) - 1) / 2, grid)
    grid = replace(grid, origin_lps=tuple((np.array(TRANSFORM.TransformPoint((0.0, 0.0, 0.0))) - middle).tolist()))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    in_ct = moved(to_lps(index, grid), TRANSFORM.GetInverse())
    return replace(grid, array=signal(in_ct).reshape(shape).astype(np.float32))


def knee_mr(volume: Volume) -> KneeMr:
    return KneeMr(volume, False, "mr.nrrd", None)


def test_a_patch_is_carried_with_its_axes_and_back():
    patch = patch_at([3.0, -2.0, 1.5])
    there = carried(patch, TRANSFORM)
    assert there.axes_lps @ there.axes_lps.T == pytest.approx(np.eye(3), abs=1e-9)
    corner = patch.centre_lps_mm + 2.0 * patch.axes_lps[0] - 3.0 * patch.axes_lps[2]
    told = there.centre_lps_mm + 2.0 * there.axes_lps[0] - 3.0 * there.axes_lps[2]
    assert told == pytest.approx(TRANSFORM.TransformPoint(corner.tolist()))
    assert carried(there, TRANSFORM.GetInverse()).centre_lps_mm == pytest.approx(patch.centre_lps_mm)


def test_a_cube_in_the_mr_has_the_values_that_lie_at_the_patch_of_the_ct():
    """The signal grows along the patch's own k axis: every slice of the cube has one value, known exactly."""
    patch = patch_at([1.0, 2.0, -1.0])
    mr = mr_of(lambda places: 500 + 40 * (places - patch.centre_lps_mm) @ patch.axes_lps[2])
    with Workers(1) as workers:
        (cube,) = cut_patches(mr, [carried(patch, TRANSFORM)], 0.25, workers)
    depth = (np.arange(24) - 11.5) * 0.25
    assert cube == pytest.approx(np.broadcast_to((500 + 40 * depth)[:, None, None], cube.shape), abs=0.1)


def plates(share: float, period_mm: float, normal: np.ndarray):
    """Marrow with plates of bone across `normal`, blurred a little as a scanner does; by place in the CT."""

    def signal(places: np.ndarray) -> np.ndarray:
        phase = np.abs((places @ normal) / period_mm % 1.0 - 0.5) * period_mm
        inside = np.clip(0.5 + (share * period_mm / 2 - phase) / 0.1, 0, 1)
        return MARROW + (BONE - MARROW) * inside

    return signal


@pytest.mark.parametrize("share", [0.2, 0.35])
def test_plates_have_their_share_thickness_and_distance(share):
    grid = 0.1
    along = (np.arange(60) + 0.5) * grid
    cube = np.broadcast_to(
        plates(share, 1.5, np.array([1.0, 0, 0]))(along[:, None] * [1, 0, 0])[:, None, None], (60,) * 3
    )
    found = apparent_structure(np.ascontiguousarray(cube, np.float32), BONE, grid)
    assert found.bv_tv == pytest.approx(share, abs=0.01)
    assert found.tb_th_mm == pytest.approx(share * 1.5, abs=grid)
    assert found.tb_sp_mm == pytest.approx((1 - share) * 1.5, abs=1.5 * grid)
    assert found.tb_n_per_mm == pytest.approx(1 / 1.5, rel=0.1)
    assert found.not_measured == ()


def test_a_coil_that_is_twice_as_sensitive_elsewhere_changes_nothing():
    cube = np.random.default_rng(0).choice([BONE, MARROW], (20, 20, 20), p=[0.3, 0.7]).astype(np.float32)
    near, far = (apparent_structure(factor * cube, factor * BONE, 0.25) for factor in (1.0, 0.5))
    assert near.bv_tv == pytest.approx(far.bv_tv)
    assert near.bv_tv == pytest.approx((cube == BONE).mean())


def test_coarse_voxels_and_dark_marrow_are_refused_with_the_reason():
    assert against_share(0.3, 0.75) is None
    assert "pixels of 0.5 mm" in against_share(0.5, 0.5)
    assert "slices of 1 mm" in against_share(0.3, 1.0)
    assert against_structure(0.2, 0.5) is None
    assert "too large for single trabeculae" in against_structure(0.3, 0.75)
    assert against_contrast(1500, 60, 2000) is None
    assert "fat is suppressed" in against_contrast(150, 60, 2000)


def scene_of(signal, spacing=(0.5, 0.25, 0.25)) -> tuple[KneeMr, list[MeasuredPatch], Volume, Volume]:
    """An MR, patches of a CT on a line (two bones), that CT with some cortex, and its labels."""
    mr = mr_of(signal, spacing, tuple(round(30 / step) for step in spacing))
    ct = Volume(np.zeros((30, 30, 30), np.int16), (1.0,) * 3, (-14.5, -14.5, -14.5))
    labels = replace(ct, array=np.full(ct.array.shape, 2, np.uint8))
    patches = [
        MeasuredPatch(patch_at([x, 0, 0], f"tibia-{n}"), 400.0, 50.0, 0.25)
        for n, x in enumerate((-5.0, 0.0, 5.0, 14.0))
    ]
    patches.append(MeasuredPatch(patch_at([0, 4, 0], "femur-0", "femur"), 400.0, 50.0, 0.25))
    return knee_mr(mr), patches, ct, labels


def bright_muscle(signal):
    """The signal of bone and marrow inside of 13 mm, bright tissue around it."""
    return lambda places: np.where(np.abs(places).max(axis=1) < 13, signal(places), 2000.0)


def found_in(mr, patches, ct, labels, **verdicts: str):
    transforms = dict.fromkeys(verdicts, TRANSFORM)
    return patches_in_mr(mr, patches, transforms, verdicts, ct, labels)


def test_only_patches_of_registered_bones_that_lie_inside_the_mr_are_measured():
    mr, patches, ct, labels = scene_of(plates(0.3, 1.5, patches_normal()))
    found = found_in(mr, patches, ct, labels, tibia="registered", femur="doubtful")
    assert [of.patch.name for of in found.patches] == ["tibia-0", "tibia-1", "tibia-2"]
    assert found.left_out == {"not wholly inside the MR (tibia)": 1, "the femur is doubtful": 1}
    assert found_in(mr, patches, ct, labels, tibia="registered").left_out["the femur was not found in the MR"] == 1
    assert found.not_measured == {}
    for of in found.patches:
        assert of.structure.bv_tv == pytest.approx(0.3, abs=0.06)
        assert of.structure.tb_th_mm == pytest.approx(0.45, abs=0.15)
        assert of.centre_lps_mm == pytest.approx(TRANSFORM.TransformPoint(of.patch.centre_lps_mm.tolist()))


def patches_normal() -> np.ndarray:
    return patch_at([0, 0, 0]).axes_lps[0]


def test_an_mr_in_thick_slices_keeps_the_places_and_gives_no_numbers():
    mr, patches, ct, labels = scene_of(plates(0.3, 1.5, patches_normal()), (3.0, 0.4, 0.4))
    found = found_in(mr, patches, ct, labels, tibia="registered")
    assert len(found.patches) == 3
    assert set(found.not_measured) == {"bv_tv", "tb_th_mm", "tb_sp_mm", "tb_n_per_mm"}
    assert all(of.structure.bv_tv is None and dict(of.structure.not_measured) for of in found.patches)


def test_fat_suppressed_marrow_gives_no_share_of_bone():
    def dark(places: np.ndarray) -> np.ndarray:
        return 0.05 * plates(0.3, 1.5, patches_normal())(places)

    mr, patches, ct, labels = scene_of(bright_muscle(dark))
    found = found_in(mr, patches, ct, labels, tibia="registered")
    assert "fat is suppressed" in found.not_measured["bv_tv"]


def test_a_region_has_the_share_of_its_voxels():
    mr, patches, ct, labels = scene_of(plates(0.3, 1.5, patches_normal()))
    found = found_in(mr, patches, ct, labels, tibia="registered")
    numbers = np.zeros(labels.array.shape, np.uint8)
    numbers[10:20, 12:18, 8:22] = 7
    region = SubchondralRegion(7, "tibia", "medial", "central", 0.0, 5.0, "bone", 1, 1.0)
    other = replace(region, number=8, bone="femur")
    first, second = regions_in_mr(
        mr.volume, replace(labels, array=numbers), [region, other], {"tibia": TRANSFORM}, found
    )
    assert first.bv_tv == pytest.approx(0.3, abs=0.06)
    assert second.bv_tv is None
    assert "no patch near it" in second.not_measured


def test_ct_and_mr_are_compared_patch_by_patch():
    mr, patches, ct, labels = scene_of(plates(0.3, 1.5, patches_normal()))
    (one,) = found_in(mr, patches[:1], ct, labels, tibia="registered").patches
    random = np.random.default_rng(2)
    truth = random.uniform(0.1, 0.4, 60)
    measured, there = [], []
    for n, value in enumerate(truth):
        patch = patch_at([n % 8 * 3, n // 8 * 3, 0], f"tibia-{n}")
        measured.append(MeasuredPatch(patch, 0.0, 0.0, None if n == 0 else value))
        structure = replace(one.structure, bv_tv=value + 0.1 + random.normal(0, 0.01))
        there.append(replace(one, patch=patch, structure=structure))
    (found,) = compare(measured, there, seed=0)
    assert (found.parameter, len(found.names)) == ("bv_tv", 59)
    assert found.difference.bias == pytest.approx(-0.1, abs=0.005)
    assert found.correlation.consistency > 0.98 > found.correlation.agreement
    assert found.correlation.consistency_interval[0] > 0.95
    assert compare(measured[:5], there[:5], seed=0) == []


def test_a_written_transform_is_the_same_when_it_is_read(tmp_path: Path):
    sitk.WriteTransform(TRANSFORM, str(tmp_path / "t.tfm"))
    again = sitk.ReadTransform(str(tmp_path / "t.tfm"))
    places = np.random.default_rng(0).uniform(-60, 60, (20, 3))
    assert moved(places, again) == pytest.approx(moved(places, TRANSFORM), abs=1e-9)


def test_values_of_the_mr_are_found_where_the_ct_lies():
    mr = mr_of(lambda places: places[:, 0])
    assert values_at(moved(np.array([[2.0, 1.0, -3.0]]), TRANSFORM), mr) == pytest.approx([2.0], abs=1e-3)
