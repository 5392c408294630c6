"""What is around and between the bones of a simulated knee, from cartilage to skin: plausible, not exact.

One description serves all scanners: tissues lie one over the other, each hides what is below it where it is, and the
scanner blurs its edges. CT and MR differ in the values of the tissues only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.simulation.cartilage import Cartilage, above_cartilage
from SubchondralBoneAnalysisLib.simulation.implicit_shapes import ellipse, ellipsoid, smooth_min
from SubchondralBoneAnalysisLib.simulation.knee_shapes import KneeShapes
from SubchondralBoneAnalysisLib.simulation.ligaments import extensor_tendons, ligaments, popliteal_vessels
from SubchondralBoneAnalysisLib.simulation.menisci import meniscus_depth, meniscus_ring
from SubchondralBoneAnalysisLib.simulation.textured_noise import TexturedNoise

CARTILAGE_HU = 100.0
TISSUE_HU = {
    "air": -1000.0,
    "skin": 20.0,
    "fat": -105.0,
    "muscle": 55.0,
    "blood": 45.0,
    "synovium": 40.0,
    "fluid": 20.0,
    "tendon": 80.0,
    "ligament": 75.0,
    "meniscus": 95.0,
    "cartilage": CARTILAGE_HU,
}
# By how much of itself a tissue is brighter at one SD of its streaks.
GRAIN_HU = {"fat": 8.0 / TISSUE_HU["fat"], "muscle": 4.0 / TISSUE_HU["muscle"]}
SKIN_MM = 1.6
JOINT_MM = 6.0  # from femur and tibia or patella both: what is joint and not fat
FLUID_MM = 0.7  # from the cartilage of both: what is fluid

# (x, y) of the middle, half axes, and the height z from which a muscle goes on up (thigh) or down (calf).
THIGH_MUSCLES = (
    ((-27.0, -2.0), (22.0, 30.0), 42.0),  # vastus medialis
    ((29.0, -4.0), (19.0, 30.0), 50.0),  # vastus lateralis
    ((0.0, -28.0), (24.0, 11.0), 65.0),  # rectus and vastus intermedius
    ((-27.0, 44.0), (17.0, 17.0), -22.0),  # semimembranosus, semitendinosus
    ((28.0, 43.0), (15.0, 17.0), -16.0),  # biceps
    ((0.0, 24.0), (40.0, 18.0), 85.0),  # adductors and hamstrings
)
CALF_MUSCLES = (
    ((-19.0, 49.0), (20.0, 20.0), 46.0),  # gastrocnemius, medial head
    ((19.0, 48.0), (18.0, 19.0), 42.0),  # lateral head
    ((2.0, 36.0), (40.0, 26.0), -12.0),  # popliteus, soleus, deep flexors
    ((30.0, 6.0), (13.0, 24.0), -28.0),  # extensors of the foot
)


@dataclass(frozen=True, eq=False)
class SoftTissue:
    """Limb around the bones of `shapes`; `fat_mm` below the skin.

    :param effusion_mm: thickness of the fluid in the pouch above the patella.
    """

    shapes: KneeShapes
    streaks: TexturedNoise
    cartilage: Cartilage
    fat_mm: float = 8.0
    girth: float = 1.0
    effusion_mm: float = 1.5

    def fields(self, points: np.ndarray) -> np.ndarray:
        """What `layers` is made from, [f, n], at points [n, 3] of the knee frame: all of it changes slowly."""
        bones = self.shapes
        femur = bones.femur.value(points)
        return np.stack(
            [
                self.skin(points),
                self.muscle(points),
                extensor_tendons(bones, points),
                ligaments(bones, points),
                popliteal_vessels(bones, points),
                femur,
                bones.tibia.value(points),
                bones.patella.value(points),
                *self.cartilage.thickness_mm(points),
                meniscus_ring(bones.tibia, points),
                self._pouch(points, femur),
                self.streaks(points),
            ]
        )

    def layers(
        self, fields: np.ndarray, edge: Callable[[np.ndarray, float], np.ndarray], sd_mm: float
    ) -> Iterator[tuple[str, np.ndarray]]:
        """(tissue of `TISSUE_HU`, part that it hides of what is below it), one over the other, without the bones.

        :param fields: [f, ...] as of `fields`.
        :param edge: edge response of a scanner at a depth in mm and for an SD of its blur in mm.
        """
        skin, muscle, tendon, ligament, vessel, femur, tibia, patella, *thickness, ring, pouch, streak = fields
        muscle = np.maximum(muscle + 1.5 * np.maximum(streak - 0.8, 0.0), skin + self.fat_mm)
        yield "muscle", edge(-muscle, sd_mm + 0.2)
        yield "blood", edge(-vessel, sd_mm)
        gap = np.maximum(femur, np.minimum(tibia, patella))
        yield "synovium", edge(JOINT_MM - gap, sd_mm + 0.3)
        on_femur, on_others = above_cartilage(femur, tibia, patella, np.stack(thickness))
        between = np.maximum(on_femur, on_others)
        yield "fluid", edge(np.maximum(FLUID_MM - between, pouch), sd_mm)
        yield "ligament", edge(-ligament, sd_mm)
        yield "meniscus", edge(meniscus_depth(ring, on_femur, on_others), sd_mm)
        yield "cartilage", edge(-np.minimum(on_femur, on_others), sd_mm)
        yield "tendon", edge(-tendon, sd_mm)
        yield "skin", edge(skin + SKIN_MM, sd_mm)
        yield "air", edge(skin, sd_mm)

    def mixed(
        self,
        fields: np.ndarray,
        edge: Callable[[np.ndarray, float], np.ndarray],
        sd_mm: float,
        values: Mapping[str, tuple[float, ...]],
        grain: Mapping[str, float],
    ) -> np.ndarray:
        """Values [c, ...] float32 of all tissues mixed as the scanner sees them, as if there were no bone.

        :param values: c values of every tissue.
        :param grain: by how much of itself a tissue is brighter at one SD of its streaks.
        """
        streak = fields[-1]
        channels = len(values["fat"])
        mixed = np.empty((channels, *streak.shape), np.float32)
        for c in range(channels):
            mixed[c] = values["fat"][c] * (1.0 + grain["fat"] * streak)
        for tissue, cover in self.layers(fields, edge, sd_mm):
            for c in range(channels):
                value = values[tissue][c]
                if grain.get(tissue):
                    value = value * (1.0 + grain[tissue] * streak)
                mixed[c] += (value - mixed[c]) * cover
        return mixed

    def hu(self, fields: np.ndarray, edge: Callable[[np.ndarray, float], np.ndarray], sd_mm: float) -> np.ndarray:
        """HU as if there were no bone, from `fields` [f, ...]; see `layers`."""
        return self.mixed(fields, edge, sd_mm, {name: (hu,) for name, hu in TISSUE_HU.items()}, GRAIN_HU)[0]

    def _pouch(self, points: np.ndarray, femur: np.ndarray) -> np.ndarray:
        """Depth [n] in the fluid of the suprapatellar pouch: a layer between the fat on the femur and the tendon."""
        x, y, z = (self.shapes.femur.pose.into(points) / self.shapes.femur.size).T
        layer = 0.5 * self.effusion_mm - np.abs(femur - 4.0)
        return np.minimum(layer, -ellipsoid(x - 1.0, y + 30.0, z - 63.0, 17.0, 14.0, 17.0))

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
