"""Fits the probability of a mismatch (``JSNRegistrationLib.mismatch``) on joints of the development part.

    python Testing/benchmarks/fit_mismatch.py

Logistic regression, good and unregistrable joints weighted alike (the prior is added in ``mismatch``), with a small
ridge. The ROC area is printed for joints that the fit did not see (five folds).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mcp_series import in_parallel
from registration_flag import GOOD, FlagTask, pair_of, tasks
from registration_methods import CLASSICAL, GUIDED, registered
from run import SHARED_DATA
from scipy.optimize import minimize

from JointQuantLib.statistics import area_under_roc
from JSNRegistrationLib.joint_measurement import pair_evidence
from JSNRegistrationLib.mismatch import FEATURES, mismatch_features

RIDGE = 0.001
FOLDS = 5
TOGETHER = 8
WAYS = (GUIDED, CLASSICAL)


def features_of(chosen: Sequence[FlagTask]) -> list[dict[str, np.ndarray]]:
    """The features of pairs by the way of registering; NaN where it gave up."""
    pairs = [pair_of(task)[:2] for task in chosen]
    found = {way: registered(way, pairs) for way in WAYS}
    return [{way: _features(found[way][k], *pair) for way in WAYS} for k, pair in enumerate(pairs)]


def _features(found, first, second) -> np.ndarray:
    if isinstance(found, str):
        return np.full(len(FEATURES), np.nan)
    return mismatch_features(pair_evidence(found, first, second))


def fitted(features: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Weights of the features (n, FEATURES); ``bad`` (n) bool."""
    share = np.where(bad, 0.5 / bad.mean(), 0.5 / (~bad).mean())
    sign = np.where(bad, 1.0, -1.0)

    def cost(weights: np.ndarray) -> float:
        return float(
            np.mean(share * np.logaddexp(0.0, -sign * (features @ weights))) + RIDGE * weights[1:] @ weights[1:]
        )

    return minimize(cost, np.zeros(features.shape[1])).x


def main() -> None:
    """Fit both ways."""
    chosen = tasks(SHARED_DATA, "development")
    parts = in_parallel(features_of, [chosen[k : k + TOGETHER] for k in range(0, len(chosen), TOGETHER)])
    every = [features for part in parts for features in part]
    bad = np.array([task.kind != GOOD for task in chosen])
    print(f"{bad.sum()} unregistrable, {(~bad).sum()} good; {', '.join(FEATURES)}")
    for way in WAYS:
        features = np.array([features[way] for features in every])
        seen = np.isfinite(features).all(axis=1)
        features, is_bad = features[seen], bad[seen]
        fold = np.random.default_rng(1).permutation(len(features)) % FOLDS
        scores = np.empty(len(features))
        for k in range(FOLDS):
            scores[fold == k] = features[fold == k] @ fitted(features[fold != k], is_bad[fold != k])
        area, interval = area_under_roc(scores, is_bad)
        print(f"{way}: {tuple(np.round(fitted(features, is_bad), 2))}; area {area:.4f} {np.round(interval, 4)}")


if __name__ == "__main__":
    main()
