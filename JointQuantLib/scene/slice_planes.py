"""The three slices of a volume along its own axes, as slice views need them: in RAS and millimetres."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.frames import RAS_FROM_LPS
from JointQuantLib.volume_planes import Plane


def ras_from_ijk(about: dict) -> np.ndarray:
    """The IJK-to-RAS matrix of the `volume` of a morphometry result, whose numbers are in LPS."""
    lps = np.eye(4)
    spacing_ijk = np.array(about["spacing_mm_kji"][::-1], dtype=float)
    lps[:3, :3] = np.reshape(about["direction_lps"], (3, 3)) * spacing_ijk
    lps[:3, 3] = about["origin_lps"]
    return RAS_FROM_LPS @ lps


def slice_to_ras(matrix: np.ndarray, plane: Plane, index: int, size_kji: tuple[int, int, int]) -> np.ndarray:
    """The matrix of a slice view: its columns are to the right, upward, across, and the middle of the slice.

    :param matrix: IJK to RAS; `index` is that of the slice on the axis across it, in a volume of size [k, j, i].
    """
    middle_kji = [(n - 1) / 2 for n in size_kji]
    middle_kji[plane.across] = index
    slice_matrix = np.eye(4)
    slice_matrix[:, 3] = matrix @ [*middle_kji[::-1], 1.0]
    for column, axis in enumerate((plane.right, plane.vertical, plane.across)):
        direction = matrix[:3, 2 - axis]
        slice_matrix[:3, column] = direction / np.linalg.norm(direction)
    if not plane.upward:
        slice_matrix[:3, 1] *= -1
    return slice_matrix
