"""The bones of one hand in space: sizes drawn at random at any age, fingers posed, disease in some of the joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import anatomy
from .bone_points import BonePoints, bone_points, together
from .bone_shapes import epiphysis, forearm_bone, short_bone
from .growing_bones import growing_bone
from .skeleton_growth import SESAMOID_YEARS, BoneAge

HEAD_RADIUS = {"MCP": 0.5, "PIP": 0.4, "IP": 0.42, "DIP": 0.38}  # of the width of the head: it turns about this centre
FOREARM_MM = 75.0


@dataclass(frozen=True)
class PlacedBone:
    """Points (n, 3) in the hand frame: x to the thumb, y to the tips, z to the palm; origin at the wrist, mm."""

    points: BonePoints
    start_mm: np.ndarray  # ends of the bone's axis
    end_mm: np.ndarray


@dataclass(frozen=True)
class PlacedJoint:
    """The middle of a joint space and the unit axis to the finger tip in the hand frame; width of the bones in mm."""

    place_mm: np.ndarray
    axis: np.ndarray
    width_mm: float


@dataclass(frozen=True)
class PosedHand:
    """A left hand (thumb at +x); a right one is its mirror image."""

    bones: dict[str, PlacedBone]
    joints: dict[str, PlacedJoint]
    size: float  # against the ordinary adult hand
    plumpness: float  # of the flesh


@dataclass(frozen=True)
class HandTraits:
    """What is drawn once for a hand: both hands of a person share it."""

    age: BoneAge
    density: float
    slenderness: float
    diseased: float  # share of joints with narrowing, erosion, deformity
    plumpness: float
    pitch_mm: float

    @staticmethod
    def draw(rng: np.random.Generator, pitch_mm: float) -> HandTraits:
        grown = rng.random() < 0.45
        age = BoneAge(30.0 if grown else float(rng.uniform(1.5, 17.5)))
        return HandTraits(
            age,
            density=float(rng.uniform(0.45, 1.2)),
            slenderness=float(np.exp(rng.normal(-0.05 if grown else -0.17, 0.08))),
            diseased=float(rng.choice([0.0, 0.15, 0.5], p=[0.5, 0.3, 0.2])) if grown else 0.0,
            plumpness=float(rng.uniform(0.9, 1.15) * (1.0 if grown else rng.uniform(1.0, 1.15))),
            pitch_mm=pitch_mm,
        )


def pose_hand(rng: np.random.Generator, traits: HandTraits) -> PosedHand:
    """One hand of a person, posed at random; some have lost finger ends."""
    size = traits.age.size * float(np.exp(rng.normal(0, 0.05)))
    bones: dict[str, PlacedBone] = {}
    joints: dict[str, PlacedJoint] = {}
    _add_forearm(rng, traits, size, bones)
    _add_carpus(rng, traits, size, bones)
    lost = _lost_bones(rng)
    fan = rng.normal(0.3, 0.7)  # fingers together ... spread
    drift = float(rng.uniform(0, 25)) if traits.diseased > 0.3 and rng.random() < 0.5 else 0.0  # to the ulnar side
    bend = abs(rng.normal(0, 7))
    for finger in anatomy.BONE_NAMES:
        _add_finger(rng, traits, size, finger, (fan, drift, bend), lost, bones, joints)
    return PosedHand(bones, joints, size, traits.plumpness)


@dataclass(frozen=True)
class _Head:
    """The distal end of a bone that the next one is set upon: the bone's frame, its end on the axis, its width."""

    frame: np.ndarray
    end_mm: np.ndarray
    width_mm: float


