"""How well anybody could tell osteoarthritis from the true bone: the area under the ROC curve that no model exceeds.

Given the disease the bone is normally distributed, so the probability of the disease given the bone is known exactly
(Bayes). Its ROC curve over many simulated patients is the best there is for these variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import multivariate_normal

from JointQuantLib.statistics import area_under_roc
from SubchondralBoneAnalysisLib.simulation.population.bone_population import covariance, mean_bone
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import VARIABLES, states
from SubchondralBoneAnalysisLib.simulation.population.patient import Patient

KNOWN = {  # what is known of a patient, by the name under which it is reported
    "age, sex and body mass index": (),
    "BV/TV": ("bv_tv",),
    "BV/TV and Tb.Th": ("bv_tv", "log_tb_th"),
    "BV/TV, Tb.Th and plate-rod character": ("bv_tv", "log_tb_th", "plate"),
    "all of the bone": VARIABLES,
}


def probability(patients: Sequence[Patient], variables: Sequence[str]) -> np.ndarray:
    """Probability [n] of osteoarthritis (grade 2 and above) of each patient.

    :param variables: of the bone of all regions that are known, besides age, sex and body mass index.
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
    joint = weight * np.exp(log_density - log_density.max(1, keepdims=True))
    ill = np.array([disease.has_osteoarthritis for disease, _ in states()])
    return joint[:, ill].sum(1) / joint.sum(1)


@lru_cache(maxsize=4)
def best_areas(patients: int = 20000, seed: int = 0) -> dict[str, float]:
    """Area under the ROC curve of the best score there is, by what is known besides age, sex and body mass index."""
    drawn = [Patient.drawn(np.random.default_rng([seed, 77, number])) for number in range(patients)]
    truth = np.array([patient.disease.has_osteoarthritis for patient in drawn])
    return {name: area_under_roc(probability(drawn, known), truth)[0] for name, known in KNOWN.items()}
