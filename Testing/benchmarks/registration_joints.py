"""The joints on which ways to register are compared: two films each, with exactly known motion of both bones.

Half of them are simulated, half are real films taken apart into bone layers (film_layers), by code that shares nothing
with the simulation or the training. Each half is a grid of motion (easy, medium, hard) by noise (low, medium, high).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product, zip_longest
from pathlib import Path

import numpy as np
from film_layers import can_be_split, composed, region, split
from film_presentation import Presentation, presented, with_grain
from layer_motion import REACHES, Reach, draw_poses, true_motions
from mcp_series import ASSUMED_SPACING_MM, joint_series, masks_of
from scipy import ndimage

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import JointCrop, crop_from_masks, joint_space
from JSNRegistrationLib.narrowing import space_change_px
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph
from JSNRegistrationLib.simulation.joint import simulate_joint

SIMULATED, REAL = "simulated", "real layers"
SOURCES = (SIMULATED, REAL)
MOTIONS = ("easy", "medium", "hard")
PHOTONS = {"low": 16000.0, "medium": 4000.0, "high": 1000.0}  # simulated films, by noise
GRAINS = {"low": 0.012, "medium": 0.024, "high": 0.048}  # real films, of their contrast: as noisy as the simulated
NOISES = tuple(PHOTONS)
SPACINGS_MM = (0.1, 0.15)
MASK_JITTER_MM = 0.15
JITTER_LENGTH_MM = 2.0
EACH = {"evaluation": 37, "development": 10}  # joints of every source, motion and noise
FIRST_SEED = {
    "evaluation": 200_000,
    "development": 190_000,
}  # no other seeds of simulated joints are used up to 210 000
USUAL_SPACE_MM = 1.5  # where the joint space cannot be measured


@dataclass(frozen=True)
class JointSpec:
    """Which joint: all that is needed to make it again. ``film`` is None where it is simulated.

    ``reach`` and ``look`` replace what the motion would draw (for sweeps of one nuisance); ``grain`` replaces the noise
    of a real film.
    """

    source: str
    motion: str
    noise: str
    seed: int
    spacing_mm: float
    film: Path | None = None
    reach: Reach | None = None
    look: tuple[Presentation, Presentation] | None = None
    grain: float | None = None


@dataclass(frozen=True)
class KnownJoint:
    """One joint in two films; ``upper`` and ``lower`` are its true motions (2 x 3, film pixels, first to second).

    ``true_mm`` is the true change of the joint space at the origin and along the axis of the first crop.
    """

    spec: JointSpec
    first: JointCrop
    second: JointCrop
    upper: np.ndarray
    lower: np.ndarray

    @property
    def true_mm(self) -> float:
        origin = np.add(self.first.origin_px, self.first.offset_px)
        return space_change_px(self.upper, self.lower, origin, np.array(self.first.axis)) * self.spec.spacing_mm

    def change_mm(self, upper: np.ndarray, lower: np.ndarray) -> float:
        """Change of the joint space that motions (2 x 3, crop pixels) say."""
        found = space_change_px(upper, lower, np.array(self.first.origin_px), np.array(self.first.axis))
        return found * self.spec.spacing_mm


def specs(shared_data: Path | None, part: str, each: int | None = None) -> list[JointSpec]:
    """All joints of a part ("development" or "evaluation"); only simulated ones where there are no real films."""
    each = EACH[part] if each is None else each
    cells = list(product(MOTIONS, NOISES, range(each)))
    found = [
        JointSpec(SIMULATED, motion, noise, FIRST_SEED[part] + place, SPACINGS_MM[place % 2])
        for place, (motion, noise, _) in enumerate(cells)
    ]
    films = real_films(shared_data, part) if shared_data is not None else ()
    if films:
        found += [
            JointSpec(REAL, motion, noise, place, ASSUMED_SPACING_MM, films[place % len(films)])
            for place, (motion, noise, _) in enumerate(cells)
        ]
    return found


@cache
def real_films(shared_data: Path, part: str) -> tuple[Path, ...]:
    """Films of a part that can be taken apart: the first of every joint, then the second of every joint, and so on."""
    by_joint = (series.films for series in joint_series(shared_data, part, 1))
    return tuple(
        film for films in zip_longest(*by_joint) for film in films if film is not None and can_be_split(*_regions(film))
    )


def make(spec: JointSpec, noise: bool = True) -> KnownJoint:
    """The joint, without any noise on demand (exposure, processing, outlines and motion are the same)."""
    return _simulated(spec, noise) if spec.source == SIMULATED else _of_layers(spec, noise)


def _simulated(spec: JointSpec, noise: bool) -> KnownJoint:
    joint = simulate_joint(
        spec.seed,
        spacing_mm=spec.spacing_mm,
        difficulty=spec.motion,
        mask_jitter_mm=MASK_JITTER_MM,
        photons=PHOTONS[spec.noise],
        noise=noise,
    )
    crops = [
        crop_from_masks(film_of(pixels, spec.spacing_mm), upper, lower)
        for pixels, upper, lower in zip(joint.films, joint.upper_masks, joint.lower_masks, strict=True)
    ]
    return KnownJoint(spec, *crops, joint.upper_motion[1], joint.lower_motion[1])


def _of_layers(spec: JointSpec, noise: bool) -> KnownJoint:
    seeds = [spec.seed, MOTIONS.index(spec.motion), *spec.film.parent.name.encode(), *spec.film.stem.encode()]
    motion_rng, look_rng, outline_rng, *grain_rngs = np.random.default_rng(seeds).spawn(5)
    layers, whole = _layers(spec.film)
    reach = spec.reach or REACHES[spec.motion]
    origin, axis = np.add(whole.origin_px, whole.offset_px), np.array(whole.axis)
    poses = draw_poses(motion_rng, reach, origin, axis, _space_px(whole), spec.spacing_mm)
    looks = spec.look or tuple(_draw_look(look_rng, spec.motion) for _ in poses)
    grain = GRAINS[spec.noise] if spec.grain is None else spec.grain
    crops = []
    for pose, look, grain_rng in zip(poses, looks, grain_rngs, strict=True):
        film = composed(layers, pose.rest, pose.upper_bent, pose.lower_bent)
        pixels = presented(with_grain(film, grain, grain_rng) if noise else film, look)
        regions = [
            region(depth, motion, layers.shape, _shaken(outline_rng, layers.shape, spec.spacing_mm))
            for depth, motion in ((layers.upper_depth, pose.upper_bent), (layers.lower_depth, pose.lower_bent))
        ]
        crops.append(crop_from_masks(film_of(pixels, spec.spacing_mm), *regions))
    return KnownJoint(spec, *crops, *true_motions(*poses))


@cache
def _layers(film: Path):
    pixels = read_radiograph(film).pixels
    regions = _regions(film)
    whole = crop_from_masks(film_of(pixels, ASSUMED_SPACING_MM), *regions)
    return split(pixels, *regions), whole


def _regions(film: Path) -> tuple[np.ndarray, np.ndarray]:
    return tuple(mask > mask.max() / 2 for mask in map(np.asarray, masks_of(film)))


def _space_px(crop: JointCrop) -> float:
    try:
        width = joint_space(crop).width_px
    except BadInput:
        width = np.nan
    return width if np.isfinite(width) else USUAL_SPACE_MM / crop.nominal_spacing_mm


def _draw_look(rng: np.random.Generator, motion: str) -> Presentation:
    """Exposure of one film; from medium on the processing differs between visits, on hard ones it was stored as JPEG"""
    look = Presentation(gain=rng.uniform(0.7, 0.85), offset=rng.uniform(0.03, 0.12), gamma=rng.uniform(0.95, 1.05))
    if motion == "easy":
        return look
    look = replace(
        look,
        gamma=rng.uniform(0.8, 1.25),
        unsharp=float(rng.choice([0.0, 0.3, 0.6])),
        unsharp_px=rng.uniform(0.8, 2.0) / ASSUMED_SPACING_MM,
    )
    return look if motion == "medium" else replace(look, jpeg_quality=int(rng.integers(85, 96)))


def _shaken(rng: np.random.Generator, shape: tuple[int, int], spacing_mm: float) -> np.ndarray:
    """How far the outline of a bone was drawn beside it, pixels (rows, columns, 2)."""
    fields = [
        ndimage.gaussian_filter(rng.standard_normal(shape), JITTER_LENGTH_MM / spacing_mm, mode="wrap") for _ in "xy"
    ]
    return np.stack([field / field.std() for field in fields], axis=-1) * MASK_JITTER_MM / spacing_mm


def film_of(pixels: np.ndarray, spacing_mm: float) -> Radiograph:
    """Pixels as a film that was read from a file."""
    path = Path("made film")
    return Radiograph(pixels, spacing_mm, "simulation", path, "", None, None, None, (0.0, float(pixels.max())))
