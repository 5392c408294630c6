"""One simulated patient: a person, the disease of the knee, and its bone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from SubchondralBoneAnalysisLib.simulation.population.bone_population import drawn_bone, mean_bone, region_traits
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import ALIGNMENT_DEG_PER_GRADE, Osteoarthritis
from SubchondralBoneAnalysisLib.simulation.population.person import Person
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits

HEALTHY_JOINT_SPACE_MM = ((4.6, 0.6), (5.6, 0.7))  # medial and lateral, mean and SD, from bone to bone
STRAIGHT_DEG = (1.0, 2.0)  # mean and SD of the alignment without disease; varus is positive


@dataclass(frozen=True, eq=False)
class Patient:
    """Everything of a patient that no scanner has a part in.

    :param bone: [regions, variables] as in `osteoarthritis`, before it is held within what can be made.
    :param alignment_deg: hip-knee-ankle angle from straight, varus positive.
    :param joint_space_mm: (medial, lateral), shortest distance from bone to bone.
    """

    person: Person
    side: Literal["left", "right"]
    disease: Osteoarthritis
    bone: np.ndarray
    alignment_deg: float
    joint_space_mm: tuple[float, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Patient:
        """A patient; what is drawn hangs on nothing but `rng`."""
        person = Person.drawn(rng)
        side = "left" if rng.random() < 0.5 else "right"
        disease = Osteoarthritis.drawn(rng, person.grade_probabilities())
        bone = drawn_bone(mean_bone(person) + disease.shift(), rng)
        towards = 1.0 if disease.compartment == "medial" else -1.0
        alignment = rng.normal(*STRAIGHT_DEG) + towards * ALIGNMENT_DEG_PER_GRADE * disease.kl_grade
        healthy = tuple(float(np.clip(rng.normal(*space), 3.0, 8.0)) for space in HEALTHY_JOINT_SPACE_MM)
        return cls(person, side, disease, bone, float(alignment), disease.joint_space_mm(healthy))

    @property
    def regions(self) -> dict[tuple[str, str], RegionTraits]:
        """The bone of each (bone, compartment)."""
        return region_traits(self.bone)
