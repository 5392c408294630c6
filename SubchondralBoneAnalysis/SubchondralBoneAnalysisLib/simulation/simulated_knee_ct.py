"""A knee with a known answer on any grid: labels, depths, plate thickness, and what CT and MR scanners make of it.

A blurred edge is drawn where it is known, without a finer grid: near a surface the CT is the edge response of the
scanner at the exact distance from it. What that leaves out is the bend of the surface within the blur, an error of
the edge of about variance over radius of curvature: 0.1^2 / 20, less than 0.01 mm, on a condyle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.pose import Pose, turned
from SubchondralBoneAnalysisLib.simulation.bone_tissue import GRAIN_OF_BONE, MARROW_HU, TRABECULA_HU, BoneTissue
from SubchondralBoneAnalysisLib.simulation.cartilage import Cartilage
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.knee_microstructure import KneeMicrostructure
from SubchondralBoneAnalysisLib.simulation.knee_mr import mr_of_knee
from SubchondralBoneAnalysisLib.simulation.knee_shapes import (
    LABELS,
    SHALLOW_MM,
    STEEPEST,
    BoneShape,
    Bumps,
    KneeShapes,
    knee_shapes,
)
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.simulation.smooth_fields import SmoothFields
from SubchondralBoneAnalysisLib.simulation.soft_tissue import GRAIN_HU, TISSUE_HU, SoftTissue
from SubchondralBoneAnalysisLib.simulation.textured_noise import TexturedNoise
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

BLOCK = 8  # voxels a side that are asked at once whether a surface can be near
CHUNK = 1 << 18  # voxels at a time
THIN_MM = 1.5  # slices of soft tissue that are thicker are cut into thinner ones
STEEPER = 1.3  # gradient of the implicit functions, where a rare point that is farther does no harm


class Blur(Protocol):
    """What a scanner does to an edge: a `Scanner` or an `MrScan`."""

    def edge(self, depth_mm: np.ndarray, sd_mm: np.ndarray | float) -> np.ndarray: ...

    def sd_along(self, normals_lps: np.ndarray, grid: Volume) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class SeenBone:
    """A bone at n voxels.

    :param feet: [n, 3] in the knee frame, the nearest points of the surface; the voxel itself deep in the bone.
    :param outer: part of the voxel that the whole bone fills after the scanner's blur.
    :param inner: the same of what is below the shell.
    :param trabeculae: part of the voxel that is solid trabecular bone below the shell.
    """

    feet: np.ndarray
    outer: np.ndarray
    inner: np.ndarray
    trabeculae: np.ndarray


@dataclass(frozen=True)
class SimulatedKnee:
    """One knee of one simulated patient.

    :param seed: of everything that is drawn; the same seed is the same knee. None is the mean form.
    :param side: of the body.
    :param joint_space_mm: shortest distance from bone to bone in the (medial, lateral) compartment.
    :param tilt_deg: rotation of the whole leg about the L, P and S axis through the joint.
    :param centre_lps: where the middle of the joint is.
    :param plate_mm: thickness of the subchondral plate; it varies by `plate_spread` of it (SD) from place to place.
    :param plates_mm: thickness by bone in its (medial, lateral) half, where it is not `plate_mm`.
    :param microstructure: the trabeculae; without it trabecular bone is grey with a grain.
    """

    seed: int | None = 0
    side: Literal["left", "right"] = "right"
    joint_space_mm: tuple[float, float] = (4.0, 5.0)
    flexion_deg: float = 10.0
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    centre_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    plate_mm: float = 1.2
    plate_spread: float = 0.0
    patella_gap_mm: float = 3.0
    plates_mm: Mapping[str, tuple[float, float]] | None = None
    microstructure: KneeMicrostructure | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.side not in ("left", "right"):
            raise BadInput(f"a knee on the side {self.side!r} cannot be simulated: give left or right.")
        if not 0.1 <= self.plate_mm <= 4.0:
            raise BadInput(f"a subchondral plate of {self.plate_mm:g} mm cannot be simulated: give 0.1 to 4 mm.")

    @cached_property
    def shapes(self) -> KneeShapes:
        """The bones in the knee frame."""
        return _shapes(self.seed, tuple(self.joint_space_mm), self.flexion_deg, self.patella_gap_mm)

    @cached_property
    def pose(self) -> Pose:
        """From the knee frame to LPS. The leg is tilted after it is mirrored: a tilt turns both sides the same way."""
        mirror = Pose(np.diag([1.0 if self.side == "left" else -1.0, 1.0, 1.0]))
        return replace(turned(self.tilt_deg), translation=np.asarray(self.centre_lps, float)).after(mirror)

    def mirrored(self) -> SimulatedKnee:
        """The same knee on the other side: its image in the plane L = 0."""
        (_, b, c), (x, y, z) = self.tilt_deg, self.centre_lps
        other = "left" if self.side == "right" else "right"
        return replace(self, side=other, tilt_deg=(self.tilt_deg[0], -b, -c), centre_lps=(-x, y, z))

    def tissue(self, bone: BoneShape) -> BoneTissue:
        """What a bone of `shapes` is made of."""
        waves = None
        if self.plate_spread > 0:
            waves = Bumps.drawn(self._rng(10 + LABELS[bone.name]), self.plate_spread * self.plate_mm)
        return BoneTissue(bone, self.plate_mm, waves, halves_mm=(self.plates_mm or {}).get(bone.name))

    @cached_property
    def soft_tissue(self) -> SoftTissue:
        """What is around the bones."""
        rng = self._rng(3)
        fat, girth = (8.0, 1.0) if self.seed is None else (rng.uniform(4.0, 13.0), rng.uniform(0.95, 1.1))
        streaks = TexturedNoise.drawn(rng, (6.0, 6.0, 30.0), step_mm=1.0)
        if self.seed is None:
            return SoftTissue(self.shapes, streaks, Cartilage(self.shapes), fat, girth)
        cartilage, effusion = Cartilage.drawn(self.shapes, self._rng(4)), self._rng(5).gamma(2.0, 0.8)
        return SoftTissue(self.shapes, streaks, cartilage, fat, girth, effusion)

    def grid(
        self,
        spacing_mm: float | tuple[float, float, float] = 0.8,
        size_mm: tuple[float, float, float] = (125.0, 135.0, 130.0),
    ) -> Volume:
        """A grid along L, P and S around the joint; see `voxel_grid.grid_around` for other ones."""
        middle = self.pose.out(np.array([[0.0, 12.0, 8.0]]))[0]
        return grid_around(tuple(middle.tolist()), size_mm, spacing_mm)

    def labels(self, grid: Volume) -> Volume:
        """Filled bones as in `LABELS`, uint8: what holds the centre of a voxel."""
        array = np.zeros(grid.array.shape, np.uint8)
        deepest = np.zeros(array.size, np.float32)
        for bone in self.shapes.bones:
            for flat, points in self._voxels_within(grid, bone, 0.0):
                value = bone.value(points)
                inside = value < deepest[flat]
                deepest[flat[inside]] = value[inside]
                array.reshape(-1)[flat[inside]] = LABELS[bone.name]
        return replace(grid, array=array)

    def depth_mm(self, grid: Volume, bone: str, reach_mm: float = 12.0) -> np.ndarray:
        """Exact distance from the outer surface of a bone, positive inside, float32 [k, j, i].

        Exact up to `reach_mm` on both sides, and that value with its sign beyond it.
        """
        shape = self.shapes.bone(bone)
        depth = np.full(grid.array.size, -reach_mm, np.float32)
        for flat, points in self._voxels_within(grid, shape, reach_mm):
            value = shape.value(points)
            found = np.where(value < 0, reach_mm, -reach_mm)
            shallow = np.abs(value) < 0.4 * SHALLOW_MM
            deep = ~shallow & (np.abs(value) < STEEPEST * reach_mm)
            found[shallow] = -shape.nearest(points[shallow]).distance_mm
            found[deep] = -shape.nearest(points[deep], deep=True).distance_mm
            depth[flat] = np.clip(found, -reach_mm, reach_mm)
        return depth.reshape(grid.array.shape)

    def plate_thickness_mm(self, grid: Volume, bone: str, reach_mm: float = SHALLOW_MM) -> np.ndarray:
        """Thickness of the shell at the nearest point of the surface, float32 [k, j, i].

        NaN farther than `reach_mm` (at most `SHALLOW_MM`) from the surface.
        """
        shape, thickness = self.shapes.bone(bone), np.full(grid.array.size, np.nan, np.float32)
        tissue = self.tissue(shape)
        for flat, points in self._voxels_within(grid, shape, reach_mm):
            near = np.abs(shape.value(points)) < STEEPEST * reach_mm
            found = shape.nearest(points[near])
            within = np.abs(found.distance_mm) <= reach_mm
            thickness[flat[near][within]] = tissue.shell_mm(found.foot[within])
        return thickness.reshape(grid.array.shape)

    def ct(self, grid: Volume, scanner: Scanner | None = None, noise_seed: int = 0) -> Volume:
        """The CT on a grid: HU, int16.

        :param scanner: a clinical CT with a moderately sharp kernel if not given.
        """
        return ct_of_legs([self], grid, scanner, noise_seed)

    def mr(self, grid: Volume, scan: MrScan, noise_seed: int = 0) -> Volume:
        """The MR on a grid, float32; see `knee_mr.mr_of_knee`."""
        return mr_of_knee(self, grid, scan, noise_seed)

    def hu_without_noise(
        self, grid: Volume, scanner: Scanner, bone_hu: float = TRABECULA_HU + MARROW_HU, marrow_hu: float = MARROW_HU
    ) -> np.ndarray:
        """What the scanner would show with endless dose, float32 [k, j, i].

        :param bone_hu: of solid trabecular tissue; plate and cortex are brighter or darker by the same factor.
        """
        bone_scale = bone_hu / (TRABECULA_HU + MARROW_HU)
        hu = self.soft_tissue_values(grid, scanner, {name: (hu,) for name, hu in TISSUE_HU.items()}, GRAIN_HU)[0]
        hu = hu.reshape(-1)
        # Differences from the soft tissue are added, so that two bones that touch do not dim each other.
        change = np.zeros(grid.array.size, np.float32)
        for bone in self.shapes.bones:
            tissue = self.tissue(bone)
            for flat, seen in self.seen_bone(grid, scanner, bone):
                shell = bone_scale * tissue.shell_hu(seen.feet)
                change[flat] += (shell - hu[flat]) * (seen.outer - seen.inner) + (marrow_hu - hu[flat]) * seen.inner
                change[flat] += (bone_hu - marrow_hu) * seen.trabeculae
        hu += change
        return hu.reshape(grid.array.shape)

    def soft_tissue_values(
        self, grid: Volume, scanner: Blur, values: Mapping[str, tuple[float, ...]], grain: Mapping[str, float]
    ) -> np.ndarray:
        """Values [c, k, j, i] float32 of every voxel as if there were no bone; see `SoftTissue.mixed`.

        Edges are as sharp as in the slice; thick slices are the mean of thinner ones.
        """
        parts = max(1, round(grid.spacing_mm[0] / THIN_MM))
        thin = _thinner(grid, parts)
        fields = SmoothFields(thin, lambda points: self.soft_tissue.fields(self.pose.into(points)))
        sd = float(np.median(scanner.sd_along(np.reshape(grid.direction_lps, (3, 3)).T, grid)))
        slices = max(1, CHUNK // (parts * grid.array[0].size))
        found = np.empty((len(values["fat"]), *grid.array.shape), np.float32)
        for first in range(0, found.shape[1], slices):
            at = fields.slices(parts * first, parts * (first + slices))
            mixed = self.soft_tissue.mixed(at, scanner.edge, sd, values, grain)
            found[:, first : first + slices] = mixed.reshape(len(mixed), -1, parts, *mixed.shape[2:]).mean(2)
        return found

    def seen_bone(self, grid: Volume, scanner: Blur, bone: BoneShape) -> Iterator[tuple[np.ndarray, SeenBone]]:
        """Piece by piece the voxels that a bone is seen in, each once: (flat indices [n], `SeenBone`)."""
        tissue, grain = self.tissue(bone), self._grain(grid, scanner, bone)
        sharp = scanner.sd_along(np.eye(3), grid)
        blur = 4 * float(sharp.max())
        for flat, points in self._voxels_within(grid, bone, blur):
            value = bone.value(points)
            depth, feet, sd = -value, points.copy(), np.full(len(points), sharp.min())
            # As far as the inner side of the shell is blurred the depth must be exact; deeper nothing changes fast.
            near = np.flatnonzero((value < STEEPER * blur) & (value > -STEEPER * (tissue.thickest_mm + blur)))
            near = near[value[near] > -STEEPER * (1.3 * tissue.shell_mm(points[near]) + blur)]
            found = bone.nearest(points[near])
            depth[near], feet[near] = -found.distance_mm, found.foot
            sd[near] = scanner.sd_along(found.normal @ self.pose.matrix.T, grid)
            outer, inner = scanner.edge(depth, sd), scanner.edge(depth - tissue.shell_mm(feet), sd)
            trabeculae = self._trabeculae(grid, scanner, tissue, points, depth, inner, grain)
            yield flat, SeenBone(feet, outer, inner, trabeculae)

    def _trabeculae(
        self,
        grid: Volume,
        scanner: Blur,
        tissue: BoneTissue,
        points: np.ndarray,
        depth: np.ndarray,
        inner: np.ndarray,
        grain: TexturedNoise,
    ) -> np.ndarray:
        """Part of voxels [n] that is solid trabecular bone, blurred: grey with a grain, or the structure itself."""
        bone, fine = tissue.bone, self.microstructure
        own = bone.pose.into(points)
        part = tissue.trabecular_hu(points, depth) / TRABECULA_HU
        if fine is None or not fine.has(bone.name):
            return inner * part * (1.0 + GRAIN_OF_BONE * grain(own))
        share = fine.share(bone.name, own, depth)
        result = np.zeros(len(points))
        grey, made = np.flatnonzero((share < 1) & (inner > 0)), np.flatnonzero(share > 0)
        mean = fine.grey(bone.name, own[grey], depth[grey], part[grey])
        result[grey] = (1.0 - share[grey]) * inner[grey] * mean * (1.0 + GRAIN_OF_BONE * grain(own[grey]))
        blur, overshoot = self._blur(grid, scanner, bone), getattr(scanner, "overshoot", 0.0)
        result[made] += share[made] * fine.fine_bone(bone.name).seen(own[made], blur, overshoot)
        return result

    def _grain(self, grid: Volume, scanner: Blur, bone: BoneShape) -> TexturedNoise:
        """The trabeculae of a bone as the scanner shows them, in the bone's own frame: the same in every pose."""
        return TexturedNoise.drawn(self._rng(2), (1.8, 1.8, 3.4), self._blur(grid, scanner, bone))

    def _blur(self, grid: Volume, scanner: Blur, bone: BoneShape) -> np.ndarray:
        """Covariance [3, 3] in mm^2 of the point spread in the bone's own frame."""
        axes = np.reshape(grid.direction_lps, (3, 3))
        own = bone.pose.matrix.T @ self.pose.matrix.T @ axes
        return own @ np.diag(scanner.sd_along(axes.T, grid) ** 2) @ own.T

    def _voxels_within(
        self, grid: Volume, bone: BoneShape, outside_mm: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Flat indices [n] and places [n, 3] in the knee frame of all voxels in a bone or within `outside_mm` of it.

        Whole blocks of voxels are left out that cannot be near.
        """
        shape = np.array(grid.array.shape)
        blocks = -(-shape // BLOCK)
        corners = np.stack(np.unravel_index(np.arange(blocks.prod()), blocks), 1) * BLOCK
        middles = self.pose.into(lattice_lps(grid, corners + 0.5 * (BLOCK - 1)))
        across = 0.5 * BLOCK * np.linalg.norm(grid.spacing_mm)
        corners = corners[bone.value(middles) < STEEPEST * (across + outside_mm)]
        inner = np.stack(np.unravel_index(np.arange(BLOCK**3), (BLOCK,) * 3), 1)
        at_once = max(1, CHUNK // BLOCK**3)
        for start in range(0, len(corners), at_once):
            kji = (corners[start : start + at_once, None] + inner).reshape(-1, 3)
            kji = kji[(kji < shape).all(1)]
            yield np.ravel_multi_index(tuple(kji.T), shape), self.pose.into(lattice_lps(grid, kji))

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([0 if self.seed is None else self.seed + 1, *purpose])


def _thinner(grid: Volume, parts: int) -> Volume:
    """A grid whose slices are cut into so many thinner ones."""
    spacing = (grid.spacing_mm[0] / parts, *grid.spacing_mm[1:])
    first = lattice_lps(grid, np.array([[0.5 / parts - 0.5, 0.0, 0.0]]))[0]
    shape = (parts * grid.array.shape[0], *grid.array.shape[1:])
    return empty_grid(shape, spacing, tuple(first.tolist()), grid.direction_lps)


# Mirrored, tilted or with another plate it is the same knee.
_shapes = lru_cache(maxsize=8)(knee_shapes)


def ct_of_legs(
    knees: Sequence[SimulatedKnee], grid: Volume, scanner: Scanner | None = None, noise_seed: int = 0
) -> Volume:
    """One CT of one or both legs that lie beside each other; see `SimulatedKnee.ct`."""
    scanner = scanner or Scanner()
    hu = knees[0].hu_without_noise(grid, scanner)
    for knee in knees[1:]:
        np.maximum(hu, knee.hu_without_noise(grid, scanner), out=hu)
    if scanner.noise_hu > 0:
        hu += scanner.noise(grid, np.random.default_rng([noise_seed, 5]))
    return replace(grid, array=np.clip(np.rint(hu, out=hu), -1024, 3071).astype(np.int16))
