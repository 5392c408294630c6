"""The bones of one knee as shapes with known distances: form, size, and how they stand to each other.

Knee frame: that of the tibia, x lateral, y posterior, z superior, mm. `KneeShapes` knows nothing of left and right;
`SimulatedKnee` places it in a patient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.pose import Pose, moved, turned
from SubchondralBoneAnalysisLib.simulation.bone_forms import (
    FemurForm,
    FibulaForm,
    Form,
    PatellaForm,
    TibiaForm,
    varied,
)
from SubchondralBoneAnalysisLib.simulation.surface_distance import Nearest, nearest, surface_points, values

LABELS = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
SHALLOW_MM = 2.5  # from the surface, up to where a nearest point is found without points to start from
STEEPEST = 1.8  # gradient of the implicit functions, for what cannot be near
BOXES = {  # in the bone's own frame for size 1, mm
    "femur": ((-50, -45, -6), (50, 50, 190)),
    "tibia": ((-50, -40, -190), (50, 45, 15)),
    "patella": ((-30, -18, -30), (30, 16, 30)),
    "fibula": ((-30, -30, -190), (20, 20, 20)),
}
CONTACT_FROM_MM = 9.0  # of the midline: plateau and condyle beside the spines
PLATEAU_BETWEEN_MM = 44.0  # of the two compartments, the lever of the tilt that makes one wider


@dataclass(frozen=True, eq=False)
class Bumps:
    """Small waves on a surface, so that no bone is a formula: amplitudes [n] mm, waves [n, 3] per mm, phases [n]."""

    amplitudes: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, height_mm: float, count: int = 5) -> Bumps:
        """Waves of 15 to 60 mm in all directions, their sum with an SD of `height_mm`."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(15.0, 60.0, count)
        return cls(
            np.full(count, height_mm * np.sqrt(2.0 / count)),
            directions * (2 * np.pi / lengths)[:, None],
            rng.uniform(0, 2 * np.pi, count),
        )

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        height = np.zeros_like(x)
        for amplitude, (a, b, c), phase in zip(self.amplitudes, self.waves, self.phases, strict=True):
            height += amplitude * np.sin(a * x + b * y + c * z + phase)
        return height


@dataclass(frozen=True, eq=False)
class BoneForm:
    """The form of one person's bone in the bone's own frame, negative inside."""

    name: str
    form: Form
    size: float = 1.0
    bumps: Bumps | None = None

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        value = self.size * self.form(x / self.size, y / self.size, z / self.size)
        return value if self.bumps is None else value + self.bumps(x, y, z)

    @cached_property
    def surface(self) -> np.ndarray:
        """Points [n, 3] on the surface, about 1 mm apart; of a shaft the first 190 mm."""
        lower, upper = (np.array(corner, float) * self.size for corner in BOXES[self.name])
        return surface_points(self, lower, upper)

    @cached_property
    def seeds(self) -> cKDTree:
        """`surface`, to be searched."""
        return cKDTree(self.surface)


@dataclass(frozen=True, eq=False)
class BoneShape:
    """A bone that stands in the knee: `pose` brings its own frame to the knee frame."""

    form: BoneForm
    pose: Pose = field(default_factory=Pose)

    @property
    def name(self) -> str:
        return self.form.name

    @property
    def size(self) -> float:
        """By how much it is larger than the mean."""
        return self.form.size

    def value(self, points: np.ndarray) -> np.ndarray:
        """The implicit function [n] at points [n, 3] of the knee frame: its sign is exact, its size is not."""
        return values(self.form, self.pose.into(points))

    def nearest(self, points: np.ndarray, deep: bool = False) -> Nearest:
        """Exact distances, feet and normals of points [n, 3] of the knee frame.

        :param deep: for points farther than `SHALLOW_MM` from the surface; slower.
        """
        found = nearest(self.form, self.pose.into(points), self.form.seeds if deep else None)
        return Nearest(found.distance_mm, self.pose.out(found.foot), found.normal @ self.pose.matrix.T)

    def surface(self) -> np.ndarray:
        """Points [n, 3] of the knee frame on the surface, about 1 mm apart."""
        return self.pose.out(self.form.surface)

    def placed(self, pose: Pose) -> BoneShape:
        """The same bone in another pose."""
        return BoneShape(self.form, pose)


@dataclass(frozen=True, eq=False)
class KneeShapes:
    """Four bones in the knee frame, in the order of `LABELS`."""

    femur: BoneShape
    tibia: BoneShape
    patella: BoneShape
    fibula: BoneShape
    flexion_deg: float

    @property
    def bones(self) -> tuple[BoneShape, ...]:
        return self.femur, self.tibia, self.patella, self.fibula

    def bone(self, name: str) -> BoneShape:
        """:raises KeyError: no such bone."""
        return dict(zip(LABELS, self.bones, strict=True))[name]


