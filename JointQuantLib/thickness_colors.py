"""The colours of the thickness and the separation map: the same in the report and in the slice views."""

from __future__ import annotations

import math

import numpy as np

from JointQuantLib.even_colors import even_ramp

STEPS = 16  # colours are mixed linearly between so many steps
TICKS = 6  # numbers on a colour bar, the ends included
ROUND_TOPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # times a power of ten; five equal parts are round too
FINE = 2000  # bins in which the values are counted
SHOWN_SHARE = 0.995  # of the voxels lies within the scale: a few large ones would take the contrast from all others


def tb_th_ramp(steps: int = STEPS) -> np.ndarray:
    """(steps + 1, 3) RGB colours, 0 to 1, for a trabecular thickness of 0 to the top: violet over green to yellow.

    Lightness rises evenly, so the order is seen without seeing the hue; none is so dark that it is taken for marrow.
    """
    fine = np.linspace(0.0, 1.0, 2001)
    chroma = np.interp(fine, [0.0, 0.2, 0.45, 0.7, 1.0], [0.16, 0.15, 0.10, 0.13, 0.17])  # what a screen can show
    return even_ramp(steps, 0.40 + 0.52 * fine, chroma, 290 - 185 * fine)


def tb_sp_ramp(steps: int = STEPS) -> np.ndarray:
    """The same for a separation: purple over red and orange to yellow, so that the two maps are told apart."""
    fine = np.linspace(0.0, 1.0, 2001)
    chroma = np.interp(fine, [0.0, 0.5, 0.8, 1.0], [0.17, 0.20, 0.14, 0.16])
    return even_ramp(steps, 0.40 + 0.53 * fine, chroma, 300 + 165 * fine)


def scale_top(values_mm: np.ndarray) -> float:
    """The round length in mm at which a colour scale that begins at 0 ends: 99.5 % of the values above 0 lie below it.

    1.0 where no value is above 0. The map is read plane by plane: it may be as large as the memory.
    """
    largest = float(values_mm.max(initial=0.0))
    if not largest > 0:
        return 1.0
    counts = sum(np.histogram(plane[plane > 0], FINE, (0.0, largest))[0] for plane in values_mm)
    below = np.searchsorted(np.cumsum(counts), SHOWN_SHARE * counts.sum())
    reached = largest * (1 + int(below)) / FINE
    unit = 10.0 ** math.floor(math.log10(reached))
    return next((top * unit for top in ROUND_TOPS if top * unit >= reached * (1 - 1e-6)), 10 * unit)
