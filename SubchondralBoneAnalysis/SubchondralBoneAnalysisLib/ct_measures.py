"""What a CT says of a region of bone by itself, without any model of what is too small to be seen in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.ct_resolution.resolution import CtResolution
from SubchondralBoneAnalysisLib.ct_resolution.resolution_gate import (
    UNKNOWN,
    against_density,
    against_structure,
    against_texture,
    least_plate_mm,
    least_space_mm,
)
from SubchondralBoneAnalysisLib.ct_texture import Texture, about_local_mean, texture
from SubchondralBoneAnalysisLib.volume import Volume

LARGEST_UNUSABLE = 0.2  # share of a region, or of an area, around metal above which it is not measured
LOWEST_SHARE = 0.05  # of an area: its width is "smallest", as one point is noise
LEAST_SHARE = 0.2  # of an area, for what is found on it to stand for all of it
LARGEST_UNRESOLVED = 0.5  # share of an area too thin to be measured, above which not even its median is known
DENSITY = ("hu_mean", "hu_sd", "bv_tv", "bv_tv_low", "bv_tv_high")
TEXTURE = ("texture_sd_hu", "texture_skewness", "texture_grain_mm")


@dataclass(frozen=True)
class DensityAssumption:
    """From HU to the share of bone, without a calibration phantom: a voxel is marrow and fully mineralised bone.

    The values of both are assumed. Marrow of the adult knee is fat with some cells (fat has -100 HU, water 0); bone is
    that of compact bone at about 120 kVp. The tolerances say by how much they may be wrong.
    """

    marrow_hu: float = -40.0
    bone_hu: float = 1750.0
    marrow_tolerance_hu: float = 40.0
    bone_tolerance_hu: float = 175.0

    def __post_init__(self) -> None:
        if self.bone_hu - self.bone_tolerance_hu <= self.marrow_hu + self.marrow_tolerance_hu:
            raise ValueError(f"bone must be denser than marrow: {self}")

    @property
    def sentence(self) -> str:
        return (
            "BV/TV by density is (HU - marrow) / (bone - marrow): marrow is "
            f"assumed to have {self.marrow_hu:g} ± {self.marrow_tolerance_hu:g} HU and bone {self.bone_hu:g} ± "
            f"{self.bone_tolerance_hu:g} HU; no phantom was scanned."
        )

    def bv_tv(self, hu: float) -> tuple[float, float, float]:
        """The share of bone at a mean value: as assumed, and the lowest and highest within the tolerances."""
        found = [
            (hu - marrow) / (bone - marrow)
            for marrow in (self.marrow_hu + step * self.marrow_tolerance_hu for step in (-1, 0, 1))
            for bone in (self.bone_hu + step * self.bone_tolerance_hu for step in (-1, 0, 1))
        ]
        return found[4], min(found), max(found)


@dataclass(frozen=True)
class RegionMeasures:
    """Of one region. What is None has its reason in `not_measured`, under the same name.

    :param bv_tv: share of bone by density, between `bv_tv_low` and `bv_tv_high` for what is assumed of it.
    :param texture_sd_hu: SD about the local mean and the mean by depth, without the noise; the others: `ct_texture`.
    """

    name: str
    voxels: int
    volume_mm3: float
    hu_mean: float | None = None
    hu_sd: float | None = None
    bv_tv: float | None = None
    bv_tv_low: float | None = None
    bv_tv_high: float | None = None
    texture_sd_hu: float | None = None
    texture_skewness: float | None = None
    texture_grain_mm: float | None = None
    not_measured: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WidthSummary:
    """Of the thickness or width over a part of a surface, by area, in mm; None has its reason in `not_measured`.

    :param unresolved: share of the area that is thinner than the image resolves.
    :param limit_mm: the thinnest that it resolves.
    """

    area_mm2: float
    mean_mm: float | None = None
    sd_mm: float | None = None
    median_mm: float | None = None
    smallest_mm: float | None = None
    unresolved: float | None = None
    limit_mm: float | None = None
    not_measured: dict[str, str] = field(default_factory=dict)


def measure_regions(
    ct: Volume,
    labels: Volume,
    regions: Mapping[int, tuple[str, float]],
    resolution: CtResolution,
    assumption: DensityAssumption | None = None,
    unusable: np.ndarray | None = None,
    depth_mm: np.ndarray | None = None,
) -> list[RegionMeasures]:
    """The measures of each region, in the order given.

    :param ct: HU.
    :param labels: integer [k, j, i] on the grid of the CT.
    :param regions: name and least thickness in mm (the depth of its band) of each label.
    :param unusable: bool [k, j, i], true around metal.
    :param depth_mm: [k, j, i] below the surface of the bone; what changes with depth is then not taken for texture.
    """
    assumption = assumption or DensityAssumption()
    boxes = ndimage.find_objects(labels.array, max(regions, default=0))
    held = [boxes[label - 1] for label in regions if boxes[label - 1]]
    if not held:
        return [
            _measure(name, thick, np.empty(0), 0, 1.0, None, resolution, assumption) for name, thick in regions.values()
        ]
    whole = tuple(slice(min(b[a].start for b in held), max(b[a].stop for b in held)) for a in range(3))
    values, marks = ct.array[whole], labels.array[whole]
    usable = np.ones(marks.shape, bool) if unusable is None else ~unusable[whole]
    textured = against_texture(resolution) is None
    detail = about_local_mean(Volume(values, ct.spacing_mm), (marks > 0) & usable) if textured else None
    found = []
    for label, (name, thickness_mm) in regions.items():
        box = boxes[label - 1] and tuple(
            slice(part.start - all_.start, part.stop - all_.start)
            for part, all_ in zip(boxes[label - 1], whole, strict=True)
        )
        inside = marks[box] == label if box else np.zeros((0, 0, 0), bool)
        count = int(np.count_nonzero(inside))
        if box:
            inside &= usable[box]
        part = values[box][inside].astype(float) if box else np.empty(0)
        pattern = None
        if textured and len(part):
            depth = None if depth_mm is None else depth_mm[whole][box]
            pattern = texture(detail[box], inside, ct.spacing_mm, depth)
        found.append(_measure(name, thickness_mm, part, count, ct.voxel_mm3, pattern, resolution, assumption))
    return found


def summarize_plate(
    thickness_mm: np.ndarray, area_mm2: np.ndarray, resolution: CtResolution, unusable: np.ndarray | None = None
) -> WidthSummary:
    """The thickness of the subchondral plate over points of a surface (n,), NaN where it is not known.

    :param unusable: bool (n,), true around metal.
    """
    limit = least_plate_mm(resolution)
    if limit is None:
        area = float(area_mm2[np.isfinite(thickness_mm)].sum())
        return WidthSummary(area, not_measured=dict.fromkeys(("mean_mm", "sd_mm", "median_mm", "smallest_mm"), UNKNOWN))
    return _summary(thickness_mm, area_mm2, limit, unusable)


def summarize_joint_space(
    width_mm: np.ndarray, area_mm2: np.ndarray, resolution: CtResolution, unusable: np.ndarray | None = None
) -> WidthSummary:
    """The width of the joint space over points of a surface (n,), NaN where there is none opposite.

    :param unusable: bool (n,), true around metal.
    """
    return _summary(width_mm, area_mm2, least_space_mm(resolution), unusable)


def _measure(
    name: str,
    thickness_mm: float,
    values: np.ndarray,
    voxels: int,
    voxel_mm3: float,
    pattern: Texture | None,
    resolution: CtResolution,
    assumption: DensityAssumption,
) -> RegionMeasures:
    reasons: dict[str, str] = {}
    measured: dict[str, float] = {}
    why_not = against_density(thickness_mm, voxels, resolution)
    if voxels and len(values) < (1 - LARGEST_UNUSABLE) * voxels:
        why_not = f"{100 * (1 - len(values) / voxels):.0f} % of the region lie around metal"
    if why_not:
        return RegionMeasures(name, voxels, voxels * voxel_mm3, not_measured=dict.fromkeys(DENSITY + TEXTURE, why_not))
    measured["hu_mean"], measured["hu_sd"] = float(values.mean()), float(values.std(ddof=1))
    bv_tv = assumption.bv_tv(measured["hu_mean"])
    if 0 <= bv_tv[0] <= 1:
        measured |= dict(zip(DENSITY[2:], np.clip(bv_tv, 0, 1).tolist(), strict=True))
    else:
        why_not = f"a mean of {measured['hu_mean']:.0f} HU lies outside what is assumed of marrow and bone"
        reasons |= dict.fromkeys(DENSITY[2:], why_not)
    why_not = against_texture(resolution) or against_structure(pattern.variance_hu2, resolution)
    if why_not:
        reasons |= dict.fromkeys(TEXTURE, why_not)
    else:
        sd = np.sqrt(pattern.variance_hu2 - resolution.noise.sd_hu**2)
        measured |= dict(zip(TEXTURE, (float(sd), pattern.skewness, pattern.grain_mm), strict=True))
    return RegionMeasures(name, voxels, voxels * voxel_mm3, **measured, not_measured=reasons)


def _summary(
    width_mm: np.ndarray, area_mm2: np.ndarray, limit_mm: float, unusable: np.ndarray | None = None
) -> WidthSummary:
    """Points below the limit count as thin, whatever their number is: order holds for them and a mean does not."""
    known = np.isfinite(width_mm)
    names = ("mean_mm", "sd_mm", "median_mm", "smallest_mm")
    if unusable is not None and unusable.any():
        lost = float(area_mm2[unusable].sum() / area_mm2.sum())
        if lost > LARGEST_UNUSABLE:
            why_not = f"{100 * lost:.0f} % of the area lie around metal"
            return WidthSummary(0.0, limit_mm=limit_mm, not_measured=dict.fromkeys(names, why_not))
        known &= ~unusable
    width, area = np.asarray(width_mm, float)[known], np.asarray(area_mm2, float)[known]
    total = float(area.sum())
    if total <= 0:
        why_not = "it could not be found at any point of this part of the surface"
        return WidthSummary(0.0, limit_mm=limit_mm, not_measured=dict.fromkeys(names, why_not))
    share = total / float(np.sum(area_mm2))
    if share < LEAST_SHARE:
        why_not = f"it could be found on {100 * share:.0f} % of this part of the surface only"
        return WidthSummary(total, limit_mm=limit_mm, not_measured=dict.fromkeys(names, why_not))
    order = np.argsort(width, kind="stable")
    width, area = width[order], area[order]
    middle = (np.cumsum(area) - area / 2) / total
    unresolved = float(area[width < limit_mm].sum() / total)
    thin = f"{100 * unresolved:.0f} % of the area is thinner than the {limit_mm:.2f} mm that the image resolves"
    measured, reasons = {}, {}
    if unresolved < LOWEST_SHARE:
        mean = float(np.average(width, weights=area))
        measured = {"mean_mm": mean, "sd_mm": float(np.sqrt(np.average((width - mean) ** 2, weights=area)))}
        measured["smallest_mm"] = float(np.interp(LOWEST_SHARE, middle, width))
    else:
        reasons = dict.fromkeys(("mean_mm", "sd_mm", "smallest_mm"), thin)
    if unresolved < LARGEST_UNRESOLVED:
        measured["median_mm"] = float(np.interp(0.5, middle, width))
    else:
        reasons["median_mm"] = thin
    return WidthSummary(total, **measured, unresolved=unresolved, limit_mm=limit_mm, not_measured=reasons)
