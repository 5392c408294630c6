"""Many joints registered at once: Gauss-Newton from coarse to fine, its last steps guided by the network. Needs torch.

Without torch joints are registered one by one by the classical core (``registration.register``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from JSNRegistrationLib.bones import NETWORK, JointCrop
from JSNRegistrationLib.gauss_newton import Fit, Step, gauss_newton_step
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
from JSNRegistrationLib.network import Guidance, RegistrationNetwork
from JSNRegistrationLib.refinement import LEAST_PIXELS
from JSNRegistrationLib.registration import (
    BLANK,
    MAGNIFICATION_SD,
    TOO_LITTLE_SEEN,
    UNKNOWN_SCALE_SD,
    JointRegistration,
)
from JSNRegistrationLib.similarity import Similarity
from JSNRegistrationLib.starting_search import searched_motions

COARSE_STEPS, GUIDED_STEPS = 3, 2
GUIDED_FACTOR, UNGUIDED_FACTOR = 1.0, 1.7  # of the standard errors (Testing/benchmarks/fit_certainty.py)
STRETCH_FACTOR = 0.6
LEAST_SE = (1e-4, 1e-4, 1e-5, 1e-4, 1e-4, 1e-5, 1e-5)  # of each parameter: a film against itself
LONGEST_MM = 0.6  # of one step
TOGETHER = 32  # pairs in one batch

Pair = tuple[ComparedJoint, ComparedJoint]


def register_joints(
    crops: Sequence[tuple[JointCrop, JointCrop]],
    spacings_known: Sequence[bool],
    network: RegistrationNetwork | None,
    device: str = "cpu",
    said: Callable[[float], None] = lambda _: None,
    coarse_steps: int = COARSE_STEPS,
    guided_steps: int = GUIDED_STEPS,
) -> list[JointRegistration | str]:
    """The motions of both bones of every pair of crops, or why there are none.

    ``spacings_known`` says of each pair whether the scale between the films is known; ``network`` None leaves the steps
    without guidance; ``said`` is told the share that is done.
    """
    crops = [pair if known else _alike(*pair) for pair, known in zip(crops, spacings_known, strict=True)]
    found: list[JointRegistration | str] = [_unfit(*pair) for pair in crops]
    chosen = [k for k, reason in enumerate(found) if not reason]
    ready = _compared([crop for k in chosen for crop in crops[k]])
    pairs = list(zip(ready[0::2], ready[1::2], strict=True))
    deviation = np.array([MAGNIFICATION_SD if spacings_known[k] else UNKNOWN_SCALE_SD for k in chosen])
    for start in range(0, len(chosen), TOGETHER):
        said(start / len(chosen))
        part = slice(start, start + TOGETHER)
        motions = _started(pairs[part])
        for _ in range(coarse_steps):
            motions = moved(motions, coarse_step(pairs[part], motions, deviation[part], device))
        guidance = None
        for steps_left in reversed(range(guided_steps)):
            step, guidance = guided_step(
                pairs[part], motions, deviation[part], network, device, guidance, with_fit=steps_left == 0
            )
            motions = moved(motions, step)
        covariance = calibrated(step.fit, _factor(step.fit, guidance, network))
        answers = _answers([crops[k] for k in chosen[part]], pairs[part], motions, covariance, step.fit.similarity)
        for k, answer in zip(chosen[part], answers, strict=True):
            found[k] = answer
    return found


def _alike(first: JointCrop, second: JointCrop) -> tuple[JointCrop, JointCrop]:
    """The crops of films of unknown scale, which are taken for filmed alike: a guess for each would be less exact."""
    return first, replace(second, nominal_spacing_mm=first.nominal_spacing_mm)


def _unfit(first: JointCrop, second: JointCrop) -> str:
    """Why two crops cannot be compared; empty where they can."""
    if not (np.ptp(first.pixels) and np.ptp(second.pixels)):
        return BLANK
    if min(np.count_nonzero(bone) for crop in (first, second) for bone in (crop.upper, crop.lower)) < LEAST_PIXELS:
        return TOO_LITTLE_SEEN
    return ""


def _compared(crops: Sequence[JointCrop]) -> list[ComparedJoint]:
    """The crops made ready; one that is in several pairs only once."""
    several = {id(crop): crop for crop in crops}
    with ThreadPoolExecutor(THREADS) as pool:
        made = dict(zip(several, pool.map(compared_joint, several.values()), strict=True))
    return [made[id(crop)] for crop in crops]


def _answers(
    crops, pairs: list[Pair], motions: Similarity, covariance: np.ndarray, similarity: torch.Tensor
) -> list[JointRegistration]:
    similarity = similarity.reshape(-1, 2).cpu().numpy()
    return [
        _joint_registration(*crops[k], *pairs[k], motions[k], covariance[k], similarity[k]) for k in range(len(pairs))
    ]


def _factor(fit: Fit, guidance: Guidance | None, network: RegistrationNetwork | None) -> np.ndarray:
    """What the standard errors of n joints are to be multiplied with (n)."""
    joints = len(fit.covariance)
    if network is None:
        return np.full(joints, UNGUIDED_FACTOR)
    with torch.inference_mode():
        factor = network.factor(
            guidance.summary.reshape(joints, 2, -1), log_se(fit.covariance), fit.similarity.reshape(joints, 2)
        )
    return GUIDED_FACTOR * factor.cpu().double().numpy()


def calibrated(fit: Fit, factor: np.ndarray) -> np.ndarray:
    """Covariance (n, 7, 7) of the motions of n joints after their last step, half way, in mm, radians and log scale:
    that of the step times the square of ``factor`` (n), and what the bones may be stretched."""
    own, stretched = (part.cpu().double().numpy() for part in (fit.covariance, fit.stretched))
    whole = own * factor[:, None, None] ** 2 + STRETCH_FACTOR**2 * stretched + np.diag(np.square(LEAST_SE))
    return 0.5 * (whole + whole.transpose(0, 2, 1))


def _started(pairs: list[Pair]) -> Similarity:
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda pair: searched_motions(*pair), pairs))
    return Similarity(np.stack([f.turn for f in found]), np.stack([f.shift for f in found]))


def coarse_step(pairs: list[Pair], motions: Similarity, deviation: np.ndarray, device: str) -> Step:
    """An unguided step on the coarse pictures; ``deviation`` (n) is that of the log scale."""
    pictures = torch.from_numpy(halfway_pictures(pairs, motions, COARSE, "coarse")).to(device)
    scales = _excess(motions, device), _on(deviation, device)
    with torch.inference_mode():
        return gauss_newton_step(None, pictures, COARSE, COARSE_BLUR_MM, *scales, stretching=False, with_fit=False)


def guided_step(
    pairs: list[Pair],
    motions: Similarity,
    deviation: np.ndarray,
    network: RegistrationNetwork | None,
    device: str,
    earlier: Guidance | None = None,
    with_fit: bool = False,
) -> tuple[Step, Guidance | None]:
    """A step on the fine pictures, and its guidance; that of an ``earlier`` step is used again."""
    pictures = torch.from_numpy(halfway_pictures(pairs, motions, FINE, "fine")).to(device)
    scales = _excess(motions, device), _on(deviation, device)
    with torch.inference_mode():
        guidance = None
        if network is not None:
            guidance = network(pictures) if earlier is None else network.again(pictures, earlier)
        return gauss_newton_step(guidance, pictures, FINE, FINE_BLUR_MM, *scales, with_fit=with_fit), guidance


def log_se(covariance: torch.Tensor) -> torch.Tensor:
    """Log of the standard error (mm; n) of the change of the joint space, of covariances (n, 7, 7) half way."""
    slope = covariance.new_tensor(CHANGE)
    return 0.5 * torch.log((covariance @ slope) @ slope + 1e-12)


CHANGE = (0.0, -1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # of the joint space, by the parameters of a step: y points down


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
    return JointRegistration(*bones, into_pixels @ covariance @ into_pixels.T, both, both, scale, NETWORK)


def _cover(region: np.ndarray, motion: np.ndarray, other: JointCrop) -> float:
    """Share of a bone's region that the other crop shows."""
    rows, columns = np.nonzero(region[::2, ::2])
    x, y = motion[:, :2] @ [2 * columns, 2 * rows] + motion[:, 2:]
    height, width = other.pixels.shape
    return float(np.mean((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)))
