"""Surface, curvature, connectivity and anisotropy of shapes of which they are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from microstructures import grid_of, sheets, trabecular
from scipy.ndimage import label

from SubchondralBoneAnalysisLib.anisotropy import InterceptEllipsoid, intercept_ellipsoid
from SubchondralBoneAnalysisLib.lattice_directions import STEPS, shares, unit_vectors
from SubchondralBoneAnalysisLib.local_configurations import count_configurations
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.surface_measures import SurfaceMeasures, surface_measures

SPACINGS = [(1.0, 1.0, 1.0), (1.5, 1.0, 1.0), (0.5, 1.0, 1.3)]


def counts_of(structure: np.ndarray, region: np.ndarray | None = None, unknown: np.ndarray | None = None) -> np.ndarray:
    codes = structure.astype(np.uint8)
    if unknown is not None:
        codes[unknown] = 2
    with Workers(2) as workers:
        return count_configurations(codes, region, workers)


def measures(structure: np.ndarray, spacing: tuple = (1.0, 1.0, 1.0)) -> tuple[SurfaceMeasures, float]:
    """The measures, and the volume of all cells in mm3, by which they become totals."""
    volume = np.prod([(n - 1) * s for n, s in zip(structure.shape, spacing, strict=True)])
    return surface_measures(counts_of(structure), spacing), float(volume)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius", [8, 12])
def test_a_ball(spacing, radius):
    place = grid_of(tuple(int(30 / s) for s in spacing), spacing) - np.array([0.2, 0.1, -0.3])
    found, volume = measures((place**2).sum(axis=-1) < radius**2, spacing)
    assert found.volume_fraction * volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
    assert found.surface_per_mm * volume == pytest.approx(4 * np.pi * radius**2, rel=0.02)
    assert found.mean_curvature_per_mm2 * volume == pytest.approx(4 * np.pi * radius, rel=0.03)
    assert found.euler_per_mm3 * volume == pytest.approx(1)
    index = 12 * found.volume_fraction * found.mean_curvature_per_mm2 / found.surface_per_mm**2
    assert index == pytest.approx(4, abs=0.15)


def test_the_mesh_of_a_ball_is_about_a_tenth_too_large():
    found, volume = measures((grid_of((50, 50, 50)) ** 2).sum(axis=-1) < 20**2)
    assert found.mesh_surface_per_mm * volume == pytest.approx(1.09 * 4 * np.pi * 20**2, rel=0.01)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_oblique_rods_and_plates_by_their_structure_model_index(spacing):
    random = np.random.default_rng(1)
    place = grid_of(tuple(int(70 / s) for s in spacing), spacing)
    for _ in range(3):
        axis = random.standard_normal(3)
        axis /= np.linalg.norm(axis)
        along = place @ axis
        rod, _ = measures((place**2).sum(axis=-1) - along**2 < 6**2, spacing)
        plates, _ = measures(np.mod(along, 20) < 5, spacing)
        assert 12 * rod.volume_fraction * rod.mean_curvature_per_mm2 / rod.surface_per_mm**2 == pytest.approx(
            3, abs=0.2
        )
        assert abs(12 * plates.volume_fraction * plates.mean_curvature_per_mm2 / plates.surface_per_mm**2) < 0.05
        assert 2 * plates.volume_fraction / plates.surface_per_mm == pytest.approx(5, rel=0.15)


def test_the_surface_of_plates_is_right_on_the_mean_over_directions():
    random = np.random.default_rng(2)
    found = [measures(sheets(60, 5, 20, random.standard_normal(3)))[0] for _ in range(20)]
    assert np.mean([2 * f.volume_fraction / f.surface_per_mm for f in found]) == pytest.approx(5, rel=0.015)


def test_a_lattice_of_rods_has_two_loops_a_node():
    """Each node of a cubic lattice of rods has six half rods, so the Euler number is 1 - 3 a node."""
    place = np.mod(np.stack(np.mgrid[:60, :60, :60], axis=-1), 20) - 10
    near = np.abs(place) < 3
    rods = (near[..., 0] & near[..., 1]) | (near[..., 0] & near[..., 2]) | (near[..., 1] & near[..., 2])
    counts = counts_of(rods[:41, :41, :41])  # two periods of cells each way
    assert surface_measures(counts, (1.0, 1.0, 1.0)).euler_per_mm3 * 40**3 == pytest.approx(-2 * 8)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
@settings(max_examples=25)
def test_the_euler_number_of_separate_and_joined_voxels(seed, share):
    """By its definition: corners, edges, faces and cubes of the closed voxels, each counted once."""
    structure = np.zeros((9, 8, 7), bool)
    structure[1:-1, 1:-1, 1:-1] = np.random.default_rng(seed).random((7, 6, 5)) < share
    cells = 0
    for axes in range(8):  # which of the three axes a kind of cell has an extent along
        there = structure
        for axis in range(3):
            if not axes >> axis & 1:
                there = np.stack([there, np.roll(there, 1, axis)]).any(axis=0)
        cells += (-1) ** bin(axes).count("1") * there.sum()
    found, volume = measures(structure)
    assert found.euler_per_mm3 * volume == pytest.approx(cells)


def test_pieces_without_holes_are_counted_by_their_euler_number():
    place = grid_of((40, 40, 40))
    centres = np.array([(-10, -10, -10), (8, 9, -7), (9, -8, 9)])
    balls = np.any([((place - c) ** 2).sum(axis=-1) < 36 for c in centres], axis=0)
    found, volume = measures(balls)
    assert found.euler_per_mm3 * volume == pytest.approx(label(balls)[1])


def test_parts_of_a_volume_add_up():
    structure = trabecular(40)
    whole, parts = counts_of(structure), counts_of(structure[:18]) + counts_of(structure[17:])
    np.testing.assert_array_equal(whole, parts)
    assert whole.sum() == 39**3


def test_only_cells_wholly_inside_and_known_are_counted():
    structure = trabecular(24)
    region = np.zeros((24,) * 3, bool)
    region[5:15, 3:20, 7:12] = True
    np.testing.assert_array_equal(counts_of(structure, region), counts_of(structure[5:15, 3:20, 7:12]))
    np.testing.assert_array_equal(counts_of(structure, unknown=~region), counts_of(structure[5:15, 3:20, 7:12]))


def test_a_region_one_voxel_thin_is_refused():
    with pytest.raises(ValueError, match="one voxel thin"):
        surface_measures(counts_of(trabecular(8)[:1]), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("ratio", [1.0, 1.3, 2.0, 3.0])
def test_the_intercepts_of_an_ellipsoid_are_its_axes(spacing, ratio):
    """Lines of a direction meet an ellipsoid as often as its shadow is large: an ellipsoid of the same axes."""
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    axes = np.array([10 * ratio, 10 * ratio**0.5, 10])
    place = grid_of(tuple(int(64 / s) for s in spacing), spacing)
    found = intercept_ellipsoid(counts_of((((place @ turn.T) / axes) ** 2).sum(axis=-1) < 1), spacing)
    assert found.degree_of_anisotropy == pytest.approx(ratio, rel=0.03)
    assert found.lengths_mm[1] / found.lengths_mm[2] == pytest.approx(ratio**0.5, rel=0.03)
    if ratio >= 2:
        assert np.abs((found.axes * turn).sum(axis=1)) == pytest.approx(1, abs=0.01)


def test_parallel_plates_have_no_closed_ellipsoid():
    assert intercept_ellipsoid(counts_of(sheets(30, 4, 12, (1, 0, 0))), (1.0, 1.0, 1.0)) is None


def test_the_two_scales_of_anisotropy():
    found = InterceptEllipsoid(np.array([2.0, 1.5, 1.0]), np.eye(3))
    assert found.degree_of_anisotropy == 2
    assert found.degree_of_anisotropy_0_to_1 == 0.75


def test_the_shares_of_directions_are_those_of_the_literature():
    """Ohser and Schladitz 2009, for cubic voxels: axes, diagonals of faces, diagonals of space."""
    found = shares(unit_vectors(STEPS, (1.0, 1.0, 1.0))[0])
    expected = np.repeat([0.0915557, 0.0739614, 0.0703911], [3, 6, 4])
    assert found == pytest.approx(expected, abs=2e-4)
    assert found.sum() == pytest.approx(1)
