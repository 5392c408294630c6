"""The simulated pictures of single joints that the bone network learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JSNRegistrationLib.simulation.joint_cutout import simulate_joint_cutouts
from JSNRegistrationLib.training.simulated_set import Arrays, simulated_set

BATCH = 10  # hands in a file


@dataclass(frozen=True)
class JointPictureSet:
    """Pictures (n, 128, 128) uint8 and regions of the bones (n, 2, 128, 128) uint8, as in ``JointCutout``."""

    pixels: np.ndarray
    bones: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


def joint_picture_set(
    folder: Path, seed: int, hands: int, progress: Callable[[float], None] = lambda _: None
) -> JointPictureSet:
    """All joints of `hands` hands of a training seed."""
    return JointPictureSet(**simulated_set(folder, "joints", _arrays, seed, hands, BATCH, progress))


def _arrays(seed: int) -> Arrays:
    pictures = simulate_joint_cutouts(seed)
    return {"pixels": np.stack([p.pixels for p in pictures]), "bones": np.stack([p.bones for p in pictures])}
