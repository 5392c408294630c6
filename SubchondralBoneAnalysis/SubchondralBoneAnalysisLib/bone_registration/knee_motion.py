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
from SubchondralBoneAnalysisLib.bone_registration.bone_window import AIR_HU, bone_window
from SubchondralBoneAnalysisLib.bone_registration.global_search import JOINT_MM, find_starts
from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import (
    apart,
    inverse,
    joint_middle,
    middle_of,
    nearest_rotation,
    transform_of,
    turned_and_moved,
)
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes
from SubchondralBoneAnalysisLib.bone_registration.mr_points import points_near, smoothed
from SubchondralBoneAnalysisLib.bone_registration.tissue_fit import BRIGHTNESS_FIRST, MOST_STEPS, TissueFit, fit_bone
from SubchondralBoneAnalysisLib.bones import NAMES
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

REGISTERED = {"femur": 1, "tibia": 2, "patella": 3}  # the fibula is too thin to be held by itself
FLEXIONS_DEG = (-12.0, 0.0, 12.0)  # of a bone against the whole knee, from which it is tried
TOO_LITTLE = "the MR does not show enough of the knee to be found in it: give an MR of the whole knee."
# A start whose likelihood is less than this of the best one's is none: a finer fit of few voxels may mislead. Of 16
# validation pairs one more is found than by the fit alone.
NEARLY_AS_GOOD = 0.8
BONE_STRIDE = 4  # voxels
JUST_LOOKING = BRIGHTNESS_FIRST + 1  # steps of a fit: brightness is fitted, and the motion not yet
LEAST_POINTS = 800  # voxels of the MR near a bone; fewer hold no bone
# By which the side is told to which fat is displaced; the tendons about the patella may tell the wrong one.
TELLING = ("femur", "tibia")
# By which the logarithm of what is not told must fall, summed over those bones, for a side to be believed: with
# gradient echoes of fat and marrow in bright bone it falls by less, and may point to the wrong side.
CLEARLY_TOLD = 0.08


Fat = tuple[float, float]  # its displacement in mm along the axes (i, j) of the MR


@dataclass(frozen=True)
class Level:
    """One round of a fit: voxel and blur in mm, how far from the bone is looked at, and how many voxels of the MR.

    :param locally: see `tissue_fit.fit_bone`; a rough fit would hold where it starts.
    """

    step_mm: float
    blur_mm: float
    band_mm: float
    points: int
    locally: bool = False


WHOLE = (Level(2.5, 4.0, 20.0, 8000), Level(2.0, 2.5, 15.0, 10000))
ROUGH = (Level(2.0, 3.0, 10.0, 8000), Level(1.2, 2.0, 10.0, 12000))
FINE = (Level(0.7, 0.9, 6.0, 25000, True), Level(0.5, 0.35, 5.0, 40000, True))


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


@dataclass(eq=False)
class _SeenImage:
    """An image with its axes, smoothed once for every blur that is asked for."""

    volume: Volume
    axes: MrAxes
    by_blur: dict[float, np.ndarray]

    @classmethod
    def of(cls, volume: Volume) -> _SeenImage:
        volume = slices_last(volume)
        return cls(volume, MrAxes.of(volume), {})

    def smoothed(self, blur_mm: float) -> np.ndarray:
        if blur_mm not in self.by_blur:
            self.by_blur[blur_mm] = smoothed(self.volume.array, self.axes, blur_mm)
        return self.by_blur[blur_mm]


