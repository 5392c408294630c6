"""One section of the page per joint: its films, and for each pair of visits the pictures, the numbers and a profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .frame import JointFrame, sample, sample_loss, window_side_px
from .pictures import fusion, grey, grey_range, jpeg, loss_indices, palette_png
from .plots import LinePlot, line_plot, profile_plot
from .results import HandResult
from .wording import (
    Finding,
    Quantity,
    Width,
    change_of,
    detectable_words,
    finding_of,
    place_in_hand,
    plain,
    quality_rows,
    signed,
    visit_name,
    width_at,
    yearly_change_of,
)

KINDS = {
    "MCP": "metacarpophalangeal joint",
    "PIP": "proximal interphalangeal joint",
    "DIP": "distal interphalangeal joint",
    "IP": "interphalangeal joint",
}
FINGERS = {"1": "thumb", "2": "index finger", "3": "middle finger", "4": "ring finger", "5": "little finger"}


@dataclass(frozen=True)
class Panel:
    """One picture of a joint with what is drawn over it; without an address the note says why."""

    caption: str
    address: str | None
    alt: str
    note: str = ""
    outlines: list[str] = field(default_factory=list)
    bar_percent: float | None = None
    bar_words: str = ""
    centre_marks: bool = False


@dataclass(frozen=True)
class PairView:
    """One joint between two visits."""

    title: str
    finding: Finding
    verdict: str
    reason: str
    change: Quantity | None
    yearly: Quantity | None
    widths: tuple[Width | None, Width | None]
    tilt: str | None
    detectable: str
    pairwise: Quantity | None
    reading: str
    panels: list[Panel]
    profile: LinePlot | None
    quality: list[tuple[str, str]]


@dataclass(frozen=True)
class JointView:
    name: str
    label: str
    hand: str  # empty where there is one hand only
    full_name: str
    anchor: str
    films: list[Panel]
    pairs: list[PairView]
    over_visits: LinePlot | None


def describe_joints(result: HandResult) -> list[JointView]:
    """The sections hand by hand, from proximal to distal. Every map is read once and drawn into all joints on it."""
    films = [result.film(visit) for visit in range(len(result.visits))]
    size = picture_size(len(result.visit_pairs()))
    panels: dict[tuple[int, int, int], list[Panel]] = {}
    for i, j in result.visit_pairs():
        maps = {name: result.image(f"{name}_{i}_{j}.nrrd") for name in ("before", "after", "loss_before", "loss_after")}
        for number, joint in enumerate(result.joints):
            pair = pair_of(joint, i, j)
            if pair is not None:
                panels[number, i, j] = pair_panels(result, joint, pair, films, maps, size)
    ordered = sorted(enumerate(result.joints), key=lambda entry: place_in_table(result, entry[1]))
    return [
        JointView(
            joint["name"],
            result.label(joint),
            result.hand_of(joint),
            full_name(joint["name"]),
            f"joint-{number}",
            [film_panel(result, joint, visit, films, size) for visit in range(len(films))],
            [
                describe_pair(result, joint, pair_of(joint, i, j), panels[number, i, j])
                for i, j in result.visit_pairs()
                if (number, i, j) in panels
            ],
            over_visits_plot(result, joint),
        )
        for number, joint in ordered
    ]


def place_in_table(result: HandResult, joint: dict) -> tuple[str, int, str]:
    """Sorting key of a joint: left before right hand, proximal to distal, from the thumb to the little finger."""
    return result.hand_of(joint), *place_in_hand(joint["name"])


def picture_size(pairs: int) -> int:
    """Pixels along a picture: fewer where there are many pairs, so that the page stays small."""
    return 360 if pairs <= 1 else 300 if pairs <= 3 else 240


def full_name(name: str) -> str:
    kind, finger = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    return f"{KINDS[kind]}, {FINGERS[finger]}" if kind in KINDS and finger in FINGERS else ""


def pair_of(joint: dict, i: int, j: int) -> dict | None:
    return next((p for p in joint["pairs"] if (p["from_visit"], p["to_visit"]) == (i, j)), None)


def frame_at(result: HandResult, joint: dict, visit: int) -> JointFrame | None:
    """Window on a joint in one film: the frame it was measured in, else the place where it was found, else None.

    A later film takes the frame of the first one through the motions, so that all films show the same piece.
    """
    for pair in joint["pairs"]:
        if pair.get("origin_px") and pair.get("upper_motion") and pair["to_visit"] == visit:
            return pair_frame(result, joint, pair).carried(pair["upper_motion"], pair["lower_motion"])
    for pair in joint["pairs"]:
        if pair.get("origin_px") and pair["from_visit"] == visit:
            return pair_frame(result, joint, pair)
    place = joint["visits"][visit]
    if not place.get("position_px") or not place.get("axis"):
        return None
    return JointFrame(tuple(place["position_px"]), tuple(place["axis"]), side_px(result, joint, visit))


def pair_frame(result: HandResult, joint: dict, pair: dict) -> JointFrame:
    visit = pair["from_visit"]
    return JointFrame(tuple(pair["origin_px"]), tuple(pair["axis"]), side_px(result, joint, visit))


def side_px(result: HandResult, joint: dict, visit: int) -> float:
    about = result.visits[visit]
    return window_side_px(joint, visit, about.get("spacing_mm"), about["shape"])


def film_panel(result: HandResult, joint: dict, visit: int, films: Sequence, size: int) -> Panel:
    caption = visit_name(result.visits, visit)
    frame = frame_at(result, joint, visit)
    if frame is None or films[visit] is None:
        return Panel(caption, None, "", joint["visits"][visit].get("reason") or "Not found in this film.")
    values = sample(films[visit], frame.film_points(size))
    spacing = result.visits[visit].get("spacing_mm")
    bar, words = (5 / spacing, "5 mm") if spacing else (20.0, "20 px")
    return Panel(
        caption,
        jpeg(grey(values, grey_range(values))),
        f"{result.label(joint)} in the film of {caption}, finger pointing up",
        bar_percent=100 * bar / frame.side_px,
        bar_words=words,
        centre_marks=True,
    )


def pair_panels(result: HandResult, joint: dict, pair: dict, films: Sequence, maps: dict, size: int) -> list[Panel]:
    """Fusion before and after, loss before and after; nothing where the joint lies on none of the maps."""
    i = pair["from_visit"]
    frame = pair_frame(result, joint, pair) if pair.get("origin_px") else frame_at(result, joint, i)
    if frame is None or films[i] is None:
        return []
    points = frame.film_points(size)
    from_values = sample(films[i], points)
    outlines = [
        " ".join(f"{x:.1f},{y:.1f}" for x, y in frame.percent(joint["visits"][i][bone]))
        for bone in ("upper", "lower")
        if joint["visits"][i].get(bone)
    ]
    panels = []
    fused = {when: sample(maps[when], points) for when in ("before", "after") if maps[when] is not None}
    fused = {when: warped for when, warped in fused.items() if np.isfinite(warped).any()}
    if fused:  # both films are stretched over the same piece of bone, so that exposure leaves no tint
        best = fused.get("after", fused.get("before"))
        from_grey = grey(from_values, grey_range(np.where(np.isfinite(best), from_values, np.nan)))
        to_range = grey_range(best)
    for when, warped in fused.items():
        picture = jpeg(fusion(from_grey, warped, to_range))
        panels.append(
            Panel(f"Films in one, {when}", picture, f"{result.label(joint)}: red-cyan fusion {when} registration")
        )
    film_grey = grey(from_values, grey_range(from_values))
    for when in ("before", "after"):
        loss = None if maps[f"loss_{when}"] is None else sample_loss(maps[f"loss_{when}"], points)
        if loss is None or not np.isfinite(loss).any():
            continue
        panels.append(
            Panel(
                f"Loss {when}",
                palette_png(loss_indices(loss, film_grey)),
                f"{result.label(joint)}: loss map {when} registration",
                outlines=outlines,
            )
        )
    return panels


def describe_pair(result: HandResult, joint: dict, pair: dict, panels: list[Panel]) -> PairView:
    i, j = pair["from_visit"], pair["to_visit"]
    measured = pair["verdict"] != "not_measurable"
    tilt = pair.get("tilt_deg") if measured else None
    return PairView(
        f"{visit_name(result.visits, i)} to {visit_name(result.visits, j)}",
        finding_of(pair),
        pair["verdict"].replace("_", " "),
        pair.get("reason") or "",
        change_of(pair),
        yearly_change_of(pair),
        (width_at(joint, i), width_at(joint, j)) if measured else (None, None),
        None if tilt is None else f"{signed(tilt, 1)}°",
        detectable_words(pair) if measured else "",
        pairwise_change(pair) if measured else None,
        pair.get("reading") or "",
        panels,
        profile_plot(pair, result.visits[i].get("spacing_mm")),
        quality_rows(pair.get("quality")) if measured else [],
    )


def pairwise_change(pair: dict) -> Quantity | None:
    """The estimate from these two films alone, where the result keeps it beside the joint one."""
    alone = pair.get("pairwise") or {}
    for unit in ("mm", "px"):
        value, se = alone.get(f"change_{unit}"), alone.get(f"se_{unit}")
        if value is not None:
            return Quantity(value, None if se is None else (value - 1.96 * se, value + 1.96 * se), unit)
    return None


def over_visits_plot(result: HandResult, joint: dict) -> LinePlot | None:
    """Change since the first visit, over the dates or the order of the visits; None for fewer than three points."""
    since_first = [(0, Quantity(0.0, None, ""))]
    for visit in range(1, len(result.visits)):
        pair = pair_of(joint, 0, visit)
        change = None if pair is None else change_of(pair)
        if change is not None:
            since_first.append((visit, change))
    units = {change.unit for _, change in since_first[1:]}
    if len(since_first) < 3 or len(units) != 1:
        return None
    unit = units.pop()
    changes = [Quantity(change.value, change.interval, unit) for _, change in since_first]
    years = [pair_years(joint, visit) for visit, _ in since_first]
    dated = all(year is not None for year in years)
    at = years if dated else [visit for visit, _ in since_first]
    ticks = [
        (place, plain(place, 1) if dated else str(visit + 1)) for place, (visit, _) in zip(at, since_first, strict=True)
    ]
    return line_plot(f"Change since visit 1, {unit}", "years since visit 1" if dated else "visit", at, changes, ticks)


def pair_years(joint: dict, visit: int) -> float | None:
    if visit == 0:
        return 0.0
    pair = pair_of(joint, 0, visit)
    return None if pair is None else pair.get("years")
