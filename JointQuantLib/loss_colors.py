"""The colours of the loss, 0 to 1: one scale for every map, in the report and in the slice views."""

from __future__ import annotations

import numpy as np

from JointQuantLib.even_colors import even_ramp, mixed

FULL_LOSS_MM = 1.0  # a loss of 1: the films differ as if the bone lay this far off itself, or farther
STEPS = 16  # colours are mixed linearly between so many steps


def loss_colors(loss: np.ndarray) -> np.ndarray:
    """RGB colours 0 to 1, shape (n, 3), of n losses between 0 (alike) and 1 (as if misplaced by ``FULL_LOSS_MM``)."""
    return mixed(loss_ramp(), loss)


def loss_ramp(steps: int = STEPS) -> np.ndarray:
    """(steps + 1, 3) RGB colours, 0 to 1, for a loss of 0 to 1: blue over purple and orange to yellow.

    Lightness rises evenly and neighbours are equally far apart in Oklab, so equal differences of loss look equal, with
    a red-green colour deficiency too.
    """
    fine = np.linspace(0.0, 1.0, 2001)
    chroma = 0.16 + 0.03 * np.cos(2 * np.pi * (fine - 0.3))  # stays within what a screen can show
    return even_ramp(steps, 0.42 + 0.50 * fine, chroma, 275 + 190 * fine)
