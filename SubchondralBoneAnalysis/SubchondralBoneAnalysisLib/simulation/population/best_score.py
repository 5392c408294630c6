"""How well anybody could tell osteoarthritis from what is true of a knee: the ROC curve that no model exceeds.

Given the disease the bone and the joint space are normally distributed, so the probability of the disease is known
exactly (Bayes). Its ROC curve over many simulated patients is the best there is for these variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import multivariate_normal, norm

from JointQuantLib.statistics import Interval, area_under_roc
from SubchondralBoneAnalysisLib.simulation.population.bone_population import covariance, mean_bone
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import VARIABLES, states
from SubchondralBoneAnalysisLib.simulation.population.patient import HEALTHY_JOINT_SPACE_MM, Patient

JOINT_SPACE = "joint_space"
NOTHING = "age, sex and body mass index"
OF_CUBES = {  # what is known of a patient besides age, sex and body mass index, by the name under which it is reported
    NOTHING: (),
    "BV/TV": ("bv_tv",),
    "BV/TV and Tb.Th": ("bv_tv", "log_tb_th"),
    "BV/TV, Tb.Th and plate-rod character": ("bv_tv", "log_tb_th", "plate"),
    "all of the bone": VARIABLES,
}
OF_KNEES_WITHOUT_STRUCTURE = {NOTHING: (), "joint space": (JOINT_SPACE,)}
OF_KNEES = OF_CUBES | {"joint space": (JOINT_SPACE,), "all of the bone and the joint space": (*VARIABLES, JOINT_SPACE)}


def probability(patients: Sequence[Patient], variables: Sequence[str]) -> np.ndarray:
    """Probability [n] of osteoarthritis (grade 2 and above) of each patient.

    :param variables: of the bone of all regions that are known, and `JOINT_SPACE` for both compartments, besides age,
        sex and body mass index.
    """
    chosen = np.isin(np.tile(VARIABLES, len(patients[0].bone)), variables)
    grades = np.array([patient.person.grade_probabilities() for patient in patients])
    log_density = np.full((len(patients), len(states())), 0.0)
    weight = np.empty_like(log_density)
    if chosen.any():
        apart = np.array([(patient.bone - mean_bone(patient.person)).ravel()[chosen] for patient in patients])
        noise = multivariate_normal(cov=covariance()[np.ix_(chosen, chosen)])
    for column, (disease, share) in enumerate(states()):
        weight[:, column] = grades[:, disease.kl_grade] * share
        if chosen.any():
            log_density[:, column] = noise.logpdf(apart - disease.shift().ravel()[chosen])
    if JOINT_SPACE in variables:
        spaces = np.array([patient.joint_space_mm for patient in patients])
        mean, sd = np.array(HEALTHY_JOINT_SPACE_MM).T
        for column, (disease, _) in enumerate(states()):
            log_density[:, column] += norm.logpdf(spaces, disease.joint_space_mm(tuple(mean)), sd).sum(1)
    joint = weight * np.exp(log_density - log_density.max(1, keepdims=True))
    ill = np.array([disease.has_osteoarthritis for disease, _ in states()])
    return joint[:, ill].sum(1) / joint.sum(1)


@lru_cache(maxsize=4)
def _population(patients: int, seed: int) -> list[Patient]:
    return [Patient.drawn(np.random.default_rng([seed, 77, number])) for number in range(patients)]


def best_areas(
    known: Mapping[str, Sequence[str]], patients: int = 20000, seed: int = 0
) -> dict[str, tuple[float, Interval]]:
    """Area under the ROC curve of the best score there is, with its interval, over patients of this population.

    :param known: as `OF_CUBES`.
    """
    return areas_of(_population(patients, seed), known)


def areas_of(patients: Sequence[Patient], known: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, Interval]]:
    """The same over given patients; nothing where all or none are ill."""
    ill = np.array([patient.disease.has_osteoarthritis for patient in patients])
    if ill.all() or not ill.any():
        return {}
    return {name: area_under_roc(probability(patients, of), ill) for name, of in known.items()}
