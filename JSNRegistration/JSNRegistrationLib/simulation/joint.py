"""Films of one metacarpophalangeal joint at several visits, with exactly known motion of each bone.

What is true. Every bone is a layer of mineral in its own frame. It is read by cubic spline at moved coordinates, so
the 2x3 motions hold exactly for every point of it. Where the bone is also turned out of the film plane (`hard`), it is
turned in three dimensions about the middle of its joint surface (u = v = w = 0 of its frame); the motions then state
the movement of that point and of the bone's frame in the plane, and the rest of the projection deforms around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.motion import angle_of, apply, compose, inverse, motion_about
from JSNRegistrationLib.narrowing import space_change_px

from .bone_layer import BoneLayer, make_layer
from .bone_shapes import metacarpal_head, phalanx_base
from .scanner import Exposure, take_film

OVERSAMPLING = 2
DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class SimulatedJoint:
    """Films of one joint and the truth. Pixel coordinates are (x, y), centres at integers; arrays are [row, column]."""

    films: tuple[np.ndarray, ...]  # float32 grey values, bone bright
    upper_masks: tuple[np.ndarray, ...]
    lower_masks: tuple[np.ndarray, ...]
    upper_motion: tuple[np.ndarray, ...]  # 2x3, film 0 pixels to film k pixels; the first is the identity
    lower_motion: tuple[np.ndarray, ...]
    origin_px: tuple[float, float]  # the middle of the joint space in film 0
    axis: tuple[float, float]  # unit, from the lower to the upper bone, in film 0
    spacing_mm: float
    joint_space_mm: tuple[float, ...]  # distance of the two joint surfaces along the axis, every visit
    side: str
    upper_turn_rad: tuple[tuple[float, float], ...]  # out of the film plane: flexion, pronation
    lower_turn_rad: tuple[tuple[float, float], ...]
    bone_paths_mm: tuple[np.ndarray, ...]  # noise-free mineral path at the film pixels

    def true_change(
        self,
        from_film: int,
        to_film: int,
        origin_px: tuple[float, float] | None = None,
        axis: tuple[float, float] | None = None,
    ) -> float:
        """Change of the joint space in mm from one film to another, positive is wider.

        origin_px and axis are in the *from* film; left out, the joint's own are carried there by the mean of the bones'
        motions.
        """
        upper = compose(self.upper_motion[to_film], inverse(self.upper_motion[from_film]))
        lower = compose(self.lower_motion[to_film], inverse(self.lower_motion[from_film]))
        own_origin, own_axis = self.frame(from_film)
        origin = own_origin if origin_px is None else origin_px
        direction = own_axis if axis is None else axis
        return space_change_px(upper, lower, np.asarray(origin), np.asarray(direction)) * self.spacing_mm

    def frame(self, film: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Origin (px) and unit axis of the joint in a film."""
        upper, lower = self.upper_motion[film], self.lower_motion[film]
        origin = 0.5 * (apply(upper, self.origin_px) + apply(lower, self.origin_px))
        half = 0.5 * np.angle(np.exp(1j * (angle_of(upper) - angle_of(lower))))
        direction = _turned(np.asarray(self.axis), angle_of(lower) + half)
        return (float(origin[0]), float(origin[1])), (float(direction[0]), float(direction[1]))


