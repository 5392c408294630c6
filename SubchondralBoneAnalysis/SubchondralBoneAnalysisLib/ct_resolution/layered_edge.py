"""The blur of an edge, from profiles across it.

Across the skin, and across the cortex of a bone, values go from one level outside over a second in the layer to a third
inside. Blurred by a Gaussian this is a sum of two error functions (Treece et al., Med Image Anal 14:276, 2010, who know
the blur and ask for the layer). Where the layer is thick against the blur the blur itself can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

ROUNDS = 40
DAMPING = 1e-2  # at the start of Levenberg and Marquardt's method
OUTSIDE, LAYER, INSIDE, PLACE, LOG_SIGMA, LOG_THICKNESS = range(6)
START_SIGMA_MM = 0.4
START_THICKNESS_MM = 2.0


@dataclass(frozen=True, eq=False)
class LayeredEdges:
    """Of each of n profiles: levels in HU, the place of the outer edge and the thickness of the layer in mm, the SD of
    the blur in mm, and the root mean square of what the model leaves, in HU."""

    outside_hu: np.ndarray
    layer_hu: np.ndarray
    inside_hu: np.ndarray
    place_mm: np.ndarray
    thickness_mm: np.ndarray
    sigma_mm: np.ndarray
    rest_hu: np.ndarray


def fit_layered_edges(along_mm: np.ndarray, profiles: np.ndarray) -> LayeredEdges:
    """Fit all profiles (n, m) at once; they run from outside to inside, sampled at `along_mm` (m,), 0 at the edge."""
    at = _start(along_mm, profiles)
    values, slopes = _model(along_mm, at)
    rest = profiles - values
    squares = (rest**2).sum(axis=1)
    damping = np.full(len(at), DAMPING)
    for _ in range(ROUNDS):
        square = np.einsum("nmp,nmq->npq", slopes, slopes)
        scale = np.einsum("npp->np", square) + 1e-9
        square += np.eye(6) * (damping[:, None] * scale)[:, :, None]
        step = np.linalg.solve(square, np.einsum("nmp,nm->np", slopes, rest)[..., None])[..., 0]
        # A logarithm that moves by more than a half at once leaves the reach of the linear approach.
        step[:, LOG_SIGMA:] = np.clip(step[:, LOG_SIGMA:], -0.5, 0.5)
        tried = _bounded(at + step)
        new_values, new_slopes = _model(along_mm, tried)
        new_rest = profiles - new_values
        new_squares = (new_rest**2).sum(axis=1)
        better = new_squares < squares
        at[better], rest[better], slopes[better] = tried[better], new_rest[better], new_slopes[better]
        squares = np.minimum(squares, new_squares)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-8, 1e8)
    return LayeredEdges(
        at[:, OUTSIDE],
        at[:, LAYER],
        at[:, INSIDE],
        at[:, PLACE],
        np.exp(at[:, LOG_THICKNESS]),
        np.exp(at[:, LOG_SIGMA]),
        np.sqrt(squares / len(along_mm)),
    )


def _start(along_mm: np.ndarray, profiles: np.ndarray) -> np.ndarray:
    fifth = max(1, len(along_mm) // 5)
    at = np.zeros((len(profiles), 6))
    at[:, OUTSIDE] = profiles[:, :fifth].mean(axis=1)
    at[:, LAYER] = profiles[:, np.abs(along_mm - 1.0) < 1.0].max(axis=1)
    at[:, INSIDE] = profiles[:, -fifth:].mean(axis=1)
    at[:, LOG_SIGMA], at[:, LOG_THICKNESS] = np.log(START_SIGMA_MM), np.log(START_THICKNESS_MM)
    return at


def _bounded(at: np.ndarray) -> np.ndarray:
    at[:, PLACE] = np.clip(at[:, PLACE], -2, 2)
    at[:, LOG_SIGMA] = np.clip(at[:, LOG_SIGMA], np.log(0.05), np.log(3))
    at[:, LOG_THICKNESS] = np.clip(at[:, LOG_THICKNESS], np.log(0.2), np.log(15))
    return at


def _model(along_mm: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The blurred profiles (n, m) and their derivatives (n, m, 6) by the parameters."""
    outside, layer, inside, place, log_sigma, log_thickness = (column[:, None] for column in at.T)
    sigma, thickness = np.exp(log_sigma), np.exp(log_thickness)
    first = (along_mm - place) / sigma
    second = (along_mm - place - thickness) / sigma
    into, beyond = (0.5 * (1 + erf(part / np.sqrt(2))) for part in (first, second))
    bell, other_bell = (np.exp(-0.5 * part**2) / np.sqrt(2 * np.pi) for part in (first, second))
    rise, fall = layer - outside, inside - layer
    values = outside + rise * into + fall * beyond
    slopes = np.stack(
        [
            1 - into,
            into - beyond,
            beyond,
            -(rise * bell + fall * other_bell) / sigma,
            -(rise * bell * first + fall * other_bell * second),
            -fall * other_bell * thickness / sigma,
        ],
        axis=-1,
    )
    return values, slopes
