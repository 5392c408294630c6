"""The patches of a CT at their places in an MR.

Centre and axes of a patch are carried into the MR by the motion of its bone, and the cube is sampled there from the
MR's own voxels: the MR is never resampled onto the grid of the CT, which would take its resolution. Cubes are sampled
at the pixel size of the MR; across its slices, which are thicker, the values are interpolated and the cube shows no
more than the slices do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.bones import NAMES
from SubchondralBoneAnalysisLib.knee_findings import MeasuredPatch
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.mr_findings import MrPatch, MrPatches, MrRegion
from SubchondralBoneAnalysisLib.mr_reading import KneeMr
from SubchondralBoneAnalysisLib.mr_structure import (
    PARAMETERS,
    STRUCTURE,
    ApparentStructure,
    against_contrast,
    against_share,
    against_structure,
    apparent_structure,
)
from SubchondralBoneAnalysisLib.patch_cutting.cutting import cut_patches
from SubchondralBoneAnalysisLib.patches import Patch
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegion
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps, values_at

REGISTERED = "registered"
AT_A_TIME = 256  # patches
CORTEX_HU, CORTEX_BLUR_MM, LEAST_CORTEX = 1000.0, 0.5, 200  # the last: voxels that tell the signal of bone
BRIGHT_PERCENTILE = 95.0  # of what is not background
NEAREST_PATCHES = 4  # whose marrow tells that of a voxel
FARTHEST_MM = 12.0
MOST_VOXELS = 4000  # of a region that are looked at
NO_PATCH = "no patch near it was measured"


def patches_in_mr(
    mr: KneeMr,
    measured: Sequence[MeasuredPatch],
    transforms: Mapping[str, sitk.Transform],
    verdicts: Mapping[str, str],
    ct: Volume,
    labels: Volume,
) -> MrPatches:
    """The CT's patches in the MR with their apparent structure.

    :param transforms: rigid, from a place of the CT to that of the MR (LPS mm), by the name of the bone.
    :param verdicts: by the name of the bone; only bones that are "registered" have patches.
    :param ct: HU, and `labels` of its bones, on one grid.
    """
    left_out: Counter[str] = Counter()
    chosen: list[tuple[Patch, Patch]] = []
    for patch in (of.patch for of in measured):
        verdict = verdicts.get(patch.bone)
        if verdict != REGISTERED:
            words = "was not found in the MR" if verdict is None else f"is {verdict}"
            left_out[f"the {patch.bone} {words}"] += 1
            continue
        there = carried(patch, transforms[patch.bone])
        if _inside(there, mr.volume):
            chosen.append((patch, there))
        else:
            left_out[f"not wholly inside the MR ({patch.bone})"] += 1
    why_no_share = against_share(mr.in_plane_mm, mr.slice_mm)
    if why_no_share or not chosen:
        reasons = dict.fromkeys(PARAMETERS, why_no_share) if why_no_share else {}
        return MrPatches(_unmeasured(chosen, reasons), left_out, None, reasons)
    bone = bone_signal(mr.volume, ct, labels, {n: t for n, t in transforms.items() if verdicts.get(n) == REGISTERED})
    why_no_structure = against_structure(mr.in_plane_mm, mr.slice_mm)
    found = _measured(mr, chosen, bone, why_no_structure)
    marrow = float(np.median([of.structure.marrow or bone for of in found]))
    why_not = against_contrast(marrow, bone, bright_signal(mr.volume))
    if why_not:
        reasons = dict.fromkeys(PARAMETERS, why_not)
        return MrPatches(_unmeasured(chosen, reasons), left_out, bone, reasons)
    reasons = dict.fromkeys(STRUCTURE, why_no_structure) if why_no_structure else {}
    return MrPatches(found, left_out, bone, reasons)


def carried(patch: Patch, transform: sitk.Transform) -> Patch:
    """A patch where a rigid motion takes it."""
    centre = np.array(transform.TransformPoint([float(x) for x in patch.centre_lps_mm]))
    ends = [transform.TransformPoint([float(x) for x in patch.centre_lps_mm + axis]) for axis in patch.axes_lps]
    return replace(patch, centre_lps_mm=centre, axes_lps=np.array(ends) - centre)


def bone_signal(mr: Volume, ct: Volume, labels: Volume, transforms: Mapping[str, sitk.Transform]) -> float:
    """The MR signal of compact bone: the median where the CT shows thick cortex; of the background where it has none.

    The coil, by which signals differ from place to place, hardly changes one that is near 0.
    """
    smooth = ndimage.gaussian_filter(ct.array.astype(np.float32), CORTEX_BLUR_MM / np.array(ct.spacing_mm))
    dense = smooth > CORTEX_HU
    signals = [np.empty(0, np.float32)]
    for number, name in NAMES.items():
        if name not in transforms:
            continue
        index = np.argwhere(dense & (labels.array == number))
        index = index[:: max(1, len(index) // 20000)]
        places = to_lps(index, ct)
        there = values_at(moved(places, transforms[name]), mr, outside=np.nan)
        signals.append(there[np.isfinite(there)])
    signal = np.concatenate(signals)
    return float(np.median(signal)) if len(signal) >= LEAST_CORTEX else float(np.percentile(mr.array, 1.0))


def bright_signal(mr: Volume) -> float:
    """The signal of bright tissue: a high percentile of what is brighter than the mean of the image."""
    few = mr.array[:, ::4, ::4]
    return float(np.percentile(few[few > few.mean()], BRIGHT_PERCENTILE))


def moved(places_lps: np.ndarray, transform: sitk.Transform) -> np.ndarray:
    """Places (n, 3) where a rigid transform takes them."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    turn = np.array([transform.TransformPoint(tuple(map(float, axis))) for axis in np.eye(3)]) - origin
    return places_lps @ turn + origin


