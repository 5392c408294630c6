"""From the bones of a knee to its subchondral regions: compartments, sub-regions and depth bands of tibia and femur."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_resolution import CtResolution, ct_resolution
from SubchondralBoneAnalysisLib.region_finding.articular_surface import (
    belonging,
    facing,
    on_condyles,
    plateau,
    settled,
)
from SubchondralBoneAnalysisLib.region_finding.bone_frame import NO_CONDYLES, BoneFrame, femur_frame, tibia_frame
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, bone_surface
from SubchondralBoneAnalysisLib.region_finding.compartments import (
    Compartments,
    femoral_compartments,
    names_of,
    tibial_compartments,
)
from SubchondralBoneAnalysisLib.region_finding.depth_bands import (
    BANDS_MM,
    BoneDepth,
    band_number,
    bone_depth,
    depth_in_voxels,
    volumes_mm3,
)
from SubchondralBoneAnalysisLib.region_finding.joint_space import JointSpace, joint_space
from SubchondralBoneAnalysisLib.region_finding.subchondral_plate import Plate, PlateSite, subchondral_plates
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import values_at

FEMUR, TIBIA = 1, 2
BONES = {"femur": FEMUR, "tibia": TIBIA}
RIM_MM = 3.0
BORDER_MM = 1.0  # of an articular surface: nearest to all that lies beside it, and so to no plate
MOST_BANDS = 20  # so that the numbers of two bones with six sub-regions fit 8 bit
LEAST_FEMUR_MM = 38.0  # from its lowest point: a condyle to its axis and its posterior end above that
WHOLE_CONDYLES_MM = 16.0  # above their axis, up to where the posterior condyles carry cartilage
SMALLEST_SURFACE_MM2 = 300.0  # a whole plateau or condyle has 1000 and more


@dataclass(frozen=True)
class SubchondralRegion:
    """One region: a depth band under one sub-region of an articular surface.

    :param number: its value in `SubchondralRegions.labels`, or in `below_plate` where `from_surface` is "plate".
    :param from_surface: what the depths count from: "bone" the outer surface, "plate" the inner surface of the plate.
    :param voxels: how many hold it.
    :param volume_mm3: of the region as a body with smooth borders, which is not the volume of whole voxels.
    """

    number: int
    bone: str
    compartment: str
    subregion: str
    depth_from_mm: float
    depth_to_mm: float
    from_surface: str
    voxels: int
    volume_mm3: float

    @property
    def name(self) -> str:
        """As "tibia_medial_central_0-2.5", with "_below_plate" where the depths count from the plate."""
        band = f"{self.depth_from_mm:g}-{self.depth_to_mm:g}"
        return f"{self.bone}_{self.compartment}_{self.subregion}_{band}" + (
            "_below_plate" if self.from_surface == "plate" else ""
        )

    def identity(self) -> dict[str, str | float]:
        """The columns of a table that say which region it is."""
        named = ("name", "bone", "compartment", "subregion", "depth_from_mm", "depth_to_mm", "from_surface")
        return {name: getattr(self, name) for name in named}


@dataclass(frozen=True, eq=False)
class JointBone:
    """What was found of one bone.

    :param rim_mm: [n] of the points of the surface: distance from the border of the articular surface, positive on it.
    :param subregion: [n] of the points of the surface: 1 to 6 (see `compartments`), 0 outside the regions.
    :param plate: None without a CT.
    :param depth: on the bone's lattice, down to the deepest band.
    """

    name: str
    surface: BoneSurface
    frame: BoneFrame
    rim_mm: np.ndarray
    compartments: Compartments
    subregion: np.ndarray
    plate: Plate | None
    depth: BoneDepth

    @property
    def articular_mm2(self) -> float:
        """Area of the articular surface, with its rim."""
        return float(self.surface.areas_mm2[self.rim_mm > 0].sum())


@dataclass(frozen=True, eq=False)
class SubchondralRegions:
    """The regions of a knee and the maps they come from, all on the grid of the labels.

    :param labels: uint8, numbers of `regions` whose depths count from the outer surface; 0 elsewhere.
    :param below_plate: the same for depths that count from the inner surface of the plate; None without a CT.
    :param depth_mm: float32, below the outer surface in femur and tibia as deep as the regions go; NaN elsewhere.
    :param plate_mm: float32, thickness of the plate, in the voxels of the plate; NaN elsewhere. None without a CT.
    :param joint_space: distance of the bones between their articular surfaces; None where only one bone was found.
    :param missing: of a bone without regions, why.
    """

    side: str
    labels: Volume
    below_plate: Volume | None
    depth_mm: Volume
    plate_mm: Volume | None
    joint_space: JointSpace | None
    regions: tuple[SubchondralRegion, ...]
    bones: dict[str, JointBone]
    missing: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def voxels_of(self, region: SubchondralRegion) -> np.ndarray:
        """bool [k, j, i]."""
        return (self.labels if region.from_surface == "bone" else self.below_plate).array == region.number


def find_regions(
    labels: Volume,
    side: str,
    ct: Volume | None = None,
    bands_mm: tuple[tuple[float, float], ...] = BANDS_MM,
    rim_mm: float = RIM_MM,
    resolution: CtResolution | None = None,
    unusable: np.ndarray | None = None,
) -> SubchondralRegions:
    """Find the subchondral regions of femur and tibia.

    :param labels: uint8 [k, j, i], 1 femur, 2 tibia, filled; further bones may be there.
    :param side: "left" or "right".
    :param ct: HU on the grid of the labels; without it there is no plate, and no bands below the plate.
    :param bands_mm: depth bands from shallow to deep.
    :param rim_mm: the outer rim of the articular surfaces that is left out.
    :param resolution: of the CT, whose blur the thickness of the plate hangs on; estimated from it if not given.
    :param unusable: bool on the grid of the labels, metal and its streaks, whose grey values tell nothing of the edge.
    :raises BadInput: there is no tibia or no femur to find an articular surface with.
    """
    if len(bands_mm) > MOST_BANDS:
        raise BadInput(f"{len(bands_mm)} depth bands are too many: give {MOST_BANDS} at the most.")
    surfaces = {name: bone_surface(labels, label) for name, label in BONES.items()}
    _check(surfaces, labels)
    tibia, femur = surfaces["tibia"], surfaces["femur"]
    missing, bones, warnings = {}, {}, []
    deepest = max(high for _, high in bands_mm)

    rims = {"tibia": settled(tibia, facing(tibia, femur))}
    if tibia.areas_mm2[rims["tibia"] > 0].sum() < SMALLEST_SURFACE_MM2:
        raise BadInput(
            f"{_where(labels)} has no tibial plateau that faces the femur within reach: check the bones' labels, and "
            "that the joint lies in the image."
        )
    frames = {}
    start = tibia_frame(tibia, belonging(rims["tibia"]), side)
    rims["tibia"], frames["tibia"] = plateau(tibia, start, side)
    divided = {"tibia": tibial_compartments(tibia, frames["tibia"], rims["tibia"])}

    frames["femur"] = femur_frame(femur, frames["tibia"], side)
    reason = NO_CONDYLES if NO_CONDYLES in frames["femur"].notes else _cut_condyles(femur, frames["femur"])
    if reason:
        missing["femur"] = reason
        rims["femur"] = settled(femur, facing(femur, tibia))
    else:
        warnings += frames["femur"].notes
        rims["femur"] = settled(femur, on_condyles(femur, frames["femur"]))
        divided["femur"] = femoral_compartments(femur, frames["femur"], rims["femur"])

    plates: dict[str, Plate] = {}
    if ct is not None:
        gaps = {name: _usable_gap(surfaces, name, labels, unusable) for name in surfaces}
        sites = {name: PlateSite(surface, rims[name], gaps[name]) for name, surface in surfaces.items()}
        plates = subchondral_plates(sites, ct, resolution or ct_resolution(ct))
        surfaces = {name: surface.moved_in(plates[name].shift_mm) for name, surface in surfaces.items()}
    numbers = np.zeros(labels.array.shape, np.uint8)
    below = np.zeros(labels.array.shape, np.uint8) if ct is not None else None
    depth_map = np.full(labels.array.shape, np.nan, np.float32)
    plate_map = np.full(labels.array.shape, np.nan, np.float32) if ct is not None else None
    regions: list[SubchondralRegion] = []
    for name, parts in divided.items():
        surface, rim, plate = surfaces[name], rims[name], plates.get(name)
        thickness = plate.filled_mm if plate is not None else None
        most = float(np.nanmax(thickness)) if thickness is not None else 0
        depth = bone_depth(surface, rim, deepest + most, thickness)
        voxels = depth_in_voxels(labels, BONES[name], depth)
        at = tuple(voxels.index.T)
        depth_map[at] = np.maximum(voxels.depth_mm, 0)
        subregion = parts.number_at(voxels.foot_lps) * (voxels.rim_mm > rim_mm)
        count = _mark(numbers, name, voxels.index, _from_edge(voxels.articular_mm, labels), subregion, bands_mm)
        volume = volumes_mm3(depth, bands_mm, rim_mm, parts.number_at, below_plate=False)
        regions += _listed(name, bands_mm, "bone", count, volume)
        if below is not None:
            under = voxels.articular_mm - voxels.plate_mm
            count = _mark(below, name, voxels.index, under, subregion, bands_mm)
            volume = volumes_mm3(depth, bands_mm, rim_mm, parts.number_at, below_plate=True)
            regions += _listed(name, bands_mm, "plate", count, volume)
            beneath = np.abs(voxels.articular_mm - voxels.depth_mm) < 1  # and not beside the articular surface
            in_plate = (under < 0) & (voxels.rim_mm > BORDER_MM) & beneath
            if plate.why_not is None:
                plate_map[tuple(voxels.index[in_plate].T)] = voxels.plate_mm[in_plate]
        on_surface = parts.number_at(surface.points_lps) * (rim > rim_mm)
        bones[name] = JointBone(name, surface, frames[name], rim, parts, on_surface.astype(np.uint8), plate, depth)

    def like(array: np.ndarray | None) -> Volume | None:
        return None if array is None else replace(labels, array=array, path=None, files=())

    return SubchondralRegions(
        side=side,
        labels=like(numbers),
        below_plate=like(below),
        depth_mm=like(depth_map),
        plate_mm=like(plate_map),
        joint_space=joint_space(
            labels, surfaces["tibia"], surfaces["femur"], rims["tibia"], rims["femur"], divided["tibia"]
        ),
        regions=tuple(regions),
        bones=bones,
        missing=missing,
        warnings=tuple(warnings),
    )


def _from_edge(depth_mm: np.ndarray, labels: Volume) -> np.ndarray:
    """Depths with those of voxels that the edge of the bone cuts, their centre just outside, set to 0."""
    return np.where((depth_mm < 0) & (depth_mm > -0.5 * max(labels.spacing_mm)), 0, depth_mm)


def _mark(
    numbers: np.ndarray,
    bone: str,
    index: np.ndarray,
    depth_mm: np.ndarray,
    subregion: np.ndarray,
    bands_mm: tuple[tuple[float, float], ...],
) -> np.ndarray:
    """Write the numbers of a bone's regions into `numbers`; how many voxels each has, [6, bands]."""
    band = band_number(depth_mm, bands_mm).astype(int)
    number = (subregion.astype(int) - 1) * len(bands_mm) + band
    number[(band == 0) | (subregion == 0)] = 0
    numbers[tuple(index.T)] = np.where(number > 0, number + _before(bone, bands_mm), 0)
    return np.bincount(number, minlength=6 * len(bands_mm) + 1)[1:].reshape(6, len(bands_mm))


