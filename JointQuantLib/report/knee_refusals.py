"""What was not measured and why: the reasons of all regions, put together so that each is read once."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

NUMBER = re.compile(r"(?:(?<!\w)-)?\d+(?:\.\d+)?")  # with its sign, and without the hyphen of a word
MEASURES = {
    "hu_mean": "mean HU",
    "hu_sd": "SD of HU",
    "bv_tv": "BV/TV by density",
    "bv_tv_low": "BV/TV by density",
    "bv_tv_high": "BV/TV by density",
    "texture_sd_hu": "texture",
    "texture_skewness": "texture",
    "texture_grain_mm": "texture",
    "plate_mean_mm": "mean",
    "plate_sd_mm": "SD",
    "plate_median_mm": "median",
    "plate_smallest_mm": "smallest",
    "joint_space_mean_mm": "mean",
    "joint_space_sd_mm": "SD",
    "joint_space_median_mm": "median",
    "joint_space_smallest_mm": "smallest",
}
FEW = 3  # places that are named one by one


@dataclass(frozen=True)
class Refusal:
    """One reason: what it holds for, in how many places, and the reason with the range of its numbers."""

    what: str
    where: str
    reason: str


def refusals_of(knees: list[dict]) -> list[Refusal]:
    """All that was not measured in the regions and on the surfaces of the knees."""
    named = len(knees) > 1
    regions = [(place_of(row, knee["side"] if named else ""), row, "") for knee in knees for row in knee["regions"]]
    found = together(regions, "regions", "")
    for what, title in (("plate", "plate thickness"), ("joint_space", "joint space width")):
        surfaces = [
            (place_of(row, knee["side"] if named else ""), row, what)
            for knee in knees
            for row in knee["surfaces"]
            if row[f"{what}_limit_mm"] is not None or any(key.startswith(what) for key in row["not_measured"])
        ]
        found += together(surfaces, "sub-regions", title)
    return found


def place_of(row: dict, side: str) -> str:
    """ "right tibia medial anterior, 0-2.5 mm", as far as it is known."""
    words = " ".join(part for part in (side, row["bone"], row["compartment"], row["subregion"]) if part)
    if "depth_from_mm" not in row:
        return words
    below = " below the plate" if row["from_surface"] == "plate" else ""
    return f"{words} {row['depth_from_mm']:g}\N{EN DASH}{row['depth_to_mm']:g} mm{below}"


def together(places: list[tuple[str, dict, str]], kind: str, title: str) -> list[Refusal]:
    """The refusals of rows, one for each set of measures and each reason that differs in more than its numbers.

    :param places: name of the place, its row, and with what the names of its measures begin.
    """
    groups: dict[tuple[tuple[str, ...], str], list[tuple[str, str]]] = defaultdict(list)
    for place, row, begin in places:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for key, reason in row["not_measured"].items():
            if key.startswith(begin):
                words = MEASURES.get(key, key)
                if words not in by_reason[reason]:
                    by_reason[reason].append(words)
        for reason, measures in by_reason.items():
            groups[tuple(measures), NUMBER.sub("#", reason)].append((place, reason))
    found = []
    for (measures, _), members in groups.items():
        what = f"{title}: {', '.join(measures)}" if title else ", ".join(measures)
        names = [place for place, _ in members]
        if len(members) == len(places):
            where = f"in all {len(places)} {kind}"
        else:
            where = f"in {len(members)} of {len(places)} {kind}"
            where += f" ({'; '.join(names)})" if len(members) <= FEW else ""
        found.append(Refusal(f"{what[0].upper()}{what[1:]}", where, merged([reason for _, reason in members])))
    return found


def merged(reasons: list[str]) -> str:
    """Reasons that differ in their numbers only as one: "7 to 100 % of the area is thinner than ..."."""
    numbers = [NUMBER.findall(reason) for reason in reasons]
    ends = []
    for column in zip(*numbers, strict=True):
        low, high = min(column, key=float), max(column, key=float)
        ends.append(low if float(low) == float(high) else f"{low} to {high}")
    each = iter(ends)
    return NUMBER.sub(lambda _: next(each), reasons[0])
