"""How the bones of a real film are moved: the pose of both bones in each of two films, drawn for an easy, a medium or a
hard joint, and the motion between the films that is true for them.

Lengths in millimetres, angles in degrees. Nothing here is shared with the simulation or the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from JSNRegistrationLib.motion import compose, inverse, motion_about


@dataclass(frozen=True)
class Reach:
    """What is drawn, evenly between - and + unless two bounds are given; ``foreshortening`` is a size, either sign.

    ``exact`` is for sweeps: turn and scale are either bound, nothing between.
    """

    shift_mm: float
    turn_deg: float
    relative_deg: float
    scale: float
    slip_mm: float
    change_mm: tuple[float, float] = (-0.6, 0.3)
    foreshortening: tuple[float, float] = (0.0, 0.0)
    closed_mm: tuple[float, float] = (0.0, 0.0)  # both films: the bones are brought nearer, till they overlap
    closed_share: float = 0.0
    exact: bool = False
    closes_to_overlap: bool = False  # the change comes on top of the whole joint space: the bones end over each other


REACHES = {
    "easy": Reach(shift_mm=0.5, turn_deg=0.0, relative_deg=0.0, scale=0.0, slip_mm=0.1),
    "medium": Reach(shift_mm=1.5, turn_deg=8.0, relative_deg=3.0, scale=0.01, slip_mm=0.2),
    "hard": Reach(
        shift_mm=1.5,
        turn_deg=8.0,
        relative_deg=6.0,
        scale=0.01,
        slip_mm=0.2,
        foreshortening=(0.005, 0.015),
        closed_mm=(0.4, 1.2),
        closed_share=0.5,
    ),
}
APART = 0.25  # of the foreshortening of both bones together: that of each by itself


@dataclass(frozen=True)
class Pose:
    """Where the parts of a film lie (2 x 3, pixels of the untouched film to those of the made one).

    ``upper`` and ``lower`` are similarity motions, what is true; ``upper_bent`` and ``lower_bent`` also foreshorten and
    shear the bone about its joint surface, which they leave where it is. ``rest`` moves the soft tissue.
    """

    rest: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    upper_bent: np.ndarray
    lower_bent: np.ndarray


def true_motions(first: Pose, second: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Motions (2 x 3) of the upper and of the lower bone from the first to the second film."""
    return compose(second.upper, inverse(first.upper)), compose(second.lower, inverse(first.lower))


def draw_poses(
    rng: np.random.Generator, reach: Reach, origin_px: np.ndarray, axis: np.ndarray, space_px: float, spacing_mm: float
) -> tuple[Pose, Pose]:
    """Poses in the first and the second film of a joint with this origin, axis and width of the joint space."""

    def evenly(most: float) -> float:
        return most * rng.uniform(-1.0, 1.0)

    def swept(most: float) -> float:
        drawn = rng.uniform(-1.0, 1.0)
        return most * (np.sign(drawn) if reach.exact else drawn)

    closed = rng.uniform(*reach.closed_mm) if rng.random() < reach.closed_share else 0.0
    common = motion_about(
        origin_px,
        np.radians(swept(reach.turn_deg)),
        1.0 + swept(reach.scale),
        np.array([evenly(reach.shift_mm), evenly(reach.shift_mm)]) / spacing_mm,
    )
    change, relative, slip = rng.uniform(*reach.change_mm), evenly(reach.relative_deg), evenly(reach.slip_mm)
    change -= space_px * spacing_mm if reach.closes_to_overlap else 0.0
    size = rng.uniform(*reach.foreshortening, size=2) * rng.choice([-1.0, 1.0], size=2)
    bends = [size + APART * rng.uniform(*reach.foreshortening, size=2) * rng.choice([-1.0, 1.0], 2) for _ in range(2)]
    still = np.eye(2, 3)
    frame = (np.asarray(origin_px, float), np.asarray(axis, float), space_px)
    first = _pose(still, frame, -closed / spacing_mm, 0.0, 0.0, np.zeros((2, 2)))
    second = _pose(
        common, frame, (change - closed) / spacing_mm, np.radians(relative), slip / spacing_mm, np.array(bends)
    )
    return first, second


def _pose(common: np.ndarray, frame, widened_px: float, relative_rad: float, slip_px: float, bends: np.ndarray) -> Pose:
    origin, axis, space_px = frame
    across = np.array([-axis[1], axis[0]])
    motions, bent = [], []
    for sign, bend in zip((0.5, -0.5), bends, strict=True):
        shift = sign * (widened_px * axis + slip_px * across)
        motion = compose(common, motion_about(origin, sign * relative_rad, 1.0, shift))
        motions.append(motion)
        bent.append(compose(motion, _bend(origin + sign * space_px * axis, axis, across, *bend)))
    return Pose(common, *motions, *bent)


def _bend(surface_px: np.ndarray, axis: np.ndarray, across: np.ndarray, along: float, sideways: float) -> np.ndarray:
    """Longer by `along` along the axis and sheared by `sideways`, about the line across the axis through the surface.

    A point at the distance v from that line moves by along x v down the axis and by sideways x v across it: what a
    finger that is flexed and pronated a little out of the plane does to the projection of a flat bone.
    """
    linear = np.eye(2) + np.outer(along * axis + sideways * across, axis)
    return np.column_stack([linear, surface_px - linear @ surface_px])
