"""How sure numbers are: detectable change, coverage, agreement, repeatability, paired differences, ROC, pooled means.

Intervals are (low, high) of a two-sided confidence `level`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

Interval = tuple[float, float]


def smallest_detectable_change(se: float) -> float:
    """The change that the error of a measurement alone exceeds once in twenty times; `se` of the change, any unit.

    1.96 standard errors. The usual further root of 2 (Lassere et al. 2001, J Rheumatol 28:892) is for a change that is
    the difference of two measured widths; a registration measures the difference itself.
    """
    return float(stats.norm.ppf(0.975)) * se


def interval_coverage(errors: ArrayLike, ses: ArrayLike, level: float = 0.95) -> tuple[float, Interval]:
    """How often the intervals of this level hold the truth, and the 95 % interval of that share (Wilson 1927).

    `errors` (n) are estimate minus truth, `ses` (n) the stated standard errors, in one unit.
    """
    inside = np.abs(np.asarray(errors)) <= _z(level) * np.asarray(ses)
    share = stats.binomtest(int(inside.sum()), inside.size)
    limits = share.proportion_ci(0.95, method="wilson")
    return float(share.statistic), (float(limits.low), float(limits.high))


def rmse_ratio(
    errors_a: ArrayLike, errors_b: ArrayLike, rng: np.random.Generator, level: float = 0.95, resamples: int = 4000
) -> tuple[float, Interval]:
    """Root mean square of `errors_a` over that of `errors_b` (n each, of the same cases in the same order).

    The interval is the percentile bootstrap over cases, which keeps both errors of a case together (Efron and
    Tibshirani 1993, chapter 13).
    """

    def ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.sqrt(np.mean(np.square(a), axis) / np.mean(np.square(b), axis))

    both = np.asarray(errors_a, float), np.asarray(errors_b, float)
    drawn = stats.bootstrap(
        both, ratio, paired=True, confidence_level=level, n_resamples=resamples, method="percentile", random_state=rng
    )
    return float(ratio(*both)), (float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))


def area_under_roc(scores: ArrayLike, truth: ArrayLike, level: float = 0.95) -> tuple[float, Interval]:
    """Area under the ROC curve of `scores` (n), which are high where `truth` (n, bool) holds; ties count half.

    The interval is that of DeLong et al. 1988 (Biometrics 44:837), by ranks (Sun and Xu 2014, IEEE Signal Process Lett
    21:1389). Where the scores part the two kinds altogether its width would be 0, whatever their number; there it is
    the score interval of Newcombe 2006 (Stat Med 25:559, method 5). Raises ValueError where one kind is missing.
    """
    scores, truth = np.asarray(scores, float), np.asarray(truth, bool)
    beaten, beating = _placements(scores, truth)
    m, n = len(beaten), len(beating)
    area = float(beaten.mean())
    variance = (beaten.var(ddof=1) / m if m > 1 else 0.0) + (beating.var(ddof=1) / n if n > 1 else 0.0)
    if variance == 0.0:
        return area, _newcombe(area, m, n, _z(level))
    half = _z(level) * np.sqrt(variance)
    return area, (max(0.0, area - half), min(1.0, area + half))


def area_difference(
    scores_a: ArrayLike, scores_b: ArrayLike, truth: ArrayLike, level: float = 0.95
) -> tuple[float, Interval, float]:
    """Area under the ROC curve of `scores_a` minus that of `scores_b` (n each, same cases), its interval and p of none.

    DeLong et al. 1988 for correlated curves, by ranks (Sun and Xu 2014). Where all pairs are ranked alike by both, the
    difference is 0 with an interval of no width and p = 1. Raises ValueError where one kind is missing.
    """
    truth = np.asarray(truth, bool)
    parts = [_placements(np.asarray(scores, float), truth) for scores in (scores_a, scores_b)]
    (beaten_a, beating_a), (beaten_b, beating_b) = parts
    difference = float(beaten_a.mean() - beaten_b.mean())
    variance = sum(
        float(np.var(one - other, ddof=1)) / len(one)
        for one, other in ((beaten_a, beaten_b), (beating_a, beating_b))
        if len(one) > 1
    )
    half = _z(level) * np.sqrt(variance)
    p = 1.0 if difference == 0.0 else float(2 * stats.norm.sf(abs(difference) / np.sqrt(variance))) if variance else 0.0
    return difference, (difference - half, difference + half), p


def _placements(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What share of the negative cases lies below each positive one, and of the positive ones above each negative."""
    positive, negative = scores[truth], scores[~truth]
    m, n = len(positive), len(negative)
    if not m or not n:
        raise ValueError("a ROC curve needs cases of both kinds")
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    beaten = (ranks[:m] - stats.rankdata(positive)) / n
    beating = 1.0 - (ranks[m:] - stats.rankdata(negative)) / m
    return beaten, beating


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of two methods: their mean difference, the limits that hold 95 % of the differences, and the 95 %
    intervals of these three.
    """

    bias: float
    bias_interval: Interval
    limits: Interval
    lower_limit_interval: Interval
    upper_limit_interval: Interval


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Agreement of two methods on the same cases (n each), first minus second (Bland and Altman 1986, 1999)."""
    differences = np.asarray(first, float) - np.asarray(second, float)
    n, bias, sd = differences.size, float(differences.mean()), float(differences.std(ddof=1))
    t, z = stats.t.ppf(0.975, n - 1), _z(0.95)
    around_bias = float(t * sd / np.sqrt(n))
    around_limit = float(t * sd * np.sqrt(1.0 / n + z**2 / (2.0 * (n - 1))))
    low, high = bias - z * sd, bias + z * sd
    return BlandAltman(
        bias,
        (bias - around_bias, bias + around_bias),
        (low, high),
        (low - around_limit, low + around_limit),
        (high - around_limit, high + around_limit),
    )


