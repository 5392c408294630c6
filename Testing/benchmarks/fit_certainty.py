"""Fits how sure the registration is (``network_registration``) on joints of the development part, and prints it.

    python Testing/benchmarks/fit_certainty.py

What is fitted is the factor of the standard errors, with and without the network, and how much stretches of the bones
add to them: the values for which the errors of the joints are the most likely. Errors count up to 3 standard errors,
so that the interval of 68 % is right and not only that of 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from mcp_series import in_parallel
from registration_joints import JointSpec, make, specs
from registration_methods import GUIDED, UNGUIDED, registered
from run import SHARED_DATA

from JSNRegistrationLib import network_registration
from JSNRegistrationLib.narrowing import standard_error_px

EACH = 20  # joints of every source, motion and noise
TOGETHER = 9
FACTORS = np.geomspace(0.5, 6.0, 40)
STRETCHES = np.linspace(0.0, 3.0, 31)
MOST_Z = 3.0


@dataclass(frozen=True)
class Answered:
    """The error of the change, its standard error and what stretches add to it; mm."""

    error: float
    se: float
    stretched: float


def answers_of(chosen: list[JointSpec]) -> dict[str, list[Answered]]:
    """Both ways on some joints."""
    joints = [make(spec) for spec in chosen]
    pairs = [(joint.first, joint.second) for joint in joints]
    return {way: _answers(way, joints, pairs) for way in (GUIDED, UNGUIDED)}


def _answers(way: str, joints, pairs) -> list[Answered]:
    # Whatever was fitted before, the factors found are those that are to be written down.
    network_registration.GUIDED_FACTOR = network_registration.UNGUIDED_FACTOR = 1.0
    variances = []
    for stretch in (0.0, 1.0):
        network_registration.STRETCH_FACTOR = stretch
        found = registered(way, pairs)
        variances.append([_se(one, pair[0]) ** 2 for one, pair in zip(found, pairs, strict=True)])
    errors = [j.change_mm(one.upper.matrix, one.lower.matrix) - j.true_mm for j, one in zip(joints, found, strict=True)]
    return [Answered(e, a**0.5, (b - a) ** 0.5) for e, a, b in zip(errors, *variances, strict=True)]


def _se(found, crop) -> float:
    return standard_error_px(found.covariance, crop.axis, crop.nominal_spacing_mm) * crop.nominal_spacing_mm


def surprise(answers: list[Answered], factor: float, stretch: float) -> float:
    """Mean negative log likelihood of the errors."""
    error, se, stretched = np.array([(a.error, a.se, a.stretched) for a in answers]).T
    stated = np.sqrt((factor * se) ** 2 + (stretch * stretched) ** 2)
    return float(np.mean(np.log(stated) + 0.5 * np.minimum(np.abs(error / stated), MOST_Z) ** 2))


def main() -> None:
    """Fit both ways."""
    chosen = specs(SHARED_DATA, "development", EACH)
    parts = in_parallel(answers_of, [chosen[k : k + TOGETHER] for k in range(0, len(chosen), TOGETHER)])
    for way in (GUIDED, UNGUIDED):
        answers = [answer for part in parts for answer in part[way]]
        factor, stretch = min(product(FACTORS, STRETCHES), key=lambda tried: surprise(answers, *tried))
        print(f"{way}: {len(answers)} joints, standard errors times {factor:.2f}, of stretches times {stretch:.2f}")


if __name__ == "__main__":
    main()