def _add_finger(rng, traits: HandTraits, size: float, finger: int, pose, lost: set[str], bones, joints) -> None:
    fan, drift, bend = pose
    names = anatomy.BONE_NAMES[finger]
    kinds = ("metacarpal", "proximal", *(("middle", "distal") if finger > 1 else ("distal",)))
    at = size * np.array([*anatomy.METACARPAL_BASE_MM[finger], rng.normal(0, 1.0)])
    thumb = finger == 1
    # How the finger is held: (towards the thumb, towards the palm, about itself) in degrees.
    away = rng.normal(-3, 9) if thumb else rng.normal(0, 1.5) - 2 * fan * (3 - finger)
    roll = rng.uniform(-5, 75) if thumb else rng.normal(0, 7) + 4 * (3 - finger)
    lift = rng.normal(8 if thumb else 0, 8 if thumb else 4)
    frame = _turned(_FRAME, anatomy.DIRECTIONS_DEG[finger][0] + away, lift, roll)
    head: _Head | None = None
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        usual = anatomy.WIDTHS_MM[finger][index]
        widths = tuple(w * size * traits.slenderness * np.exp(rng.normal(0, 0.03)) for w in usual)
        length = size * anatomy.LENGTHS_MM[finger][index] * float(np.exp(rng.normal(0, 0.04)))
        if name == "MP5" and rng.random() < 0.15:
            length *= rng.uniform(0.65, 0.95)  # a common variant
        sick = index > 0 and rng.random() < traits.diseased
        if head is not None:
            joint = anatomy.JOINT_NAMES[finger][index - 1]
            spread = anatomy.DIRECTIONS_DEG[finger][index] - anatomy.DIRECTIONS_DEG[finger][index - 1]
            spread += rng.normal(0, 4) - ((drift if not thumb else 0) - fan * 6 * (3 - finger) if index == 1 else 0)
            spread += rng.normal(0, 8) if sick else 0.0
            flexion = bend * rng.uniform(0.2, 1.4) + rng.normal(0, 5) + (rng.normal(0, 14) if sick else 0.0)
            if thumb:
                spread, flexion = rng.normal(0, 6), rng.normal(8, 10)
            radius = HEAD_RADIUS[joint[:-1]] * head.width_mm
            frame = _turned(head.frame, spread, flexion, rng.normal(0, 4))
            gap = _joint_space(rng, joint, size, traits, sick)
            at = head.end_mm - radius * head.frame[:, 0] + (radius + gap) * frame[:, 0]
            if sick and rng.random() < 0.3:  # subluxed
                at = at + frame @ np.array([-rng.uniform(0, 3), rng.normal(0, 1.5), rng.normal(0, 2.5)]) * size
        bone = growing_bone(
            rng,
            length,
            widths,
            kind,
            traits.age.of_epiphysis(rng, name, kind, widths[0]),
            last=index == len(names) - 1,
            plate_at_head=index == 0 and not thumb,
            pitch_mm=traits.pitch_mm * max(size, 0.7),
            density=traits.density,
            erosions=int(rng.integers(0, 4)) if sick else 0,
        )
        if name in lost:
            return
        if head is not None:
            middle = 0.5 * (head.end_mm + at + bone.base_mm * frame[:, 0])
            axis = 0.5 * (head.frame[:, 0] + frame[:, 0])
            joints[joint] = PlacedJoint(middle, axis, 0.5 * (head.width_mm + widths[0]))
        bones[name] = PlacedBone(_placed(bone.points, frame, at), at, at + length * frame[:, 0])
        if thumb and index == 0 and traits.age.years > SESAMOID_YEARS:
            _add_sesamoids(rng, traits, size, frame, at + length * frame[:, 0], bones)
        head = _Head(frame, at + bone.head_mm * frame[:, 0], widths[2])


def _joint_space(rng, joint: str, size: float, traits: HandTraits, sick: bool) -> float:
    """Width of the joint space in mm; the bones of a fused joint run into each other."""
    space = anatomy.JOINT_SPACE_MM[joint.rstrip("12345")] * rng.uniform(0.8, 1.3) * (size if traits.age.adult else 1.0)
    if sick:
        return float(rng.choice([-0.8, 0.0, space]) * rng.uniform(0.2, 1.0))
    return float(space)


def _lost_bones(rng) -> set[str]:
    """Bones that are missing by amputation: from some bone of a finger to its tip."""
    if rng.random() > 0.1:
        return set()
    lost: set[str] = set()
    for finger in rng.choice(range(1, 6), size=int(rng.integers(1, 3)), replace=False):
        names = anatomy.BONE_NAMES[int(finger)]
        lost |= set(names[int(rng.integers(0 if finger > 1 else 1, len(names))) :])
    return lost


