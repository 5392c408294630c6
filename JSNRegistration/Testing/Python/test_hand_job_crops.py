"""The whole job on films that each show one joint, with and without masks of its bones, and without a spacing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from film_files import dicom, write
from hand_jobs import JOINT_SPACING_MM, LARGEST_ERROR_MM, error_mm, joint, pair_of, run_hand, write_joint, write_masks
from PIL import Image

from JSNRegistrationLib.motion import compose, inverse

SPACING = ("--spacing", JOINT_SPACING_MM)
MILLIMETRES = re.compile(r"[\d.]\s*(mm\b|millimet)", re.IGNORECASE)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_joint(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    return write_masks(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def unknown(films, tmp_path_factory) -> Path:
    """A result in pixels, with everything that is drawn."""
    out = tmp_path_factory.mktemp("unknown") / "result"
    run_hand(out, *films, "--joint-crop", pictures=True)
    return out


def error(pair: dict, from_visit: int = 0, to_visit: int = 1) -> float:
    """Measured minus true change in mm."""
    motions = [
        compose(motion[to_visit], inverse(motion[from_visit]))
        for motion in (joint().upper_motion, joint().lower_motion)
    ]
    return error_mm(pair, *motions, JOINT_SPACING_MM)


def test_a_crop_needs_nothing_but_its_films(films, tmp_path):
    result = run_hand(tmp_path / "x", *films, "--joint-crop", *SPACING)
    assert [entry["name"] for entry in result["joints"]] == ["JOINT"]
    pair = pair_of(result, "JOINT")
    assert pair["verdict"] == "measured"
    assert pair["profile_order"] == "image left to right"
    assert abs(error(pair)) < LARGEST_ERROR_MM


def test_masks_name_and_side_are_used(films, masks, tmp_path):
    upper, lower = masks
    options = ["--upper-mask", *upper, "--lower-mask", *lower, "--name", "mcp3", "--side", "R"]
    result = run_hand(tmp_path / "x", *films, "--joint-crop", *options, *SPACING)
    pair = pair_of(result, "MCP3")
    assert result["joints"][0]["side"] == "right"
    assert pair["profile_order"] == "radial to ulnar"
    assert pair["verdict"] == "measured"
    assert abs(error(pair)) < LARGEST_ERROR_MM
    for visit, outlines in enumerate(result["joints"][0]["visits"]):
        for bone, drawn in (("upper", joint().upper_masks), ("lower", joint().lower_masks)):
            ys, xs = np.nonzero(drawn[visit])
            points = np.array(outlines[bone])
            assert np.allclose(points.min(axis=0), [xs.min(), ys.min()], atol=1.5)
            assert np.allclose(points.max(axis=0), [xs.max(), ys.max()], atol=1.5)


def test_with_masks_the_finger_may_point_anywhere(films, masks, tmp_path):
    """All turned by a quarter: without masks such a film is refused, see the tests of bad input."""

    def turned(paths: list[Path]) -> list[Path]:
        made = [tmp_path / path.name for path in paths]
        for path, new in zip(paths, made, strict=True):
            Image.fromarray(np.rot90(np.asarray(Image.open(path))).copy()).save(new)
        return made

    upper, lower = masks
    options = ["--joint-crop", *SPACING, "--upper-mask"]
    upright = run_hand(tmp_path / "up", *films, *options, *upper, "--lower-mask", *lower)
    lying = run_hand(tmp_path / "lying", *turned(films), *options, *turned(upper), "--lower-mask", *turned(lower))
    assert pair_of(lying, "JOINT")["change_mm"] == pytest.approx(pair_of(upright, "JOINT")["change_mm"], abs=0.01)
    assert pair_of(lying, "JOINT")["tilt_deg"] == pytest.approx(pair_of(upright, "JOINT")["tilt_deg"], abs=0.1)


def test_swapped_visits_give_the_opposite_change(films, tmp_path):
    pair = pair_of(run_hand(tmp_path / "x", *films[::-1], "--joint-crop", *SPACING), "JOINT")
    assert pair["change_mm"] > 0.3
    assert abs(error(pair, 1, 0)) < LARGEST_ERROR_MM


def test_a_side_that_the_films_contradict_is_used_with_a_warning(tmp_path):
    paths = [
        write(dicom(film.astype(np.uint16) * 16, Laterality="L"), tmp_path / f"{visit}.dcm")
        for visit, film in enumerate(joint().films)
    ]
    result = run_hand(tmp_path / "x", *paths, "--joint-crop", "--side", "right")
    assert result["joints"][0]["side"] == "right"
    assert sum("left side by its Laterality" in warning for warning in result["warnings"]) == 2


def test_the_joints_json_of_a_crop_can_be_fed_back(films, unknown, tmp_path):
    again = run_hand(tmp_path / "x", *films, "--joints", unknown / "joints.json", *SPACING)
    assert abs(error(pair_of(again, "JOINT"))) < LARGEST_ERROR_MM


# ------------------------------------------------------------------------------------------------------ without spacing


def test_without_a_spacing_the_change_is_in_pixels(unknown):
    result = json.loads((unknown / "result.json").read_text("utf-8"))
    pair = pair_of(result, "JOINT")
    assert pair["verdict"] == "measured"
    assert abs(error(pair)) < LARGEST_ERROR_MM
    assert pair["interval_px"][0] < pair["change_px"] < pair["interval_px"][1]
    assert [visit["spacing_source"] for visit in result["visits"]] == ["unknown", "unknown"]
    assert any("in pixels" in warning for warning in result["warnings"])


def numbers_in_mm(value: object, name: str = "") -> list[str]:
    """Names of fields in mm that hold a number."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in numbers_in_mm(item, key)]
    if isinstance(value, list):
        return [found for item in value for found in numbers_in_mm(item, name)]
    return [name] if name.endswith("_mm") and value is not None else []


def test_without_a_spacing_nothing_is_given_in_millimetres(unknown):
    result = json.loads((unknown / "result.json").read_text("utf-8"))
    assert numbers_in_mm(result) == []
    assert not MILLIMETRES.search((unknown / "result.json").read_text("utf-8"))
    titles, *rows = (line.split(",") for line in (unknown / "joints.csv").read_text("utf-8").splitlines())
    for row in rows:
        assert [title for title, cell in zip(titles, row, strict=True) if title.endswith("_mm") and cell] == []
    page = (unknown / "report.html").read_text("utf-8")
    seen = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not MILLIMETRES.search(seen), MILLIMETRES.search(seen)
    assert " px" in seen


def test_the_words_of_millimetres_are_found_by_these_tests():
    assert numbers_in_mm({"joints": [{"interval_mm": [None, 0.1]}]}) == ["interval_mm"]
    assert MILLIMETRES.search("changed by -0.40 mm")
    assert not MILLIMETRES.search("changed by -0.40 px, no spacing in mm")