def _listed(
    bone: str, bands_mm: tuple[tuple[float, float], ...], from_surface: str, voxels: np.ndarray, mm3: np.ndarray
) -> list[SubchondralRegion]:
    regions = []
    for part in range(6):
        for band, (low, high) in enumerate(bands_mm):
            number = _before(bone, bands_mm) + part * len(bands_mm) + band + 1
            count, volume = int(voxels[part, band]), float(mm3[part, band])
            where = names_of(part + 1)
            regions.append(SubchondralRegion(number, bone, *where, low, high, from_surface, count, volume))
    return regions


def _before(bone: str, bands_mm: tuple[tuple[float, float], ...]) -> int:
    """The number before a bone's first: femur first, then tibia; of each sub-region the bands one after the other."""
    return (BONES[bone] - 1) * 6 * len(bands_mm)


def _gap(surfaces: dict[str, BoneSurface], name: str) -> np.ndarray:
    """Distance [n] in mm of the points of one bone from the other."""
    other = surfaces["femur" if name == "tibia" else "tibia"]
    distance, _ = other.tree.query(surfaces[name].points_lps, distance_upper_bound=20, workers=-1)
    return distance


def _usable_gap(surfaces: dict[str, BoneSurface], name: str, labels: Volume, unusable: np.ndarray | None) -> np.ndarray:
    """Distance [n] in mm as `_gap`, and 0 where grey values are those of metal: as where bones touch, no plate is."""
    gap = _gap(surfaces, name)
    if unusable is None:
        return gap
    zone = replace(labels, array=unusable.view(np.uint8), path=None, files=())
    return np.where(values_at(surfaces[name].points_lps, zone, order=0) != 0, 0.0, gap)


