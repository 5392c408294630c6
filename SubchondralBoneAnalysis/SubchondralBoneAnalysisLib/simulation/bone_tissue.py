"""What a simulated bone is made of: a shell of cortex, thin as the subchondral plate, and trabecular bone in marrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.simulation.implicit_shapes import bell
from SubchondralBoneAnalysisLib.simulation.knee_shapes import BoneShape, Bumps

PLATE_HU, CORTEX_HU, MARROW_HU = 1250.0, 1600.0, -60.0
TRABECULA_HU = 1750.0 - MARROW_HU  # of solid trabecular tissue above marrow
SHAFT = {  # where the shaft begins and is whole, mm from the joint, and how thick its cortex is
    "femur": (55.0, 110.0, 4.5),
    "tibia": (28.0, 85.0, 4.5),
    "fibula": (12.0, 50.0, 2.5),
}
GRAIN_OF_BONE = 0.6  # SD of trabecular bone from place to place over its mean, before a scanner's blur
HALVES_OVER_MM = 4.0  # of the middle, over which the plate of one half goes over into that of the other
BESIDE_THINNER = 0.35  # of the plate, by which the shell is thinner where bone is not borne on


@dataclass(frozen=True, eq=False)
class BoneTissue:
    """The inside of a bone.

    :param plate_mm: thickness of the shell at the joint, measured along the normal from the outer surface.
    :param waves: by how many mm it is thicker or thinner from place to place; None is even.
    :param halves_mm: instead of `plate_mm`, that of the (medial, lateral) half.
    """

    bone: BoneShape
    plate_mm: float
    waves: Bumps | None = None
    density: float = 1.0
    halves_mm: tuple[float, float] | None = None

    @property
    def thickest_mm(self) -> float:
        """Thickness of the shell where it is thickest."""
        return max(2.0 * max(self.plate_mm, *(self.halves_mm or (0.0,))), SHAFT.get(self.bone.name, (0, 0, 0.0))[2])

    def shaft(self, points: np.ndarray) -> np.ndarray:
        """0 at the joint to 1 in the shaft, [n], for points [n, 3] of the knee frame."""
        if self.bone.name not in SHAFT:
            return np.zeros(len(points))
        start, end, _ = SHAFT[self.bone.name]
        from_joint = np.abs(self.bone.pose.into(points)[:, 2]) / self.bone.size
        part = np.clip((from_joint - start) / (end - start), 0.0, 1.0)
        return part * part * (3.0 - 2.0 * part)

    def shell_mm(self, feet: np.ndarray) -> np.ndarray:
        """Thickness [n] of the shell at points [n, 3] of the outer surface."""
        plate = self._even_plate_mm(feet)
        if self.waves is not None:
            plate = np.maximum(plate + self.waves(*self.bone.pose.into(feet).T), 0.4 * plate)
        if self.bone.name not in SHAFT:
            return plate
        plate = plate * (1.0 - BESIDE_THINNER * self._beside_joint(feet))
        return plate + self.shaft(feet) * (SHAFT[self.bone.name][2] - plate)

    def _even_plate_mm(self, feet: np.ndarray) -> np.ndarray:
        if self.halves_mm is None:
            return np.full(len(feet), self.plate_mm)
        medial, lateral = self.halves_mm
        x = self.bone.pose.into(feet)[:, 0]
        return medial + (lateral - medial) * (0.5 + 0.5 * np.tanh(x / HALVES_OVER_MM))

    def _beside_joint(self, feet: np.ndarray) -> np.ndarray:
        """0 where femur and tibia bear on each other, to 1 on the sides of the condyles."""
        x, _, z = (self.bone.pose.into(feet) / self.bone.size).T
        if self.bone.name == "femur":
            return np.clip((np.abs(x) - 31.0) / 5.0, 0.0, 1.0)
        return np.clip((-9.0 - z) / 6.0, 0.0, 1.0)

    def shell_hu(self, feet: np.ndarray) -> np.ndarray:
        """HU [n] of the shell at points [n, 3] of the outer surface."""
        return PLATE_HU + (CORTEX_HU - PLATE_HU) * self.shaft(feet)

    def trabecular_hu(self, points: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
        """By how many HU [n] trabecular bone below the shell is brighter than marrow; denser near the surface."""
        x, y, z = self.bone.pose.into(points).T / self.bone.size
        from_joint = np.maximum(np.abs(z) - 15.0, 0.0)
        dense = 110.0 + 320.0 * bell(np.maximum(depth_mm, 0.0) / 10.0)
        if self.bone.name == "patella":
            dense = 1.4 * dense
        else:
            dense = dense * bell(from_joint / 34.0)
        # Bone is denser here and there; the more of it the higher its contrast to the marrow.
        uneven = 1.0 + 0.22 * np.sin(0.21 * x + 1.0) * np.sin(0.17 * y + 0.5) + 0.15 * np.sin(0.16 * (x + y - z))
        return self.density * (1.0 - self.shaft(points) ** 0.5) * dense * uneven
