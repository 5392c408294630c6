"""One knee from its CT: bones, subchondral regions, what the CT says of them, and patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bones import NAMES, FoundBone, KneeBones
from SubchondralBoneAnalysisLib.ct_measures import (
    DensityAssumption,
    measure_regions,
    summarize_joint_space,
    summarize_plate,
)
from SubchondralBoneAnalysisLib.ct_resolution import CtResolution
from SubchondralBoneAnalysisLib.knee_findings import (
    Box,
    KneeFindings,
    MeasuredPatch,
    MeasuredRegion,
    MeasuredSurface,
)
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.knee_side import Side
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.patch_cutting.cutting import cut_patches
from SubchondralBoneAnalysisLib.patch_cutting.patch_bones import patch_bone
from SubchondralBoneAnalysisLib.patches import Patch, place_patches
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, bone_surface
from SubchondralBoneAnalysisLib.region_finding.compartments import names_of
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume

ASSUMPTION = DensityAssumption()


@dataclass(frozen=True, eq=False)
class KneeImage:
    """The part of a CT that shows one knee, in HU, and what of it cannot be used (bool [k, j, i], None: nothing)."""

    ct: Volume
    unusable: np.ndarray | None
    box: Box
    resolution: CtResolution


def examine_knee(
    image: KneeImage,
    bones: KneeBones,
    side: Side,
    about_leg: tuple[str, ...],
    request: KneeRequest,
    progress: Progress,
) -> KneeFindings:
    """Everything that is found of one knee.

    :param bones: on the grid of `image.ct`.
    :param about_leg: sentences about the leg, to be told with those about its knee.
    :raises BadInput: its bones have no joint in the image.
    """
    progress.step(0.0, f"Finding the subchondral regions of the {side.side} knee")
    regions = find_regions(bones.labels, side.side, image.ct, request.bands_mm, resolution=image.resolution)
    progress.step(0.6, "Measuring the regions")
    measured = measured_regions(image, regions)
    sub_regions = measured_surfaces(regions, image.resolution)
    progress.step(0.8, "Cutting patches")
    patches = measured_patches(image, regions, request)
    warnings = [*about_leg, *side.warnings, *bones.warnings, *regions.warnings]
    warnings += [f"No regions of the {bone}: {reason}." for bone, reason in regions.missing.items()]
    return KneeFindings(
        side=side.side,
        side_from=side.told_by,
        box=image.box,
        labels=bones.labels,
        bones=bones.bones,
        surfaces=_surfaces(bones.labels, bones.bones, regions),
        regions=regions,
        measured=measured,
        sub_regions=sub_regions,
        patches=patches,
        warnings=warnings,
    )


def measured_regions(image: KneeImage, regions: SubchondralRegions) -> list[MeasuredRegion]:
    """What the CT says of each region, in their order; those below the plate after those from the surface of a bone."""
    found = {}
    for labels, from_surface in ((regions.labels, "bone"), (regions.below_plate, "plate")):
        chosen = [region for region in regions.regions if region.from_surface == from_surface]
        if labels is None:
            continue
        wanted = {region.number: (region.name, region.depth_to_mm - region.depth_from_mm) for region in chosen}
        measures = measure_regions(
            image.ct, labels, wanted, image.resolution, ASSUMPTION, image.unusable, regions.depth_mm.array
        )
        found |= {region.name: of for region, of in zip(chosen, measures, strict=True)}
    return [MeasuredRegion(region, found[region.name]) for region in regions.regions]


def measured_surfaces(regions: SubchondralRegions, resolution: CtResolution) -> list[MeasuredSurface]:
    """Plate and joint space of each sub-region of each articular surface."""
    found = []
    for name, bone in regions.bones.items():
        for number in range(1, 7):
            on = bone.subregion == number
            area = bone.surface.areas_mm2[on]
            space = None
            if name == "tibia" and regions.joint_space is not None:
                space = summarize_joint_space(regions.joint_space.at_tibia_mm[on], area, resolution)
            plate = summarize_plate(bone.plate.thickness_mm[on], area, resolution)
            found.append(MeasuredSurface(name, *names_of(number), float(area.sum()), plate, space))
    return found


def measured_patches(image: KneeImage, regions: SubchondralRegions, request: KneeRequest) -> list[MeasuredPatch]:
    """The patches of all bones with regions, cut from the CT and measured by density."""
    unusable = None if image.unusable is None else replace(image.ct, array=image.unusable)
    patches: list[Patch] = []
    for bone in regions.bones.values():
        patches += place_patches(patch_bone(bone), request.patch_rule, unusable)
    with Workers() as workers:
        voxels = cut_patches(image.ct, patches, request.patch_grid_mm, workers)
    measured = []
    for patch, cube in zip(patches, voxels, strict=True):
        mean = float(cube.mean())
        share = ASSUMPTION.bv_tv(mean)[0]
        measured.append(MeasuredPatch(patch, mean, float(cube.std()), share if 0 <= share <= 1 else None))
    return measured


def bones_from_labels(labels: Volume) -> KneeBones:
    """Bones that were drawn elsewhere, as if they had been found: nothing is known of their confidence."""
    found = {
        name: FoundBone(name, True, None, (), "") if (labels.array == number).any() else _not_drawn(name)
        for number, name in NAMES.items()
    }
    return KneeBones(labels, None, found, [])


def check_joint(bones: Mapping[str, FoundBone], path: object) -> None:
    """Raise BadInput where femur or tibia is not there at all."""
    lacking = [name for name in ("femur", "tibia") if not bones[name].found]
    if lacking:
        raise BadInput(
            f"{path} shows no {' and no '.join(lacking)} that could be found: give a CT of a knee with both bones, or "
            "draw them and give the label map by --bones."
        )


def _not_drawn(name: str) -> FoundBone:
    return FoundBone(name, False, 0.0, (), "not in the label map")


def _surfaces(labels: Volume, bones: Mapping[str, FoundBone], regions: SubchondralRegions) -> dict[str, BoneSurface]:
    """The surface of every bone; of those with regions the one that depth counts from."""
    found = {}
    for number, name in NAMES.items():
        if name in regions.bones:
            found[name] = regions.bones[name].surface
        elif bones[name].found:
            surface = bone_surface(labels, number)
            if surface is not None:
                found[name] = surface
    return found
