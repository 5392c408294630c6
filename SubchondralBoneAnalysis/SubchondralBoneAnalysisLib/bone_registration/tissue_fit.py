"""A bone is moved until the CT predicts the MR best: what each tissue of the CT looks like in the MR is fitted with it.

Outside of the bone every grey value of the CT may be any brightness in the MR, and inside of it any other one: bone
with marrow has the HU of muscle, but not its signal. What is fat, marrow inside of the bone and fat outside of it, is
seen displaced along the readout (chemical shift, up to a millimetre): that is fitted too, or it would pull the bone
along. A slow change of brightness stands for the coil (`tissue_equations` has the formula). All unknowns are found
together by Gauss-Newton steps with weights that take no notice of what the tissues do not explain (Geman and
McClure's function). Where the slices are thick, the CT was averaged over them before (`bone_window`): the MR is never
interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.bone_registration.bone_window import BoneWindow
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import inverse, turned_and_moved
from SubchondralBoneAnalysisLib.bone_registration.tissue_equations import (
    COIL,
    FAT,
    SHAPES,
    SHIFT,
    TURN,
    UNKNOWNS,
    Equations,
    equations,
)
from SubchondralBoneAnalysisLib.pose import Pose

OUTLIER_SDS = 3.0
# Of the SD of the MR near the bone: where marrow and fat are dark, most points are explained so well that every edge
# would be an outlier beside them.
LEAST_OUTLIER = 0.3
FIRST_OUTLIER_SDS, TIGHTER = 6.0, 0.8  # at the first step, and from step to step
FAT_SD_MM = 0.4  # what is expected of the displacement of fat before anything is seen
EXPECTED_POINTS = 300.0  # for how many points that expectation counts
MOST_FAT_MM = 1.5
MOST_OF_COIL = 0.8
LONGEST_STEP_MM, LARGEST_TURN = 1.5, 0.03
ENOUGH_MM, LEVER_MM = 0.004, 30.0  # a step shorter than this, a turn at such a lever, is the last
MOST_STEPS = 30
BRIGHTNESS_FIRST = 2  # steps that fit brightness alone: no motion can be judged before


@dataclass(frozen=True, eq=False)
class TissueFit:
    """A fitted motion.

    :param motion: along the axes of the MR (mm along i, j, k): from where a point of the bone was in the window to
        where it is in the MR.
    :param explained: share of the variance of the MR that the CT predicts;
        `explained_before` the same before anything was moved.
    :param fat_shift_mm: displacement of fat along (i, j) in the MR.
    """

    motion: Pose
    explained_before: float
    explained: float
    fat_shift_mm: tuple[float, float]
    steps: int


def fit_bone(
    window: BoneWindow,
    points: np.ndarray,
    values: np.ndarray,
    fat_free: bool = True,
    fat_shift_mm: tuple[float, float] = (0.0, 0.0),
    most_steps: int = MOST_STEPS,
) -> TissueFit:
    """Move the bone of a window until it predicts the values best.

    :param points: [n, 3] in mm along (i, j, k) of the MR, `values` [n] what the MR shows there.
    :param fat_free: whether the displacement of fat is fitted; else it stays as given.
    """
    points, values = np.ascontiguousarray(points, float), np.ascontiguousarray(values, float)
    values = values / max(float(np.std(values)), 1e-9)
    middle = 0.5 * (points.max(axis=0) + points.min(axis=0))
    coil_points = (points - middle) / (0.5 * np.maximum(np.ptp(points, axis=0), 1.0))
    motion, fat = Pose(), np.array(fat_shift_mm, float)
    shapes, coil = np.zeros(SHAPES), np.zeros(COIL)
    outlier, before = np.inf, 0.0
    for step in range(1, most_steps + 1):
        found = equations(window, points, values, coil_points, motion, fat, shapes, coil, outlier)
        sd = 1.4826 * float(np.median(np.abs(found.residuals))) + 1e-6
        # From all points to those that are explained: where edges do not lie on each other yet, they are no outliers.
        loose = FIRST_OUTLIER_SDS * float(np.sqrt(np.mean(found.residuals**2))) * TIGHTER ** (step - 1)
        limit = max(OUTLIER_SDS * sd, LEAST_OUTLIER)
        outlier = max(limit, loose)
        moving = step > BRIGHTNESS_FIRST
        if step == BRIGHTNESS_FIRST + 1:
            before = _explained(values, found)
        change = _solved(found, sd, fat, moving, fat_free)
        shapes = shapes + change[:SHAPES]
        coil = np.clip(coil + change[SHAPES:TURN], -MOST_OF_COIL, MOST_OF_COIL)
        if moving:
            turn, shift = change[TURN:SHIFT], change[SHIFT:FAT]
            length, angle = np.linalg.norm(shift), np.linalg.norm(turn)
            short = min(1.0, LONGEST_STEP_MM / max(length, 1e-9), LARGEST_TURN / max(angle, 1e-9))
            # What is fitted is where a point of the MR came from; the motion of the bone is the way back.
            came = turned_and_moved(short * turn, short * shift, window.centre).after(inverse(motion))
            motion = inverse(came)
            fat = np.clip(fat + short * change[FAT:], -MOST_FAT_MM, MOST_FAT_MM)
            if length + LEVER_MM * angle < ENOUGH_MM and outlier <= limit:
                break
    return TissueFit(motion, before, _explained(values, found), tuple(fat.tolist()), step)


def _explained(values: np.ndarray, found: Equations) -> float:
    """Of all points, outliers too: weights that change from step to step would make no fair comparison."""
    return float(1.0 - np.mean(found.residuals**2) / max(float(np.var(values)), 1e-12))


def _solved(found: Equations, sd: float, fat: np.ndarray, moving: bool, fat_free: bool) -> np.ndarray:
    """One Gauss-Newton step; a little weight on every unknown keeps those of which nothing is seen where they are."""
    hessian = found.hessian + np.diag(1e-4 * np.diag(found.hessian) + 1e-2)
    gradient = found.gradient.copy()
    expected = EXPECTED_POINTS * sd**2 / FAT_SD_MM**2
    for axis in range(2):
        hessian[FAT + axis, FAT + axis] += expected
        gradient[FAT + axis] -= expected * fat[axis]
    last = UNKNOWNS if fat_free else FAT
    free = np.arange(last if moving else SHAPES)
    change = np.zeros(UNKNOWNS)
    change[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
    return change
