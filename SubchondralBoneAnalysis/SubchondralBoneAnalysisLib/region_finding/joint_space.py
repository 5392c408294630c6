"""Joint space width: how far the articular surfaces of two bones are apart.

At a point of the tibia it is the shortest distance to the femur's surface, over the area where the two face each other,
as in standing CT (Segal et al., J Orthop Res 2017;35:1388); at a voxel between the bones its distance to the one
surface plus that to the other. Neither is a length along an axis of the image. The mean of a whole compartment
holds the borders, where the femur curves away; what a radiograph shows at a fixed place between the condyles compares
to the central sub-region.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, Lattice
from SubchondralBoneAnalysisLib.region_finding.compartments import COMPARTMENTS, Compartments, names_of
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps

WIDEST_MM = 12.0
OPPOSED_COSINE = -0.5  # of the two normals: the surfaces look at each other within 60 degrees
DEEP_STEPS = 5  # of the lattice inside a bone, or beyond the widest space: nodes no voxel is read off from
LEAST_SHARE = 0.05  # of the area of a compartment; its width is the "smallest", for one point is noise


@dataclass(frozen=True)
class Width:
    """Joint space width under one compartment or sub-region of the tibia, mm; weighted by area.

    :param smallest_mm: the width that one twentieth of the area falls below.
    """

    compartment: str
    subregion: str | None
    smallest_mm: float
    mean_mm: float
    area_mm2: float


@dataclass(frozen=True, eq=False)
class JointSpace:
    """The space between tibia and femur.

    :param width_mm: float32 on the grid of the labels, in the voxels between the articular surfaces; NaN elsewhere.
    :param at_tibia_mm: [n] of the points of the tibia: distance of the femur, 0 where the bones touch; NaN where they
        do not face each other.
    :param widths: of each compartment, and of each of its sub-regions that faces the femur.
    """

    width_mm: Volume
    at_tibia_mm: np.ndarray
    widths: tuple[Width, ...]


def joint_space(
    labels: Volume,
    tibia: BoneSurface,
    femur: BoneSurface,
    tibia_rim_mm: np.ndarray,
    femur_rim_mm: np.ndarray,
    parts: Compartments,
) -> JointSpace:
    """Measure the joint space of a knee.

    :param tibia_rim_mm: [n] of the tibia's points, `femur_rim_mm` of the femur's: positive on the articular surface.
    :param parts: compartments of the tibia.
    """
    away, nearest = femur.distance_mm(tibia.points_lps, 2 * WIDEST_MM)
    opposed = np.einsum("nc,nc->n", tibia.normals, femur.normals[nearest]) < OPPOSED_COSINE
    faces = (tibia_rim_mm > 0) & opposed & (femur_rim_mm[nearest] > 0) & (away < WIDEST_MM)
    at_tibia = np.where(faces, np.maximum(away, 0), np.nan)
    return JointSpace(
        width_mm=_between(labels, tibia, femur, tibia_rim_mm, femur_rim_mm),
        at_tibia_mm=at_tibia,
        widths=_widths(at_tibia, tibia.areas_mm2, parts.number_at(tibia.points_lps)),
    )


def _widths(at_tibia: np.ndarray, areas: np.ndarray, number: np.ndarray) -> tuple[Width, ...]:
    widths = []
    known = np.isfinite(at_tibia)
    for c, compartment in enumerate(COMPARTMENTS):
        whole = np.isin(number, (3 * c + 1, 3 * c + 2, 3 * c + 3))
        chosen = [(None, whole), *((names_of(n)[1], number == n) for n in range(3 * c + 1, 3 * c + 4))]
        for subregion, part in chosen:
            at = np.flatnonzero(part & known)
            if len(at):
                at = at[np.argsort(at_tibia[at])]
                share = np.cumsum(areas[at]) / areas[at].sum()
                smallest = float(np.interp(LEAST_SHARE, share, at_tibia[at]))
                mean = float(np.average(at_tibia[at], weights=areas[at]))
                widths.append(Width(compartment, subregion, smallest, mean, float(areas[at].sum())))
    return tuple(widths)


def _between(
    labels: Volume, tibia: BoneSurface, femur: BoneSurface, tibia_rim: np.ndarray, femur_rim: np.ndarray
) -> Volume:
    """The width in the voxels between the bones, computed on a lattice and read off at the voxels."""
    array = np.full(labels.array.shape, np.nan, np.float32)
    width = replace(labels, array=array, path=None, files=())
    on = tibia.points_lps[tibia_rim > 0]
    if not len(on):
        return width
    step = tibia.inside.step_mm
    low, high = on.min(axis=0) - 2, on.max(axis=0) + 2 + WIDEST_MM * tibia.normals[tibia_rim > 0].mean(axis=0)
    low, high = np.minimum(low, high), np.maximum(low, high)
    lattice = Lattice(np.zeros((np.ceil((high - low) / step).astype(int) + 1)[::-1], np.float32), low, step)
    nodes = lattice.nodes_lps()
    # The search is slow far from a surface, where there is no joint space.
    near = np.flatnonzero(_outside_mm(tibia, nodes) + _outside_mm(femur, nodes) < WIDEST_MM + DEEP_STEPS * step)
    reach = WIDEST_MM + 2 * step
    to_tibia, tibial = tibia.distance_mm(nodes[near], reach)
    near, to_tibia, tibial = (values[np.isfinite(to_tibia)] for values in (near, to_tibia, tibial))
    to_femur, femoral = femur.distance_mm(nodes[near], reach)
    near, to_tibia, tibial, to_femur, femoral = (
        values[np.isfinite(to_femur)] for values in (near, to_tibia, tibial, to_femur, femoral)
    )
    opposed = np.einsum("nc,nc->n", tibia.normals[tibial], femur.normals[femoral]) < OPPOSED_COSINE
    within = np.minimum(np.minimum(tibia_rim[tibial], femur_rim[femoral]), np.where(opposed, 20, -20))
    maps = []
    for values, elsewhere in ((to_tibia, reach), (to_femur, reach), (within, -20)):
        array_of = np.full(len(nodes), elsewhere, np.float32)
        array_of[near] = values
        maps.append(array_of.reshape(lattice.array.shape))

    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    index = to_index(corners, labels)
    first = np.clip(np.floor(index.min(axis=0)).astype(int), 0, labels.array.shape)
    last = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, labels.array.shape)
    for k in range(first[0], last[0]):
        between = np.argwhere(labels.array[k, first[1] : last[1], first[2] : last[2]] == 0) + first[1:]
        index = np.c_[np.full(len(between), k), between]
        at = lattice.index(to_lps(index, labels))
        to_tibia, to_femur, within = (
            ndimage.map_coordinates(values, at, order=1, mode="constant", cval=-20) for values in maps
        )
        # The voxels of the staircase beside the smooth surface belong to the space: half a voxel at the most.
        least = -0.5 * max(labels.spacing_mm)
        total = to_tibia + to_femur
        kept = (within > 0) & (to_tibia > least) & (to_femur > least) & (total > 0) & (total < WIDEST_MM)
        array[tuple(index[kept].T)] = total[kept]
    return width


def _outside_mm(bone: BoneSurface, places_lps: np.ndarray) -> np.ndarray:
    """How far places [n, 3] are at least outside a bone, in whole steps; 0 in it, and endless deep in it."""
    lattice = bone.inside
    inside = lattice.array > 0.5
    steps = ndimage.distance_transform_edt(~inside)
    steps[ndimage.distance_transform_edt(inside) > DEEP_STEPS] = np.inf
    # A place beyond the lattice is farther from the bone than the place on its border that is nearest.
    node = np.rint(lattice.index(places_lps)).astype(np.intp)
    return lattice.step_mm * steps[tuple(np.clip(node.T, 0, np.array(inside.shape) - 1).T)]
