"""Batches for the registration network: two films of a joint, brought half way by motions that are a little wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from JSNRegistrationLib.halfway_pictures import FINE, ComparedJoint, compared_joint, halfway_pictures
from JSNRegistrationLib.similarity import Similarity
from JSNRegistrationLib.training.picture_variation import vary
from JSNRegistrationLib.training.registration_set import RegistrationSet

OFF_MM = (0.003, 0.25)  # how far the start of a bone lies from the truth
OFF_RAD = 0.12  # turned wrongly, for each mm
OFF_LOG_SCALE = 0.01  # for each mm
MIRRORED = (-1.0, 1.0, -1.0, 1.0)  # shift x, y, turn and log scale in a mirror


@dataclass(frozen=True)
class TrueJoints:
    """All films of a set made ready, and the true motions between them in the joints' frames."""

    films: list[ComparedJoint]
    joint: np.ndarray
    upper: Similarity  # (n) from the frame of the joint's first film to that of this one, mm
    lower: Similarity

    @classmethod
    def of(cls, joints: RegistrationSet) -> TrueJoints:
        films = [compared_joint(joints.crop(film)) for film in range(len(joints))]
        frames = Similarity(*(np.array([getattr(f.frame, part) for f in films]) for part in ("turn", "shift")))
        first = np.array([np.argmax(joints.joint == number) for number in joints.joint])
        return cls(
            films,
            joints.joint,
            *(
                frames.inverse().after(Similarity.of_matrix(motion)).after(frames[first])
                for motion in (joints.upper_motion, joints.lower_motion)
            ),
        )

    def motions(self, first: np.ndarray, second: np.ndarray) -> Similarity:
        """True motions (n, 2) of upper and lower bone between films (n)."""
        found = [bone[second].after(bone[first].inverse()) for bone in (self.upper, self.lower)]
        return Similarity(*(np.stack([getattr(f, part) for f in found], axis=-1) for part in ("turn", "shift")))


@dataclass(frozen=True)
class RegistrationBatch:
    """Pictures of 2 n bones (``halfway_pictures``), what is left of the motion of each (n, 2, 4: shift x, y in mm,
    turn, log scale, half way), and the log scale (n) that the start has already."""

    pictures: torch.Tensor
    left: torch.Tensor
    excess_log_scale: torch.Tensor


Improve = Callable[[list[tuple[ComparedJoint, ComparedJoint]], Similarity], Similarity]


def registration_batch(
    joints: TrueJoints, count: int, rng: np.random.Generator, improve: Improve | None = None
) -> RegistrationBatch:
    """`count` random pairs; `improve` takes a step from the wrong start of half of them, as in use."""
    first = rng.integers(0, len(joints.films), count)
    second = np.array([rng.choice(_partners(joints, film)) for film in first])
    pairs = [(joints.films[a], joints.films[b]) for a, b in zip(first, second, strict=True)]
    true = joints.motions(first, second)
    start = _wrong(true, rng)
    if improve is not None:
        half = count // 2
        better = improve(pairs[:half], start[:half])
        start = Similarity(
            np.concatenate([better.turn, start.turn[half:]]), np.concatenate([better.shift, start.shift[half:]])
        )
    back = start.half().inverse()
    left = back.after(true).after(back)
    pictures = halfway_pictures(pairs, start, FINE, "fine")
    vary(pictures, _bone_by_bone(left), rng)
    left = left.small_parts()
    if rng.random() < 0.5:
        pictures = np.ascontiguousarray(pictures[..., ::-1])
        left = left * MIRRORED
    excess = np.log(np.abs(start.turn)).mean(axis=1)
    return RegistrationBatch(
        torch.from_numpy(pictures), torch.from_numpy(left).float(), torch.from_numpy(excess).float()
    )


def _partners(joints: TrueJoints, film: int) -> np.ndarray:
    """Other films of the same joint; the film itself where there is none: then only what is varied tells them apart."""
    films = np.flatnonzero(joints.joint == joints.joint[film])
    return films if len(films) == 1 else films[films != film]


def _wrong(true: Similarity, rng) -> Similarity:
    count = len(true.turn)
    off = np.exp(rng.uniform(*np.log(OFF_MM), (count, 1)))
    shift = rng.normal(0, 1, (count, 2, 2)) * off[..., None]
    turn = rng.normal(0, OFF_RAD, (count, 2)) * off
    scale = rng.normal(0, OFF_LOG_SCALE, (count, 1)) * off
    half = true.half()
    return half.after(Similarity.small(shift, turn, scale)).after(half)


def _bone_by_bone(motions: Similarity) -> Similarity:
    """Motions (n, 2) as those of the pictures (2 n), in which the lower bone is upside down."""
    upside_down = motions.upside_down()
    shift = np.stack([motions.shift[:, 0], upside_down.shift[:, 1]], axis=-1)
    return Similarity(motions.turn.ravel(), shift.ravel())
