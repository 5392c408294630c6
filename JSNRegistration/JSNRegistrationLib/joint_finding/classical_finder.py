"""The classical finder of the finger joints on a whole-hand film; no network, nothing trained.

Midlines of the fingers, dark gaps along them, the proportions of the bones of the hand, then the middle of each gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from JSNRegistrationLib.joint_finding.finger_chain import FINE, JOINTS_OF_FINGER, Finger, find_gaps, name_fingers
from JSNRegistrationLib.joint_finding.finger_midlines import (
    PALM_RADIUS,
    CoarseHand,
    cut_strip,
    even_steps,
    finger_midlines,
    log_brightness,
    look_coarsely,
    shrink,
    wrist_directions,
)
from JSNRegistrationLib.joint_finding.joint_centring import centre_joint
from JSNRegistrationLib.joints import Joint
from JSNRegistrationLib.radiograph import Radiograph

_HALF_STRIP = 36  # fine pixels: wider than any finger bone's half width
_WIDTHS = {"MCP": 72.0, "PIP": 57.0, "IP": 54.0, "DIP": 45.0}  # fine pixels: usual width of the distal bone at its base
_SLENDER = {5: 0.85}  # bones of the little finger against those of the others
_CLEAR_GAP = {"MCP": 0.08, "PIP": 0.04, "IP": 0.04, "DIP": 0.04}  # log brightness; the round MCP gap is the clearest
_LEAST_LINE = 240  # fine pixels: a thumb is longer, even where its tip is off the film
_LEAST_CONFIDENCE = 0.15


@dataclass(frozen=True)
class _Reading:
    """What one assumption about the wrist makes of the film. Points are (row, column) in fine pixels."""

    score: float
    fingers: list[Finger]
    lines: list[np.ndarray]
    wrist: np.ndarray


def find_joints(film: Radiograph) -> list[Joint]:
    """The joints of the one hand on the film, thumb first, each finger from the palm to the tip.

    The hand may be rotated by any angle as long as the forearm or the wrist is on the film; the spacing is not needed.
    A joint that is not found is absent. Confidence falls where no gap is seen (a destroyed or overlapping joint is put
    where the proportions of the bones expect it) and where the proportions disagree.

    Without the thumb the order of the fingers rests on their lengths alone, and all confidences are lower.

    The side is the film's own where DICOM gives it. Otherwise it is told from the thumb, assuming a posteroanterior
    film shown as if looked at from the back of the hand (the convention of hand films): with the fingers upwards
    the thumb of a left hand is then on the right of the picture. A mirrored or anteroposterior film gets the wrong
    side.
    """
    hand = look_coarsely(film.pixels)
    if hand is None:
        return []
    step = hand.scale * PALM_RADIUS / FINE
    fine = log_brightness(shrink(film.pixels, step))
    readings = [_read_hand(hand, fine, wrist) for wrist in wrist_directions(hand)]
    readings = [r for r in readings if r.fingers]
    if not readings:
        return []
    best = max(readings, key=lambda r: r.score)
    side = film.side or _side_of(best)
    found = [
        joint
        for finger in sorted(best.fingers, key=lambda f: f.number)
        for joint in reversed(_joints_of(finger, best.lines[finger.line], fine, step, side))
    ]
    # Films of hands reach 20 to 33, meaningless pictures up to 20.
    trust = np.clip((best.score - 16) / 8, 0, 1) * (1.0 if any(f.number == 1 for f in best.fingers) else 0.6)
    found = [replace(j, confidence=round(float(trust) * j.confidence, 3)) for j in found]
    return [j for j in found if j.confidence >= _LEAST_CONFIDENCE and _inside(j.position_px, film.pixels.shape)]


def _read_hand(hand: CoarseHand, fine: np.ndarray, wrist: np.ndarray) -> _Reading:
    carpus, lines = finger_midlines(hand, wrist)
    across = np.array([-wrist[1], wrist[0]])

    def around_carpus(line: np.ndarray) -> float:
        middle = line[: max(3, len(line) // 2)].mean(axis=0) - carpus
        return float(np.arctan2(middle @ across, -(middle @ wrist)))

    finer = FINE / PALM_RADIUS
    lines = [even_steps(line * finer) for line in sorted(lines, key=around_carpus)]
    lines = [line for line in lines if len(line) > _LEAST_LINE]
    gaps = [find_gaps(*cut_strip(fine, line, _HALF_STRIP)) for line in lines]
    fingers, score = name_fingers(gaps, lines)
    return _Reading(score, fingers, lines, wrist)


def _joints_of(finger: Finger, line: np.ndarray, fine: np.ndarray, step: float, side: str | None) -> list[Joint]:
    """The finger's joints, distal first, centred in their gaps."""
    joints = []
    for name, at, gap, wide, misfit in zip(
        JOINTS_OF_FINGER[finger.number], finger.joints, finger.seen, finger.wide, finger.misfit, strict=True
    ):
        kind = name[:-1]
        place = centre_joint(fine, line, at, wide, _WIDTHS[kind] * _SLENDER.get(finger.number, 1.0))
        seen = 0.25 + 0.75 * min(gap / _CLEAR_GAP[kind], 1.0)
        confidence = float(np.clip(seen * np.exp(-0.5 * (misfit / 2) ** 2), 0, 1))
        joints.append(
            Joint(
                name,
                side,
                (float(place.point[1] * step), float(place.point[0] * step)),
                (float(place.axis[1]), float(place.axis[0])),
                width_px=float(place.width * step),
                confidence=round(confidence, 3),
            )
        )
    return joints


def _side_of(reading: _Reading) -> str | None:
    """Left where, seen with the fingers upwards, the thumb's side is on the right (posteroanterior film)."""
    knuckles = {f.number: reading.lines[f.line][int(f.joints[-1])] for f in reading.fingers}
    if len(knuckles) < 3:
        return None
    to_thumb = knuckles[min(knuckles)] - knuckles[max(knuckles)]
    up = -reading.wrist
    # Right of `up` in a picture whose rows run downwards: (row, column) = (up column, -up row).
    return "left" if to_thumb @ np.array([up[1], -up[0]]) > 0 else "right"


def _inside(point: tuple[float, float], shape: tuple[int, int]) -> bool:
    return 0 <= point[0] <= shape[1] - 1 and 0 <= point[1] <= shape[0] - 1
