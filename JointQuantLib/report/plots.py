"""Small plots as coordinates, drawn as inline SVG by `figures.svg.jinja`. Lengths are in SVG user units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from .wording import Finding, Quantity, plain, signed


@dataclass(frozen=True)
class ForestBar:
    """One joint in the forest plot: a dot and its interval, cut where it leaves the scale."""

    x: float
    low: float
    high: float
    cut_left: bool
    cut_right: bool
    finding: Finding
    label: str


@dataclass(frozen=True)
class ForestScale:
    """The horizontal scale that all rows of the table share."""

    low: float
    high: float
    unit: str
    width: float = 190.0
    margin: float = 8.0

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.margin + (self.width - 2 * self.margin) * min(max(share, 0.0), 1.0)

    @property
    def zero(self) -> float:
        return self.x(0.0)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        inside = [t for t in MaxNLocator(4).tick_values(self.low, self.high) if self.low <= t <= self.high]
        return [(self.x(tick), signed(tick, decimals_of(inside))) for tick in inside]

    def bar(self, change: Quantity, finding: Finding) -> ForestBar:
        low, high = change.interval or (change.value, change.value)
        return ForestBar(
            self.x(change.value),
            self.x(low),
            self.x(high),
            low < self.low,
            high > self.high,
            finding,
            f"{change.number} {change.unit}" + (f" ({change.range})" if change.range else ""),
        )


def forest_scale(changes: Sequence[tuple[Quantity, Finding]], unit: str) -> ForestScale:
    """A scale that holds zero and every trusted interval; wide doubtful intervals do not stretch it."""
    trusted = [change for change, finding in changes if finding is not Finding.DOUBTFUL and change.unit == unit]
    others = [change.value for change, _ in changes if change.unit == unit]
    ends = [bound for change in trusted for bound in (change.interval or (change.value,))]
    least = 0.15 if unit == "mm" else 1.0
    low, high = min(ends + others + [-least]), max(ends + others + [least])
    space = 0.04 * (high - low)
    return ForestScale(low - space, high + space, unit)


@dataclass(frozen=True)
class PlotPoint:
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LinePlot:
    """A line through points over a zero line, with the labels of both axes; ticks are (place, text)."""

    title: str
    x_label: str
    points: list[PlotPoint]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    zero: float
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    @property
    def path(self) -> str:
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def line_plot(
    title: str,
    x_label: str,
    at: Sequence[float],
    changes: Sequence[Quantity],
    x_ticks: Sequence[tuple[float, str]],
    span: tuple[float, float] | None = None,
    size: tuple[float, float] = (300.0, 190.0),
) -> LinePlot:
    """Changes over `at`, which runs over `span`; the vertical axis holds zero and spans no less than 0.2 mm or 1 px."""
    width, height = size
    left, right, top, bottom = 46.0, width - 14.0, 26.0, height - 36.0
    bounds = [bound for change in changes for bound in (change.interval or (change.value,))]
    least = 0.1 if changes[0].unit == "mm" else 0.5
    steps = MaxNLocator(4).tick_values(min(*bounds, -least), max(*bounds, least))
    low, high = float(steps[0]), float(steps[-1])
    first, last = span or (min(at), max(at))

    def x(value: float) -> float:
        inset = 14.0
        return left + inset + (right - left - 2 * inset) * (value - first) / ((last - first) or 1.0)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    points = [
        PlotPoint(x(place), y(change.value), *(map(y, change.interval) if change.interval else ()))
        for place, change in zip(at, changes, strict=True)
    ]
    return LinePlot(
        title,
        x_label,
        points,
        [(x(place), text) for place, text in x_ticks],
        [(y(step), signed(step, decimals_of(steps))) for step in steps],
        y(0.0),
        width,
        height,
        left,
        right,
        top,
        bottom,
    )


def profile_plot(pair: dict, spacing_mm: float | None) -> LinePlot | None:
    """Change of the joint space at the points across the joint, in the order that the result gives them.

    A point without a number is left out; None for fewer than two points.
    """
    unit = "mm" if pair.get("profile_mm") else "px"
    values = pair.get(f"profile_{unit}") or []
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if pair["verdict"] == "not_measurable" or len(known) < 2:
        return None
    first, _, last = (pair.get("profile_order") or "first to last").partition(" to ")
    gap = point_gap(pair, unit, spacing_mm)
    return line_plot(
        f"Change across the joint, {unit}",
        "point across the joint" + (f" ({plain(gap, 1)} {unit} apart)" if gap else ""),
        [place for place, _ in known],
        [Quantity(value, None, unit) for _, value in known],
        [(0, first.removeprefix("image ")), (len(values) // 2, "centre"), (len(values) - 1, last)],
        span=(0, len(values) - 1),
    )


def point_gap(pair: dict, unit: str, spacing_mm: float | None) -> float | None:
    """Distance of neighbouring profile points in the unit of the profile; None where the result does not say it."""
    offsets = pair.get("profile_offsets_px")
    if not offsets or len(offsets) < 2:
        return None
    return float(np.mean(np.abs(np.diff(offsets)))) * (spacing_mm if unit == "mm" and spacing_mm else 1.0)


def decimals_of(ticks: Sequence[float]) -> int:
    """The fewest decimals that write every tick exactly."""
    return next((d for d in range(4) if all(abs(round(tick, d) - tick) < 1e-9 for tick in ticks)), 4)
