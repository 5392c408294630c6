"""The simulated patients: their bone, what disease does to it, and how well the bone can tell of the disease."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from JointQuantLib.statistics import area_under_roc
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.simulation.population.best_score import OF_KNEES, areas_of, probability
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import (
    REGIONS,
    VARIABLES,
    Osteoarthritis,
    states,
)
from SubchondralBoneAnalysisLib.simulation.population.patient import Patient
from SubchondralBoneAnalysisLib.simulation.population.person import PREVALENCE
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [Patient.drawn(np.random.default_rng([5, number])) for number in range(4000)]


@pytest.fixture(scope="module")
def ill(patients) -> np.ndarray:
    return np.array([patient.disease.has_osteoarthritis for patient in patients])


def structures(patients: list[Patient], of: str) -> np.ndarray:
    """[patients, regions]."""
    return np.array([[getattr(region.structure, of) for region in patient.regions.values()] for patient in patients])


def test_the_same_random_numbers_are_the_same_patient():
    first, again = (Patient.drawn(np.random.default_rng(9)) for _ in range(2))
    assert first.person == again.person
    assert first.disease == again.disease
    assert np.array_equal(first.bone, again.bone)


def test_grades_are_as_frequent_as_said(patients):
    counts = np.bincount([patient.disease.kl_grade for patient in patients], minlength=5) / len(patients)
    assert np.abs(counts - PREVALENCE).max() < 4 * np.sqrt(0.25 / len(patients))


def test_grade_probabilities_follow_weight_and_age(patients):
    person = patients[0].person
    for change in ({"bmi": 20.0}, {"age_years": 50.0}):
        less = replace(person, **change).grade_probabilities()
        more = replace(person, **{name: value * 1.6 for name, value in change.items()}).grade_probabilities()
        assert less.sum() == pytest.approx(1.0)
        assert more[2:].sum() > less[2:].sum() + 0.1


def test_every_disease_has_its_share_of_its_grade():
    for grade in range(5):
        assert sum(share for disease, share in states() if disease.kl_grade == grade) == pytest.approx(1.0)


def test_thickness_is_not_bone_volume_in_disguise(patients):
    bv_tv, tb_th = structures(patients, "bv_tv").ravel(), structures(patients, "tb_th_mm").ravel()
    assert 0.3 < np.corrcoef(bv_tv, tb_th)[0, 1] < 0.6
    assert 0.040 < tb_th.std() < 0.050
    # Controls 18 to 37 % and the operated knees up to 44 % (Rapagna et al.) lie inside.
    low, high = np.percentile(bv_tv, [5, 95])
    assert low < 0.18
    assert high > 0.36


def test_disease_changes_the_affected_side_of_the_tibia_most():
    shift = Osteoarthritis(4, "lateral").shift()
    row = {region: shift[number, VARIABLES.index("bv_tv")] for number, region in enumerate(REGIONS)}
    assert row["tibia", "lateral"] == pytest.approx(0.12)
    assert row["femur", "lateral"] == pytest.approx(0.06)
    assert row["tibia", "medial"] == row["femur", "medial"] == 0.0
    assert Osteoarthritis(4, "lateral", resorptive=True).shift()[3, 0] == pytest.approx(-0.12)
    assert not Osteoarthritis(0, "medial").shift().any()


def test_the_joint_space_narrows_on_the_affected_side_and_never_below_nothing():
    assert Osteoarthritis(2, "medial").joint_space_mm((4.0, 5.0)) == (3.0, 5.0)
    assert Osteoarthritis(4, "lateral").joint_space_mm((4.0, 1.5)) == (4.0, 0.0)


def test_at_one_bone_volume_disease_is_more_plate_like(patients, ill):
    medial = np.array([patient.disease.compartment == "medial" for patient in patients])
    column = REGIONS.index(("tibia", "medial"))
    bone = np.array([patient.bone[column] for patient in patients])[medial]
    disease = ill[medial].astype(float)
    # The part of each variable that BV/TV says nothing of, compared between the ill and the others.
    bv_tv = np.column_stack([np.ones(len(bone)), bone[:, 0]])
    for variable in ("plate", "log_plate_mm"):
        value = bone[:, VARIABLES.index(variable)]
        left = value - bv_tv @ np.linalg.lstsq(bv_tv, value, rcond=None)[0]
        apart = left[disease == 1].mean() - left[disease == 0].mean()
        assert apart > 0.3 * left.std(), variable


def test_bone_density_alone_does_not_give_the_label(patients, ill):
    density = structures(patients, "bv_tv").mean(1)
    assert area_under_roc(density, ill)[0] < 0.7
    best = {name: area for name, (area, _) in areas_of(patients, OF_KNEES).items()}
    assert best["all of the bone"] > best["BV/TV"] + 0.03
    assert 0.82 < best["BV/TV, Tb.Th and plate-rod character"] < 0.90
    assert best["BV/TV"] > best["age, sex and body mass index"] + 0.05
    assert best["all of the bone and the joint space"] > max(best["all of the bone"], best["joint space"]) + 0.02


@pytest.mark.parametrize("known", list(OF_KNEES))
def test_the_best_score_is_a_probability(patients, ill, known):
    """Of all to whom it gives a probability near p a share of p is ill: that makes it the best score there is."""
    given = probability(patients, OF_KNEES[known])
    for low in np.arange(0.0, 1.0, 0.2):
        chosen = (given >= low) & (given < low + 0.2)
        if chosen.sum() > 100:
            expected, spread = given[chosen].mean(), np.sqrt((given * (1 - given))[chosen].sum()) / chosen.sum()
            assert abs(ill[chosen].mean() - expected) < 4 * spread


def test_bone_volume_falls_with_depth_around_its_mean():
    region = RegionTraits(StructureTraits(0.25, 0.2, plate=0.5, anisotropy=1.3), plate_mm=0.4)
    depth = np.linspace(0.0, 6.0, 6001)
    found = region.bv_tv_at(depth)
    assert (np.diff(found) < 0).all()
    assert np.trapezoid(found, depth) / 6.0 == pytest.approx(0.25, abs=1e-4)


def test_traits_that_cannot_be_made_are_refused():
    with pytest.raises(ValueError, match="bv_tv is"):
        StructureTraits(0.9, 0.2, plate=0.5, anisotropy=1.3)
