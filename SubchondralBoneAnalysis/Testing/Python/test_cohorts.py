"""Cohorts of simulated knees: the same definition is the same cohort, and what is held out stays out."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.cohort_folder import read_participants
from SubchondralBoneAnalysisLib.simulation.bone_block import PATCH_MM
from SubchondralBoneAnalysisLib.simulation.cohort.definition import (
    CohortDefinition,
    Group,
    check,
    read_definition,
    usual_definition,
)
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.making import make_cohort
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.ct_scanner.varied_profile import varied_profile
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES, HELD_OUT_FAMILY
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.volume import read_volume
from SubchondralBoneAnalysisLib.voxel_index import values_at


def of_blocks(patients: int = 2, split: str = "train", seed: int = 3, **others) -> CohortDefinition:
    return replace(usual_definition("blocks", split, seed, patients), **({"blocks": 3} | others))


def made(definition: CohortDefinition, folder: Path, jobs: int = 1) -> dict[str, bytes]:
    """Every file of a cohort by its name."""
    folder.mkdir()
    make_cohort(definition, folder, Progress("none"), jobs)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("cohort") / "one"
    return folder, made(of_blocks(), folder)


def test_a_seed_makes_the_same_cohort_bit_for_bit_on_any_number_of_processors(cohort, tmp_path):
    _, first = cohort
    assert made(of_blocks(), tmp_path / "again", jobs=2) == first


def test_the_cohort_says_how_to_make_it_again(cohort):
    folder, _ = cohort
    said = json.loads((folder / "cohort.json").read_text())
    again = read_definition(folder / "cohort.json")
    assert again == of_blocks()
    assert again.sha256 == said["sha256_of_definition"]
    assert said["images"] == "simulated"
    assert set(said["sha256_of_participants"]) == {"sub-0001", "sub-0002"}
    best = said["best_area_under_roc"]["over_4000_patients_of_this_population"]
    assert best["BV/TV"]["high"] < best["all of the bone"]["area"] < 0.95


def test_any_change_of_a_definition_changes_its_hash():
    one = of_blocks()
    others = [
        of_blocks(seed=4),
        of_blocks(split="validation"),
        of_blocks(nuisance=1.1),
        of_blocks(blocks=4),
        of_blocks(patients=3),
        of_blocks(scans=2),
    ]
    assert len({definition.sha256 for definition in (one, *others)}) == 7


def test_it_is_read_as_a_users_own_data(cohort):
    folder, _ = cohort
    participants = read_participants(folder)
    assert [one.name for one in participants] == ["sub-0001", "sub-0002"]
    for one in participants:
        ct, mr, patches = read_volume(one.ct), read_volume(one.mr), one.patches()
        assert ct.array.dtype == np.int16
        assert one.transform("tibia").name == "ct_to_mr.tfm"
        assert [patch.bone for patch in patches] == ["femur", "femur", "tibia"]
        assert all(value > 0 for patch in patches for value in patch.parameters.values())
        for patch in patches:
            for volume in (ct, mr):
                corners = patch.centre_lps_mm + 0.45 * PATCH_MM * np.array([[-1, -1, -1], [1, 1, 1]])
                assert np.isfinite(values_at(corners, volume, outside=np.nan)).all()


def test_a_patient_is_scanned_again_by_other_scanners_with_the_leg_lying_otherwise(cohort, tmp_path):
    """The first scan is what it is without a second one, bit for bit; the bone is the same in both."""
    once, files = cohort
    group = replace(of_blocks().groups[0], ct_profiles=("varied",))
    twice = made(of_blocks(scans=2), tmp_path / "twice")
    assert all(twice[name] == files[name] for name in files if name.startswith("sub-"))
    varied = tmp_path / "varied"
    made(of_blocks(1, scans=3, groups=(replace(group, patients=1),)), varied)
    participants = read_participants(varied)
    assert [one.name for one in participants] == ["sub-0001", "sub-0001-scan-2", "sub-0001-scan-3"]
    assert {one.row["patient_id"] for one in participants} == {"sub-0001"}
    assert {one.row["family"] for one in participants} == {read_participants(once)[0].row["family"]}
    assert len({one.row["ct_fwhm_in_plane_mm"] for one in participants}) == 3
    assert len({read_volume(one.ct).spacing_mm for one in participants}) == 3
    first, *later = [one.patches() for one in participants]
    rows = [(one.folder / "patches.csv").read_text("utf-8") for one in participants]
    assert len(set(rows)) == 3
    for patches in later:
        assert [patch.parameters for patch in patches] == [patch.parameters for patch in first]


def test_a_varied_scanner_is_none_of_those_that_are_held_out():
    scanners = [varied_profile(np.random.default_rng(seed)) for seed in range(200)]
    held_out = [profile for profile in CT_PROFILES.values() if profile.held_out]
    for profile in scanners:
        assert not profile.held_out
        assert profile.kvp not in {80.0, 140.0}
    sharpest, smoothest = (pick(one.scanner.in_plane_fwhm_mm for one in scanners) for pick in (min, max))
    noisiest = max(one.scanner.noise_hu for one in scanners)
    for profile in held_out:
        scanner = profile.scanner
        outside = not sharpest <= scanner.in_plane_fwhm_mm <= smoothest or scanner.noise_hu > noisiest
        assert outside, profile.name


def test_patients_of_different_splits_are_different_people_whatever_their_seed():
    people = [DrawnPatient(of_blocks(split=split), 0).patient.person for split in ("train", "validation", "test")]
    assert len(set(people)) == 3


def test_what_is_held_out_is_in_test_cohorts_only():
    (train,) = usual_definition("blocks", "train", 0, 1).groups
    (test,) = usual_definition("blocks", "test", 0, 1).groups
    assert HELD_OUT_FAMILY not in train.families
    assert not set(train.ct_profiles) & set(test.ct_profiles)
    assert not set(train.mr_profiles) & set(test.mr_profiles)
    assert len(train.families) >= 2
    assert set(FAMILIES) == set(test.families)
    for held_out in (
        {"families": (HELD_OUT_FAMILY,)},
        {"ct_profiles": tuple(name for name, one in CT_PROFILES.items() if one.held_out)},
        {"mr_profiles": tuple(name for name, one in MR_PROFILES.items() if one.held_out)},
    ):
        mixed = replace(of_blocks(), groups=(replace(train, **held_out),))
        with pytest.raises(BadInput, match="held out for testing"):
            check(mixed, "a test")


def test_groups_share_out_the_patients():
    family, ct, mr = FAMILIES[0], next(iter(CT_PROFILES)), next(iter(MR_PROFILES))
    groups = tuple(Group(name, size, (family,), (ct,), (mr,)) for name, size in (("a", 2), ("b", 1)))
    definition = replace(of_blocks(), groups=groups)
    assert definition.patients == 3
    assert [definition.group_of(number).name for number in range(3)] == ["a", "a", "b"]
    with pytest.raises(IndexError):
        definition.group_of(3)


def test_the_ct_shows_the_bone_volume_where_the_table_says_it_is(tmp_path):
    """Without nuisances and noise averaged over a patch, HU is a straight line of the bone volume fraction."""
    definition = of_blocks(patients=3, nuisance=0.0, blocks=4)
    made(definition, tmp_path / "plain")
    steps = np.linspace(-0.5, 0.5, 13) * (PATCH_MM - 1.0)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    apart = []
    for number, one in enumerate(read_participants(tmp_path / "plain")):
        scan, ct = DrawnPatient(definition, number).ct_scan, read_volume(one.ct)
        for patch in one.patches():
            hu = values_at(patch.centre_lps_mm + cube, ct).mean()
            share = (hu - scan.marrow_hu) / (scan.bone_hu - scan.marrow_hu)
            apart.append(share - patch.parameters["bv_tv"])
    assert abs(np.mean(apart)) < 0.015
    assert np.abs(apart).max() < 0.06


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "jointquant-knee-cohort/9"}, "not 'jointquant-knee-cohort/1'"),
        ({"split": "exam"}, "the split 'exam' is not known"),
        ({"what": "hips"}, "a cohort of 'hips' cannot be made"),
        ({"groups": [{"name": "a"}]}, "is no definition of a cohort"),
        ({"groups": "all"}, "is no definition of a cohort"),
        ({"groups": []}, "has no group of patients"),
        ({"seed": -4}, "seed is -4"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"blocks": 2.5}, "blocks is 2.5"),
        ({"blocks": 0}, "blocks is 0"),
        ({"nuisance": float("nan")}, "nuisance is nan"),
        ({"nuisance": "high"}, "nuisance is 'high'"),
        ({"most_flexion_apart_deg": 60}, "most_flexion_apart_deg is 60"),
        ({"microstructure": "no"}, "microstructure must be true or false"),
    ],
)
def test_a_wrong_definition_is_named(tmp_path, change, complaint):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(of_blocks().as_json() | change))
    with pytest.raises(BadInput, match=complaint):
        read_definition(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"patients": 0}, "patients is 0"),
        ({"patients": True}, "patients is True"),
        ({"families": "ribbon"}, "is no list of names"),
        ({"families": [3]}, "is no list of names"),
        ({"families": []}, "no family of microstructure is given"),
        ({"families": ["micro-ct:nowhere.nrrd"]}, "nowhere.nrrd does not exist"),
    ],
)
def test_a_wrong_group_is_named(tmp_path, change, complaint):
    said = of_blocks().as_json()
    said["groups"] = [said["groups"][0] | change]
    (tmp_path / "wrong.json").write_text(json.dumps(said))
    with pytest.raises(BadInput, match=complaint):
        read_definition(tmp_path / "wrong.json")


def test_an_unknown_scanner_is_named(tmp_path):
    said = of_blocks().as_json()
    said["groups"][0]["ct_profiles"] = ["Roentgen 1895"]
    (tmp_path / "wrong.json").write_text(json.dumps(said))
    with pytest.raises(BadInput, match="the CT profile 'Roentgen 1895' is not known"):
        read_definition(tmp_path / "wrong.json")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by Linux's /proc")
def test_when_the_command_is_killed_its_processes_end_too(tmp_path):
    definition = of_blocks(patients=60, blocks=1)
    path, folder = tmp_path / "many.json", tmp_path / "many"
    path.write_text(json.dumps(definition.as_json()))
    mark = f"JOINTQUANT_TEST={tmp_path}"
    job = subprocess.Popen(
        [
            *(sys.executable, "-m", "JointQuantLib", "simulate", "knee", "--progress", "none"),
            *("--definition", path, "--out", folder, "--jobs", "2"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | dict([mark.split("=")]),
    )
    try:
        until = time.monotonic() + 100
        while not list(tmp_path.glob("many.partial/sub-*/mr.nrrd")) and job.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert len(marked(mark)) >= 3
    finally:
        job.kill()
        job.wait()
    until = time.monotonic() + 10
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.2)
    assert marked(mark) == []
    assert not folder.exists()


def marked(mark: str) -> list[str]:
    """The processes that were started with this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found
