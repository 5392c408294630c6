"""The grid on which bones are looked for: upright axes and cubic voxels, and the way back to the grid of the CT."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from SubchondralBoneAnalysisLib.volume import Volume

PADDING_HU = -1024.0
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def image_of(volume: Volume) -> sitk.Image:
    """A volume as a SimpleITK image of the same geometry; bool as 0 and 1."""
    array = volume.array
    image = sitk.GetImageFromArray(array.view(np.uint8) if array.dtype == bool else array)
    image.SetSpacing([float(s) for s in volume.spacing_mm[::-1]])
    image.SetOrigin([float(o) for o in volume.origin_lps])
    image.SetDirection([float(d) for d in volume.direction_lps])
    return image


def upright(volume: Volume, voxel_mm: float, smoothing_mm: float = 0.0) -> Volume:
    """A volume on cubic voxels whose axes i, j, k run to the left, the back and the head; float32.

    Its box holds the whole volume; beyond it the padding of CT stands. Grey values are smoothed by a Gaussian (standard
    deviation in mm) before, so that coarser voxels do not alias.
    """
    image = sitk.Cast(image_of(volume), sitk.sitkFloat32)
    if smoothing_mm > 0:
        image = sitk.SmoothingRecursiveGaussian(image, smoothing_mm)
    size = image.GetSize()
    corners = [
        image.TransformContinuousIndexToPhysicalPoint(
            [(n - 0.5) if high else -0.5 for n, high in zip(size, c, strict=True)]
        )
        for c in np.ndindex(2, 2, 2)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    counts = np.maximum(1, np.floor((high - low) / voxel_mm + 1e-6)).astype(int)
    origin = (low + high) / 2 - (counts - 1) / 2 * voxel_mm
    grid = sitk.Resample(
        image, counts.tolist(), sitk.Transform(), sitk.sitkLinear, origin.tolist(), [voxel_mm] * 3, UPRIGHT, PADDING_HU
    )
    return Volume(sitk.GetArrayFromImage(grid), (voxel_mm,) * 3, tuple(origin.tolist()), UPRIGHT)


def on_grid_of(values: Volume, other: Volume, outside: float = 0.0) -> np.ndarray:
    """The values of a volume, float32 [k, j, i], at the voxels of another, by linear interpolation."""
    reference = other.array
    image = sitk.Resample(
        sitk.Cast(image_of(values), sitk.sitkFloat32),
        [int(n) for n in reference.shape[::-1]],
        sitk.Transform(),
        sitk.sitkLinear,
        [float(o) for o in other.origin_lps],
        [float(s) for s in other.spacing_mm[::-1]],
        [float(d) for d in other.direction_lps],
        outside,
    )
    return sitk.GetArrayFromImage(image)
