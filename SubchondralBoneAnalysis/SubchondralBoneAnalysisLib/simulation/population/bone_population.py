"""How the subchondral bone of people differs: a normal distribution of what the regions of a knee are like.

Means and spreads follow published micro-CT of tibiae and femora: BV/TV 18 to 37 % in the four sub-regions of controls
(Rapagna et al., J Orthop Res 2021;39:1988-1999), more bone medially than laterally, and in the tibia than in the femur
(Patel et al., J Orthop Res 2003;21:6-13). BV/TV and thickness go together, but not as one: r = 0.5.
"""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import PLATE_MM, REGIONS, VARIABLES
from SubchondralBoneAnalysisLib.simulation.population.person import Person
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits

MEAN_BV_TV = {
    ("femur", "medial"): 0.245,
    ("femur", "lateral"): 0.215,
    ("tibia", "medial"): 0.270,
    ("tibia", "lateral"): 0.215,
}
MEAN = {"log_tb_th": np.log(0.212), "plate": 0.45, "log_anisotropy": np.log(1.45), "log_plate_mm": np.log(PLATE_MM)}
SD = {"bv_tv": 0.060, "log_tb_th": 0.195, "plate": 0.18, "log_anisotropy": 0.11, "log_plate_mm": 0.20}
CORRELATION = {
    ("bv_tv", "log_tb_th"): 0.45,
    ("bv_tv", "plate"): 0.40,
    ("log_tb_th", "plate"): 0.20,
    ("bv_tv", "log_plate_mm"): 0.40,
}
# Share of the variance that all regions of a knee have in common. The ratio of medial to lateral BV/TV is 0.8 to 2.1 in
# 15 controls (Rapagna et al.): most of the spread is between the regions of one knee.
OF_THE_PERSON = 0.3
# Of BV/TV, in its SD, for one SD of age, body mass index and sex (men above): bone is lost with age, gained with load.
# A difference of 0.3 SD a SD is one of about 0.5 SD between the older and the younger half.
CONFOUNDING = {"age": -0.30, "bmi": 0.30, "sex": 0.25}
BETWEEN = {  # what lies beyond is drawn in: human subchondral bone is not thinner or denser
    "bv_tv": (0.08, 0.50),
    "tb_th_mm": (0.12, 0.38),
    "plate": (0.0, 1.0),
    "anisotropy": (1.0, 1.9),
    "plate_mm": (0.15, 1.2),
}


def mean_bone(person: Person) -> np.ndarray:
    """What the healthy knee of a person is like on the mean: [regions, variables], unbounded."""
    mean = np.array([[MEAN_BV_TV[region], *MEAN.values()] for region in REGIONS])
    mean[:, 0] += SD["bv_tv"] * sum(CONFOUNDING[name] * deviate for name, deviate in person.deviates.items())
    return mean


def covariance() -> np.ndarray:
    """Of all variables of all regions among people of one age, size and sex: [n, n], regions outside."""
    sd = np.array([SD[name] for name in VARIABLES])
    # The confounders are part of the spread of BV/TV that is published.
    sd[0] *= np.sqrt(1.0 - sum(share**2 for share in CONFOUNDING.values()))
    correlation = np.eye(len(VARIABLES))
    for (one, other), r in CORRELATION.items():
        i, j = VARIABLES.index(one), VARIABLES.index(other)
        correlation[i, j] = correlation[j, i] = r
    between = OF_THE_PERSON + (1.0 - OF_THE_PERSON) * np.eye(len(REGIONS))
    return np.kron(between, correlation * np.outer(sd, sd))


def drawn_bone(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The bone of one knee, [regions, variables], unbounded, around a mean of that shape."""
    deviates = np.linalg.cholesky(covariance()) @ rng.standard_normal(mean.size)
    return mean + deviates.reshape(mean.shape)


def region_traits(bone: np.ndarray) -> dict[tuple[str, str], RegionTraits]:
    """The regions of a knee from its bone [regions, variables], held within what can be made."""
    found = {}
    for region, values in zip(REGIONS, bone, strict=True):
        bv_tv, log_tb_th, plate, log_anisotropy, log_plate_mm = values.tolist()
        structure = StructureTraits(
            bv_tv=_within("bv_tv", bv_tv),
            tb_th_mm=_within("tb_th_mm", np.exp(log_tb_th)),
            plate=_within("plate", plate),
            anisotropy=_within("anisotropy", np.exp(log_anisotropy)),
        )
        found[region] = RegionTraits(structure, _within("plate_mm", np.exp(log_plate_mm)))
    return found


def _within(name: str, value: float) -> float:
    return float(np.clip(value, *BETWEEN[name]))
