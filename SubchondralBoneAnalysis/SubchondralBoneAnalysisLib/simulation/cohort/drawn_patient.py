"""One patient of a cohort: who it is, which structure the bone has, and the day's CT and MR scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from SubchondralBoneAnalysisLib.simulation.cohort.definition import CohortDefinition
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtProfile, CtScan
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.ct_scanner.varied_profile import VARIED, varied_profile
from SubchondralBoneAnalysisLib.simulation.microstructure.families import MICRO_CT
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrProfile, MrScan
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.population.patient import Patient

PURPOSES = ("patient", "choices", "ct scan", "mr scan", "block", "ct", "mr", "knee", "grids", "lying")
OF_A_SCAN = ("choices", "ct scan", "mr scan", "ct", "mr", "lying")
SCAN = 1_000_000  # before the number of a scan, which no number of a block is


@dataclass(frozen=True, eq=False)
class DrawnPatient:
    """A patient by the number in the definition; everything follows from the two.

    :param scan: which of the patient's scans; the bone and its structure are the same in all.
    """

    definition: CohortDefinition
    number: int
    scan: int = 0

    @property
    def name(self) -> str:
        """As the folder and the row of the table are called."""
        return self.patient_name if self.scan == 0 else f"{self.patient_name}-scan-{self.scan + 1}"

    @property
    def patient_name(self) -> str:
        """The same for all scans."""
        return f"sub-{self.number + 1:04d}"

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """Random numbers for one purpose, so that none of them hangs on the order of the others."""
        again = (SCAN, self.scan) if self.scan and purpose in OF_A_SCAN else ()
        return np.random.default_rng([*self.definition.seed_of(self.number), PURPOSES.index(purpose), *more, *again])

    def noise_seed(self, purpose: str) -> int:
        """A seed for what draws its own random numbers."""
        return int(self.rng(purpose).integers(0, 2**31))

    @cached_property
    def patient(self) -> Patient:
        """Person, disease and bone."""
        return Patient.drawn(self.rng("patient"))

    @cached_property
    def _choices(self) -> tuple[str, str, str]:
        group, rng = self.definition.group_of(self.number), self.rng("choices")
        return tuple(str(rng.choice(names)) for names in (group.families, group.ct_profiles, group.mr_profiles))

    @property
    def family(self) -> str:
        """Of the microstructure, the same in all bones and scans."""
        return self._choices[0] if self.scan == 0 else replace(self, scan=0).family

    @cached_property
    def _ct(self) -> tuple[CtProfile, CtScan]:
        rng, name = self.rng("ct scan"), self._choices[1]
        profile = varied_profile(rng) if name == VARIED else CT_PROFILES[name]
        return profile, profile.of_scan(rng, self.definition.nuisance)

    @property
    def ct_scan(self) -> CtScan:
        """The CT scan of the patient."""
        return self._ct[1]

    def protocol(self) -> dict[str, object]:
        """More columns of participants.csv: what is known of a scanner that was measured once; scans differ from it."""
        profile = self._ct[0]
        return {
            "patient_id": self.patient_name,
            "ct_kvp": profile.kvp,
            "ct_fwhm_in_plane_mm": round(profile.scanner.in_plane_fwhm_mm, 3),
            "ct_fwhm_axial_mm": round(profile.scanner.axial_fwhm_mm, 3),
        }

    @cached_property
    def mr_scan(self) -> MrScan:
        """The MR scan of the patient."""
        return self.mr_profile.of_scan(self.rng("mr scan"), self.definition.nuisance)

    @property
    def mr_profile(self) -> MrProfile:
        """The protocol of the MR scan."""
        return MR_PROFILES[self._choices[2]]

    def row(self) -> dict[str, object]:
        """The row of participants.csv."""
        patient, person = self.patient, self.patient.person
        return {
            "participant_id": self.name,
            "split": self.definition.split,
            "group": self.definition.group_of(self.number).name,
            "side": patient.side,
            "age_years": round(person.age_years, 1),
            "sex": person.sex,
            "height_m": round(person.height_m, 3),
            "weight_kg": round(person.weight_kg, 1),
            "bmi": round(person.bmi, 2),
            "kl_grade": patient.disease.kl_grade,
            "osteoarthritis": patient.disease.has_osteoarthritis,
            "compartment": patient.disease.compartment,
            "alignment_deg_varus": round(patient.alignment_deg, 2),
            "joint_space_medial_mm": round(patient.joint_space_mm[0], 2),
            "joint_space_lateral_mm": round(patient.joint_space_mm[1], 2),
            "ct_profile": self._choices[1],
            "mr_profile": self._choices[2],
            "family": self._family_said(),
        }

    def _family_said(self) -> str:
        """Nothing where there is no structure; of a micro-CT its name, not its path."""
        if self.definition.what == "knees" and not self.definition.microstructure:
            return ""
        return Path(self.family).name if self.family.startswith(MICRO_CT) else self.family
