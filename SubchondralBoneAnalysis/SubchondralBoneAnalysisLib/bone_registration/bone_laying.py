"""Bones laid on an MR: each roughly from several starts, then as exactly as the image tells, whatever fat does."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_registration.bone_window import bone_window
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import (
    apart,
    inverse,
    middle_of,
    nearest_rotation,
    transform_of,
)
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes, slices_last
from SubchondralBoneAnalysisLib.bone_registration.mr_points import points_near, smoothed
from SubchondralBoneAnalysisLib.bone_registration.tissue_fit import BRIGHTNESS_FIRST, MOST_STEPS, TissueFit, fit_bone
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume

REGISTERED = {"femur": 1, "tibia": 2, "patella": 3}  # the fibula is too thin to be held by itself
JUST_LOOKING = BRIGHTNESS_FIRST + 1  # steps of a fit: brightness is fitted, and the motion not yet
LEAST_POINTS = 800  # voxels of the MR near a bone; fewer hold no bone
# By which the side is told to which fat is displaced; the tendons about the patella may tell the wrong one.
TELLING = ("femur", "tibia")
# By which the MR must be told better with fat displaced to one side than to the other, on the mean of those bones, for
# that side to be believed: with gradient echoes of fat and marrow in bright bone it is less, whichever side is right.
CLEARLY_TOLD = 0.01

Fat = tuple[float, float]  # its displacement in mm along the axes (i, j) of the MR


@dataclass(frozen=True)
class Level:
    """One round of a fit: voxel and blur in mm, how far from the bone is looked at, and how many voxels of the MR."""

    step_mm: float
    blur_mm: float
    band_mm: float
    points: int


ROUGH = (Level(2.0, 3.0, 10.0, 8000), Level(1.2, 2.0, 10.0, 12000))
FINE = (Level(0.7, 0.9, 6.0, 25000), Level(0.5, 0.35, 5.0, 40000))


@dataclass(frozen=True)
class Stage:
    """What one stage gained.

    :param similarity_before: share of the variance of the image near the bone that the CT predicts, before and after.
    :param shift_mm: by which the middle of the bone was moved, and `turn_deg` by which the bone was turned.
    """

    name: str
    similarity_before: float
    similarity_after: float
    shift_mm: float
    turn_deg: float
    seconds: float


@dataclass(frozen=True, eq=False)
class BoneMotion:
    """One bone found in the MR.

    :param motion: takes places of the CT to those of the MR, LPS mm.
    :param centre_lps: middle of the bone in the CT.
    """

    name: str
    motion: Pose
    centre_lps: np.ndarray
    stages: tuple[Stage, ...]

    @property
    def transform(self) -> sitk.Euler3DTransform:
        """The motion for SimpleITK: maps places of the CT to those of the MR."""
        return transform_of(self.motion, self.centre_lps)


@dataclass(eq=False)
class SeenImage:
    """An image with its axes, smoothed once for every blur that is asked for."""

    volume: Volume
    axes: MrAxes
    by_blur: dict[float, np.ndarray]

    @classmethod
    def of(cls, volume: Volume) -> SeenImage:
        volume = slices_last(volume)
        return cls(volume, MrAxes.of(volume), {})

    def smoothed(self, blur_mm: float) -> np.ndarray:
        if blur_mm not in self.by_blur:
            self.by_blur[blur_mm] = smoothed(self.volume.array, self.axes, blur_mm)
        return self.by_blur[blur_mm]


@dataclass(frozen=True, eq=False)
class RoughBone:
    """A bone near its place: from there it is laid finely."""

    name: str
    motion: Pose
    centre_lps: np.ndarray
    stage: Stage


@dataclass(frozen=True, eq=False)
class Scene:
    """What all bones are laid in: the image that leads, and the MR itself, which decides."""

    ct: Volume
    labels: Volume
    leading: SeenImage
    last: SeenImage


def laid_roughly(scene: Scene, name: str, starts: list[Pose]) -> RoughBone | None:
    """One bone from the best of some starts; None where too little of it is in the MR."""
    number, began, tried = REGISTERED[name], time.monotonic(), []
    centre = middle_of(scene.labels, (number,))
    for start in starts:
        found = fitted(scene.ct, scene.labels, (number,), start, scene.leading, ROUGH, (0.0, 0.0), False)
        if found is not None:
            tried.append((found[1][-1].explained, start, found))
    if not tried:
        return None
    _, start, (motion, fits, _) = max(tried, key=lambda one: one[0])
    before = _told_before(scene, (number,), start, scene.leading, ROUGH[-1], (0.0, 0.0))
    stage = Stage("bone by itself", before, fits[-1].explained, *apart(start, motion, centre), seconds_since(began))
    return RoughBone(name, motion, centre, stage)


def laid_finely(
    scene: Scene, rough: list[RoughBone], fat_displacement_lps: np.ndarray | None, progress: Progress
) -> tuple[dict[str, BoneMotion], Fat]:
    """All bones, and the displacement of fat; where no side of it is known, the first of them tells it for all."""
    bones: dict[str, BoneMotion] = {}
    fat: Fat | None = None
    if fat_displacement_lps is not None:
        known = scene.last.axes.directions[:, :2].T @ fat_displacement_lps
        fat, bones = told_side(scene, rough, known, progress.part(0.0, 0.6))
    for part, bone in enumerate(rough):
        if bone.name in bones:
            continue
        progress.step(max(0.6, part / len(rough)), f"Laying the {bone.name} of the CT on the MR, finely")
        found = one_laid_finely(scene, bone, fat or (0.0, 0.0), fat is None)
        if found is not None:
            bones[bone.name], fat = found
    return bones, fat or (0.0, 0.0)


def told_side(
    scene: Scene, rough: list[RoughBone], known: np.ndarray, progress: Progress
) -> tuple[Fat | None, dict[str, BoneMotion]]:
    """The displacement of fat, to the side by which the bones are told better, and those bones, laid with it.

    None and no bones where neither side clearly is.
    """
    sides = [tuple((sign * known).tolist()) for sign in (1, -1)]
    gain, laid = 0.0, ({}, {})
    telling = [bone for bone in rough if bone.name in TELLING]
    for part, bone in enumerate(telling):
        progress.step(part / len(telling), f"Laying the {bone.name} on the MR with fat displaced to either side")
        tried = [one_laid_finely(scene, bone, side, False) for side in sides]
        if None in tried:
            continue
        for bones, (motion, _) in zip(laid, tried, strict=True):
            bones[bone.name] = motion
        one, other = (motion.stages[-1].similarity_after for motion, _ in tried)
        gain += (one - other) / len(telling)
    if abs(gain) < CLEARLY_TOLD:
        return None, {}
    better = 0 if gain > 0 else 1
    return sides[better], laid[better]


def one_laid_finely(scene: Scene, bone: RoughBone, fat: Fat, fat_free: bool) -> tuple[BoneMotion, Fat] | None:
    """The bone as exactly as the images tell; None where too little of it is in the MR.

    :param fat_free: whether the displacement of fat is found with this bone; else it is taken as given.
    """
    numbers, motion, stages = (REGISTERED[bone.name],), bone.motion, [bone.stage]
    for image, levels, label in _last_stages(scene.leading, scene.last):
        began = time.monotonic()
        free = fat_free and image is scene.last
        found = fitted(scene.ct, scene.labels, numbers, motion, image, levels, fat, free)
        if found is None:
            return None
        finer, fits, fat = found
        before = _told_before(scene, numbers, motion, image, levels[-1], fat)
        moved = apart(motion, finer, bone.centre_lps)
        stages.append(Stage(label, before, fits[-1].explained, *moved, seconds_since(began)))
        motion = finer
    return BoneMotion(bone.name, motion, bone.centre_lps, tuple(stages)), fat


def _told_before(
    scene: Scene, numbers: tuple[int, ...], motion: Pose, image: SeenImage, level: Level, fat: Fat
) -> float:
    """How well the CT tells the MR before a stage, at the stage's last level: a sharper image is harder to tell."""
    looked = fitted(scene.ct, scene.labels, numbers, motion, image, (level,), fat, False, JUST_LOOKING)
    return 0.0 if looked is None else looked[1][0].explained_before


