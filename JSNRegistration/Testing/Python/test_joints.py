"""The joints file: what is written is read, Slicer's frames are kept apart, bad files are refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.joint_files import pixels_of, read_joints
from JSNRegistrationLib.joints import CROP_JOINT, JOINT_NAMES, PA, Hand, Joint, ijk_to_ras, write_joints
from JSNRegistrationLib.radiograph import Radiograph

ROWS, COLUMNS = 300, 200


def film(spacing_mm: float | None = 0.15, side: str | None = None) -> Radiograph:
    pixels = np.zeros((ROWS, COLUMNS), np.float32)
    return Radiograph(pixels, spacing_mm, "user", Path("film.png"), "", None, side, None, (0.0, 1.0))


def nothing_found(_film: Radiograph) -> list[Hand]:
    return []


def hand(*joints: Joint, side: str | None = "left") -> Hand:
    return Hand(side, PA, joints, 0.9)


def joint(name: str = "MCP2", position=(100.0, 150.0), axis=(0.0, -1.0), **more) -> Joint:
    return Joint(name, "left", position, axis, **more)


def written(folder: Path, content: object) -> Path:
    path = folder / "joints.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def markups(points: dict[str, tuple[float, float, float]], system: str = "LPS") -> dict:
    control = [
        {"id": str(k), "label": n, "position": list(p), "positionStatus": "defined"}
        for k, (n, p) in enumerate(points.items())
    ]
    return {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": control}]}


places = st.tuples(st.floats(0, COLUMNS - 1), st.floats(0, ROWS - 1))
angles = st.floats(0, 2 * np.pi)


@given(
    names=st.lists(st.sampled_from(JOINT_NAMES), unique=True, max_size=5),
    place=places,
    angle=angles,
    side=st.sampled_from(["left", "right", None]),
    polygon=st.booleans(),
)
def test_what_is_written_is_read_again(tmp_path_factory, names, place, angle, side, polygon):
    outline = np.array([[1.0, 2.0], [3.5, 2.0], [3.0, 9.25]]) if polygon else None
    axis = (float(np.cos(angle)), float(np.sin(angle)))
    visits = [[Joint(n, side, place, axis, 40.0, outline, None, 0.5) for n in names] for _ in range(2)]
    path = tmp_path_factory.mktemp("joints") / "joints.json"
    write_joints(path, visits)
    again = read_joints(path, [film(), film()], nothing_found)
    assert [[j.name for j in v] for v in again] == [names, names]
    for before, after in zip(chain(*visits), chain(*again), strict=True):
        assert after.position_px == before.position_px
        assert after.axis == pytest.approx(before.axis, abs=1e-12)
        assert (after.side, after.width_px, after.confidence) == (side, 40.0, 0.5)
        assert after.lower is None
        assert (after.upper is None) == (not polygon)
        if polygon:
            np.testing.assert_array_equal(after.upper, outline)


def test_a_bare_list_of_lists_is_read_as_well(tmp_path):
    path = written(tmp_path, [[{"name": "pip3", "side": "L", "position_px": [5, 6], "axis": [0, -2]}]])
    (only,) = read_joints(path, [film()], nothing_found)[0]
    assert (only.name, only.side, only.position_px, only.axis) == ("PIP3", "left", (5.0, 6.0), (0.0, -1.0))


@given(place=places, spacing=st.one_of(st.none(), st.floats(0.05, 0.4)))
def test_a_point_in_ras_and_the_same_in_lps_are_the_pixel_of_the_films_own_matrix(place, spacing):
    on_film = film(spacing)
    ras = (ijk_to_ras(on_film) @ [*place, 0.0, 1.0])[:3]
    s = spacing or 1.0
    np.testing.assert_allclose(ras, [-s * place[0], -s * place[1], 0.0], atol=1e-12)
    assert pixels_of(ras, "RAS", on_film) == pytest.approx(place, abs=1e-9)
    assert pixels_of(ras * [-1, -1, 1], "LPS", on_film) == pytest.approx(place, abs=1e-9)


@pytest.mark.parametrize(("system", "sign"), [("LPS", 1), ("RAS", -1), (None, 1)])
def test_slicer_points_are_read_for_the_visit_of_their_label(tmp_path, system, sign):
    points = {
        "MCP2": (15.0 * sign, 30.0 * sign, 0),
        "PIP2": (15.0 * sign, 15.0 * sign, 0),
        "MCP2_1": (20.0 * sign, 40.0 * sign, 0),
        "PIP2_1": (10.0 * sign, 40.0 * sign, 0),
    }
    content = markups(points, system or "LPS")
    if system is None:
        del content["markups"][0]["coordinateSystem"]
    path = written(tmp_path, content)
    first, second = read_joints(path, [film(0.15, "right"), film(0.2)], nothing_found)
    assert [j.position_px for j in first] == [pytest.approx((100, 200)), pytest.approx((100, 100))]
    assert [j.position_px for j in second] == [pytest.approx((100, 200)), pytest.approx((50, 200))]
    assert [j.side for j in first + second] == ["right", "right", None, None]
    # No axis in a point: along the finger, from the joint nearer to the palm to the one nearer to the tip.
    assert [j.axis for j in first + second] == [pytest.approx(a) for a in [(0, -1)] * 2 + [(-1, 0)] * 2]


def test_a_label_may_begin_with_its_side(tmp_path):
    points = {"L_MCP2_1": (15.0, 30.0, 0), "R_MCP2_1": (3.0, 30.0, 0), "l_pip2_1": (15, 3, 0), "R_PIP2_1": (3, 3, 0)}
    path = written(tmp_path, markups(points))
    first, second = read_joints(path, [film(), film()], nothing_found)
    assert first == []
    assert [(j.side, j.name) for j in second] == [
        *[("left", "MCP2"), ("right", "MCP2"), ("left", "PIP2"), ("right", "PIP2")],
    ]
    assert [j.axis for j in second] == [pytest.approx((0, -1))] * 4  # along its own finger, not to the other hand's


def test_points_not_yet_placed_are_passed_over(tmp_path):
    content = markups({"MCP2": (3, 30, 0), "PIP2": (3, 3, 0), "F-3": (0, 0, 0)})
    content["markups"][0]["controlPoints"][2]["positionStatus"] = "undefined"
    assert [j.name for j in read_joints(written(tmp_path, content), [film()], nothing_found)[0]] == ["MCP2", "PIP2"]


def test_an_axis_that_the_file_does_not_give_comes_from_the_finder(tmp_path):
    path = written(tmp_path, markups({"MCP2": (15, 30, 0)}))
    seen = joint(position=(101, 202), axis=(0.6, -0.8), width_px=33.0)
    (only,) = read_joints(path, [film()], lambda _: [hand(seen)])[0]
    assert (only.position_px, only.axis, only.width_px) == (pytest.approx((100, 200)), (0.6, -0.8), 33.0)


def test_a_joint_given_for_the_first_visit_is_carried_with_its_place_relative_to_the_joint_found(tmp_path):
    first, second = film(), film()
    seen = {
        id(first): joint(position=(100.0, 150.0), axis=(0.0, -1.0), width_px=40.0, confidence=0.9),
        id(second): joint(position=(60.0, 80.0), axis=(1.0, 0.0), width_px=80.0, confidence=0.7),
    }
    path = tmp_path / "joints.json"
    # 4 px towards the tip and 3 px to the right of the axis.
    write_joints(path, [[joint(position=(103.0, 146.0), axis=(0.0, -1.0))]])
    _, (carried,) = read_joints(path, [first, second], lambda f: [hand(seen[id(f)])])
    assert carried.position_px == pytest.approx((60 + 8, 80 + 6))
    assert carried.axis == pytest.approx((1.0, 0.0))
    assert (carried.width_px, carried.confidence) == (80.0, 0.7)


def test_a_joint_that_cannot_be_carried_stays_absent(tmp_path):
    path = tmp_path / "joints.json"
    write_joints(path, [[joint(), joint(CROP_JOINT)]])
    assert [len(v) for v in read_joints(path, [film(), film()], nothing_found)] == [2, 0]


def test_a_joint_of_a_film_of_two_hands_is_carried_with_its_own_hand(tmp_path):
    first, second = film(), film()
    seen = {
        id(first): [hand(joint(position=(50.0, 150.0))), hand(joint(position=(150.0, 150.0)), side="right")],
        id(second): [hand(joint(position=(60.0, 100.0))), hand(joint(position=(140.0, 200.0)), side="right")],
    }
    path = tmp_path / "joints.json"
    write_joints(path, [[replace(joint(position=(153.0, 149.0)), side="right")]])
    _, (carried,) = read_joints(path, [first, second], lambda f: seen[id(f)])
    assert carried.side == "right"
    assert carried.position_px == pytest.approx((143.0, 199.0))


def test_a_joint_without_a_side_that_has_to_be_found_on_a_film_of_two_hands_is_refused(tmp_path):
    path = written(tmp_path, [[{"name": "MCP2", "position_px": [50, 50]}]])
    with pytest.raises(BadInput, match=r"no side, and film.png shows two hands; give its side \(in Slicer as L_MCP2\)"):
        read_joints(path, [film(), film()], lambda _: [hand(joint()), hand(joint(), side="right")])


def entry(**changes) -> dict:
    return {"name": "MCP2", "side": "left", "position_px": [100, 150], "axis": [0, -1]} | changes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{not json", "not valid JSON"),
        ([], "no list of joints"),
        ({"schema": "other/3", "visits": [[]]}, "schema"),
        ([[entry(), entry()]], "named twice"),
        ([[entry(), entry(side=None)]], "named twice"),
        ([[entry(name="MCP6")]], "no joint"),
        ([[{"position_px": [1, 2]}]], "no name"),
        ([[entry(position_px=[200.6, 10])]], "outside its film"),
        ([[entry(position_px=[10, -1])]], "outside its film"),
        ([[entry(position_px=[10])]], "position_px"),
        ([[entry(position_px=None)]], "position_px"),
        ([[entry(position_px=["a", "b"])]], "position_px"),
        ([[entry(position_px=[float("nan"), 1])]], "position_px"),
        ([[entry(axis=[0, 0])]], "is zero"),
        ([[entry(axis=None)]], "no axis"),
        ([[entry(side="up")]], "side"),
        ([[entry(upper=[[0, 0], [1, 1]])]], "three points"),
        ([[entry()], [entry()], [entry()]], "3 visits"),
        (markups({"X_MCP2": (3, 3, 0)}), "label"),
        (markups({"MCP2_7": (3, 3, 0)}), "visit 7"),
        (markups({"F-1": (3, 3, 0)}), "label"),
        (markups({"MCP2": (3, 3, 0), "MCP2_0": (3, 3, 0)}), "named twice"),
        (markups({"MCP2": (-3, 3, 0)}), "outside its film"),
        (markups({"MCP2": (3, 3, 0)}, "XYZ"), "coordinate system"),
        (markups({}), "no placed point"),
        ({"markups": [{"controlPoints": [1]}]}, "control points"),
    ],
)
def test_a_bad_joints_file_is_refused_with_one_sentence_that_names_it(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(BadInput, match=says) as refused:
        read_joints(path, [film(), film()], nothing_found)
    sentence = str(refused.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_missing_joints_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_joints(tmp_path / "nowhere.json", [film()], nothing_found)


def test_fourteen_joints_have_names():
    assert len(JOINT_NAMES) == len(set(JOINT_NAMES)) == 14
    assert replace(joint(), name="IP1").name in JOINT_NAMES
