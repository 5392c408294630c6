"""The rigid registration of MR and CT: of phantoms whose motion is known, and of a simulated knee."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_registration.bone_laying import (
    RoughBone,
    Scene,
    SeenImage,
    Stage,
    told_side,
)
from SubchondralBoneAnalysisLib.bone_registration.bone_window import bone_window
from SubchondralBoneAnalysisLib.bone_registration.global_search import find_starts
from SubchondralBoneAnalysisLib.bone_registration.knee_motion import _share_inside, move_bones
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import (
    apart,
    inverse,
    pose_of,
    transform_of,
    turned_and_moved,
)
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes, slices_last
from SubchondralBoneAnalysisLib.bone_registration.mr_points import points_near, smoothed
from SubchondralBoneAnalysisLib.bone_registration.tissue_fit import fit_bone
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.voxel_grid import SAGITTAL
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

small = st.floats(-0.5, 0.5)


@given(turn=st.tuples(small, small, small), shift=st.tuples(*[st.floats(-80, 80)] * 3))
def test_a_motion_is_the_same_as_a_transform_and_back(turn, shift):
    motion = turned_and_moved(np.array(turn), np.array(shift), np.array([10.0, -20.0, 30.0]))
    transform = transform_of(motion, (40.0, 50.0, 60.0))
    points = np.array([[0.0, 0.0, 0.0], [10.0, -40.0, 90.0]])
    np.testing.assert_allclose([transform.TransformPoint(p) for p in points.tolist()], motion.out(points), atol=1e-6)
    np.testing.assert_allclose(pose_of(transform).matrix, motion.matrix, atol=1e-9)
    np.testing.assert_allclose(inverse(motion).out(motion.out(points)), points, atol=1e-9)


def test_a_transform_that_is_not_rigid_is_refused():
    import SimpleITK as sitk

    with pytest.raises(ValueError, match="rigid"):
        pose_of(sitk.ScaleTransform(3, (1.1, 1.0, 1.0)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_lie_last_however_a_file_is_laid_out(axis):
    rng = np.random.default_rng(axis)
    spacing = [0.5, 0.4, 0.6]
    spacing[axis] = 3.0
    turned = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    volume = Volume(rng.normal(size=(4, 5, 6)), tuple(spacing), (3.0, 4.0, 5.0), tuple(turned.ravel()))
    laid = slices_last(volume)
    assert laid.spacing_mm[0] == 3.0
    for value in volume.array.ravel()[::17]:
        before = to_lps(np.argwhere(volume.array == value), volume)
        np.testing.assert_allclose(to_lps(np.argwhere(laid.array == value), laid), before, atol=1e-9)


# ------------------------------------------------------------------------ one bone between fat and muscle, by formula


def _bone(points):
    """Signed distance from the surface of a bone without symmetry, about mm, negative inside."""
    ball = np.linalg.norm(points / [17.0, 13.0, 11.0], axis=-1)
    knob = np.linalg.norm((points - [9.0, 7.0, 8.0]) / [7.0, 9.0, 8.0], axis=-1)
    return np.minimum((ball - 1.0) * 13.0, (knob - 1.0) * 8.0)


def _shares(points):
    """Shares of cortex, marrow, fat and muscle at points [..., 3] of the CT."""
    depth = _bone(points)
    inside, marrow = 1 / (1 + np.exp(depth / 0.25)), 1 / (1 + np.exp((depth + 1.4) / 0.25))
    fat = 1 / (1 + np.exp((points[..., 2] - 3.0 * np.sin(points[..., 0] / 9.0)) / 0.4))
    return inside - marrow, marrow, (1 - inside) * fat, (1 - inside) * (1 - fat)


def _phantom(motion, fat_shift, slice_mm=1.0, fat_signal=1.0):
    """A CT with its label, and an MR with the displacement of fat along its columns (i)."""
    grid = np.stack(np.meshgrid(*[np.arange(-30.0, 30.1, 0.8)] * 3, indexing="ij"), axis=-1)[..., ::-1]
    cortex, marrow, fat, muscle = _shares(grid)
    hu = 1200.0 * cortex + 220.0 * marrow - 95.0 * fat + 55.0 * muscle
    ct = Volume(hu.astype(np.float32), (0.8, 0.8, 0.8), (-30.0, -30.0, -30.0))
    labels = replace(ct, array=(_bone(grid) < 0).astype(np.uint8))
    empty = Volume(
        np.zeros((int(50 / slice_mm), 100, 100), np.float32), (slice_mm, 0.5, 0.5), (-25.0, -25.0, 25.0), SAGITTAL
    )
    middle = to_lps(0.5 * (np.array(empty.array.shape) - 1.0), empty)
    empty = replace(empty, origin_lps=tuple(np.array(empty.origin_lps) - middle))
    places = to_lps(np.stack(np.indices(empty.array.shape), axis=-1), empty)
    signal = np.zeros(empty.array.shape)
    column = np.reshape(SAGITTAL, (3, 3))[:, 0]
    across = np.reshape(SAGITTAL, (3, 3))[:, 2]
    parts = np.linspace(-0.5, 0.5, 2 * int(slice_mm / 0.5) + 1)[1::2] * slice_mm
    for part in parts:
        at = places + part * across
        signal += 0.55 * _shares(motion.into(at))[3]
        _, marrow, fat, _ = _shares(motion.into(at - fat_shift * column))
        signal += fat_signal * (0.8 * marrow + 0.9 * fat)
    coil = 1.0 + 0.2 * places[..., 2] / 25.0
    rng = np.random.default_rng(1)
    return (
        ct,
        labels,
        replace(empty, array=(signal / len(parts) * coil + rng.normal(0, 0.04, signal.shape)).astype(np.float32)),
    )


def _fit(ct, labels, mr, start, blur=0.4, fat_free=True):
    axes = MrAxes.of(mr)
    window = bone_window(ct, labels, (1,), start, axes, 0.5, blur)
    points, values = points_near(
        smoothed(mr.array, axes, blur), axes, window, (-6.0, 6.0), 20000, np.random.default_rng(0)
    )
    fit = fit_bone(window, points, values, fat_free)
    to_axes = Pose(axes.directions.T, -axes.directions.T @ axes.origin_lps)
    return inverse(to_axes).after(fit.motion.after(to_axes.after(start))), fit


@pytest.mark.parametrize(("fat_shift", "slice_mm"), [(0.0, 1.0), (0.8, 1.0), (0.5, 3.0)])
def test_a_bone_is_found_to_a_part_of_a_voxel_whatever_fat_does(fat_shift, slice_mm):
    motion = turned_and_moved(np.deg2rad([4.0, -3.0, 5.0]), np.array([1.0, 0.6, -0.8]), np.zeros(3))
    ct, labels, mr = _phantom(motion, fat_shift, slice_mm)
    start = turned_and_moved(np.deg2rad([1.5, 1.0, -1.0]), np.array([0.8, -0.7, 0.6]), np.zeros(3)).after(motion)
    found, fit = _fit(ct, labels, mr, start)
    shift, turn = apart(found, motion, np.zeros(3))
    assert shift < 0.3
    assert turn < 0.5
    np.testing.assert_allclose(fit.fat_shift_mm, (fat_shift, 0.0), atol=0.3)
    assert fit.explained > fit.explained_before


def test_without_the_displacement_of_fat_the_bone_would_be_pulled_along():
    ct, labels, mr = _phantom(Pose(), 0.8)
    held, _ = _fit(ct, labels, mr, Pose(), fat_free=False)
    freed, _ = _fit(ct, labels, mr, Pose())
    assert apart(held, Pose(), np.zeros(3))[0] > 0.5
    assert apart(freed, Pose(), np.zeros(3))[0] < 0.3


@pytest.mark.parametrize("known", [0.8, -0.8])
def test_a_displacement_that_a_header_tells_is_taken_to_the_side_where_the_mr_shows_it(known):
    ct, labels, mr = _phantom(Pose(), 0.8)
    image = SeenImage.of(mr)
    start = turned_and_moved(np.zeros(3), np.array([0.5, 0.4, -0.3]), np.zeros(3))
    rough = RoughBone("femur", start, np.zeros(3), Stage("bone by itself", 0.0, 0.5, 0.0, 0.0, 0.0))
    scene = Scene(ct, labels, image, image)
    fat, laid = told_side(scene, [rough], np.array([known, 0.0]), Progress("none"))
    assert fat == pytest.approx((0.8, 0.0))
    assert apart(laid["femur"].motion, Pose(), np.zeros(3))[0] < 0.15


def test_where_neither_side_is_told_no_displacement_is_believed():
    ct, labels, mr = _phantom(Pose(), 0.8, fat_signal=0.0)
    image = SeenImage.of(mr)
    rough = RoughBone("femur", Pose(), np.zeros(3), Stage("bone by itself", 0.0, 0.5, 0.0, 0.0, 0.0))
    assert told_side(Scene(ct, labels, image, image), [rough], np.array([0.8, 0.0]), Progress("none")) == (None, {})


def test_a_window_beside_the_image_is_none():
    ct, labels, mr = _phantom(Pose(), 0.0)
    far = turned_and_moved(np.zeros(3), np.array([300.0, 0.0, 0.0]), np.zeros(3))
    assert bone_window(ct, labels, (1,), far, MrAxes.of(mr), 1.0, 1.0) is None


# ------------------------------------------------------------------------------------------------------- a whole knee


@pytest.fixture(scope="module")
def pair():
    """A simulated pair with coarse voxels, so that it is made in seconds."""
    pair = KneePair(seed=5, ct_flexion_deg=6.0, mr_flexion_deg=17.0, mr_turn_deg=(6.0, -4.0, 9.0))
    ct_scan = replace(CT_PROFILES["standard-0.6"].of_scan(np.random.default_rng(1)), spacing_mm=(1.1, 1.0, 1.0))
    profile = replace(MR_PROFILES["dess-0.31x1.5"], spacing_mm=(2.5, 0.8, 0.8))
    mr_scan = profile.of_scan(np.random.default_rng(2))
    ct = pair.ct(ct_scan)
    return pair, ct, pair.ct_labels(ct), pair.mr(mr_scan)


def test_a_turned_and_shifted_knee_is_found_and_its_bones_apart(pair):
    pair, ct, labels, mr = pair
    wrong = turned_and_moved(np.deg2rad([14.0, -12.0, 10.0]), np.array([14.0, -16.0, 12.0]), np.array(mr.origin_lps))
    directions = wrong.matrix @ np.reshape(mr.direction_lps, (3, 3))
    moved = replace(
        mr,
        origin_lps=tuple(wrong.out(np.array([mr.origin_lps]))[0].tolist()),
        direction_lps=tuple(directions.ravel().tolist()),
    )
    knee = move_bones(ct, labels, moved, None, Progress("none"))
    for bone in ("femur", "tibia"):
        truth = wrong.after(pose_of(pair.transform(bone)))
        joint = np.array(pair.ct_centre_lps)
        assert apart(knee.bones[bone].motion, truth, joint)[0] < 1.0, bone  # of voxels of 0.8 x 0.8 x 2.5 mm
        assert apart(knee.bones[bone].motion, truth, joint)[1] < 2.0, bone
        assert [stage.name for stage in knee.bones[bone].stages] == ["bone by itself", "fine"]
        # The rough stage may lose a little of what is told: it takes no notice of outliers, and this counts them.
        assert knee.bones[bone].stages[-1].similarity_after > knee.bones[bone].stages[-1].similarity_before


def test_how_much_of_a_knee_lies_in_an_image():
    image = Volume(np.zeros((11, 21, 41), np.float32), (4.0, 2.0, 1.0), (5.0, -3.0, 2.0), SAGITTAL)
    axes = MrAxes.of(image)
    places = axes.lps(np.random.default_rng(0).uniform(0.0, axes.size_mm, (500, 3)))
    assert _share_inside(places, axes) == 1.0
    half = axes.directions[:, 1] * 0.5 * axes.size_mm[1]
    assert _share_inside(places + half, axes) == pytest.approx(0.5, abs=0.06)
    assert _share_inside(places + 3.0 * half, axes) == 0.0


def test_an_image_of_nothing_is_refused():
    pair = KneePair(seed=5)
    grid = Volume(np.zeros((30, 30, 30), np.float32), (4.0, 4.0, 4.0), (-60.0, -60.0, -60.0))
    labels = pair.ct_labels(grid)
    far = Volume(np.random.default_rng(0).random((5, 8, 8)).astype(np.float32), (4.0, 4.0, 4.0))
    assert find_starts(replace(grid, array=labels.array * 500.0), labels, far) == []
    with pytest.raises(BadInput, match="does not show enough of the knee"):
        move_bones(replace(grid, array=labels.array * 500.0), labels, far, None, Progress("none"))
