"""The volumes and surfaces of a knee result, on the grid of the whole CT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from JointQuantLib.knee_folder import (
    BANDS,
    BANDS_BELOW_PLATE,
    BONES,
    COMPARTMENTS,
    CT,
    DEPTH,
    FIRST_COMPARTMENT,
    JOINT_SPACE,
    METAL,
    PLATE,
    REGIONS,
    REGIONS_BELOW_PLATE,
    surface_file,
)
from SubchondralBoneAnalysisLib.bone_models import write_bone_model
from SubchondralBoneAnalysisLib.ct_reading import KneeCt
from SubchondralBoneAnalysisLib.knee_findings import KneeFindings
from SubchondralBoneAnalysisLib.region_finding.compartments import COMPARTMENTS as SIDES_OF_BONE
from SubchondralBoneAnalysisLib.region_finding.compartments import SUBREGIONS
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegion
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

SHALLOWEST_MM = 0.01  # of depth, for 0 is where no depth is


def write_volumes(folder: Path, ct: KneeCt, knees: Sequence[KneeFindings]) -> None:
    """Write the CT, its bones, regions and maps. In all of them 0 is where nothing is."""
    grid = ct.volume

    def write(name: str, kind: type, values: Callable[[KneeFindings], np.ndarray | None]) -> None:
        whole = np.zeros(grid.array.shape, kind)
        for knee in knees:
            part = values(knee)
            if part is not None:
                # The boxes of two legs may overlap where the legs touch.
                whole[knee.box] = np.where(part != 0, part, whole[knee.box])
        write_volume(folder / name, whole, grid)

    write_volume(folder / CT, grid.array, grid)
    if ct.metal is not None:
        write_volume(folder / METAL, ct.metal, grid)
    write(BONES, np.uint8, lambda knee: knee.labels.array)
    write(DEPTH, np.float32, lambda knee: _depth(knee.regions.depth_mm.array))
    write(PLATE, np.float32, lambda knee: _known(knee.regions.plate_mm))
    write(JOINT_SPACE, np.float32, lambda knee: _known(knee.regions.joint_space and knee.regions.joint_space.width_mm))
    for regions, bands, from_surface in (
        (REGIONS, BANDS, "bone"),
        (REGIONS_BELOW_PLATE, BANDS_BELOW_PLATE, "plate"),
    ):
        numbers = {knee.side: region_numbers(knees, knee, from_surface) for knee in knees}
        write(regions, np.uint16, lambda knee: _renumbered(knee, from_surface, numbers[knee.side]))  # noqa: B023
        write(bands, np.uint8, lambda knee: _renumbered(knee, from_surface, band_numbers(knee, from_surface)))  # noqa: B023
    write(COMPARTMENTS, np.uint8, lambda knee: _renumbered(knee, "bone", compartment_numbers(knee)))


def write_models(folder: Path, knees: Sequence[KneeFindings]) -> None:
    """Write the surface of every bone; with sub-region, plate and joint space at its points where it has regions."""
    for knee in knees:
        for name, surface in knee.surfaces.items():
            values = {}
            bone = knee.regions.bones.get(name)
            if bone is not None:
                values["compartment"] = np.where(bone.subregion > 0, bone.subregion + FIRST_COMPARTMENT[name] - 1, 0)
                if bone.plate is not None:
                    values["plate_thickness_mm"] = bone.plate.thickness_mm
                if name == "tibia" and knee.regions.joint_space is not None:
                    values["joint_space_mm"] = knee.regions.joint_space.at_tibia_mm
            write_bone_model(folder / surface_file(knee.side, name), surface, f"{knee.side} {name}", values)


def region_numbers(knees: Sequence[KneeFindings], of: KneeFindings, from_surface: str) -> dict[int, int]:
    """The numbers of a knee's regions in the volumes: those of a second knee go on where the first one's end."""
    before = 0
    for knee in knees:
        numbers = [region.number for region in _from(knee, from_surface)]
        if knee is of:
            return {number: number + before for number in numbers}
        before += max(numbers, default=0)
    raise ValueError("not one of these knees")


def band_numbers(knee: KneeFindings, from_surface: str) -> dict[int, int]:
    """The number of the depth band, from 1, of each region by its number."""
    regions = _from(knee, from_surface)
    bands = sorted({region.depth_from_mm for region in regions})
    return {region.number: bands.index(region.depth_from_mm) + 1 for region in regions}


def compartment_numbers(knee: KneeFindings) -> dict[int, int]:
    """The number in COMPARTMENTS of each region by its number."""
    return {
        region.number: FIRST_COMPARTMENT[region.bone]
        + SIDES_OF_BONE.index(region.compartment) * len(SUBREGIONS)
        + SUBREGIONS.index(region.subregion)
        for region in _from(knee, "bone")
    }


def _from(knee: KneeFindings, from_surface: str) -> list[SubchondralRegion]:
    return [region for region in knee.regions.regions if region.from_surface == from_surface]


def _renumbered(knee: KneeFindings, from_surface: str, numbers: dict[int, int]) -> np.ndarray | None:
    volume = knee.regions.labels if from_surface == "bone" else knee.regions.below_plate
    if volume is None:
        return None
    table = np.zeros(256, np.uint16)
    for old, new in numbers.items():
        table[old] = new
    return table[volume.array]


def _depth(depth_mm: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(depth_mm), 0, np.maximum(depth_mm, SHALLOWEST_MM))


def _known(volume: Volume | None) -> np.ndarray | None:
    return None if volume is None else np.nan_to_num(volume.array, nan=0.0)
