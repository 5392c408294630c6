"""The bones of simulated knees: their distances are those of their surfaces, and they stand as they were told to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.bone_forms import FemurForm
from SubchondralBoneAnalysisLib.simulation.knee_shapes import BoneShape, KneeShapes, bones_of, knee_shapes
from SubchondralBoneAnalysisLib.simulation.surface_distance import nearest, surface_points


@pytest.fixture(scope="module")
def knee() -> KneeShapes:
    return knee_shapes(seed=3, joint_space_mm=(3.0, 5.0), flexion_deg=20.0)


def gap(bone: BoneShape, points: np.ndarray) -> float:
    """Shortest distance from points of a surface to a bone."""
    near = points[bone.value(points) < 12.0]
    return float(bone.nearest(near, deep=True).distance_mm.min())


def test_the_nearest_point_of_an_ellipsoid_is_the_one_of_its_normal():
    axes = np.array([20.0, 14.0, 25.0])

    def shape(x, y, z):  # far from a distance on purpose
        return 30.0 * ((x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (z / axes[2]) ** 2 - 1.0)

    rng = np.random.default_rng(0)
    foot = rng.normal(size=(500, 3))
    foot *= axes / np.linalg.norm(foot, axis=1, keepdims=True)
    normal = foot / axes**2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    depth = rng.uniform(-6.0, 6.0, 500)  # the smallest radius of curvature is 7.8 mm
    seeds = cKDTree(surface_points(shape, -axes - 2, axes + 2))
    found = nearest(shape, foot - depth[:, None] * normal, seeds)
    assert np.abs(found.distance_mm + depth).max() < 1e-3
    assert np.linalg.norm(found.foot - foot, axis=1).max() < 0.05
    assert (found.normal * normal).sum(1).min() > 0.9999


@pytest.mark.parametrize(
    ("name", "lower", "upper"),
    [
        ("femur", (-32, -8, -3), (-12, 12, 6)),
        ("femur", (-20, -32, 20), (20, -10, 32)),
        ("tibia", (-34, -16, -8), (0, 16, 12)),
    ],
)
def test_depth_is_the_distance_from_the_nearest_point_of_the_surface(knee, name, lower, upper):
    # Against points 0.35 mm apart on the surface, whose distance is at most 0.3^2 / (2 x depth) too long.
    bone = knee.bone(name)
    wide = surface_points(bone.form, np.array(lower) - 14.0, np.array(upper) + 14.0, 0.35)
    at_surface = wide[((wide > lower) & (wide < upper)).all(1)]
    rng = np.random.default_rng(1)
    points = at_surface[rng.integers(0, len(at_surface), 1500)] + rng.uniform(-7.0, 7.0, (1500, 3))
    brute, exact = cKDTree(wide).query(points)[0], bone.nearest(bone.pose.out(points), deep=True)
    assert (np.abs(exact.distance_mm) <= brute + 0.02).all()
    far = brute > 0.8
    assert np.abs(np.abs(exact.distance_mm) - brute)[far].max() < 0.05
    assert (np.sign(exact.distance_mm) == np.sign(bone.value(bone.pose.out(points)))).all()
    # Near the surface the same without points to start from.
    near = np.abs(exact.distance_mm) < 2.0
    shallow = bone.nearest(bone.pose.out(points[near]))
    assert np.percentile(np.abs(shallow.distance_mm - exact.distance_mm[near]), 99.5) < 0.01


@pytest.mark.parametrize(
    ("seed", "joint_space", "flexion"),
    [(None, (4.0, 5.0), 0.0), (1, (0.0, 6.0), 10.0), (2, (6.0, 0.0), 30.0), (5, (0.0, 0.0), 60.0)],
)
def test_bones_stand_at_the_distances_that_were_asked_for(seed, joint_space, flexion):
    knee = knee_shapes(seed, joint_space, flexion)
    plateau = knee.tibia.surface()
    medial, lateral = (plateau[plateau[:, 0] * sign > 9.0 * knee.tibia.size] for sign in (-1, 1))
    assert gap(knee.femur, medial) == pytest.approx(joint_space[0], abs=0.02)
    assert gap(knee.femur, lateral) == pytest.approx(joint_space[1], abs=0.02)
    assert gap(knee.femur, knee.patella.surface()) == pytest.approx(3.0, abs=0.02)
    assert gap(knee.tibia, knee.fibula.surface()) == pytest.approx(1.8, abs=0.02)
    assert knee.patella.value(plateau).min() > 3.0
    assert knee.femur.value(knee.fibula.surface()).min() > 3.0
    # No spine is in the roof of the notch, and the leg is nearly straight from the front.
    assert gap(knee.femur, plateau) > -0.02
    assert abs(knee.femur.pose.matrix[0, 2]) < np.sin(np.deg2rad(14.0))


def test_flexion_brings_the_shaft_of_the_femur_back(knee):
    straight = knee_shapes(seed=3, joint_space_mm=(3.0, 5.0), flexion_deg=0.0)
    up = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 100.0]])
    lean = [np.diff(shapes.femur.pose.out(up), axis=0)[0] for shapes in (straight, knee)]
    turn = np.rad2deg(np.arctan2(lean[1][1], lean[1][2]) - np.arctan2(lean[0][1], lean[0][2]))
    assert turn == pytest.approx(20.0, abs=0.5)


def test_seeds_vary_the_shapes_within_human_sizes():
    widths = [epicondylar_width(seed) for seed in range(12)]
    assert np.std(widths) > 2.0
    assert min(widths) > 62.0
    assert max(widths) < 100.0


def epicondylar_width(seed: int) -> float:
    """Width of the femur at the epicondyles, mm."""
    femur = bones_of(seed)[0].form
    x, y, z = (a.ravel() for a in np.meshgrid(np.arange(-60, 60, 0.5), np.arange(-4, 20, 4.0), np.arange(20, 40, 4.0)))
    return float(np.ptp(x[femur(x, y, z) < 0]))


def test_the_same_seed_is_the_same_person():
    points = np.random.default_rng(0).uniform(-50, 50, (1000, 3))
    for first, second, other in zip(bones_of(4), bones_of(4), bones_of(6), strict=True):
        assert np.array_equal(first.value(points), second.value(points))
        assert not np.allclose(first.value(points), other.value(points))


def test_the_mean_femur_has_two_condyles_and_a_notch():
    form = FemurForm()
    x = np.arange(-50.0, 50.0, 0.25)
    inside = form(x, np.full_like(x, 20.0), np.full_like(x, 20.0)) < 0
    edges = np.flatnonzero(np.diff(inside.astype(int)))
    assert len(edges) == 4
    notch = x[edges[2]] - x[edges[1]]
    assert 17.0 < notch < 26.0


@pytest.mark.parametrize(
    ("told", "match"), [({"joint_space_mm": (-1.0, 3.0)}, "joint space"), ({"flexion_deg": 120.0}, "flexion")]
)
def test_knees_that_cannot_be_are_refused(told, match):
    with pytest.raises(BadInput, match=match):
        knee_shapes(0, **told)
