"""Which of the peaks that the network sees make a hand: those that lie to each other as joints of a hand do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from JSNRegistrationLib.usual_hand import USUAL_PLACES_MM

# How far joints lie from where the usual hand has them once it is laid over the film, mm of a hand of usual size:
# fingers are spread, bent and drawn together, the thumb goes its own way.
SPREAD_MM = {"MCP": 7.0, "PIP": 11.0, "DIP": 16.0, "MCP1": 14.0, "IP1": 22.0}
FARTHEST = 3.0  # spreads: what lies farther off is another joint, or none
NEAREST_MM = 7.0  # two joints of a hand are farther apart
ROUNDS = 6


@dataclass(frozen=True)
class Candidate:
    """A place (x, y) where a joint may be, and how likely it is that one (0 ... 1)."""

    place: np.ndarray
    heat: float


def fitting(candidates: Mapping[str, Sequence[Candidate]]) -> dict[str, int]:
    """For each joint the number of the candidate that fits the hand best; joints without a fitting one are left out.

    So are a joint at the place of a likelier one, and a DIP joint whose PIP joint is left out.

    The usual hand, as it is and mirrored, is laid over the likeliest candidates by a similarity; then each joint takes
    the candidate that is likely and near, and the hand is laid over these, again and again. With fewer than three
    joints there is no hand to be laid over: the likeliest are taken as they are.
    """
    chosen = {name: int(np.argmax([c.heat for c in own])) for name, own in candidates.items() if own}
    if len(chosen) < 3:
        return chosen
    readings = [_settled(candidates, chosen, mirror) for mirror in (1.0, -1.0)]
    return _apart(candidates, *max(readings, key=lambda reading: reading[2])[:2])


def _apart(candidates, chosen: dict[str, int], scale: float) -> dict[str, int]:
    """Of joints at one and the same place (a joint that is off the film is seen at its neighbour) the likeliest."""
    kept: dict[str, int] = {}
    for name in sorted(chosen, key=lambda name: -candidates[name][chosen[name]].heat):
        place = candidates[name][chosen[name]].place
        if all(np.hypot(*(place - candidates[other][k].place)) > NEAREST_MM * scale for other, k in kept.items()):
            kept[name] = chosen[name]
    # Where the end of a finger is cut off, its last joint is taken for a DIP joint.
    return {name: k for name, k in kept.items() if name[:-1] != "DIP" or f"PIP{name[-1]}" in kept}


def _settled(candidates, chosen: dict[str, int], mirror: float) -> tuple[dict[str, int], float, float]:
    """The choice for one of the two mirror images, its pixels a millimetre, and how good it is."""
    trust = {name: candidates[name][k].heat for name, k in chosen.items()}
    scale, worth = 0.0, 0.0
    for _ in range(ROUNDS):
        laid = _laid_over({name: candidates[name][k].place for name, k in chosen.items()}, trust, mirror)
        if laid is None:
            break
        places, scale = laid
        trust, chosen, worth = {}, {}, 0.0
        for name, own in candidates.items():
            off = [np.hypot(*(c.place - places[name])) / scale / _spread(name) for c in own]
            values = [c.heat * np.exp(-0.5 * d**2) for c, d in zip(own, off, strict=True)]
            best = int(np.argmax(values)) if values else 0
            if values and off[best] < FARTHEST:
                chosen[name] = best
                # One that lies astray must not draw the hand to itself.
                trust[name] = own[best].heat / (1 + off[best] ** 2)
                worth += values[best]
        if len(chosen) < 3:
            break
    return chosen, scale, worth


def _laid_over(places, trust, mirror: float) -> tuple[dict[str, np.ndarray], float] | None:
    """Where the usual hand, laid over these places, has all its joints, and its pixels a millimetre."""
    names = list(places)
    usual = np.array([complex(mirror * USUAL_PLACES_MM[name][0], USUAL_PLACES_MM[name][1]) for name in names])
    seen = np.array([complex(*places[name]) for name in names])
    weight = np.array([trust[name] / _spread(name) ** 2 for name in names])
    if weight.sum() <= 0:
        return None
    weight = weight / weight.sum()
    middle, there = weight @ usual, weight @ seen
    away = usual - middle
    size = weight @ np.abs(away) ** 2
    turn = (weight * away.conj()) @ (seen - there) / size if size > 0 else 0.0
    if abs(turn) < 1e-6:
        return None
    laid = {name: turn * (complex(mirror * x, y) - middle) + there for name, (x, y) in USUAL_PLACES_MM.items()}
    return {name: np.array([z.real, z.imag]) for name, z in laid.items()}, float(abs(turn))


def _spread(name: str) -> float:
    return SPREAD_MM.get(name) or SPREAD_MM[name[:-1]]
