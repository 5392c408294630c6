"""Where two bones touch: the border between them, in the middle of what their two plates are blurred to."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.segmentation import watershed

from SubchondralBoneAnalysisLib.bone_finding.bone_filling import enclosed
from SubchondralBoneAnalysisLib.bone_finding.bone_shells import ALL_NEIGHBOURS
from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to

REACH_MM = 6.0  # from the other bone, up to where a first border may be wrong
BEYOND_MM = 2.0  # that is flooded, too, for what springs there
RIM_MM = 3.0  # below the common outline lies what is surely inside of a bone
SMOOTHING_MM = 0.35
SOFT_HU = 40.0
OUTSIDE = 99  # no number of a bone
BRIGHT_HU = 600.0  # through which ways are as fast as they get
SURE = 0.65  # of the way from the other seed
SLOWEST = 0.05  # of the speed in the plate, in what is as dark as soft tissue


def contact_settled(
    labels: np.ndarray, hu: np.ndarray, spacing_mm: tuple[float, float, float], one: int, other: int
) -> np.ndarray:
    """Labels [k, j, i] in which the border of two bones that touch lies on the crest of their plates.

    The CT is flooded from the marrow of both and from outside. Where both plates are blurred to one, the two marrows
    meet on its crest, which is the middle; where the joint space is seen it is flooded from outside, and what lies
    there is of the nearer bone. What is outside of both bones stays outside.
    """
    spacing = np.asarray(spacing_mm)
    touching = (labels == one) & ndimage.binary_dilation(labels == other, ALL_NEIGHBOURS)
    boxes = ndimage.find_objects(touching.astype(np.uint8))
    if not boxes:
        return labels
    margin = np.ceil(2 * REACH_MM / spacing).astype(int)
    box = tuple(slice(max(0, b.start - m), b.stop + m) for b, m in zip(boxes[0], margin, strict=True))
    own = labels[box]
    bones = {number: own == number for number in (one, other)}
    # With what each lost to the other: a plate that went to the wrong bone leaves marrow behind it open.
    both = enclosed(bones[one] | bones[other]) & np.isin(own, (0, one, other))
    away = {number: distance_to(bone, spacing) for number, bone in bones.items()}
    inner = distance_to(~both, spacing) > RIM_MM
    springs = np.select(
        [~both, inner & (away[other] > REACH_MM), inner & (away[one] > REACH_MM)], [OUTSIDE, one, other], 0
    ).astype(np.int32)
    smooth = ndimage.gaussian_filter(hu[box].astype(np.float32), SMOOTHING_MM / spacing)
    # No farther than to where springs begin: nothing is changed there.
    around = np.maximum(away[one], away[other]) <= REACH_MM + BEYOND_MM
    flooded = watershed(smooth, springs, mask=around)
    if not {one, other} <= set(np.unique(flooded).tolist()):
        return labels
    to_one, to_other = (distance_to(flooded == number, spacing) for number in (one, other))
    nearer = np.where(to_one < to_other, one, other)
    settled = labels.copy()
    part = settled[box]
    near = both & (away[one] <= REACH_MM) & (away[other] <= REACH_MM)
    part[near] = np.where(flooded == OUTSIDE, nearer, flooded)[near]
    return settled


def parted_by_ways(hu: np.ndarray, solid: np.ndarray, seeds: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Filled bones that touch as labels 1 and 2 [k, j, i], parted at their neck.

    A part is surely of the seed to which the way through bright bone is far shorter: cortex leads to the ends of a bone
    fast, the dark line where two of them touch slowly.
    """
    cost = 1 / np.clip((hu - SOFT_HU) / (BRIGHT_HU - SOFT_HU), SLOWEST, 1.0)
    box = ndimage.find_objects(solid.astype(np.uint8))[0]
    near, far = (ways_from(solid[box], solid[box] & (seeds[box] == n), cost[box], np.full(3, voxel_mm)) for n in (1, 2))
    sure = np.select([solid[box] & (near < SURE * far), solid[box] & (far < SURE * near)], [1, 2]).astype(np.int32)
    depth = ndimage.distance_transform_edt(np.pad(solid[box], 1, mode="edge"), sampling=voxel_mm)[1:-1, 1:-1, 1:-1]
    parts = np.zeros(solid.shape, np.uint8)
    parts[box] = watershed(-depth, sure, mask=solid[box])
    # A bone is in one piece: crumbs of one within the other are of the other.
    for number in (1, 2):
        own, _ = ndimage.label(parts[box] == number)
        largest = np.argmax(np.bincount(own.ravel())[1:]) + 1 if own.any() else 0
        parts[box][(own > 0) & (own != largest)] = 3 - number
    return parts


def ways_from(free: np.ndarray, start: np.ndarray, cost: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """How long the way is from a start to each voxel, through what is free; infinite where none leads."""
    first = np.argwhere(start & ndimage.binary_dilation(free & ~start, ALL_NEIGHBOURS))
    if not len(first):
        return np.full(free.shape, np.inf)
    open_cost = np.where(free | start, cost, -1.0)
    return MCP_Geometric(open_cost, sampling=tuple(spacing)).find_costs(first.tolist())[0]