@dataclass(frozen=True)
class IntraclassCorrelation:
    """How alike methods measure the same cases: 1 as the same, 0 or less as if by chance; with bootstrap intervals.

    `agreement` is ICC(2,1), which a constant difference of the methods lowers; `consistency` is ICC(3,1), which it does
    not. None where the methods give one and the same number for every case.
    """

    agreement: float | None
    agreement_interval: Interval | None
    consistency: float | None
    consistency_interval: Interval | None


def icc(
    ratings: ArrayLike,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> IntraclassCorrelation:
    """ICC(2,1) and ICC(3,1) of `ratings` (n cases, k methods), both of single measurements in a two-way layout.

    Shrout and Fleiss 1979 (Psychol Bull 86:420), called ICC(A,1) and ICC(C,1) by McGraw and Wong 1996 (Psychol Methods
    1:30). The intervals are those of the percentile bootstrap over cases, or over `groups` (n, any labels) of cases
    that are not independent of each other, as patches that overlap (Field and Welsh 2007, J R Stat Soc B 69:369).
    Raises ValueError for less than three cases or less than two methods.
    """
    ratings = np.asarray(ratings, float)
    if ratings.ndim != 2 or ratings.shape[0] < 3 or ratings.shape[1] < 2:
        raise ValueError(f"an ICC needs three cases by two methods or more, not {ratings.shape}")
    drawn, count = _drawn_again(len(ratings), groups, rng, resamples)
    found = _icc_of(ratings, np.ones((1, len(ratings))))[:, 0]
    boot = _icc_of(ratings, drawn)
    both = []
    for value, values in zip(found, boot, strict=True):
        known = values[np.isfinite(values)]
        if not np.isfinite(value):
            both += [None, None]
            continue
        both += [float(value), _percentiles(known, level) if count > 2 and len(known) else None]
    return IntraclassCorrelation(*both)


def icc_difference(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, Interval]:
    """ICC(2,1) of `first` with `truth` minus that of `second` with it (n each, the same cases), and its interval.

    The percentile bootstrap over cases, or over `groups` (n) of cases that are not independent; both methods are drawn
    together, so that what makes a case hard for both does not widen the interval. Raises ValueError as `icc`.
    """
    truth, first, second = (np.asarray(values, float) for values in (truth, first, second))
    if truth.size < 3:
        raise ValueError(f"an ICC needs three cases or more, not {truth.size}")
    drawn, _ = _drawn_again(truth.size, groups, rng, resamples)
    weights = np.concatenate([np.ones((1, truth.size)), drawn])
    one, other = (_icc_of(np.column_stack([values, truth]), weights)[0] for values in (first, second))
    differences = one - other
    return float(differences[0]), _percentiles(differences[1:], level)


def partial_correlation(
    first: ArrayLike,
    second: ArrayLike,
    given: ArrayLike,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> tuple[float, Interval]:
    """How alike `first` and `second` (n each) vary beyond what `given` (n, or n by k) tells linearly of both.

    Pearson's r of what is left of them (Yule 1907, Proc R Soc Lond A 79:182), and its interval by the percentile
    bootstrap over cases or `groups` (n) of them. Raises ValueError where less than k + 3 cases are given.
    """
    both = np.column_stack([np.asarray(first, float), np.asarray(second, float)])
    told = np.column_stack([np.ones(len(both)), np.asarray(given, float)])
    if len(both) < told.shape[1] + 2:
        raise ValueError(f"a partial correlation given {told.shape[1] - 1} needs more than {len(both)} cases")
    drawn, _ = _drawn_again(len(both), groups, rng, resamples)
    values = np.array([_partial(both, told, weights) for weights in (np.ones(len(both)), *drawn)])
    return float(values[0]), _percentiles(values[1:], level)


def _partial(both: np.ndarray, told: np.ndarray, weights: np.ndarray) -> float:
    root = np.sqrt(weights)[:, None]
    left = root * both - root * told @ np.linalg.lstsq(root * told, root * both, rcond=None)[0]
    squares = np.sum(left**2, axis=0)
    return float(left[:, 0] @ left[:, 1] / np.sqrt(squares.prod())) if (squares > 0).all() else float("nan")


def _drawn_again(
    cases: int, groups: ArrayLike | None, rng: np.random.Generator, resamples: int
) -> tuple[np.ndarray, int]:
    """How often each case is drawn, [resamples, cases], whole groups at a time; and the number of groups."""
    _, group = np.unique(np.arange(cases) if groups is None else np.asarray(groups), return_inverse=True)
    count = int(group.max()) + 1
    return rng.multinomial(count, np.full(count, 1.0 / count), size=resamples)[:, group].astype(float), count


def _percentiles(values: np.ndarray, level: float) -> Interval:
    """The percentile interval of what resamples gave, NaN where none of them gave a number."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


@dataclass(frozen=True)
class Repeatability:
    """How far repeated measurements of one thing differ, in their unit.

    :param within_sd: standard deviation of one measurement, `interval` its 95 % interval.
    :param coefficient: the difference of two measurements that is exceeded once in twenty times, 2.77 within_sd.
    """

    within_sd: float
    interval: Interval
    coefficient: float


def repeatability(repeats: ArrayLike) -> Repeatability:
    """Of `repeats` (n cases, k measurements each, NaN for those that are missing); cases with one tell nothing.

    The root of the mean variance within cases, with chi-squared limits (Bland and Altman 1999, Stat Methods Med Res
    8:135; Obuchowski and Bullen 2018, Stat Methods Med Res 27:3258). Raises ValueError where no case was repeated.
    """
    repeats = np.asarray(repeats, float)
    freedom = np.maximum(np.isfinite(repeats).sum(axis=1) - 1, 0)
    if not freedom.sum():
        raise ValueError("repeatability needs a case that was measured twice")
    told = repeats[freedom > 0]
    squares = float(np.nansum((told - np.nanmean(told, axis=1, keepdims=True)) ** 2))
    total = int(freedom.sum())
    low, high = (float(np.sqrt(squares / stats.chi2.ppf(q, total))) for q in (0.975, 0.025))
    within = float(np.sqrt(squares / total))
    return Repeatability(within, (low, high), _z(0.95) * np.sqrt(2.0) * within)


def _icc_of(ratings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(2, r): ICC(2,1) and ICC(3,1) with each of r weights of the cases (r, n); by the mean squares of both papers."""
    methods = ratings.shape[1]
    ratings = ratings - ratings.mean()  # sums of squares of large numbers would lose the small differences
    cases = weights.sum(axis=1)
    rows = ratings.mean(axis=1)
    columns = weights @ ratings / cases[:, None]
    grand = columns.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        between_rows = methods * (weights @ rows**2 - cases * grand**2)
        between_columns = cases * np.sum((columns - grand[:, None]) ** 2, axis=1)
        total = weights @ np.sum(ratings**2, axis=1) - cases * methods * grand**2
        ms_rows = between_rows / (cases - 1)
        ms_columns = between_columns / (methods - 1)
        ms_error = np.maximum(total - between_rows - between_columns, 0.0) / ((cases - 1) * (methods - 1))
        shared = ms_rows + (methods - 1) * ms_error
        agreement = (ms_rows - ms_error) / (shared + methods * (ms_columns - ms_error) / cases)
        consistency = (ms_rows - ms_error) / shared
    return np.stack([agreement, consistency])


@dataclass(frozen=True)
class PooledChange:
    """The mean change of several joints and its interval, in the unit of the changes.

    `between` is the standard deviation of the true changes from joint to joint, `i_squared` (0 to 1) the share of the
    scatter that errors of measurement do not explain.
    """

    mean: float
    interval: Interval
    between: float
    i_squared: float


def pooled_change(changes: ArrayLike, ses: ArrayLike, level: float = 0.95) -> PooledChange:
    """The random-effects mean of changes (n >= 2) with standard errors (n, above 0): joints need not change alike.

    Each change weighs 1 / (se^2 + between^2); between^2 by Paule and Mandel 1982 (J Res NBS 87:377), the interval by
    Hartung and Knapp 2001 (Stat Med 20:3875) and Sidik and Jonkman 2002 with t of n - 1 degrees. Their factor is 1 for
    this estimate of between^2, and is held at 1 where between is 0 (Knapp and Hartung 2003), so the standard error is
    1 / sqrt(sum of weights). I^2: Higgins and Thompson 2002 (Stat Med 21:1539). Raises ValueError for less than two.
    """
    changes, variances = np.asarray(changes, float), np.square(np.asarray(ses, float))
    freedom = changes.size - 1
    if freedom < 1:
        raise ValueError("a mean with an interval needs two changes or more")

    def weighted(between2: float) -> tuple[float, float, float]:
        weights = 1.0 / (variances + between2)
        mean = weights @ changes / weights.sum()
        return float(mean), float(1.0 / np.sqrt(weights.sum())), float(weights @ (changes - mean) ** 2)

    scatter = weighted(0.0)[2]
    between2 = 0.0
    if scatter > freedom:  # the scatter falls with between2, and is below `freedom` at the sum of squares
        between2 = brentq(lambda b2: weighted(b2)[2] - freedom, 0.0, float(np.sum((changes - changes.mean()) ** 2)))
    mean, se, _ = weighted(between2)
    half = float(stats.t.ppf(0.5 + level / 2.0, freedom)) * se
    unexplained = (scatter - freedom) / scatter if scatter > freedom else 0.0
    return PooledChange(mean, (mean - half, mean + half), float(np.sqrt(between2)), unexplained)


def _z(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2.0))


def _newcombe(area: float, m: int, n: int, z: float) -> Interval:
    """Areas from which the observed one lies just z standard errors away, by the variance that each would have."""

    def away(true: float) -> float:
        pairs = (m + n) / 2.0 - 1.0
        spread = 1.0 + pairs * ((1.0 - true) / (2.0 - true) + true / (1.0 + true))
        return (area - true) ** 2 - z**2 * true * (1.0 - true) / (m * n) * spread

    low = 0.0 if area == 0.0 else brentq(away, 0.0, area - 1e-12)
    high = 1.0 if area == 1.0 else brentq(away, area + 1e-12, 1.0)
    return float(low), float(high)
