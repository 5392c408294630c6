"""Mean intercept length and degree of anisotropy, from the counts of local configurations.

The mean intercept length of a direction is the length of test lines over how often they meet the bone surface
(Whitehouse, J Microsc 101:153, 1974); an ellipsoid is fitted to it (Harrigan and Mann, J Mater Sci 19:761, 1984). The
lines are those of the 13 directions between neighbouring voxels: there a voxel image crosses a surface just as often
as the body itself does, so no direction is favoured by the steps of the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.lattice_directions import STEPS, unit_vectors
from SubchondralBoneAnalysisLib.surface_measures import crossings_per_mm


@dataclass(frozen=True)
class InterceptEllipsoid:
    """The ellipsoid of mean intercept lengths.

    `lengths_mm` (3,) of its half axes, the longest first; `axes` (3, 3), a unit vector along k, j, i in each row.
    """

    lengths_mm: np.ndarray
    axes: np.ndarray

    @property
    def degree_of_anisotropy(self) -> float:
        """Longest over shortest mean intercept length: 1 where there is no preferred direction."""
        return float(self.lengths_mm[0] / self.lengths_mm[2])

    @property
    def degree_of_anisotropy_0_to_1(self) -> float:
        """1 - (shortest over longest mean intercept length)^2, as BoneJ gives it: 0 where there is no preferred one."""
        return float(1 - (self.lengths_mm[2] / self.lengths_mm[0]) ** 2)


def intercept_ellipsoid(counts: np.ndarray, spacing_mm: tuple[float, float, float]) -> InterceptEllipsoid | None:
    """The ellipsoid of a structure with configuration counts (256,) and voxels of `spacing_mm` (k, j, i).

    None where some direction meets hardly a surface, as along parallel plates or rods: then no ellipsoid is closed.
    """
    crossings = crossings_per_mm(counts, spacing_mm)
    if not (crossings > 0).all():
        return None
    directions, _ = unit_vectors(STEPS, spacing_mm)
    # d' M d = 1 / MIL^2 for a unit vector d; every direction counts by its relative error.
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    terms = np.stack([directions[:, a] * directions[:, b] * (1 if a == b else 2) for a, b in pairs], axis=1)
    found = np.linalg.lstsq(terms / crossings[:, None] ** 2, np.ones(len(STEPS)), rcond=None)[0]
    matrix = np.zeros((3, 3))
    for value, (a, b) in zip(found, pairs, strict=True):
        matrix[a, b] = matrix[b, a] = value
    values, vectors = np.linalg.eigh(matrix)
    if values[0] <= 1e-6 * values[2]:
        return None
    return InterceptEllipsoid(1 / np.sqrt(values), vectors.T)
