"""Where the slices of a stack lie: their heights, how far each is shifted in its plane, and what is wrong with that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EVEN = 0.05  # of the step, by which a slice may lie off an even grid: positions are often written to 0.01 mm only
UPRIGHT = 0.1  # of a pixel, by which the slices may be shifted against each other
SAME_MM = 0.01  # closer slices lie at the same place
WIDER = 1.5  # times the steps around it: a step in which a slice is missing
AROUND = 3  # steps on either side


@dataclass(frozen=True, eq=False)
class SlicePositions:
    """Parallel slices, in the order of their heights.

    :param heights_mm: along the normal of the slices, from the first one.
    :param shifts_px: [slice, 2] of each slice against the first, in columns (along i) and rows (along j).
    """

    heights_mm: np.ndarray
    shifts_px: np.ndarray

    @property
    def steps_mm(self) -> np.ndarray:
        return np.diff(self.heights_mm)

    @property
    def step_mm(self) -> float:
        """The step of the even grid of as many slices."""
        return float(self.heights_mm[-1] / (len(self.heights_mm) - 1))

    @property
    def even(self) -> bool:
        """Whether the heights go on by the same step."""
        grid = np.arange(len(self.heights_mm)) * self.step_mm
        return bool((np.abs(self.heights_mm - grid) <= EVEN * self.step_mm).all())

    @property
    def upright(self) -> bool:
        """Whether the slices lie straight above one another."""
        return bool((np.abs(self.shifts_px) <= UPRIGHT).all())

    def tilt_deg(self, pixel_mm: Sequence[float]) -> float:
        """The angle between the stack and the normal of its slices, as of a tilted gantry; by least squares.

        :param pixel_mm: distance of rows and of columns.
        """
        across = self.shifts_px * np.array(pixel_mm)[::-1]
        slopes = self.heights_mm @ across / (self.heights_mm @ self.heights_mm)
        return math.degrees(math.atan(float(np.hypot(*slopes))))

    def doubled_after(self) -> list[int]:
        """The slices whose next one lies at the same place."""
        return np.flatnonzero(self.steps_mm < SAME_MM).tolist()

    def missing_after(self, numbers: Sequence[int | None] | None = None) -> list[int]:
        """The slices after which one or more are missing.

        A step is too wide beside the steps around it (a stack may go on by another step: that is no gap), or it is
        wider than the least one where the numbers of the slices leave some out.

        :param numbers: of the slices, as their files give them.
        """
        steps = self.steps_mm
        # The widths before and after the ends go on as they are there.
        around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, AROUND, mode="reflect"), 2 * AROUND + 1)
        gap = steps > WIDER * np.median(around, axis=1)
        if numbers is not None and None not in numbers and len(set(numbers)) == len(numbers):
            jumps = np.abs(np.diff(np.array(numbers)))
            gap |= (jumps >= 2 * jumps.min()) & (steps > WIDER * steps.min())
        return np.flatnonzero(gap).tolist()


def slice_positions(
    positions: np.ndarray, axes: Sequence[Sequence[float]], pixel_mm: Sequence[float], normal: np.ndarray | None = None
) -> SlicePositions:
    """Heights and shifts of slices.

    :param positions: [slice, 3] of their first pixels in mm, LPS, by ascending height.
    :param axes: unit vectors of i and j.
    :param pixel_mm: distance of rows and of columns.
    :param normal: the direction in which heights are counted; i x j unless given.
    """
    from_first = positions - positions[0]
    normal = np.cross(*axes) if normal is None else normal
    shifts = from_first @ np.array(axes).T / np.array(pixel_mm)[::-1]
    return SlicePositions(from_first @ normal, shifts)
