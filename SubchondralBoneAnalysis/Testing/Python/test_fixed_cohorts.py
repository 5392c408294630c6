"""The cohorts that models are tested on stay what they were when they were fixed."""

from __future__ import annotations

import numpy as np
import pytest

from SubchondralBoneAnalysisLib.simulation.cohort.block_patient import blocks_of, ct_of_blocks
from SubchondralBoneAnalysisLib.simulation.cohort.definition import mr_profiles, usual_definition
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.fixed import FIXED, definition_named, digests_of
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.microstructure.families import HELD_OUT_FAMILY

# Written down when they were fixed, before any model was trained. Who changes one of them needs a new name for it.
SHA256 = {
    "test-blocks": "e2500c9391a3e496f9bc0d3c6aea4a727ca06064250afe86e5cf211886851cda",
    "test-knees": "51f0a4c73e350eb2d4b77bc2de41130fc33a4735f943efd9ae533387b328222e",
}
# Of the first patient of test-blocks: the truth of its patches, and mean and SD of its CT in HU.
TRUTH = (
    (0.4746, 0.3626, 0.5101),
    (0.2478, 0.2320, 0.5619),
    (0.4962, 0.3284, 0.4221),
    (0.4326, 0.3141, 0.4555),
)
CT_HU = (982.35, 419.78)


@pytest.mark.parametrize("name", FIXED)
def test_definitions_are_those_that_were_fixed(name):
    assert definition_named(name).sha256 == SHA256[name]


@pytest.mark.parametrize("name", FIXED)
def test_they_are_hard_and_apart_from_what_is_trained_on(name):
    definition = definition_named(name)
    assert definition.split == "test"
    assert definition.nuisance >= 1.5
    train = usual_definition(definition.what, "train", definition.seed, 1).groups[0]
    for group in definition.groups:
        new_structure = set(group.families) == {HELD_OUT_FAMILY}
        new_scanners = not set(group.ct_profiles) & set(train.ct_profiles)
        assert new_structure or new_scanners
        if new_scanners:
            assert all(CT_PROFILES[profile].held_out for profile in group.ct_profiles)
            assert group.mr_profiles == mr_profiles(definition.what, held_out=True)


@pytest.mark.parametrize(("name", "made"), [("test-blocks", 320), ("test-knees", 12)])
def test_patients_have_the_digest_of_what_was_made_of_them(name, made):
    """Whole knees take long: of the first ones every voxel is pinned, of the others the definition."""
    digests = digests_of(name)
    assert list(digests) == [f"sub-{number + 1:04d}" for number in range(made)]
    assert len(set(digests.values())) == made
    assert made <= definition_named(name).patients


def test_the_first_patient_is_the_one_that_was_fixed():
    """To a tolerance that another processor needs: a few voxels at an edge may be rounded otherwise."""
    definition = definition_named("test-blocks")
    drawn = DrawnPatient(definition, 0)
    blocks = blocks_of(definition, drawn)
    found = [(placed.block.truth.bv_tv, placed.block.truth.tb_th_mm, placed.block.truth.tb_sp_mm) for placed in blocks]
    np.testing.assert_allclose(found, TRUTH, rtol=0.005)
    ct = ct_of_blocks(blocks, drawn).array
    np.testing.assert_allclose((ct.mean(), ct.std()), CT_HU, rtol=0.002)
