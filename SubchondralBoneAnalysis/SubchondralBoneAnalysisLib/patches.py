"""Patches: cubes of subchondral bone, in mm, where they are cut and what they are called.

A patch hangs under a point of the articular surface: its upper face is parallel to the surface there, at a given depth.
The points are those at which the lines of a lattice in the bone's own frame meet the surface (`surface_lattice.py`),
so that a patch has the same name and the same place in the bone in every image of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.patch_cutting.surface_lattice import NEAREST, SurfacePoints, surface_points
from SubchondralBoneAnalysisLib.region_finding.bone_frame import BoneFrame
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import values_at

PROBES = 5  # points along an edge of a cube, by which it is asked what it holds; odd, so that one is the centre


@dataclass(frozen=True, eq=False)
class PatchBone:
    """What must be known of a bone to cut patches from it.

    :param name: "femur", "tibia" or "patella".
    :param depth_mm: float, mm below the surface that patches hang from: positive in the bone, negative outside, true
        to a fraction of a voxel and smooth within 3 mm of the surface, NaN where it is not known; it may cover a part
        of the CT only.
    :param columns: integer, on the grid of `depth_mm`: the part of the articular surface that a voxel lies under, 0
        where there is none; down to the depth of the lowest patch.
    :param column_names: (compartment, sub-region) of each label in `columns`.
    :param frame: of the bone.
    """

    name: str
    depth_mm: Volume
    columns: Volume
    column_names: Mapping[int, tuple[str, str]]
    frame: BoneFrame


@dataclass(frozen=True)
class PatchRule:
    """Which patches are wanted.

    :param edge_mm: of the cube.
    :param band_mm: the depths below the surface between which a cube lies; the first patch begins at the upper.
        The default leaves the subchondral plate (1.5 mm) out, and holds the three bands of Johnston et al. below it.
    :param overlap: by how much of their edge neighbours overlap, along the lattice and in depth: 0 side by side, 0.5.
        Under a round bone cubes come nearer to each other; of two in a layer whose centres are nearer than `NEAREST` of
        a step the first one stays.
    :param least_inside: share of a cube that must lie in the band, in the bone and under its articular surface.
    :param normal_mm: FWHM over which the direction of the surface is averaged.
    :param tolerance_mm: by which a part of a cube may lie outside the band: a flat face does not follow a round bone.
    """

    edge_mm: float = 6.0
    band_mm: tuple[float, float] = (1.5, 11.5)
    overlap: float = 0.5
    least_inside: float = 0.9
    normal_mm: float = 8.0
    tolerance_mm: float = 0.5

    def __post_init__(self) -> None:
        if self.edge_mm <= 0 or not 0 <= self.overlap < 1 or not 0 < self.least_inside <= 1 or self.normal_mm <= 0:
            raise ValueError(f"not a rule for patches: {self}")
        if self.band_mm[1] - self.band_mm[0] < self.edge_mm:
            raise ValueError(f"a cube of {self.edge_mm:g} mm does not fit between depths of {self.band_mm} mm")

    @property
    def step_mm(self) -> float:
        """From a patch to the next, along the lattice and in depth."""
        return self.edge_mm * (1 - self.overlap)

    @property
    def tops_mm(self) -> tuple[float, ...]:
        """The depths of the upper faces."""
        top, bottom = self.band_mm
        layers = int((bottom - top - self.edge_mm) / self.step_mm + 1e-9) + 1
        return tuple(top + layer * self.step_mm for layer in range(layers))


@dataclass(frozen=True, eq=False)
class Patch:
    """A cube of bone.

    :param name: of the bone, the side it faces, its place on the lattice in steps along the axes of the bone (L
        lateral, P posterior, S proximal) and its layer, as "tibia-proximal-L+04P-02-D1".
    :param depth_mm: of the centre below the nearest point of the surface. Below the point that the
        patch hangs from it is half an edge more than the depth of its layer, which at a ridge is not the nearest.
    :param centre_lps_mm: (3,).
    :param axes_lps: (3, 3), rows: unit vectors along i, j and k of the patch. k goes straight into the bone, i and j
        along the surface, nearest to the axes of the bone that are not its way in. A mirrored knee has mirrored axes.
    :param inside: share of the cube that lies in the band, in the bone and under its articular surface.
    """

    name: str
    bone: str
    compartment: str
    sub_region: str
    depth_mm: float
    centre_lps_mm: np.ndarray
    axes_lps: np.ndarray
    edge_mm: float
    inside: float


def place_patches(bone: PatchBone, rule: PatchRule | None = None, unusable: Volume | None = None) -> list[Patch]:
    """The patches of a bone by a rule, in the order of their layers and of the lattice.

    :param unusable: not 0 where the image shows no bone, as around metal; no patch touches it.
    """
    rule = rule or PatchRule()
    points = surface_points(bone.depth_mm, bone.columns, bone.frame, rule.step_mm, rule.normal_mm)
    found: list[Patch] = []
    for layer, top in enumerate(rule.tops_mm, 1):
        found += _layer(bone, rule, points, top, f"D{layer}", unusable)
    return found


def _layer(
    bone: PatchBone, rule: PatchRule, points: SurfacePoints, top_mm: float, suffix: str, unusable: Volume | None
) -> list[Patch]:
    centres = points.places_lps - (top_mm + rule.edge_mm / 2) * points.normals_lps
    probes = _probes(centres, points.axes_lps, rule.edge_mm)
    depths = values_at(probes, bone.depth_mm, outside=np.nan)
    columns = values_at(probes, bone.columns, order=0)
    low, high = rule.band_mm[0] - rule.tolerance_mm, rule.band_mm[1] + rule.tolerance_mm
    inside = ((depths >= low) & (depths <= high) & (columns > 0)).mean(axis=1)
    keep = inside >= rule.least_inside
    if unusable is not None:
        keep &= ~(values_at(probes, unusable, order=0) != 0).any(axis=1)
    keep[keep] = _apart(centres[keep], NEAREST * rule.step_mm)
    return [
        Patch(
            f"{bone.name}-{points.names[n]}-{suffix}",
            bone.name,
            *bone.column_names[_most_frequent(columns[n])],
            float(depths[n, PROBES**3 // 2]),
            centres[n],
            points.axes_lps[n],
            rule.edge_mm,
            float(inside[n]),
        )
        for n in np.flatnonzero(keep)
    ]


def _apart(centres: np.ndarray, least_mm: float) -> np.ndarray:
    """Which of the centres (n, 3) stay, bool (n,), so that none is nearer to an earlier one than that."""
    stays = np.ones(len(centres), bool)
    for first, second in sorted(cKDTree(centres).query_pairs(least_mm)) if len(centres) else ():
        if stays[first]:
            stays[second] = False
    return stays


def _probes(centres: np.ndarray, axes: np.ndarray, edge_mm: float) -> np.ndarray:
    """Points (n, PROBES^3, 3) in cubes: the centres of their PROBES^3 parts."""
    along = (np.arange(PROBES) + 0.5) / PROBES - 0.5
    steps = edge_mm * np.stack(np.meshgrid(along, along, along), axis=-1).reshape(-1, 3)
    return centres[:, None] + steps @ axes


def _most_frequent(labels: np.ndarray) -> int:
    return int(np.argmax(np.bincount(labels[labels > 0])))
