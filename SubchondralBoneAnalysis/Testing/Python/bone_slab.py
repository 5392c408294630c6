"""A flat bone with a plate of known thickness, blurred exactly as a scanner would, turned against its slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from SubchondralBoneAnalysisLib.ct_resolution.resolution import FWHM, BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface, bone_surface
from SubchondralBoneAnalysisLib.region_finding.subchondral_plate import PlateSite
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

SIZE_MM = (34.0, 34.0, 26.0)
RADIUS_MM = 8.0  # of what counts as the articular surface, far from where the image ends


@dataclass(frozen=True)
class BoneSlab:
    """Bone fills the half space below a plane through the origin.

    :param turned_deg: of the plane against the slices.
    :param fwhm_mm: of the blur (in the slice, across it).
    :param sparser_hu: per mm of depth, of the trabecular bone.
    """

    plate_mm: float
    plate_hu: float = 1250.0
    turned_deg: float = 0.0
    fwhm_mm: tuple[float, float] = (0.6, 0.9)
    voxel_mm: float = 0.5
    soft_hu: float = 60.0
    inside_hu: float = 380.0
    sparser_hu: float = 25.0

    @property
    def normal(self) -> np.ndarray:
        """Unit vector out of the bone, LPS."""
        return Rotation.from_euler("x", self.turned_deg, degrees=True).apply([0.0, 0.0, 1.0])

    @property
    def grid(self) -> Volume:
        # Off its middle: the plane must not lie on a border of voxels.
        return grid_around((0.11, 0.07, -4.17), SIZE_MM, self.voxel_mm)

    @property
    def resolution(self) -> CtResolution:
        """What an estimate without error says."""
        in_plane, axial = (BlurEstimate(fwhm, 0.0, 500, "cortex") for fwhm in self.fwhm_mm)
        return CtResolution((self.voxel_mm,) * 3, None, in_plane, axial, ())

    def depth_mm(self, places_lps: np.ndarray) -> np.ndarray:
        """Below the plane."""
        return -places_lps @ self.normal

    def ct(self, noise_hu: float = 0.0) -> Volume:
        """HU."""
        depth = self._depth_of_voxels()
        towards = self.normal[2] ** 2
        sd = np.sqrt(self.fwhm_mm[0] ** 2 * (1 - towards) + self.fwhm_mm[1] ** 2 * towards) / FWHM
        below = (depth - self.plate_mm) / sd
        outer, inner = ndtr(depth / sd), ndtr(below)
        ramp = sd * (below * inner + np.exp(-0.5 * below**2) / np.sqrt(2 * np.pi))  # depth below the plate, blurred
        hu = self.soft_hu * (1 - outer) + self.plate_hu * (outer - inner) + self.inside_hu * inner
        hu -= self.sparser_hu * ramp
        hu += np.random.default_rng(3).normal(0, 1, hu.shape) * noise_hu
        return replace(self.grid, array=np.rint(hu).astype(np.int16))

    def labels(self, outwards_mm: float = 0.0) -> Volume:
        """1 in the bone, drawn too large by `outwards_mm`."""
        return replace(self.grid, array=(self._depth_of_voxels() > -outwards_mm).astype(np.uint8))

    def site(self, outwards_mm: float = 0.0) -> PlateSite:
        """The surface of `labels`, articular around its middle, with no other bone near."""
        surface = bone_surface(self.labels(outwards_mm), 1)
        return PlateSite(surface, self.rim_mm(surface), np.full(len(surface.points_lps), np.inf))

    def rim_mm(self, surface: BoneSurface) -> np.ndarray:
        """Distance [n] from the border of what counts as articular."""
        return np.clip(RADIUS_MM - np.linalg.norm(surface.points_lps, axis=1), -12, 12)

    def _depth_of_voxels(self) -> np.ndarray:
        grid = self.grid
        index = np.stack(np.unravel_index(np.arange(grid.array.size), grid.array.shape), axis=1)
        return self.depth_mm(lattice_lps(grid, index)).reshape(grid.array.shape)
