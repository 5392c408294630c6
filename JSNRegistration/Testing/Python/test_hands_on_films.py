"""Which hands a job measures: told by their side, chosen, missing, turned, and corrected by a file.

What a finder sees is said by the tests: the finders have tests of their own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from JointQuantLib.errors import BadInput
from JSNRegistrationLib import hands_on_films as module
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.hands_on_films import DEDUCED_SIDE, HandsOnFilms, hands_on_films
from JSNRegistrationLib.joint_correspondence import USUAL_PLACES_MM
from JSNRegistrationLib.joints import JOINT_NAMES, OBLIQUE, PA, Hand, Joint
from JSNRegistrationLib.joints_on_films import NOT_FOUND, OTHER_VIEW, joints_on_films
from JSNRegistrationLib.radiograph import Radiograph

SHAPE = (500, 1000)
MIDDLE = {"left": (250, 250), "right": (750, 250)}  # of the hands on a film


def hand(side: str | None, place: str = "left", view: str = PA, confidence: float = 0.9) -> Hand:
    """A hand with all its joints, left or right on the film."""
    joints = tuple(
        Joint(name, side, tuple(np.add(MIDDLE[place], np.multiply(2.0, mm)).tolist()), (0.0, -1.0), 25.0)
        for name, mm in USUAL_PLACES_MM.items()
    )
    return Hand(side, view, joints, confidence)


LEFT, RIGHT = hand("left"), hand("right", "right")


def film(name: str, side: str | None = None) -> Radiograph:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = (np.sin(x / 20) + np.cos(y / 15)).astype(np.float32)
    return Radiograph(pixels, 0.5, "user", Path(name), name, None, side, None, (0.0, 1.0))


@pytest.fixture
def followed(monkeypatch):
    """Follow the hands that are seen on each film."""

    def follow(*seen: tuple[Hand, ...], sides: tuple = (), **request) -> tuple[HandRequest, list, HandsOnFilms]:
        sides = sides or (None,) * len(seen)
        films = [film(f"film_{k}.png", side) for k, side in enumerate(sides)]
        by_path = {one.path: hands for one, hands in zip(films, seen, strict=True)}
        monkeypatch.setattr(module, "find_hands", lambda one, _device: by_path[one.path])
        asked = HandRequest(tuple(one.path for one in films), **request)
        return asked, films, hands_on_films(asked, films)

    return follow


def written(folder: Path, *visits: list[dict]) -> Path:
    path = folder / "joints.json"
    path.write_text(json.dumps(list(visits)))
    return path


def given(name: str, position, **more) -> dict:
    return {"name": name, "position_px": list(position), "axis": [0, -1]} | more


def place_of(hands: HandsOnFilms, side: str | None, name: str, visit: int = 0) -> tuple[float, float] | None:
    (own,) = [one for one in hands.hands if one.side == side]
    return next((joint.position_px for joint in own.joints[visit] if joint.name == name), None)


def position(of: Hand, name: str) -> tuple[float, float]:
    return next(joint.position_px for joint in of.joints if joint.name == name)


# ---------------------------------------------------------------------------------------------------------- both hands


def test_two_hands_are_followed_by_their_side_wherever_they_lie(followed):
    swapped = (hand("right"), hand("left", "right"))
    *_, hands = followed((LEFT, RIGHT), swapped)
    assert [one.side for one in hands.hands] == ["left", "right"]
    assert place_of(hands, "left", "MCP2", 0) == position(LEFT, "MCP2")
    assert place_of(hands, "left", "MCP2", 1) == position(swapped[1], "MCP2")
    assert all(one.names == list(JOINT_NAMES) for one in hands.hands)


def test_a_hand_that_one_film_does_not_show_is_not_found_there(followed):
    request, films, hands = followed((LEFT, RIGHT), (hand("right"),))
    joints = joints_on_films(request, films, hands.hands)
    assert len(joints) == 28
    for key, seen in joints.items():
        assert (seen[0].crop is not None, seen[1].crop is not None) == (True, key.side == "right")
        assert seen[1].reason == (NOT_FOUND if key.side == "left" else None)


def test_the_side_chooses_one_of_two_hands(followed):
    request, films, hands = followed((LEFT, RIGHT), (LEFT, RIGHT), side="right", only=("PIP3",))
    assert [str(key) for key in joints_on_films(request, films, hands.hands)] == ["right PIP3"]
    assert place_of(hands, "right", "PIP3") == position(RIGHT, "PIP3")


def test_a_side_that_no_film_shows_is_refused(followed):
    unknown = (hand(None), hand(None, "right"))
    with pytest.raises(BadInput, match="No right hand was found on film_0"):
        followed(unknown, unknown, side="right")


def test_a_hand_of_unknown_side_beside_a_known_one_is_the_other(followed):
    *_, hands = followed((hand(None), RIGHT), (LEFT, RIGHT))
    assert [one.side for one in hands.hands] == ["left", "right"]
    assert place_of(hands, "left", "MCP5") == position(LEFT, "MCP5")


def test_of_two_hands_of_one_side_the_surer_is_measured_and_it_is_said(followed):
    *_, hands = followed((hand("left", confidence=0.4), hand("left", "right", confidence=0.8)), (LEFT, RIGHT))
    assert place_of(hands, "left", "IP1") == position(hand("left", "right"), "IP1")
    assert any("film_0.png shows two hands that look like one side" in warning for warning in hands.warnings)


# ------------------------------------------------------------------------------------------------------------ one hand


def test_the_side_of_films_of_one_hand_is_the_one_that_is_asked_for(followed):
    *_, hands = followed((LEFT,), (LEFT,), side="right")
    assert [one.side for one in hands.hands] == ["right"]
    assert {joint.side for joint in hands.hands[0].joints[1]} == {"right"}
    assert hands.warnings == ()


def test_a_side_that_is_only_read_from_the_picture_is_said_once(followed):
    *_, hands = followed((LEFT,), (LEFT,), (LEFT,))
    assert hands.warnings == (DEDUCED_SIDE,)
    *_, hands = followed((LEFT, RIGHT), (LEFT, RIGHT))
    assert hands.warnings == (DEDUCED_SIDE,)


def test_the_side_of_a_film_wins_over_the_picture_and_needs_no_warning(followed):
    *_, hands = followed((LEFT,), (LEFT,), sides=(None, "right"))
    assert [one.side for one in hands.hands] == ["right"]
    assert hands.warnings == ()


def test_films_of_one_hand_that_look_like_two_sides_are_compared_with_a_warning(followed):
    request, films, hands = followed((hand("left", confidence=0.5),), (hand("right"),))
    assert [one.side for one in hands.hands] == ["right"]
    assert len(joints_on_films(request, films, hands.hands)) == 14
    assert any("visit 1 left, visit 2 right" in warning for warning in hands.warnings)


def test_a_film_without_a_hand_is_refused(followed):
    with pytest.raises(BadInput, match="No finger joint was found on film_1"):
        followed((LEFT,), ())


# ----------------------------------------------------------------------------------------------------------- the view


def test_a_turned_hand_gives_a_warning_and_its_joints_are_doubted_against_other_views(followed):
    oblique = hand("left", view=OBLIQUE)
    request, films, hands = followed((LEFT,), (oblique,), (oblique,), only=("MCP2",))
    assert [warning for warning in hands.warnings if "oblique" in warning] == [
        f"Visit {visit} (film_{visit - 1}.png): the left hand is turned (oblique view); joint spaces are "
        "foreshortened, compare only with an oblique film."
        for visit in (2, 3)
    ]
    (seen,) = joints_on_films(request, films, hands.hands).values()
    assert [dict(one.unlike) for one in seen] == [{}, {0: OTHER_VIEW}, {0: OTHER_VIEW}]


def test_a_joint_that_lies_elsewhere_is_doubted_against_the_visits_it_contradicts(followed, tmp_path):
    wrong = np.add(position(LEFT, "PIP3"), (40.0, 0.0))
    path = written(tmp_path, [], [given("PIP3", wrong, side="left")], [])
    request, films, hands = followed((LEFT,), (LEFT,), (LEFT,), joints=path)
    seen = {key.name: seen for key, seen in joints_on_films(request, films, hands.hands).items()}
    assert [sorted(one.unlike) for one in seen["PIP3"]] == [[], [0], [1]]
    assert "elsewhere on the hand than in visit 2" in seen["PIP3"][2].unlike[1]
    assert all(not one.unlike and not one.doubt for name in ("MCP3", "DIP3", "PIP2") for one in seen[name])


# ----------------------------------------------------------------------------------------------------- joints of a file


def test_a_joint_of_the_file_replaces_the_found_one_of_its_name_and_side(followed, tmp_path):
    path = written(tmp_path, [given("MCP2", (760, 240), side="right")], [])
    *_, hands = followed((LEFT, RIGHT), (LEFT, RIGHT), joints=path)
    assert place_of(hands, "right", "MCP2") == (760.0, 240.0)
    assert place_of(hands, "left", "MCP2") == position(LEFT, "MCP2")
    assert place_of(hands, "right", "MCP3") == position(RIGHT, "MCP3")
    assert [one.given for one in hands.hands] == [frozenset(), {"MCP2"}]
    assert all(len(one.joints[0]) == 14 for one in hands.hands)


def test_a_joint_without_a_side_on_a_film_of_two_hands_is_refused(followed, tmp_path):
    path = written(tmp_path, [given("DIP2", (300, 240))], [given("DIP2", (300, 240))])
    with pytest.raises(BadInput, match=r"joint DIP2 has no side, and film_0\.png shows two hands; give its side"):
        followed((LEFT, RIGHT), (LEFT,), joints=path)
    *_, hands = followed((LEFT, RIGHT), (LEFT,), joints=path, side="left")
    assert place_of(hands, "left", "DIP2") == (300.0, 240.0)
    *_, hands = followed((LEFT,), (LEFT,), joints=path)  # no choice
    assert place_of(hands, "left", "DIP2") == (300.0, 240.0)


def test_where_nothing_is_found_the_joints_of_the_file_alone_are_measured(followed, tmp_path):
    path = written(tmp_path, [given("MCP2", (300, 240)), given("PIP2", (300, 200))], [given("MCP2", (310, 240))])
    request, films, hands = followed((), (), joints=path)
    joints = joints_on_films(request, films, hands.hands)
    assert [str(key) for key in joints] == ["MCP2", "PIP2"]
    assert [[one.crop is not None for one in seen] for seen in joints.values()] == [[True, True], [True, False]]


def test_a_film_on_which_nothing_is_found_takes_the_joints_of_the_file(followed, tmp_path):
    path = written(tmp_path, [], [given("MCP2", (300, 240))])
    request, films, hands = followed((LEFT,), (), joints=path)
    joints = joints_on_films(request, films, hands.hands)
    assert len(joints) == 14
    assert [str(key) for key, (_, later) in joints.items() if later.crop is not None] == ["left MCP2"]


def test_a_file_of_the_joint_of_a_picture_gives_that_joint_only(followed, tmp_path):
    path = written(tmp_path, [given("JOINT", (300, 240), side="R")], [given("JOINT", (310, 240))])
    request, films, hands = followed((LEFT,), (LEFT,), joints=path)
    assert [str(key) for key in joints_on_films(request, films, hands.hands)] == ["right JOINT"]
    assert hands.finder is None


def test_the_side_in_a_file_corrects_the_picture(followed, tmp_path):
    """The joint lies on the hand that was found: it is this hand, and of the side that the user says."""
    path = written(tmp_path, [given("MCP2", position(LEFT, "MCP2"), side="right")], [])
    *_, hands = followed((LEFT,), (LEFT,), joints=path)
    assert [one.side for one in hands.hands] == ["right"]
    assert hands.warnings == ()
    assert place_of(hands, "right", "MCP2", 1) == position(LEFT, "MCP2")  # carried


def test_a_joint_beside_the_hand_that_was_found_is_of_the_other_hand(followed, tmp_path):
    path = written(tmp_path, [given("MCP2", position(RIGHT, "MCP2"), side="right")], [])
    request, films, hands = followed((LEFT,), (LEFT,), joints=path)
    keys = [str(key) for key in joints_on_films(request, films, hands.hands)]
    assert keys == [f"left {name}" for name in JOINT_NAMES] + ["right MCP2"]
    assert place_of(hands, "left", "MCP2") == position(LEFT, "MCP2")
