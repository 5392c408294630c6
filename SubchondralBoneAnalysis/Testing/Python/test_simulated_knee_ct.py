"""CT of simulated knees: labels, depths and grey values belong together on every grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label as components
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import SD_OF_FWHM, Scanner
from SubchondralBoneAnalysisLib.simulation.knee_shapes import LABELS
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee, ct_of_legs
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

QUIET = Scanner(in_plane_fwhm_mm=0.7, axial_fwhm_mm=1.0, noise_hu=0.0)


@pytest.fixture(scope="module")
def knee() -> SimulatedKnee:
    return SimulatedKnee(seed=3, side="left", joint_space_mm=(3.0, 4.5), flexion_deg=12.0)


@pytest.fixture(scope="module")
def grid(knee) -> Volume:
    return knee.grid(spacing_mm=1.2)


@pytest.fixture(scope="module")
def labels(knee, grid) -> np.ndarray:
    return knee.labels(grid).array


def hu_at(volume: Volume, mask: np.ndarray) -> float:
    return float(np.median(volume.array[mask]))


def test_four_bones_of_one_piece_each_of_human_size(labels, grid):
    assert labels.dtype == np.uint8
    for name, low, high in (("femur", 90, 260), ("tibia", 60, 180), ("patella", 10, 32), ("fibula", 4, 20)):
        bone = labels == LABELS[name]
        assert components(bone)[1] == 1
        assert low < bone.sum() * grid.voxel_mm3 / 1000.0 < high, name


def test_the_fibula_is_lateral_the_patella_in_front_and_the_femur_above(knee, labels):
    for one, array in ((knee, labels), (knee.mirrored(), knee.mirrored().labels(knee.mirrored().grid(1.2)).array)):
        place = {
            name: lattice_lps(one.grid(1.2), np.argwhere(array == number)).mean(0) for name, number in LABELS.items()
        }
        lateral = 1 if one.side == "left" else -1
        assert lateral * (place["fibula"] - place["tibia"])[0] > 15
        assert place["patella"][1] < place["femur"][1] - 20
        assert place["femur"][2] > place["tibia"][2] + 30


def test_depth_agrees_with_the_labels_and_steps_by_the_voxel(knee, grid, labels):
    for name, reach in (("femur", 4.0), ("tibia", 8.0), ("patella", 4.0)):
        depth = knee.depth_mm(grid, name, reach)
        assert np.array_equal(depth > 0, labels == LABELS[name])
        assert np.abs(depth).max() == reach
        # A distance changes by at most the way.
        for axis in range(3):
            assert np.abs(np.diff(depth, axis=axis)).max() <= 1.2 + 0.02


def test_a_mirrored_knee_is_the_mirror_image():
    tilted = SimulatedKnee(seed=3, side="left", tilt_deg=(8.0, -12.0, 20.0), centre_lps=(70.0, 5.0, -300.0))
    shape, spacing = (40, 42, 41), (3.0, 3.0, 3.0)
    left = empty_grid(shape, spacing, (8.0, -50.0, -360.0))
    right = empty_grid(shape, spacing, (-8.0 - 3.0 * 40, -50.0, -360.0))
    assert np.array_equal(tilted.labels(left).array, tilted.mirrored().labels(right).array[:, :, ::-1])
    assert tilted.mirrored().side == "right"
    assert tilted.mirrored().mirrored() == tilted
    assert np.allclose(
        tilted.depth_mm(left, "tibia", 4.0), tilted.mirrored().depth_mm(right, "tibia", 4.0)[:, :, ::-1], atol=1e-4
    )


def test_a_turned_grid_sees_the_same_knee(knee):
    turned = Rotation.from_euler("xyz", (10, -15, 20), degrees=True).as_matrix()
    plain, rotated = (
        grid_around((0.0, 5.0, 5.0), (90.0, 90.0, 90.0), 2.0, tuple(matrix.ravel())) for matrix in (np.eye(3), turned)
    )
    about = lattice_lps(rotated, np.argwhere(np.ones(rotated.array.shape, bool)))
    back = knee.shapes.femur.value(knee.pose.into(about)).reshape(rotated.array.shape)
    assert np.array_equal(knee.labels(rotated).array == 1, (back < 0) & (knee.labels(rotated).array != 2))
    quiet = [knee.ct(one, QUIET) for one in (plain, rotated)]
    bones = [knee.labels(one).array > 0 for one in (plain, rotated)]
    assert hu_at(quiet[0], bones[0]) == pytest.approx(hu_at(quiet[1], bones[1]), abs=40)


def test_a_cut_field_of_view_is_a_piece_of_the_whole(knee, grid, labels):
    (k, j, i), step = (60, 20, 30), grid.spacing_mm
    origin = tuple((np.array(grid.origin_lps) + np.array([i, j, k]) * np.array(step[::-1])).tolist())
    cut = empty_grid((30, 50, 40), step, origin)
    piece = (slice(k, k + 30), slice(j, j + 50), slice(i, i + 40))
    assert np.array_equal(knee.labels(cut).array, labels[piece])
    whole, part = knee.ct(grid, QUIET).array[piece], knee.ct(cut, QUIET).array
    assert np.abs(whole.astype(int) - part).mean() < 2.0  # soft tissue is interpolated on another lattice
    bone = labels[piece] > 0
    assert np.abs(whole.astype(int) - part)[bone].max() <= 2


def test_touching_bones_keep_their_labels():
    knee = SimulatedKnee(seed=1, joint_space_mm=(0.0, 0.0), plate_mm=1.0)
    grid = grid_around((0.0, 2.0, 0.0), (80.0, 50.0, 16.0), 0.8)
    labels = knee.labels(grid).array
    femur, tibia = knee.depth_mm(grid, "femur", 3.0), knee.depth_mm(grid, "tibia", 3.0)
    assert (np.minimum(femur, tibia) < 0.03).all()
    assert np.array_equal(labels == 2, tibia > np.maximum(femur, 0))
    # Where they touch no soft tissue is seen between them.
    sharp = knee.ct(grid, QUIET).array
    contact = (femur > -0.35) & (tibia > -0.35)
    assert contact.any()
    assert sharp[contact].min() > 500


def test_edges_lie_on_the_surface_and_are_as_wide_as_the_scanner_makes_them():
    knee = SimulatedKnee(seed=None, side="left", plate_mm=4.0, plate_spread=0.0, flexion_deg=0.0)
    # Rays down into the medial plateau, in steps of 0.05 mm.
    grid = empty_grid((160, 3, 3), (0.05, 4.0, 4.0), (-26.0, -2.0, -6.0))
    depth = knee.depth_mm(grid, "tibia", 6.0)
    hu = knee.hu_without_noise(grid, QUIET)
    for j, i in np.ndindex(3, 3):
        d, v = depth[::-1, j, i], hu[::-1, j, i]
        inner = np.abs(d) < 1.0
        low, high = v[d < -1.2].mean() if (d < -1.2).any() else 60.0, v[np.abs(d - 2.0) < 0.3].mean()
        assert np.interp(0.5 * (low + high), v[inner], d[inner]) == pytest.approx(0.0, abs=0.05)
        ten, ninety = np.interp([low + 0.1 * (high - low), low + 0.9 * (high - low)], v[inner], d[inner])
        # The rays are nearly along the axis of the scanner.
        assert ninety - ten == pytest.approx(2.563 * 1.0 * SD_OF_FWHM, rel=0.12)


def test_the_plate_has_the_thickness_that_was_asked_for(knee, grid, labels):
    even = knee.plate_thickness_mm(grid, "tibia")
    known = np.isfinite(even)
    depth = knee.depth_mm(grid, "tibia", 3.0)
    assert (known != (np.abs(depth) <= 2.5)).mean() < 1e-4
    top = known & (lattice_of(knee, grid)[..., 2] > -5)
    assert np.allclose(even[top], 1.2)
    uneven = SimulatedKnee(seed=3, side="left", joint_space_mm=(3.0, 4.5), flexion_deg=12.0, plate_spread=0.2)
    thickness = uneven.plate_thickness_mm(grid, "tibia")[top]
    assert 0.1 < thickness.std() / thickness.mean() < 0.35
    assert np.array_equal(uneven.labels(grid).array, labels)


def lattice_of(knee: SimulatedKnee, grid: Volume) -> np.ndarray:
    """Places [k, j, i, 3] of the voxels in the knee frame."""
    kji = np.argwhere(np.ones(grid.array.shape, bool))
    return knee.pose.into(lattice_lps(grid, kji)).reshape(*grid.array.shape, 3)


def test_tissues_have_their_hu(knee, grid, labels):
    ct = knee.ct(grid)
    assert ct.array.dtype == np.int16
    assert ct.array.shape == grid.array.shape
    skin = knee.soft_tissue.skin(lattice_of(knee, grid).reshape(-1, 3)).reshape(labels.shape)
    muscle = knee.soft_tissue.muscle(lattice_of(knee, grid).reshape(-1, 3)).reshape(labels.shape)
    assert hu_at(ct, skin > 4) == pytest.approx(-1000, abs=10)
    assert hu_at(ct, (skin > -4) & (skin < -2.8)) == pytest.approx(-105, abs=25)
    assert hu_at(ct, (muscle < -3) & (skin < -18) & (labels == 0)) == pytest.approx(55, abs=20)
    deep = knee.depth_mm(grid, "femur", 6.0) > 4
    assert 50 < hu_at(ct, deep) < 400
    assert ct.array.std() > 0
    noise = ct.array[skin > 6].astype(float)
    assert noise.std() < 31  # below -1024 it is cut off


def test_noise_has_its_sd_and_changes_with_its_seed_only(knee):
    air = empty_grid((20, 128, 128), (1.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    noise = Scanner(noise_hu=40.0).noise(air, np.random.default_rng(0))
    assert noise.std() == pytest.approx(40.0, rel=1e-3)
    small = grid_around((0.0, 0.0, 0.0), (40.0, 40.0, 30.0), 2.0)
    first, again, other = (knee.ct(small, noise_seed=seed).array for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_both_legs_in_one_scan():
    left = SimulatedKnee(seed=3, side="left", centre_lps=(75.0, 0.0, 0.0))
    grid = grid_around((0.0, 10.0, 0.0), (270.0, 120.0, 40.0), 3.0)
    both = ct_of_legs([left, left.mirrored()], grid, QUIET).array
    assert np.abs(both.astype(int) - both[:, :, ::-1]).mean() < 40
    assert (both[:, :, : both.shape[2] // 2] > 300).any()


@pytest.mark.parametrize(("told", "match"), [({"side": "both"}, "left or right"), ({"plate_mm": 9.0}, "plate")])
def test_knees_that_cannot_be_are_refused(told, match):
    with pytest.raises(BadInput, match=match):
        SimulatedKnee(**told)
