"""Statistics against what is known exactly: formulas worked by hand, scipy, and simulations with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from JointQuantLib.statistics import (
    _icc_of,
    area_difference,
    area_under_roc,
    bland_altman,
    icc,
    icc_difference,
    interval_coverage,
    partial_correlation,
    pooled_change,
    repeatability,
    rmse_ratio,
    smallest_detectable_change,
)

CHANGES = st.lists(st.floats(-0.6, 0.6), min_size=2, max_size=14)
SES = st.lists(st.floats(0.003, 0.2), min_size=14, max_size=14)


def test_the_smallest_detectable_change_has_no_root_of_two():
    assert smallest_detectable_change(0.05) == pytest.approx(0.098, abs=1e-5)


def test_of_joints_that_did_not_change_one_in_twenty_is_beyond_it():
    errors = np.random.default_rng(1).normal(0.0, 0.02, 40_000)
    assert np.mean(np.abs(errors) > smallest_detectable_change(0.02)) == pytest.approx(0.05, abs=0.003)


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_the_coverage_of_honest_intervals_is_their_level(level):
    random = np.random.default_rng(2)
    ses = random.uniform(0.01, 0.1, 20_000)
    share, (low, high) = interval_coverage(random.normal(0.0, ses), ses, level)
    assert share == pytest.approx(level, abs=0.01)
    assert low < level < high


def test_the_interval_of_a_coverage_is_that_of_wilson():
    share, (low, high) = interval_coverage([0.0] * 9 + [5.0], [1.0] * 10)
    n, z = 10, stats.norm.ppf(0.975)
    middle, half = (0.9 + z**2 / 20) / (1 + z**2 / n), z / (1 + z**2 / n) * np.sqrt(0.09 / n + z**2 / (4 * n**2))
    assert share == pytest.approx(0.9)
    assert (low, high) == pytest.approx((middle - half, middle + half))


# --------------------------------------------------------------------------------------------------------- RMSE ratio


def test_errors_that_are_half_as_large_on_every_case_have_a_ratio_of_exactly_a_half():
    errors = np.random.default_rng(3).normal(size=100)
    ratio, interval = rmse_ratio(0.5 * errors, errors, np.random.default_rng(0))
    assert ratio == pytest.approx(0.5)
    assert interval == pytest.approx((0.5, 0.5))  # paired: what a case adds to one, it adds to the other


def test_the_ratio_of_unrelated_errors_has_the_scatter_of_two_standard_deviations():
    random = np.random.default_rng(4)
    ratio, (low, high) = rmse_ratio(random.normal(0, 2.0, 800), random.normal(0, 4.0, 800), np.random.default_rng(0))
    assert low < 0.5 < high
    assert high - low == pytest.approx(2 * 1.96 * ratio / np.sqrt(800), rel=0.15)  # sd of log rms is 1 / sqrt(2 n)


def test_the_same_seed_gives_the_same_interval():
    errors = np.random.default_rng(5).normal(size=(2, 60))
    assert rmse_ratio(*errors, np.random.default_rng(7)) == rmse_ratio(*errors, np.random.default_rng(7))


# ----------------------------------------------------------------------------------------------------------------- ROC


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_area_is_the_share_of_pairs_in_the_right_order(cases):
    scores, truth = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    if truth.all() or not truth.any():
        with pytest.raises(ValueError, match="both kinds"):
            area_under_roc(scores, truth)
        return
    area, (low, high) = area_under_roc(scores, truth)
    u = stats.mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert area == pytest.approx(u / (truth.sum() * (~truth).sum()))
    assert 0.0 <= low <= area + 1e-12
    assert area - 1e-12 <= high <= 1.0
    turned, (turned_low, turned_high) = area_under_roc(-scores, truth)
    assert (turned, turned_low, turned_high) == pytest.approx((1 - area, 1 - high, 1 - low), abs=1e-9)


def test_the_variance_is_that_of_delong_written_out_case_by_case():
    random = np.random.default_rng(6)
    positive, negative = random.normal(0.7, 1.0, 15).round(1), random.normal(0.0, 1.0, 22).round(1)
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    se = np.sqrt(above.mean(1).var(ddof=1) / 15 + above.mean(0).var(ddof=1) / 22)
    truth = np.repeat([True, False], [15, 22])
    area, (low, high) = area_under_roc(np.concatenate([positive, negative]), truth)
    assert area == pytest.approx(above.mean())
    assert (low, high) == pytest.approx((area - 1.959964 * se, min(1.0, area + 1.959964 * se)))


def test_the_interval_of_the_area_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(7)
    truth = np.repeat([True, False], [60, 90])
    area = stats.norm.cdf(1.0 / np.sqrt(2.0))  # of two normal kinds one standard deviation apart
    held = 0
    for _ in range(400):
        low, high = area_under_roc(random.normal(size=150) + truth, truth)[1]
        held += low <= area <= high
    assert held / 400 == pytest.approx(0.95, abs=0.025)


def test_kinds_that_are_parted_altogether_leave_more_doubt_the_fewer_they_are():
    lows = []
    for n in (5, 20, 200):
        area, (low, high) = area_under_roc(np.arange(2 * n), np.arange(2 * n) >= n)
        assert (area, high) == (1.0, 1.0)
        lows.append(low)
    assert lows[0] < lows[1] < lows[2] < 1.0
    n, low = 20, lows[1]  # it solves 1 - low = z sqrt(variance(low))
    variance = low * (1 - low) / n**2 * (1 + (n - 1) * ((1 - low) / (2 - low) + low / (1 + low)))
    assert 1 - low == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


# ----------------------------------------------------------------------------------------------------------- agreement


def test_bland_altman_of_a_worked_example():
    found = bland_altman([1.0, 2.0, 3.0, 4.0], [1.5, 1.5, 2.5, 4.5])  # differences -0.5, 0.5, 0.5, -0.5
    sd = np.sqrt(1.0 / 3.0)
    assert found.bias == 0.0
    assert found.limits == pytest.approx((-1.959964 * sd, 1.959964 * sd))
    assert found.bias_interval[1] == pytest.approx(3.182446 * sd / 2.0)
    around_limit = found.upper_limit_interval[1] - found.limits[1]
    assert around_limit == pytest.approx(3.182446 * sd * np.sqrt(0.25 + 3.841459 / 6))


def test_the_limits_of_agreement_hold_nineteen_of_twenty_differences():
    random = np.random.default_rng(8)
    found = bland_altman(random.normal(0.3, 0.2, 5000), np.zeros(5000))
    new = random.normal(0.3, 0.2, 5000)
    assert np.mean((new > found.limits[0]) & (new < found.limits[1])) == pytest.approx(0.95, abs=0.01)


# ---------------------------------------------------------------------------------------------------------- the pooled


def test_joints_that_all_change_alike_are_weighed_by_how_sure_they_are():
    """Scatter below what the errors explain: the fixed-effect mean, with t of n - 1 degrees."""
    changes, ses = np.array([-0.10, -0.11, -0.09]), np.array([0.02, 0.04, 0.04])
    weights = 1 / ses**2
    found = pooled_change(changes, ses)
    assert found.mean == pytest.approx(weights @ changes / weights.sum())
    assert found.interval[1] - found.mean == pytest.approx(4.302653 / np.sqrt(weights.sum()))
    assert (found.between, found.i_squared) == (0.0, 0.0)


def test_joints_of_equal_errors_have_the_interval_of_students_t():
    """Equal errors and real differences: mean and t interval of the plain sample, between^2 = s^2 - se^2."""
    changes = np.array([-0.5, -0.1, 0.0, 0.1, -0.3, 0.05])
    found = pooled_change(changes, np.full(6, 0.02))
    plain = stats.ttest_1samp(changes, 0.0).confidence_interval(0.95)
    assert found.mean == pytest.approx(changes.mean())
    assert found.interval == pytest.approx((plain.low, plain.high), rel=1e-6)
    assert found.between**2 == pytest.approx(changes.var(ddof=1) - 0.02**2, rel=1e-6)
    assert found.i_squared == pytest.approx(1 - 0.02**2 / changes.var(ddof=1))


def test_the_spread_between_joints_makes_the_scatter_what_it_should_be():
    changes, ses = np.array([0.1, -0.3, 0.05, -0.02, -0.4]), np.array([0.01, 0.05, 0.02, 0.1, 0.03])
    found = pooled_change(changes, ses)
    assert np.sum((changes - found.mean) ** 2 / (ses**2 + found.between**2)) == pytest.approx(4.0)


@given(CHANGES, SES, st.floats(-2.0, 2.0), st.floats(0.05, 20.0), st.randoms())
@settings(max_examples=80, deadline=None)
def test_unit_zero_and_order_of_the_joints_do_not_matter(changes, ses, shift, unit, shuffler):
    changes, ses = np.array(changes), np.array(ses[: len(changes)])
    found = pooled_change(changes, ses)
    assert found.interval[0] < found.mean < found.interval[1]
    assert changes.min() - 1e-9 <= found.mean <= changes.max() + 1e-9
    assert 0.0 <= found.i_squared <= 1.0
    order = shuffler.sample(range(len(changes)), len(changes))
    other = pooled_change(unit * (changes[order] + shift), unit * ses[order])
    assert other.mean == pytest.approx(unit * (found.mean + shift), abs=1e-6 * unit)
    assert other.interval == pytest.approx([unit * (end + shift) for end in found.interval], abs=1e-5 * unit)
    assert other.between == pytest.approx(unit * found.between, abs=1e-4 * unit)


@pytest.mark.parametrize("between", [0.0, 0.03, 0.15])
def test_the_interval_of_the_mean_holds_the_truth_as_often_as_it_says(between):
    random = np.random.default_rng(9)
    held = []
    for _ in range(400):
        ses = random.uniform(0.01, 0.06, 11)
        low, high = pooled_change(-0.05 + random.normal(0.0, np.hypot(ses, between)), ses).interval
        held.append(low <= -0.05 <= high)
    assert 0.925 < np.mean(held) <= (1.0 if between == 0.0 else 0.975)  # alike, the factor held at 1 makes it wider


def test_one_joint_is_no_mean():
    with pytest.raises(ValueError, match="two"):
        pooled_change([-0.1], [0.02])


# ------------------------------------------------------------------------------------------- intraclass correlation

# Table 2 of Shrout and Fleiss 1979: six targets (rows) rated by four judges.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def test_the_icc_of_the_example_of_shrout_and_fleiss_is_theirs():
    found = icc(JUDGES, np.random.default_rng(0))
    assert (round(found.agreement, 2), round(found.consistency, 2)) == (0.29, 0.71)
    assert found.agreement_interval[0] < 0.29 < found.agreement_interval[1]


def test_a_constant_difference_lowers_the_agreement_and_not_the_consistency():
    """With case variance 4, method variance 1/2 (two methods 1 apart) and error 1/4 the ICC are known."""
    random = np.random.default_rng(5)
    truth = random.normal(0, 2, 20_000)
    ratings = truth[:, None] + [0.0, 1.0] + random.normal(0, 0.5, (20_000, 2))
    found = icc(ratings, random, resamples=10)
    assert found.agreement == pytest.approx(4 / (4 + 0.5 + 0.25), abs=0.005)
    assert found.consistency == pytest.approx(4 / (4 + 0.25), abs=0.005)


def test_the_weights_of_the_bootstrap_count_a_case_as_often_as_it_is_drawn():
    twice = np.concatenate([JUDGES, JUDGES[:2]])
    weighted = _icc_of(JUDGES.astype(float), np.array([[2.0, 2.0, 1, 1, 1, 1]]))
    assert weighted == pytest.approx(_icc_of(twice.astype(float), np.ones((1, 8))))


def test_cases_that_hang_together_widen_the_interval_of_an_icc():
    random = np.random.default_rng(6)
    truth = np.repeat(random.normal(0, 1, 20), 15)
    ratings = truth[:, None] + np.repeat(random.normal(0, 0.7, (20, 2)), 15, axis=0)
    alone, together = (
        icc(ratings, np.random.default_rng(0), groups) for groups in (None, np.repeat(np.arange(20), 15))
    )
    widths = [np.diff(found.consistency_interval)[0] for found in (alone, together)]
    assert widths[1] > 2 * widths[0]
    assert alone.consistency == together.consistency


def test_an_icc_of_cases_that_are_all_alike_is_not_known():
    found = icc(np.full((5, 2), 0.3), np.random.default_rng(0))
    assert (found.agreement, found.agreement_interval, found.consistency) == (None, None, None)
    with pytest.raises(ValueError, match="three cases"):
        icc(np.zeros((2, 2)), np.random.default_rng(0))


# --------------------------------------------------------------------------------------------------- paired differences


def test_the_difference_of_two_areas_is_theirs_and_its_interval_knows_that_they_share_the_cases():
    random = np.random.default_rng(11)
    truth = random.random(300) < 0.4
    shared = truth + random.normal(0, 1.0, 300)
    better, worse = shared + random.normal(0, 0.2, 300), shared + random.normal(0, 0.9, 300)
    difference, (low, high), p = area_difference(better, worse, truth)
    alone = [area_under_roc(scores, truth) for scores in (better, worse)]
    assert difference == pytest.approx(alone[0][0] - alone[1][0])
    widths = [interval[1] - interval[0] for _, interval in alone]
    assert high - low < 0.8 * np.hypot(*widths)
    z = difference / ((high - low) / 2 / stats.norm.ppf(0.975))
    assert p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert area_difference(worse, worse, truth) == (0.0, (0.0, 0.0), 1.0)


def test_of_equal_scores_one_difference_in_twenty_is_called_one():
    random = np.random.default_rng(12)
    called = 0
    for _ in range(400):
        truth = np.arange(80) < 40
        scores = truth + random.normal(0, 1.0, (2, 80))
        called += area_difference(*scores, truth)[2] < 0.05
    assert 0.02 < called / 400 < 0.085


def test_the_difference_of_two_iccs_is_theirs_whatever_both_find_hard():
    random = np.random.default_rng(13)
    truth = random.normal(0, 1, 200)
    hard = random.normal(0, 0.8, 200)
    first, second = truth + hard, truth + hard + random.normal(0, 0.3, 200)
    difference, (low, high) = icc_difference(truth, first, second, np.random.default_rng(0))
    alone = [icc(np.column_stack([one, truth]), np.random.default_rng(0)) for one in (first, second)]
    assert difference == pytest.approx(alone[0].agreement - alone[1].agreement)
    assert 0 < low < difference < high
    assert high - low < 0.5 * (alone[0].agreement_interval[1] - alone[0].agreement_interval[0])
    same, interval = icc_difference(truth, first, first, np.random.default_rng(0), groups=np.arange(200) // 8)
    assert (same, *interval) == (0.0, 0.0, 0.0)


def test_a_partial_correlation_is_that_of_its_formula():
    random = np.random.default_rng(14)
    given = random.normal(0, 1, 500)
    first, second = given + random.normal(0, 1, 500), -2 * given + random.normal(0, 1, 500)
    r, (low, high) = partial_correlation(first, second, given, np.random.default_rng(0))
    xy, xz, yz = (np.corrcoef(a, b)[0, 1] for a, b in ((first, second), (first, given), (second, given)))
    assert r == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))
    assert xy < -0.5
    assert low < 0 < high  # what is left of them has nothing in common
    with pytest.raises(ValueError, match="more than 2 cases"):
        partial_correlation([1, 2], [2, 1], [0, 1], np.random.default_rng(0))


# ------------------------------------------------------------------------------------------------------- repeatability


def test_repeatability_is_the_spread_within_cases_whatever_lies_between_them():
    random = np.random.default_rng(15)
    repeats = random.normal(0, 50, (400, 1)) + random.normal(0, 0.3, (400, 3))
    repeats[::5, 2] = np.nan
    repeats[3, 1:] = np.nan  # tells nothing
    found = repeatability(repeats)
    assert found.within_sd == pytest.approx(0.3, rel=0.06)
    assert found.interval[0] < 0.3 < found.interval[1]
    assert found.coefficient == pytest.approx(2.7718 * found.within_sd, rel=1e-4)
    with pytest.raises(ValueError, match="measured twice"):
        repeatability([[1.0, np.nan]])


def test_the_limits_of_a_repeatability_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(16)
    held = [repeatability(random.normal(0, 1, (12, 2))).interval for _ in range(600)]
    assert np.mean([low < 1 < high for low, high in held]) == pytest.approx(0.95, abs=0.03)
