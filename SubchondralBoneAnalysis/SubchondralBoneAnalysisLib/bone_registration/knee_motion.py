"""A knee of a CT found in an MR: the whole knee, then every bone by itself, because the knee bends differently.

Nothing is resampled: a place in the CT is carried into the MR by the rigid motion of its bone. The search (of every
rotation and shift) and the first stages may be led by a synthetic CT; the last stages look at the MR itself, in which
they fit the brightness of every tissue, the coil, and the displacement of fat together with the motion.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_registration.bone_laying import (
    REGISTERED,
    BoneMotion,
    Level,
    Scene,
    SeenImage,
    Stage,
    fitted,
    laid_finely,
    laid_roughly,
    seconds_since,
)
from SubchondralBoneAnalysisLib.bone_registration.bone_window import AIR_HU
from SubchondralBoneAnalysisLib.bone_registration.global_search import JOINT_MM, find_starts
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import (
    apart,
    joint_middle,
    middle_of,
    transform_of,
    turned_and_moved,
)
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes
from SubchondralBoneAnalysisLib.bones import NAMES
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

FLEXIONS_DEG = (-12.0, 0.0, 12.0)  # of a bone against the whole knee, from which it is tried
TOO_LITTLE = "the MR does not show enough of the knee to be found in it: give an MR of the whole knee."
# A start whose likelihood is less than this of the best one's is none: a finer fit of few voxels may mislead. Of 16
# validation pairs one more is found than by the fit alone.
NEARLY_AS_GOOD = 0.8
BONE_STRIDE = 4  # voxels
WHOLE = (Level(2.5, 4.0, 20.0, 8000), Level(2.0, 2.5, 15.0, 10000))


@dataclass(frozen=True, eq=False)
class KneeMotion:
    """The knee and its bones, found in the MR; see `BoneMotion`.

    :param score: of the search, see `global_search.Start`.
    :param fat_shift_mm: by how much fat is displaced in the MR along its rows' and columns' directions (i, j).
    """

    knee: Pose
    centre_lps: np.ndarray
    score: float
    stages: tuple[Stage, ...]
    bones: Mapping[str, BoneMotion]
    fat_shift_mm: tuple[float, float]

    @property
    def transform(self) -> sitk.Euler3DTransform:
        """Of the whole knee."""
        return transform_of(self.knee, self.centre_lps)


def move_bones(
    ct: Volume,
    labels: Volume,
    mr: Volume,
    synthetic: Volume | None,
    progress: Progress,
    fat_displacement_lps: np.ndarray | None = None,
) -> KneeMotion:
    """Find the knee of a CT in an MR, and each of its bones.

    :param labels: of the bones on the grid of the CT, as in `bones.NAMES`.
    :param synthetic: synthetic CT on the grid of the MR, which leads the search and the first stages; the last look at
        the MR itself.
    :param fat_displacement_lps: [3] mm, the way by which fat is displaced to one side or the other, where it is known.
    :raises BadInput: neither femur nor tibia is in both images.
    """
    leading = SeenImage.of(mr if synthetic is None else _above_air(synthetic))
    last = leading if synthetic is None else SeenImage.of(mr)
    present = [name for name, number in REGISTERED.items() if (labels.array == number).any()]
    progress.step(0.0, "Searching the knee in the MR")
    starts = find_starts(ct, labels, leading.volume, check=progress.check)
    if not starts:
        raise BadInput(TOO_LITTLE)
    centre = middle_of(labels, tuple(NAMES))
    progress.step(0.2, "Laying the whole knee of the CT on the MR")
    knee, stages, score = _whole_knee(ct, labels, leading, starts, centre)
    scene, rough = Scene(ct, labels, leading, last), []
    for part, name in enumerate(present):
        progress.step(0.35 + 0.3 * part / len(present), f"Laying the {name} of the CT on the MR")
        beside = [bone.motion for bone in rough]
        one = laid_roughly(scene, name, [knee, *beside] if name == "patella" else _bent(knee, labels))
        rough += [one] if one is not None else []
    bones, fat = laid_finely(scene, rough, fat_displacement_lps, progress.part(0.65, 1.0))
    if not {"femur", "tibia"} & set(bones):
        raise BadInput("the MR shows neither the femur nor the tibia of the CT: give an MR of the same knee.")
    return KneeMotion(knee, centre, score, stages, bones, fat)


def _bent(knee: Pose, labels: Volume) -> list[Pose]:
    """Where a bone may be if the knee is bent more or less, about an axis from right to left through the joint."""
    joint = joint_middle(labels)
    turns = [np.deg2rad([angle, 0.0, 0.0]) for angle in FLEXIONS_DEG]
    return [knee.after(turned_and_moved(turn, np.zeros(3), joint)) for turn in turns]


def _above_air(synthetic: Volume) -> Volume:
    """A synthetic CT with air at 0, as the search knows it of MR."""
    return replace(synthetic, array=np.maximum(synthetic.array - AIR_HU, 0.0))


def _whole_knee(
    ct: Volume, labels: Volume, image: SeenImage, starts: list, centre: np.ndarray
) -> tuple[Pose, tuple[Stage, ...], float]:
    """The best of the starts after a fit of all bones together."""
    began = time.monotonic()
    bones = _near_joint(labels)
    best = max(start.score for start in starts)
    tried = []
    for start in starts:
        if start.score < NEARLY_AS_GOOD * best:
            continue
        found = fitted(ct, labels, tuple(NAMES), start.motion, image, WHOLE[:1], (0.0, 0.0), False)
        if found is not None:
            # Of a knee that is half outside of the image, what is left may be told very well.
            inside = _share_inside(found[0].out(bones), image.axes)
            likelihood = -inside * float(np.log(max(1.0 - found[1][-1].explained, 1e-6)))
            tried.append((likelihood, start, found))
    if not tried:
        raise BadInput(TOO_LITTLE)
    _, start, (motion, first, _) = max(tried, key=lambda one: one[0])
    found = fitted(ct, labels, tuple(NAMES), motion, image, WHOLE[1:], (0.0, 0.0), False)
    if found is None:
        raise BadInput(TOO_LITTLE)
    motion, last, _ = found
    moved = apart(start.motion, motion, centre)
    stage = Stage("whole knee", first[0].explained_before, last[-1].explained, *moved, seconds_since(began))
    return motion, (stage,), start.score


def _near_joint(labels: Volume) -> np.ndarray:
    """Some places [n, 3] of the bones near the joint, LPS."""
    bones = to_lps(BONE_STRIDE * np.argwhere(labels.array[(slice(None, None, BONE_STRIDE),) * 3] > 0), labels)
    return bones[np.linalg.norm(bones - joint_middle(labels), axis=1) < JOINT_MM]


def _share_inside(places_lps: np.ndarray, axes: MrAxes) -> float:
    """How many of the places lie inside the MR."""
    along = axes.along(places_lps)
    return float(((along >= 0) & (along <= axes.size_mm)).all(axis=1).mean()) if len(along) else 0.0
