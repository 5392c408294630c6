"""Shapes of the bones of a finger joint, drawn at random around ordinary adult sizes.

Sizes in mm. The head of the second metacarpal is about 14 to 16 mm wide and the base of the proximal phalanx about as
wide; both narrow to some 9 mm in the shaft. The joint surfaces lie at u = 0 in the frame of each bone.
"""

from __future__ import annotations

import numpy as np

from .solid import BoneSolid, EndSurface


def metacarpal_head(rng: np.random.Generator, half_width_mm: float = 7.2, length_mm: float = 23.0) -> BoneSolid:
    """The distal end of a metacarpal: a dome, with the wider palmar condyles as faint wings beside it."""
    size = half_width_mm / 7.2
    knots = np.array([-length_mm, -18, -14.5, -11.0, -8.0, -5.0, -2.0, 1.0]) * np.append(1.0, np.full(7, size))
    base = np.array([4.5, 4.7, 5.3, 6.3, 6.6, 6.3, 6.0, 5.8])
    tubercle = np.exp(-0.5 * ((knots / size + 9.3) / 1.6) ** 2)
    left = base + rng.uniform(-0.2, 0.9) * tubercle + rng.uniform(-0.3, 0.3)
    right = base + rng.uniform(-0.2, 0.9) * tubercle + rng.uniform(-0.3, 0.3)
    head = 1 / (1 + np.exp(-(knots / size + 10.5) / 1.2))
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack([left, right]) * size,
        half_depth_mm=np.array([4.2, 4.3, 4.8, 6.0, 6.8, 7.0, 6.8, 6.5]) * size,
        cortex_mm=np.array([1.5, 1.35, 1.1, 0.9, 0.7, 0.45, 0.35, 0.3]) * rng.uniform(0.8, 1.15),
        flare=head[:, None] * rng.uniform(0.08, 0.24, 2),
        cancellous=np.array([0.03, 0.05, 0.09, 0.13, 0.16, 0.18, 0.19, 0.19]) * rng.uniform(0.85, 1.2),
        distal=EndSurface(
            u_mm=0.0,
            radius_v_mm=rng.uniform(8.0, 10.5) * size,
            radius_w_mm=rng.uniform(6.5, 8.0) * size,
            quartic_per_mm3=rng.uniform(3e-4, 8e-4),
            tilt=rng.uniform(-0.05, 0.05),
            rounding_mm=2.2 * size,
            plate_mm=rng.uniform(0.3, 0.45),
        ),
        proximal=EndSurface(u_mm=-length_mm - 1.0),
        exponent=3.0,
        sclerosis=rng.uniform(0.05, 0.12),
    )


def phalanx_base(rng: np.random.Generator, half_width_mm: float = 7.4, length_mm: float = 23.0) -> BoneSolid:
    """The proximal end of a proximal phalanx: a shallow cup with a dense plate and thin lips at the back and palm."""
    size = half_width_mm / 7.4
    knots = np.array([-3.0, 0.0, 2.0, 4.0, 7.0, 11.0, 16.0, length_mm]) * np.append(np.full(7, size), 1.0)
    base = np.array([6.4, 7.0, 7.35, 7.1, 6.1, 5.2, 4.7, 4.55])
    left, right = (
        base + rng.uniform(-0.3, 0.3) + rng.uniform(-0.3, 0.5) * np.exp(-0.5 * ((knots - 1.5) / 1.5) ** 2)
        for _ in range(2)
    )
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack([left, right]) * size,
        half_depth_mm=np.array([5.2, 5.6, 5.8, 5.5, 4.8, 4.2, 3.9, 3.8]) * size,
        cortex_mm=np.array([0.45, 0.45, 0.45, 0.5, 0.7, 1.1, 1.45, 1.6]) * rng.uniform(0.75, 1.1),
        flare=np.exp(-0.5 * (knots[:, None] / 5) ** 2) * rng.uniform(-0.08, 0.1, 2),
        cancellous=np.array([0.19, 0.18, 0.17, 0.15, 0.12, 0.08, 0.05, 0.03]) * rng.uniform(0.8, 1.2),
        distal=EndSurface(u_mm=length_mm + 1.0),
        proximal=EndSurface(
            u_mm=0.0,
            radius_v_mm=rng.uniform(10.5, 15.0) * size,
            radius_w_mm=rng.uniform(6.5, 13.0) * size,
            tilt=rng.uniform(-0.06, 0.06),
            rounding_mm=0.8 * size,
            plate_mm=rng.uniform(0.7, 1.1),
            lip_mm=0.15,
            plate_depth_mm=2.0 * size,
        ),
        exponent=2.4,
        sclerosis=rng.uniform(0.12, 0.3),
    )


