"""A CT carried onto the grid of an MR: rigid and exact in every bone, smooth between them, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from SubchondralBoneAnalysisLib.bone_registration.blended_motion import (
    blended_places,
    bone_motions,
    ct_on_mr_grid,
    mr_on_ct_grid,
)
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import pose_of
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.voxel_grid import SAGITTAL, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

# Two bricks one above the other, 6 mm apart, and a small one in front.
BRICKS = {1: ((0, 0, 18), (40, 36, 30)), 2: ((0, 0, -18), (40, 36, 30)), 3: ((0, -30, 20), (24, 10, 24))}


def on(grid: Volume, array: np.ndarray) -> Volume:
    return Volume(array, grid.spacing_mm, grid.origin_lps, grid.direction_lps)


def places(grid: Volume) -> np.ndarray:
    """[k, j, i, 3] of the voxels, LPS mm."""
    index = np.argwhere(np.ones(grid.array.shape, bool))
    return lattice_lps(grid, index).reshape(*grid.array.shape, 3)


def euler(turn_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> sitk.Euler3DTransform:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*np.radians(turn_deg).tolist())
    transform.SetTranslation(shift_mm)
    return transform


@pytest.fixture(scope="module")
def labels() -> Volume:
    grid = grid_around((0, 0, 0), (80, 90, 90), (1.0, 0.8, 0.8))
    at = places(grid)
    array = np.zeros(grid.array.shape, np.uint8)
    for number, (centre, size) in BRICKS.items():
        array[(np.abs(at - centre) <= np.array(size) / 2).all(axis=-1)] = number
    return on(grid, array)


@pytest.fixture(scope="module")
def coordinates(labels) -> list[Volume]:
    """Volumes whose value is where they are: read between the voxels they tell the place they were read at."""
    return [on(labels, part) for part in np.moveaxis(places(labels).astype(np.float32), -1, 0)]


@pytest.fixture(scope="module")
def bent() -> dict[str, sitk.Transform]:
    return {
        "femur": euler((7, -2, 3), (4, 3, 1)),
        "tibia": euler((0, 1, 5), (5, -2, -2)),
        "patella": euler((10, 0, 4), (3, -1, 3)),
    }


@pytest.fixture(scope="module")
def mr_grid() -> Volume:
    return grid_around((3, 2, 2), (84, 84, 60), (2.5, 1.1, 1.1), SAGITTAL)


def carried_places(coordinates, labels, transforms, grid) -> tuple[np.ndarray, np.ndarray]:
    motions = bone_motions(labels, transforms)
    parts = [ct_on_mr_grid(part, labels, transforms, grid, motions=motions) for part in coordinates]
    return np.stack([part.array for part, _ in parts], axis=-1), parts[0][1].array


def inner(transform: sitk.Transform, number: int, at: np.ndarray) -> np.ndarray:
    """bool: voxels of the MR that show that brick, by the inverse of its motion alone."""
    centre, size = BRICKS[number]
    return (np.abs(pose_of(transform).into(at) - centre) <= np.array(size) / 2).all(axis=-1)


def test_every_bone_is_carried_by_its_own_rigid_motion(coordinates, labels, bent, mr_grid):
    found, known = carried_places(coordinates, labels, bent, mr_grid)
    at = places(mr_grid)
    for number, name in enumerate(bent, 1):
        bone = inner(bent[name], number, at) & known
        assert bone.sum() > 500
        assert np.abs(found[bone] - pose_of(bent[name]).into(at[bone])).max() < 1e-3


def test_between_the_bones_nothing_is_torn(coordinates, labels, bent):
    fine = grid_around((4, 2, 2), (30, 50, 40), 1.0, SAGITTAL)
    found, known = carried_places(coordinates, labels, bent, fine)
    for axis in range(3):
        step = np.linalg.norm(np.diff(found, axis=axis), axis=-1)
        both = np.take(known, range(1, known.shape[axis]), axis) & np.take(known, range(known.shape[axis] - 1), axis)
        # Bones that move by millimetres against each other over a gap of 6 mm stretch it to several times.
        assert step[both].max() < 4.0
        assert step[both].min() > 0.05


@pytest.mark.parametrize("turn", [(0, 0, 0), (20, -10, 15), (0, 0, 175)])
def test_bones_that_move_alike_carry_all_the_rest_rigidly(coordinates, labels, turn, mr_grid):
    whole = euler(turn, (3, -4, 5))
    found, known = carried_places(coordinates, labels, dict.fromkeys(("femur", "tibia", "patella"), whole), mr_grid)
    expected = pose_of(whole).into(places(mr_grid))
    assert known.mean() > 0.3
    within = known & (np.abs(expected) < 39).all(axis=-1)
    assert np.abs(found[within] - expected[within]).max() < 1e-3


def test_the_frame_plays_no_part(labels, bent):
    """The leg as a whole turned by a half turn in the MR: the same blend, turned."""
    turned = euler((5, 170, -20), (30, 10, -20))
    composed = {name: sitk.CompositeTransform([turned, one]) for name, one in bent.items()}
    at = np.random.default_rng(0).uniform(-35, 35, (500, 3))
    one = blended_places(at, bone_motions(labels, bent))
    other = blended_places(at, bone_motions(labels, composed))
    assert np.abs(other - pose_of(turned).out(one)).max() < 1e-6


def test_what_lies_beyond_the_ct_is_not_known(coordinates, labels, bent):
    far = grid_around((48, 0, 0), (30, 30, 30), 2.0, SAGITTAL)
    values, known = ct_on_mr_grid(coordinates[0], labels, bent, far, outside=-1000)
    assert known.array.dtype == bool
    assert known.array.any()
    assert not known.array.all()
    assert (values.array[~known.array] == -1000).all()
    assert (values.array[known.array] > -50).all()


def test_the_fibula_goes_with_the_tibia_unless_it_has_a_motion_of_its_own(labels):
    array = labels.array.copy()
    array[array == 3] = 4
    bones = on(labels, array)
    in_fibula = np.array([BRICKS[3][0]], float)
    tibia, own = euler((0, 0, 4), (1, 2, 3)), euler((0, 3, 0), (-2, 0, 0))
    moved = {"femur": euler((9, 0, 0), (0, 0, 0)), "tibia": tibia}
    assert blended_places(in_fibula, bone_motions(bones, moved)) == pytest.approx(pose_of(tibia).out(in_fibula))
    with_own = bone_motions(bones, {**moved, "fibula": own})
    assert blended_places(in_fibula, with_own) == pytest.approx(pose_of(own).out(in_fibula))


def test_the_mr_on_the_grid_of_the_ct_is_read_where_the_bones_went(labels, bent):
    at_mr = places(wide := grid_around((3, 2, 2), (130, 130, 120), (2.0, 1.5, 1.5), SAGITTAL))
    motions = bone_motions(labels, bent)
    few = on(labels, labels.array[::4, ::4, ::4])
    few = Volume(few.array, tuple(4 * mm for mm in labels.spacing_mm), labels.origin_lps, labels.direction_lps)
    expected = blended_places(places(few).reshape(-1, 3), motions).reshape(*few.array.shape, 3)
    for axis in range(3):
        read, known = mr_on_ct_grid(on(wide, at_mr[..., axis].astype(np.float32)), labels, bent, few, motions=motions)
        assert known.array.mean() > 0.9
        assert np.abs(read.array - expected[..., axis])[known.array].max() < 1.0  # half a voxel beyond the outermost
        bones = known.array & (few.array > 0)
        assert np.abs(read.array - expected[..., axis])[bones].max() < 1e-3
    for number, name in enumerate(bent, 1):
        bone = few.array == number
        assert np.abs(expected[bone] - pose_of(bent[name]).out(places(few)[bone])).max() < 1e-6


def test_labels_are_carried_whole_onto_the_bones_of_a_simulated_mr():
    pair = KneePair(seed=2, ct_flexion_deg=3.0, mr_flexion_deg=15.0)
    ct = pair.ct_labels(pair.in_ct.grid(2.0))
    mr_grid = grid_around(pair.in_mr.centre_lps, (90.0, 80.0, 80.0), (4.0, 1.6, 1.6), SAGITTAL)
    truth = pair.mr_labels(mr_grid).array
    found, known = ct_on_mr_grid(ct, ct, pair.transforms(), mr_grid, nearest=True, outside=0)
    assert set(np.unique(found.array)) <= {0, 1, 2, 3, 4}
    for number in (1, 2, 3, 4):
        one, other = (truth == number) & known.array, found.array == number
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.94, number


def test_no_bone_with_a_transform_is_an_error(labels):
    with pytest.raises(ValueError, match="none of the labelled bones"):
        bone_motions(labels, {"fibula": euler((0, 0, 0), (0, 0, 0))})
