"""Motions between all visits that agree with each other: from A to B to C is from A to C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from JSNRegistrationLib.motion import (
    IDENTITY,
    angle_of,
    apply,
    compose,
    halfway,
    inverse,
    motion_about,
    scale_of,
)

PARAMETERS = 7  # of one visit: shift x, y and turn of the upper bone, of the lower bone, shared log scale
LARGEST_ERROR = 3.0  # standard errors beyond which a pair pulls less and less (Huber)

# What a pair gets wrong hangs on its two films: the noise of film B moves A to B and, with the other sign, B to C. So
# errors cancel around a loop, and no further visit takes them off a pair. On 120 simulated joints of four visits that
# was 0.95 of the squared error of a pair (easy 0.92, medium 0.98, hard 0.95; 1 - closure^2 / 3 error^2, seeds from
# 70000); only the rest is a pair's own and averages out.
OF_THE_FILMS = 0.95


@dataclass(frozen=True)
class PairEstimate:
    """What one pair of visits says by itself: motions (2 x 3) of both bones, and the covariance (7 x 7) of
    small motions about `origin_px` (*from* pixels) made before them, in the order of ``Refinement.covariance``.
    """

    upper: np.ndarray
    lower: np.ndarray
    covariance: np.ndarray
    origin_px: np.ndarray


def agreed_motions(
    pairs: dict[tuple[int, int], PairEstimate],
) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every pair of visits: motions (2 x 3) of the upper and lower bone that close, and their covariance (7 x 7).

    The least squares of all pairwise estimates, each weighted with its covariance (a pose graph). A pair's error is
    taken as that of its two films, as if each film lay a little elsewhere (OF_THE_FILMS of its covariance), and one of
    its own: the first is the same in all pairs of a film, so it neither changes the weights nor is it averaged out. The
    covariance is about the origin carried to the *from* visit; that of a pair without an estimate of its own is that of
    the chains that lead there, counted as independent, which is more than it can be. Visits that no chain of pairs
    joins to the first one of `pairs` are left out. With two visits the result is the pairwise estimate itself.
    """
    if not pairs:
        return {}
    known = _chained(pairs)
    visits = sorted(known)
    first, others = visits[0], visits[1:]
    used = {key: pair for key, pair in pairs.items() if key[0] in known and key[1] in known}
    roots = {key: np.linalg.cholesky(np.linalg.inv(pair.covariance)).T for key, pair in used.items()}

    def placed(parameters: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        at = {first: (IDENTITY, IDENTITY)}
        for visit, own in zip(others, parameters.reshape(-1, PARAMETERS), strict=True):
            at[visit] = _nudged(known[visit], own, origin)
        return at

    def disagreement(parameters: np.ndarray) -> np.ndarray:
        at = placed(parameters)
        return np.concatenate([roots[key] @ _excess(pair, *_between(at, *key)) for key, pair in used.items()])

    origin = next(pair.origin_px for key, pair in pairs.items() if key[0] == first)
    solution = least_squares(
        disagreement, np.zeros(PARAMETERS * len(others)), x_scale="jac", loss="huber", f_scale=LARGEST_ERROR
    )
    spread = np.linalg.inv(solution.jac.T @ solution.jac)
    at = placed(solution.x)
    result = {}
    for i, a in enumerate(visits):
        for b in visits[i + 1 :]:
            upper, lower = _between(at, a, b)
            there = apply(halfway(*at[a]), origin)  # as narrowing.carried
            reference = PairEstimate(upper, lower, np.eye(PARAMETERS), there)
            slope = _slope(lambda x, a=a, b=b, ref=reference: _excess(ref, *_between(placed(x), a, b)), solution.x)
            covariance = slope @ spread @ slope.T
            if (a, b) in used:
                covariance = (1.0 - OF_THE_FILMS) * covariance + OF_THE_FILMS * used[a, b].covariance
            result[a, b] = (upper, lower, covariance)
    return result


def _chained(pairs: dict[tuple[int, int], PairEstimate]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Motions from the first visit to each visit that a chain of pairs reaches; the most certain links first."""
    first = min(min(key) for key in pairs)
    known = {first: (IDENTITY, IDENTITY)}
    ordered = sorted(pairs.items(), key=lambda item: np.trace(item[1].covariance[:6, :6]))
    grown = True
    while grown:
        grown = False
        for (a, b), pair in ordered:
            if (a in known) == (b in known):
                continue
            if a in known:
                known[b] = (compose(pair.upper, known[a][0]), compose(pair.lower, known[a][1]))
            else:
                known[a] = (compose(inverse(pair.upper), known[b][0]), compose(inverse(pair.lower), known[b][1]))
            grown = True
            break
    return known


def _nudged(motions, own: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.exp(own[6])
    return tuple(
        compose(motion, motion_about(origin, part[2], scale, part[:2]))
        for motion, part in zip(motions, (own[0:3], own[3:6]), strict=True)
    )


def _between(at, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    return compose(at[b][0], inverse(at[a][0])), compose(at[b][1], inverse(at[a][1]))


def _excess(pair: PairEstimate, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The seven small motions, made before the pair's own motions, that lead to the given ones."""
    parts, scales = [], []
    for own, given in ((pair.upper, upper), (pair.lower, lower)):
        small = compose(inverse(own), given)
        parts += [*(apply(small, pair.origin_px) - pair.origin_px), angle_of(small)]
        scales.append(np.log(scale_of(small)))
    return np.array([*parts, np.mean(scales)])


def _slope(function, at: np.ndarray) -> np.ndarray:
    step = 1e-5
    columns = [(function(at + step * unit) - function(at - step * unit)) / (2 * step) for unit in np.eye(len(at))]
    return np.array(columns).T
