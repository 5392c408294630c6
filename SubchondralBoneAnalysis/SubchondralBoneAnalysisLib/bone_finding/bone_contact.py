"""Where two bones touch: the border between them, in the middle of what their two plates are blurred to."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.segmentation import watershed

from SubchondralBoneAnalysisLib.bone_finding.bone_filling import enclosed
from SubchondralBoneAnalysisLib.bone_finding.bone_shells import ALL_NEIGHBOURS

REACH_MM = 6.0  # from the other bone, up to where a first border may be wrong
SMOOTHING_MM = 0.35
PEAK_WITHIN_MM = 2.5
SOFT_HU = 40.0
MARROW = 0.5  # of the way from soft tissue to the plate near it: less is marrow, or a joint space
BRIGHT_HU = 600.0  # through which ways are as fast as they get
SURE = 0.65  # of the way from the other seed
SLOWEST = 0.05  # of the speed in the plate, in what is as dark as soft tissue


def contact_settled(
    labels: np.ndarray, hu: np.ndarray, spacing_mm: tuple[float, float, float], one: int, other: int
) -> np.ndarray:
    """Labels [k, j, i] in which the border of two bones that touch lies where the ways from both marrows meet.

    A way is slow in the dark: it meets in the joint space where there is one, else in the middle of both plates. What
    is outside of both bones stays outside.
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
    away = {number: ndimage.distance_transform_edt(~bone, sampling=spacing) for number, bone in bones.items()}
    # With what each lost to the other: a plate that went to the wrong bone leaves marrow behind it open.
    both = enclosed(bones[one] | bones[other])
    smooth = ndimage.gaussian_filter(hu[box].astype(np.float32), SMOOTHING_MM / spacing)
    reach = np.maximum(1, np.round(PEAK_WITHIN_MM / spacing)).astype(int)
    peak = np.maximum(ndimage.maximum_filter(np.where(both, smooth, SOFT_HU), size=tuple(2 * reach + 1)), SOFT_HU + 1)
    bright = (smooth - SOFT_HU) / (peak - SOFT_HU)
    deep = {one: bones[one] & (away[other] > REACH_MM), other: bones[other] & (away[one] > REACH_MM)}
    dark, _ = ndimage.label((both & (bright < MARROW)) | deep[one] | deep[other])
    touched = {number: np.unique(dark[deep[number]]) for number in deep}
    marrow = {
        one: deep[one] | np.isin(dark, np.setdiff1d(touched[one], [*touched[other], 0])),
        other: deep[other] | np.isin(dark, np.setdiff1d(touched[other], [*touched[one], 0])),
    }
    free = both & ~marrow[one] & ~marrow[other]
    ways = {number: ways_from(free, marrow[number], 1 / np.clip(bright, SLOWEST, 1.0), spacing) for number in deep}
    settled = labels.copy()
    part = settled[box]
    for number, rival in ((one, other), (other, one)):
        part[marrow[number] | (free & (ways[number] < ways[rival]))] = number
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
    return parts


def ways_from(free: np.ndarray, start: np.ndarray, cost: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """How long the way is from a start to each voxel, through what is free; infinite where none leads."""
    first = np.argwhere(start & ndimage.binary_dilation(free & ~start, ALL_NEIGHBOURS))
    if not len(first):
        return np.full(free.shape, np.inf)
    open_cost = np.where(free | start, cost, -1.0)
    return MCP_Geometric(open_cost, sampling=tuple(spacing)).find_costs(first.tolist())[0]
