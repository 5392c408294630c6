"""Which part of the surface of a bone is articular: what faces the other bone.

Which part of a bone faces the other one changes with flexion and with the joint space. So that the region does not
depend on how the knee lay in the scanner, what faces only tells where to look; the extent is taken from the shape of
the bone: of the tibia what looks up at the height of the plateau, of the femur what lies near the silhouette of the
condyles, seen from the side.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.region_finding.bone_frame import (
    CONDYLE_TOP_MM,
    BoneFrame,
    silhouette,
    soft_half,
    tibia_frame,
)
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface

REACH_MM = 12.0  # to the other bone
FACING_COSINE = 0.5  # 60 degrees between the normal and the way to the other bone
UPRIGHT_COSINE = 0.7  # 45 degrees between the normal of a plateau and the axis of the tibia
PLATEAU_DROP_MM = 12.0  # below the middle of the plateau: its rim with the posterior slope
PLATEAU_ROUNDS = 3  # of finding the plateau from what is up, and what is up from the plateau
OUTLOOK_MM = 5.0  # over the surface: the direction of a plateau and not of a spine
SCORE_BLUR_MM = 2.0  # over the surface: the border follows the bone, not a voxel
DROP_MM = 6.0  # below the silhouette of a condyle
GROOVE_MM = 11.0  # the same on the trochlea, whose groove lies below the silhouette of its ridges
GROOVE_DEG = -40.0  # of the silhouette, from where on the groove has its full depth
SIDEWAYS_COSINE = 0.6  # the least part of a normal that lies in the sagittal plane
ARC_DEG = (-90.0, 125.0)  # of the condyle: from the trochlea (anterior) over distal (0) to posterior
BORDER_FADES_MM = 6.0
SMALL_PART_MM2 = 60.0


def facing(
    surface: BoneSurface, other: BoneSurface, reach_mm: float = REACH_MM, least_cosine: float = FACING_COSINE
) -> np.ndarray:
    """Score [n] of the points of a bone: more than 0 where they face the other bone, between -1 and 1."""
    distance, nearest = other.tree.query(surface.points_lps, distance_upper_bound=3 * reach_mm, workers=-1)
    near = np.isfinite(distance)
    nearest = nearest[near]
    # The way to the nearest point of a smooth surface is along its normal there, also where the bones touch.
    cosine = -np.einsum("nc,nc->n", surface.normals[near], other.normals[nearest])
    away = np.einsum("nc,nc->n", surface.points_lps[near] - other.points_lps[nearest], other.normals[nearest])
    at = (cosine - least_cosine) / (1 - least_cosine)
    score = np.full(len(distance), -1.0)
    score[near] = np.minimum(at, (reach_mm - away) / 4)
    return np.clip(score, -1, 1)


def plateau(surface: BoneSurface, start: BoneFrame, side: str) -> tuple[np.ndarray, BoneFrame]:
    """The articular surface of a tibia, as `settled`, and the frame it gives the bone.

    It is what looks up at the height of the plateau: its own shape alone decides, and neither how far the knee was bent
    nor how wide the joint space is. The direction is averaged over several millimetres, by which the spines of the
    eminence belong to the plateau, and its border runs where the rim has rolled off by half, smoothly.

    :param start: a first frame, from what of the tibia faces the femur.
    """
    outlook = surface.smoothed(surface.normals, OUTLOOK_MM)
    outlook /= np.linalg.norm(outlook, axis=1, keepdims=True)
    frame = start
    for _ in range(PLATEAU_ROUNDS):
        upright = (outlook @ frame.axes[2] - UPRIGHT_COSINE) / (1 - UPRIGHT_COSINE)
        height = frame.coordinates(surface.points_lps)[:, 2]
        score = np.minimum(upright, (height + PLATEAU_DROP_MM) / 4)
        rim_mm = settled(surface, np.clip(score, -1, 1))
        frame = tibia_frame(surface, belonging(rim_mm), side)
    return rim_mm, frame


def on_condyles(surface: BoneSurface, frame: BoneFrame) -> np.ndarray:
    """Score [n] of the points of a femur: more than 0 on the condyles near their silhouette, between -1 and 1."""
    points, normals = frame.coordinates(surface.points_lps), frame.turned(surface.normals)
    angle = np.degrees(np.arctan2(normals[:, 1], -normals[:, 2]))
    in_plane = np.hypot(normals[:, 1], normals[:, 2])
    direction = normals[:, 1:] / np.maximum(in_plane, 1e-6)[:, None]
    along = np.einsum("nc,nc->n", points[:, 1:], direction)
    allowed = np.interp(angle, [GROOVE_DEG, 0], [GROOVE_MM, DROP_MM])
    lateral = soft_half(points[:, 0])
    reach = {half: silhouette(surface, frame, half).reach_towards(angle) for half in ("medial", "lateral")}
    drop = lateral * reach["lateral"] + (1 - lateral) * reach["medial"] - along
    score = (allowed - drop) / 3
    low, high = ARC_DEG
    score = np.minimum(score, (in_plane - SIDEWAYS_COSINE) / (1 - SIDEWAYS_COSINE))
    score = np.minimum(score, np.minimum(angle - low, high - angle) / 20)
    score = np.minimum(score, (CONDYLE_TOP_MM - points[:, 2]) / 4)
    return np.clip(score, -1, 1)


def settled(surface: BoneSurface, score: np.ndarray) -> np.ndarray:
    """The score smoothed over the surface, without specks and holes, as signed distance in mm from the border.

    :return: [n], positive on the articular surface; limited to 20 mm on both sides.
    """
    score = surface.smoothed(score, SCORE_BLUR_MM)
    for sign in (1, -1):
        _drop_small_parts(surface, score, sign)
    first, second = surface.edges.T
    crossing = (score[first] > 0) != (score[second] > 0)
    if not crossing.any():
        return np.where(score > 0, 20.0, -20.0)
    first, second = first[crossing], second[crossing]
    part = (score[first] / (score[first] - score[second]))[:, None]
    border = surface.points_lps[first] * (1 - part) + surface.points_lps[second] * part
    distance, _ = cKDTree(border).query(surface.points_lps, distance_upper_bound=20, workers=-1)
    return np.where(score > 0, 1, -1) * np.minimum(distance, 20)


def belonging(rim_mm: np.ndarray) -> np.ndarray:
    """How far points belong to an articular surface, 0 to 1: its border as a ramp that is `BORDER_FADES_MM` wide."""
    return np.clip(rim_mm / BORDER_FADES_MM + 0.5, 0, 1)


def _drop_small_parts(surface: BoneSurface, score: np.ndarray, sign: int) -> None:
    """Turn parts of one sign that are too small to be a surface (or a hole) into the other, in place."""
    on = sign * score > 0
    edges = surface.edges[on[surface.edges].all(axis=1)]
    n = len(score)
    _, part = connected_components(sparse.csr_matrix((np.ones(len(edges)), edges.T), (n, n)), directed=False)
    small = on & (np.bincount(part, surface.areas_mm2 * on)[part] < SMALL_PART_MM2)
    score[small] = -sign * 0.05
