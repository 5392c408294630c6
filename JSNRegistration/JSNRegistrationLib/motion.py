"""Motions in the plane of the film: rotation, one scale and shift, as 2 x 3 matrices on pixel coordinates (x, y)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, logm

IDENTITY = np.eye(3)[:2]


@dataclass(frozen=True)
class BoneMotion:
    """The motion of one bone from one film to another.

    ``matrix`` is 2 x 3 and takes pixel coordinates (x right, y down, pixel centres at integers) of the *from* film to
    those of the *to* film. ``similarity`` is the correlation of the two films inside the bone after the motion (1 = the
    same), ``cover`` the share of the bone that the *to* film shows.
    """

    matrix: np.ndarray
    similarity: float
    cover: float


def motion_about(centre: np.ndarray, angle_rad: float, scale: float, shift: np.ndarray) -> np.ndarray:
    """The motion that turns (x towards y) and scales about `centre`, then shifts; centre and shift in pixels."""
    turn = scale * np.array([[np.cos(angle_rad), -np.sin(angle_rad)], [np.sin(angle_rad), np.cos(angle_rad)]])
    centre = np.asarray(centre, float)
    return np.column_stack([turn, centre - turn @ centre + np.asarray(shift, float)])


def apply(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) moved by a motion."""
    return np.asarray(points, float) @ motion[:, :2].T + motion[:, 2]


def compose(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The motion that does `before` first and `after` second."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def inverse(motion: np.ndarray) -> np.ndarray:
    """The motion back."""
    back = np.linalg.inv(motion[:, :2])
    return np.column_stack([back, -back @ motion[:, 2]])


def scale_of(motion: np.ndarray) -> float:
    """Scale of a motion: *to* pixels for one *from* pixel."""
    return float(np.sqrt(abs(np.linalg.det(motion[:, :2]))))


def angle_of(motion: np.ndarray) -> float:
    """Turn of a motion in radians, x towards y (clockwise as seen on the film)."""
    return float(np.arctan2(motion[1, 0], motion[0, 0]))


def relative_angle(upper: np.ndarray, lower: np.ndarray) -> float:
    """Turn of the upper motion beyond the lower one, in radians, between -pi and pi."""
    return float(np.angle(np.exp(1j * (angle_of(upper) - angle_of(lower)))))


def between_pieces(motion: np.ndarray, offset_from: tuple[float, float], offset_to: tuple[float, float]) -> np.ndarray:
    """The motion between two films, from the motion between pieces cut out of them at these (x, y) offsets."""
    into_piece = np.column_stack([np.eye(2), -np.asarray(offset_from, float)])
    out_of_piece = np.column_stack([np.eye(2), np.asarray(offset_to, float)])
    return compose(out_of_piece, compose(motion, into_piece))


def halfway(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The motion half way between two, on the group of motions: of the inverses it is the inverse."""
    ahead = np.vstack([compose(inverse(first), second), [0.0, 0.0, 1.0]])
    return compose(first, expm(0.5 * np.real(logm(ahead)))[:2])
