"""Left or right, from the order of the fingers on a posteroanterior film."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from JSNRegistrationLib.joints import Joint

CLEAR = 0.5  # share of the evidence that must agree


def side_of(joints: Sequence[Joint]) -> str | None:
    """The side of the hand that shows these joints; None where fewer than two fingers tell, or they disagree.

    Assumes a posteroanterior film shown as if looked at from the back of the hand (the convention of hand films): with
    the fingers upwards, the thumb of a left hand is then on the right. A mirrored or anteroposterior film gets the
    wrong side.
    """
    signs = []
    for row in ("MCP", "PIP", "DIP"):
        fingers = sorted((int(j.name[-1]), j) for j in joints if j.name[:-1] == row)
        for (_, radial), (_, ulnar) in combinations(fingers, 2):
            along = np.add(radial.axis, ulnar.axis)
            to_thumb = np.subtract(radial.position_px, ulnar.position_px)
            turn = along[0] * to_thumb[1] - along[1] * to_thumb[0]
            signs.append(turn / max(np.hypot(*along) * np.hypot(*to_thumb), 1e-9))
    if not signs or abs(np.sum(signs)) < CLEAR * np.sum(np.abs(signs)):
        return None
    return "left" if np.sum(signs) > 0 else "right"
