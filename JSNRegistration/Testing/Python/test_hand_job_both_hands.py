"""The whole job on films of both hands: each joint by its side and name, in numbers, maps, files and report.

Where the hands lie is said by their truth, not by a finder: those have tests of their own.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hand_jobs import HAND_SPACING_MM, LARGEST_ERROR_MM, error_mm, hand, read_map, run_hand, write_picture

from JointQuantLib.report import write_report
from JSNRegistrationLib import hands_on_films
from JSNRegistrationLib.joints import PA, Hand, Joint
from JSNRegistrationLib.motion import compose
from JSNRegistrationLib.simulation import SimulatedHand, simulate_hand

SPACING = ("--spacing", HAND_SPACING_MM)
ONLY = ("--only", "MCP4", "PIP3")
VISITS = 2


@cache
def right() -> SimulatedHand:
    return simulate_hand(12, spacing_mm=HAND_SPACING_MM, visits=VISITS, side="right", changes_mm={"MCP4": (-0.45,)})


def away() -> float:
    """By how much the right hand lies to the right on the films of both, in pixels."""
    return float(hand().films[0].shape[1])


def seen(visit: int) -> tuple[Hand, ...]:
    """The true hands on a film of both, the thumbs in the middle."""
    return tuple(
        Hand(
            of.side,
            PA,
            tuple(
                Joint(joint.name, of.side, (joint.position_px[0] + shift, joint.position_px[1]), joint.axis)
                for joint in of.joints[visit]
            ),
            0.9,
        )
        for of, shift in ((hand(), 0.0), (right(), away()))
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [
        write_picture(folder / f"both_{visit}.png", np.hstack([hand().films[visit], right().films[visit]]))
        for visit in range(VISITS)
    ]


@pytest.fixture(scope="module", autouse=True)
def _finder_that_knows(films):
    names = [path.name for path in films]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hands_on_films, "find_hands", lambda film, _device: seen(names.index(film.path.name)))
        yield


@pytest.fixture(scope="module")
def both(films, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("both") / "result"
    run_hand(out, *films, *SPACING, *ONLY)
    return out


def load(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text("utf-8"))


def joint_of(result: dict, side: str, name: str) -> dict:
    (joint,) = [joint for joint in result["joints"] if (joint["side"], joint["name"]) == (side, name)]
    return joint


def test_every_joint_is_measured_in_both_hands_with_its_own_change(both):
    result = load(both)
    assert [(joint["side"], joint["name"]) for joint in result["joints"]] == [
        *[("left", "MCP4"), ("left", "PIP3"), ("right", "MCP4"), ("right", "PIP3")],
    ]
    there, back = ([[1, 0, shift], [0, 1, 0]] for shift in (away(), -away()))
    for joint in result["joints"]:
        (pair,) = joint["pairs"]
        motions = (hand() if joint["side"] == "left" else right()).joint_motions(joint["name"], 0, 1)
        if joint["side"] == "right":
            motions = [compose(np.array(there, float), compose(motion, np.array(back, float))) for motion in motions]
        assert pair["verdict"] == "measured"
        assert pair["profile_order"] == "radial to ulnar"
        assert abs(error_mm(pair, *motions, HAND_SPACING_MM)) < LARGEST_ERROR_MM, joint
    assert joint_of(result, "right", "MCP4")["pairs"][0]["change_mm"] < -0.35


def test_the_hands_of_each_film_are_listed(both):
    for visit in load(both)["visits"]:
        assert [(one["side"], one["view"], one["confidence"]) for one in visit["hands"]] == [
            ("left", "PA", 0.9),
            ("right", "PA", 0.9),
        ]


def test_the_maps_show_the_joints_of_both_hands(both):
    result = load(both)
    loss = read_map(both / "loss_after_0_1.nrrd", result["visits"][0])
    for joint in result["joints"]:
        x, y = np.rint(joint["visits"][0]["position_px"]).astype(int)
        window = loss[y - 12 : y + 13, x - 12 : x + 13]
        assert (window >= 0).mean() > 0.3
        assert joint["pairs"][0]["quality"]["loss_after"] < 0.05


def test_the_report_tells_the_hands_apart(both):
    page = write_report(both).read_text("utf-8")
    for side in ("left", "right"):
        assert f'id="hand-{side}"' in page
        assert f"<h2>{side} MCP4" in page


def test_one_of_both_hands_can_be_chosen_and_is_the_same(films, both, tmp_path):
    one = run_hand(tmp_path / "x", *films, *SPACING, "--only", "MCP4", "--side", "right")
    assert one["joints"] == [joint_of(load(both), "right", "MCP4")]
    assert [hand["side"] for hand in one["visits"][0]["hands"]] == ["right"]


def test_the_joints_of_one_hand_are_measured_again_and_those_of_the_other_kept(films, both, tmp_path):
    place = seen(0)[1].joints[0].position_px  # of any joint: MCP1
    joints = [[{"name": "PIP3", "side": "right", "position_px": place, "axis": [0, -1]}]] * 2
    (tmp_path / "joints.json").write_text(json.dumps(joints))
    options = ["--joints", tmp_path / "joints.json", "--from", both, "--only", "PIP3", "--side", "right"]
    again, before = run_hand(tmp_path / "x", *films, *SPACING, *options), load(both)
    for side, name in (("left", "MCP4"), ("left", "PIP3"), ("right", "MCP4")):
        assert joint_of(again, side, name) == joint_of(before, side, name)
    moved = np.subtract(*(joint_of(one, "right", "PIP3")["visits"][0]["position_px"] for one in (again, before)))
    assert np.hypot(*moved) > 50
    kept, was = (read_map(out / "loss_after_0_1.nrrd", before["visits"][0]) for out in (tmp_path / "x", both))
    assert np.array_equal(kept[:, : int(away())], was[:, : int(away())])


def test_the_joints_json_of_both_hands_can_be_fed_back(films, both, tmp_path):
    again = run_hand(tmp_path / "x", *films, *SPACING, *ONLY, "--joints", both / "joints.json")
    for joint in again["joints"]:
        before = joint_of(load(both), joint["side"], joint["name"])
        assert abs(joint["pairs"][0]["change_mm"] - before["pairs"][0]["change_mm"]) < 0.02
