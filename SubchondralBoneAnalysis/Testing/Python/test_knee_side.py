"""Which knee of the body it is, and what is said where anatomy, image and user disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.knee_side import side_of_bones, side_of_knee
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.volume import Volume


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_fibula_tells_the_side_in_any_orientation_of_the_axes(side, order):
    knee = SimulatedKnee(seed=4, side=side, tilt_deg=(10.0, 5.0, 20.0))
    direction = np.eye(3)[:, list(order)] @ Rotation.from_euler("x", 10, degrees=True).as_matrix()
    middle = tuple(knee.pose.out(np.array([[0.0, 10.0, -10.0]]))[0])
    labels = knee.labels(grid_around(middle, (130.0, 130.0, 130.0), 3.0, tuple(direction.ravel())))
    assert side_of_bones(labels) == side


def test_without_a_fibula_or_with_one_that_lies_behind_the_tibia_nothing_is_told():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:, 5:10, 8:12] = 2
    alone = Volume(labels, (2.0, 2.0, 2.0))
    assert side_of_bones(alone) is None
    behind = labels.copy()
    behind[:, 14:16, 9:11] = 4
    assert side_of_bones(replace(alone, array=behind)) is None
    beside = labels.copy()
    beside[:, 14:16, 17:19] = 4
    assert side_of_bones(replace(alone, array=beside)) == "left"


def test_the_fibula_is_believed_first_and_who_says_otherwise_is_named():
    side = side_of_knee(by_fibula="right", by_place="left", by_file="left", by_user=None)
    assert side.side == "right"
    assert "fibula" in side.told_by
    assert "a left one by its place beside the other knee and the laterality in the DICOM header" in side.warnings[0]


def test_without_a_fibula_the_user_then_the_image_then_the_header_tells():
    assert side_of_knee(None, "left", "left", "right").side == "right"
    assert side_of_knee(None, "left", None, None).told_by == "its place beside the other knee"
    assert side_of_knee(None, None, "right", None).side == "right"
    assert side_of_knee(None, None, None, None).side is None


def test_who_agrees_gives_no_warning():
    assert side_of_knee("left", "left", "left", "left").warnings == ()
