"""A volume as sagittal slices with pixels of one size, as the network sees them, and back onto its own grid."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of
from SubchondralBoneAnalysisLib.volume import Volume

PIXEL_MM = 0.5
THINNEST_MM = 0.7  # from slice to slice; volumes that are not stored as sagittal slices have up to a thousand of them
MOST_OBLIQUE_DEG = 30.0  # up to here the own axes of a volume are taken, whose slices are then not blurred
SAGITTAL = (
    (0.0, 0.0, -1.0),
    (1.0, 0.0, 0.0),
    (0.0, -1.0, 0.0),
)  # columns: i to the back, j to the feet, k to the right
NEIGHBOURS_MM = (-3.0, -1.5, 0.0, 1.5, 3.0)


def to_slices(volume: Volume) -> Volume:
    """The volume [slice, row, column] float32: slices to the right, rows to the feet, columns to the back.

    Pixels are PIXEL_MM; the slices are those of the volume, where it has such and they are THINNEST_MM apart. Its own
    axes are kept where they are within MOST_OBLIQUE_DEG of the patient's, so that left or right, and any way of storing
    the voxels, is seen alike.
    """
    turned = _turned(volume) if _is_upright(volume) else _resampled_upright(volume)
    grid = _grid(turned)
    down, along = (
        _weights(n, s, m, t)
        for n, s, m, t in zip(
            turned.array.shape[1:], turned.spacing_mm[1:], grid.array.shape[1:], grid.spacing_mm[1:], strict=True
        )
    )
    array = np.empty((len(turned.array), *grid.array.shape[1:]), np.float32)
    for slice_in, slice_out in zip(turned.array, array, strict=True):
        slice_out[:] = down @ slice_in.astype(np.float32) @ along.T
    if len(grid.array) != len(array):
        across = _weights(len(array), turned.spacing_mm[0], len(grid.array), grid.spacing_mm[0])
        array = np.tensordot(across, array, 1)
    return replace(grid, array=array)


def from_slices(slices: Volume, like: Volume) -> np.ndarray:
    """Values of `to_slices(like)` at the voxels of `like`, float32 [k, j, i] as that is stored; linear in between."""
    if not _is_upright(like):
        image = sitk.Resample(
            image_of(slices), image_of(replace(like, array=np.broadcast_to(np.uint8(0), like.array.shape))),
            sitk.Transform(), sitk.sitkLinear, float(slices.array.min()), sitk.sitkFloat32, True,
        )  # fmt: skip
        return sitk.GetArrayFromImage(image)
    result = np.empty(like.array.shape, np.float32)
    turned = _turned(replace(like, array=result))
    across, down, along = (
        _weights(n, s, m, t)
        for n, s, m, t in zip(slices.array.shape, slices.spacing_mm, turned.array.shape, turned.spacing_mm, strict=True)
    )
    for weights, slice_out in zip(across, turned.array, strict=True):
        used = np.flatnonzero(weights)
        slice_in = np.tensordot(weights[used], slices.array[used], 1)
        slice_out[:] = down @ slice_in @ along.T
    return result


def neighbours(slices: np.ndarray, step_mm: float, index: int) -> np.ndarray:
    """A slice with those beside it at NEIGHBOURS_MM, linear between slices, [5, row, column].

    At a distance in mm, not in slices: 0.7 or 4 mm between slices look alike to the network. At the ends the last slice
    stands for those beyond.
    """
    places = np.clip(index + np.array(NEIGHBOURS_MM) / step_mm, 0, len(slices) - 1)
    lower = np.minimum(places.astype(int), max(len(slices) - 2, 0))
    share = (places - lower).astype(np.float32)[:, None, None]
    upper = np.minimum(lower + 1, len(slices) - 1)
    return slices[lower] * (1 - share) + slices[upper] * share


def _axes(volume: Volume) -> np.ndarray:
    """[3, 3]: how far the axes i, j, k of the volume (columns) run along those of sagittal slices (rows)."""
    return np.transpose(SAGITTAL) @ np.reshape(volume.direction_lps, (3, 3))


def _is_upright(volume: Volume) -> bool:
    return bool((np.abs(_axes(volume)).max(0) >= math.cos(math.radians(MOST_OBLIQUE_DEG))).all())


def _turned(volume: Volume) -> Volume:
    """The same voxels, not copied, with the axes of sagittal slices."""
    axes = _axes(volume)
    order = np.abs(axes).argmax(1)  # which of i, j, k runs along each axis of a slice
    back = [bool(axes[row, axis] < 0) for row, axis in enumerate(order)]
    directions = np.reshape(volume.direction_lps, (3, 3))
    steps = directions * volume.spacing_mm[::-1]
    array = volume.array.transpose([2 - axis for axis in order[::-1]])
    array = array[tuple(slice(None, None, -1 if turn else None) for turn in back[::-1])]
    origin = np.asarray(volume.origin_lps, float)
    for axis, turn in zip(order, back, strict=True):
        if turn:
            origin = origin + steps[:, axis] * (volume.array.shape[2 - axis] - 1)
    return Volume(
        array,
        tuple(volume.spacing_mm[2 - axis] for axis in order[::-1]),
        tuple(origin.tolist()),
        tuple((directions[:, order] * [-1.0 if turn else 1.0 for turn in back]).ravel().tolist()),
    )


def _grid(turned: Volume) -> Volume:
    """Where the slices lie: in the middle of the volume."""
    stride = max(1, math.ceil(THINNEST_MM / turned.spacing_mm[0] - 1e-3))
    spacing = (turned.spacing_mm[0] * stride, PIXEL_MM, PIXEL_MM)
    extent = np.multiply(turned.array.shape, turned.spacing_mm)
    size = np.maximum(np.round(extent / spacing), 1).astype(int)
    first = ((np.array(turned.array.shape) - 1) * turned.spacing_mm - (size - 1) * spacing) / 2
    origin = turned.origin_lps + np.reshape(turned.direction_lps, (3, 3)) @ first[::-1]
    nothing = np.broadcast_to(np.float32(0), tuple(size))
    return Volume(nothing, spacing, tuple(origin.tolist()), turned.direction_lps)


def _weights(count: int, step_mm: float, wanted: int, wanted_step_mm: float) -> np.ndarray:
    """[wanted, count] float32: linear interpolation, or a mean as wide as the wider step; both lie on one middle."""
    there = (np.arange(count) - (count - 1) / 2) * step_mm
    here = (np.arange(wanted) - (wanted - 1) / 2) * wanted_step_mm
    here = np.clip(here, there[0], there[-1])
    reach = max(step_mm, wanted_step_mm)
    weights = np.maximum(1 - np.abs(here[:, None] - there) / reach, 0)
    weights[weights < 1e-9] = 0
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _resampled_upright(volume: Volume) -> Volume:
    """An oblique volume on axes of the patient that hold all of it."""
    image = sitk.Cast(image_of(volume), sitk.sitkFloat32)
    last = np.array(image.GetSize()) - 1
    corners = [image.TransformContinuousIndexToPhysicalPoint((last * ends).tolist()) for ends in np.ndindex(2, 2, 2)]
    inside = np.array(corners) @ SAGITTAL
    spacing = (PIXEL_MM, PIXEL_MM, max(THINNEST_MM, min(volume.spacing_mm)))
    size = np.ceil((inside.max(0) - inside.min(0)) / spacing).astype(int) + 1
    origin = np.array(SAGITTAL) @ inside.min(0)
    made = sitk.Resample(
        image, size.tolist(), sitk.Transform(), sitk.sitkLinear, origin.tolist(), spacing,
        np.ravel(SAGITTAL).tolist(), 0.0, sitk.sitkFloat32,
    )  # fmt: skip
    return Volume(sitk.GetArrayFromImage(made), spacing[::-1], made.GetOrigin(), made.GetDirection())
