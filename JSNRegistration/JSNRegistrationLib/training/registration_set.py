"""Simulated joints, several films of each with known motions of both bones: what the registration is learned from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import JointCrop, crop_from_masks, cut_joint
from JSNRegistrationLib.joints import Joint
from JSNRegistrationLib.motion import between_pieces, compose, inverse
from JSNRegistrationLib.radiograph import Radiograph
from JSNRegistrationLib.simulation.hand import simulate_hand
from JSNRegistrationLib.simulation.joint import simulate_joint
from JSNRegistrationLib.training.simulated_set import Arrays, simulated_set

SIDE_PX = 240  # of the canvas that holds a crop
SPACINGS_MM = (0.1, 0.15)
HAND_SPACINGS_MM = (0.15, 0.2)
VISITS = 4
HAND_VISITS = 3
DIFFICULTIES = {"easy": 0.2, "medium": 0.3, "hard": 0.5}
PHOTONS = (600.0, 20000.0)  # from far too noisy to the best films
MASK_JITTER_MM = 0.15
OVERLAPPING_MM = (-1.6, 0.2)  # change of joints that may close
OTHER_JOINTS = 500_000  # added to their seeds: not the joints that do not close
JOINTS_A_FILE, HANDS_A_FILE = 10, 2
JOINTS_A_HAND = 30
WELL_OUTLINED = 0.5  # confidence of a joint's outlines that are used


@dataclass(frozen=True)
class RegistrationSet:
    """Films of joints, one along the first axis of every array.

    ``pixels`` (n, 240, 240) uint8 and ``upper``, ``lower`` (n, 7200) uint8 of packed bits: a crop, in the upper left of
    a canvas of ``SIDE_PX``; ``size_px`` (n, 2) rows and columns of the crop; ``origin_px`` and ``axis`` (n, 2) of the
    joint in the crop; ``spacing_mm`` (n); ``joint`` (n) the same number for all films of a joint; ``upper_motion`` and
    ``lower_motion`` (n, 2, 3) from the crop of the joint's first film to this one.
    """

    pixels: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    size_px: np.ndarray
    origin_px: np.ndarray
    axis: np.ndarray
    spacing_mm: np.ndarray
    joint: np.ndarray
    upper_motion: np.ndarray
    lower_motion: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def crop(self, film: int) -> JointCrop:
        """The joint in one film."""
        rows, columns = self.size_px[film]
        upper, lower = (
            np.unpackbits(bits[film]).reshape(SIDE_PX, SIDE_PX)[:rows, :columns].astype(bool)
            for bits in (self.upper, self.lower)
        )
        return JointCrop(
            name="JOINT",
            side=None,
            offset_px=(0, 0),
            pixels=self.pixels[film, :rows, :columns].astype(np.float32),
            upper=upper,
            lower=lower,
            origin_px=tuple(self.origin_px[film]),
            axis=tuple(self.axis[film]),
            nominal_spacing_mm=float(self.spacing_mm[film]),
        )

    def motions(self, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
        """True motions (2 x 3) of the upper and the lower bone between the crops of two films of one joint."""
        return tuple(
            compose(motion[second], inverse(motion[first])) for motion in (self.upper_motion, self.lower_motion)
        )

    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of films of one joint, both ways round."""
        films = range(len(self))
        return [(a, b) for a in films for b in films if a != b and self.joint[a] == self.joint[b]]


