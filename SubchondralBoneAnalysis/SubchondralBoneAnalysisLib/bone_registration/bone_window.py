"""The CT around one bone, turned onto the axes of the MR and blurred to what the MR resolves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import inverse, transform_of
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

PAD_MM = 9.0
UNKNOWN_HU = -4000.0  # beyond the CT, before it is blurred
CLEAR_MM = 1.3  # of a bone: nearer to it soft tissue is seen mixed with it
RIM_MM = 0.9  # below the surface, where bone is seen mixed with what lies around it
LEAST_HU = -1500.0
APART_MM = 1.0  # from other bones, which move otherwise
AIR_HU = -1000.0


@dataclass(frozen=True, eq=False)
class BoneWindow:
    """The CT and one bone of it on a cubic grid along the axes of the MR.

    :param hu: float32 [k, j, i].
    :param inside: the share of the bone in each voxel, float32 [k, j, i].
    :param distance_mm: from the surface of the bone, negative inside; +inf where nothing may be sampled: beyond the
        CT, and in or near other bones.
    :param low: place of the first voxel in mm along (i, j, k) of the MR.
    :param centre: middle of the bone, the same.
    """

    hu: np.ndarray
    inside: np.ndarray
    around: np.ndarray
    distance_mm: np.ndarray
    low: np.ndarray
    step_mm: float
    centre: np.ndarray


def bone_window(
    ct: Volume, labels: Volume, numbers: tuple[int, ...], motion: Pose, axes: MrAxes, step_mm: float, blur_mm: float
) -> BoneWindow | None:
    """The window of the bones with these labels, taken together; None where they do not reach into the MR.

    :param motion: from the CT to the MR, near the truth.
    :param blur_mm: SD of a Gaussian; across the slices the CT is averaged over the thickness of one besides.
    """
    index = np.argwhere(np.isin(labels.array[::3, ::3, ::3], numbers)) * 3
    points = axes.along(motion.out(to_lps(index, labels)))
    points = points[((points >= -PAD_MM) & (points <= axes.size_mm + PAD_MM)).all(axis=1)]
    if len(points) < 50:
        return None
    low = np.maximum(points.min(axis=0), 0.0) - PAD_MM
    high = np.minimum(points.max(axis=0), axes.size_mm) + PAD_MM
    size = np.ceil((high - low) / step_mm).astype(int) + 1
    own = np.isin(labels.array, numbers)
    on_grid = _resampler(size, low, step_mm, motion, axes)
    hu = on_grid(ct.array, ct, UNKNOWN_HU)
    inside = on_grid(own.astype(np.float32), labels, 0.0)
    others = on_grid((~own & (labels.array > 0)).astype(np.float32), labels, 0.0)
    distance = _distance(inside, others, hu > LEAST_HU, step_mm)
    np.maximum(hu, AIR_HU, out=hu)
    around = _tissue_around(hu, inside + others, step_mm)
    hu = _own_bone(hu, inside, distance, step_mm)
    thickness = axes.spacing_mm[2] / step_mm
    for field in (hu, inside, around):
        _blur(field, blur_mm / step_mm, thickness)
    return BoneWindow(hu, inside, around, distance, low, step_mm, points.mean(axis=0))


def _resampler(size: np.ndarray, low: np.ndarray, step_mm: float, motion: Pose, axes: MrAxes):
    origin = axes.lps(low[None])[0]
    back = transform_of(inverse(motion), origin)

    def resampled(array: np.ndarray, like: Volume, outside: float) -> np.ndarray:
        image = image_of(Volume(array, like.spacing_mm, like.origin_lps, like.direction_lps))
        found = sitk.Resample(
            image,
            size.tolist(),
            back,
            sitk.sitkLinear,
            origin.tolist(),
            [step_mm] * 3,
            axes.directions.ravel().tolist(),
            outside,
            sitk.sitkFloat32,
        )
        return sitk.GetArrayFromImage(found)

    return resampled


def _distance(inside: np.ndarray, others: np.ndarray, known: np.ndarray, step_mm: float) -> np.ndarray:
    """Signed distance on every voxel, found on voxels twice as large."""
    small = (slice(None, None, 2),) * 3
    within = inside[small] > 0.5
    if not within.any():
        return np.full(inside.shape, np.inf, np.float32)
    step = 2.0 * step_mm
    signed = ndimage.distance_transform_edt(~within, sampling=step) - ndimage.distance_transform_edt(
        within, sampling=step
    )
    forbidden = (others[small] > 0.1) | ~known[small]
    if forbidden.any():
        signed[ndimage.distance_transform_edt(~forbidden, sampling=step) < APART_MM + 0.5 * step] = np.inf
    whole = signed.astype(np.float32).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return whole[: inside.shape[0], : inside.shape[1], : inside.shape[2]]


def _blur(field: np.ndarray, sd: float, thickness: float) -> None:
    if sd > 0.2:
        ndimage.gaussian_filter(field, sd, output=field, truncate=3.0)
    if thickness > 1.0:
        # A box of any length about the voxel: the two outermost voxels count in part.
        half = 0.5 * (thickness - 1.0)
        whole = int(half)
        box = np.r_[half - whole, np.ones(2 * whole + 1), half - whole]
        ndimage.convolve1d(field, box / box.sum(), axis=0, output=field)


def _tissue_around(hu: np.ndarray, bones: np.ndarray, step_mm: float) -> np.ndarray:
    """HU of the soft tissue, clear of bone, that lies nearest to each voxel: what would be there without the bone."""
    small = (slice(None, None, 2),) * 3
    coarse = ndimage.gaussian_filter(hu, 0.6 / step_mm)[small]
    near = ndimage.distance_transform_edt(bones[small] < 0.5, sampling=2.0 * step_mm) < CLEAR_MM
    if near.all():
        return hu.copy()
    nearest = ndimage.distance_transform_edt(near, return_distances=False, return_indices=True)
    filled = ndimage.gaussian_filter(coarse[tuple(nearest)], 0.5)
    doubled = ndimage.affine_transform(filled, np.full(3, 0.5), output_shape=hu.shape, order=1, mode="nearest")
    return doubled.astype(np.float32)


def _own_bone(hu: np.ndarray, inside: np.ndarray, distance_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """HU of the bone without what lies around it: at its rim the brightest bone near by, which is its cortex."""
    bone = np.where(inside > 0.5, hu, AIR_HU)
    brightest = ndimage.maximum_filter(bone, 2 * int(round(RIM_MM / step_mm)) + 1)
    return np.where(distance_mm > -RIM_MM, np.maximum(brightest, hu), hu)
