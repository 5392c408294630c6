"""The whole job on the bundled films: what lies in the result folder, and how near its numbers are to the truth."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hand_jobs import HAS_NO_UNIT, LARGEST_ERROR_MM, SAMPLES, all_pairs, error_mm, read_map, run_hand
from PIL import Image

from JSNRegistrationLib.joints import JOINT_NAMES
from JSNRegistrationLib.registration_network import NETWORK

TRUTH = json.loads((SAMPLES / "simulated_hand.json").read_text("utf-8"))
FILMS = [SAMPLES / name for name in TRUTH["films"]]
SPACING_MM = TRUTH["spacing_mm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundled") / "result"
    run_hand(out, *FILMS, "--spacing", SPACING_MM, "--dates", *TRUTH["dates"], pictures=True)
    return out


@pytest.fixture(scope="module")
def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text("utf-8"))


def test_all_fourteen_joints_are_measured(result):
    assert [joint["name"] for joint in result["joints"]] == list(JOINT_NAMES)
    assert {pair["verdict"] for _, pair in all_pairs(result)} == {"measured"}
    assert result["warnings"] == ["The side was read from the picture under the assumption of a posteroanterior view."]
    (hand,) = result["visits"][0]["hands"]
    assert (hand["side"], hand["view"]) == ("left", "PA")


def test_what_registered_the_joints_is_said(result):
    by_network = NETWORK.available()
    assert {pair["registered_by"] for _, pair in all_pairs(result)} == {"network" if by_network else "classical"}
    assert ("guided by a network trained on simulated images" in result["parameters"]["method"]) == by_network
    assert all(pair["quality"]["mismatch_probability"] < 0.05 for _, pair in all_pairs(result))


def test_the_changes_agree_with_the_truth_at_the_reported_origin_and_axis(result):
    true = {change["name"]: change for change in TRUTH["changes"]}
    errors, inside = {}, []
    for joint, pair in all_pairs(result):
        motions = true[joint["name"]]["upper_motion"], true[joint["name"]]["lower_motion"]
        error = errors[joint["name"]] = error_mm(pair, *motions, SPACING_MM)
        inside.append(abs(error) <= (pair["interval_mm"][1] - pair["interval_mm"][0]) / 2)
    assert max(map(abs, errors.values())) < LARGEST_ERROR_MM, errors
    assert abs(np.mean(list(errors.values()))) < 0.02, errors
    assert sum(inside) >= 12, errors


def test_the_joints_that_narrowed_are_told_from_those_that_did_not(result):
    narrowed = {change["name"] for change in TRUTH["changes"] if change["change_mm"] < -0.1}
    assert len(narrowed) == 4
    assert {joint["name"] for joint, pair in all_pairs(result) if pair["interval_mm"][1] < -0.1} == narrowed


def test_origin_and_axis_are_those_of_the_true_joints(result):
    true = {joint["name"]: joint for joint in TRUTH["visits"][0]}
    for joint, pair in all_pairs(result):
        away = np.subtract(pair["origin_px"], true[joint["name"]]["position_px"]) * SPACING_MM
        assert np.hypot(*away) < 1.0, joint["name"]
        assert np.dot(pair["axis"], true[joint["name"]]["axis"]) > np.cos(np.radians(6.0)), joint["name"]


def test_the_change_is_that_of_the_reported_motions(result):
    for _, pair in all_pairs(result):
        assert abs(error_mm(pair, pair["upper_motion"], pair["lower_motion"], 1.0)) < 1e-9
        assert pair["change_mm"] == pytest.approx(pair["change_px"] * SPACING_MM, rel=1e-12)
        assert np.mean(pair["interval_mm"]) == pytest.approx(pair["change_mm"], abs=1e-12)
        assert np.diff(pair["interval_mm"])[0] == pytest.approx(2 * 1.96 * pair["se_mm"], rel=1e-9)


def test_the_change_per_year_is_the_change_over_the_years_between_the_dates(result):
    for _, pair in all_pairs(result):
        assert pair["years"] == pytest.approx(373 / 365.25)  # 2020-03-03 to 2021-03-11
        assert pair["change_per_year_mm"] == pytest.approx(pair["change_mm"] / pair["years"])
        assert np.diff(pair["change_per_year_interval_mm"])[0] == pytest.approx(
            np.diff(pair["interval_mm"])[0] / pair["years"]
        )


def test_the_films_are_kept_as_they_were(folder, result):
    for visit, path in zip(result["visits"], FILMS, strict=True):
        assert (read_map(folder / visit["film"], visit) == np.asarray(Image.open(path))).all()


def test_the_loss_covers_every_joint_and_falls_with_the_registration(folder, result):
    before, after = (read_map(folder / f"loss_{which}_0_1.nrrd", result["visits"][0]) for which in ("before", "after"))
    for joint, pair in all_pairs(result):
        x, y = np.rint(joint["visits"][0]["position_px"]).astype(int)
        window = np.s_[y - 40 : y + 41, x - 40 : x + 41]
        shown = after[window] >= 0.0
        assert shown.mean() > 0.2, joint["name"]
        assert after[window][shown].mean() < before[window][before[window] >= 0.0].mean(), joint["name"]
        assert pair["quality"]["loss_after"] < 0.05, joint["name"]
    assert (after == -1.0).mean() > 0.5  # most of a film is no joint


def test_the_second_film_is_brought_onto_the_first_around_every_joint(folder, result):
    first = read_map(folder / "visit_0.nrrd", result["visits"][0]).astype(float)
    after = read_map(folder / "after_0_1.nrrd", result["visits"][0])
    regions = read_map(folder / "loss_after_0_1.nrrd", result["visits"][0]) >= 0.0
    assert np.isfinite(after[regions]).all()
    assert np.isnan(after).mean() > 0.3
    for joint, _ in all_pairs(result):
        x, y = np.rint(joint["visits"][0]["position_px"]).astype(int)
        window = np.s_[y - 30 : y + 31, x - 30 : x + 31]
        own = regions[window]
        assert np.corrcoef(first[window][own], after[window][own])[0, 1] > 0.97, joint["name"]


def test_the_report_is_one_file_that_names_every_joint_and_both_films(folder, result):
    page = (folder / "report.html").read_text("utf-8")
    for joint in result["joints"]:
        assert joint["name"] in page
    for path in FILMS:
        assert path.name in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_no_folder_of_the_user_is_written_out(folder):
    for name in ("result.json", "joints.csv", "joints.json", "report.html"):
        assert str(SAMPLES) not in (folder / name).read_text("utf-8"), name
        assert str(folder.parent) not in (folder / name).read_text("utf-8"), name


def test_views_and_scene_are_there_where_slicer_is(slicer_views, folder):  # noqa: ARG001
    names = {path.name for path in folder.glob("view_*.png")}
    assert {"view_visit_0.png", "view_visit_1.png", "view_0_1_before.png", "view_0_1_after.png"} <= names
    assert {f"view_{name}_0_1.png" for name in JOINT_NAMES} <= names
    with zipfile.ZipFile(folder / "scene.mrb") as bundle:
        assert bundle.testzip() is None
        assert any(name.endswith(".mrml") for name in bundle.namelist())


def test_titles_without_a_unit_are_titles_of_things_without_one(result):
    """The list of exceptions, which the check of every table uses, stays a list of names, counts and ratios."""
    pair = all_pairs(result)[0][1]
    measures = {key for key in pair if key.endswith(("_mm", "_px", "_deg"))}
    assert not measures & HAS_NO_UNIT
