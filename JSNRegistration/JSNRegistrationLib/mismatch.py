"""How likely it is that a joint is mismatched: that it is not the same one, or can no longer be told to be.

A logistic model of the evidence, one for each way of registering, because their evidence is not the same. Fitted to
joints kept for development (Testing/benchmarks/fit_mismatch.py): good ones, and ones that were made unregistrable as
Testing/benchmarks/registration_flag.py says. How many joints are mismatched in use is not known: ``PRIOR`` is assumed.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from JSNRegistrationLib.bones import CLASSICAL, NETWORK
from JSNRegistrationLib.evidence import Evidence

PRIOR = 0.02  # share of mismatched joints that is assumed
FAINTEST = 1e-3  # unlikeness, mm: below, it does not matter any more
FEATURES = ("constant", "unlike", "texture unlike", "standard error")

# Log of the likelihood ratio: the weight of each of FEATURES, as fit_mismatch.py prints them.
WEIGHTS = {
    NETWORK: (13.0, 2.86, 1.94, 1.72),
    CLASSICAL: (10.69, 2.62, 1.56, 1.62),
}


def mismatch_probability(evidence: Evidence) -> float:
    """Probability (0 to 1) that the joint is mismatched; 1 where there is no evidence."""
    ratio = float(np.dot(WEIGHTS[evidence.registered_by], mismatch_features(evidence)))
    return float(expit(ratio + logit(PRIOR))) if np.isfinite(ratio) else 1.0


def mismatch_features(evidence: Evidence) -> np.ndarray:
    """The FEATURES of a joint; where too little texture shows it is taken for as unlike as the bone."""
    texture = evidence.similarity if evidence.texture is None else evidence.texture
    unlike = (1.0 - evidence.similarity, 1.0 - texture, evidence.se_mm)
    return np.array([1.0, *(_log(value) for value in unlike)])


def _log(unlikeness: float) -> float:
    return float(np.log(max(unlikeness, FAINTEST))) if np.isfinite(unlikeness) else np.nan
