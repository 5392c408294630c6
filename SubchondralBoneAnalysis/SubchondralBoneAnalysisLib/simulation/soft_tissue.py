"""Skin, fat, muscles and tendons around the bones of a simulated knee: plausible, not exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.simulation.implicit_shapes import ellipse, ellipsoid, smooth_min
from SubchondralBoneAnalysisLib.simulation.knee_shapes import KneeShapes
from SubchondralBoneAnalysisLib.simulation.pose import Pose
from SubchondralBoneAnalysisLib.simulation.textured_noise import TexturedNoise

AIR_HU, SKIN_HU, FAT_HU, MUSCLE_HU, TENDON_HU, JOINT_HU = -1000.0, 20.0, -105.0, 55.0, 80.0, 40.0
CARTILAGE_HU = 100.0
SKIN_MM = 1.6
CARTILAGE_MM = 2.2
JOINT_MM = 6.0  # from femur and tibia or patella both: what is joint and not fat

# (x, y) of the middle, half axes, and the height z from which a muscle goes on up (thigh) or down (calf).
THIGH_MUSCLES = (
    ((-27.0, -2.0), (22.0, 30.0), 42.0),  # vastus medialis
    ((29.0, -4.0), (19.0, 30.0), 50.0),  # vastus lateralis
    ((0.0, -28.0), (24.0, 11.0), 65.0),  # rectus and vastus intermedius
    ((-26.0, 42.0), (14.0, 13.0), -18.0),  # semimembranosus, semitendinosus
    ((28.0, 40.0), (12.0, 13.0), -14.0),  # biceps
    ((0.0, 24.0), (40.0, 18.0), 85.0),  # adductors and hamstrings
)
CALF_MUSCLES = (
    ((-18.0, 46.0), (19.0, 16.0), 42.0),  # gastrocnemius, medial head
    ((18.0, 45.0), (17.0, 15.0), 38.0),  # lateral head
    ((2.0, 36.0), (40.0, 26.0), -12.0),  # popliteus, soleus, deep flexors
    ((30.0, 6.0), (13.0, 24.0), -28.0),  # extensors of the foot
)


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """Limb around the bones of `shapes`; `fat_mm` below the skin."""

    shapes: KneeShapes
    streaks: TexturedNoise
    fat_mm: float = 8.0
    girth: float = 1.0

    def fields(self, points: np.ndarray) -> np.ndarray:
        """What `hu` is made from, [f, n], at points [n, 3] of the knee frame."""
        bones = self.shapes
        return np.stack(
            [
                self.skin(points),
                self.muscle(points),
                self.tendon(points),
                bones.femur.value(points),
                np.minimum(bones.tibia.value(points), bones.patella.value(points)),
                self.streaks(points),
            ]
        )

    def hu(self, fields: np.ndarray, edge: Callable[[np.ndarray, float], np.ndarray], sd_mm: float) -> np.ndarray:
        """HU as if there were no bone, from `fields` [f, ...].

        :param edge: edge response of the scanner at a depth in mm and for an SD of its blur in mm.
        """
        skin, muscle, tendon, femur, others, streak = fields
        hu = FAT_HU + 8.0 * streak
        muscle = np.maximum(muscle + 1.5 * np.maximum(streak - 0.8, 0.0), skin + self.fat_mm)
        hu += (MUSCLE_HU + 4.0 * streak - hu) * edge(-muscle, sd_mm + 0.2)
        gap = np.maximum(femur, others)
        hu += (JOINT_HU - hu) * edge(JOINT_MM - gap, sd_mm + 0.3)
        # Between the bones: not farther from one than its cartilage is thick.
        hu += (CARTILAGE_HU - hu) * edge(np.minimum(CARTILAGE_MM - np.minimum(femur, others), 5.0 - gap), sd_mm)
        hu += (TENDON_HU - hu) * edge(-tendon, sd_mm)
        hu += (SKIN_HU - hu) * edge(skin + SKIN_MM, sd_mm)
        return AIR_HU + (hu - AIR_HU) * edge(-skin, sd_mm)

    def skin(self, points: np.ndarray) -> np.ndarray:
        """Near to the distance [n] from the skin, negative inside, for points [n, 3] of the knee frame."""
        thigh = self.shapes.femur.pose.into(points)
        x, y, z = points.T
        wide, size = self.girth * self.shapes.tibia.size, self.shapes.tibia.size
        up = np.maximum(thigh[:, 2] - 20.0, 0.0) * 0.10
        around_thigh = ellipse(thigh[:, 0], thigh[:, 1] - 8.0, wide * 53.0 + up, wide * 55.0 + up)
        down = np.maximum(-z - 20.0, 0.0)
        around_calf = ellipse(x, y - 26.0 * wide, wide * 52.0 - 0.02 * down, wide * 54.0)
        share = 0.5 + 0.5 * np.tanh(z / 22.0)
        limb = around_calf + share * (around_thigh - around_calf)
        px, py, pz = self.shapes.patella.pose.into(points).T
        over_patella = ellipsoid(px, py, pz, 32.0 * size, 21.0 * size, 34.0 * size)
        return smooth_min(limb, over_patella, 18.0)

    def muscle(self, points: np.ndarray) -> np.ndarray:
        """Near to the distance from the nearest muscle."""
        size = self.shapes.tibia.size
        thigh = self._muscles(THIGH_MUSCLES, self.shapes.femur.pose, points, size, 1.0)
        return np.minimum(thigh, self._muscles(CALF_MUSCLES, self.shapes.tibia.pose, points, size, -1.0))

    @staticmethod
    def _muscles(muscles: tuple, pose: Pose, points: np.ndarray, size: float, away: float) -> np.ndarray:
        x, y, z = (pose.into(points) / size).T
        nearest = np.full(len(points), np.inf)
        for (x0, y0), (a, b), start in muscles:
            # A muscle begins thin and is whole after 45 mm.
            along = away * (z - start)
            part = np.clip(along / 45.0, 0.04, 1.0) ** 0.5
            body = np.maximum(ellipse(x - x0, y - y0, a * part, b * part), -along)
            nearest = np.minimum(nearest, body)
        return nearest * size

    def tendon(self, points: np.ndarray) -> np.ndarray:
        """Near to the distance from the patellar and quadriceps tendons."""
        size = self.shapes.patella.size
        patella = self.shapes.patella.pose
        apex, base = patella.out(size * np.array([[0.0, -4.0, -18.0], [0.0, -4.0, 18.0]]))
        tuberosity = self.shapes.tibia.pose.out(size * np.array([[2.0, -22.0, -36.0]]))[0]
        above = self.shapes.femur.pose.out(size * np.array([[3.0, -36.0, 110.0]]))[0]
        return np.minimum(_band(points, apex, tuberosity, 11.0, 3.0), _band(points, base, above, 13.0, 4.0))


def _band(points: np.ndarray, start: np.ndarray, end: np.ndarray, half_width: float, half_depth: float) -> np.ndarray:
    """Near to the distance from a flat band between two points, wide along x."""
    way = end - start
    part = np.clip(((points - start) @ way) / (way @ way), 0.0, 1.0)
    x, y, z = (points - start - part[:, None] * way).T
    return ellipse(x, np.hypot(y, z), half_width, half_depth)
