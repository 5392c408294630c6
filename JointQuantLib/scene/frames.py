"""From pixels to the frame of the scene: the one place where LPS becomes RAS.

A film is the plane z = 0 of a volume: LPS = (s x, s y, 0) with pixel centres at integers, x right, y down and
s the pixel spacing (1 where unknown); RAS turns the signs of the first two. All matrices are 4 x 4 and act on columns.
"""

from __future__ import annotations

import numpy as np

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ras_from_pixels(spacing: float) -> np.ndarray:
    """The IJK-to-RAS matrix of a film with this spacing."""
    return RAS_FROM_LPS @ np.diag([spacing, spacing, 1.0, 1.0])


def ras_points(pixels: np.ndarray, spacing: float) -> np.ndarray:
    """(n, 3) RAS positions of (n, 2) film pixels (x, y)."""
    x, y = np.asarray(pixels, dtype=float).reshape(-1, 2).T
    homogeneous = np.stack([x, y, np.zeros_like(x), np.ones_like(x)])
    return (ras_from_pixels(spacing) @ homogeneous)[:3].T


def ras_matrix_to_fixed(motion: np.ndarray, from_spacing: float, to_spacing: float) -> np.ndarray:
    """The RAS matrix that carries the *to* film (moving) onto the *from* film (fixed).

    `motion` is 2 x 3, *from* pixels to *to* pixels. A transform node moves what lies under it, here the later film, so
    that it comes to lie on the earlier one: the inverse of the motion, in RAS.
    """
    planar = np.eye(4)
    planar[:2, :2] = np.asarray(motion, dtype=float)[:, :2]
    planar[:2, 3] = np.asarray(motion, dtype=float)[:, 2]
    return ras_from_pixels(from_spacing) @ np.linalg.inv(planar) @ np.linalg.inv(ras_from_pixels(to_spacing))


def ras_from_lps_motion(motion_lps: np.ndarray) -> np.ndarray:
    """The RAS matrix (4 x 4) of a motion that is given in LPS and mm."""
    return RAS_FROM_LPS @ np.asarray(motion_lps, dtype=float) @ RAS_FROM_LPS
