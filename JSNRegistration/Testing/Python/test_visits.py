"""Motions over three and more visits: they close, follow the surer pairs, and know how sure they are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from JSNRegistrationLib.motion import IDENTITY, apply, compose, inverse, motion_about, scale_of
from JSNRegistrationLib.narrowing import JointFrame, carried, space_change_px
from JSNRegistrationLib.visits import OF_THE_FILMS, PairEstimate, agreed_motions

FRAME = JointFrame(np.array([300.0, 420.0]), np.array([0.1, -1.0]) / np.hypot(0.1, 1.0))
SPREAD = np.array([0.05, 0.04, 0.002, 0.06, 0.05, 0.0015, 0.001])  # standard errors: px, px, rad, twice; log scale
SLOPE = np.array([*FRAME.axis, 0.0, *(-FRAME.axis), 0.0, 0.0])


def covariance_of(random) -> np.ndarray:
    """A covariance of about the usual size whose parameters hang together."""
    mixing = np.eye(7) + 0.3 * random.standard_normal((7, 7))
    root = np.diag(SPREAD) @ mixing
    return root @ root.T


def true_places(random, visits: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Motions of both bones from the first visit to each: any turn and scale, and bones that move a little apart."""
    places = [(IDENTITY, IDENTITY)]
    for _ in range(visits - 1):
        common = motion_about(
            FRAME.origin_px, random.uniform(-0.5, 0.5), random.uniform(0.8, 1.25), random.normal(size=2) * 40
        )
        places.append(
            tuple(
                compose(common, motion_about(FRAME.origin_px, random.normal() * 0.03, 1.0, random.normal(size=2)))
                for _ in range(2)
            )
        )
    return places


