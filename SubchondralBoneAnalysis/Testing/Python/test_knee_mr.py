"""MR of simulated knees: the tissues between the bones, and their signals where the geometry says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label as components

from SubchondralBoneAnalysisLib.simulation.cartilage import above_cartilage
from SubchondralBoneAnalysisLib.simulation.knee_mr import knee_signals, water_and_fat
from SubchondralBoneAnalysisLib.simulation.menisci import meniscus_depth
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.soft_tissue import TISSUE_HU
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.fixture(scope="module")
def knee() -> SimulatedKnee:
    return SimulatedKnee(seed=3, side="left", patella_gap_mm=4.5)


@pytest.fixture(scope="module")
def grid() -> Volume:
    return grid_around((0.0, 5.0, 5.0), (110.0, 110.0, 100.0), (1.5, 1.2, 1.2), SAGITTAL)


@pytest.fixture(scope="module")
def pd():
    return MR_PROFILES["pd-0.31x3.0"].of_scan(np.random.default_rng(0), nuisance=0.0)


@pytest.fixture(scope="module")
def shown(knee, grid, pd) -> np.ndarray:
    return np.stack(water_and_fat(knee, grid, pd))


def places(knee: SimulatedKnee, grid: Volume) -> np.ndarray:
    """Voxels [n, 3] in the knee frame."""
    return knee.pose.into(lattice_lps(grid, np.argwhere(np.ones(grid.array.shape, bool))))


def layers(knee: SimulatedKnee, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance [n] from the cartilage of the femur, from that of the others, and depth in the menisci."""
    _, _, _, _, _, femur, tibia, patella, *thickness, ring, _, _ = knee.soft_tissue.fields(points)
    on_femur, on_others = above_cartilage(femur, tibia, patella, np.stack(thickness))
    return on_femur, on_others, meniscus_depth(ring, on_femur, on_others)


@pytest.mark.parametrize("space", [(4.0, 5.0), (1.0, 4.0), (0.0, 0.0)])
def test_cartilage_never_lies_in_cartilage(space):
    knee = SimulatedKnee(seed=8, joint_space_mm=space)
    points = np.random.default_rng(0).uniform((-45, -45, -15), (45, 45, 60), (40000, 3))
    outside = points[np.minimum.reduce([bone.value(points) for bone in knee.shapes.bones]) > 0]
    on_femur, on_others, _ = layers(knee, outside)
    assert (on_femur < 0).any()
    assert (on_others < 0).any()
    assert np.maximum(on_femur, on_others).min() > -0.02


def test_cartilage_is_as_thick_as_of_people(knee):
    # Steps outwards from the surface of a condyle, away from the other bones.
    thick = {}
    for index, bone in enumerate((knee.shapes.femur, knee.shapes.tibia, knee.shapes.patella)):
        own = knee.soft_tissue.cartilage.thickness_mm(bone.surface())[index]
        covered = own > 0.5
        thick[bone.name] = own[covered].mean()
        assert 0.05 < covered.mean() < 0.5, bone.name
        assert own[~covered].min() > -3.7
    # Eckstein et al. 2001: 1.57 to 2.43 mm on the mean, most on the patella.
    assert 1.3 < thick["femur"] < 2.9
    assert 1.3 < thick["tibia"] < 2.9
    assert thick["patella"] > thick["femur"]


