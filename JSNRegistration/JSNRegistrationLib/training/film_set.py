"""The simulated hand films that the joint finder learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JSNRegistrationLib.joints import JOINT_NAMES
from JSNRegistrationLib.simulation.hand_film import LONG_SIDE_PX, simulate_hand_film
from JSNRegistrationLib.training.simulated_set import Arrays, simulated_set

BATCH = 100  # films in a file
MOST_HANDS = 2


@dataclass(frozen=True)
class FilmSet:
    """Films (n, 448, 448) uint8, filled up with 0 beyond shapes (n, 2: rows, columns); joints (n, hand, joint, 5) as in
    ``hand_film.FilmedHand`` (NaN where absent); oblique (n, hand) bool; hands (n) how many there are."""

    films: np.ndarray
    shapes: np.ndarray
    joints: np.ndarray
    oblique: np.ndarray
    hands: np.ndarray

    def __len__(self) -> int:
        return len(self.films)


def film_set(folder: Path, seed: int, count: int, progress: Callable[[float], None] = lambda _: None) -> FilmSet:
    """`count` films of a training seed; those that `folder` already holds are read, the others are simulated."""
    return FilmSet(**simulated_set(folder, "films", _arrays, seed, count, BATCH, progress))


def _arrays(seed: int) -> Arrays:
    film = simulate_hand_film(seed)
    rows, columns = (min(n, LONG_SIDE_PX) for n in film.pixels.shape)
    pixels = np.zeros((LONG_SIDE_PX, LONG_SIDE_PX), np.uint8)
    pixels[:rows, :columns] = film.pixels[:rows, :columns]
    joints = np.full((MOST_HANDS, len(JOINT_NAMES), 5), np.nan, np.float32)
    oblique = np.zeros(MOST_HANDS, bool)
    for index, hand in enumerate(film.hands):
        joints[index], oblique[index] = hand.joints, hand.oblique
    shape, hands = np.array([rows, columns]), np.int64(len(film.hands))
    return {
        "films": pixels[None],
        "shapes": shape[None],
        "joints": joints[None],
        "oblique": oblique[None],
        "hands": hands[None],
    }
