"""The shape of one bone as a three-dimensional solid, and the mineral that a beam from back to palm meets in it.

Bone frame, in millimetres: u along the bone (towards the finger tip), v across it, w along the beam (towards the palm).
A solid is a tube of superelliptic cross-sections that is ended by two surfaces; the joint surfaces are such ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator, RectBivariateSpline

EDGE_MM = 0.12  # partial-volume ramp of a surface that stands across the film
FACING_RAMP_MM = 0.1  # added for surfaces that face the beam: they are stepped by the depth pitch
FLARE_STEEPNESS = 4.0  # how suddenly the dorsal width changes to the palmar width


@dataclass(frozen=True)
class EndSurface:
    """An end of a bone: the surface u = u_mm - v^2/(2 radius_v) - w^2/(2 radius_w) - quartic v^4 + groove.

    For a distal end the bone lies below the surface, so positive radii make a dome (a metacarpal head);
    for a proximal end it lies above, so the same positive radii make the cup that fits the dome.
    The groove lowers the middle of a bicondylar head by groove_mm over groove_width_mm (negative lowers the flanks).
    """

    u_mm: float
    radius_v_mm: float = 1e3
    radius_w_mm: float = 1e3
    quartic_per_mm3: float = 0.0
    groove_mm: float = 0.0
    groove_width_mm: float = 3.0
    tilt: float = 0.0
    rounding_mm: float = 0.7
    plate_mm: float = 0.5  # thickness of the subchondral plate in the middle; it thins to lip_mm at the back and palm
    lip_mm: float = 0.25
    plate_depth_mm: float = 3.2

    def at(self, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Height u of the surface at (v, w), in mm."""
        drop = v**2 / (2 * self.radius_v_mm) + w**2 / (2 * self.radius_w_mm) + self.quartic_per_mm3 * v**4
        groove = self.groove_mm * np.exp(-0.5 * (v / self.groove_width_mm) ** 2)
        return self.u_mm - drop - groove + self.groove_mm + self.tilt * v

    def plate_at(self, w: float) -> float:
        """Thickness of the plate at depth w, in mm."""
        return self.lip_mm + (self.plate_mm - self.lip_mm) * float(np.exp(-0.5 * (w / self.plate_depth_mm) ** 4))


@dataclass(frozen=True)
class BoneSolid:
    """One bone. Profiles are given at `knots_mm` along the bone and joined by monotone cubic curves.

    half_width_mm is (n, 2): towards negative and towards positive v, at mid depth. flare (n, 2): share by which the
    bone is wider in its palmar and narrower in its dorsal part. half_depth_mm, cortex_mm (thickness of the shell) and
    cancellous (bone volume fraction of the spongiosa) are (n,).
    """

    knots_mm: np.ndarray
    half_width_mm: np.ndarray
    half_depth_mm: np.ndarray
    cortex_mm: np.ndarray
    flare: np.ndarray
    cancellous: np.ndarray
    distal: EndSurface
    proximal: EndSurface
    exponent: float = 2.3
    sclerosis: float = 0.25  # extra bone volume fraction right under the joint surfaces
    cavities: tuple[tuple[float, float, float, float], ...] = field(default=())  # (u, v, w, radius) of erosions

    def extent_mm(self) -> tuple[float, float, float, float, float]:
        """(u_min, u_max, v_min, v_max, w_max) of a box that holds the solid."""
        widen = 1 + np.max(np.abs(self.flare))
        u_end = []
        for end in (self.proximal, self.distal):
            v = np.linspace(-1, 1, 21)[:, None] * self.half_width_mm.max() * widen
            w = np.linspace(-1, 1, 21)[None, :] * self.half_depth_mm.max()
            surface = end.at(v, w)
            u_end.append((surface.min(), surface.max()))
        u_min = max(u_end[0][0], self.knots_mm[0])
        u_max = min(max(u_end[1][1], u_end[1][0]), self.knots_mm[-1])
        half = self.half_width_mm.max(axis=0) * widen
        return u_min - 0.4, u_max + 0.4, -half[0] - 0.4, half[1] + 0.4, self.half_depth_mm.max() + 0.2


@dataclass(frozen=True)
class Slab:
    """What the beam meets between two depths: maps on the (u, v) grid, rows along u, in mm of solid mineral."""

    depth_mm: float  # mean depth w
    shell: np.ndarray
    cancellous: np.ndarray
    outer: np.ndarray  # path through the outer outline, mm


def slice_solid(solid: BoneSolid, pitch_mm: float, slabs: int, depth_pitch_mm: float = 0.25):
    """Integrate the mineral of a solid along the beam.

    Returns (u, v, list of `Slab`): the grid coordinates in mm and the maps of every slab. The surfaces have a linear
    partial-volume ramp of the width of a voxel, so the integral does not depend on where the grid lies to first order.
    """
    u_min, u_max, v_min, v_max, w_max = solid.extent_mm()
    u = np.arange(u_min, u_max + pitch_mm, pitch_mm, dtype=np.float32)
    v = np.arange(v_min, v_max + pitch_mm, pitch_mm, dtype=np.float32)
    count = max(slabs, int(np.ceil(2 * w_max / depth_pitch_mm / slabs)) * slabs)
    step = 2 * w_max / count
    w_all = ((np.arange(count) + 0.5) * step - w_max).astype(np.float32)
    profile = _Profile(solid, u)
    result = []
    for depths in np.split(w_all, slabs):
        shell = np.zeros((u.size, v.size), np.float32)
        spongy = np.zeros_like(shell)
        outer = np.zeros_like(shell)
        for w in depths:
            slice_shell, slice_spongy, slice_outer = _slice(solid, profile, u, v, float(w), step)
            shell += slice_shell
            spongy += slice_spongy
            outer += slice_outer
        result.append(Slab(float(depths.mean()), shell * step, spongy * step, outer * step))
    return u, v, result


