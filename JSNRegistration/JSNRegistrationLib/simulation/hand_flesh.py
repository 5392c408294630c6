"""The thickness of the soft tissue around the bones of a posed hand."""

from __future__ import annotations

import numpy as np

from . import anatomy
from .posed_hand import PosedHand
from .soft_tissue import Segment, thickness_map


def flesh_mm(hand: PosedHand, to_film: np.ndarray, shape: tuple[int, int], pixel_mm: float, rng) -> np.ndarray:
    """Thickness in mm on the film; `to_film` (2, 4) takes (x, y, z, 1) of the hand frame to film pixels."""
    px = hand.size * hand.plumpness / pixel_mm
    bones = hand.bones

    def at(name: str, share: float, aside_mm: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        bone = bones[name]
        place = bone.start_mm + share * (bone.end_mm - bone.start_mm)
        return to_film @ np.array([*(place[:2] + hand.size * np.asarray(aside_mm)), place[2], 1.0])

    palm = (
        at("capitate", 0)
        if "capitate" in bones
        else at("MC3", 0.0, (0, -8))
        if "MC3" in bones
        else at("radius", 1.0, (-3, 22))
    )
    forearm = rng.uniform(22, 30) * px
    parts = [
        Segment(at("radius", -0.3, (-9, 0)), at("radius", 0.75, (-9, 0)), (forearm * 1.1, forearm), 40 * px),
        Segment(at("radius", 0.75, (-9, 0)), palm, (forearm, 25 * px), 36 * px),
    ]
    for finger, names in anatomy.BONE_NAMES.items():
        names = [name for name in names if name in bones]
        if not names:
            continue
        scale = anatomy.FINGER_FACTOR[finger] * px
        wide = (15.5 if finger > 1 else 16.0) * px
        parts.append(Segment(at(names[0], 0.0), at(names[0], 1.0), (wide, 12.5 * scale), 26 * px))
        parts.append(Segment(palm, at(names[0], 0.5), (20 * px, 14 * px), 26 * px))
        for index, name in enumerate(names[1:]):
            r0, r1 = (anatomy.FINGER_RADIUS_MM[index + k] * scale for k in range(2))
            end = at(name, 1.0) + 2.0 * px * _unit(at(name, 1.0) - at(name, 0.0)) * (index == len(names) - 2)
            parts.append(Segment(at(name, -0.03), end, (r0, r1), 1.75 * r0))
    for a, b in ((2, 3), (3, 4), (4, 5)):  # the web between the fingers
        if f"PP{a}" in bones and f"PP{b}" in bones:
            for share, radius in ((0.15, 9.5), (0.28, 7.5), (0.38, 5.0)):
                ends = at(f"PP{a}", share), at(f"PP{b}", share)
                if np.hypot(*(ends[1] - ends[0])) < 34 * px:
                    parts.append(Segment(*ends, (radius * px, radius * px), (11 + radius / 2) * px))
    if "MC1" in bones and "MC2" in bones:
        parts.append(Segment(at("MC1", 0.5), at("MC2", 0.45), (15 * px, 13 * px), 22 * px))
    thick = thickness_map(parts, shape, 1.5 / pixel_mm)
    return thick * pixel_mm


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.hypot(*vector)), 1e-9)
