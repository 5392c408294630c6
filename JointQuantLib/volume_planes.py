"""Three slices of a volume along its own index axes: how each lies on the screen, and where its axes point in a body.

Arrays are [k, j, i]; array axis 0 is k. A direction matrix is that of SimpleITK: nine numbers, row by row, and column c
is the unit vector in LPS along index axis c of (i, j, k).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AXIS_NAMES = "kji"  # by array axis


@dataclass(frozen=True)
class Plane:
    """A slice across array axis `across`; the array axes `right` and `vertical` lie on the screen."""

    across: int
    right: int
    vertical: int
    upward: bool  # whether the vertical index grows upward on the screen, else downward

    @property
    def name(self) -> str:
        return AXIS_NAMES[self.across]

    def cut(self, volume: np.ndarray, index: int) -> np.ndarray:
        """The slice at an index as [row, column], the first row at the top of the screen."""
        picture = volume.take(index, axis=self.across)
        return picture[::-1] if self.upward else picture


# In a volume whose i, j, k run along L, P, S these are Slicer's axial, coronal and sagittal slices.
PLANES = (Plane(0, 2, 1, upward=False), Plane(1, 2, 0, upward=True), Plane(2, 1, 0, upward=True))


def middle_of(size: tuple[int, int, int], region: np.ndarray | None) -> tuple[int, int, int]:
    """Index [k, j, i] of the middle of the box around a region, of the middle of the volume where there is none."""
    if region is None or not region.any():
        return tuple(n // 2 for n in size)
    middle = []
    for axis in range(3):
        taken = np.flatnonzero(region.any(axis=tuple(a for a in range(3) if a != axis)))
        middle.append(int(taken[0] + taken[-1] + 1) // 2)
    return tuple(middle)


def axis_letters(direction_lps: list[float]) -> tuple[str, str, str] | None:
    """Where array axes 0, 1, 2 (k, j, i) point to: "S", or "SA" where they run obliquely, the nearer one first.

    None for the identity matrix, which is what a file holds that knows nothing of a body.
    """
    direction = np.asarray(direction_lps, dtype=float).reshape(3, 3)
    if np.allclose(direction, np.eye(3), atol=1e-6):
        return None
    return tuple(_letters(direction[:, 2 - axis]) for axis in range(3))


def opposite(letters: str) -> str:
    """The letters of the other end of an axis."""
    return letters.translate(str.maketrans("LRPASI", "RLAPIS"))


def _letters(vector_lps: np.ndarray) -> str:
    order = [axis for axis in np.argsort(-np.abs(vector_lps)) if abs(vector_lps[axis]) > 0.3]
    return "".join(
        ("L" if vector_lps[a] > 0 else "R", "P" if vector_lps[a] > 0 else "A", "S" if vector_lps[a] > 0 else "I")[a]
        for a in order
    )
