"""What osteoarthritis does to the bone of a simulated knee, and where each number comes from.

Sizes with a published value:
    BV/TV       medial 37 to 44 % in varus osteoarthritis that is to be operated on, 18 to 37 % in controls, lateral 32
                to 37 % in valgus (Rapagna et al., J Orthop Res 2021;39:1988-1999): about +0.12 at grade 4, 0.03 each.
    plate       0.58 to 0.72 mm against 0.26 to 0.47 mm in the same knees: about +0.24 mm at grade 4, 0.06 mm a grade.
    with depth  density +24 % at 0 to 2.5 mm, +36 % at 2.5 to 5 mm (Johnston et al. 2010,
                PMID 20635177): the change is not confined to the plate.
    joint space up to -0.5 mm a grade (weight-bearing CT, PMC9559750).
Published as a direction only; the size is a choice of this simulation and no finding:
    more plate-like, fewer rods (Ding et al. 2003; Chen et al., J Bone Miner Res, 2018; Shiraishi et al., Bone 2020;
    132:115155: SMI lower medially), wider spaces in late disease (clinical CT against micro-CT, PMC9376842),
    and bone that is less, thinner and more rod-like in some severely arthritic knees (Patel et al., J Orthop Res
    2003;21:6-13), here in 15 of 100 knees of grade 4. The femur changes half as much as the tibia.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

REGIONS = (("femur", "medial"), ("femur", "lateral"), ("tibia", "medial"), ("tibia", "lateral"))
VARIABLES = ("bv_tv", "log_tb_th", "plate", "log_anisotropy", "log_plate_mm")

PER_GRADE = {"bv_tv": 0.03, "log_tb_th": 0.03, "plate": 0.08, "log_anisotropy": 0.0}
PLATE_MM_PER_GRADE, PLATE_MM = 0.06, 0.37
JOINT_SPACE_MM_PER_GRADE = 0.5
RESORPTIVE_OF_GRADE_4 = 0.15
MEDIAL = 0.75  # of the knees; the rest is worse on the lateral side
ALIGNMENT_DEG_PER_GRADE = 1.2  # towards varus where the medial side is worse, towards valgus otherwise
FEMUR = 0.5  # of the change of the tibia


@dataclass(frozen=True)
class Osteoarthritis:
    """The disease of one knee.

    :param kl_grade: of Kellgren and Lawrence, 0 to 4.
    :param compartment: that is affected, or would be.
    :param resorptive: the bone is lost instead of gained.
    """

    kl_grade: int
    compartment: Literal["medial", "lateral"]
    resorptive: bool = False

    @classmethod
    def drawn(cls, rng: np.random.Generator, grades: np.ndarray) -> Osteoarthritis:
        """A knee of somebody whose grade has the probabilities `grades` [5]."""
        chance, side, loss = rng.random(3)
        grade = int(min(np.searchsorted(np.cumsum(grades), chance), 4))
        compartment = "medial" if side < MEDIAL else "lateral"
        return cls(grade, compartment, grade == 4 and loss < RESORPTIVE_OF_GRADE_4)

    @property
    def has_osteoarthritis(self) -> bool:
        """Grade 2 and above, as studies define it."""
        return self.kl_grade >= 2

    def shift(self) -> np.ndarray:
        """By how much the bone differs from that of a healthy knee: [regions, variables]."""
        sign = -1.0 if self.resorptive else 1.0
        change = np.array([sign * self.kl_grade * PER_GRADE.get(name, 0.0) for name in VARIABLES])
        change[-1] = np.log(1.0 + PLATE_MM_PER_GRADE * self.kl_grade / PLATE_MM)
        shift = np.zeros((len(REGIONS), len(VARIABLES)))
        for row, (bone, compartment) in enumerate(REGIONS):
            if compartment == self.compartment:
                shift[row] = change * (FEMUR if bone == "femur" else 1.0)
        return shift

    def joint_space_mm(self, healthy: tuple[float, float]) -> tuple[float, float]:
        """What is left of the (medial, lateral) joint space of a healthy knee."""
        lost = JOINT_SPACE_MM_PER_GRADE * self.kl_grade
        medial, lateral = healthy
        if self.compartment == "medial":
            return max(medial - lost, 0.0), lateral
        return medial, max(lateral - lost, 0.0)


def states() -> list[tuple[Osteoarthritis, float]]:
    """Every disease that there is, with its probability given its grade."""
    found = []
    for grade in range(5):
        for compartment, share in (("medial", MEDIAL), ("lateral", 1.0 - MEDIAL)):
            losing = RESORPTIVE_OF_GRADE_4 if grade == 4 else 0.0
            found.append((Osteoarthritis(grade, compartment, False), share * (1.0 - losing)))
            if losing:
                found.append((Osteoarthritis(grade, compartment, True), share * losing))
    return found