def simulate_joint(
    seed: int,
    *,
    spacing_mm: float = 0.1,
    visits: int = 2,
    difficulty: str = "easy",
    size_px: int | None = None,
    changes_mm: tuple[float, ...] | None = None,
    mask_jitter_mm: float = 0.0,
    noise: bool = True,
    exposure: Exposure | None = None,
    photons: float | None = None,
    repeat: bool = False,
) -> SimulatedJoint:
    """Simulate `visits` films of one joint.

    changes_mm: true change of the joint space from film 0 to each later film (visits - 1 values); drawn from
    -0.6..+0.3 mm when left out. mask_jitter_mm: standard deviation of the error of the mask outlines. exposure: the
    same for all films instead of a random one each. photons: the dose of all films (as ``Exposure.photons``), whatever
    the difficulty. repeat: the bones do not move at all (identical pose, new noise and exposure only). Raises
    ValueError on an unknown difficulty.
    """
    if difficulty not in DIFFICULTIES:
        raise ValueError(f"difficulty is one of {', '.join(DIFFICULTIES)}, not {difficulty!r}")
    rng = np.random.default_rng([seed, DIFFICULTIES.index(difficulty)])
    shape_rng, motion_rng, soft_rng, film_rng, mask_rng = rng.spawn(5)
    size = size_px or round(24.0 / spacing_mm / 2) * 2
    scene = _Scene.draw(shape_rng, soft_rng, spacing_mm, size, difficulty)
    poses = _draw_poses(motion_rng, scene, visits, difficulty, changes_mm, repeat)
    films, uppers, lowers, paths = [], [], [], []
    for visit, pose in enumerate(poses):
        grid = _grid(size, OVERSAMPLING)
        bone = scene.bone_path(grid, pose, visit > 0)
        soft = scene.soft_path(grid, pose)
        taken = exposure or _draw_exposure(film_rng, difficulty)
        if photons is not None:
            taken = replace(taken, photons=photons)
        films.append(take_film(bone, soft, spacing_mm, taken, film_rng if noise else None, OVERSAMPLING))
        pixels = _grid(size, 1)
        paths.append(scene.bone_path(pixels, pose, visit > 0))
        uppers.append(scene.mask(scene.upper, pixels, pose.upper, mask_jitter_mm, mask_rng))
        lowers.append(scene.mask(scene.lower, pixels, pose.lower, mask_jitter_mm, mask_rng))
    return SimulatedJoint(
        films=tuple(films),
        upper_masks=tuple(uppers),
        lower_masks=tuple(lowers),
        upper_motion=tuple(pose.upper for pose in poses),
        lower_motion=tuple(pose.lower for pose in poses),
        origin_px=scene.origin_px,
        axis=scene.axis,
        spacing_mm=spacing_mm,
        joint_space_mm=tuple(scene.gap_mm + pose.change_mm for pose in poses),
        side=scene.side,
        upper_turn_rad=tuple(pose.upper_turn for pose in poses),
        lower_turn_rad=tuple(pose.lower_turn for pose in poses),
        bone_paths_mm=tuple(paths),
    )


@dataclass(frozen=True)
class _Pose:
    """Where the bones are in one film, relative to film 0."""

    common: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    change_mm: float
    upper_turn: tuple[float, float] = (0.0, 0.0)
    lower_turn: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class _Scene:
    """The two bones, the joint frame in film 0, the soft tissue and what changes at the joint margin."""

    upper: BoneLayer
    lower: BoneLayer
    upper_place: np.ndarray  # 2x3, bone millimetres (u, v) to film 0 pixels
    lower_place: np.ndarray
    neighbour_place: np.ndarray | None
    origin_px: tuple[float, float]
    axis: tuple[float, float]
    gap_mm: float
    side: str
    spacing_mm: float
    soft: Callable[[np.ndarray, np.ndarray], np.ndarray]
    marginal_change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None

    @staticmethod
    def draw(rng, soft_rng, spacing_mm: float, size: int, difficulty: str) -> _Scene:
        width = rng.uniform(6.3, 7.7)
        side = "left" if rng.random() < 0.5 else "right"
        slabs = 10 if difficulty == "hard" else 6
        pitch = spacing_mm / 4
        texture = rng.uniform(0.85, 1.25)
        struts = rng.uniform(0.65, 0.9)
        lower = make_layer(
            metacarpal_head(rng, width),
            rng,
            pitch_mm=pitch,
            slabs=slabs,
            texture_contrast=texture,
            strut_spacing_mm=struts,
        )
        upper = make_layer(
            phalanx_base(rng, width * rng.uniform(1.0, 1.06)),
            rng,
            pitch_mm=pitch,
            slabs=slabs,
            texture_contrast=texture,
            strut_spacing_mm=struts,
        )
        tilt = np.radians(rng.uniform(-12, 12))
        axis = np.array([np.sin(tilt), -np.cos(tilt)])
        origin = (size - 1) / 2 + rng.uniform(-1.0, 1.0, 2) / spacing_mm
        gap = rng.uniform(0.9, 1.4) if difficulty == "hard" and rng.random() < 0.4 else rng.uniform(1.3, 2.0)
        bend = np.radians(rng.normal(0, 3))
        upper_place = _place(origin + 0.5 * gap / spacing_mm * axis, _turned(axis, bend / 2), spacing_mm)
        lower_place = _place(origin - 0.5 * gap / spacing_mm * axis, _turned(axis, -bend / 2), spacing_mm)
        neighbour = None
        if rng.random() < 0.6:
            sideways = rng.choice([-1, 1]) * rng.uniform(18.0, 21.0) * np.array([-axis[1], axis[0]])
            neighbour = _place(origin + (sideways - rng.uniform(0, 6) * axis) / spacing_mm, axis, spacing_mm)
        marginal = None
        if difficulty == "hard" and rng.random() < 0.15:
            marginal = _marginal_change(rng, width)
        return _Scene(
            upper,
            lower,
            upper_place,
            lower_place,
            neighbour,
            (float(origin[0]), float(origin[1])),
            (float(axis[0]), float(axis[1])),
            gap,
            side,
            spacing_mm,
            _soft_tissue(soft_rng, width),
            marginal,
        )

    def bone_path(self, grid: np.ndarray, pose: _Pose, later: bool) -> np.ndarray:
        """Mineral path in mm at pixel coordinates `grid` (..., 2)."""
        uv = apply(inverse(compose(pose.upper, self.upper_place)), grid)
        path = self.upper.mineral_at(uv[..., 0], uv[..., 1], pose.upper_turn)
        uv = apply(inverse(compose(pose.lower, self.lower_place)), grid)
        head = self.lower.mineral_at(uv[..., 0], uv[..., 1], pose.lower_turn)
        if later and self.marginal_change is not None:
            keep, added = self.marginal_change(uv[..., 0], uv[..., 1])
            head = head * keep + added
        if self.neighbour_place is not None:
            uv = apply(inverse(compose(pose.common, self.neighbour_place)), grid)
            head = head + self.lower.mineral_at(uv[..., 0], uv[..., 1])
        return np.maximum(path + head, 0)

    def soft_path(self, grid: np.ndarray, pose: _Pose) -> np.ndarray:
        """Thickness of the part in mm."""
        place = _place(np.asarray(self.origin_px), np.asarray(self.axis), self.spacing_mm)
        uv = apply(inverse(compose(pose.common, place)), grid)
        return self.soft(uv[..., 0], uv[..., 1])

    def mask(self, layer: BoneLayer, grid: np.ndarray, motion: np.ndarray, jitter_mm: float, rng) -> np.ndarray:
        """Region of a bone in a film: where the beam meets at least 0.4 mm of it."""
        place = self.upper_place if layer is self.upper else self.lower_place
        uv = apply(inverse(compose(motion, place)), grid)
        if jitter_mm > 0:
            uv = (
                uv
                + np.stack([_smooth_noise(rng, uv.shape[:2], 2.0 / self.spacing_mm) for _ in range(2)], axis=-1)
                * jitter_mm
            )
        return layer.outline_at(uv[..., 0], uv[..., 1]) > 0.4


