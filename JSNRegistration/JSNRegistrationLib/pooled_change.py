"""The mean change of the joints of each hand between two visits, as result.json says it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from JointQuantLib.statistics import pooled_change
from JSNRegistrationLib.joints import JOINT_NAMES, SIDES
from JSNRegistrationLib.verdict import MEASURED

LEAST_JOINTS = 3  # of two, the interval is 12.7 standard errors wide to either side: no one could use it


def mean_of_hands(joints: Sequence[dict]) -> list[dict]:
    """The entries ``hands`` of result.json, left before right: the mean of every pair of visits over the joints that
    were measured without a doubt; None for its numbers where these are fewer than LEAST_JOINTS.

    ``joints`` are entries of result.json, so that joints of an earlier result count too. A joint without a finger's
    name is of no hand.
    """

    def side_first(joint: dict) -> int:
        return (None, *SIDES).index(joint["side"])

    of_hands = sorted((joint for joint in joints if joint["name"] in JOINT_NAMES), key=side_first)
    return [
        {"side": side, "pairs": [_mean(pairs) for pairs in _by_visits(list(own))]}
        for side, own in groupby(of_hands, key=lambda joint: joint["side"])
    ]


def _by_visits(joints: Sequence[dict]) -> list[list[tuple[str, dict]]]:
    """The names and pairs of the joints of one hand, a list for each pair of visits; all joints have the same pairs."""
    return [
        [(joint["name"], pair) for joint, pair in zip(joints, pairs, strict=True)]
        for pairs in zip(*(joint["pairs"] for joint in joints), strict=True)
    ]


def _mean(pairs: Sequence[tuple[str, dict]]) -> dict:
    counted = [(name, pair) for name, pair in pairs if pair["verdict"] == MEASURED]
    _, any_pair = pairs[0]
    years = any_pair["years"]
    in_px, in_mm = (_pooled([pair for _, pair in counted], unit) for unit in ("px", "mm"))
    yearly = in_mm is not None and years is not None
    return {
        "from_visit": any_pair["from_visit"],
        "to_visit": any_pair["to_visit"],
        "joints": [name for name, _ in counted],
        "change_px": in_px and in_px.mean,
        "interval_px": in_px and in_px.interval,
        "between_joints_sd_px": in_px and in_px.between,
        "change_mm": in_mm and in_mm.mean,
        "interval_mm": in_mm and in_mm.interval,
        "between_joints_sd_mm": in_mm and in_mm.between,
        "i_squared": in_px and in_px.i_squared,
        "years": years,
        "change_per_year_mm": in_mm.mean / years if yearly else None,
        "change_per_year_interval_mm": [end / years for end in in_mm.interval] if yearly else None,
    }


def _pooled(pairs: Sequence[dict], unit: str):
    """The ``PooledChange`` in this unit; None where too few joints have a number in it."""
    changes = [pair[f"change_{unit}"] for pair in pairs]
    if len(changes) < LEAST_JOINTS or None in changes:
        return None
    return pooled_change(changes, [pair[f"se_{unit}"] for pair in pairs])
