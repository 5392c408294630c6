"""The whole job with joints that are chosen, given by a file, or taken from an earlier result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hand_jobs import (
    HAND_SPACING_MM,
    LARGEST_ERROR_MM,
    all_pairs,
    error_mm,
    hand,
    joint_of,
    pair_of,
    read_map,
    run_hand,
    write_hand,
    write_picture,
)

from JointQuantLib.cli import main
from JSNRegistrationLib.earlier_result import EarlierResult
from JSNRegistrationLib.joints import JointKey

SPACING = ("--spacing", HAND_SPACING_MM)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_hand(tmp_path_factory.mktemp("films"))[:2]


@pytest.fixture(scope="module")
def earlier(films, tmp_path_factory) -> Path:
    """A result of three joints, of which two are neighbours."""
    out = tmp_path_factory.mktemp("earlier") / "result"
    run_hand(out, *films, *SPACING, "--only", "dip4", "PIP3", "MCP3")
    return out


def load(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text("utf-8"))


def test_only_the_joints_that_are_asked_for_are_measured(earlier):
    assert [joint["name"] for joint in load(earlier)["joints"]] == ["MCP3", "PIP3", "DIP4"]


# ---------------------------------------------------------------------------------------------------- an earlier result


@pytest.fixture(scope="module")
def corrected(films, earlier, tmp_path_factory) -> Path:
    """The earlier result with PIP3 measured again at the place of DIP3 (say, a correction), and nothing else asked."""
    folder = tmp_path_factory.mktemp("corrected")
    place = next(joint for joint in hand().joints[0] if joint.name == "DIP3")
    joints = [{"name": "PIP3", "position_px": place.position_px, "axis": place.axis}]
    second = next(joint for joint in hand().joints[1] if joint.name == "DIP3")
    joints = [joints, [{"name": "PIP3", "position_px": second.position_px, "axis": second.axis}]]
    (folder / "joints.json").write_text(json.dumps(joints))
    options = ["--joints", folder / "joints.json", "--from", earlier, "--only", "PIP3"]
    run_hand(folder / "result", *films, *SPACING, *options)
    return folder / "result"


def test_what_is_not_asked_for_again_is_taken_from_the_earlier_result(earlier, corrected):
    before, now = load(earlier), load(corrected)
    assert [joint["name"] for joint in now["joints"]] == ["MCP3", "PIP3", "DIP4"]
    for name in ("MCP3", "DIP4"):
        assert joint_of(now, name) == joint_of(before, name)
    # PIP3 now lies where DIP3 was found too: there is a number, and the doubt is said.
    assert pair_of(now, "PIP3")["verdict"] == "doubtful"
    assert "PIP3 and DIP3 are at the same place" in pair_of(now, "PIP3")["reason"]
    moved = np.subtract(pair_of(now, "PIP3")["origin_px"], pair_of(before, "PIP3")["origin_px"])
    assert np.hypot(*moved) > 50
    assert abs(error_mm(pair_of(now, "PIP3"), *hand().joint_motions("DIP3", 0, 1), HAND_SPACING_MM)) < LARGEST_ERROR_MM


def test_the_maps_show_the_joint_where_it_is_now_and_no_longer_where_it_was(earlier, corrected):
    visit = load(corrected)["visits"][0]
    old = np.rint(pair_of(load(earlier), "PIP3")["origin_px"]).astype(int)
    new = np.rint(pair_of(load(corrected), "PIP3")["origin_px"]).astype(int)
    for name, nothing in (("loss_after", -1.0), ("loss_before", -1.0), ("after", np.nan), ("before", np.nan)):
        shown = {}
        for folder in (earlier, corrected):
            values = read_map(folder / f"{name}_0_1.nrrd", visit)
            is_shown = ~np.isnan(values) if np.isnan(nothing) else values != nothing
            shown[folder] = [is_shown[y - 12 : y + 13, x - 12 : x + 13].any() for x, y in (old, new)]
        assert shown[earlier] == [True, False], name
        assert shown[corrected] == [False, True], name


def test_the_maps_of_joints_that_stay_are_kept(earlier, corrected):
    visit = load(corrected)["visits"][0]
    x, y = np.rint(pair_of(load(earlier), "MCP3")["origin_px"]).astype(int)
    window = np.s_[y - 20 : y + 21, x - 20 : x + 21]
    for name in ("loss_after", "after"):
        kept, was = (read_map(folder / f"{name}_0_1.nrrd", visit)[window] for folder in (corrected, earlier))
        assert np.array_equal(kept, was, equal_nan=True)


def test_a_joint_that_the_earlier_result_lacks_is_added(films, earlier, tmp_path):
    result = run_hand(tmp_path / "x", *films, *SPACING, "--only", "MCP2", "--from", earlier)
    assert [joint["name"] for joint in result["joints"]] == ["MCP2", "MCP3", "PIP3", "DIP4"]
    assert pair_of(result, "MCP2")["verdict"] == "measured"
    assert joint_of(result, "PIP3") == joint_of(load(earlier), "PIP3")


def test_an_earlier_result_of_the_other_side_is_not_mixed_in(films, earlier, tmp_path, capsys):
    options = [*SPACING, "--only", "MCP3", "--from", earlier, "--side", "right", "--out", tmp_path / "x"]
    assert main(["hand", *map(str, [*films, *options]), "--progress", "none"]) == 2
    assert "is of the left hand" in capsys.readouterr().err


def test_an_earlier_result_of_unknown_side_takes_the_one_that_is_known_now(tmp_path):
    place = {"found": True, "position_px": [1.0, 2.0]}
    old = EarlierResult(tmp_path, [{"name": name, "side": None, "visits": [place]} for name in ("MCP2", "PIP2")])
    now = {JointKey("left", name): [] for name in ("MCP2", "PIP2", "DIP2")}
    assert list(old.without_known(now, {JointKey("left", "PIP2")})) == [JointKey("left", n) for n in ("PIP2", "DIP2")]
    assert list(old.places(0)) == [JointKey("left", "MCP2")]


# --------------------------------------------------------------------------------------------------------- joints files


def test_the_joints_json_of_a_result_can_be_fed_back(films, earlier, tmp_path):
    options = ["--joints", earlier / "joints.json", "--only", "MCP3", "PIP3", "DIP4"]
    again = run_hand(tmp_path / "x", *films, *SPACING, *options)
    first = load(earlier)
    assert [joint["name"] for joint in again["joints"]] == [joint["name"] for joint in first["joints"]]
    for joint, pair in all_pairs(again):
        there = pair_of(first, joint["name"])
        assert joint["side"] == "left"
        assert pair["verdict"] == there["verdict"] == "measured"
        assert np.hypot(*np.subtract(pair["origin_px"], there["origin_px"])) * HAND_SPACING_MM < 0.1
        assert abs(pair["change_mm"] - there["change_mm"]) < 0.02


def test_positions_of_some_joints_on_the_first_film_are_enough(films, earlier, tmp_path):
    given = [
        {"name": joint["name"], "position_px": joint["position_px"]}
        for joint in json.loads((earlier / "joints.json").read_text("utf-8"))["visits"][0]
        if joint["name"] != "DIP4"
    ]
    (tmp_path / "some.json").write_text(json.dumps([given]))
    result = run_hand(tmp_path / "x", *films, *SPACING, "--joints", tmp_path / "some.json", "--only", "MCP3", "PIP3")
    assert [joint["name"] for joint in result["joints"]] == ["MCP3", "PIP3"]
    for joint, pair in all_pairs(result):
        motions = hand().joint_motions(joint["name"], 0, 1)
        assert abs(error_mm(pair, *motions, HAND_SPACING_MM)) < LARGEST_ERROR_MM, joint["name"]


def test_a_joint_of_the_file_replaces_the_one_found_and_the_others_are_found_as_ever(films, tmp_path):
    """PIP3 is given one millimetre away from where it is found; MCP3 is not given at all."""
    place = next(joint for joint in hand().joints[0] if joint.name == "PIP3")
    given = {"name": "PIP3", "position_px": np.add(place.position_px, [3.0, 0.0]).tolist(), "axis": place.axis}
    (tmp_path / "one.json").write_text(json.dumps([[given | {"confidence": 0.8}]]))
    result = run_hand(tmp_path / "x", *films, *SPACING, "--joints", tmp_path / "one.json", "--only", "PIP3", "MCP3")
    assert [joint["name"] for joint in result["joints"]] == ["MCP3", "PIP3"]
    assert {pair["verdict"] for _, pair in all_pairs(result)} == {"measured"}
    plain = run_hand(tmp_path / "y", *films, *SPACING, "--only", "PIP3", "MCP3")
    assert joint_of(result, "MCP3") == joint_of(plain, "MCP3")
    assert joint_of(result, "PIP3") != joint_of(plain, "PIP3")


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_points_that_were_placed_in_slicer_are_the_same_pixels(films, earlier, tmp_path, system):
    sign = 1.0 if system == "LPS" else -1.0
    points = [
        {
            "label": joint["name"] if visit == 0 else f"{joint['name']}_{visit}",
            "position": [sign * HAND_SPACING_MM * c for c in joint["position_px"]] + [0.0],
            "positionStatus": "defined",
        }
        for visit, joints in enumerate(json.loads((earlier / "joints.json").read_text("utf-8"))["visits"])
        for joint in joints
    ]
    markups = {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]}
    (tmp_path / "points.mrk.json").write_text(json.dumps(markups))
    options = ["--joints", tmp_path / "points.mrk.json", "--only", "MCP3", "PIP3", "DIP4"]
    result = run_hand(tmp_path / "x", *films, *SPACING, *options)
    for joint, pair in all_pairs(result):
        there = pair_of(load(earlier), joint["name"])
        assert np.hypot(*np.subtract(pair["origin_px"], there["origin_px"])) * HAND_SPACING_MM < 0.3
        assert abs(pair["change_mm"] - there["change_mm"]) < 0.03


def test_a_joint_that_the_films_do_not_show_there_is_listed_with_a_reason(films, tmp_path):
    """A position beside the hand: the job goes on, and the joint is not called measured."""
    pixels = hand().films[0].copy()
    pixels[:150, :80] = np.random.default_rng(1).normal(20, 3, (150, 80))
    first = write_picture(tmp_path / "first.png", pixels)
    joints = [[{"name": "DIP5", "position_px": [40, 60], "axis": [0, -1]}]] * 2
    (tmp_path / "joints.json").write_text(json.dumps(joints))
    result = run_hand(tmp_path / "x", first, films[1], *SPACING, "--joints", tmp_path / "joints.json", "--only", "DIP5")
    pair = pair_of(result, "DIP5")
    assert pair["verdict"] == "not_measurable"
    assert pair["reason"]
    assert pair["change_mm"] is pair["change_px"] is None
