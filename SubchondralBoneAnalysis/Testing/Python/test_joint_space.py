"""The width between a flat tibia and two balls, and of simulated knees, against the exact distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.ct_resolution import BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.region_finding.articular_surface import facing, settled
from SubchondralBoneAnalysisLib.region_finding.bone_frame import BoneFrame
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, bone_surface
from SubchondralBoneAnalysisLib.region_finding.compartments import Compartments
from SubchondralBoneAnalysisLib.region_finding.joint_space import JointSpace, joint_space
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around, lattice_lps
from SubchondralBoneAnalysisLib.subchondral import find_regions
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

FEMUR, TIBIA = 1, 2
RADIUS_MM = 22.0
APART_MM = 24.0  # of the middle of a ball from the midline


def balls_above_plane(gaps_mm: tuple[float, float], spacing_mm: float) -> Volume:
    """A tibia that is flat at z = 0 and a femur of two balls at a distance from it; a left knee, medial at x < 0."""
    # Turned: of a plane along the voxels no label map tells within half a voxel where it is.
    turned = Rotation.from_euler("xy", (9, 6), degrees=True).as_matrix().ravel()
    grid = grid_around((0.1, 0.2, 3.0), (96.0, 44.0, 42.0), spacing_mm, tuple(turned))
    index = np.stack(np.unravel_index(np.arange(grid.array.size), grid.array.shape), axis=1)
    places = lattice_lps(grid, index)
    femur = np.minimum(*ball_distances(places, gaps_mm)) < 0
    array = np.select([femur, places[:, 2] < 0], [FEMUR, TIBIA], 0).astype(np.uint8)
    return replace(grid, array=array.reshape(grid.array.shape))


def ball_distances(places: np.ndarray, gaps_mm: tuple[float, float]) -> list[np.ndarray]:
    return [
        np.linalg.norm(places - (sign * APART_MM, 0.0, RADIUS_MM + gap), axis=1) - RADIUS_MM
        for sign, gap in zip((-1, 1), gaps_mm, strict=True)
    ]


def measured(labels: Volume) -> tuple[JointSpace, BoneSurface]:
    tibia, femur = (bone_surface(labels, label) for label in (TIBIA, FEMUR))
    parts = Compartments(BoneFrame(np.zeros(3), np.eye(3)), 4.0, {"medial": (-5, 5), "lateral": (-5, 5)}, False)
    rims = [settled(one, facing(one, other)) for one, other in ((tibia, femur), (femur, tibia))]
    return joint_space(labels, tibia, femur, *rims, parts), tibia


@pytest.mark.parametrize("spacing_mm", [0.5, 0.8])
@pytest.mark.parametrize("gaps_mm", [(0.0, 6.0), (1.0, 2.0), (4.0, 3.0)])
def test_the_width_is_the_distance_of_the_femur(gaps_mm: tuple[float, float], spacing_mm: float) -> None:
    found, tibia = measured(balls_above_plane(gaps_mm, spacing_mm))
    known = np.isfinite(found.at_tibia_mm)
    exact = np.minimum(*ball_distances(tibia.points_lps[known] * (1, 1, 0), gaps_mm))
    error = found.at_tibia_mm[known] - exact
    assert known.sum() > 300
    assert np.abs(error).mean() < 0.1 * spacing_mm / 0.5
    assert np.percentile(np.abs(error), 95) < 0.25 * spacing_mm / 0.5
    assert (found.at_tibia_mm[known] >= 0).all()


def test_smallest_and_mean_are_those_of_each_compartment_by_area() -> None:
    gaps = (1.0, 5.0)
    found, tibia = measured(balls_above_plane(gaps, 0.5))
    x = tibia.points_lps[:, 0]
    for compartment, on_side, distance in (("medial", x < -4, 0), ("lateral", x > 4, 1)):
        width = next(w for w in found.widths if w.compartment == compartment and w.subregion is None)
        at = np.flatnonzero(np.isfinite(found.at_tibia_mm) & on_side)
        exact = ball_distances(tibia.points_lps[at] * (1, 1, 0), gaps)[distance]
        area = tibia.areas_mm2[at]
        order = np.argsort(exact)
        share = np.cumsum(area[order]) / area.sum()
        assert abs(width.mean_mm - np.average(exact, weights=area)) < 0.1
        assert abs(width.smallest_mm - exact[order][np.searchsorted(share, 0.05)]) < 0.15
        assert abs(width.area_mm2 - area.sum()) < 0.1 * area.sum()
        parts = [w for w in found.widths if w.compartment == compartment and w.subregion is not None]
        assert abs(sum(part.area_mm2 for part in parts) - width.area_mm2) < 1


def test_the_map_fills_the_space_between_the_bones_without_holes_and_specks() -> None:
    gaps = (1.5, 4.0)
    labels = balls_above_plane(gaps, 0.5)
    found, _ = measured(labels)
    held = np.isfinite(found.width_mm.array)
    assert not (held & (labels.array > 0)).any()
    _, parts = ndimage.label(held, np.ones((3, 3, 3)))
    assert parts <= 2
    places = to_lps(np.argwhere(labels.array == 0), labels)
    values = found.width_mm.array[labels.array == 0]
    for sign, gap, ball in ((-1, gaps[0], 0), (1, gaps[1], 1)):
        # Under the middle of a ball, where the surfaces surely face each other.
        middle = (np.hypot(places[:, 0] - sign * APART_MM, places[:, 1]) < 6) & (places[:, 2] < 6)
        assert middle.sum() > 200
        assert np.isfinite(values[middle]).all()
        exact = places[middle, 2] + ball_distances(places[middle], gaps)[ball]
        assert np.abs(values[middle] - exact).mean() < 0.15
        assert abs(values[middle].min() - gap) < 0.2


def test_bones_that_touch_over_an_area_have_no_width_there_and_none_below_zero() -> None:
    found, tibia = measured(balls_above_plane((-1.0, 5.0), 0.5))
    flat = np.linalg.norm(tibia.points_lps + (APART_MM, 0, 0), axis=1) < 4
    assert flat.sum() > 20
    assert np.nanmin(found.at_tibia_mm) == 0
    assert (found.at_tibia_mm[flat] < 0.3).all()


def test_bones_that_do_not_face_each_other_have_no_joint_space() -> None:
    found, _ = measured(balls_above_plane((14.0, 15.0), 0.8))
    assert np.isnan(found.at_tibia_mm).all()
    assert np.isnan(found.width_mm.array).all()
    assert found.widths == ()


def test_the_ct_corrects_labels_that_are_drawn_too_large() -> None:
    knee = SimulatedKnee(seed=11, joint_space_mm=(2.5, 4.0))
    middle = knee.pose.out(np.array([[0.0, 8.0, 12.0]]))[0]
    grid = grid_around(tuple(middle), (110.0, 105.0, 105.0), 1.0)
    exact, ct = knee.labels(grid), knee.ct(grid, Scanner(1.0, 1.0))
    grown = exact.array.copy()
    # Into the joint space from both sides, a voxel each.
    for label in (FEMUR, TIBIA):
        around = ndimage.binary_dilation(exact.array == label) & (exact.array == 0)
        grown[around & (grown == 0)] = label
    labels = replace(exact, array=grown)
    tibia, femur = bone_surface(labels, TIBIA), bone_surface(labels, FEMUR)
    blur = BlurEstimate(1.0, 0.0, 500, "cortex")
    found = find_regions(labels, knee.side, ct, resolution=CtResolution((1.0,) * 3, None, blur, blur, ()))
    surface, width = found.bones["tibia"].surface, found.joint_space.at_tibia_mm
    known = np.isfinite(width) & (found.bones["tibia"].subregion > 0)
    foot = knee.shapes.tibia.nearest(knee.pose.into(surface.points_lps[known])).foot
    exact_mm = knee.shapes.femur.nearest(foot, deep=True).distance_mm
    uncorrected_mm, _ = femur.distance_mm(tibia.points_lps[known])
    assert np.abs(uncorrected_mm - exact_mm).mean() > 0.8
    assert np.abs(width[known] - exact_mm).mean() < 0.25