def between(places, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(compose(there, inverse(here)) for here, there in zip(places[a], places[b], strict=True))


def nudged(motions, own: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motions with small ones made before them: seven parameters as in ``PairEstimate``."""
    scale = np.exp(own[6])
    return tuple(
        compose(motion, motion_about(origin, part[2], scale, part[:2]))
        for motion, part in zip(motions, (own[:3], own[3:6]), strict=True)
    )


def origin_at(places, visit: int) -> np.ndarray:
    return carried(FRAME, *places[visit]).origin_px


def estimates(places, random, noise: float, pairs=None) -> dict[tuple[int, int], PairEstimate]:
    """What pairs would say: the truth and `noise` times a draw from the covariance that they state."""
    result = {}
    for a, b in pairs or combinations(range(len(places)), 2):
        covariance = covariance_of(random)
        own = noise * random.multivariate_normal(np.zeros(7), covariance)
        origin = origin_at(places, a)
        result[a, b] = PairEstimate(*nudged(between(places, a, b), own, origin), covariance, origin)
    return result


def change_from(places, a: int, upper, lower) -> float:
    frame = carried(FRAME, *places[a])
    return space_change_px(upper, lower, frame.origin_px, frame.axis)


def test_no_pairs_give_no_motions():
    assert agreed_motions({}) == {}


def test_two_visits_are_left_as_they_are():
    random = np.random.default_rng(1)
    pairs = estimates(true_places(random, 2), random, 1.0)
    upper, lower, covariance = agreed_motions(pairs)[0, 1]
    assert upper == pytest.approx(pairs[0, 1].upper, abs=1e-9)
    assert lower == pytest.approx(pairs[0, 1].lower, abs=1e-9)
    assert covariance == pytest.approx(pairs[0, 1].covariance, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("visits", [3, 4])
def test_pairs_that_agree_are_left_as_they_are(visits):
    random = np.random.default_rng(visits)
    pairs = estimates(true_places(random, visits), random, 0.0)
    agreed = agreed_motions(pairs)
    assert agreed.keys() == pairs.keys()
    for key, pair in pairs.items():
        assert agreed[key][0] == pytest.approx(pair.upper, abs=1e-7)
        assert agreed[key][1] == pytest.approx(pair.lower, abs=1e-7)


@pytest.mark.parametrize("visits", [3, 4])
@pytest.mark.parametrize("noise", [1.0, 20.0])
def test_the_way_over_another_visit_leads_to_the_same_place(visits, noise):
    random = np.random.default_rng(10 + visits)
    pairs = estimates(true_places(random, visits), random, noise)
    agreed = agreed_motions(pairs)
    for a, b, c in combinations(range(visits), 3):
        for bone in (0, 1):
            around = compose(agreed[b, c][bone], agreed[a, b][bone])
            assert around == pytest.approx(agreed[a, c][bone], abs=1e-9)
            alone = [(pairs[key].upper, pairs[key].lower)[bone] for key in ((a, b), (b, c), (a, c))]
            assert not np.allclose(compose(alone[1], alone[0]), alone[2], atol=1e-3)  # there was something to close


def test_both_bones_keep_one_scale():
    random = np.random.default_rng(3)
    for upper, lower, _ in agreed_motions(estimates(true_places(random, 4), random, 3.0)).values():
        assert scale_of(upper) == pytest.approx(scale_of(lower), rel=1e-12)


def test_a_pair_that_disagrees_is_pulled_towards_two_surer_ones():
    random = np.random.default_rng(4)
    places = true_places(random, 3)
    pairs = estimates(places, random, 0.0)
    wrong = nudged((pairs[0, 2].upper, pairs[0, 2].lower), np.array([*FRAME.axis, 0, 0, 0, 0, 0]), FRAME.origin_px)
    pairs[0, 2] = PairEstimate(*wrong, 400 * np.diag(SPREAD**2), FRAME.origin_px)
    truth = change_from(places, 0, *between(places, 0, 2))
    own = change_from(places, 0, pairs[0, 2].upper, pairs[0, 2].lower)
    agreed = change_from(places, 0, *agreed_motions(pairs)[0, 2][:2])
    assert own - truth == pytest.approx(1.0, abs=0.05)
    assert abs(agreed - truth) < 0.1


def test_one_gross_error_does_not_spoil_the_other_pairs():
    random = np.random.default_rng(6)
    places = true_places(random, 4)
    pairs = estimates(places, random, 0.3)
    gross = np.array([*(30 * SPREAD[:2]), 0.0, *(-30 * SPREAD[3:5]), 0.0, 0.0])
    pairs[1, 3] = PairEstimate(
        *nudged(between(places, 1, 3), gross, pairs[1, 3].origin_px), pairs[1, 3].covariance, pairs[1, 3].origin_px
    )
    agreed = agreed_motions(pairs)
    error = max(
        abs(change_from(places, a, *agreed[a, b][:2]) - change_from(places, a, *between(places, a, b)))
        for a, b in pairs
    )
    # A pair that is off by 30 standard errors, more than 2 px, pulls as if it were off by about 3.
    assert error < 0.4


def test_a_visit_without_pairs_is_left_out():
    random = np.random.default_rng(7)
    pairs = estimates(true_places(random, 4), random, 1.0, pairs=[(0, 1), (0, 3), (1, 3)])
    assert set(agreed_motions(pairs)) == {(0, 1), (0, 3), (1, 3)}


def test_visits_that_hang_together_apart_from_the_first_are_left_out():
    random = np.random.default_rng(8)
    pairs = estimates(true_places(random, 4), random, 1.0, pairs=[(0, 1), (2, 3)])
    assert set(agreed_motions(pairs)) == {(0, 1)}


def test_a_pair_that_was_not_measured_is_known_through_the_others():
    random = np.random.default_rng(9)
    places = true_places(random, 3)
    pairs = estimates(places, random, 0.0, pairs=[(0, 2), (1, 2)])
    upper, lower, covariance = agreed_motions(pairs)[0, 1]
    assert upper == pytest.approx(between(places, 0, 1)[0], abs=1e-7)
    assert lower == pytest.approx(between(places, 0, 1)[1], abs=1e-7)
    both = [pairs[key].covariance for key in ((0, 2), (1, 2))]
    assert SLOPE @ covariance @ SLOPE > SLOPE @ both[0] @ SLOPE  # two steps are less sure than the first of them


@pytest.mark.parametrize("visits", [2, 3, 4])
def test_other_visits_make_no_pair_less_sure(visits):
    random = np.random.default_rng(20 + visits)
    pairs = estimates(true_places(random, visits), random, 0.0)
    for key, (_, _, covariance) in agreed_motions(pairs).items():
        gained = pairs[key].covariance - covariance
        scaled = gained / np.outer(SPREAD, SPREAD)
        assert np.linalg.eigvalsh(0.5 * (scaled + scaled.T)).min() > -1e-3


@pytest.mark.parametrize("visits", [3, 4])
def test_further_visits_take_little_off_the_error_of_a_pair(visits):
    random = np.random.default_rng(30)
    pairs = estimates(true_places(random, visits), random, 0.0)
    for key, (_, _, covariance) in agreed_motions(pairs).items():
        axis = carried(FRAME, pairs[key].upper, pairs[key].lower).axis
        slope = np.array([*axis, 0.0, *(-axis), 0.0, 0.0])
        assert 0.94 < (slope @ covariance @ slope) / (slope @ pairs[key].covariance @ slope) < 1.0


def test_the_stated_error_is_the_scatter_of_the_agreed_change():
    """Films bring an error into all of their pairs, and the pairs add a little of their own.

    Taken for independent, the six pairs of four visits would have a stated error of 0.71 of a pair's: z of 1.4.
    """
    visits = 4
    covariance = np.diag(np.array([0.05, 0.05, 0.002, 0.05, 0.05, 0.002, 0.001]) ** 2)
    places = [
        tuple(motion_about(FRAME.origin_px, 0.0, 1.0, shift * FRAME.axis) for shift in (change, 0.0))
        for change in np.linspace(0.0, -2.0, visits)
    ]
    z = []
    for draw in range(40):
        random = np.random.default_rng(1000 + draw)
        errors = random.multivariate_normal(np.zeros(7), 0.5 * OF_THE_FILMS * covariance, size=visits)
        filmed = [nudged(place, error, FRAME.origin_px) for place, error in zip(places, errors, strict=True)]
        pairs = {}
        for a, b in combinations(range(visits), 2):
            own = random.multivariate_normal(np.zeros(7), (1.0 - OF_THE_FILMS) * covariance)
            origin = origin_at(places, a)
            pairs[a, b] = PairEstimate(*nudged(between(filmed, a, b), own, origin), covariance, origin)
        for (a, b), (upper, lower, stated) in agreed_motions(pairs).items():
            error = change_from(places, a, upper, lower) - change_from(places, a, *between(places, a, b))
            z.append(error / np.sqrt(SLOPE @ stated @ SLOPE))
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.2)


def test_the_covariance_is_about_the_joint_in_the_from_visit():
    """Far from the joint a turn is a shift: about any other point the shifts would be much less sure."""
    random = np.random.default_rng(60)
    places = true_places(random, 3)
    pairs = estimates(places, random, 0.0)
    for a, b in pairs:
        covariance = agreed_motions(pairs)[a, b][2]
        assert np.sqrt(np.diag(covariance)[:2]).max() < 3 * SPREAD[:2].max()
    assert np.linalg.norm(apply(places[1][0], FRAME.origin_px) - FRAME.origin_px) > 10  # it was elsewhere there
