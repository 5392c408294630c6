"""Many joints registered at once: Gauss-Newton from coarse to fine, its last steps guided by the network. Needs torch.

Without torch joints are registered one by one by the classical core (``registration.register``).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.gauss_newton import Step, gauss_newton_step
from JSNRegistrationLib.halfway_pictures import (
    COARSE,
    COARSE_BLUR_MM,
    FINE,
    FINE_BLUR_MM,
    THREADS,
    ComparedJoint,
    compared_joint,
    halfway_pictures,
)
from JSNRegistrationLib.motion import BoneMotion
from JSNRegistrationLib.network import RegistrationNetwork
from JSNRegistrationLib.registration import MAGNIFICATION_SD, UNKNOWN_SCALE_SD, JointRegistration
from JSNRegistrationLib.similarity import Similarity
from JSNRegistrationLib.starting_search import searched_motions

COARSE_STEPS, GUIDED_STEPS = 3, 3
LONGEST_MM = 0.6  # of one step
TOGETHER = 32  # pairs in one batch

Pair = tuple[ComparedJoint, ComparedJoint]


def register_joints(
    crops: Sequence[tuple[JointCrop, JointCrop]],
    spacings_known: Sequence[bool],
    network: RegistrationNetwork | None,
    device: str = "cpu",
) -> list[JointRegistration | None]:
    """The motions of both bones of every pair of crops, None where a film is blank there.

    ``spacings_known`` says of each pair whether the scale between the films is known; ``network`` None leaves the steps
    without guidance. The covariance is calibrated (see the model card).
    """
    chosen = [k for k, pair in enumerate(crops) if all(np.ptp(crop.pixels) > 0 for crop in pair)]
    ready = _compared([crop for k in chosen for crop in crops[k]])
    pairs = list(zip(ready[0::2], ready[1::2], strict=True))
    deviation = np.array([MAGNIFICATION_SD if spacings_known[k] else UNKNOWN_SCALE_SD for k in chosen])
    found: list[JointRegistration | None] = [None] * len(crops)
    for start in range(0, len(chosen), TOGETHER):
        part = slice(start, start + TOGETHER)
        answers = _registered([crops[k] for k in chosen[part]], pairs[part], deviation[part], network, device)
        for k, answer in zip(chosen[part], answers, strict=True):
            found[k] = answer
    return found


def _compared(crops: Sequence[JointCrop]) -> list[ComparedJoint]:
    """The crops made ready; one that is in several pairs only once."""
    several = {id(crop): crop for crop in crops}
    with ThreadPoolExecutor(THREADS) as pool:
        made = dict(zip(several, pool.map(compared_joint, several.values()), strict=True))
    return [made[id(crop)] for crop in crops]


def _registered(crops, pairs: list[Pair], deviation: np.ndarray, network, device: str) -> list[JointRegistration]:
    motions = _started(pairs)
    for _ in range(COARSE_STEPS):
        motions = moved(motions, coarse_step(pairs, motions, deviation, device))
    for _ in range(GUIDED_STEPS):
        step, factor = guided_step(pairs, motions, deviation, network, device)
        motions = moved(motions, step)
    covariance = step.covariance.cpu().double().numpy() * factor[:, None, None] ** 2
    similarity = step.similarity.reshape(-1, 2).cpu().numpy()
    return [
        _joint_registration(*crops[k], *pairs[k], motions[k], covariance[k], similarity[k]) for k in range(len(pairs))
    ]


def _started(pairs: list[Pair]) -> Similarity:
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda pair: searched_motions(*pair), pairs))
    return Similarity(np.stack([f.turn for f in found]), np.stack([f.shift for f in found]))


def coarse_step(pairs: list[Pair], motions: Similarity, deviation: np.ndarray, device: str) -> Step:
    """An unguided step on the coarse pictures; ``deviation`` (n) is that of the log scale."""
    pictures = torch.from_numpy(halfway_pictures(pairs, motions, COARSE, "coarse")).to(device)
    with torch.inference_mode():
        return gauss_newton_step(
            None, pictures, COARSE, COARSE_BLUR_MM, _excess(motions, device), _on(deviation, device)
        )


def guided_step(
    pairs: list[Pair], motions: Similarity, deviation: np.ndarray, network: RegistrationNetwork | None, device: str
) -> tuple[Step, np.ndarray]:
    """A step on the fine pictures and what its standard errors are to be multiplied with (n)."""
    pictures = torch.from_numpy(halfway_pictures(pairs, motions, FINE, "fine")).to(device)
    with torch.inference_mode():
        guidance = None if network is None else network(pictures)
        step = gauss_newton_step(
            guidance, pictures, FINE, FINE_BLUR_MM, _excess(motions, device), _on(deviation, device)
        )
        if network is None:
            return step, np.full(len(pairs), UNGUIDED_FACTOR)
        joints = len(pairs)
        factor = network.factor(
            guidance.summary.reshape(joints, 2, -1), log_se(step.covariance), step.similarity.reshape(joints, 2)
        )
    return step, factor.cpu().double().numpy()


def log_se(covariance: torch.Tensor) -> torch.Tensor:
    """Log of the standard error (mm; n) of the change of the joint space, of covariances (n, 7, 7) half way."""
    slope = covariance.new_tensor(CHANGE)
    return 0.5 * torch.log((covariance @ slope) @ slope + 1e-12)


CHANGE = (0.0, -1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # of the joint space, by the parameters of a step: y points down
UNGUIDED_FACTOR = 2.5  # TODO


def moved(motions: Similarity, step: Step) -> Similarity:
    """Motions (n, 2) after a step half way."""
    parameters = step.parameters.cpu().double().numpy()
    bones = np.stack([parameters[:, [0, 1, 2, 6]], parameters[:, [3, 4, 5, 6]]], axis=1)
    length = np.hypot(bones[..., 0], bones[..., 1]).max(axis=1)
    bones = bones * np.minimum(1.0, LONGEST_MM / np.maximum(length, 1e-12))[:, None, None]
    half = motions.half()
    return half.after(Similarity.small(bones[..., :2], bones[..., 2], bones[..., 3])).after(half)


def _excess(motions: Similarity, device: str) -> torch.Tensor:
    return _on(np.log(np.abs(motions.turn)).mean(axis=1), device)


def _on(values: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).to(device)


def _joint_registration(
    crop: JointCrop,
    other: JointCrop,
    first: ComparedJoint,
    second: ComparedJoint,
    motions: Similarity,
    covariance: np.ndarray,
    similarity: np.ndarray,
) -> JointRegistration:
    matrices = [second.frame.after(motions[bone]).after(first.frame.inverse()).matrix() for bone in range(2)]
    bones = [
        BoneMotion(matrix, float(alike), _cover(region, matrix, other))
        for matrix, alike, region in zip(matrices, similarity, (crop.upper, crop.lower), strict=True)
    ]
    both = (matrices[0], matrices[1])
    turn = first.frame.turn / motions.half().turn
    into_pixels = np.eye(7)
    for bone, place in enumerate((0, 3)):
        into_pixels[place : place + 2, place : place + 2] = [
            [turn[bone].real, -turn[bone].imag],
            [turn[bone].imag, turn[bone].real],
        ]
    scale = crop.nominal_spacing_mm / other.nominal_spacing_mm
    return JointRegistration(*bones, into_pixels @ covariance @ into_pixels.T, both, both, scale)


def _cover(region: np.ndarray, motion: np.ndarray, other: JointCrop) -> float:
    """Share of a bone's region that the other crop shows."""
    rows, columns = np.nonzero(region[::2, ::2])
    x, y = motion[:, :2] @ [2 * columns, 2 * rows] + motion[:, 2:]
    height, width = other.pixels.shape
    return float(np.mean((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)))
