"""Calibration of probabilities whose truth was drawn by known odds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from JointQuantLib.calibration import calibration


def drawn(count, seed, sharper=1.0, higher=0.0):
    """Probabilities that say the odds `sharper` times as sharply, and `higher` on their logarithm, than they are."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 1.5, count)
    truth = random.random(count) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-(sharper * odds + higher))), truth


def test_honest_probabilities_have_a_slope_of_one_and_no_error():
    found = calibration(*drawn(40_000, 0))
    assert found.error < 0.01
    assert found.slope == pytest.approx(1, abs=0.04)
    assert found.slope_interval[0] < 1 < found.slope_interval[1]
    assert found.intercept_interval[0] < 0 < found.intercept_interval[1]
    assert sum(count for *_, count in found.bins) == 40_000


def test_probabilities_that_are_too_sure_or_too_high_are_told():
    found = calibration(*drawn(20_000, 1, sharper=2.0))
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.error > 0.05
    found = calibration(*drawn(20_000, 2, higher=0.7))
    assert found.slope == pytest.approx(1, abs=0.05)
    assert found.intercept == pytest.approx(-0.7, abs=0.07)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    held = [calibration(*drawn(300, seed)) for seed in range(300)]
    assert np.mean([one.slope_interval[0] < 1 < one.slope_interval[1] for one in held]) > 0.91
    assert np.mean([one.intercept_interval[0] < 0 < one.intercept_interval[1] for one in held]) > 0.91


def test_the_error_of_bins_worked_by_hand():
    found = calibration([0.05, 0.05, 0.95, 0.95], [False, True, True, True])
    assert found.bins == ((pytest.approx(0.05), 0.5, 2), (pytest.approx(0.95), 1.0, 2))
    assert found.error == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_what_cannot_be_told_is_none():
    found = calibration([0.2, 0.3, 0.8], [True, True, True])
    assert found.slope is None
    assert found.intercept is None
    assert calibration([0.1, 0.2, 0.8, 0.9], [False, False, True, True]).slope is None  # parted altogether
    assert calibration([0.5, 0.5, 0.5], [False, True, True]).slope is None
    for wrong in ([], [1.2], [np.nan]):
        with pytest.raises(ValueError, match="from 0 to 1"):
            calibration(wrong, [True] * len(wrong))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_an_error_is_a_share(cases):
    found = calibration(*zip(*cases, strict=True))
    assert 0 <= found.error <= 1
    assert found.slope is None or np.isfinite(found.slope_interval).all()
