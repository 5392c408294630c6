"""From the network's maps of a film to hands: peaks, each given to the palm that it votes for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from JSNRegistrationLib.joint_finding.hand_shape import Candidate, fitting
from JSNRegistrationLib.joint_finding.network_maps import (
    AXIS,
    CELL_PX,
    HEAT,
    JOINTS,
    OFFSET,
    PALM,
    VIEW,
    VOTE,
    VOTE_UNIT,
    WIDTH,
)
from JSNRegistrationLib.joints import JOINT_NAMES

LEAST_JOINT = 0.15  # heat of a peak that is looked at
LEAST_SURE = 0.35  # heat of a joint that is reported: half covered ones reach 0.3, those of real films 0.42 and more
LEAST_PALM = 0.3
PALMS_APART_CELLS = 9
MOST_HANDS = 2
VOTE_SPREAD = 0.45  # of the usual distance from a joint to its palm: as far a vote may well miss the palm
MOST_MISSED = 2.0  # of that: a peak that misses all palms by more is of no hand


@dataclass(frozen=True)
class Peak:
    """A joint that the network sees; picture pixels (x, y), centres at integers."""

    joint: int
    place: np.ndarray
    axis: np.ndarray
    width: float
    palm: np.ndarray  # where it sees the palm of its hand
    heat: float


@dataclass(frozen=True)
class SeenHand:
    """Peaks of one hand by joint, the palm's place in the picture, and how likely the view is oblique (0 ... 1)."""

    peaks: dict[str, Peak]
    palm: np.ndarray
    heat: float
    oblique: float


def hands_of(maps: np.ndarray) -> list[SeenHand]:
    """The hands in the maps (CHANNELS, rows, columns) of one picture, the clearest first."""
    heat = special.expit(maps[: JOINTS + 1].astype(np.float64))
    peaks = [peak for joint in range(HEAT.start, HEAT.stop) for peak in _peaks(maps, heat[joint], joint)]
    palms = _palms(heat[PALM])
    if not peaks or not palms:
        return []
    reach = max(float(np.median([np.hypot(*(peak.palm - peak.place)) for peak in peaks])), 4.0 * CELL_PX)
    hands: list[dict[str, list[Peak]]] = [{} for _ in palms]
    for peak in peaks:
        misses = [np.hypot(*(peak.palm - place)) / (VOTE_SPREAD * reach) for place, _ in palms]
        own = int(np.argmin(misses))
        if misses[own] < MOST_MISSED:
            hands[own].setdefault(JOINT_NAMES[peak.joint], []).append(peak)
    seen = (
        SeenHand(_fitting(found), place, float(height), _oblique(maps, place))
        for found, (place, height) in zip(hands, palms, strict=True)
    )
    return [hand for hand in seen if hand.peaks]


def _fitting(found: dict[str, list[Peak]]) -> dict[str, Peak]:
    """One peak a joint: those that make a hand together."""
    candidates = {name: [Candidate(peak.place, peak.heat) for peak in peaks] for name, peaks in found.items()}
    chosen = {name: found[name][number] for name, number in fitting(candidates).items()}
    return {name: peak for name, peak in chosen.items() if peak.heat >= LEAST_SURE}


def _peaks(maps: np.ndarray, heat: np.ndarray, joint: int) -> list[Peak]:
    top = (heat == ndimage.maximum_filter(heat, 5)) & (heat > LEAST_JOINT)
    found = []
    for row, column in zip(*np.nonzero(top), strict=True):
        window = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
        weight = heat[window] / heat[window].sum()

        def mean(channel: int | slice, window=window, weight=weight) -> np.ndarray:
            return (maps[channel][..., *window] * weight).sum(axis=(-2, -1))

        y, x = np.indices(weight.shape)
        cells = np.array([(x * weight).sum() + window[1].start, (y * weight).sum() + window[0].start]) + 0.5
        place = (cells + mean(OFFSET)) * CELL_PX - 0.5
        axis = mean(AXIS)
        axis = axis / max(np.hypot(*axis), 1e-6)
        width = float(np.exp(mean(WIDTH)) * CELL_PX)
        palm = place + mean(VOTE) * VOTE_UNIT * CELL_PX
        found.append(Peak(joint, place, axis, width, palm, float(heat[row, column])))
    return found


def _palms(heat: np.ndarray) -> list[tuple[np.ndarray, float]]:
    top = (heat == ndimage.maximum_filter(heat, 2 * PALMS_APART_CELLS + 1)) & (heat > LEAST_PALM)
    rows, columns = np.nonzero(top)
    order = np.argsort(-heat[rows, columns])[:MOST_HANDS]
    return [
        (np.array([columns[k] + 0.5, rows[k] + 0.5]) * CELL_PX - 0.5, float(heat[rows[k], columns[k]])) for k in order
    ]


def _oblique(maps: np.ndarray, palm: np.ndarray) -> float:
    column, row = np.clip(np.round((palm + 0.5) / CELL_PX - 0.5).astype(int), 1, np.array(maps.shape[:0:-1]) - 2)
    return float(special.expit(maps[VIEW, row - 1 : row + 2, column - 1 : column + 2].mean()))
