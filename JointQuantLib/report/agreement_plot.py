"""The Bland-Altman plot of two methods on the same patches, as coordinates; lengths are in SVG user units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from .plots import decimals_of
from .wording import plain

WIDTH, HEIGHT = 430.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 340.0, 14.0, 226.0


@dataclass(frozen=True)
class Line:
    """A level across the plot, with its words at the right; `low` and `high` are the ends of its interval."""

    y: float
    low: float
    high: float
    words: str


@dataclass(frozen=True)
class AgreementPlot:
    """Points at the mean of both methods and their difference, and three lines: bias and limits of agreement."""

    title: str
    x_label: str
    y_label: str
    points: list[tuple[float, float, str]]  # x, y, colour
    lines: list[Line]
    zero: float | None
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM


def agreement_plot(
    title: str, comparison: dict, first: Sequence[float], second: Sequence[float], colours: Sequence[str]
) -> AgreementPlot:
    """First minus second over their mean.

    :param comparison: bias, limits and their intervals, as result.json has them.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    mean, difference = (first + second) / 2, first - second
    low, high = comparison["limits"]
    x_steps = MaxNLocator(5).tick_values(mean.min(), mean.max())
    y_steps = MaxNLocator(6).tick_values(min(difference.min(), low, 0.0), max(difference.max(), high, 0.0))

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - x_steps[0]) / (x_steps[-1] - x_steps[0])

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - y_steps[0]) / (y_steps[-1] - y_steps[0])

    levels = (
        ("mean + 1.96 SD", high, comparison["upper_limit_interval"]),
        ("mean", comparison["bias"], comparison["bias_interval"]),
        ("mean − 1.96 SD", low, comparison["lower_limit_interval"]),
    )
    return AgreementPlot(
        title,
        "mean of CT and MR",
        "CT minus MR",
        [(x(a), y(b), colour) for a, b, colour in zip(mean, difference, colours, strict=True)],
        [Line(y(value), y(ends[0]), y(ends[1]), f"{words}  {_signed(value)}") for words, value, ends in levels],
        y(0.0),
        [(x(step), plain(step, decimals_of(x_steps))) for step in x_steps],
        [(y(step), plain(step, decimals_of(y_steps))) for step in y_steps],
    )


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + plain(value, 3)
