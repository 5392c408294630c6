"""The shells of the bones: what is bright, taken apart into one piece for each bone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from SubchondralBoneAnalysisLib.bone_finding.bone_filling import filled_sections

ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)
STEP_HU = 25.0
HIGHEST_HU = 900.0
DEEPEST_NECK_MM = 15.0


def pieces(mask: np.ndarray, least_mm3: float, voxel_mm: float) -> np.ndarray:
    """The connected pieces (26 neighbours) of at least a volume, as labels 1, 2, ... [k, j, i]; 0 elsewhere."""
    labels, _ = ndimage.label(mask, ALL_NEIGHBOURS)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= least_mm3 / voxel_mm**3
    kept[0] = False
    return (np.cumsum(kept) * kept)[labels]


def parted_by_brightness(
    hu: np.ndarray, shell: np.ndarray, seeds: np.ndarray, lowest_hu: float
) -> tuple[np.ndarray, float]:
    """A piece of shell that several seeds lie in, taken apart where it is darkest between them.

    :param hu: [k, j, i]; `shell` [k, j, i] bool; `seeds` [k, j, i] labels, of which those inside the shell count.
    :return: labels [k, j, i] of the seeds, and the threshold (HU) above which the seeds are not connected.
    """
    numbers = [int(n) for n in np.unique(seeds[shell]) if n]
    joined: list[set[int]] = []
    threshold = lowest_hu
    for threshold in np.arange(lowest_hu, HIGHEST_HU, STEP_HU):
        labels, _ = ndimage.label(shell & (hu > threshold), ALL_NEIGHBOURS)
        joined = [set(np.unique(labels[shell & (seeds == n)]).tolist()) - {0} for n in numbers]
        if all(not joined[a] & joined[b] for a in range(len(numbers)) for b in range(a)):
            break
    markers = np.where(shell, seeds, 0).astype(np.int32)
    for number, own in zip(numbers, joined, strict=True):
        markers[np.isin(labels, list(own))] = number
    return watershed(-hu, markers, mask=shell), float(threshold)


def parted_by_thickness(solid: np.ndarray, seeds: np.ndarray, voxel_mm: float) -> np.ndarray | None:
    """Filled bones that touch, taken apart at their necks: labels [k, j, i] of the seeds; None without a neck.

    A neck is where what lies deeper than a level falls into pieces, one for each bone.
    """
    depth = ndimage.distance_transform_edt(np.pad(solid, 1, mode="edge"), sampling=voxel_mm)[1:-1, 1:-1, 1:-1]
    numbers = [int(n) for n in np.unique(seeds[solid]) if n]
    # With their marrow: a cortex alone lies at the edge of the bone, and is gone at the first level.
    whole = {n: filled_sections(seeds == n) & solid for n in numbers}
    open_pairs = {(a, b) for a in numbers for b in numbers if a < b}
    markers = np.zeros(solid.shape, np.int32)
    for level in np.arange(0.0, DEEPEST_NECK_MM, voxel_mm / 2):
        labels, _ = ndimage.label(solid & (depth > level))
        joined = {n: set(np.unique(labels[whole[n]]).tolist()) - {0} for n in numbers}
        for a, b in sorted(open_pairs):
            if joined[a] and joined[b] and not joined[a] & joined[b]:
                open_pairs.discard((a, b))
                for number in (a, b):  # a deeper level, found for another pair, takes the place of this one
                    markers[markers == number] = 0
                    markers[np.isin(labels, list(joined[number]))] = number
        if not open_pairs:
            return watershed(-depth, markers, mask=solid)
    return None
