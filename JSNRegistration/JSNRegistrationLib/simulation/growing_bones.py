"""Bones at any age: a child's long bone is a shaft and an ossified epiphysis with the growth plate between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .bone_points import BonePoints, bone_points, together
from .bone_shapes import epiphysis, long_bone

ZONE_OF_BASE = 0.42  # of the width of the base: what is epiphysis and growth plate, ossified or not
ZONE_OF_HEAD = 0.72  # of the width of the head of a metacarpal


@dataclass(frozen=True)
class Growth:
    """How far a bone has ossified. Adult: grown_up. Else `epiphysis` (0 none ... 1 as wide as the shaft's end) and the
    thickness of the growth plate in mm."""

    grown_up: bool
    epiphysis: float = 1.0
    plate_mm: float = 0.0


@dataclass(frozen=True)
class GrowingBone:
    """Points of the bone, and where its ossified ends lie on its own axis, in mm from the base of its cartilage."""

    points: BonePoints
    base_mm: float
    head_mm: float


def growing_bone(
    rng: np.random.Generator,
    length_mm: float,
    widths_mm: tuple[float, float, float],
    kind: str,
    growth: Growth,
    *,
    last: bool = False,
    plate_at_head: bool = False,
    pitch_mm: float,
    density: float = 1.0,
    erosions: int = 0,
) -> GrowingBone:
    """A metacarpal or phalanx (`bone_shapes.long_bone`); the growth plate of metacarpals 2 to 5 is at the head."""
    if growth.grown_up:
        solid = _eroded(rng, long_bone(rng, length_mm, widths_mm, kind, last), widths_mm, length_mm, erosions)
        return GrowingBone(bone_points(solid, rng, pitch_mm, density), 0.0, length_mm)
    width = widths_mm[2] if plate_at_head else widths_mm[0]
    zone = width * (ZONE_OF_HEAD if plate_at_head else ZONE_OF_BASE)
    shaft = bone_points(long_bone(rng, length_mm - zone, widths_mm, kind, last), rng, pitch_mm, density)
    room = zone - growth.plate_mm - 0.06 * width  # the last is cartilage of the joint
    thick = max(room * growth.epiphysis ** (0.7 if plate_at_head else 0.5), 0.0)
    across = 0.5 * width * growth.epiphysis * rng.uniform(0.92, 1.06)
    if growth.epiphysis < 0.12 or thick < 2.5 * pitch_mm:
        parts, end = [], None
    else:
        block = epiphysis(thick, max(across, 0.5 * thick), max(0.78 * across, 0.5 * thick), domed=plate_at_head)
        parts, end = [bone_points(block, rng, pitch_mm, density)], growth.plate_mm + thick
    if plate_at_head:
        shaft_end = length_mm - zone
        if end is not None:
            parts[0] = parts[0].moved((shaft_end + end - 0.5 * thick, 0, 0))
        return GrowingBone(together([shaft, *parts]), 0.0, shaft_end + (end or 0.0))
    if end is not None:
        parts[0] = parts[0].moved((zone - end + 0.5 * thick, 0, 0))
    return GrowingBone(together([shaft.moved((zone, 0, 0)), *parts]), zone - (end or 0.0), length_mm)


def _eroded(rng, solid, widths_mm, length_mm: float, erosions: int):
    """The bone with holes at the margins of its joint surfaces."""
    holes = []
    for _ in range(erosions):
        at_head = rng.random() < 0.5
        half = 0.5 * (widths_mm[2] if at_head else widths_mm[0])
        u = length_mm - rng.uniform(0.2, 0.7) * half if at_head else rng.uniform(0.1, 0.5) * half
        holes.append((u, rng.choice([-1, 1]) * half * rng.uniform(0.6, 1.0), rng.normal(0, 2), rng.uniform(0.8, 2.6)))
    return replace(solid, cavities=tuple(holes))