def _check(surfaces: dict[str, BoneSurface | None], labels: Volume) -> None:
    lacking = [name for name, surface in surfaces.items() if surface is None]
    if lacking:
        raise BadInput(
            f"{_where(labels)} has no {' and no '.join(lacking)}: subchondral regions need both bones of the joint, "
            "at least where they face each other."
        )


def _where(labels: Volume) -> str:
    return str(labels.path) if labels.path else "The label map of the bones"


def _cut_condyles(femur: BoneSurface, frame: BoneFrame) -> str | None:
    """Why a femur has no regions: its condyles are not whole in the image."""
    height = np.ptp(frame.coordinates(femur.points_lps)[:, 2])
    if height < LEAST_FEMUR_MM:
        # The axis of condyles that are cut through cannot be found: their height tells before it is used.
        return (
            f"only {height:.0f} mm of the femur are in the image, and at least {LEAST_FEMUR_MM:.0f} mm are needed to "
            "find its articular surface the same in every knee"
        )
    ends = frame.coordinates(femur.points_lps[femur.open_ends])
    if not len(ends) or ends[:, 2].min() > WHOLE_CONDYLES_MM:
        return None
    return (
        f"the femur leaves the image {ends[:, 2].min():.0f} mm above the axis of its condyles, and at least "
        f"{WHOLE_CONDYLES_MM:.0f} mm are needed to find its articular surface the same in every knee"
    )
