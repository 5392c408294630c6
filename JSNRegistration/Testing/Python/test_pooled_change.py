"""The mean change of a hand: which joints count, in which unit, and when there is none."""

from __future__ import annotations

import pytest

from JointQuantLib.statistics import pooled_change
from JSNRegistrationLib.pooled_change import mean_of_hands

SPACING_MM = 0.15
CHANGES_PX = {"MCP2": -1.0, "MCP3": -0.2, "PIP2": 0.1, "PIP3": -0.4}


def pair(change_px: float | None, verdict: str = "measured", visits=(0, 1), years=2.0, spacing=SPACING_MM) -> dict:
    se_px = None if change_px is None else 0.1 + 0.05 * abs(change_px)
    known = change_px is not None and spacing is not None
    return {
        "from_visit": visits[0],
        "to_visit": visits[1],
        "verdict": verdict,
        "change_px": change_px,
        "se_px": se_px,
        "change_mm": change_px * spacing if known else None,
        "se_mm": se_px * spacing if known else None,
        "years": years,
    }


def hand(side: str | None = "left", **about) -> list[dict]:
    return [{"name": name, "side": side, "pairs": [pair(px, **about)]} for name, px in CHANGES_PX.items()]


def the_mean(joints: list[dict]) -> dict:
    (of_hand,) = mean_of_hands(joints)
    (mean,) = of_hand["pairs"]
    return mean


def test_it_is_the_pooled_change_of_the_joints_in_both_units():
    mean = the_mean(hand())
    expected = pooled_change(list(CHANGES_PX.values()), [0.1 + 0.05 * abs(px) for px in CHANGES_PX.values()])
    assert mean["joints"] == list(CHANGES_PX)
    assert mean["change_px"] == pytest.approx(expected.mean)
    assert mean["interval_px"] == pytest.approx(expected.interval)
    assert mean["change_mm"] == pytest.approx(expected.mean * SPACING_MM)
    assert mean["interval_mm"] == pytest.approx([end * SPACING_MM for end in expected.interval])
    assert mean["between_joints_sd_mm"] == pytest.approx(expected.between * SPACING_MM)
    assert mean["i_squared"] == pytest.approx(expected.i_squared)


def test_a_year_takes_its_share_of_the_change_and_of_the_interval():
    mean = the_mean(hand(years=2.0))
    assert mean["change_per_year_mm"] == pytest.approx(mean["change_mm"] / 2)
    assert mean["change_per_year_interval_mm"] == pytest.approx([end / 2 for end in mean["interval_mm"]])


def test_without_dates_there_is_no_change_a_year():
    mean = the_mean(hand(years=None))
    assert mean["change_mm"] is not None
    assert (mean["change_per_year_mm"], mean["change_per_year_interval_mm"]) == (None, None)


def test_without_a_spacing_it_is_in_pixels_only():
    mean = the_mean(hand(spacing=None))
    assert mean["change_px"] is not None
    assert {mean[key] for key in mean if key.endswith("_mm")} == {None}


@pytest.mark.parametrize("verdict", ["doubtful", "not_measurable"])
def test_only_joints_without_a_doubt_count(verdict):
    joints = hand()
    joints[0]["pairs"] = [pair(None if verdict == "not_measurable" else -9.0, verdict)]
    mean = the_mean(joints)
    assert mean["joints"] == ["MCP3", "PIP2", "PIP3"]
    assert mean["change_px"] > -0.5


def test_of_two_joints_there_is_no_mean():
    mean = the_mean(hand()[:2])
    assert mean["joints"] == ["MCP2", "MCP3"]
    numbers = {key: mean[key] for key in mean if key not in ("from_visit", "to_visit", "joints", "years")}
    assert set(numbers.values()) == {None}


def test_hands_and_pairs_of_visits_are_kept_apart():
    left, right = hand("left"), hand("right")
    for joint in left + right:
        joint["pairs"] += [pair(0.0, visits=(0, 2)), pair(1.0, visits=(1, 2))]
    means = mean_of_hands(right + left)
    assert [mean["side"] for mean in means] == ["left", "right"]
    for mean in means:
        assert [(p["from_visit"], p["to_visit"]) for p in mean["pairs"]] == [(0, 1), (0, 2), (1, 2)]
        assert [p["change_px"] for p in mean["pairs"][1:]] == pytest.approx([0.0, 1.0])


def test_a_film_of_one_joint_is_of_no_hand():
    assert mean_of_hands([{"name": "JOINT", "side": None, "pairs": [pair(-1.0)]}]) == []
