"""How well a bone of the CT lies on its image in the MR, and whether that can be relied on: a verdict per bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.bone_registration.blended_motion import NUMBERS
from SubchondralBoneAnalysisLib.bone_registration.edge_profiles import SEARCHED_MM, STEP_MM, EdgeShifts, edge_shifts
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import pose_of
from SubchondralBoneAnalysisLib.bone_registration.rest_motion import rest_motion, weighted_quantile
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

Verdict = Literal["registered", "doubtful", "mismatch", "outside"]
JOINT_WITH = {"femur": ("tibia",), "tibia": ("femur",), "patella": ("femur",), "fibula": ("tibia",)}
JOINT_END_MM = (20.0, 40.0)  # from the other bone: up to the first the surface counts fully, beyond the second not
SHARP_MM = (0.8, 1.2)  # the same of the blur along the normal by thick slices
LEAST_FIT = 0.6  # correlation of a profile, below which there is no edge
LEAST_INSIDE = 0.3  # of the joint end
LEAST_EDGE_MM2 = 100.0
NOTHING_MM, NO_FIT = 2 * SEARCHED_MM, 10.0  # stand for distances and a misfit where no edge was found


@dataclass(frozen=True)
class Limits:
    """What is judged by; chosen on simulated pairs for validation (see KNEE.md).

    :param offset_mm: a bone that should be moved farther than that is doubtful.
    :param shape_median_mm: distance of edges whatever the motion, and `shape_p95_mm`: the units of the misfit.
    :param covered: a bone with less is doubtful, and so is one with less `agreement`.
    """

    offset_mm: float
    shape_median_mm: float
    shape_p95_mm: float
    covered: float
    agreement: float


WITH_SYNTHETIC_CT = Limits(offset_mm=1.3, shape_median_mm=0.3, shape_p95_mm=1.2, covered=0.4, agreement=0.4)
WITH_MR_ALONE = Limits(offset_mm=1.4, shape_median_mm=0.4, shape_p95_mm=2.0, covered=0.25, agreement=0.35)
MOST_MISFIT = {"femur": 0.75, "tibia": 0.75, "patella": 1.0, "fibula": 1.0}  # small bones have few edges


@dataclass(frozen=True)
class BoneQuality:
    """How a bone lies in the MR, at its joint end.

    :param surface_median_mm: of the distance, along the normal and without sign, of the surface of the CT's bone, as
        the transform has put it, from the edge that is seen there; area counts.
    :param surface_p95_mm: its 95th percentile.
    :param covered: share of the surface that lies inside the MR and has an edge there.
    :param agreement: correlation, 0 to 1, of what is seen across the surface with what the CT lets expect; median.
    :param verdict: "registered": to be used; "doubtful": look at it before; "mismatch": it is another bone, or not
        where it is; "outside": the MR does not show it.
    :param reason: of the verdict, a sentence.
    :param offset_mm: how far the bone as a whole would have to be moved for its edges to fit best: what the target
        registration error is expected to be, as far as edges tell.
    :param shape_median_mm: of the distance that would be left then, and `shape_p95_mm`.
    :param misfit: both over what is taken as much of them, and the mean: above about 0.7 it is another bone.
    """

    surface_median_mm: float
    surface_p95_mm: float
    covered: float
    agreement: float
    verdict: Verdict
    reason: str
    offset_mm: float = 0.0
    shape_median_mm: float = 0.0
    shape_p95_mm: float = 0.0
    misfit: float = 0.0


def bone_quality(
    surface: BoneSurface,
    ct: Volume,
    labels: Volume,
    mr: Volume,
    synthetic: Volume | None,
    transform: sitk.Transform,
    bone: str,
    fat_shift_mm: tuple[float, float] | None = None,
) -> BoneQuality:
    """Find the edges of a bone in the MR, without segmenting it, and judge its transform by them.

    :param surface: of the bone in the CT, as `bone_surface` finds it.
    :param labels: bones on the grid of the CT.
    :param synthetic: HU on the grid of the MR; None to look at the MR itself, which is less sure.
    :param transform: rigid, CT to MR, LPS mm.
    :param bone: its name, as in `NUMBERS`.
    :param fat_shift_mm: by how much the MR shows fat displaced along the two axes (i, j) of its slices, if it is known;
        without a synthetic CT it tells edges of marrow that are displaced from bones that are.
    :raises ValueError: the transform is not rigid.
    """
    limits = WITH_MR_ALONE if synthetic is None else WITH_SYNTHETIC_CT
    joint_end = _joint_end(surface, labels, bone)
    wanted = joint_end > 0
    seen = mr if synthetic is None else synthetic
    is_ct, motion = synthetic is not None, pose_of(transform)
    edges = edge_shifts(surface, wanted, ct, labels, NUMBERS[bone], seen, is_ct, motion, fat_shift_mm)
    sharp = np.clip((SHARP_MM[1] - edges.blur_mm) / (SHARP_MM[1] - SHARP_MM[0]), 0, 1)
    return _judged(edges, edges.areas_mm2 * joint_end[edges.numbers] * sharp, limits, bone)


def _joint_end(surface: BoneSurface, labels: Volume, bone: str) -> np.ndarray:
    """Weight [n] of the points of a surface: 1 near the bone with which it makes the joint, 0 far away."""
    others = [NUMBERS[name] for name in JOINT_WITH[bone]]
    index = np.argwhere(np.isin(labels.array[::4, ::4, ::4], others)) * 4
    if not len(index):
        return np.ones(len(surface.points_lps))
    distance, _ = cKDTree(to_lps(index, labels)).query(surface.points_lps, workers=-1)
    near, far = JOINT_END_MM
    # Of bones that are all that far apart the nearest points count.
    return np.clip((far - distance + max(0.0, distance.min() - near)) / (far - near), 0, 1)


def _judged(edges: EdgeShifts, weights: np.ndarray, limits: Limits, bone: str) -> BoneQuality:
    whole = weights.sum()
    inside = (weights * edges.inside).sum() / whole if whole > 0 else 0.0
    found = edges.inside & (edges.fit > LEAST_FIT) & (np.abs(edges.shift_mm) < SEARCHED_MM - STEP_MM)
    counted = weights * found
    covered = float(counted.sum() / whole) if whole > 0 else 0.0
    if inside < LEAST_INSIDE:
        reason = f"Only {inside:.0%} of the joint end of the {bone} lies inside the MR."
        return _nothing(covered, "outside", reason)
    if counted.sum() < LEAST_EDGE_MM2:
        return _nothing(covered, "mismatch", f"No edge of the {bone} is seen in the MR where it should be.")
    away = np.abs(edges.shift_mm)
    rest = rest_motion(edges.points_lps, edges.normals, edges.shift_mm, counted)
    left = np.abs(edges.shift_mm - rest.along_normals_mm)
    measured = {
        "surface_median_mm": weighted_quantile(away, counted, 0.5),
        "surface_p95_mm": weighted_quantile(away, counted, 0.95),
        "covered": covered,
        "agreement": weighted_quantile(edges.fit_unmoved, weights * edges.inside, 0.5),
        "offset_mm": rest.offset_mm,
        "shape_median_mm": weighted_quantile(left, counted, 0.5),
        "shape_p95_mm": weighted_quantile(left, counted, 0.95),
    }
    median, p95 = measured["shape_median_mm"], measured["shape_p95_mm"]
    measured["misfit"] = (median / limits.shape_median_mm + p95 / limits.shape_p95_mm) / 2
    verdict, reason = _verdict(measured, limits, bone)
    return BoneQuality(verdict=verdict, reason=reason, **measured)


def _verdict(measured: dict[str, float], limits: Limits, bone: str) -> tuple[Verdict, str]:
    median, p95 = measured["shape_median_mm"], measured["shape_p95_mm"]
    if measured["misfit"] > MOST_MISFIT[bone]:
        return "mismatch", (
            f"However the {bone} is moved, its edges in the MR lie {median:.1f} mm (median) and {p95:.1f} mm (95th "
            "percentile) beside those of the CT: it is another bone, or the images are distorted."
        )
    if measured["offset_mm"] > limits.offset_mm:
        return "doubtful", f"Edges of the {bone} in the MR would fit better {measured['offset_mm']:.1f} mm farther on."
    if measured["covered"] < limits.covered:
        return "doubtful", f"Edges are seen on only {measured['covered']:.0%} of the joint end of the {bone}."
    if measured["agreement"] < limits.agreement:
        return "doubtful", (
            f"The MR agrees with the CT across the surface of the {bone} by {measured['agreement']:.2f} only."
        )
    return "registered", (
        f"Edges of the {bone} lie {measured['surface_median_mm']:.2f} mm (median) from those of the CT over "
        f"{measured['covered']:.0%} of its joint end."
    )


def _nothing(covered: float, verdict: Verdict, reason: str) -> BoneQuality:
    return BoneQuality(
        NOTHING_MM, NOTHING_MM, covered, 0.0, verdict, reason, NOTHING_MM, NOTHING_MM, NOTHING_MM, NO_FIT
    )
