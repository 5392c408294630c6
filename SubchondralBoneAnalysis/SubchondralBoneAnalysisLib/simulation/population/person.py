"""The people of a simulated cohort: age, sex, size, and how likely they are to have osteoarthritis of the knee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

AGE_YEARS = (62.0, 9.0)  # mean and SD
AGES = (45.0, 82.0)
BMI = (27.5, 4.5)
BMIS = (18.5, 42.0)
HEIGHT_M = {"female": (1.62, 0.065), "male": (1.75, 0.07)}

# Share of the grades of Kellgren and Lawrence, 0 to 4. A cohort for training: more disease than in the population.
PREVALENCE = (0.35, 0.20, 0.20, 0.15, 0.10)
# How age, body mass index and sex (SD of each) weigh in the liability to osteoarthritis, whose SD is 1. That all three
# are risk factors is established (Silverwood et al., Osteoarthritis Cartilage 2015;23:507-515, for age, sex and
# obesity); the sizes are a choice of this simulation.
LIABILITY = {"age": 0.30, "bmi": 0.35, "sex": -0.15}


@dataclass(frozen=True)
class Person:
    """One participant before anything is known of the knee.

    :param bmi: body mass index in kg/m^2.
    """

    age_years: float
    sex: Literal["female", "male"]
    height_m: float
    bmi: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Person:
        """Somebody of the cohort; 60 in 100 are women."""
        sex = "female" if rng.random() < 0.6 else "male"
        return cls(
            age_years=float(np.clip(rng.normal(*AGE_YEARS), *AGES)),
            sex=sex,
            height_m=float(np.clip(rng.normal(*HEIGHT_M[sex]), 1.45, 2.0)),
            bmi=float(np.clip(rng.normal(*BMI), *BMIS)),
        )

    @property
    def weight_kg(self) -> float:
        """From body mass index and height."""
        return self.bmi * self.height_m**2

    @property
    def deviates(self) -> dict[str, float]:
        """Age, body mass index and sex in SD from the mean of the cohort; men are above."""
        return {
            "age": (self.age_years - AGE_YEARS[0]) / AGE_YEARS[1],
            "bmi": (self.bmi - BMI[0]) / BMI[1],
            "sex": (0.4 if self.sex == "female" else -0.6) / -np.sqrt(0.24),
        }

    def grade_probabilities(self) -> np.ndarray:
        """Probability [5] of each grade of Kellgren and Lawrence for somebody like this."""
        mean = sum(LIABILITY[name] * deviate for name, deviate in self.deviates.items())
        left_over = np.sqrt(1.0 - sum(weight**2 for weight in LIABILITY.values()))
        below = norm.cdf((norm.ppf(np.cumsum(PREVALENCE)[:-1]) - mean) / left_over)
        return np.diff(np.concatenate([[0.0], below, [1.0]]))
