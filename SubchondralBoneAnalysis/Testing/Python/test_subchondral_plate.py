"""Plates of known thickness in flat bones and in a simulated knee: thickness, edge, attenuation, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bone_slab import BoneSlab
from scipy.special import ndtr

from SubchondralBoneAnalysisLib.ct_resolution import CtResolution
from SubchondralBoneAnalysisLib.region_finding.articular_surface import facing, settled
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.region_finding.plate_profiles import DEPTH_MM, half_maximum_mm
from SubchondralBoneAnalysisLib.region_finding.plate_table import plate_table
from SubchondralBoneAnalysisLib.region_finding.subchondral_plate import (
    Plate,
    PlateSite,
    on_dense_bone,
    subchondral_plates,
)
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee


def measured(slab: BoneSlab, site: PlateSite | None = None, plate_hu: float | None = None, noise_hu=0.0) -> Plate:
    site = slab.site() if site is None else site
    return subchondral_plates({"bone": site}, slab.ct(noise_hu), slab.resolution, plate_hu)["bone"]


def known(values: np.ndarray) -> np.ndarray:
    assert np.isfinite(values).sum() > 100
    return values[np.isfinite(values)]


@pytest.mark.parametrize("turned_deg", [0.0, 35.0, 80.0])
@pytest.mark.parametrize("plate_mm", [0.5, 0.8, 1.3, 2.0])
def test_thickness_and_edge_of_a_flat_plate(plate_mm: float, turned_deg: float) -> None:
    slab = BoneSlab(plate_mm, turned_deg=turned_deg)
    site = slab.site()
    plate = measured(slab, site, plate_hu=slab.plate_hu)
    thickness = known(plate.thickness_mm)
    assert abs(np.median(thickness) - plate_mm) < 0.04
    assert thickness.std() < 0.05
    # The edge lies at the plane, wherever the labels' surface has it.
    points = site.surface.points_lps - plate.edge_mm[:, None] * site.surface.normals
    assert np.abs(known(slab.depth_mm(points))).mean() < 0.04


def test_a_blur_taken_too_small_makes_a_plate_too_thick() -> None:
    slab = BoneSlab(0.8)
    sharper = replace(slab, fwhm_mm=(0.5, 0.7))
    found = subchondral_plates({"bone": slab.site()}, slab.ct(), sharper.resolution)["bone"]
    assert np.median(known(found.thickness_mm)) > np.median(known(measured(slab).thickness_mm)) + 0.05


@pytest.mark.parametrize("plate_hu", [1050.0, 1250.0, 1500.0])
def test_the_attenuation_of_a_plate_thicker_than_the_blur_is_found(plate_hu: float) -> None:
    plate = measured(BoneSlab(1.4, plate_hu=plate_hu), noise_hu=30.0)
    assert abs(plate.plate_hu / plate_hu - 1) < 0.06
    assert abs(np.median(known(plate.thickness_mm)) - 1.4) < 0.1


def test_both_bones_of_a_joint_have_one_attenuation_told_by_the_thicker_plate() -> None:
    thick, thin = BoneSlab(1.6, plate_hu=1400.0), BoneSlab(0.5, plate_hu=1400.0)
    alone = measured(thin)
    beside = np.concatenate([thick.ct().array, thin.ct().array])
    ct = replace(thick.grid, array=beside)
    site = thin.site()
    up = np.array([0.0, 0.0, len(thin.grid.array) * thin.voxel_mm])
    above = replace(site, surface=replace(site.surface, points_lps=site.surface.points_lps + up))
    found = subchondral_plates({"tibia": thick.site(), "femur": above}, ct, thick.resolution)
    assert found["tibia"].plate_hu == found["femur"].plate_hu
    error = abs(np.median(known(found["femur"].thickness_mm)) - 0.5)
    assert error < 0.05
    assert error + 0.05 < abs(np.median(known(alone.thickness_mm)) - 0.5)


def test_thick_cortex_away_from_the_joint_tells_the_attenuation_of_compact_bone() -> None:
    slab = BoneSlab(3.5, plate_hu=1700.0)
    site = slab.site()
    shaft = replace(site, rim_mm=np.where(site.rim_mm > 0, -20.0, 1.0))
    assert abs(measured(slab, shaft).cortex_hu - 1700) < 40
    assert measured(slab).cortex_hu is None


@pytest.mark.parametrize(("plate_mm", "plate_hu"), [(1.2, 1700.0), (3.5, 1100.0)])
def test_cortex_that_is_thin_or_not_compact_tells_nothing(plate_mm: float, plate_hu: float) -> None:
    slab = BoneSlab(plate_mm, plate_hu=plate_hu)
    site = slab.site()
    shaft = replace(site, rim_mm=np.where(site.rim_mm > 0, -20.0, 1.0))
    assert measured(slab, shaft).cortex_hu is None


@pytest.mark.parametrize("outwards_mm", [-0.5, 0.6])
def test_labels_drawn_too_large_or_small_are_corrected(outwards_mm: float) -> None:
    slab = BoneSlab(1.0)
    site = slab.site(outwards_mm)
    plate = measured(slab, site, slab.plate_hu)
    on = site.rim_mm > 0
    assert np.sign(-outwards_mm) * slab.depth_mm(site.surface.points_lps)[on].mean() > 0.4
    moved = site.surface.moved_in(plate.shift_mm)
    assert np.abs(slab.depth_mm(moved.points_lps)[on]).mean() < 0.05
    assert abs(np.median(known(plate.thickness_mm)) - 1.0) < 0.05


def test_half_of_the_maximum_of_a_thin_blurred_plate_lies_outside_of_its_edge() -> None:
    depth, sd = np.arange(-2.4, 2.81, 0.1), 0.42
    profile = 1250 * (ndtr(depth / sd) - ndtr((depth - 0.4) / sd))
    half = half_maximum_mm(depth, profile[None], np.array([-2.0]))[0]
    # That of a Gaussian about the middle of the plate.
    assert abs(half - (0.2 - np.sqrt(2 * np.log(2)) * np.hypot(sd, 0.4 / np.sqrt(12)))) < 0.02


def test_where_another_bone_is_too_near_nothing_is_measured_and_the_edge_comes_from_around() -> None:
    slab = BoneSlab(1.0)
    site = slab.site(outwards_mm=0.3)
    near = site.surface.points_lps[:, 0] > 3
    plate = measured(slab, replace(site, gap_mm=np.where(near, 0.4, np.inf)), slab.plate_hu)
    on = site.rim_mm > 0
    assert np.isnan(plate.thickness_mm[near]).all()
    assert np.isnan(plate.edge_mm[near]).all()
    assert np.isfinite(plate.thickness_mm[on & ~near]).all()
    assert np.abs(plate.shift_mm[near & on] - plate.shift_mm[on & ~near].mean()).max() < 0.1
    assert np.isfinite(plate.filled_mm).all()


def test_without_a_known_blur_there_is_an_edge_and_no_thickness() -> None:
    slab = BoneSlab(1.5)
    unknown = CtResolution((0.5,) * 3, None, None, None, ("why",))
    site = slab.site(outwards_mm=0.4)
    plate = subchondral_plates({"bone": site}, slab.ct(), unknown)["bone"]
    assert np.isnan(plate.thickness_mm).all()
    assert "blur" in plate.why_not
    assert np.abs(slab.depth_mm(site.surface.moved_in(plate.shift_mm).points_lps)[site.rim_mm > 0]).mean() < 0.1


def test_beyond_the_image_nothing_is_measured() -> None:
    slab = BoneSlab(1.0)
    ct = slab.ct()
    keep = ct.array.shape[2] // 2
    cut = replace(ct, array=ct.array[:, :, :keep])
    site = slab.site()
    plate = subchondral_plates({"bone": site}, cut, slab.resolution, slab.plate_hu)["bone"]
    last = cut.origin_lps[0] + (keep - 1) * slab.voxel_mm
    x, on = site.surface.points_lps[:, 0], site.rim_mm > 0
    assert np.isnan(plate.thickness_mm[x > last + 0.5]).all()
    assert np.abs(known(plate.thickness_mm) - 1.0).max() < 0.15
    assert np.isfinite(plate.thickness_mm[on & (x < last - 1)]).all()


def test_a_bone_without_an_articular_surface_in_the_image_is_left_as_it_is() -> None:
    slab = BoneSlab(1.0)
    site = slab.site()
    plate = measured(slab, replace(site, rim_mm=np.full(len(site.rim_mm), -12.0)))
    assert np.isnan(plate.thickness_mm).all()
    assert (plate.shift_mm == 0).all()


def test_a_table_finds_what_lies_between_its_entries() -> None:
    depth, sd = np.arange(-2.0, 3.51, 0.15), 0.3
    outer, inner = ndtr((depth - 0.137) / sd), ndtr((depth - 0.137 - 0.873) / sd)
    profile = 60 * (1 - outer) + 1250 * (outer - inner) + 380 * inner
    found = plate_table(depth, profile[None], sd).fit(1250.0)
    assert abs(found.thickness_mm[0] - 0.873) < 0.01
    assert abs(found.edge_mm[0] - 0.137) < 0.01


@pytest.fixture(scope="module")
def knee() -> SimulatedKnee:
    return SimulatedKnee(seed=11, plate_mm=1.0, plate_spread=0.25, joint_space_mm=(3.0, 4.0))


def test_the_plate_of_a_simulated_knee_is_thick_where_it_is(knee: SimulatedKnee) -> None:
    grid = knee.grid(0.6, (100.0, 75.0, 44.0))
    labels, ct = knee.labels(grid), knee.ct(grid, Scanner(0.8, 0.8))
    surfaces = {name: bone_surface(labels, label) for name, label in (("femur", 1), ("tibia", 2))}
    tibia, femur = surfaces["tibia"], surfaces["femur"]
    gap, _ = femur.tree.query(tibia.points_lps)
    rim = settled(tibia, facing(tibia, femur))
    blur = BoneSlab(1.0, fwhm_mm=(0.8, 0.8)).resolution
    plate = subchondral_plates({"tibia": PlateSite(tibia, rim, gap)}, ct, blur)["tibia"]
    shape = knee.shapes.tibia
    true = knee.tissue(shape).shell_mm(shape.nearest(knee.pose.into(tibia.points_lps)).foot)
    on = (rim > 2) & np.isfinite(plate.thickness_mm)
    error = plate.thickness_mm[on] - true[on]
    assert on.sum() > 0.9 * (rim > 2).sum()
    assert abs(error.mean()) < 0.1
    assert np.corrcoef(plate.thickness_mm[on], true[on])[0, 1] > 0.9


def test_a_plate_on_bone_as_dense_as_itself_is_not_given_out_as_a_thin_one():
    depth = DEPTH_MM
    sd = 0.25
    dense = np.where(depth > 0, 1300.0 - 40.0 * depth, 40.0)  # sclerotic bone to the surface, no plate to be seen
    thin = 40.0 + 300.0 * (depth > 0) + 200.0 * np.exp(-0.5 * ((depth - 0.1) / sd) ** 2)
    hu = np.stack([dense, thin, dense])
    found = on_dense_bone(np.array([0.1, 0.1, 1.2]), hu, np.full(3, sd), 1250.0)
    assert found.tolist() == [True, False, False]
