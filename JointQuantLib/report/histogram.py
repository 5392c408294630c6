"""The distribution of a map as bars, drawn as inline SVG by `morphometry.svg.jinja`. Lengths are in SVG user units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from JointQuantLib.even_colors import mixed

from .plots import decimals_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520.0, 220.0, 46.0, 506.0, 30.0, 178.0
MOST_BARS = 40
ROUND_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    y: float
    colour: str
    words: str


@dataclass(frozen=True)
class Histogram:
    """Bars of the share of voxels over their value in mm; `mean_x` marks the mean."""

    bars: list[Bar]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    mean_x: float
    mean_words: str
    mean_anchor: str  # of its words: they stay within the picture
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM


def shares_of(values_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """Percent of the values above 0 in bins whose middles are 0, 1, 2 ... times `width_mm`."""
    bins = int(round(float(values_mm.max(initial=0.0)) / width_mm)) + 1
    ends = (-0.5 * width_mm, (bins - 0.5) * width_mm)
    counts = sum(np.histogram(plane[plane > 0], bins, ends)[0] for plane in values_mm)  # plane by plane, to save memory
    return 100 * counts / max(int(counts.sum()), 1)


def draw_histogram(
    values_mm: np.ndarray, mean_mm: float | None, voxel_mm: float, ramp: np.ndarray, top_mm: float, name: str
) -> Histogram | None:
    """The histogram of a map [k, j, i], each bar in the colour that its value has in the slices.

    None where the map holds no value. The bars are as wide as half of `voxel_mm`, the shortest side of a voxel, or a
    multiple of it: a diameter of digital spheres cannot be told more finely.
    """
    largest = float(values_mm.max(initial=0.0))
    if not largest > 0:
        return None
    half = voxel_mm / 2
    width_mm = half * max(1, int(np.ceil(largest / half / MOST_BARS)))
    shares = shares_of(values_mm, width_mm)
    end = width_mm * len(shares)

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(max(value / end, 0.0), 1.0)

    y_steps = [tick for tick in MaxNLocator(4, steps=ROUND_STEPS).tick_values(0.0, float(shares.max())) if tick >= 0]

    def y(share: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * share / y_steps[-1]

    x_steps = [tick for tick in MaxNLocator(7, steps=ROUND_STEPS).tick_values(0.0, end) if 0 <= tick <= end]
    colours = np.round(255 * mixed(ramp, np.clip(np.arange(len(shares)) * width_mm / top_mm, 0, 1))).astype(int)
    bars = [
        Bar(
            x((n - 0.5) * width_mm) + 0.5,
            max(x((n + 0.5) * width_mm) - x((n - 0.5) * width_mm) - 1.0, 0.5),
            y(share),
            "#{:02x}{:02x}{:02x}".format(*colours[n]),
            f"{n * width_mm:.4g} mm: {share:.1f} %",
        )
        for n, share in enumerate(shares)
        if share > 0
    ]
    mean_x = x(mean_mm) if mean_mm is not None else LEFT
    return Histogram(
        bars,
        [(x(tick), f"{tick:.{decimals_of(x_steps)}f}") for tick in x_steps],
        [(y(tick), f"{tick:.{decimals_of(y_steps)}f}") for tick in y_steps],
        mean_x,
        "" if mean_mm is None else f"mean {name} {mean_mm:.4g} mm",
        "start" if mean_x < (LEFT + RIGHT) / 2 else "end",
    )