@dataclass(frozen=True, eq=False)
class _RoughBone:
    """A bone near its place: from there it is laid finely."""

    name: str
    motion: Pose
    centre_lps: np.ndarray
    stage: Stage


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all bones are laid in: the image that leads, and the MR itself, which decides."""

    ct: Volume
    labels: Volume
    leading: _SeenImage
    last: _SeenImage


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
    leading = _SeenImage.of(mr if synthetic is None else _above_air(synthetic))
    last = leading if synthetic is None else _SeenImage.of(mr)
    present = [name for name, number in REGISTERED.items() if (labels.array == number).any()]
    progress.step(0.0, "Searching the knee in the MR")
    starts = find_starts(ct, labels, leading.volume, check=progress.check)
    if not starts:
        raise BadInput(TOO_LITTLE)
    centre = middle_of(labels, tuple(NAMES))
    progress.step(0.2, "Laying the whole knee of the CT on the MR")
    knee, stages, score = _whole_knee(ct, labels, leading, starts, centre)
    scene, rough = _Scene(ct, labels, leading, last), []
    for part, name in enumerate(present):
        progress.step(0.35 + 0.3 * part / len(present), f"Laying the {name} of the CT on the MR")
        beside = [bone.motion for bone in rough]
        one = _rough(scene, name, [knee, *beside] if name == "patella" else _bent(knee, labels))
        rough += [one] if one is not None else []
    bones, fat = _laid_finely(scene, rough, fat_displacement_lps, progress.part(0.65, 1.0))
    if not {"femur", "tibia"} & set(bones):
        raise BadInput("the MR shows neither the femur nor the tibia of the CT: give an MR of the same knee.")
    return KneeMotion(knee, centre, score, stages, bones, fat)


def _laid_finely(
    scene: _Scene, rough: list[_RoughBone], fat_displacement_lps: np.ndarray | None, progress: Progress
) -> tuple[dict[str, BoneMotion], Fat]:
    """All bones, and the displacement of fat; where no side of it is known, the first of them tells it for all."""
    bones: dict[str, BoneMotion] = {}
    fat: Fat | None = None
    if fat_displacement_lps is not None:
        fat = _told_side(scene, rough, scene.last.axes.directions[:, :2].T @ fat_displacement_lps)
    for part, bone in enumerate(rough):
        progress.step(part / len(rough), f"Laying the {bone.name} of the CT on the MR, finely")
        found = _fine(scene, bone, fat or (0.0, 0.0), fat is None)
        if found is not None:
            bones[bone.name], fat = found
    return bones, fat or (0.0, 0.0)


def _told_side(scene: _Scene, rough: list[_RoughBone], known: np.ndarray) -> Fat | None:
    """The displacement of fat, to the side by which the bones are told better; None where neither clearly is."""
    gain = 0.0
    for bone in rough:
        if bone.name not in TELLING:
            continue
        tried = [_fine(scene, bone, tuple((sign * known).tolist()), False) for sign in (1, -1)]
        if None not in tried:
            one, other = (1.0 - found[0].stages[-1].similarity_after for found in tried)
            gain += float(np.log(max(other, 1e-6) / max(one, 1e-6)))
    if abs(gain) < CLEARLY_TOLD:
        return None
    return tuple((np.sign(gain) * known).tolist())


def _bent(knee: Pose, labels: Volume) -> list[Pose]:
    """Where a bone may be if the knee is bent more or less, about an axis from right to left through the joint."""
    joint = joint_middle(labels)
    turns = [np.deg2rad([angle, 0.0, 0.0]) for angle in FLEXIONS_DEG]
    return [knee.after(turned_and_moved(turn, np.zeros(3), joint)) for turn in turns]


def slices_last(volume: Volume) -> Volume:
    """The same image with its thickest step along k, so that slices are slices however the file is laid out."""
    axis = int(np.argmax(volume.spacing_mm))
    if volume.spacing_mm[axis] < 1.2 * volume.spacing_mm[0] or axis == 0:
        return volume
    order = [axis, *(a for a in range(3) if a != axis)]
    directions = np.reshape(volume.direction_lps, (3, 3))[:, ::-1][:, order][:, ::-1]
    return replace(
        volume,
        array=np.moveaxis(volume.array, axis, 0),
        spacing_mm=tuple(volume.spacing_mm[a] for a in order),
        direction_lps=tuple(directions.ravel().tolist()),
    )


def _above_air(synthetic: Volume) -> Volume:
    """A synthetic CT with air at 0, as the search knows it of MR."""
    return replace(synthetic, array=np.maximum(synthetic.array - AIR_HU, 0.0))


def _whole_knee(
    ct: Volume, labels: Volume, image: _SeenImage, starts: list, centre: np.ndarray
) -> tuple[Pose, tuple[Stage, ...], float]:
    """The best of the starts after a fit of all bones together."""
    began = time.monotonic()
    bones = _near_joint(labels)
    best = max(start.score for start in starts)
    tried = []
    for start in starts:
        if start.score < NEARLY_AS_GOOD * best:
            continue
        found = _fitted(ct, labels, tuple(NAMES), start.motion, image, WHOLE[:1], (0.0, 0.0), False)
        if found is not None:
            # Of a knee that is half outside of the image, what is left may be told very well.
            inside = _share_inside(found[0].out(bones), image.axes)
            likelihood = -inside * float(np.log(max(1.0 - found[1][-1].explained, 1e-6)))
            tried.append((likelihood, start, found))
    if not tried:
        raise BadInput(TOO_LITTLE)
    _, start, (motion, first, _) = max(tried, key=lambda one: one[0])
    found = _fitted(ct, labels, tuple(NAMES), motion, image, WHOLE[1:], (0.0, 0.0), False)
    if found is None:
        raise BadInput(TOO_LITTLE)
    motion, last, _ = found
    moved = apart(start.motion, motion, centre)
    stage = Stage("whole knee", first[0].explained_before, last[-1].explained, *moved, _since(began))
    return motion, (stage,), start.score


def _near_joint(labels: Volume) -> np.ndarray:
    """Some places [n, 3] of the bones near the joint, LPS."""
    bones = to_lps(BONE_STRIDE * np.argwhere(labels.array[(slice(None, None, BONE_STRIDE),) * 3] > 0), labels)
    return bones[np.linalg.norm(bones - joint_middle(labels), axis=1) < JOINT_MM]


def _share_inside(places_lps: np.ndarray, axes: MrAxes) -> float:
    """How many of the places lie inside the MR."""
    along = axes.along(places_lps)
    return float(((along >= 0) & (along <= axes.size_mm)).all(axis=1).mean()) if len(along) else 0.0


def _rough(scene: _Scene, name: str, starts: list[Pose]) -> _RoughBone | None:
    """One bone from the best of some starts; None where too little of it is in the MR."""
    number, began, tried = REGISTERED[name], time.monotonic(), []
    centre = middle_of(scene.labels, (number,))
    for start in starts:
        found = _fitted(scene.ct, scene.labels, (number,), start, scene.leading, ROUGH, (0.0, 0.0), False)
        if found is not None:
            tried.append((found[1][-1].explained, start, found))
    if not tried:
        return None
    _, start, (motion, fits, _) = max(tried, key=lambda one: one[0])
    before = _told_before(scene, (number,), start, scene.leading, ROUGH[-1], (0.0, 0.0))
    stage = Stage("bone by itself", before, fits[-1].explained, *apart(start, motion, centre), _since(began))
    return _RoughBone(name, motion, centre, stage)


def _fine(scene: _Scene, bone: _RoughBone, fat: Fat, fat_free: bool) -> tuple[BoneMotion, Fat] | None:
    """The bone as exactly as the images tell; None where too little of it is in the MR.

    :param fat_free: whether the displacement of fat is found with this bone; else it is taken as given.
    """
    numbers, motion, stages = (REGISTERED[bone.name],), bone.motion, [bone.stage]
    for image, levels, label in _last_stages(scene.leading, scene.last):
        began = time.monotonic()
        free = fat_free and image is scene.last
        found = _fitted(scene.ct, scene.labels, numbers, motion, image, levels, fat, free)
        if found is None:
            return None
        finer, fits, fat = found
        before = _told_before(scene, numbers, motion, image, levels[-1], fat)
        moved = apart(motion, finer, bone.centre_lps)
        stages.append(Stage(label, before, fits[-1].explained, *moved, _since(began)))
        motion = finer
    return BoneMotion(bone.name, motion, bone.centre_lps, tuple(stages)), fat


def _told_before(
    scene: _Scene, numbers: tuple[int, ...], motion: Pose, image: _SeenImage, level: Level, fat: Fat
) -> float:
    """How well the CT tells the MR before a stage, at the stage's last level: a sharper image is harder to tell."""
    looked = _fitted(scene.ct, scene.labels, numbers, motion, image, (level,), fat, False, JUST_LOOKING)
    return 0.0 if looked is None else looked[1][0].explained_before


def _last_stages(leading: _SeenImage, last: _SeenImage) -> list[tuple[_SeenImage, tuple[Level, ...], str]]:
    if leading is last:
        return [(last, FINE, "fine")]
    return [(leading, FINE[:1], "fine, synthetic CT"), (last, FINE, "fine, MR")]


def _fitted(
    ct: Volume,
    labels: Volume,
    numbers: tuple[int, ...],
    motion: Pose,
    image: _SeenImage,
    levels: tuple[Level, ...],
    fat: tuple[float, float],
    fat_free: bool,
    most_steps: int = MOST_STEPS,
) -> tuple[Pose, list[TissueFit], Fat] | None:
    """The motion after all levels, what each gave, and the displacement of fat."""
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
        fit = fit_bone(window, points, values, fat_free, fat, most_steps, level.locally)
        fits.append(fit)
        fat = fit.fat_shift_mm
        moved = inverse(to_axes).after(fit.motion.after(to_axes.after(motion)))
        motion = Pose(nearest_rotation(moved.matrix), moved.translation)
    return motion, fits, fat


def _since(began: float) -> float:
    return time.monotonic() - began