def _add_forearm(rng, traits: HandTraits, size: float, bones) -> None:
    turn = _turned(_FRAME, rng.normal(0, 8), rng.normal(0, 5), rng.normal(0, 8))
    for name, end, shaft, tilt, at, angle in (
        ("radius", 14.0, 6.2, 0.34, (6.0, -0.5), 2.0),
        ("ulna", 8.2, 5.4, 0.05, (-15.5, -1.5), -1.0),
    ):
        frame = _turned(turn, angle, 0.0, 0.0)
        growth = traits.age.of_forearm(rng, name, 2 * end * size)
        place = turn @ np.array([at[1], at[0], 0.0]) * size
        pitch = 1.2 * traits.pitch_mm * max(size, 0.7)
        width = end * size * traits.slenderness
        parts, back = [], 0.0
        if not growth.grown_up:
            back = 0.55 * width
            thick = (back - growth.plate_mm) * min(growth.epiphysis, 1.0) ** 0.7
            if growth.epiphysis > 0.12 and thick > 2.5 * pitch:
                half = max(0.95 * width * min(growth.epiphysis, 1.0), 0.5 * thick)
                block = bone_points(epiphysis(thick, half, 0.65 * half, domed=False), rng, pitch, traits.density)
                parts.append(block.moved((-back + growth.plate_mm + 0.5 * thick, 0, 0)))
        shaft_solid = forearm_bone(width, shaft * size * traits.slenderness, FOREARM_MM * size, tilt)
        parts.append(bone_points(shaft_solid, rng, pitch, traits.density).moved((-back, 0, 0)))
        bones[name] = PlacedBone(_placed(together(parts), frame, place), place - FOREARM_MM * size * frame[:, 0], place)


def _add_carpus(rng, traits: HandTraits, size: float, bones) -> None:
    for bone in anatomy.CARPALS:
        share = traits.age.of_carpal(rng, bone.name)
        if share == 0.0:
            continue
        half = tuple(size * share * h * rng.uniform(0.94, 1.06) for h in bone.half_mm)
        place = size * (np.array([*bone.centre_mm, 0.0]) + rng.normal(0, (0.8, 0.8, 2.0)))
        frame = _turned(_FRAME, bone.direction_deg + rng.normal(0, 5), 0.0, 0.0)
        points = bone_points(short_bone(half), rng, 1.2 * traits.pitch_mm * max(size, 0.7), traits.density)
        bones[bone.name] = PlacedBone(_placed(points, frame, place), place, place)


def _add_sesamoids(rng, traits: HandTraits, size: float, frame, end, bones) -> None:
    for number, (_, back, across, half) in enumerate(anatomy.SESAMOIDS):
        place = end + frame @ np.array([-back, across * 0.6, 6.0]) * size
        points = bone_points(short_bone(tuple(size * h for h in half)), rng, traits.pitch_mm, traits.density)
        bones[f"sesamoid{number + 1}"] = PlacedBone(_placed(points, frame, place), place, place)


_FRAME = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # columns: along (y), across (x), depth (z)


def _turned(frame: np.ndarray, abduction_deg: float, flexion_deg: float, roll_deg: float) -> np.ndarray:
    """A bone's frame (columns along, across, depth) after moving to the thumb's side, to the palm, and about itself."""
    along, across, depth = frame.T
    for degrees, turn in ((abduction_deg, "side"), (flexion_deg, "palm"), (roll_deg, "self")):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        if turn == "side":
            along, across = c * along + s * across, c * across - s * along
        elif turn == "palm":
            along, depth = c * along + s * depth, c * depth - s * along
        else:
            across, depth = c * across + s * depth, c * depth - s * across
    return np.column_stack([along, across, depth])


def _placed(points: BonePoints, frame: np.ndarray, at: np.ndarray) -> BonePoints:
    return BonePoints((points.places_mm @ frame.T + at).astype(np.float32), points.mineral_mm3, points.outer_mm3)
