"""Cohorts in folders: what is read, and how a user is told what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.cohort_folder import read_participants, write_rows

PATCH = {
    "name": "tibia_medial_1",
    "bone": "tibia",
    "edge_mm": 6.0,
    "centre_lps_mm_l": 1.5,
    "centre_lps_mm_p": -2.0,
    "centre_lps_mm_s": 0.1 + 0.2,
    "bv_tv": 0.25,
    "tb_th_mm": 0.2,
    "tb_sp_mm": "",
}


@pytest.fixture
def cohort(tmp_path) -> Path:
    rows = [{"participant_id": "sub-0001", "split": "train"}, {"participant_id": "sub-0002", "split": "test"}]
    for row in rows:
        (tmp_path / row["participant_id"]).mkdir()
    write_rows(tmp_path / "participants.csv", rows)
    write_rows(tmp_path / "sub-0001" / "patches.csv", [PATCH])
    return tmp_path


def test_patients_and_their_patches(cohort):
    first, second = read_participants(cohort)
    assert (first.name, first.split, second.split) == ("sub-0001", "train", "test")
    (patch,) = first.patches()
    assert np.array_equal(patch.centre_lps_mm, [1.5, -2.0, 0.3])
    # What is not in the table and what is empty there are both unknown, which is not zero.
    assert patch.parameters == {"bv_tv": 0.25, "tb_th_mm": 0.2, "tb_sp_mm": None, "tb_n_per_mm": None}
    assert second.patches() == []


def test_images_by_any_of_their_names(cohort):
    first, second = read_participants(cohort)
    with pytest.raises(BadInput, match="holds no CT: name it"):
        _ = first.ct
    assert first.mr is None
    (first.folder / "ct").mkdir()
    assert first.ct == first.folder / "ct"
    (first.folder / "ct.nii.gz").touch()
    assert first.ct.name == "ct.nii.gz"
    (second.folder / "mr.mha").touch()
    assert second.mr == second.folder / "mr.mha"


def test_a_bone_has_its_own_transform_or_that_of_the_knee(cohort):
    first, _ = read_participants(cohort)
    assert first.transform("femur") is None
    for name in ("ct_to_mr.tfm", "ct_to_mr_femur.tfm"):
        (first.folder / name).touch()
    assert first.transform("femur").name == "ct_to_mr_femur.tfm"
    assert first.transform("tibia").name == first.transform().name == "ct_to_mr.tfm"


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("participant_id\nsub-0001\n", "has no column 'split'"),
        ("participant_id,split\nsub-0001,training\n", "line 2: the split 'training' is not known"),
        ("participant_id,split\nsub-0001,train\nsub-0001,test\n", "line 3: sub-0001 is named twice"),
        ("participant_id,split\nsub-0009,train\n", "there is no folder 'sub-0009'"),
        ("participant_id,split\n../sub-0001,train\n", "there is no folder"),
        ("participant_id,split\n..,train\n", "there is no folder"),
        ("participant_id,split\n", "names nobody"),
    ],
)
def test_a_wrong_table_of_patients_is_named(cohort, table, complaint):
    (cohort / "participants.csv").write_text(table)
    with pytest.raises(BadInput, match=complaint):
        read_participants(cohort)


def test_a_folder_that_is_no_cohort_is_named(tmp_path):
    with pytest.raises(BadInput, match="is laid out as a cohort"):
        read_participants(tmp_path)


@pytest.mark.parametrize(("column", "value"), [("edge_mm", "six"), ("tb_th_mm", "nan"), ("centre_lps_mm_s", "")])
def test_a_patch_that_is_no_number_is_named(cohort, column, value):
    write_rows(cohort / "sub-0001" / "patches.csv", [PATCH | {column: value}])
    with pytest.raises(BadInput, match=f"patches.csv, line 2: {column} is '{value}'"):
        read_participants(cohort)[0].patches()


def test_a_table_saved_by_a_spreadsheet_is_read(cohort):
    path = cohort / "participants.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_participants(cohort)) == 2


def test_a_table_in_another_encoding_is_refused(cohort):
    (cohort / "participants.csv").write_bytes("participant_id,split\nsub-0001,tr\xe4in\n".encode("latin-1"))
    with pytest.raises(BadInput, match="save it as CSV in UTF-8"):
        read_participants(cohort)
