"""One person's knee in a CT and in an MR, where it lies and bends otherwise, with the exact motion of every bone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import SimpleITK as sitk

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.simulation.ct_scanner.beam_hardening import hardened
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.ct_scanner.recording import recorded
from SubchondralBoneAnalysisLib.simulation.ct_scanner.table import with_table
from SubchondralBoneAnalysisLib.simulation.knee_microstructure import FINE_MM, KneeMicrostructure
from SubchondralBoneAnalysisLib.simulation.knee_shapes import LABELS, BoneShape
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import SAGITTAL, grid_around
from SubchondralBoneAnalysisLib.volume import Volume

CT_SIZE_MM = (125.0, 135.0, 130.0)  # along L, P and S
MR_SIZE_MM = (160.0, 160.0, 120.0)  # along the columns, the rows and the slices
MOST_FLEXION_APART_DEG = 20.0


@dataclass(frozen=True)
class KneePair:
    """A knee that is scanned twice. Parameters that `SimulatedKnee` has are explained there.

    :param ct_flexion_deg: of the knee in the CT, and `mr_flexion_deg` in the MR.
    :param mr_turn_deg: by which the whole leg is turned about the L, P and S axis through the joint in the MR.
    :param mr_shift_mm: by which the joint lies elsewhere in the MR, (L, P, S).
    :param regions: trabecular bone by (bone, "medial" or "lateral"), its plate with it; without it bone is grey.
    :param family: of the trabecular structure, see `microstructure.families`.
    :raises BadInput: flexions more than 20 degrees apart, and what `SimulatedKnee` refuses.
    """

    seed: int = 0
    side: Literal["left", "right"] = "right"
    joint_space_mm: tuple[float, float] = (4.0, 4.8)
    ct_flexion_deg: float = 8.0
    mr_flexion_deg: float = 15.0
    ct_turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mr_turn_deg: tuple[float, float, float] = (2.0, -3.0, 6.0)
    ct_centre_lps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mr_shift_mm: tuple[float, float, float] = (5.0, -8.0, 12.0)
    plate_mm: float = 1.0
    plate_spread: float = 0.12
    patella_gap_mm: float = 4.5
    regions: Mapping[tuple[str, str], RegionTraits] | None = None
    family: str = "ribbon"

    def __post_init__(self) -> None:
        if abs(self.ct_flexion_deg - self.mr_flexion_deg) > MOST_FLEXION_APART_DEG:
            raise BadInput(
                f"a knee bent by {self.ct_flexion_deg:g} degrees in the CT and {self.mr_flexion_deg:g} in the MR "
                f"cannot be simulated: give angles at most {MOST_FLEXION_APART_DEG:g} degrees apart."
            )

    @cached_property
    def in_ct(self) -> SimulatedKnee:
        """The knee as it lies in the CT."""
        return self._knee(self.ct_flexion_deg, self.ct_turn_deg, self.ct_centre_lps)

    @cached_property
    def in_mr(self) -> SimulatedKnee:
        """The knee as it lies in the MR."""
        centre = tuple(float(a + b) for a, b in zip(self.ct_centre_lps, self.mr_shift_mm, strict=True))
        return self._knee(self.mr_flexion_deg, self.mr_turn_deg, centre)

    @cached_property
    def microstructure(self) -> KneeMicrostructure | None:
        """The trabeculae, the same in both scans."""
        if self.regions is None:
            return None
        knee = self._without_structure
        own = {bone.name: BoneShape(bone.form) for bone in knee.shapes.bones}
        return KneeMicrostructure(
            {name: knee.tissue(bone) for name, bone in own.items()}, self.regions, self.family, self.seed
        )

    def ct(self, scan: CtScan, grid: Volume | None = None, seed: int = 0) -> Volume:
        """The CT: HU, int16, as a scan by a profile records it.

        :param grid: `ct_grid` unless given.
        :param seed: of the noise.
        """
        grid = grid or self.ct_grid(scan)
        hu = self.in_ct.hu_without_noise(grid, scan.scanner, scan.bone_hu, scan.marrow_hu)
        hu = hardened(with_table(hu, grid, scan), grid, scan)
        return replace(grid, array=recorded(hu, grid, scan, np.random.default_rng([seed, 7])))

    def mr(self, scan: MrScan, grid: Volume | None = None, seed: int = 0) -> Volume:
        """The MR: magnitude, float32, 1 is the brightest tissue but fluid; grid and seed as of `ct`."""
        return self.in_mr.mr(grid or self.mr_grid(scan), scan, seed)

    def ct_labels(self, grid: Volume) -> Volume:
        """Filled bones in the CT as in `knee_shapes.LABELS`, uint8."""
        return self.in_ct.labels(grid)

    def mr_labels(self, grid: Volume) -> Volume:
        """The same in the MR."""
        return self.in_mr.labels(grid)

    def ct_grid(self, scan: CtScan, size_mm: tuple[float, float, float] = CT_SIZE_MM) -> Volume:
        """Axial slices around the joint with the voxels of a scan; `size_mm` along L, P and S."""
        return self.in_ct.grid(scan.spacing_mm, size_mm)

    def mr_grid(self, scan: MrScan, size_mm: tuple[float, float, float] = MR_SIZE_MM) -> Volume:
        """Sagittal slices around the joint with the voxels of a scan; `size_mm` along columns, rows and slices."""
        middle = self.in_mr.pose.out(np.array([[0.0, 8.0, 6.0]]))[0]
        return grid_around(tuple(middle.tolist()), size_mm, scan.spacing_mm, SAGITTAL)

    def motion(self, bone: str) -> Pose:
        """How a bone moved: from its place in the CT to that in the MR, both in LPS mm; exact.

        :raises KeyError: no such bone.
        """
        before, after = self._place(self.in_ct, bone), self._place(self.in_mr, bone)
        back = Pose(before.matrix.T, -before.matrix.T @ before.translation)
        return after.after(back)

    def transform(self, bone: str) -> sitk.Euler3DTransform:
        """`motion` for SimpleITK: maps points of the CT to those of the MR, so it resamples the MR on the CT's grid."""
        motion = self.motion(bone)
        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.ct_centre_lps)
        transform.SetMatrix(motion.matrix.ravel().tolist(), 1e-9)
        shift = motion.out(np.array([self.ct_centre_lps]))[0] - self.ct_centre_lps
        transform.SetTranslation(shift.tolist())
        return transform

    def transforms(self) -> dict[str, sitk.Euler3DTransform]:
        """`transform` of every bone."""
        return {bone: self.transform(bone) for bone in LABELS}

    def structure_at(
        self,
        bone: str,
        centre_lps: tuple[float, float, float],
        axes_lps: np.ndarray | None = None,
        edge_mm: float = 8.0,
        spacing_mm: float = FINE_MM,
    ) -> np.ndarray:
        """The true bone in a cube, bool [k, j, i]; places and axes are those of the CT.

        :param axes_lps: unit vectors of the i, j and k axis as columns [3, 3]; L, P and S if not given.
        :raises BadInput: a pair without `regions`, or a bone without structure.
        """
        if self.microstructure is None or not self.microstructure.has(bone):
            raise BadInput(f"the {bone} of this knee has no trabeculae: give traits of its medial and lateral region.")
        place = self._place(self.in_ct, bone)
        axes = place.matrix.T @ (np.eye(3) if axes_lps is None else np.asarray(axes_lps, float))
        centre = place.into(np.asarray(centre_lps, float)[None])[0]
        return self.microstructure.structure_at(bone, centre, axes, edge_mm, spacing_mm)

    @cached_property
    def _without_structure(self) -> SimulatedKnee:
        plates = None
        if self.regions is not None:
            bones = {bone for bone, _ in self.regions}
            plates = {
                bone: tuple(self.regions[bone, side].plate_mm for side in ("medial", "lateral"))
                for bone in bones
                if all((bone, side) in self.regions for side in ("medial", "lateral"))
            }
        return SimulatedKnee(
            self.seed,
            self.side,
            self.joint_space_mm,
            plate_mm=self.plate_mm,
            plate_spread=self.plate_spread,
            patella_gap_mm=self.patella_gap_mm,
            plates_mm=plates,
        )

    def _knee(
        self, flexion_deg: float, turn_deg: tuple[float, float, float], centre_lps: tuple[float, float, float]
    ) -> SimulatedKnee:
        return replace(
            self._without_structure,
            flexion_deg=flexion_deg,
            tilt_deg=turn_deg,
            centre_lps=centre_lps,
            microstructure=self.microstructure,
        )

    @staticmethod
    def _place(knee: SimulatedKnee, bone: str) -> Pose:
        """From a bone's own frame to LPS."""
        return knee.pose.after(knee.shapes.bone(bone).pose)