def regions_in_mr(
    mr: Volume,
    labels: Volume,
    regions: Sequence[SubchondralRegion],
    transforms: Mapping[str, sitk.Transform],
    patches: MrPatches,
) -> list[MrRegion]:
    """The apparent share of bone in each region, from the MR's own voxels; the marrow's signal is that of the patches.

    :param labels: the numbers of these regions on the grid of the CT.
    """
    why_not = patches.not_measured.get("bv_tv")
    known = {}
    for bone in transforms:
        own = [of for of in patches.patches if of.patch.bone == bone and of.structure.marrow is not None]
        if own and not why_not:
            centres = np.array([of.patch.centre_lps_mm for of in own])
            known[bone] = cKDTree(centres), np.array([of.structure.marrow for of in own])
    boxes = ndimage.find_objects(labels.array.astype(np.int32))
    found = []
    for region in regions:
        if region.bone not in known:
            found.append(MrRegion(region, None, why_not or NO_PATCH))
            continue
        box = boxes[region.number - 1]
        index = np.argwhere(labels.array[box] == region.number) + [part.start for part in box]
        places = to_lps(index[:: max(1, len(index) // MOST_VOXELS)], labels)
        signal = values_at(moved(places, transforms[region.bone]), mr, outside=np.nan)
        marrow = _marrow_at(places, *known[region.bone])
        share = (marrow - signal) / (marrow - patches.bone_signal)
        if np.isfinite(share).mean() < 0.9:
            reason = "it is not wholly inside the MR" if not np.isfinite(signal).all() else NO_PATCH
            found.append(MrRegion(region, None, reason))
            continue
        found.append(MrRegion(region, float(np.clip(np.nanmean(share), 0.0, 1.0)), None))
    return found


def _marrow_at(places: np.ndarray, tree: cKDTree, marrow: np.ndarray) -> np.ndarray:
    """The signal of marrow at places (n, 3), by the nearest patches; NaN where none is near."""
    away, nearest = tree.query(places, k=min(NEAREST_PATCHES, len(marrow)), distance_upper_bound=FARTHEST_MM)
    away, nearest = away.reshape(len(places), -1), nearest.reshape(len(places), -1)
    weight = np.where(np.isfinite(away), 1.0 / np.maximum(away, 1.0) ** 2, 0.0)
    values = np.append(marrow, 0.0)[nearest]
    total = weight.sum(axis=1)
    return np.divide((weight * values).sum(axis=1), total, out=np.full(len(places), np.nan), where=total > 0)


def _inside(patch: Patch, mr: Volume) -> bool:
    """Whether all corners of a cube lie between the outermost voxels of the MR."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    corners = patch.centre_lps_mm + patch.edge_mm / 2 * signs @ patch.axes_lps
    index = to_index(corners, mr)
    return bool((index >= -0.5).all() and (index <= np.array(mr.array.shape) - 0.5).all())


def _measured(mr: KneeMr, chosen: Sequence[tuple[Patch, Patch]], bone: float, why_no_structure: str | None):
    edge = chosen[0][0].edge_mm
    grid_mm = edge / max(2, round(edge / mr.in_plane_mm))
    found = []
    with Workers() as workers:
        for first in range(0, len(chosen), AT_A_TIME):
            some = chosen[first : first + AT_A_TIME]
            cubes = cut_patches(mr.volume, [there for _, there in some], grid_mm, workers)
            for (patch, there), cube in zip(some, cubes, strict=True):
                structure = apparent_structure(cube, bone, grid_mm, why_no_structure)
                found.append(MrPatch(patch, there.centre_lps_mm, there.axes_lps, structure))
    return found


def _unmeasured(chosen: Sequence[tuple[Patch, Patch]], reasons: Mapping[str, str]) -> list[MrPatch]:
    none = ApparentStructure(not_measured=tuple(reasons.items()))
    return [MrPatch(patch, there.centre_lps_mm, there.axes_lps, none) for patch, there in chosen]
