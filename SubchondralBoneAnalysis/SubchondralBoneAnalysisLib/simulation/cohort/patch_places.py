"""Where the patches of a simulated whole knee lie: under the places where femur and tibia bear on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.simulation.bone_block import ABOVE_PATCH_MM, PATCH_MM
from SubchondralBoneAnalysisLib.simulation.knee_shapes import KneeShapes

# In the bone's own frame for size 1 (x lateral, y posterior, z superior), mm: above the plateau, below the condyles.
BESIDE_MM = 20.0
FROM = {
    ("tibia", 1): (-7.0, 6.0),
    ("tibia", 2): (6.0, 5.0),
    ("femur", 1): (-3.0, -6.0),
    ("femur", 2): (12.0, -6.0),
}


@dataclass(frozen=True, eq=False)
class PatchPlace:
    """A cube under the surface.

    :param centre_lps: its middle, mm.
    :param axes_lps: [3, 3], rows are the directions of i, j, k; k is the normal out of the bone.
    """

    name: str
    bone: str
    compartment: str
    centre_lps: np.ndarray
    axes_lps: np.ndarray


def patch_places(shapes: KneeShapes, pose: Pose, plate_mm: dict[tuple[str, str], float]) -> list[PatchPlace]:
    """Two patches in each compartment of femur and tibia.

    :param pose: from the knee frame to LPS.
    :param plate_mm: of each (bone, compartment): the patches hang below it.
    """
    found = []
    for (bone, number), (y, z) in FROM.items():
        shape = shapes.bone(bone)
        for compartment, sign in (("medial", -1.0), ("lateral", 1.0)):
            start = shape.pose.out(shape.size * np.array([[sign * BESIDE_MM, y, z]]))
            near = shape.nearest(start, deep=True)
            normal = near.normal[0] @ pose.matrix.T
            deep = plate_mm[bone, compartment] + ABOVE_PATCH_MM[1] + 0.5 * PATCH_MM
            centre = pose.out(near.foot)[0] - deep * normal
            name = f"{bone}_{compartment}_{number}"
            found.append(PatchPlace(name, bone, compartment, centre, _axes(normal)))
    return found


def _axes(normal: np.ndarray) -> np.ndarray:
    """Rows i, j, k of a right-handed frame whose k is the normal and whose i lies near L."""
    along = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    along /= np.linalg.norm(along)
    return np.stack([along, np.cross(normal, along), normal])