def _last_stages(leading: SeenImage, last: SeenImage) -> list[tuple[SeenImage, tuple[Level, ...], str]]:
    if leading is last:
        return [(last, FINE, "fine")]
    return [(leading, FINE[:1], "fine, synthetic CT"), (last, FINE, "fine, MR")]


def fitted(
    ct: Volume,
    labels: Volume,
    numbers: tuple[int, ...],
    motion: Pose,
    image: SeenImage,
    levels: tuple[Level, ...],
    fat: tuple[float, float],
    fat_free: bool,
    most_steps: int = MOST_STEPS,
) -> tuple[Pose, list[TissueFit], Fat] | None:
    """Bones taken together, moved level by level; None where too little of them is in the image.

    :param numbers: labels of the bones; `motion` from the CT to the image, where the fit begins.
    :param fat: its displacement, and `fat_free` whether it is fitted too.
    :returns: the motion after all levels, what each gave, and the displacement of fat.
    """
    axes = image.axes
    to_axes = Pose(axes.directions.T, -axes.directions.T @ axes.origin_lps)
    fits = []
    for level in levels:
        window = bone_window(ct, labels, numbers, motion, axes, level.step_mm, level.blur_mm)
        if window is None:
            return None
        band = (-level.band_mm, level.band_mm)
        rng = np.random.default_rng(0)
        points, values = points_near(image.smoothed(level.blur_mm), axes, window, band, level.points, rng)
        if len(points) < LEAST_POINTS:
            return None
        fit = fit_bone(window, points, values, fat_free, fat, most_steps)
        fits.append(fit)
        fat = fit.fat_shift_mm
        moved = inverse(to_axes).after(fit.motion.after(to_axes.after(motion)))
        motion = Pose(nearest_rotation(moved.matrix), moved.translation)
    return motion, fits, fat


def seconds_since(began: float) -> float:
    """Of the clock, since `time.monotonic()` said `began`."""
    return time.monotonic() - began
