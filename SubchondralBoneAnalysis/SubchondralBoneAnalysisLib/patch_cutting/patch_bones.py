"""From the subchondral regions of a bone to what patches are placed by."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.patches import PatchBone
from SubchondralBoneAnalysisLib.region_finding.bone_surface import Lattice
from SubchondralBoneAnalysisLib.region_finding.compartments import names_of
from SubchondralBoneAnalysisLib.subchondral import RIM_MM, JointBone
from SubchondralBoneAnalysisLib.volume import Volume

NUMBERS = range(1, 7)  # of sub-regions
DEEPEST_MM = 20.0  # below an articular surface, that is still said to be under it


def patch_bone(bone: JointBone, rim_mm: float = RIM_MM) -> PatchBone:
    """What patches need of a bone, on the lattice of its surface; depth is that below its articular surface.

    :param rim_mm: the outer rim of the articular surface that is left out, as in the regions.
    """
    share, depth = bone.surface.inside, bone.depth
    inside = share.array > 0.5
    known = np.isfinite(depth.articular_mm)
    # Far from the surface, where depth was not computed, whole steps of the lattice do.
    roughly = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    depth_mm = np.where(known, depth.articular_mm, roughly * share.step_mm).astype(np.float32)
    depth_mm[~np.isfinite(share.array)] = np.nan
    columns = np.zeros(inside.shape, np.uint8)
    # The nearest articular point of the far side of a bone is no point that it lies under.
    under = known & (depth.rim_mm > rim_mm) & (depth_mm < DEEPEST_MM) & (depth.depth_mm.array > -share.step_mm)
    columns[under] = bone.compartments.number_at(depth.foot_lps[:, under].T)
    names = {number: names_of(number) for number in NUMBERS}
    return PatchBone(bone.name, _volume(share, depth_mm), _volume(share, columns), names, bone.frame)


def _volume(lattice: Lattice, array: np.ndarray) -> Volume:
    return Volume(array, (lattice.step_mm,) * 3, tuple(float(x) for x in lattice.origin_lps))
