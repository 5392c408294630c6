"""How deep each voxel of a bone lies below the outer surface, and into which band and sub-region it so falls.

The depth is measured to the surface of `bone_surface` on its lattice and read off at the centres of the voxels, so
that it is continuous: a voxel size changes where it is asked, not what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, Lattice
from SubchondralBoneAnalysisLib.region_finding.nearest_points import nearest_points
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import mm_per_index

BANDS_MM = ((0.0, 2.5), (2.5, 5.0), (5.0, 10.0))  # Johnston et al., Skeletal Radiol 2010;39:867
SPAN_MM = 2.0  # beyond the deepest band and outside the bone, so that a value can be read between nodes
SLAB = 48  # slices of the volume that are asked about at a time


@dataclass(frozen=True, eq=False)
class BoneDepth:
    """On the lattice of a bone's surface, in float32 [k, j, i]; NaN deeper than it was asked for and far outside.

    :param depth_mm: below the outer surface, negative outside.
    :param articular_mm: below the articular surface; the same as `depth_mm` where that is nearer than the bone's sides.
    :param rim_mm: how far within the articular surface its nearest point lies.
    :param foot_lps: [3, k, j, i], (x, y, z) of that point.
    :param plate_mm: thickness of the plate at that point; None where it was not measured.
    """

    depth_mm: Lattice
    articular_mm: np.ndarray
    rim_mm: np.ndarray
    foot_lps: np.ndarray
    plate_mm: np.ndarray | None


@dataclass(frozen=True, eq=False)
class VoxelDepth:
    """The same at voxels of a volume, [n] each.

    :param index: [n, 3] (k, j, i) of the voxels.
    """

    index: np.ndarray
    depth_mm: np.ndarray
    articular_mm: np.ndarray
    rim_mm: np.ndarray
    foot_lps: np.ndarray
    plate_mm: np.ndarray | None


def bone_depth(
    surface: BoneSurface, rim_mm: np.ndarray, deepest_mm: float, plate_mm: np.ndarray | None = None
) -> BoneDepth:
    """Depth, and what is known of the nearest point of the surface, at the nodes of the lattice.

    :param rim_mm: [n] of the points of the surface.
    :param plate_mm: [n] of the points of the surface.
    """
    lattice = surface.inside
    bone = lattice.array > 0.5
    roughly = ndimage.distance_transform_edt(bone) - ndimage.distance_transform_edt(~bone)
    roughly *= lattice.step_mm
    wanted = (roughly < deepest_mm + SPAN_MM) & (roughly > -SPAN_MM)
    places = lattice.nodes_lps(wanted)

    def above(numbers: np.ndarray) -> np.ndarray:
        return np.einsum("nc,nc->n", places - surface.points_lps[numbers], surface.normals[numbers])

    outside_mm = above(nearest_points(surface, wanted, np.ones(len(rim_mm), bool)))
    # Regions count from the articular surface alone: deep under its border the sides of the bone are nearer, and which
    # of the two is nearest would be decided by a hair.
    nearest = nearest_points(surface, wanted, rim_mm > 0)
    articular_mm = above(nearest)

    def on_lattice(values: np.ndarray) -> np.ndarray:
        array = np.full(lattice.array.shape, np.nan, np.float32)
        array[wanted] = values
        return array

    feet = places - articular_mm[:, None] * surface.normals[nearest]
    return BoneDepth(
        depth_mm=Lattice(on_lattice(-outside_mm), lattice.origin_lps, lattice.step_mm),
        articular_mm=on_lattice(-articular_mm),
        rim_mm=on_lattice(rim_mm[nearest]),
        foot_lps=np.stack([on_lattice(feet[:, axis]) for axis in range(3)]),
        plate_mm=None if plate_mm is None else on_lattice(plate_mm[nearest]),
    )


def depth_in_voxels(labels: Volume, label: int, of: BoneDepth) -> VoxelDepth:
    """Depth at the voxels of a bone, as far down as it was computed.

    A voxel of the bone whose centre lies just outside the smooth surface has a depth a little below 0.
    """
    inside = labels.array == label
    box = ndimage.find_objects(inside.view(np.uint8))[0]
    lattice = of.depth_mm
    to_node = mm_per_index(labels)[::-1] / lattice.step_mm
    start = (np.array(labels.origin_lps) - lattice.origin_lps)[::-1] / lattice.step_mm
    # To the nearest node first: most of a bone is too deep to be asked about.
    known = np.isfinite(lattice.array).view(np.uint8)
    parts = []
    for k in range(box[0].start, box[0].stop, SLAB):
        slab = (slice(k, min(k + SLAB, box[0].stop)), *box[1:])
        first = np.array([part.start for part in slab])
        near = ndimage.affine_transform(
            known, to_node, to_node @ first + start, tuple(s.stop - s.start for s in slab), order=0, mode="nearest"
        )
        index = (np.argwhere(inside[slab] & (near > 0)) + first).astype(np.int32)
        nodes = (index @ to_node.T + start).T
        asked = np.isfinite(ndimage.map_coordinates(lattice.array, nodes, order=1, mode="nearest"))
        parts.append(_read_off(of, index[asked], nodes[:, asked]))
    return _joined(parts)


def volumes_mm3(
    of: BoneDepth,
    bands_mm: tuple[tuple[float, float], ...],
    rim_mm: float,
    number_at: Callable[[np.ndarray], np.ndarray],
    below_plate: bool,
) -> np.ndarray:
    """Volumes [6, bands] of the regions of a bone, in mm3, independent of the voxels of the image.

    A band of 2.5 mm under a flat plateau is two or three layers of 1 mm voxels thick, as it happens; here a node near
    the border of a band counts with the part of it that lies inside.

    :param number_at: the sub-region, 1 to 6 or 0, of places [n, 3] of the surface.
    :param below_plate: whether depths count from the inner surface of the plate.
    """
    step = of.depth_mm.step_mm / 2
    deepest = max(high for _, high in bands_mm) + (np.nanmax(of.plate_mm) if below_plate else 0)
    with np.errstate(invalid="ignore"):
        near = np.argwhere((of.rim_mm > rim_mm - 1) & (of.articular_mm < deepest + 1))
    eighths = np.stack(np.meshgrid(*[(-0.25, 0.25)] * 3), axis=-1).reshape(-1, 3)
    nodes = (near[:, None] + eighths).reshape(-1, 3).T
    at = _read_off(of, nodes.T, nodes)
    number = number_at(at.foot_lps) * (at.rim_mm > rim_mm)
    depth = at.articular_mm - (at.plate_mm if below_plate else 0)
    volumes = np.zeros((6, len(bands_mm)))
    for band, (low, high) in enumerate(bands_mm):
        part = np.clip((depth - low) / step + 0.5, 0, 1) - np.clip((depth - high) / step + 0.5, 0, 1)
        known = np.isfinite(part)
        volumes[:, band] = np.bincount(number[known], part[known], minlength=7)[1:] * step**3
    return volumes


def _read_off(of: BoneDepth, index: np.ndarray, nodes: np.ndarray) -> VoxelDepth:
    """What is known at `nodes` [3, n], index and fraction on the lattice, between its nodes."""

    def at(array: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(array, nodes, order=1, mode="nearest")

    return VoxelDepth(
        index=index,
        depth_mm=at(of.depth_mm.array),
        articular_mm=at(of.articular_mm),
        rim_mm=at(of.rim_mm),
        foot_lps=np.stack([at(axis) for axis in of.foot_lps], axis=1),
        plate_mm=None if of.plate_mm is None else at(of.plate_mm),
    )


def _joined(parts: list[VoxelDepth]) -> VoxelDepth:
    together = {}
    for column in fields(VoxelDepth):
        values = [getattr(part, column.name) for part in parts]
        together[column.name] = None if values[0] is None else np.concatenate(values)
    return VoxelDepth(**together)


def band_number(depth_mm: np.ndarray, bands_mm: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Number [n] of the band in which a depth lies, from 1, uint8; 0 in none. A band holds its lower end."""
    number = np.zeros(len(depth_mm), np.uint8)
    for band, (low, high) in enumerate(bands_mm, start=1):
        number[(depth_mm >= low) & (depth_mm < high)] = band
    return number
