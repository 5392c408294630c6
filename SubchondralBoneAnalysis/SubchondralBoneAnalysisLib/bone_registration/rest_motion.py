"""How a bone as a whole would have to move for its edges to fit, from how far they lie beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import turned_and_moved
from SubchondralBoneAnalysisLib.pose import Pose

ARM_MM = 30.0  # a turn is counted by how far it moves a point this far away
EXPECTED_MM = 4.0  # of a shift, and of a turn at its arm, before anything is seen
EVEN_MM = 0.15  # by which two images may show a bone larger or smaller all around
EDGE_SD_MM = 0.3  # of a shift that is seen at one patch of the surface
PATCH_MM2 = 50.0  # of surface, whose shifts err together
ROUNDS = 8
OUTLIER_SDS = 2.0
LEAST_SD_MM = 0.1


@dataclass(frozen=True, eq=False)
class RestMotion:
    """The rigid motion that is left.

    :param motion: to be applied in the CT, before the transform of the bone.
    :param along_normals_mm: [n], what of it moves each point out of the bone.
    :param offset_mm: how far it moves the points, root mean square by their weights.
    :param even_mm: by how much the edge lies farther out all around, which no motion explains.
    """

    motion: Pose
    along_normals_mm: np.ndarray
    offset_mm: float
    even_mm: float


def rest_motion(points_lps: np.ndarray, normals: np.ndarray, shift_mm: np.ndarray, weights: np.ndarray) -> RestMotion:
    """The rigid motion whose part along the normals is nearest to the shifts, by weighted robust least squares.

    Directions in which the surface slides along itself stay where they are, by an expectation of no motion.

    :param points_lps: [n, 3], `normals` [n, 3], `shift_mm` [n] out of the bone.
    :param weights: [n] in mm2 of surface; 0 for points that do not count.
    """
    centre = np.average(points_lps, axis=0, weights=weights)
    arm = points_lps - centre
    rows = np.column_stack([normals, np.cross(arm, normals) / ARM_MM, np.ones(len(arm))])
    expected = np.diag([EXPECTED_MM**-2] * 6 + [EVEN_MM**-2])
    robust = np.ones(len(arm))
    for _ in range(ROUNDS):
        known = (rows * (weights * robust)[:, None]).T / (PATCH_MM2 * EDGE_SD_MM**2)
        found = np.linalg.solve(known @ rows + expected, known @ shift_mm)
        left = np.abs(shift_mm - rows @ found)
        sd = max(1.48 * weighted_quantile(left, weights, 0.5), LEAST_SD_MM)
        robust = 1 / (1 + (left / (OUTLIER_SDS * sd)) ** 2) ** 2
    motion = turned_and_moved(found[3:6] / ARM_MM, found[:3], centre)
    moved = motion.out(points_lps) - points_lps
    offset = np.sqrt(np.average((moved**2).sum(axis=1), weights=weights))
    return RestMotion(motion, np.einsum("nc,nc->n", moved, normals), float(offset), float(found[6]))


def weighted_quantile(values: np.ndarray, weights: np.ndarray, quantile: float) -> float:
    """The value below which that part of the weight lies; NaN where there is no weight."""
    order = np.argsort(values)
    heaped = np.cumsum(weights[order])
    if not len(heaped) or heaped[-1] <= 0:
        return float("nan")
    return float(values[order[np.searchsorted(heaped, quantile * heaped[-1])]])
