"""Where a thing stands: a rotation and a translation, or a mirror image with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class Pose:
    """point outside = matrix @ point inside + translation; matrix orthogonal, with determinant -1 for a mirror."""

    matrix: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def out(self, points: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the thing's own frame, in the frame outside."""
        return points @ self.matrix.T + self.translation

    def into(self, points: np.ndarray) -> np.ndarray:
        """Points [n, 3] of the frame outside, in the thing's own frame."""
        return (points - self.translation) @ self.matrix

    def after(self, first: Pose) -> Pose:
        """`first` and then this."""
        return Pose(self.matrix @ first.matrix, self.matrix @ first.translation + self.translation)


def turned(angles_deg: tuple[float, float, float], about: np.ndarray | None = None) -> Pose:
    """Rotation about the x, then y, then z axis through the point `about` (the origin if not given)."""
    matrix = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    centre = np.zeros(3) if about is None else np.asarray(about, float)
    return Pose(matrix, centre - matrix @ centre)


def moved(x: float, y: float, z: float) -> Pose:
    """Translation in mm."""
    return Pose(np.eye(3), np.array([x, y, z], float))