class _Profile:
    """The profiles of a solid on the rows of the grid, (n, 1) each."""

    def __init__(self, solid: BoneSolid, u: np.ndarray) -> None:
        def along(values: np.ndarray) -> np.ndarray:
            clamped = np.clip(u, solid.knots_mm[0], solid.knots_mm[-1])
            return PchipInterpolator(solid.knots_mm, values)(clamped).astype(np.float32)[:, None]

        self.left = along(solid.half_width_mm[:, 0])
        self.right = along(solid.half_width_mm[:, 1])
        self.depth = along(solid.half_depth_mm)
        self.cortex = along(solid.cortex_mm)
        self.flare_left = along(solid.flare[:, 0])
        self.flare_right = along(solid.flare[:, 1])
        self.cancellous = along(solid.cancellous)


def _slice(solid: BoneSolid, profile: _Profile, u: np.ndarray, v: np.ndarray, w: float, step: float):
    """Occupancy of shell, spongiosa and outline in the plane at depth w."""
    vv = v[None, :]
    uu = u[:, None]
    n = solid.exponent
    flare = np.where(vv < 0, profile.flare_left, profile.flare_right)
    step_w = np.tanh(FLARE_STEEPNESS * (w / profile.depth - 0.1))
    widen = 1 + flare * step_w
    half = np.where(vv < 0, profile.left, profile.right) * widen
    x = np.abs(vv) / half
    z = abs(w) / profile.depth
    rho_n = x**n + z**n
    rho = np.maximum(rho_n, 1e-6) ** (1 / n)
    # first-order distance: (1 - rho) / |grad rho|, the gradient along u from the change of the profile
    scale = np.maximum(rho, 1e-3) ** (1 - n)
    grad_v = scale * x ** (n - 1) / half
    widening = flare * FLARE_STEEPNESS * (1 - step_w**2) / profile.depth / widen
    grad_w = np.abs(scale * (np.sign(w) * z ** (n - 1) / profile.depth - x**n * widening))
    grad_u = np.gradient(rho, u, axis=0)
    norm = np.sqrt(grad_v**2 + grad_w**2 + grad_u**2) + 1e-6
    side = (1 - rho) / norm
    steep_w = grad_w / norm

    distal_gap, distal_w = _end_distance(solid.distal, uu, vv, w, +1)
    proximal_gap, proximal_w = _end_distance(solid.proximal, uu, vv, w, -1)
    inside = _smooth_min(
        _smooth_min(side, distal_gap, solid.distal.rounding_mm), proximal_gap, solid.proximal.rounding_mm
    )
    for cu, cv, cw, radius in solid.cavities:
        ball = np.sqrt((uu - cu) ** 2 + (vv - cv) ** 2 + (w - cw) ** 2) - radius
        inside = _smooth_min(inside, ball, 0.25)
    nearest_end = np.minimum(distal_gap, proximal_gap)
    facing = np.where(side < nearest_end, steep_w, np.where(distal_gap < proximal_gap, distal_w, proximal_w))
    ramp = EDGE_MM + (step + FACING_RAMP_MM) * np.abs(facing)

    # the shell: thin plate at the joint surfaces, cortex at the sides
    near_end = np.exp(-np.maximum(nearest_end, 0) / 1.2)
    plate = np.where(distal_gap < proximal_gap, solid.distal.plate_at(w), solid.proximal.plate_at(w))
    thickness = np.where(side < nearest_end, profile.cortex, plate * near_end + profile.cortex * (1 - near_end))
    outer = np.clip(0.5 + inside / ramp, 0, 1)
    core = np.clip(0.5 + (inside - thickness) / (ramp + 0.35 * thickness), 0, 1)
    spongy = profile.cancellous + solid.sclerosis * np.exp(-np.maximum(nearest_end, 0) / 1.8)
    return outer - core, core * spongy, outer


def _end_distance(end: EndSurface, u: np.ndarray, v: np.ndarray, w: float, sign: int):
    """Distance into the bone from an end surface (positive inside), and how much that surface faces the beam."""
    d = 0.05
    surface = end.at(v, w)
    slope_v = (end.at(v + d, w) - end.at(v - d, w)) / (2 * d)
    slope_w = (end.at(v, w + d) - end.at(v, w - d)) / (2 * d)
    norm = np.sqrt(1 + slope_v**2 + slope_w**2)
    return sign * (surface - u) / norm, slope_w / norm


def _smooth_min(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Minimum of two distances with the edge rounded by `radius` (polynomial form)."""
    h = np.clip(1 - np.abs(a - b) / (2 * radius + 1e-6), 0, 1)
    return np.minimum(a, b) - 0.5 * radius * h**2


def upsampled(maps: np.ndarray, u: np.ndarray, v: np.ndarray, u_fine: np.ndarray, v_fine: np.ndarray) -> np.ndarray:
    """A map on the grid (u, v) read on a finer grid by cubic spline; the border continues outside."""
    spline = RectBivariateSpline(u, v, maps)
    return np.maximum(spline(np.clip(u_fine, u[0], u[-1]), np.clip(v_fine, v[0], v[-1])), 0).astype(np.float32)
