"""Sizes and places of the bones of an ordinary adult hand, for the simulated films.

Lengths of metacarpals and phalanges: A. Buryanov, V. Kotiuk, "Proportions of hand segments", Int J Morphol
28(3):755-758, 2010, Table I (radiographs of 66 adults). Widths, joint spaces and the places of the carpal bones are not
tabulated there: they are ordinary values of adult hand films (carpal height 0.54 of the third metacarpal), round
numbers on purpose.
Hand frame in mm: x towards the thumb, y towards the finger tips, origin at the middle of the radiocarpal joint.
"""

from __future__ import annotations

from dataclasses import dataclass

# finger -> metacarpal, proximal, middle (none in the thumb), distal
LENGTHS_MM = {
    1: (46.2, 31.6, 21.7),
    2: (68.1, 39.8, 22.4, 15.8),
    3: (64.6, 44.6, 26.3, 17.4),
    4: (58.0, 41.4, 25.7, 17.3),
    5: (53.7, 32.7, 18.1, 16.0),
}
# full width at base, waist and head (tuft of the last phalanx)
WIDTHS_MM = {
    1: ((15.0, 10.5, 15.0), (14.8, 9.4, 12.6), (14.0, 7.6, 9.6)),
    2: ((16.0, 8.8, 15.2), (16.4, 10.0, 12.2), (13.6, 8.6, 10.4), (10.6, 5.2, 7.6)),
    3: ((14.0, 8.9, 15.0), (16.6, 10.4, 12.8), (14.6, 9.2, 11.2), (11.6, 5.8, 8.4)),
    4: ((11.8, 7.4, 13.0), (15.0, 9.4, 11.8), (13.6, 8.6, 10.6), (11.2, 5.6, 8.0)),
    5: ((13.0, 7.8, 12.0), (13.6, 8.2, 10.0), (11.2, 7.0, 8.6), (9.4, 4.6, 6.6)),
}
METACARPAL_BASE_MM = {1: (24.5, 22.5), 2: (11.5, 35.0), 3: (1.2, 35.5), 4: (-8.6, 33.0), 5: (-17.2, 28.5)}
# direction of metacarpal, proximal, middle, distal, degrees from y towards the thumb
DIRECTIONS_DEG = {
    1: (42.0, 33.0, 27.0),
    2: (9.0, 7.5, 6.5, 5.5),
    3: (1.0, 0.0, 0.0, 0.0),
    4: (-7.5, -7.0, -6.0, -5.0),
    5: (-16.5, -18.0, -17.0, -16.0),
}
JOINT_NAMES = {1: ("MCP1", "IP1")} | {n: (f"MCP{n}", f"PIP{n}", f"DIP{n}") for n in range(2, 6)}
BONE_NAMES = {1: ("MC1", "PP1", "DP1")} | {n: (f"MC{n}", f"PP{n}", f"MP{n}", f"DP{n}") for n in range(2, 6)}
JOINT_SPACE_MM = {"MCP": 1.65, "PIP": 1.15, "IP": 1.2, "DIP": 1.0}
# radius of the soft tissue at metacarpal head, and at the ends of the phalanges, before the finger's own factor
FINGER_RADIUS_MM = (11.0, 9.6, 8.4, 7.6)
FINGER_FACTOR = {1: 1.12, 2: 1.0, 3: 1.03, 4: 0.97, 5: 0.86}


@dataclass(frozen=True)
class ShortBone:
    """A carpal bone as a rounded block: centre, half sizes along and across its direction, half depth."""

    name: str
    centre_mm: tuple[float, float]
    half_mm: tuple[float, float, float]
    direction_deg: float


CARPALS = (
    ShortBone("trapezium", (18.6, 24.6), (7.0, 8.0, 6.5), 42.0),
    ShortBone("trapezoid", (10.8, 29.2), (5.8, 6.0, 6.0), 10.0),
    ShortBone("capitate", (0.8, 24.4), (11.6, 7.4, 7.5), 2.0),
    ShortBone("hamate", (-11.0, 24.2), (9.6, 7.6, 8.0), -18.0),
    ShortBone("scaphoid", (13.2, 13.6), (11.6, 6.4, 6.0), 36.0),
    ShortBone("lunate", (0.8, 7.6), (6.9, 8.4, 7.0), 4.0),
    ShortBone("triquetrum", (-12.6, 11.6), (6.8, 8.0, 6.0), -35.0),
    ShortBone("pisiform", (-15.6, 12.4), (5.2, 5.0, 5.0), 0.0),
)
# small bones in the tendons, riding on the head of a metacarpal: bone, mm before its end, mm across, half sizes
SESAMOIDS = (("MC1", 6.5, -7.8, (2.4, 2.2, 1.8)), ("MC1", 4.6, 4.2, (2.2, 2.0, 1.8)))
