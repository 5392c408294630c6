"""Whether probabilities mean what they say: of cases that were given 0.3, three in ten should have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from JointQuantLib.statistics import Interval

BINS = 10
LEAST_PROBABILITY = 1e-6
ROUNDS, ENOUGH = 50, 1e-9


@dataclass(frozen=True)
class Calibration:
    """How probabilities compare with what came true.

    :param error: expected calibration error, the mean gap of bins of equal width, each counting by its cases (Naeini et
        al. 2015, AAAI 29:2901).
    :param slope: of the logarithm of the odds that came true over that of the odds that were given; 1 is right, less is
        too sure (Cox 1958, Biometrika 45:562). None where it cannot be told: one kind is missing, or the probabilities
        part the kinds altogether or are all the same.
    :param intercept: by what the logarithm of the odds is too low (above 0) or too high on the whole, with the slope
        held at 1 (calibration in the large). None where one kind is missing.
    :param bins: (mean probability, share that came true, cases) of each bin that has cases, in ascending order.
    """

    error: float
    slope: float | None
    slope_interval: Interval | None
    intercept: float | None
    intercept_interval: Interval | None
    bins: tuple[tuple[float, float, int], ...]


def calibration(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS, level: float = 0.95) -> Calibration:
    """Calibration of `probabilities` (n, 0 to 1) of what is true in `truth` (n, bool); intervals are Wald's.

    Raises ValueError for no cases, or for what is no probability.
    """
    given, truth = np.asarray(probabilities, float), np.asarray(truth, bool)
    if not given.size or not ((given >= 0) & (given <= 1)).all():
        raise ValueError("a calibration needs probabilities from 0 to 1")
    number = np.minimum((given * bins).astype(int), bins - 1)
    filled = [number == one for one in range(bins) if (number == one).any()]
    told = tuple((float(given[one].mean()), float(truth[one].mean()), int(one.sum())) for one in filled)
    error = sum(count * abs(mean - share) for mean, share, count in told) / given.size
    odds = np.log(np.clip(given, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    odds -= np.log(np.clip(1 - given, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
    ones = np.ones((given.size, 1))
    slope = _logistic(np.column_stack([ones, odds]), truth, np.zeros(given.size))
    intercept = _logistic(ones, truth, odds)
    z = float(stats.norm.ppf(0.5 + level / 2))
    both = []
    for found, which in ((slope, 1), (intercept, 0)):
        value, se = (found[0][which], found[1][which]) if found is not None else (None, None)
        both += [value, None if value is None else (value - z * se, value + z * se)]
    return Calibration(float(error), *both, told)


def _logistic(rows: np.ndarray, truth: np.ndarray, offset: np.ndarray) -> tuple[list[float], list[float]] | None:
    """Coefficients of a logistic regression and their standard errors (Newton's method); None where there are none."""
    found = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        expected = 1 / (1 + np.exp(-np.clip(rows @ found + offset, -50, 50)))
        information = (rows * (expected * (1 - expected))[:, None]).T @ rows
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, rows.T @ (truth - expected))
        found = found + step
        if np.abs(step).max() < ENOUGH:
            ses = np.sqrt(np.diag(np.linalg.inv(information)))
            return [float(value) for value in found], [float(se) for se in ses]
    return None
