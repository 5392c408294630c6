"""A rigid motion from the CT to the MR, as a pose here and as a transform of SimpleITK in files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

COARSE = 3  # of the labels every third voxel along each axis is enough for a middle
NEAREST_SHARE = 0.05  # of the voxels of femur and tibia, those that face each other


def pose_of(transform: sitk.Transform) -> Pose:
    """The pose whose `out` moves points as a rigid transform does.

    :raises ValueError: the transform is not rigid.
    """
    start = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.stack([np.array(transform.TransformPoint(tuple(e))) - start for e in np.eye(3)], axis=1)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-6 or np.linalg.det(matrix) < 0:
        raise ValueError("the transform is not rigid")
    return Pose(matrix, start)


def transform_of(pose: Pose, centre_lps: Sequence[float]) -> sitk.Euler3DTransform:
    """The transform of SimpleITK that moves points as `pose.out` does, about a centre in mm."""
    centre = np.asarray(centre_lps, float)
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(nearest_rotation(pose.matrix).ravel().tolist(), 1e-8)
    transform.SetTranslation((pose.out(centre[None])[0] - centre).tolist())
    return transform


def inverse(pose: Pose) -> Pose:
    """The pose that takes everything back."""
    return Pose(pose.matrix.T, -pose.matrix.T @ pose.translation)


def turned_and_moved(turn_rad: np.ndarray, shift_mm: np.ndarray, about: np.ndarray) -> Pose:
    """A rotation (vector [3], its length the angle) about a point, and then a shift."""
    matrix = Rotation.from_rotvec(turn_rad).as_matrix()
    return Pose(matrix, about - matrix @ about + shift_mm)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """A rotation matrix without the rounding that many compositions leave (polar decomposition)."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def apart(one: Pose, other: Pose, at: np.ndarray) -> tuple[float, float]:
    """By how many mm two motions differ at a point, and by how many degrees."""
    turn = Rotation.from_matrix(nearest_rotation(one.matrix @ other.matrix.T)).magnitude()
    shift = np.linalg.norm(one.out(at[None]) - other.out(at[None]))
    return float(shift), float(np.degrees(turn))


def middle_of(labels: Volume, numbers: Sequence[int]) -> np.ndarray:
    """The mean place (LPS, mm) of the bones with these labels."""
    return _places(labels, numbers).mean(axis=0)


def joint_middle(labels: Volume) -> np.ndarray:
    """The place (LPS, mm) between the ends of femur and tibia; of a knee with one of them, the middle of all bone."""
    femur, tibia = _places(labels, (1,)), _places(labels, (2,))
    if not len(femur) or not len(tibia):
        return _places(labels, (1, 2, 3, 4)).mean(axis=0)
    ends = []
    for own, other in ((femur, tibia), (tibia, femur)):
        distance, _ = cKDTree(other).query(own)
        ends.append(own[distance <= np.quantile(distance, NEAREST_SHARE)].mean(axis=0))
    return np.mean(ends, axis=0)


def _places(labels: Volume, numbers: Sequence[int]) -> np.ndarray:
    index = np.argwhere(np.isin(labels.array[::COARSE, ::COARSE, ::COARSE], numbers)) * COARSE
    return to_lps(index, labels)
