"""Trabeculae of the subchondral bone of a whole knee: made where they are asked for, seen by CT and MR alike.

Below the plate of a bone's joint end, down to `DEEP_MM`, the bone is a structure of one family per compartment whose
BV/TV falls with depth as the traits of its region say. Deeper and beside it the bone is the grey mean of `BoneTissue`,
drawn to the BV/TV of the structure where the two meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.bone_tissue import HALVES_OVER_MM, BoneTissue
from SubchondralBoneAnalysisLib.simulation.fine_bone import FineBone, halved
from SubchondralBoneAnalysisLib.simulation.implicit_shapes import bell
from SubchondralBoneAnalysisLib.simulation.knee_shapes import LABELS, SHALLOW_MM, STEEPEST
from SubchondralBoneAnalysisLib.simulation.microstructure.trabeculae import Trabeculae, make_trabeculae
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits

FINE_MM = 0.0625
DEEP_MM, FADE_MM = 12.0, 1.5  # below the surface, where the structure has gone, and over which way it goes
BLUR_MM = 2.0  # of the structure beyond its end, for the blur of the scanners
MEETS_OVER_MM = 8.0  # over which the grey bone below goes from the BV/TV of the structure to its own
BLOCK = 128  # fine voxels a side that are made at once
LATTICE_MM = 1.0  # on which exact depths are computed; between them they are interpolated
# Of the bone's own z in mm: where the structure has begun to fade and is gone, as the shaft begins.
ENDS = {"femur": (32.0, 38.0), "tibia": (-18.0, -24.0), "patella": (np.inf, np.inf)}
COMPARTMENTS = ("medial", "lateral")


@dataclass(frozen=True, eq=False)
class KneeMicrostructure:
    """The structure of all bones of one person; x of a bone's own frame is lateral.

    :param tissues: of each bone of the knee, in its own frame: the thickness of its shell.
    :param regions: traits of (bone, "medial" or "lateral"); bones that are not named have no structure.
    :param family: of the structure, see `microstructure.families`.
    """

    tissues: Mapping[str, BoneTissue]
    regions: Mapping[tuple[str, str], RegionTraits]
    family: str = "ribbon"
    seed: int = 0
    _trabeculae: dict[tuple[str, str], Trabeculae] = field(default_factory=dict)
    _fine: dict[str, FineBone] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for bone, compartment in self.regions:
            if bone not in ("femur", "tibia", "patella") or compartment not in COMPARTMENTS:
                raise BadInput(f"trabeculae of {bone} {compartment} cannot be simulated: femur, tibia or patella can.")
            if not all((bone, side) in self.regions for side in COMPARTMENTS):
                raise BadInput(f"the {bone} has traits on one side only: give medial and lateral.")

    def has(self, bone: str) -> bool:
        """Whether a bone has a structure."""
        return (bone, "medial") in self.regions

    def trabeculae(self, bone: str, compartment: str) -> Trabeculae:
        """The structure of a region, in the bone's own frame."""
        region = bone, compartment
        if region not in self._trabeculae:
            rng = np.random.default_rng([self.seed, 20, LABELS[bone], COMPARTMENTS.index(compartment)])
            self._trabeculae[region] = make_trabeculae(self.family, self.regions[region].structure, rng)
        return self._trabeculae[region]

    def share(self, bone: str, own: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
        """1 where there is structure, to 0 where the bone is grey, [n]; points [n, 3] of the bone's own frame.

        :param depth_mm: below the surface; deeper than `SHALLOW_MM` that of the implicit function of the bone.
        """
        start, end = ENDS[bone]
        if np.isinf(start):
            return np.clip((DEEP_MM - depth_mm) / FADE_MM, 0.0, 1.0)
        along = np.clip((end - own[:, 2] / self.tissues[bone].bone.size) / (end - start), 0.0, 1.0)
        return along * np.clip((DEEP_MM - depth_mm) / FADE_MM, 0.0, 1.0)

    def bv_tv(self, bone: str, own: np.ndarray, below_plate_mm: np.ndarray) -> np.ndarray:
        """BV/TV [n] that is asked for at points [n, 3] of the bone's own frame: no step where the halves meet."""
        medial, lateral = (self.regions[bone, side].bv_tv_at(below_plate_mm) for side in COMPARTMENTS)
        return medial + (lateral - medial) * (0.5 + 0.5 * np.tanh(own[:, 0] / HALVES_OVER_MM))

    def grey(self, bone: str, own: np.ndarray, depth_mm: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Part of bone [n] where the bone is grey, drawn to the structure's near it.

        :param mean: part of bone [n] without structure.
        """
        below = np.maximum(depth_mm - self.tissues[bone].plate_mm, 0.0)
        start, end = ENDS[bone]
        size = self.tissues[bone].bone.size
        beyond = 0.0 if np.isinf(start) else np.maximum((own[:, 2] / size - start) * np.sign(end - start), 0.0)
        near = bell(np.maximum(depth_mm - DEEP_MM + FADE_MM, 0.0) / MEETS_OVER_MM) * bell(beyond / MEETS_OVER_MM)
        return mean + near * (self.bv_tv(bone, own, below) - mean)

    def fine_bone(self, bone: str) -> FineBone:
        """The structure of a bone in cells of twice `FINE_MM`; made once, about 100 MB for a femur.

        What lies above the plate and deeper than scanners need is left out.
        """
        if bone not in self._fine:
            self._fine[bone] = self._made(bone)
        return self._fine[bone]

    def structure_at(
        self, bone: str, centre: np.ndarray, axes: np.ndarray, edge_mm: float, spacing_mm: float = FINE_MM
    ) -> np.ndarray:
        """The bone in a cube, bool [k, j, i]: trabeculae, plate, and nothing outside of the bone.

        It is made as if there were structure at any depth.

        :param centre: (x, y, z) in the bone's own frame, mm.
        :param axes: [3, 3], unit vectors of the i, j and k axis as columns.
        """
        size = round(edge_mm / spacing_mm)
        along = (np.arange(size) - 0.5 * (size - 1)) * spacing_mm
        coarse = np.linspace(along[0], along[-1], max(2, int(np.ceil(edge_mm / LATTICE_MM)) + 1))
        at = _lattice(coarse, coarse, coarse) @ np.asarray(axes).T + centre
        depth, below = self._depths(bone, at, reach_mm=np.inf)
        depth, below = (_refined(one.reshape((len(coarse),) * 3), coarse, along).reshape(-1) for one in (depth, below))
        own = _lattice(along, along, along) @ np.asarray(axes).T + centre
        solid = (depth > 0) & (below <= 0)
        wanted = self.bv_tv(bone, own, below)
        for side, here in zip(COMPARTMENTS, (own[:, 0] < 0, own[:, 0] >= 0), strict=True):
            inside = np.flatnonzero(here & (below > 0))
            if inside.size:
                solid[inside] = self.trabeculae(bone, side).rank(own[inside]) < wanted[inside]
        return solid.reshape(size, size, size)

    def _made(self, bone: str) -> FineBone:
        shape = self.tissues[bone].bone
        surface = shape.form.surface
        start, end = ENDS[bone]
        if np.isfinite(end):
            # As far as the structure goes, and a little more for the blur.
            last = shape.size * end + np.sign(end - start) * BLUR_MM
            surface = surface[(surface[:, 2] - last) * np.sign(end - start) < 0]
        lower, upper = surface.min(0) - 1.0, surface.max(0) + 1.0
        block_mm = BLOCK * FINE_MM
        blocks = np.ceil((upper - lower) / block_mm).astype(int)[::-1]
        parts = np.zeros(blocks * (BLOCK // 2), np.uint8)
        half = BLOCK // 2
        for k, j, i in np.ndindex(*blocks):
            corner = lower + block_mm * np.array([i, j, k])
            solid = self._block(bone, corner)
            if solid is not None:
                parts[k * half : (k + 1) * half, j * half : (j + 1) * half, i * half : (i + 1) * half] = halved(solid)
        return FineBone(parts, 8, 2 * FINE_MM, lower + 0.5 * FINE_MM)

    def _block(self, bone: str, corner: np.ndarray) -> np.ndarray | None:
        """Trabeculae below the plate in a block of fine voxels, the first one at `corner`; None if there are none."""
        shape = self.tissues[bone].bone
        edge = (BLOCK - 1) * FINE_MM
        value = float(shape.value((corner + 0.5 * edge)[None])[0])
        reach = DEEP_MM + BLUR_MM
        if value > STEEPEST * edge or value < -STEEPEST * (reach + edge):
            return None
        coarse = np.linspace(0.0, edge, int(np.ceil(edge / LATTICE_MM)) + 1)
        own = _lattice(coarse, coarse, coarse) + corner
        value = shape.value(own)
        if (value <= -reach).all():
            return None
        below = self._depths(bone, own, reach)[1]
        if (below <= 0).all():
            return None
        # The structure ends by the implicit function, as `share` does: exact distances deep in a bone take long.
        wanted = np.where(value > -reach, self.bv_tv(bone, own, below), 0.0)
        cube, fine = (len(coarse),) * 3, np.arange(BLOCK) * FINE_MM
        below, wanted = (_refined(one.reshape(cube), coarse, fine) for one in (below, wanted))
        wanted *= below > 0
        sides = [side for side, here in zip(COMPARTMENTS, (corner[0] < 0, corner[0] + edge >= 0), strict=True) if here]
        place = tuple(corner.tolist())
        solids = [self.trabeculae(bone, side).solid_block((BLOCK,) * 3, FINE_MM, place, wanted) for side in sides]
        return solids[0] if len(solids) == 1 else np.where(corner[0] + fine < 0, *solids)

    def _depths(self, bone: str, own: np.ndarray, reach_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Depth below the surface and below the plate, [n] each, at points [n, 3]; exact where less than `reach_mm`."""
        tissue = self.tissues[bone]
        value = tissue.bone.value(own)
        depth, feet = -value, own.copy()
        shallow = np.abs(value) < 0.4 * SHALLOW_MM
        deep = ~shallow & (value < 3.0) & (value > -STEEPEST * reach_mm)
        for some, seeded in ((shallow, False), (deep, True)):
            found = tissue.bone.nearest(own[some], deep=seeded)
            depth[some], feet[some] = -found.distance_mm, found.foot
        return depth, depth - tissue.shell_mm(feet)


def _lattice(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Points [n, 3] (x, y, z) of a lattice, in the order of an array [k, j, i]."""
    z, y, x = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()], 1)


def _refined(field: np.ndarray, coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """A field [k, j, i] on a coarse lattice, the same along all axes, interpolated to a fine one; float32."""
    place = (fine - coarse[0]) / (coarse[1] - coarse[0])
    weights = np.maximum(1.0 - np.abs(place[:, None] - np.arange(len(coarse))), 0.0).astype(np.float32)
    wide = weights @ (field.astype(np.float32) @ weights.T)
    return (weights @ wide.reshape(len(coarse), -1)).reshape((len(fine),) * 3)
