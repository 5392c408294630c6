"""A cube of subchondral bone: trabeculae that thin out with depth, the plate and cartilage above them.

Block frame: z (array axis k) up towards the joint, the middle of the block at the origin. The patch that a model is
given is the middle of the block; the rest is there for what the scanner lets leak in from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import label, zoom

from SubchondralBoneAnalysisLib.simulation.ct_scanner.block_ct import ct_of_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.microstructure.trabeculae import make_trabeculae
from SubchondralBoneAnalysisLib.simulation.mr_scanner.block_mr import mr_of_block
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits
from SubchondralBoneAnalysisLib.simulation.soft_tissue import CARTILAGE_HU
from SubchondralBoneAnalysisLib.simulation.structure_truth import StructureTruth, structure_truth
from SubchondralBoneAnalysisLib.volume import Volume

VOXEL_MM = 0.0625
VOXELS = 128
BLOCK_MM, PATCH_MM = VOXELS * VOXEL_MM, 6.0
MARGIN_MM = 0.5 * (BLOCK_MM - PATCH_MM)
KNOWN_MM = 0.5  # around the patch, for its truth
ABOVE_PATCH_MM = (0.05, 0.45)  # trabeculae between the patch and the plate
WAVES_MM = 0.06  # SD of the lower side of the plate


@dataclass(frozen=True, eq=False)
class BoneBlock:
    """A block of bone in the body.

    :param structure: [k, j, i] bool, trabeculae and plate.
    :param cartilage: [k, j, i] bool, what is above the plate.
    :param centre_lps: its middle, mm.
    :param axes_lps: [3, 3], rows are the directions of the axes i, j, k of the block in LPS.
    """

    structure: np.ndarray
    cartilage: np.ndarray
    centre_lps: tuple[float, float, float]
    axes_lps: np.ndarray

    @cached_property
    def truth(self) -> StructureTruth:
        """The parameters of the patch."""
        return structure_truth(self.structure, VOXEL_MM, MARGIN_MM, KNOWN_MM)

    def ct(self, grid: Volume, scan: CtScan) -> np.ndarray:
        """HU on the voxels of a CT, without noise, float32 [k, j, i]."""
        hu = np.where(self.structure, np.float32(scan.bone_hu), np.float32(scan.marrow_hu))
        hu[self.cartilage] = CARTILAGE_HU
        return ct_of_block(self._volume(hu), grid, scan)

    def mr(self, grid: Volume, scan: MrScan, rng: np.random.Generator) -> np.ndarray:
        """Magnitude on the voxels of an MR, float32 [k, j, i]."""
        return mr_of_block(self._volume(self.structure), grid, scan, rng, self.cartilage)

    def moved(self, shift_mm: np.ndarray, turn: np.ndarray) -> BoneBlock:
        """The same block, turned about its middle by a rotation [3, 3] of LPS and then shifted by mm in LPS."""
        centre = tuple((np.asarray(self.centre_lps) + shift_mm).tolist())
        moved = BoneBlock(self.structure, self.cartilage, centre, self.axes_lps @ turn.T)
        if "truth" in vars(self):
            vars(moved)["truth"] = self.truth  # it takes long and does not change
        return moved

    def _volume(self, array: np.ndarray) -> Volume:
        direction = self.axes_lps.T
        origin = np.asarray(self.centre_lps) - 0.5 * (VOXELS - 1) * VOXEL_MM * direction.sum(1)
        return Volume(array, (VOXEL_MM,) * 3, tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def bone_block(
    traits: RegionTraits,
    family: str,
    rng: np.random.Generator,
    centre_lps: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes_lps: np.ndarray | None = None,
) -> BoneBlock:
    """A block of bone of a family; see `microstructure.families`."""
    z = (np.arange(VOXELS) + 0.5) * VOXEL_MM - 0.5 * BLOCK_MM
    lower = 0.5 * PATCH_MM + rng.uniform(*ABOVE_PATCH_MM)
    waves = zoom(rng.standard_normal((6, 6)), VOXELS / 6, order=3, mode="nearest", grid_mode=True)
    lower_side = np.maximum(lower + WAVES_MM * waves, 0.5 * PATCH_MM)
    trabeculae = make_trabeculae(family, traits.structure, rng)
    structure = trabeculae.solid_block(
        (VOXELS,) * 3, (VOXEL_MM,) * 3, (-0.5 * BLOCK_MM + 0.5 * VOXEL_MM,) * 3, traits.bv_tv_at(lower - z)
    )
    above = z[:, None, None] > lower_side
    # A crumb in the marrow is no bone; what a face of the block cuts off may hang on to the rest beyond it.
    cartilage = np.broadcast_to((z > lower + traits.plate_mm)[:, None, None], structure.shape)
    return BoneBlock(
        _without_crumbs((structure | above) & ~cartilage),
        cartilage,
        centre_lps,
        np.eye(3) if axes_lps is None else axes_lps,
    )


def _without_crumbs(structure: np.ndarray) -> np.ndarray:
    """Bone [k, j, i] less the pieces that hang on to nothing and reach no face of the block."""
    pieces, _ = label(structure)
    faces = [pieces[side] for side in (0, -1)] + [pieces[:, side] for side in (0, -1)]
    faces += [pieces[:, :, side] for side in (0, -1)]
    whole = np.zeros(pieces.max() + 1, bool)
    for face in faces:
        whole[face.ravel()] = True
    whole[0] = False
    return whole[pieces]