def registration_set(
    folder: Path, seed: int, joints: int, progress: Callable[[float], None] = lambda _: None
) -> RegistrationSet:
    """`joints` simulated metacarpophalangeal joints of a training seed, besides them half as many that narrow until
    their bones lie over each other, and all joints of a hand for every thirty of them.
    """
    kinds = (
        ("joints", _films_of_joint, joints, JOINTS_A_FILE),
        ("overlaps", _films_of_overlap, math.ceil(joints / 2), JOINTS_A_FILE),
        ("hands", _films_of_hand, joints // JOINTS_A_HAND, HANDS_A_FILE),
    )
    parts = []
    for k, (name, films, count, together) in enumerate(kinds):
        if not count:
            continue
        said = partial(_said, progress, k, len(kinds))
        parts.append(simulated_set(folder, f"registered-{name}", films, seed, count, together, said))
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    arrays["joint"] = np.unique(arrays["joint"], return_inverse=True)[1]
    return RegistrationSet(**arrays)


def _said(progress: Callable[[float], None], kind: int, kinds: int, done: float) -> None:
    progress((kind + done) / kinds)


def _films_of_joint(seed: int) -> Arrays:
    rng = np.random.default_rng([seed, 3])
    return _films(seed, rng, rng.choice(list(DIFFICULTIES), p=list(DIFFICULTIES.values())), None, 20 * seed)


def _films_of_overlap(seed: int) -> Arrays:
    rng = np.random.default_rng([seed, 5])
    changes = tuple(rng.uniform(*OVERLAPPING_MM, VISITS - 1))
    return _films(seed + OTHER_JOINTS, rng, rng.choice(["medium", "hard"]), changes, 20 * seed + 19)


def _films(seed: int, rng, difficulty: str, changes_mm: tuple[float, ...] | None, number: int) -> Arrays:
    joint = simulate_joint(
        seed,
        spacing_mm=rng.choice(SPACINGS_MM),
        visits=VISITS,
        difficulty=difficulty,
        changes_mm=changes_mm,
        mask_jitter_mm=MASK_JITTER_MM,
        photons=float(np.exp(rng.uniform(*np.log(PHOTONS)))),
    )
    crops = [
        crop_from_masks(_film(pixels, joint.spacing_mm), upper, lower)
        for pixels, upper, lower in zip(joint.films, joint.upper_masks, joint.lower_masks, strict=True)
    ]
    return _arrays(crops, joint.upper_motion, joint.lower_motion, number)


def _films_of_hand(seed: int) -> Arrays:
    rng = np.random.default_rng([seed, 4])
    hand = simulate_hand(
        seed, spacing_mm=rng.choice(HAND_SPACINGS_MM), visits=HAND_VISITS, side=rng.choice(["left", "right"])
    )
    films = [_film(pixels, hand.spacing_mm) for pixels in hand.films]
    found = []
    for number, joint in enumerate(hand.joints[0]):
        seen = [_cut(film, visit[number]) for film, visit in zip(films, hand.joints, strict=True)]
        if None not in seen:
            motions = zip(*(hand.joint_motions(joint.name, 0, visit) for visit in range(HAND_VISITS)), strict=True)
            found.append(_arrays(seen, *motions, 20 * seed + 1 + number))
    return {key: np.concatenate([arrays[key] for arrays in found]) for key in found[0]}


def _cut(film: Radiograph, joint) -> JointCrop | None:
    try:
        crop = cut_joint(film, Joint(joint.name, joint.side, joint.position_px, joint.axis))
    except BadInput:
        return None
    return crop if crop.confidence >= WELL_OUTLINED and max(crop.pixels.shape) <= SIDE_PX else None


def _arrays(crops: Sequence[JointCrop], upper_motions, lower_motions, number: int) -> Arrays:
    first = crops[0].offset_px
    return {
        "pixels": np.stack([_on_canvas(crop.pixels).astype(np.uint8) for crop in crops]),
        "upper": np.stack([np.packbits(_on_canvas(crop.upper)) for crop in crops]),
        "lower": np.stack([np.packbits(_on_canvas(crop.lower)) for crop in crops]),
        "size_px": np.array([crop.pixels.shape for crop in crops], np.int16),
        "origin_px": np.array([crop.origin_px for crop in crops]),
        "axis": np.array([crop.axis for crop in crops]),
        "spacing_mm": np.array([crop.nominal_spacing_mm for crop in crops]),
        "joint": np.full(len(crops), number),
        "upper_motion": np.stack(
            [_between_crops(m, first, crop) for m, crop in zip(upper_motions, crops, strict=True)]
        ),
        "lower_motion": np.stack(
            [_between_crops(m, first, crop) for m, crop in zip(lower_motions, crops, strict=True)]
        ),
    }


def _between_crops(motion: np.ndarray, first_offset, crop: JointCrop) -> np.ndarray:
    """A motion between films, as one between the crops."""
    out_of_crop = [-np.asarray(offset, float) for offset in (first_offset, crop.offset_px)]
    return between_pieces(motion, *out_of_crop)


def _on_canvas(picture: np.ndarray) -> np.ndarray:
    canvas = np.zeros((SIDE_PX, SIDE_PX), picture.dtype)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas


def _film(pixels: np.ndarray, spacing_mm: float) -> Radiograph:
    return Radiograph(
        pixels, spacing_mm, "simulation", Path("simulated"), "", None, None, None, (0.0, float(pixels.max()))
    )
