"""How far every bone of a hand has ossified at a bone age, in round figures of the usual atlases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .growing_bones import Growth

ADULT_YEARS = 18.0
# years at which the ossified epiphysis appears, is as wide as its shaft, and is fused
EPIPHYSES = {
    "metacarpal": (1.4, 8.0, 15.8),
    "proximal": (1.2, 7.0, 15.6),
    "middle": (1.6, 8.0, 15.6),
    "distal": (1.6, 8.5, 14.8),
}
# years at which a carpal bone appears and has its full share of the carpus
CARPAL_YEARS = {
    "capitate": (0.2, 10.0),
    "hamate": (0.3, 11.0),
    "triquetrum": (2.2, 12.0),
    "lunate": (3.2, 12.5),
    "scaphoid": (4.8, 12.5),
    "trapezoid": (5.0, 12.0),
    "trapezium": (4.6, 12.5),
    "pisiform": (9.5, 13.5),
}
RADIUS_YEARS = (1.1, 8.0, 17.0)
ULNA_YEARS = (6.2, 12.0, 16.6)
LATE_BONES = {"MP5": 1.0, "MP2": 0.4, "PP1": 0.8, "MC1": 0.9}  # years after the others of their row
SESAMOID_YEARS = 12.5
SIZE_AT_TWO = 0.56  # of the adult hand


@dataclass(frozen=True)
class BoneAge:
    """Bone age in years; 18 and more is adult."""

    years: float

    @property
    def adult(self) -> bool:
        return self.years >= ADULT_YEARS

    @property
    def size(self) -> float:
        """Length of the hand as a share of the adult's."""
        if self.adult:
            return 1.0
        if self.years < 2:
            return SIZE_AT_TWO - 0.05 * (2 - self.years)
        return SIZE_AT_TWO + (1 - SIZE_AT_TWO) * min((self.years - 2) / 14, 1.0) ** 0.95

    def of_epiphysis(self, rng: np.random.Generator, bone: str, kind: str, width_mm: float) -> Growth:
        """The growth of a metacarpal or phalanx, every bone a little ahead of or behind the others."""
        if self.adult:
            return Growth(True)
        appears, wide, fused = (
            y + LATE_BONES.get(bone, 0.0) * k for y, k in zip(EPIPHYSES[kind], (1, 0.7, 0.2), strict=True)
        )
        return _growth(rng, self.years, appears, wide, fused, width_mm)

    def of_forearm(self, rng: np.random.Generator, bone: str, width_mm: float) -> Growth:
        """The growth of the distal end of radius or ulna."""
        if self.adult:
            return Growth(True)
        return _growth(rng, self.years, *(RADIUS_YEARS if bone == "radius" else ULNA_YEARS), width_mm)

    def of_carpal(self, rng: np.random.Generator, bone: str) -> float:
        """Size of a carpal bone as a share of the grown one; 0 where it has not appeared."""
        if self.adult:
            return 1.0
        appears, full = CARPAL_YEARS[bone]
        share = (self.years + rng.normal(0, 0.5) - appears) / (full - appears)
        return 0.0 if share <= 0 else 0.3 + 0.7 * min(share, 1.0) ** 0.8


def _growth(rng, years: float, appears: float, wide: float, fused: float, width_mm: float) -> Growth:
    years = years + rng.normal(0, 0.4)
    if years >= fused:
        return Growth(True)
    share = float(np.clip((years - appears) / (wide - appears), 0, 1))
    epiphysis = 0.0 if share == 0 else 0.25 + 0.8 * share**0.75
    closing = float(np.clip((fused - years) / (fused - wide), 0.15, 1))
    return Growth(False, epiphysis, width_mm * (0.025 + 0.055 * closing) * rng.uniform(0.7, 1.3))
