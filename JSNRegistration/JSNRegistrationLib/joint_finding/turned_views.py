"""One film shown to the network in sixteen ways, and its sixteen answers made one.

Turned by quarters, mirrored and inverted: the answer then does not depend on which of these the film itself was.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from JSNRegistrationLib.joint_finding.network_maps import AXIS, OFFSET, VOTE

VIEWS = tuple(product(range(4), (False, True), (False, True)))  # quarters, mirrored, inverted
VECTORS = (OFFSET, AXIS, VOTE)


def views_of(picture: np.ndarray) -> np.ndarray:
    """All views of a square picture in 0..1: (len(VIEWS), side, side)."""
    return np.stack([_turned(picture, *view) for view in VIEWS])


def _turned(picture: np.ndarray, quarters: int, mirrored: bool, inverted: bool) -> np.ndarray:
    picture = picture[:, ::-1] if mirrored else picture
    picture = np.rot90(picture, quarters)
    return 1.0 - picture if inverted else picture


def combined(answers: np.ndarray) -> np.ndarray:
    """The mean of the answers (len(VIEWS), CHANNELS, rows, columns), each turned back: (CHANNELS, rows, columns)."""
    back = [_back(answer, quarters, mirrored) for answer, (quarters, mirrored, _) in zip(answers, VIEWS, strict=True)]
    return np.mean(back, axis=0)


def _back(answer: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
    answer = np.rot90(answer, -quarters, axes=(1, 2)).copy()
    for channels in VECTORS:
        x, y = answer[channels]
        for _ in range(quarters):
            x, y = -y, x
        answer[channels] = x, y
    if mirrored:
        answer = answer[:, :, ::-1].copy()
        for channels in VECTORS:
            answer[channels.start] *= -1.0
    return answer
