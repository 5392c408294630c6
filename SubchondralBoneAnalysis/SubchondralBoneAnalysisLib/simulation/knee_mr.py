"""The MR of a whole simulated knee: the tissues of the CT with other values, water and fat apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from SubchondralBoneAnalysisLib.simulation.mr_scanner.acquisition import acquire
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.volume import Volume

if TYPE_CHECKING:
    from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee

# Tissues of the knee that have no signal of their own: parts of those that have, chosen for the look of real pictures.
MADE_OF = {
    "blood": {"muscle": 0.9, "fluid": 0.03},
    "synovium": {"muscle": 0.45, "fat": 0.45},
    "ligament": {"tendon": 0.75, "muscle": 0.2},
}
TRABECULA_MM = 0.2  # thickness that the widening by susceptibility is reckoned with
GRAIN = {"fat": 0.06, "muscle": 0.07}  # by how much of itself a tissue is brighter at one SD of its streaks


def mr_of_knee(knee: SimulatedKnee, grid: Volume, scan: MrScan, seed: int = 0) -> Volume:
    """The MR on a grid, magnitude float32; a signal of 1 is the brightest tissue but fluid.

    :param grid: its axes are those of the scan: k across the slices, j down the rows, i along the columns.
    :param seed: of the noise.
    """
    water, fat = water_and_fat(knee, grid, scan)
    return replace(grid, array=acquire(water, fat, scan, np.random.default_rng([seed, 6])))


def water_and_fat(knee: SimulatedKnee, grid: Volume, scan: MrScan) -> tuple[np.ndarray, np.ndarray]:
    """What the protons of water and of fat would give with endless sharpness, float32 [k, j, i] each."""
    values = knee_signals(scan.signals)
    signals = knee.soft_tissue_values(grid, scan, values, GRAIN).reshape(2, -1)
    cortex, marrow = np.array(values["cortex"], np.float32), np.array(values["marrow"], np.float32)
    change = np.zeros_like(signals)
    for bone in knee.shapes.bones:
        for flat, seen in knee.seen_bone(grid, scan, bone):
            # A trabecula is wider on both sides; a surface of the shell is moved by less than what can be seen.
            trabeculae = np.clip(seen.trabeculae * (1.0 + 2.0 * scan.broadening_mm / TRABECULA_MM), 0.0, seen.inner)
            for c in range(2):
                around = signals[c, flat]
                change[c, flat] += (cortex[c] - around) * (seen.outer - seen.inner) + (marrow[c] - around) * seen.inner
                change[c, flat] += (cortex[c] - marrow[c]) * trabeculae
    signals += change
    water, fat = np.maximum(signals, 0.0, out=signals).reshape(2, *grid.array.shape)
    return water, fat


def knee_signals(signals: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Signal of (water, fat) of every tissue of a knee, from those of a scan."""
    mixed = {
        name: tuple(sum(part * signals[one][c] for one, part in parts.items()) for c in range(2))
        for name, parts in MADE_OF.items()
    }
    return {**signals, **mixed}