def knee_shapes(
    seed: int | None,
    joint_space_mm: tuple[float, float] = (4.0, 5.0),
    flexion_deg: float = 10.0,
    patella_gap_mm: float = 3.0,
) -> KneeShapes:
    """A knee whose bones stand as told.

    :param seed: of forms, size and surfaces; None is the mean form without bumps.
    :param joint_space_mm: shortest distance from bone to bone in the (medial, lateral) compartment, of what lies more
        than 9 mm from the midline, beside the spines; 0 touches in a point.
    :param patella_gap_mm: shortest distance from patella to femur.
    :raises BadInput: spaces below 0 or above 12 mm, flexion outside -5 to 90 degrees.
    """
    if not all(0 <= mm <= 12 for mm in (*joint_space_mm, patella_gap_mm)):
        raise BadInput(f"a joint space of {joint_space_mm} mm cannot be simulated: give 0 to 12 mm a compartment.")
    if not -5 <= flexion_deg <= 90:
        raise BadInput(f"a flexion of {flexion_deg:g} degrees cannot be simulated: give -5 to 90 degrees.")
    femur, tibia, patella, fibula = bones_of(seed)
    femur = _set_on_plateau(femur, tibia, joint_space_mm, flexion_deg)
    fibula = _set_apart(fibula, tibia, np.array([0.62, 0.62, -0.48]), 1.8)
    return KneeShapes(femur, tibia, _set_in_groove(patella, femur, flexion_deg, patella_gap_mm), fibula, flexion_deg)


def bones_of(seed: int | None) -> list[BoneShape]:
    """The four bones of a person, each in its own frame, in the order of `LABELS`; None is the mean person."""
    forms = {"femur": FemurForm(), "tibia": TibiaForm(), "patella": PatellaForm(), "fibula": FibulaForm()}
    if seed is None:
        return [BoneShape(BoneForm(name, form)) for name, form in forms.items()]
    rng = np.random.default_rng([seed, 1])
    size = 1.0 + 0.07 * np.clip(rng.normal(), -2, 2)
    bones = []
    for name, form in forms.items():
        own = size * (1.0 + 0.015 * np.clip(rng.normal(), -2, 2))
        bones.append(BoneShape(BoneForm(name, varied(form, rng), own, Bumps.drawn(rng, 0.35))))
    return bones


def _set_on_plateau(
    femur: BoneShape, tibia: BoneShape, joint_space_mm: tuple[float, float], flexion_deg: float
) -> BoneShape:
    """Femur flexed, then moved and tilted until each compartment has its joint space."""
    # The axis of flexion goes through the posterior condyles.
    centre = femur.size * np.array([0.0, 10.0, 21.0])
    flexed = turned((-flexion_deg, 0.0, 0.0), about=centre)
    up, tilt = max(joint_space_mm) + 1.0, 0.0
    surface = tibia.surface()
    beside = np.abs(surface[:, 0])
    plateau = surface[
        (surface[:, 2] > -9 * tibia.size) & (beside > CONTACT_FROM_MM * tibia.size) & (beside < 40 * tibia.size)
    ]
    for _ in range(20):
        pose = moved(0.0, -2.0, up).after(turned((0.0, tilt, 0.0))).after(flexed)
        femur = femur.placed(pose)
        medial, lateral = (
            _shortest(femur, plateau[plateau[:, 0] * sign > 0]) - wanted
            for sign, wanted in zip((-1, 1), joint_space_mm, strict=True)
        )
        if max(abs(medial), abs(lateral)) < 0.003:
            break
        up -= 0.5 * (medial + lateral)
        tilt += np.rad2deg((lateral - medial) / PLATEAU_BETWEEN_MM)
    return femur


def _set_in_groove(patella: BoneShape, femur: BoneShape, flexion_deg: float, gap_mm: float) -> BoneShape:
    """Patella in front of the trochlea; it follows flexion by about 0.7 of it."""
    around = femur.size * np.array([0.0, 0.0, 30.5])
    slid = turned((0.65 * flexion_deg, 0.0, 0.0), about=around)

    def at(forward: float) -> BoneShape:
        return patella.placed(femur.pose.after(slid).after(moved(1.5, -forward, 36.0 * femur.size)))

    forward = 55.0 * femur.size
    for _ in range(12):
        placed = at(forward)
        error = _shortest(femur, placed.surface()) - gap_mm
        if abs(error) < 0.003:
            break
        forward -= error
    return placed


def _set_apart(bone: BoneShape, other: BoneShape, direction: np.ndarray, gap_mm: float) -> BoneShape:
    """The bone moved out along a direction until its shortest distance from the other is `gap_mm`."""
    way = 45.0 * other.size
    for _ in range(12):
        placed = bone.placed(moved(*(direction * way)))
        error = _shortest(other, placed.surface()) - gap_mm
        if abs(error) < 0.003:
            break
        way -= error
    return placed


def _shortest(bone: BoneShape, points: np.ndarray) -> float:
    """Shortest signed distance from points [n, 3] to a bone."""
    value = bone.value(points)
    likely = points[value < value.min() + 2.5]
    return float(bone.nearest(likely, deep=True).distance_mm.min())
