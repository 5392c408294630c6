"""Schematic maps of the articular surfaces: six sub-regions as cells that are coloured by a value, drawn as inline SVG.

They lie as in an axial slice of a CT: front at the top, the right of the body on the left. A map is of one bone, and
of one depth band or of the surface itself. Lengths are in SVG user units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from JointQuantLib.even_colors import mixed
from JointQuantLib.knee_colors import JOINT_SPACE_TOP_MM, joint_space_ramp

from .morphometry_page import colour_stops

WIDTH, HEIGHT = 240.0, 150.0
# The outlines with the lateral side on the right; a lateral plateau is rounder, a medial one longer.
OUTLINES = {
    "tibia": {
        "medial": "M110 16 C88 0 30 6 15 66 C7 118 44 152 84 146 C104 142 110 130 110 110 Z",
        "lateral": "M130 20 C152 4 210 10 224 66 C232 112 198 144 158 140 C138 138 130 126 130 106 Z",
    },
    "femur": {
        "medial": "M119 6 C70 0 30 16 24 58 C14 104 26 146 62 146 C96 146 104 112 104 76 C104 62 112 56 119 54 Z",
        "lateral": "M121 6C174 -6 218 12 220 58C226 104 216 146 180 146C146 146 136 112 136 76C136 62 128 56 121 54Z",
    },
}
# Where sub-regions end from front to back, and the middles of their words.
ROWS = {"tibia": (0.0, 53.0, 98.0, HEIGHT), "femur": (0.0, 54.0, 102.0, HEIGHT)}
WORDS_Y = {"tibia": (33.0, 72.0, 116.0), "femur": (31.0, 78.0, 121.0)}
WORDS_X = {"tibia": (64.0, 176.0), "femur": (65.0, 177.0)}
SUBREGIONS = ("anterior", "central", "posterior")
DARK_BELOW = 0.60  # of a colour's lightness: words on it are white


@dataclass(frozen=True)
class Cell:
    """One sub-region: its two lines of words at (x, y), the band of its outline that is filled, and a full sentence."""

    compartment: str
    top: float
    bottom: float
    x: float
    y: float
    colour: str | None  # None: nothing was measured
    dark: bool
    value: str
    note: str
    sentence: str


@dataclass(frozen=True)
class Schematic:
    """`mirrored`: the lateral side is on the left, as of a right knee."""

    bone: str
    title: str
    mirrored: bool
    cells: list[Cell]
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def marked(self) -> bool:
        """Whether a value has an asterisk, which must then be explained."""
        return any(cell.value.endswith("*") for cell in self.cells)

    @property
    def sides(self) -> tuple[str, str]:
        """The words at the left and at the right."""
        return ("lateral", "medial") if self.mirrored else ("medial", "lateral")


@dataclass(frozen=True)
class Scale:
    """A colour for a value from `low` to `high`; `ticks` in percent along the bar with their words."""

    name: str
    anchor: str
    ramp: np.ndarray
    low: float
    high: float
    ticks: list[tuple[float, str]]

    @property
    def stops(self) -> list[tuple[float, str]]:
        return colour_stops(self.ramp)

    def colour(self, value: float) -> np.ndarray:
        share = np.clip((value - self.low) / (self.high - self.low), 0, 1)
        return mixed(self.ramp, np.array([share]))[0]


def joint_space_scale(name: str, anchor: str) -> Scale:
    """The scale of all joint space widths, with a number every 2 mm."""
    return even_scale(name, anchor, joint_space_ramp(), JOINT_SPACE_TOP_MM, round(JOINT_SPACE_TOP_MM / 2))


def even_scale(name: str, anchor: str, ramp: np.ndarray, high: float, parts: int = 5, low: float = 0.0) -> Scale:
    """A scale with numbers at the ends of equal parts."""
    steps = np.linspace(low, high, parts + 1)
    return Scale(name, anchor, ramp, low, high, [(100 * n / parts, f"{step:.4g}") for n, step in enumerate(steps)])


def draw_schematic(
    bone: str,
    side: str,
    title: str,
    rows: list[dict],
    scale: Scale,
    value_of: Callable[[dict], float | None],
    words_of: Callable[[dict], tuple[str, str]],
    unit: str,
) -> Schematic:
    """The map of one bone from one row per sub-region; a sub-region without a row has an empty cell.

    :param value_of: of a row, what its colour tells; None where it was not measured.
    :param words_of: the two lines in its cell.
    """
    mirrored = side == "right"
    cells = []
    for column, compartment in enumerate(("medial", "lateral")):
        for place, subregion in enumerate(SUBREGIONS):
            row = next((r for r in rows if (r["compartment"], r["subregion"]) == (compartment, subregion)), None)
            value, note = ("", "") if row is None else words_of(row)
            number = None if row is None else value_of(row)
            colour = None if number is None else scale.colour(number)
            x = WORDS_X[bone][column]
            cells.append(
                Cell(
                    compartment,
                    ROWS[bone][place],
                    ROWS[bone][place + 1],
                    WIDTH - x if mirrored else x,
                    WORDS_Y[bone][place],
                    None if colour is None else "#{:02x}{:02x}{:02x}".format(*np.round(255 * colour).astype(int)),
                    colour is not None and lightness(colour) < DARK_BELOW,
                    value,
                    note,
                    f"{bone} {compartment} {subregion}, {title}: {value} {unit}" + (f", {note}" if note else ""),
                )
            )
    return Schematic(bone, title, mirrored, cells)


def lightness(colour: np.ndarray) -> float:
    """How light a colour looks, 0 to 1: the third root of its luminance (Rec. 709)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(np.cbrt(linear @ (0.2126, 0.7152, 0.0722)))
