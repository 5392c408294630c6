"""Trabeculae of whole knees: what scanners see of them is what `structure_at` gives, in every pose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.fine_bone import FineBone, halved
from SubchondralBoneAnalysisLib.simulation.knee_microstructure import KneeMicrostructure
from SubchondralBoneAnalysisLib.simulation.knee_mr import water_and_fat
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around, lattice_lps

QUIET = Scanner(in_plane_fwhm_mm=0.62, axial_fwhm_mm=0.75, noise_hu=0.0)


def traits(bv_tv: float, plate_mm: float = 0.6) -> RegionTraits:
    return RegionTraits(StructureTraits(bv_tv, 0.2, 0.5, 1.3), plate_mm)


@pytest.fixture(scope="module")
def pair() -> KneePair:
    """A knee with structure in its tibia only, of which tests look at few millimetres."""
    regions = {("tibia", "medial"): traits(0.35), ("tibia", "lateral"): traits(0.2)}
    return KneePair(seed=3, side="left", regions=regions, plate_spread=0.0)


@pytest.fixture(scope="module")
def small(pair) -> KneePair:
    """The same with only that part of its fine bone made that lies 9 mm around a point of the medial plateau."""
    made = pair.microstructure
    lower = np.array([-29.0, -7.0, -16.0])
    parts = np.zeros((256, 128, 128), np.uint8)
    for k, j, i in np.ndindex(4, 2, 2):
        solid = made._block("tibia", lower + 8.0 * np.array([i, j, k]))
        if solid is not None:
            parts[64 * k : 64 * k + 64, 64 * j : 64 * j + 64, 64 * i : 64 * i + 64] = halved(solid)
    made._fine["tibia"] = FineBone(parts, 8, 0.125, lower + 0.03125)
    return pair


@pytest.mark.parametrize("overshoot", [0.0, 0.2])
def test_a_blurred_bone_is_the_bone_through_a_gaussian(overshoot):
    rng = np.random.default_rng(0)
    parts = (gaussian_filter(rng.normal(size=(60, 60, 60)), 1.5) > 0).astype(np.uint8)
    bone = FineBone(parts, 1, 0.1, np.zeros(3))
    index = rng.integers(25, 35, (200, 3))
    # The cells are points for the filter and boxes for the bone.
    sd = np.array([0.25, 0.2, 0.3])
    own = np.diag(sd[::-1] ** 2)
    expected = (1 + overshoot) * gaussian_filter(parts.astype(float), sd / 0.1, truncate=6)
    expected -= overshoot * gaussian_filter(parts.astype(float), 2 * sd / 0.1, truncate=6)
    points = index[:, ::-1] * 0.1
    seen = bone.seen(points, own + np.eye(3) * 0.1**2 / 12, overshoot)
    assert np.abs(seen - expected[tuple(index.T)]).max() < 0.03
    # A turned bone under a turned blur is the same.
    turn = Rotation.from_euler("xyz", (0, 0, 90), degrees=True).as_matrix()
    turned = FineBone(np.ascontiguousarray(parts.swapaxes(1, 2)[:, :, ::-1]), 1, 0.1, np.array([-5.9, 0.0, 0.0]))
    again = turned.seen(points @ turn.T, turn @ (own + np.eye(3) * 0.1**2 / 12) @ turn.T, overshoot)
    assert np.abs(seen - again).max() < 0.03


def test_wide_blurs_are_taken_from_coarser_cells_and_are_the_same():
    rng = np.random.default_rng(1)
    parts = rng.integers(0, 9, (64, 64, 64)).astype(np.uint8)
    bone = FineBone(gaussian_filter(parts, 2), 8, 0.125, np.zeros(3))
    points = rng.uniform(3.0, 5.0, (100, 3))
    just_below, just_above = (bone.seen(points, np.eye(3) * sd**2) for sd in (0.1999, 0.2001))
    assert np.abs(just_below - just_above).max() < 0.01


def test_what_is_asked_for_is_there(small):
    """Medial and lateral BV/TV and the plate, in the block that truth is measured in."""
    for side, x, wanted in (("medial", -22.0, 0.35), ("lateral", 22.0, 0.2)):
        own = np.array([x, 2.0, -6.0])
        block = small.microstructure.structure_at("tibia", own, np.eye(3), 6.0, 0.125)
        at = small.microstructure.bv_tv("tibia", np.array([own]), np.array([5.0]))[0]
        assert at == pytest.approx(small.regions["tibia", side].bv_tv_at(np.array([5.0]))[0], rel=0.02)
        assert block.mean() == pytest.approx(at, abs=0.06)
        assert at == pytest.approx(wanted, rel=0.15)


def test_the_plate_is_solid_and_nothing_is_outside(small):
    knee = small.in_ct
    block = small.structure_at("tibia", (-20.0, 2.0, -1.0), edge_mm=6.0, spacing_mm=0.1)
    grid = grid_around((-20.0, 2.0, -1.0), (6.0, 6.0, 6.0), 0.1)
    depth = knee.depth_mm(grid, "tibia", 8.0)
    assert not block[depth < -0.05].any()
    assert block[(depth > 0.05) & (depth < 0.5)].all()
    below = block[(depth > 1.0) & (depth < 3.0)]
    assert 0.2 < below.mean() < 0.6


def test_the_fine_bone_is_the_structure_that_truth_is_measured_of(small):
    fine = small.microstructure.fine_bone("tibia")
    k, j, i = 60, 40, 50  # its corner cell
    size = 32
    corner = fine.origin_mm + 0.125 * np.array([i, j, k]) - 0.03125
    centre = corner + 0.5 * (2 * size - 1) * 0.0625
    truth = small.microstructure.structure_at("tibia", centre, np.eye(3), 2 * size * 0.0625)
    part = fine.parts[k : k + size, j : j + size, i : i + size]
    assert 0.1 < part.mean() / 8 < 0.6
    assert (halved(truth) != part).mean() < 0.01


def test_the_fine_bone_leaves_plate_and_outside_to_the_shell(small):
    fine = small.microstructure.fine_bone("tibia")
    cells = np.argwhere(np.ones((40, 6, 6), bool)) + (85, 60, 60)
    own = fine.origin_mm + fine.step_mm * cells[:, ::-1]
    depth = -small.microstructure.tissues["tibia"].bone.nearest(own, deep=True).distance_mm
    part = fine.parts[tuple(cells.T)]
    assert depth.min() < -0.5
    assert depth.max() > 1.5
    assert not part[depth < 0.6 - fine.step_mm].any()
    assert 0.1 < part[depth > 0.6 + fine.step_mm].mean() / 8 < 0.8


def test_ct_and_mr_see_the_same_structure_in_their_poses(small):
    ct_knee, mr_knee = small.in_ct, small.in_mr
    centre = ct_knee.pose.out(np.array([[-21.0, 1.0, -5.0]]))[0]
    size, motion = (7.0, 7.0, 6.0), small.motion("tibia")
    there = grid_around(tuple(centre.tolist()), size, 0.4)
    moved = grid_around(tuple(motion.out(centre[None])[0].tolist()), size, 0.4, tuple(motion.matrix.ravel().tolist()))
    hu = ct_knee.hu_without_noise(there, QUIET)
    scan = MR_PROFILES["bffe-0.3x1.0"].of_scan(np.random.default_rng(0), 0.0)
    fat = water_and_fat(mr_knee, moved, scan)[1]
    below = ct_knee.depth_mm(there, "tibia", 8.0) > 1.8
    assert below.sum() > 500
    blurred = gaussian_filter(fat, (0.0, 0.6, 0.6))
    assert np.corrcoef(hu[below], blurred[below])[0, 1] < -0.6
    # Elsewhere in the bone it is another structure.
    assert abs(np.corrcoef(hu[below], np.roll(blurred, 5, axis=2)[below])[0, 1]) < 0.4


def test_the_ct_shows_the_structure_of_that_place(small):
    """Noise-free HU against the true block of the same place, blurred as the scanner does."""
    centre = small.in_ct.pose.out(np.array([[-21.0, 1.0, -5.5]]))[0]
    truth = small.structure_at("tibia", tuple(centre.tolist()), edge_mm=7.0, spacing_mm=0.1)
    blurred = gaussian_filter(truth.astype(float), np.array([0.75, 0.62, 0.62]) / 2.3548 / 0.1)[
        15:55:4, 15:55:4, 15:55:4
    ]
    grid = grid_around(tuple((centre - 0.15).tolist()), (4.0, 4.0, 4.0), 0.4)
    assert np.allclose(lattice_lps(grid, np.zeros((1, 3)))[0], centre + 0.1 * (15 - 34.5), atol=1e-6)
    hu = small.in_ct.hu_without_noise(grid, QUIET)
    assert np.corrcoef(hu.ravel(), blurred.ravel())[0, 1] > 0.99
    slope, at_none = np.polyfit(blurred.ravel(), hu.ravel(), 1)
    assert slope == pytest.approx(1810.0, rel=0.05)
    assert at_none == pytest.approx(-60.0, abs=40.0)


def test_deeper_down_the_bone_goes_on_as_dense_as_the_structure(small):
    """Mean part of bone by depth: no step where the structure ends."""
    fine, knee = small.microstructure, small.in_ct
    tissue, own = knee.tissue(knee.shapes.tibia), np.array([[-18.0, 4.0, -10.0]])
    depth = np.array([10.4, 10.6, 12.1])
    mean = tissue.trabecular_hu(np.repeat(own, 3, 0), depth) / 1810.0
    grey = fine.grey("tibia", np.repeat(own, 3, 0), depth, mean)
    made = fine.bv_tv("tibia", np.repeat(own, 3, 0), depth - knee.plate_mm)
    assert np.allclose(grey, made, rtol=0.08)
    share = fine.share("tibia", np.repeat(own, 3, 0), depth)
    assert share[0] == 1.0
    assert 0.0 < share[1] < 1.0
    assert share[2] == 0.0


def test_regions_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match="one side"):
        KneeMicrostructure({}, {("femur", "medial"): traits(0.3)})
    with pytest.raises(BadInput, match="fibula"):
        KneeMicrostructure({}, {("fibula", "medial"): traits(0.3), ("fibula", "lateral"): traits(0.3)})