def _draw_poses(rng, scene: _Scene, visits: int, difficulty: str, changes_mm, repeat: bool) -> list[_Pose]:
    identity = np.eye(2, 3)
    first_turns = _draw_turns(rng, difficulty, 1.0)
    poses = [_Pose(identity, identity, identity, 0.0, *first_turns)]
    origin, axis = np.asarray(scene.origin_px), np.asarray(scene.axis)
    for visit in range(1, visits):
        common = motion_about(
            origin,
            np.radians(rng.uniform(-8, 8)),
            1 + rng.uniform(-0.01, 0.01),
            rng.uniform(-1.5, 1.5, 2) / scene.spacing_mm,
        )
        change = rng.uniform(-0.6, 0.3) if changes_mm is None else changes_mm[visit - 1]
        change = max(change, 0.35 - scene.gap_mm) if changes_mm is None else change
        relative = np.radians(rng.uniform(-3, 3))
        slip = rng.normal(0, 0.1)
        turns = tuple(
            (a[0] + b[0], a[1] + b[1]) for a, b in zip(first_turns, _draw_turns(rng, difficulty, 3.0), strict=True)
        )
        if repeat:
            poses.append(replace(poses[0]))
            continue
        lower, upper = joint_motions(common, origin, axis, change / scene.spacing_mm, relative, slip / scene.spacing_mm)
        poses.append(_Pose(common, upper, lower, change, *turns))
    return poses


