"""An MR registered to the CT of the same knee: the whole knee, each bone by itself, and whether to rely on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_registration.blended_motion import NUMBERS
from SubchondralBoneAnalysisLib.bone_registration.bone_laying import Stage
from SubchondralBoneAnalysisLib.bone_registration.knee_motion import KneeMotion, move_bones
from SubchondralBoneAnalysisLib.bone_registration.local_agreement import local_agreement
from SubchondralBoneAnalysisLib.bone_registration.quality import BoneQuality, bone_quality
from SubchondralBoneAnalysisLib.bone_registration.same_knee import (
    check_same_knee,
    looks_amiss,
    mirrored,
    mirrored_better,
)
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.volume import Volume

WITH_SYNTHETIC_CT = "synthetic CT, then MR"
MR_ALONE = "MR alone"


@dataclass(frozen=True, eq=False)
class RegisteredBone:
    """One bone of the CT in the MR.

    :param transform: takes places of the CT to those of the MR, LPS mm; rigid.
    :param stages: what each stage gained.
    """

    name: str
    transform: sitk.Euler3DTransform
    quality: BoneQuality
    stages: tuple[Stage, ...]


@dataclass(frozen=True, eq=False)
class KneeRegistration:
    """A knee of a CT in an MR.

    :param method: what it was done by.
    :param knee: the transform of the whole knee, CT to MR, LPS mm; bones have their own.
    :param agreement: of CT and MR place by place, 0 to 1, float32 on the grid of the MR, NaN where nothing can be said.
    :param fat_shift_mm: by how much the MR shows fat displaced along its axes (i, j).
    """

    method: str
    knee: sitk.Euler3DTransform
    knee_stages: tuple[Stage, ...]
    bones: Mapping[str, RegisteredBone]
    agreement: Volume
    fat_shift_mm: tuple[float, float]
    warnings: tuple[str, ...]


def register_knee(
    ct: Volume,
    labels: Volume,
    mr: Volume,
    synthetic: Volume | None,
    progress: Progress,
    side: str,
    fat_displacement_lps: np.ndarray | None = None,
) -> KneeRegistration:
    """Find the knee of a CT and each of its bones in an MR, and judge what was found.

    The header of the MR may be wrong by up to 60 degrees and by any shift: the knee is searched.

    :param ct: HU; `labels` the bones on its grid, as in `bones.NAMES`.
    :param mr: any orientation and contrast; it is not resampled.
    :param synthetic: synthetic CT on the grid of the MR; None to register without.
    :param side: "left" or "right", of the knee in the CT.
    :param fat_displacement_lps: [3] mm, the way by which the MR shows fat displaced to one side or the other, where its
        header tells (`mr_readout`); else it is estimated from the image, which is less sure.
    :raises BadInput: the MR is of the other knee or of somebody else, or shows too little of the knee.
    """
    found = move_bones(ct, labels, mr, synthetic, progress.part(0.0, 0.75), fat_displacement_lps)
    progress.step(0.75, "Looking how well the bones fit")
    qualities = _qualities(ct, labels, mr, synthetic, found)
    other_side = False
    if looks_amiss(qualities):
        progress.step(0.8, "Looking whether it is the other knee")
        mirror, mirror_synthetic = mirrored(mr), None if synthetic is None else mirrored(synthetic)
        turned = move_bones(ct, labels, mirror, mirror_synthetic, progress.part(0.8, 0.9))
        other_side = mirrored_better(qualities, _qualities(ct, labels, mirror, mirror_synthetic, turned))
    check_same_knee(qualities, other_side, side)
    qualities = _without_trust_in_a_joined_femur(qualities, labels)
    progress.step(0.9, "Mapping where CT and MR agree")
    bones = {
        name: RegisteredBone(name, bone.transform, qualities[name], bone.stages) for name, bone in found.bones.items()
    }
    transforms = {name: bone.transform for name, bone in bones.items()}
    agreement = local_agreement(ct, labels, mr, synthetic, transforms)
    warnings = tuple(
        f"the {name} is not used in the MR ({bone.quality.verdict}): {bone.quality.reason}"
        for name, bone in bones.items()
        if bone.quality.verdict != "registered"
    )
    method = MR_ALONE if synthetic is None else WITH_SYNTHETIC_CT
    return KneeRegistration(method, found.transform, found.stages, bones, agreement, found.fat_shift_mm, warnings)


def _without_trust_in_a_joined_femur(qualities: dict[str, BoneQuality], labels: Volume) -> dict[str, BoneQuality]:
    """The patella moves otherwise than the femur; where it was not found, the femur may have been drawn with it."""
    femur = qualities.get("femur")
    if femur is None or femur.verdict != "registered" or (labels.array == NUMBERS["patella"]).any():
        return qualities
    reason = "No patella was found in the CT: it may have been drawn with the femur, and would have pulled it along."
    return qualities | {"femur": replace(femur, verdict="doubtful", reason=reason)}


def _qualities(
    ct: Volume, labels: Volume, mr: Volume, synthetic: Volume | None, found: KneeMotion
) -> dict[str, BoneQuality]:
    surfaces = {name: bone_surface(labels, NUMBERS[name]) for name in found.bones}
    return {
        name: bone_quality(surface, ct, labels, mr, synthetic, found.bones[name].transform, name, found.fat_shift_mm)
        for name, surface in surfaces.items()
        if surface is not None
    }
