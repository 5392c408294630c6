"""The small deformation of soft tissue: a known smooth one is found, bones stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_registration.soft_tissue import MOST_MM, soft_tissue_motion
from SubchondralBoneAnalysisLib.simulation.voxel_grid import SAGITTAL, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

BONE_RADIUS_MM = 12.0
BULGE_MM, BULGE_CENTRE, BULGE_SD_MM = 2.5, np.array([0.0, 28.0, 0.0]), 12.0


def on(grid: Volume, array: np.ndarray) -> Volume:
    return Volume(array, grid.spacing_mm, grid.origin_lps, grid.direction_lps)


@pytest.fixture(scope="module")
def grid() -> Volume:
    return grid_around((0, 0, 0), (80, 84, 60), (3.0, 2.0, 2.0), SAGITTAL)


def tissue(at: np.ndarray) -> np.ndarray:
    """HU at places [..., 3]: soft tissue with structure of a centimetre and more, and a round bone in the middle."""
    field = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal((60, 60, 60)), 2.0)
    index = np.moveaxis(at / 2.0 + 30, -1, 0)
    soft = 60 * ndimage.map_coordinates(field / field.std(), index, order=3, mode="wrap")
    return np.where(np.linalg.norm(at, axis=-1) < BONE_RADIUS_MM, 800.0, soft).astype(np.float32)


@pytest.fixture(scope="module")
def places(grid) -> np.ndarray:
    return lattice_lps(grid, np.argwhere(np.ones(grid.array.shape, bool))).reshape(*grid.array.shape, 3)


@pytest.fixture(scope="module")
def bulge(places) -> np.ndarray:
    """Where the MR shows what the CT has elsewhere: [k, j, i, 3] mm from the one to the other."""
    far = ((places - BULGE_CENTRE) ** 2).sum(axis=-1)
    return BULGE_MM * np.exp(-far / 2 / BULGE_SD_MM**2)[..., None] * np.array([0.0, 0.6, 0.8])


def displacement_of(found, places: np.ndarray) -> np.ndarray:
    points = places.reshape(-1, 3)
    return np.array([found.transform.TransformPoint(p) for p in points.tolist()]) - points


@pytest.mark.parametrize("is_ct", [True, False], ids=["synthetic CT", "MR alone"])
def test_a_known_bulge_is_found_and_bones_do_not_move(grid, places, bulge, is_ct):
    carried = on(grid, tissue(places))
    seen = tissue(places + bulge)
    seen = seen if is_ct else 1000 - 3 * np.clip(seen, -300, 300)
    bones = on(grid, np.linalg.norm(places, axis=-1) < BONE_RADIUS_MM)
    found = soft_tissue_motion(carried, on(grid, np.ones(grid.array.shape, bool)), bones, on(grid, seen), is_ct)
    assert found.gain > 0
    assert found.largest_mm <= MOST_MM + 1e-6
    soft = np.linalg.norm(places, axis=-1) > BONE_RADIUS_MM + 10
    strong = soft & (np.linalg.norm(bulge, axis=-1) > 1.2) & (np.abs(places) < (28, 38, 36)).all(axis=-1)
    error = np.linalg.norm(displacement_of(found, places[strong]) - bulge[strong], axis=-1)
    assert np.median(error) < 0.6
    assert np.abs(displacement_of(found, places[bones.array][::20])).max() < 1e-6
    deformed = found.applied(carried)
    before, after = (np.abs(part.array - tissue(places + bulge))[strong].mean() for part in (carried, deformed))
    assert after < 0.6 * before


def test_images_that_fit_stay_nearly_as_they_are(grid, places):
    carried = on(grid, tissue(places))
    noise = np.random.default_rng(1).normal(0, 10, grid.array.shape).astype(np.float32)
    bones = on(grid, np.linalg.norm(places, axis=-1) < BONE_RADIUS_MM)
    known = on(grid, np.abs(places[..., 2]) < 30)
    found = soft_tissue_motion(carried, known, bones, on(grid, carried.array + noise), True)
    assert found.gain >= 0
    assert found.largest_mm < 0.9