def joint_motions(
    common: np.ndarray,
    origin_px: np.ndarray,
    axis: np.ndarray,
    change_px: float,
    relative_rad: float,
    slip_px: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """(lower, upper) motions that turn by -+ relative/2 about the origin and widen the space there by change_px.

    slip_px moves the upper bone sideways over the lower one; all lengths in pixels of the *from* film.
    """
    direction = np.asarray(axis, float)
    sideways = np.array([-direction[1], direction[0]])
    lower = compose(common, motion_about(origin_px, -relative_rad / 2, 1.0, -0.5 * change_px * direction))
    upper = compose(
        common, motion_about(origin_px, relative_rad / 2, 1.0, 0.5 * change_px * direction + slip_px * sideways)
    )
    return lower, upper


def _draw_turns(rng, difficulty: str, degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Out-of-plane turns of upper and lower bone, rad: mostly together, a little apart."""
    together, apart_upper, apart_lower = (np.radians(rng.normal(0, 1, 2)) for _ in range(3))
    if difficulty != "hard":
        return (0.0, 0.0), (0.0, 0.0)
    together, spread = together * degrees / 1.5, degrees / 4
    upper = together + spread * apart_upper
    lower = together + spread * apart_lower
    return (float(upper[0]), float(upper[1])), (float(lower[0]), float(lower[1]))


def _draw_exposure(rng, difficulty: str) -> Exposure:
    """Dose, blur and presentation of one film; from `medium` on the processing changes between visits."""
    dose = {"easy": 16000, "medium": 5000, "hard": 4000}[difficulty] * np.exp(rng.normal(0, 0.2))
    drawn = Exposure(
        photons=dose,
        scatter_fraction=rng.uniform(0.12, 0.25),
        blur_mm=rng.uniform(0.075, 0.1),
        gamma=rng.uniform(0.9, 1.1),
        window=(rng.uniform(0.2, 2.0), rng.uniform(99.5, 99.95)),
        headroom=(rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.2)),
        bits=8,
    )
    if difficulty == "easy":
        return drawn
    return replace(
        drawn,
        gamma=rng.uniform(0.75, 1.3),
        logarithmic=bool(rng.random() < 0.85),
        unsharp=float(rng.choice([0.0, 0.3, 0.6])),
        unsharp_mm=rng.uniform(0.8, 2.0),
        jpeg_quality=int(rng.integers(88, 97)) if rng.random() < 0.4 else None,
    )


def _soft_tissue(rng, half_width_mm: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Thickness of finger and palm around the joint in mm, in the joint's frame (u to the finger tip)."""
    thick = rng.uniform(16, 22)
    edge = {-1: rng.uniform(11, 16), 1: rng.uniform(11, 16)}
    web_u = {-1: rng.uniform(-4, 16), 1: rng.uniform(-4, 16)}
    if rng.random() < 0.6:  # a neighbouring finger on one side closes the web
        web_u[int(rng.choice([-1, 1]))] = 40.0
    waves = [(rng.normal(0, 0.12), rng.uniform(-1, 1, 2) / 6.0, rng.uniform(0, 2 * np.pi)) for _ in range(10)]

    def thickness(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        side = np.where(v < 0, -1, 1)
        limit = np.where(side < 0, edge[-1], edge[1]) * half_width_mm / 7.0
        web = np.where(side < 0, web_u[-1], web_u[1])
        open_width = limit + 14.0 / (1 + np.exp((u - web + 6) / 2.5))
        across = np.clip(1 - (np.abs(v) / open_width) ** 2.2, 0, None)
        body = (thick - 0.12 * u) * across**0.45
        ripple = sum(a * np.sin(2 * np.pi * (k[0] * u + k[1] * v) + phase) for a, k, phase in waves)
        return np.maximum(body + ripple * np.minimum(body, 4) / 4, 0)

    return thickness


def _marginal_change(rng, half_width_mm: float):
    """An erosion and an osteophyte at the margin of the head that appear after film 0: (share kept, mm added)."""
    side = rng.choice([-1, 1])
    bite_u, bite_v, bite_r = -rng.uniform(3, 6), side * half_width_mm * 0.85, rng.uniform(0.8, 1.5)
    spur_u, spur_v = -rng.uniform(5, 9), -side * (half_width_mm * 0.93)
    spur_mm = rng.uniform(0.3, 1.2)

    def change(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bite = np.exp(-((np.hypot(u - bite_u, v - bite_v) / bite_r) ** 4))
        spur = np.exp(-(((u - spur_u) / 1.2) ** 2) - ((v - spur_v) / 0.7) ** 2)
        return 1 - 0.7 * bite, spur_mm * spur

    return change


def _place(origin_px: np.ndarray, axis: np.ndarray, spacing_mm: float) -> np.ndarray:
    """2x3 from bone millimetres (u, v) to film pixels: u runs along the axis, v to its right in the picture."""
    along = np.asarray(axis, float) / spacing_mm
    return np.column_stack([along, [-along[1], along[0]], origin_px])


def _turned(direction: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * direction[0] - s * direction[1], s * direction[0] + c * direction[1]])


def _grid(size: int, oversampling: int) -> np.ndarray:
    """Pixel coordinates (n, n, 2) of a film sampled `oversampling` times finer."""
    line = (np.arange(size * oversampling) + 0.5) / oversampling - 0.5
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1)


def _smooth_noise(rng, shape: tuple[int, int], sigma_px: float) -> np.ndarray:
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma_px, mode="wrap")
    return field / field.std()
