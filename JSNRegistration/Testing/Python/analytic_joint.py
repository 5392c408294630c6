"""A joint as a formula: two bones that can be looked at anywhere, so that every motion of them is drawn exactly.

Nothing is interpolated: a film of moved bones is the formula at other points. Bones have a soft edge, a cortex and a
texture of oriented waves, all wide enough for the pixels to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erf, logsumexp

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import angle_of, apply, compose, inverse, motion_about, relative_angle
from JSNRegistrationLib.narrowing import JointFrame

EDGE_MM = 0.18  # sigma of the soft edge
GAP_MM = 1.6
HALF_WIDTH_MM = 11.2  # of the film around the joint


@dataclass(frozen=True)
class Bone:
    """Brightness of one bone at joint coordinates in mm: u across the joint, v along it towards the finger tip."""

    distal: bool
    waves: np.ndarray  # (n, 4): cycles per mm along u and v, phase, height
    form: np.ndarray  # (4): curvature of the end, half width of the shaft, flare and its length, beside the usual ones

    @classmethod
    def drawn(cls, seed: int, distal: bool) -> Bone:
        random = np.random.default_rng(seed)
        length, direction = np.exp(random.uniform(np.log(0.7), np.log(4.0), 40)), random.uniform(0, np.pi, 40)
        height = random.standard_normal(40) * np.sqrt(length)
        height *= 9.0 / np.sqrt(0.5 * np.sum(height**2))
        phase = random.uniform(0, 2 * np.pi, 40)
        waves = np.column_stack([np.cos(direction) / length, np.sin(direction) / length, phase, height])
        return cls(distal, waves, random.uniform(0.85, 1.15, 4))

    def depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Depth below the surface in mm, about; negative outside."""
        bend, shaft, flare, length = self.form
        if self.distal:
            end = v - GAP_MM / 2 - 0.015 * bend * u**2
            half_width = 4.8 * shaft + 2.4 * flare * np.exp(-((v / (5.0 * length)) ** 2))
        else:
            end = -v - GAP_MM / 2 - 0.04 * bend * u**2
            half_width = 4.6 * shaft + 1.9 * flare * np.exp(-(((v + 4.0) / (4.0 * length)) ** 2))
        return -0.3 * logsumexp(np.stack([end, half_width - u, half_width + u]) / -0.3, axis=0)

    def brightness(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        depth = self.depth(u, v)
        texture = np.zeros_like(depth)
        for along_u, along_v, phase, height in self.waves:
            texture += height * np.cos(2 * np.pi * (along_u * u + along_v * v) + phase)
        cortex = 35.0 * np.exp(-0.5 * ((depth - 0.5) / 0.3) ** 2)
        return 60.0 * _step(depth) + cortex + texture * _step((depth - 1.0) / 2.0)


@dataclass(frozen=True)
class Exposure:
    """What film and processing do: a monotone curve, a gain and an offset, and noise (grey values; no noise: 0)."""

    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0
    noise: float = 0.0
    noise_seed: int = 0

    def of(self, brightness: np.ndarray) -> np.ndarray:
        seen = self.offset + self.gain * 100.0 * ((20.0 + brightness) / 100.0) ** self.gamma
        return seen + self.noise * np.random.default_rng(self.noise_seed).standard_normal(seen.shape)


@dataclass(frozen=True)
class AnalyticFilm:
    """One film of the joint: where both bones lie in it (2 x 3, joint mm to pixels), and its crop."""

    crop: JointCrop
    upper: np.ndarray
    lower: np.ndarray

    @property
    def frame(self) -> JointFrame:
        return JointFrame(np.asarray(self.crop.origin_px), np.asarray(self.crop.axis))

    def motions_to(self, other: AnalyticFilm) -> tuple[np.ndarray, np.ndarray]:
        """The true motions (2 x 3) of the upper and the lower bone to another film."""
        return compose(other.upper, inverse(self.upper)), compose(other.lower, inverse(self.lower))


@dataclass(frozen=True)
class Pose:
    """How the joint lies in a film: `shift_px` of its middle from the middle of the film, `turn_deg` of the whole
    (clockwise as seen), `gap_px` added to the joint space along the axis and `aside_px` along the joint, in pixels of
    this film before magnification, `bend_deg` of the upper bone against the lower, and the magnification.
    Gap and bend are shared out evenly between both bones.
    """

    shift_px: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0
    gap_px: float = 0.0
    aside_px: float = 0.0
    bend_deg: float = 0.0
    magnification: float = 1.0


@dataclass(frozen=True)
class AnalyticJoint:
    """Two bones with a texture of their own."""

    seed: int = 1

    def film(
        self,
        pose: Pose = Pose(),
        exposure: Exposure = Exposure(),
        spacing_mm: float = 0.15,
        lower_seed: int | None = None,
    ) -> AnalyticFilm:
        """The joint drawn on a film; ``lower_seed`` exchanges the lower bone for another one."""
        half = int(np.ceil(HALF_WIDTH_MM / spacing_mm))
        upper, lower = self._places(pose, np.array([half, half]) + pose.shift_px, spacing_mm)
        bones = (Bone.drawn(2 * self.seed, True), Bone.drawn(2 * (lower_seed or self.seed) + 1, False))
        y, x = np.mgrid[: 2 * half + 1, : 2 * half + 1]
        at = np.stack([x, y], axis=-1)
        points = [np.moveaxis(apply(inverse(place), at), -1, 0) for place in (upper, lower)]
        brightness = sum(bone.brightness(*point) for bone, point in zip(bones, points, strict=True))
        regions = [bone.depth(*point) > 0 for bone, point in zip(bones, points, strict=True)]
        zero = np.zeros(2)
        middle = 0.5 * (apply(upper, zero) + apply(lower, zero))
        turn = angle_of(lower) + 0.5 * relative_angle(upper, lower)
        axis = (-np.sin(turn), np.cos(turn))  # the direction of v
        pixels = exposure.of(brightness).astype(np.float32)
        crop = JointCrop("PIP3", None, (0, 0), pixels, *regions, tuple(middle), axis, spacing_mm)
        return AnalyticFilm(crop, upper, lower)

    @staticmethod
    def _places(pose: Pose, centre_px: np.ndarray, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
        # By half a turn v points up, and u to the left: no mirror, so that places are motions like any other.
        whole = motion_about(np.zeros(2), np.pi + np.radians(pose.turn_deg), pose.magnification / spacing_mm, centre_px)
        places = []
        for half in (0.5, -0.5):
            shift = half * np.array([pose.aside_px, pose.gap_px]) * spacing_mm
            places.append(compose(whole, motion_about(np.zeros(2), half * np.radians(pose.bend_deg), 1.0, shift)))
        return places[0], places[1]


def mirrored(film: AnalyticFilm) -> JointCrop:
    """The crop of a film that is turned over, left for right."""
    crop, last = film.crop, film.crop.pixels.shape[1] - 1
    flipped = {name: getattr(crop, name)[:, ::-1].copy() for name in ("pixels", "upper", "lower")}
    origin, axis = (last - crop.origin_px[0], crop.origin_px[1]), (-crop.axis[0], crop.axis[1])
    return replace(crop, origin_px=origin, axis=axis, **flipped)


def upside_down(film: AnalyticFilm) -> JointCrop:
    """The crop of a film that is turned by half a turn."""
    crop, last = film.crop, np.array(film.crop.pixels.shape[::-1]) - 1
    turned = {name: getattr(crop, name)[::-1, ::-1].copy() for name in ("pixels", "upper", "lower")}
    return replace(crop, origin_px=tuple(last - crop.origin_px), axis=tuple(-np.asarray(crop.axis)), **turned)


def farthest_apart(first: np.ndarray, second: np.ndarray, around_px: np.ndarray, reach_px: float) -> float:
    """The largest distance in pixels between where two motions take points within `reach_px` of a place."""
    side = np.linspace(-reach_px, reach_px, 9)
    points = np.asarray(around_px) + np.stack(np.meshgrid(side, side), axis=-1)
    return float(np.max(np.linalg.norm(apply(first, points) - apply(second, points), axis=-1)))


def _step(distance_mm: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + erf(distance_mm / (EDGE_MM * np.sqrt(2.0))))
