"""Which numbers are given: each limit, which one decides, and joints that cannot be measured at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose

from JointQuantLib.job import Progress
from JSNRegistrationLib import patient_registration, verdict
from JSNRegistrationLib.bones import CLASSICAL, NETWORK
from JSNRegistrationLib.evidence import Evidence
from JSNRegistrationLib.joint_measurement import JointMeasurement, SeenJoint, measure_joint
from JSNRegistrationLib.mismatch import mismatch_probability
from JSNRegistrationLib.patient_registration import register_patient
from JSNRegistrationLib.verdict import DOUBTFUL, MEASURED, NOT_MEASURABLE, Verdict, judge

GOOD = Evidence(
    similarity=0.97,
    cover=1.0,
    ways_apart_mm=0.0,
    se_mm=0.015,
    relative_turn_deg=0.5,
    magnification=1.002,
    found=0.95,
    found_reason=None,
)
# field, its limits, the value at a limit, where a value is worse, and a word of the reason
LIMITS = [
    ("texture", verdict.LEAST_TEXTURE, lambda limit: limit, -1, "texture"),
    ("cover", verdict.LEAST_COVER, lambda limit: limit, -1, "shown by both films"),
    ("found", verdict.LEAST_FOUND, lambda limit: limit, -1, "confidence"),
    ("ways_apart_mm", verdict.MOST_WAYS_APART_MM, lambda limit: limit, 1, "forward and backward"),
    ("se_mm", verdict.MOST_SE_MM, lambda limit: limit, 1, "standard error"),
    ("relative_turn_deg", verdict.MOST_TURN_DEG, lambda limit: limit, 1, "turned against each other"),
    ("relative_turn_deg", verdict.MOST_TURN_DEG, lambda limit: -limit, -1, "turned against each other"),
    ("magnification", verdict.MOST_MAGNIFICATION, lambda limit: 1.0 + limit, 1, "magnification"),
    ("magnification", verdict.MOST_MAGNIFICATION, lambda limit: 1.0 - limit, -1, "magnification"),
]
NAMES = [f"{field} {'above' if worse > 0 else 'below'}" for field, _, _, worse, _ in LIMITS]


def test_good_evidence_is_measured_without_a_reason():
    assert judge(GOOD) == Verdict(MEASURED, "")


@pytest.mark.parametrize(("field", "limit", "at", "worse", "word"), LIMITS, ids=NAMES)
def test_each_limit_makes_doubtful_and_then_refuses_and_says_why(field, limit, at, worse, word):
    beyond = worse * 1e-6
    assert judge(replace(GOOD, **{field: at(limit.doubtful) - beyond})).status == MEASURED
    doubtful = judge(replace(GOOD, **{field: at(limit.doubtful) + beyond}))
    assert doubtful.status == DOUBTFUL
    assert word in doubtful.reason
    assert judge(replace(GOOD, **{field: at(limit.refused) - beyond})).status == DOUBTFUL
    refused = judge(replace(GOOD, **{field: at(limit.refused) + beyond}))
    assert refused.status == NOT_MEASURABLE
    assert word in refused.reason


@pytest.mark.parametrize(
    "field", ["similarity", "cover", "ways_apart_mm", "se_mm", "relative_turn_deg", "magnification"]
)
def test_what_cannot_be_computed_is_never_measured(field):
    assert judge(replace(GOOD, **{field: float("nan")})).status == NOT_MEASURABLE


@pytest.mark.parametrize("by", [NETWORK, CLASSICAL])
def test_a_likely_mismatch_is_doubtful_though_no_single_limit_is_passed(by):
    poor = replace(GOOD, registered_by=by, similarity=0.72, texture=0.47, se_mm=0.12)
    assert mismatch_probability(poor) > verdict.MOST_MISMATCH.doubtful
    assert judge(poor).status in (DOUBTFUL, NOT_MEASURABLE)
    assert "mismatch" in judge(poor).reason
    assert judge(replace(GOOD, registered_by=by)).status == MEASURED


@pytest.mark.parametrize("by", [NETWORK, CLASSICAL])
def test_a_mismatch_is_the_more_probable_the_less_the_films_are_alike(by):
    evidence = replace(GOOD, registered_by=by, texture=0.9)
    for field in ("similarity", "texture"):
        chances = [mismatch_probability(replace(evidence, **{field: value})) for value in np.linspace(0.99, -0.5, 50)]
        assert np.all(np.diff(chances) >= 0)
        assert np.all((np.array(chances) > 0) & (np.array(chances) < 1))


def test_one_refusal_outweighs_all_that_is_good_and_all_that_is_doubtful():
    poor = replace(GOOD, similarity=verdict.LEAST_SIMILARITY.doubtful - 0.01, se_mm=verdict.MOST_SE_MM.refused + 0.01)
    refused = judge(poor)
    assert refused.status == NOT_MEASURABLE
    assert "standard error" in refused.reason
    assert "match" not in refused.reason


def test_all_doubts_are_told():
    se_mm = verdict.MOST_SE_MM.doubtful + 0.001
    poor = replace(GOOD, similarity=verdict.LEAST_SIMILARITY.doubtful - 0.01, se_mm=se_mm)
    doubtful = judge(poor)
    assert doubtful.status == DOUBTFUL
    assert "match" in doubtful.reason
    assert "standard error" in doubtful.reason


def test_the_reason_of_a_joint_found_badly_is_the_finders_own():
    poor = replace(GOOD, found=verdict.LEAST_FOUND.doubtful - 0.01, found_reason="the joint lies at the border")
    assert judge(poor).reason == "the joint lies at the border"


def test_worse_evidence_never_gives_a_better_verdict():
    order = [MEASURED, DOUBTFUL, NOT_MEASURABLE]
    for field, start, stop in (("similarity", 1.0, 0.0), ("se_mm", 0.0, 1.0), ("cover", 1.0, 0.0)):
        ranks = [order.index(judge(replace(GOOD, **{field: v})).status) for v in np.linspace(start, stop, 101)]
        assert ranks == sorted(ranks)
        assert set(ranks) == {0, 1, 2}


# Whole joints ---------------------------------------------------------------------------------------------------------

JOINT = AnalyticJoint(1)


@pytest.fixture(params=[NETWORK, CLASSICAL])
def way(request, monkeypatch) -> str:
    """Both ways of registering: as where PyTorch is installed, and as where it is not."""
    if request.param == CLASSICAL:
        monkeypatch.setattr(patient_registration, "NETWORK", NoNetwork())
    return request.param


class NoNetwork:
    def available(self) -> bool:
        return False


def measured(*films: AnalyticFilm, side: str | None = None) -> JointMeasurement:
    return measured_as_seen(*(SeenJoint(film.crop) for film in films), side=side)


def measured_as_seen(*seen: SeenJoint, side: str | None = None) -> JointMeasurement:
    spacings = [next(s.crop.nominal_spacing_mm for s in seen if s.crop is not None)] * len(seen)
    (pairs,) = register_patient([[s.crop for s in seen]], spacings, "cpu", Progress("none"))
    return measure_joint("PIP3", side, seen, spacings, pairs)


def with_pixels(film: AnalyticFilm, pixels: np.ndarray) -> AnalyticFilm:
    return replace(film, crop=replace(film.crop, pixels=pixels.astype(np.float32)))


@pytest.mark.usefixtures("way")
def test_a_joint_seen_well_twice_is_measured():
    (pair,) = measured(
        JOINT.film(), JOINT.film(Pose((2.0, 3.0), 5.0, -2.0, 0.0, 1.0), Exposure(1.3, 10.0, noise=3.0))
    ).pairs
    assert pair.verdict == Verdict(MEASURED)
    assert pair.change.interval_px[0] < -2.0 < pair.change.interval_px[1]


@pytest.mark.usefixtures("way")
def test_the_same_film_twice_is_measured_as_no_change():
    film = JOINT.film()
    (pair,) = measured(film, film).pairs
    assert pair.verdict == Verdict(MEASURED)
    assert pair.change.change_px == pytest.approx(0.0, abs=1e-6)
    assert pair.change.tilt_deg == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.usefixtures("way")
def test_noise_is_no_second_film(seed):
    film = JOINT.film()
    noise = np.random.default_rng(seed).normal(100.0, 20.0, film.crop.pixels.shape)
    (pair,) = measured(film, with_pixels(film, noise)).pairs
    assert pair.verdict.status == NOT_MEASURABLE
    assert pair.verdict.reason
    assert pair.change is None


@pytest.mark.usefixtures("way")
def test_a_second_film_without_contrast_is_not_measurable():
    film = JOINT.film()
    (pair,) = measured(film, with_pixels(film, np.full(film.crop.pixels.shape, 100.0))).pairs
    assert pair.verdict.status == NOT_MEASURABLE


@pytest.mark.parametrize("seed", [2, 3, 4, 5])
@pytest.mark.usefixtures("way")
def test_another_joint_is_not_the_same_joint(seed):
    (pair,) = measured(JOINT.film(), AnalyticJoint(seed).film(Pose((2.0, 1.0)))).pairs
    assert pair.verdict.status == NOT_MEASURABLE


@pytest.mark.parametrize("seed", [5, 6, 7, 8])
@pytest.mark.usefixtures("way")
def test_one_bone_of_another_joint_is_never_measured(seed):
    """The lower bone has its own form within some 15 % and its own texture; its cortex is as bright."""
    (pair,) = measured(JOINT.film(), JOINT.film(Pose((2.0, 1.0)), lower_seed=seed)).pairs
    assert pair.verdict.status != MEASURED


@pytest.mark.parametrize("down_px", [-75.0, -50.0])
@pytest.mark.usefixtures("way")
def test_a_bone_that_has_left_the_picture_is_not_measurable(down_px):
    (pair,) = measured(JOINT.film(), JOINT.film(Pose((0.0, down_px)))).pairs
    assert pair.verdict.status == NOT_MEASURABLE
    assert pair.change is None


@pytest.mark.usefixtures("way")
def test_a_visit_without_the_joint_is_told_and_spoils_no_other_pair():
    seen = [
        SeenJoint(JOINT.film().crop),
        SeenJoint(None, "the film is cut off"),
        SeenJoint(JOINT.film(Pose(gap_px=-1)).crop),
    ]
    pairs = {(p.from_visit, p.to_visit): p for p in measured_as_seen(*seen).pairs}
    assert pairs[0, 1].verdict == Verdict(NOT_MEASURABLE, "visit 2: the film is cut off")
    assert pairs[1, 2].verdict == Verdict(NOT_MEASURABLE, "visit 2: the film is cut off")
    assert pairs[0, 2].verdict.status == MEASURED
    assert pairs[0, 2].change.change_px == pytest.approx(-1.0, abs=0.05)


@pytest.mark.usefixtures("way")
def test_a_joint_that_may_be_another_one_is_doubtful_at_best():
    first, second = JOINT.film().crop, JOINT.film(Pose(gap_px=-1)).crop
    (pair,) = measured_as_seen(SeenJoint(first), SeenJoint(second, unlike={0: "elsewhere"})).pairs
    assert pair.verdict == Verdict(DOUBTFUL, "elsewhere")
    assert pair.change.change_px == pytest.approx(-1.0, abs=0.05)
    (pair,) = measured_as_seen(SeenJoint(first, doubt="misplaced"), SeenJoint(second)).pairs
    assert pair.verdict == Verdict(DOUBTFUL, "visit 1: misplaced")
    noise = replace(second, pixels=np.random.default_rng(0).normal(100.0, 20.0, second.pixels.shape).astype(np.float32))
    (pair,) = measured_as_seen(SeenJoint(first), SeenJoint(noise, doubt="misplaced")).pairs
    assert pair.verdict.status == NOT_MEASURABLE


@pytest.mark.usefixtures("way")
def test_a_joint_that_may_be_another_one_spoils_no_visits_that_agree():
    films = [JOINT.film(Pose(gap_px=gap)).crop for gap in (0.0, -1.0, 3.0)]
    seen = [SeenJoint(films[0]), SeenJoint(films[1]), SeenJoint(films[2], unlike={0: "elsewhere", 1: "elsewhere"})]
    doubted = {(p.from_visit, p.to_visit): p for p in measured_as_seen(*seen).pairs}
    assert [doubted[key].verdict.status for key in ((0, 1), (0, 2), (1, 2))] == [MEASURED, DOUBTFUL, DOUBTFUL]
    alone = measured_as_seen(*(SeenJoint(film) for film in films[:2])).pairs[0]
    assert doubted[0, 1].change.change_px == alone.change.change_px
    assert doubted[0, 2].change.change_px == pytest.approx(3.0, abs=0.1)


@pytest.mark.usefixtures("way")
def test_three_visits_close_and_keep_what_each_pair_says_alone():
    films = [
        JOINT.film(Pose((k, -k), 2.0 * k, -0.6 * k, 0.0, 0.4 * k), Exposure(noise=2.0, noise_seed=k)) for k in range(3)
    ]
    pairs = {(p.from_visit, p.to_visit): p for p in measured(*films).pairs}
    assert pairs[0, 2].change.change_px == pytest.approx(-1.2, abs=0.1)
    around = pairs[0, 1].change.change_px + pairs[1, 2].change.change_px
    assert around == pytest.approx(pairs[0, 2].change.change_px, abs=2e-3)
    alone = pairs[0, 1].pairwise.change_px + pairs[1, 2].pairwise.change_px - pairs[0, 2].pairwise.change_px
    assert abs(alone) > abs(around - pairs[0, 2].change.change_px)


@pytest.mark.usefixtures("way")
def test_noise_among_three_visits_is_left_out():
    films = [JOINT.film(), JOINT.film(Pose(gap_px=-1.0)), JOINT.film()]
    films[2] = with_pixels(films[2], np.random.default_rng(0).normal(100.0, 20.0, films[2].crop.pixels.shape))
    statuses = {(p.from_visit, p.to_visit): p.verdict.status for p in measured(*films).pairs}
    assert statuses == {(0, 1): MEASURED, (0, 2): NOT_MEASURABLE, (1, 2): NOT_MEASURABLE}


@pytest.mark.parametrize("offset", [(0, 0), (230, 75)])
@pytest.mark.usefixtures("way")
def test_where_the_joint_lies_in_the_whole_film_does_not_matter(offset):
    first, second = JOINT.film(), JOINT.film(Pose((1.0, 2.0), 3.0, -1.0, 0.0, 1.0))
    plain = measured(first, second).pairs[0]
    moved = [replace(f, crop=replace(f.crop, offset_px=offset)) for f in (first, second)]
    pair = measured(*moved).pairs[0]
    assert pair.change.change_px == pytest.approx(plain.change.change_px, abs=1e-6)
    assert pair.change.profile_px == pytest.approx(plain.change.profile_px, abs=1e-6)
    assert pair.frame.origin_px == pytest.approx(plain.frame.origin_px + offset)
