"""The benchmark of the morphometry tells the truth about its own bodies, by volumes and by distances."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes

BENCHMARKS = Path(__file__).parent / "benchmarks"
TURN = Rotation.from_rotvec([0.4, -0.9, 0.3])


@pytest.fixture(autouse=True)
def _benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def oblique(extent, spacing_mm=(1.0, 1.0, 1.0), shift=(0.3, 5.1, 2.2)):
    """Places as a turned and shifted body sees them."""
    from morphometry_shapes import grid, turned

    return turned(grid(extent, spacing_mm), TURN, np.array(shift))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_bodies_fill_the_volume_they_should(spacing_mm):
    from morphometry_shapes import ellipsoid, plates, rods

    places = oblique(80, spacing_mm)
    voxel = np.prod(spacing_mm)
    assert plates(places, 3.5, 10).mean() == pytest.approx(0.35, abs=0.01)
    assert rods(places, 6, 12).mean() == pytest.approx(np.pi * 9 / 144, rel=0.02)
    assert ellipsoid(places, (18, 9, 6)).sum() * voxel == pytest.approx(4 / 3 * np.pi * 18 * 9 * 6, rel=0.01)


def test_plates_are_as_thick_as_stated_along_their_normal():
    from morphometry_shapes import plates, turned

    along = np.linspace(-20, 20, 40001)
    normal = TURN.as_matrix()[:, 0]
    line = turned((normal[:, None] * along)[..., None, None], TURN, np.zeros(3))
    bone = plates(line, 3.5, 10).ravel()
    edges = along[1:][bone[1:] != bone[:-1]]
    # The line starts in the middle of a plate.
    np.testing.assert_allclose(np.diff(edges)[::2], 6.5, atol=2e-3)
    np.testing.assert_allclose(np.diff(edges)[1::2], 3.5, atol=2e-3)


def test_the_gyroid_sheet_is_all_that_is_near_the_gyroid():
    from morphometry_shapes import _gyroid, gyroid_distance, gyroid_sheet

    steps = np.linspace(-1, 2 * np.pi + 1, 140)
    surface, _, _, _ = marching_cubes(_gyroid(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"))), 0.0)
    surface = surface * (steps[1] - steps[0]) + steps[0]
    points = np.random.default_rng(0).uniform(0, 2 * np.pi, (3, 4000))
    true, _ = cKDTree(surface).query(points.T)
    near = true < 0.6
    exact = gyroid_distance(points[:, near])
    # The mesh's points are at most one step away from where the perpendicular meets the surface.
    assert (exact <= true[near] + 2e-3).all()
    assert (true[near] ** 2 <= exact**2 + (steps[1] - steps[0]) ** 2).all()
    places = points.reshape(3, 20, 20, 10) * 40 / (2 * np.pi)
    wrong = gyroid_sheet(places, 6, 40).ravel() != (true < 3 * 2 * np.pi / 40)
    assert np.abs(true[wrong] * 40 / (2 * np.pi) - 3).max(initial=0) < 0.1


def test_a_period_of_a_gyroid_sheet_has_the_volume_of_steiner():
    from morphometry_shapes import grid, gyroid_sheet, gyroid_sheet_of_one_period

    volume, surface, curvature = gyroid_sheet_of_one_period(5 / 40)
    assert gyroid_sheet(grid(80, (1.0, 1.0, 1.0)), 5, 40).mean() == pytest.approx(volume, abs=0.003)
    thicker, thinner = (gyroid_sheet_of_one_period(5 / 40 + change)[0] for change in (1e-3, -1e-3))
    # Both sides of the sheet move by half of what it grows.
    assert surface == pytest.approx(2 * (thicker - thinner) / 2e-3, rel=1e-3)
    assert curvature < 0


def test_a_lattice_of_struts_is_the_same_where_it_has_no_end():
    from morphometry_shapes import grid, strut_lattice

    places = grid(61, (1.0, 1.0, 1.0))
    finite, endless = strut_lattice(places, 5, 15, 5), strut_lattice(places, 5, 15)
    inner = (slice(5, -5),) * 3
    np.testing.assert_array_equal(finite[inner], endless[inner])


def test_the_trabecular_volume_is_as_stated():
    from morphometry_shapes import trabecular

    from SubchondralBoneAnalysisLib.morphometry import measure

    structure = trabecular(96)
    m, _ = measure(structure, (1, 1, 1))
    assert m.bv_tv == pytest.approx(0.26, abs=1e-4)
    assert m.tb_th_raw_mm == pytest.approx(4.6, abs=0.3)


def test_other_programs_give_twice_the_radius():
    pytest.importorskip("porespy")
    pytest.importorskip("localthickness")
    from morphometry_peers import localthickness_diameter, porespy_diameter
    from morphometry_shapes import grid, plates

    structure = plates(grid(48, (1.0, 1.0, 1.0)), 6, 16)
    for diameter in (porespy_diameter, localthickness_diameter):
        assert diameter(structure)[structure].mean() == pytest.approx(6, abs=0.3)


def test_an_error_of_a_method_is_found_and_times_are_kept(tmp_path):
    from morphometry_shapes import trabecular
    from morphometry_speed import BONE, _errors, _run

    volume = tmp_path / "volume.npy"
    structure = trabecular(32)
    np.save(volume, structure)
    timed = _run("ours", volume, BONE, 2, tmp_path / "truth.npy", patience=0)
    assert len(timed["wall"]) == len(timed["cpu"]) == 2
    assert 0 < timed["base_mib"] <= timed["peak_mib"] < 1000
    diameter = np.load(tmp_path / "truth.npy")
    np.testing.assert_array_equal(diameter > 0, structure)
    np.save(tmp_path / "map.npy", diameter + 0.5)
    assert _errors(volume, BONE, tmp_path / "truth.npy", tmp_path / "map.npy") == {
        "mean error, voxels": 0.5,
        "mean size of error, voxels": 0.5,
        "largest error, voxels": 0.5,
    }
