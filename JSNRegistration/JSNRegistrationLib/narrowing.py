"""The change of the joint space, read at the joint along the joint axis.

Sign, everywhere in this project: positive is wider, **negative is narrowing**.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from JSNRegistrationLib.motion import angle_of, apply, halfway, relative_angle, scale_of

CONFIDENCE_Z = 1.96  # intervals are 95 %
PROFILE_REACH = 0.3  # of the typical width of the joint: the outer points of the profile lie this far from the origin
PROFILE_POINTS = 5

SE_FLOOR_MM = 0.003  # for pictures without any noise


@dataclass(frozen=True)
class JointFrame:
    """Origin (pixels) and unit axis, from the lower to the upper bone, of a joint in one film."""

    origin_px: np.ndarray
    axis: np.ndarray

    @property
    def across(self) -> np.ndarray:
        """Unit vector across the joint, to the right of the picture where the axis points up."""
        return np.array([-self.axis[1], self.axis[0]])


@dataclass(frozen=True)
class JointSpaceChange:
    """How the joint space of one joint changed between two films, in *from* pixels; positive is wider.

    ``profile_px`` is the change at ``profile_offsets_px`` from the origin across the joint, in the order that
    ``profile_order`` names. ``tilt_deg`` is the turn of the upper bone beyond the lower one, clockwise as seen on the
    film. ``se_px`` is the standard error of ``change_px``.
    """

    change_px: float
    se_px: float
    profile_px: np.ndarray
    profile_offsets_px: np.ndarray
    profile_order: str
    tilt_deg: float

    @property
    def interval_px(self) -> tuple[float, float]:
        """95 % interval of the change."""
        return self.change_px - CONFIDENCE_Z * self.se_px, self.change_px + CONFIDENCE_Z * self.se_px


def space_change_px(upper: np.ndarray, lower: np.ndarray, origin_px: np.ndarray, axis: np.ndarray) -> float:
    """Change of the joint space in *from* pixels at a point, positive is wider.

    (R axis) . (U p - L p) / s with p the point, U and L the motions (2 x 3) of the upper and the lower bone, s the
    geometric mean of their scales and R the mean of their rotations.
    """
    scale = np.sqrt(scale_of(upper) * scale_of(lower))
    direction = _turned(axis, _mean_angle(upper, lower))
    return float(direction @ (apply(upper, origin_px) - apply(lower, origin_px)) / scale)


def carried(frame: JointFrame, upper: np.ndarray, lower: np.ndarray) -> JointFrame:
    """The joint frame in the *to* film: moved by the motion half way between both bones' motions (2 x 3).

    Half way on the group of motions, so that the way back from the carried frame gives exactly the opposite change.
    """
    mean = halfway(upper, lower)
    return JointFrame(apply(mean, frame.origin_px), _turned(frame.axis, angle_of(mean)))


def joint_space_change(
    upper: np.ndarray, lower: np.ndarray, frame: JointFrame, se_px: float, side: str | None, breadth_px: float
) -> JointSpaceChange:
    """The change of the joint space at the frame's origin, its profile across the joint and the tilt.

    ``upper`` and ``lower`` are the motions (2 x 3) of the bones, ``breadth_px`` the typical width of the bones at this
    joint, ``side`` "left" or "right" of a hand filmed with its palm down (the usual posteroanterior view), or None.
    """
    offsets = breadth_px * PROFILE_REACH * np.linspace(-1.0, 1.0, PROFILE_POINTS)
    order = "image left to right"
    if side is not None:
        order = "radial to ulnar"  # thumb side first; palm down, the thumb of a right hand lies to the left of the film
        offsets = offsets if side == "right" else -offsets
    elif frame.across[0] < 0:
        offsets = -offsets
    profile = [space_change_px(upper, lower, frame.origin_px + offset * frame.across, frame.axis) for offset in offsets]
    return JointSpaceChange(
        change_px=space_change_px(upper, lower, frame.origin_px, frame.axis),
        se_px=se_px,
        profile_px=np.array(profile),
        profile_offsets_px=offsets,
        profile_order=order,
        tilt_deg=float(np.degrees(relative_angle(upper, lower))),
    )


def standard_error_px(covariance: np.ndarray, axis: np.ndarray, spacing_mm: float) -> float:
    """Standard error of the change at the origin, in *from* pixels.

    ``covariance`` (7 x 7) as in ``JointRegistration``, about the joint origin; ``spacing_mm`` turns the floor into
    pixels.
    """
    slope = np.array([*axis, 0.0, *(-np.asarray(axis)), 0.0, 0.0])
    return float(np.sqrt(slope @ covariance @ slope + (SE_FLOOR_MM / spacing_mm) ** 2))


def _mean_angle(upper: np.ndarray, lower: np.ndarray) -> float:
    return angle_of(lower) + 0.5 * relative_angle(upper, lower)


def _turned(vector: np.ndarray, angle_rad: float) -> np.ndarray:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]]) @ np.asarray(vector, float)