def long_bone(
    rng: np.random.Generator, length_mm: float, widths_mm: tuple[float, float, float], kind: str, last: bool = False
) -> BoneSolid:
    """A whole metacarpal or phalanx; u = 0 at the middle of its base, u = length_mm at the middle of its head.

    widths_mm: full width at base, waist and head. kind: "metacarpal", "proximal" (cup-shaped base), "middle" or
    "distal" (base with two shallow cups). last: the bone ends in a tuft instead of a joint.
    """
    base, waist, head = (0.5 * width * rng.uniform(0.97, 1.03) for width in widths_mm)
    near = min(0.75 * 2 * base, 0.42 * length_mm)
    far = min(0.85 * 2 * head, 0.36 * length_mm)
    along_base = np.array([-0.3, 0.0, 0.18, 0.36, 0.66, 1.0])
    along_head = np.array([1.0, 0.72, 0.5, 0.25, 0.0, -0.15])
    knots = np.concatenate([near * along_base, [0.5 * (near + length_mm - far)], length_mm - far * along_head])
    metacarpal = kind == "metacarpal"
    base_profile = np.array([0.9, 0.97, 1.0, 0.96, 0.0, 0.0]) * base
    base_profile[4:] = np.array([0.55, 0.15]) * base + np.array([0.45, 0.9]) * waist
    if metacarpal:
        of_waist, of_head = [1.1, 0.55, 0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 0.97, 0.92, 0.9]
    elif last:
        of_waist, of_head = [1.0, 0.7, 0.5, 0.0, 0.0, 0.0], [0.0, 0.3, 0.5, 1.0, 1.0, 1.0]
    else:
        of_waist, of_head = [1.05, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.46, 0.97, 1.0, 0.95, 0.92]
    head_profile = np.array(of_waist) * waist + np.array(of_head) * head
    half = np.concatenate([base_profile, [waist], head_profile])
    sides = [half * rng.uniform(0.97, 1.03) for _ in range(2)]
    depth_head = (0.98 if metacarpal else 0.72) * head if not last else 0.55 * head
    depth_waist = (0.92 if metacarpal else 0.75) * waist
    depth = np.concatenate(
        [
            np.linspace(0.78 * base, 0.82 * base, 3),
            [0.76 * base, 0.5 * (0.6 * base + depth_waist), depth_waist],
            [depth_waist],
            [depth_waist, 0.5 * (depth_waist + depth_head)],
            np.full(4, depth_head),
        ]
    )
    wall = {"metacarpal": 0.42, "proximal": 0.34, "middle": 0.34, "distal": 0.42}[kind] * waist * rng.uniform(0.9, 1.1)
    cortex = np.concatenate(
        [
            [0.4, 0.4, 0.42, 0.5, 0.5 * wall + 0.15, 0.9 * wall],
            [wall],
            [0.9 * wall, 0.55 * wall + 0.1, 0.32 * wall + 0.15, 0.42, 0.36, 0.34],
        ]
    )
    spongy = np.array([0.18, 0.17, 0.16, 0.14, 0.1, 0.06, 0.05, 0.06, 0.1, 0.14, 0.16, 0.17, 0.17])
    flare = np.zeros((knots.size, 2))
    flare[-5:] = rng.uniform(0.1, 0.22, 2) if metacarpal else rng.uniform(0.0, 0.1, 2)
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack(sides),
        half_depth_mm=depth,
        cortex_mm=cortex,
        flare=flare,
        cancellous=spongy * rng.uniform(0.9, 1.15),
        distal=_head_surface(rng, length_mm, head, depth_head, metacarpal, last),
        proximal=_base_surface(rng, base, kind),
        exponent=2.7 if metacarpal else 2.4,
        sclerosis=rng.uniform(0.1, 0.2),
    )


def _head_surface(rng, length_mm: float, head: float, depth: float, metacarpal: bool, last: bool) -> EndSurface:
    if metacarpal:
        return EndSurface(
            length_mm,
            1.25 * head,
            1.15 * depth,
            6e-4 * (7.2 / head) ** 3,
            tilt=rng.uniform(-0.04, 0.04),
            rounding_mm=0.3 * head,
            plate_mm=0.4,
        )
    if last:
        return EndSurface(length_mm, 0.9 * head, depth, rounding_mm=0.3 * head, plate_mm=0.35)
    return EndSurface(
        length_mm,
        2.2 * head,
        1.4 * depth,
        groove_mm=0.085 * head,
        groove_width_mm=0.3 * head,
        tilt=rng.uniform(-0.03, 0.03),
        rounding_mm=0.2 * head,
        plate_mm=0.6,
    )


