"""Distances on a grid, several times as fast as those of SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk


def distance_to(mask: np.ndarray, spacing_mm: float | Sequence[float]) -> np.ndarray:
    """Distance [k, j, i] in mm, float32, to the middle of the nearest voxel of a mask; 0 in it, infinite without one.

    Maurer, Qi and Raghavan, IEEE Trans Pattern Anal Mach Intell 2003;25:265.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    image.SetSpacing([float(mm) for mm in np.broadcast_to(spacing_mm, 3)[::-1]])
    signed = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
    return np.maximum(signed, 0, out=signed)