def test_a_meniscus_lies_in_each_compartment_between_the_cartilages(knee):
    fine = grid_around((0.0, 3.0, 2.0), (90.0, 70.0, 20.0), 0.8)
    points = places(knee, fine)
    on_femur, on_others, depth = layers(knee, points)
    inside = depth > 0
    assert np.minimum(on_femur, on_others)[inside].min() >= 0.09
    found, _ = components(inside.reshape(fine.array.shape))
    sizes = np.bincount(found.ravel())[1:] * fine.voxel_mm3 / 1000
    assert sorted(sizes)[-2] > 0.6
    assert sizes.max() < 5.0
    assert sum(sorted(sizes)[-2:]) > 0.95 * sizes.sum()
    medial, lateral = (points[inside & (sign * points[:, 0] > 0)] for sign in (-1, 1))
    # Open to the middle: nothing of them beside the spines of the tibia at half depth.
    for half in (medial, lateral):
        assert 25 < np.ptp(half[:, 1]) < 55
        assert np.abs(half[np.abs(half[:, 1] - 3) < 4][:, 0]).min() > 20
    # A wedge: high at the rim, thin inside.
    column = np.abs(medial[:, 1] - 3) < 3
    rim = medial[column & (medial[:, 0] < medial[column, 0].min() + 2)]
    inner = medial[column & (medial[:, 0] > medial[column, 0].max() - 2)]
    assert np.ptp(rim[:, 2]) > np.ptp(inner[:, 2]) + 1.0


def test_tissues_have_their_signals(knee, grid, pd, shown):
    signals, points = knee_signals(pd.signals), places(knee, grid)
    assert set(TISSUE_HU) <= set(signals)
    total = shown.sum(0).ravel()
    skin, muscle = knee.soft_tissue.skin(points), knee.soft_tissue.muscle(points)
    bone = np.minimum.reduce([one.value(points) for one in knee.shapes.bones])
    assert shown.dtype == np.float32
    assert shown.min() >= 0
    assert total[skin > 4].max() < 1e-3
    for tissue, where in {
        "muscle": (muscle < -4) & (skin < -20) & (bone > 6),
        "marrow": knee.shapes.femur.value(points) < -15,
    }.items():
        assert np.median(total[where]) == pytest.approx(sum(signals[tissue]), rel=0.25), tissue
    water, fat = shown.reshape(2, -1)
    assert np.median(fat[bone < -12]) > 3 * np.median(water[bone < -12])


def test_the_cortex_is_dark_and_cartilage_lies_on_it(pd):
    knee = SimulatedKnee(seed=None, side="left", plate_mm=2.0, flexion_deg=0.0, joint_space_mm=(5.0, 5.0))
    dess = MR_PROFILES["dess-0.31x1.5"].of_scan(np.random.default_rng(0), nuisance=0.0)
    # Rays down into the medial plateau, in steps of 0.05 mm.
    ray = empty_grid((1, 200, 1), (0.05, 0.05, 0.05), (-24.0, 0.0, 3.5), SAGITTAL)
    depth = knee.depth_mm(ray, "tibia", 8.0).ravel()
    for scan in (pd, dess):
        signals = knee_signals(scan.signals)
        total = sum(water_and_fat(knee, ray, scan)).ravel()
        assert total[np.abs(depth - 1.0) < 0.2].max() < 0.25
        assert total[np.abs(depth + 1.0) < 0.2].mean() == pytest.approx(sum(signals["cartilage"]), rel=0.1)
        # Half of the step from cartilage to cortex is on the surface.
        step = np.abs(depth) < 0.8
        half = 0.5 * (sum(signals["cartilage"]) + sum(signals["cortex"]))
        order = np.argsort(total[step])
        assert np.interp(half, total[step][order], depth[step][order]) == pytest.approx(0.0, abs=0.08)


def test_noise_changes_with_its_seed_only(knee, pd):
    small = grid_around((0.0, 0.0, 0.0), (40.0, 40.0, 12.0), (3.0, 1.0, 1.0), SAGITTAL)
    first, again, other = (knee.mr(small, pd, seed).array for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ct_and_mr_show_one_knee(knee, grid, pd, shown):
    """Bone by the MR (dark rim, marrow) is where the CT has it: the same labels serve both."""
    labels = knee.labels(grid).array > 0
    hu = knee.ct(grid).array
    marrow = (shown[1] > 0.5 * pd.signals["marrow"][1]) & labels
    assert marrow.sum() > 0.6 * labels.sum()
    assert hu[labels & ~marrow].mean() > hu[marrow].mean() + 200