def _base_surface(rng, base: float, kind: str) -> EndSurface:
    if kind == "metacarpal":
        return EndSurface(0.0, -3.5 * base, -3.0 * base, rounding_mm=0.25 * base, plate_mm=0.5)
    if kind == "proximal":
        return EndSurface(
            0.0,
            rng.uniform(1.5, 2.0) * base,
            rng.uniform(1.6, 2.4) * base,
            rounding_mm=0.11 * base,
            plate_mm=rng.uniform(0.7, 1.0),
            lip_mm=0.2,
            plate_depth_mm=0.36 * base,
        )
    return EndSurface(
        0.0,
        2.3 * base,
        2.4 * base,
        groove_mm=0.07 * base,
        groove_width_mm=0.27 * base,
        rounding_mm=0.11 * base,
        plate_mm=rng.uniform(0.6, 0.85),
        lip_mm=0.2,
        plate_depth_mm=0.36 * base,
    )


def short_bone(half_mm: tuple[float, float, float]) -> BoneSolid:
    """A rounded block with a thin shell (a carpal bone), centred at u = 0; half sizes along, across and in depth."""
    along, across, deep = half_mm
    knots = along * np.array([-1.1, -0.8, -0.4, 0.0, 0.4, 0.8, 1.1])
    width = across * np.array([0.8, 0.92, 0.98, 1.0, 0.98, 0.93, 0.82])
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack([width, width]),
        half_depth_mm=np.full(7, deep),
        cortex_mm=np.full(7, 0.45),
        flare=np.zeros((7, 2)),
        cancellous=np.full(7, 0.17),
        distal=EndSurface(along, 1.6 * across, 1.2 * deep, rounding_mm=0.35 * across, plate_mm=0.5),
        proximal=EndSurface(-along, -1.6 * across, -1.2 * deep, rounding_mm=0.35 * across, plate_mm=0.5),
        exponent=2.6,
        sclerosis=0.08,
    )


def forearm_bone(half_end_mm: float, half_shaft_mm: float, length_mm: float, tilt: float) -> BoneSolid:
    """The distal end of radius or ulna; u = 0 at its joint surface, the shaft runs to u = -length_mm."""
    knots = np.array([-length_mm, -34.0, -24.0, -15.0, -8.0, -3.0, 6.0])
    share = np.array([0.0, 0.05, 0.25, 0.62, 0.93, 1.0, 0.97])
    half = half_shaft_mm + share * (half_end_mm - half_shaft_mm)
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack([half, half]),
        half_depth_mm=half_shaft_mm + share * (0.68 * half_end_mm - half_shaft_mm),
        cortex_mm=np.array([2.6, 2.4, 1.8, 1.0, 0.55, 0.45, 0.45]),
        flare=np.zeros((7, 2)),
        cancellous=np.array([0.02, 0.03, 0.06, 0.1, 0.14, 0.16, 0.16]),
        distal=EndSurface(0.0, -2.4 * half_end_mm, -2.0 * half_end_mm, tilt=tilt, rounding_mm=1.5, plate_mm=0.7),
        proximal=EndSurface(-length_mm - 1.0),
        exponent=2.3,
        sclerosis=0.12,
    )


def epiphysis(thick_mm: float, half_width_mm: float, half_depth_mm: float, domed: bool) -> BoneSolid:
    """The ossified end of a growing bone, centred at u = 0: a disc, flat towards the growth plate (u < 0 if domed).

    domed: the head of a metacarpal, round at u > 0; else the base of a phalanx, a little hollow at u < 0.
    """
    along = 0.5 * thick_mm
    knots = along * np.array([-1.1, -0.7, -0.3, 0.0, 0.3, 0.7, 1.1])
    width = half_width_mm * (
        np.array([0.9, 0.97, 1.0, 1.0, 0.97, 0.9, 0.82]) if domed else np.array([0.92, 1.0, 1.0, 0.98, 0.96, 0.94, 0.9])
    )
    rounding = 0.25 * thick_mm
    if domed:
        distal = EndSurface(along, 1.5 * half_width_mm, 1.4 * half_depth_mm, rounding_mm=rounding, plate_mm=0.4)
        proximal = EndSurface(-along, -6 * half_width_mm, rounding_mm=0.5 * rounding, plate_mm=0.6)
    else:
        distal = EndSurface(along, 6 * half_width_mm, rounding_mm=0.5 * rounding, plate_mm=0.5)
        proximal = EndSurface(-along, 3 * half_width_mm, 3 * half_width_mm, rounding_mm=rounding, plate_mm=0.7)
    return BoneSolid(
        knots_mm=knots,
        half_width_mm=np.column_stack([width, width]),
        half_depth_mm=np.full(7, half_depth_mm),
        cortex_mm=np.full(7, 0.4),
        flare=np.zeros((7, 2)),
        cancellous=np.full(7, 0.2),
        distal=distal,
        proximal=proximal,
        exponent=2.4,
        sclerosis=0.15,
    )
