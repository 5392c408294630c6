"""What is seen at one glance: the hand with its joints marked, the table of all joints, the findings in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import place_labels
from .pictures import grey, jpeg, resized
from .plots import ForestBar, ForestScale, forest_scale
from .results import HandResult
from .sections import full_name, pair_of, place_in_table
from .wording import Finding, Quantity, Width, change_of, finding_of, mean_change_of, plain, width_at, yearly_change_of

LEAST_JOINTS = 3  # of a hand, for a line about their mean


@dataclass(frozen=True)
class TableRow:
    name: str
    label: str
    hand: str  # empty where there is one hand only
    full_name: str
    anchor: str
    starts_group: bool
    finding: Finding
    verdict: str
    reason: str
    change: Quantity | None
    yearly: Quantity | None
    widths: tuple[Width | None, Width | None]
    bar: ForestBar | None


@dataclass(frozen=True)
class HandMean:
    """The mean change of the measured joints of one hand; without a `change` they are too few. `spread` is how much
    the joints differ beyond their errors, as "0.12 mm", empty where they do not."""

    hand: str  # empty where there is one hand only
    joints: int
    change: Quantity | None
    yearly: Quantity | None
    spread: str


@dataclass(frozen=True)
class Overview:
    """The table over the longest way between visits; `unit` is None where its lengths are not all in the same one."""

    from_visit: int
    to_visit: int
    rows: list[TableRow]
    means: list[HandMean]
    unit: str | None
    scale: ForestScale
    has_years: bool

    def rows_with(self, finding: Finding) -> list[TableRow]:
        return [row for row in self.rows if row.finding is finding]


@dataclass(frozen=True)
class Marker:
    """A joint on the hand picture, in its pixels: the middle of its ring and the left end of its label."""

    x: float
    y: float
    label_x: float
    label_y: float
    label: str
    anchor: str
    finding: Finding


@dataclass(frozen=True)
class HandPicture:
    address: str
    width: int
    height: int
    radius: float
    font: float
    markers: list[Marker]


def describe_overview(result: HandResult) -> Overview | None:
    """The table of all joints; None where the job compared no visits."""
    pairs = result.visit_pairs()
    if not pairs:
        return None
    i, j = pairs[0]
    entries = []
    for number, joint in enumerate(result.joints):
        pair = pair_of(joint, i, j)
        if pair is not None:
            entries.append((number, joint, pair))
    changes = [(change_of(pair), finding_of(pair)) for _, _, pair in entries if change_of(pair) is not None]
    units = {change.unit for change, _ in changes}
    scale = forest_scale(changes, "mm" if "mm" in units or not units else "px")
    rows: list[TableRow] = []
    last_row = None
    for number, joint, pair in sorted(entries, key=lambda entry: place_in_table(result, entry[1])):
        change, finding = change_of(pair), finding_of(pair)
        measured = change is not None
        hand_row = place_in_table(result, joint)[:2]
        rows.append(
            TableRow(
                joint["name"],
                result.label(joint),
                result.hand_of(joint),
                full_name(joint["name"]),
                f"joint-{number}",
                last_row not in (None, hand_row),
                finding,
                pair["verdict"].replace("_", " "),
                pair.get("reason") or "",
                change,
                yearly_change_of(pair),
                (width_at(joint, i), width_at(joint, j)) if measured else (None, None),
                scale.bar(change, finding) if measured and change.unit == scale.unit else None,
            )
        )
        last_row = hand_row
    units |= {width.unit for row in rows for width in row.widths if width is not None}
    unit = None if len(units) > 1 else next(iter(units), "mm" if result.visits[i].get("spacing_mm") else "px")
    return Overview(i, j, rows, means_of_hands(result, i, j), unit, scale, any(row.yearly for row in rows))


def means_of_hands(result: HandResult, i: int, j: int) -> list[HandMean]:
    """The mean change of each hand between two visits; nothing about hands of one or two joints."""
    means = []
    for hand in result.content.get("hands") or []:
        pair = pair_of(hand, i, j)
        shown = [joint for joint in result.joints if joint.get("side") == hand["side"]]
        if pair is None or len(shown) < LEAST_JOINTS:
            continue
        change = mean_change_of(pair)
        between = change and pair[f"between_joints_sd_{change.unit}"]
        means.append(
            HandMean(
                result.hand_of(hand),
                len(pair["joints"]),
                change,
                yearly_change_of(pair),
                f"{plain(between)} {change.unit}" if between and float(plain(between)) else "",
            )
        )
    return means


def draw_hand(result: HandResult, overview: Overview | None, height: int = 1000) -> HandPicture | None:
    """The film of the first compared visit, cut to the joints with a margin, every joint marked with its finding."""
    visit = overview.from_visit if overview else 0
    film = result.film(visit)
    if film is None:
        return None
    places = {
        f"joint-{number}": joint["visits"][visit]["position_px"]
        for number, joint in enumerate(result.joints)
        if joint["visits"][visit].get("position_px")
    }
    left, top, right, bottom = cut_around(list(places.values()), film.shape)
    piece = film[top:bottom, left:right]
    low, high = result.visits[visit].get("display_range") or (float(piece.min()), float(piece.max()))
    scale = height / piece.shape[0]
    width = max(1, round(piece.shape[1] * scale))
    rows = {row.anchor: row for row in (overview.rows if overview else []) if row.anchor in places}
    marks = [((places[a][0] - left + 0.5) * scale, (places[a][1] - top + 0.5) * scale) for a in rows]
    texts = [f"{row.hand[:1].upper()} {row.name} {row.finding.symbol}".lstrip() for row in rows.values()]
    radius, font = 0.022 * height, 0.03 * height
    corners = place_labels(marks, texts, radius, font, (width, height))
    markers = [
        Marker(*mark, *corner, text, row.anchor, row.finding)
        for mark, corner, text, row in zip(marks, corners, texts, rows.values(), strict=True)
    ]
    return HandPicture(jpeg(resized(grey(piece, (low, high)), (width, height))), width, height, radius, font, markers)


def cut_around(places: list, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the piece that holds all places and a margin; the whole film for a single joint."""
    rows, columns = shape
    if len(places) < 3:
        return 0, 0, columns, rows
    points = np.asarray(places, float)
    margin = np.maximum(np.array([0.14, 0.30]) * np.ptp(points, axis=0).max(), 40.0)  # fingertips and wrist
    left, top = np.maximum(points.min(axis=0) - margin, 0).astype(int)
    right, bottom = np.minimum(points.max(axis=0) + margin + 1, (columns, rows)).astype(int)
    return int(left), int(top), int(right), int(bottom)
