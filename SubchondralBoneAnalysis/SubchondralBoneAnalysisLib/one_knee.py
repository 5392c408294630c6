"""One knee from its CT: bones, subchondral regions, what the CT says of them, and patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
from SubchondralBoneAnalysisLib.ct_resolution.resolution_gate import against_thickness
from SubchondralBoneAnalysisLib.knee_findings import (
    KneeFindings,
    MeasuredPatch,
    MeasuredRegion,
    MeasuredSurface,
)
from SubchondralBoneAnalysisLib.knee_image import KneeImage
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.knee_side import Side
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.metal_points import MetalPoints
from SubchondralBoneAnalysisLib.patch_cutting.cutting import cut_patches
from SubchondralBoneAnalysisLib.patch_cutting.patch_bones import patch_bone
from SubchondralBoneAnalysisLib.patches import Patch, place_patches
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, bone_surface
from SubchondralBoneAnalysisLib.region_finding.compartments import names_of
from SubchondralBoneAnalysisLib.region_finding.subchondral_plate import USUAL_MM
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume

ASSUMPTION = DensityAssumption()
MOST_VALUES = 1 << 27  # of patches that are held at a time: half a gigabyte


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
    regions = find_regions(
        bones.labels,
        side.side,
        image.ct,
        request.bands_mm,
        resolution=image.resolution,
        unusable=image.unusable,
    )
    metal = MetalPoints.of(regions, image)
    progress.step(0.6, "Measuring the regions")
    measured = measured_regions(image, regions)
    sub_regions = measured_surfaces(regions, image.resolution, metal)
    regions = metal.left_out_of(regions, image)
    progress.step(0.8, "Cutting patches")
    patches = measured_patches(image, regions, request)
    # Why a bone has no regions says already what is wrong with it.
    about_bones = [text for text in bones.warnings if not text.startswith(tuple(f"The {b}:" for b in regions.missing))]
    warnings = [*about_leg, *side.warnings, *about_bones, *regions.warnings]
    warnings += [f"No regions of the {bone}: {reason}." for bone, reason in regions.missing.items()]
    warnings += sorted(
        {
            f"the subchondral plate was not measured ({bone.plate.why_not}): depths below the plate take it as "
            f"{USUAL_MM:g} mm thick"
            for bone in regions.bones.values()
            if bone.plate.why_not
        }
    )
    why_not = against_patches(request, image.resolution)
    if why_not and patches:
        warnings.append(f"no patch has a density: {why_not}")
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


def measured_surfaces(
    regions: SubchondralRegions, resolution: CtResolution, metal: MetalPoints
) -> list[MeasuredSurface]:
    """Plate and joint space of each sub-region of each articular surface."""
    found = []
    for name, bone in regions.bones.items():
        for number in range(1, 7):
            on = bone.subregion == number
            area = bone.surface.areas_mm2[on]
            space = None
            if name == "tibia" and regions.joint_space is not None:
                width = regions.joint_space.at_tibia_mm[on]
                space = summarize_joint_space(width, area, resolution, metal.of_joint_space[on])
            plate = summarize_plate(bone.plate.thickness_mm[on], area, resolution, metal.of_plate[name][on])
            found.append(MeasuredSurface(name, *names_of(number), float(area.sum()), plate, space))
    return found


def measured_patches(image: KneeImage, regions: SubchondralRegions, request: KneeRequest) -> list[MeasuredPatch]:
    """The patches of all bones with regions, cut from the CT and measured by density."""
    unusable = None if image.unusable is None else replace(image.ct, array=image.unusable)
    patches: list[Patch] = []
    for bone in regions.bones.values():
        patches += place_patches(patch_bone(bone), request.patch_rule, unusable)
    if against_patches(request, image.resolution):
        return [MeasuredPatch(patch, None, None, None) for patch in patches]
    at_a_time = max(1, int(MOST_VALUES * (request.patch_grid_mm / request.patch_rule.edge_mm) ** 3))
    measured = []
    with Workers() as workers:
        for first in range(0, len(patches), at_a_time):
            some = patches[first : first + at_a_time]
            for patch, cube in zip(some, cut_patches(image.ct, some, request.patch_grid_mm, workers), strict=True):
                mean = float(cube.mean())
                share = ASSUMPTION.bv_tv(mean)[0]
                measured.append(MeasuredPatch(patch, mean, float(cube.std()), share if 0 <= share <= 1 else None))
    return measured


def against_patches(request: KneeRequest, resolution: CtResolution) -> str | None:
    """Why patches of that size have no density of their own; None where they have."""
    why_not = against_thickness(request.patch_rule.edge_mm, resolution)
    return why_not and f"its cube {why_not}"


def bones_from_labels(labels: Volume) -> KneeBones:
    """Bones that were drawn elsewhere, as if they had been found: nothing is known of their confidence."""
    found = {
        name: FoundBone(name, True, None, (), "") if (labels.array == number).any() else _not_drawn(name)
        for number, name in NAMES.items()
    }
    return KneeBones(labels, None, found, [])


def check_joint(found: KneeBones, path: object, drawn: bool) -> None:
    """Raise BadInput where femur or tibia is not there at all; `drawn`: they are from a label map."""
    lacking = [name for name in ("femur", "tibia") if not found.bones[name].found]
    if not drawn and not any(bone.found for bone in found.bones.values()):
        raise BadInput(f"{path}: {' '.join(found.warnings)}")
    if lacking and drawn:
        raise BadInput(
            f"{path} holds no {' and no '.join(lacking)} of this knee: give a label map with both, or say which label "
            "is which bone by --bones-labels."
        )
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
