"""The published schema of the hand job's result.json: it takes a good result and refuses every incomplete one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from synthetic_result import show_both_hands, write_synthetic_result

MEASURED, NOT_MEASURABLE = "MCP2", "PIP3"


@pytest.fixture(scope="module")
def validator(repository: Path) -> Draft202012Validator:
    path = repository / "JSNRegistration" / "JSNRegistrationLib" / "hand_result.schema.json"
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """A result with known spacing and one without, three visits each."""
    made = {}
    for name, spacing in (("mm", 0.3), ("px", None)):
        folder = tmp_path_factory.mktemp(name)
        write_synthetic_result(folder, visits=3, spacing_mm=spacing)
        made[name] = json.loads((folder / "result.json").read_text("utf-8"))
    return made


@pytest.fixture
def result(results: dict[str, dict]) -> dict:
    return copy.deepcopy(results["mm"])


def joint(result: dict, name: str) -> dict:
    return next(j for j in result["joints"] if j["name"] == name)


def pair(result: dict, name: str = MEASURED) -> dict:
    """The pair of that joint with the last visit, where PIP3 is not found."""
    return joint(result, name)["pairs"][-1]


def places(result: dict) -> dict[str, dict]:
    return {
        "result": result,
        "input": result["inputs"][0],
        "visit": result["visits"][0],
        "hand": result["visits"][0]["hands"][0],
        "joint": joint(result, MEASURED),
        "visit of a joint": joint(result, MEASURED)["visits"][0],
        "pair": pair(result),
        "pair that is not measurable": pair(result, NOT_MEASURABLE),
        "pairwise": pair(result)["pairwise"],
        "quality": pair(result)["quality"],
        "mean of a hand": result["hands"][0],
        "mean": result["hands"][0]["pairs"][0],  # of three joints; later pairs have two
        "mean of too few": result["hands"][0]["pairs"][-1],
    }


@pytest.mark.parametrize("spacing", ["mm", "px"])
def test_a_whole_result_is_valid(validator, results, spacing):
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(results[spacing])]
    assert errors == []


def test_a_result_of_both_hands_is_valid(validator, tmp_path):
    folder = show_both_hands(write_synthetic_result(tmp_path / "result"))
    assert validator.is_valid(json.loads((folder / "result.json").read_text("utf-8")))


PLACES = [
    "result",
    "input",
    "visit",
    "hand",
    "joint",
    "visit of a joint",
    "pair",
    "pairwise",
    "quality",
    "mean of a hand",
    "mean",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_field_may_be_missing(validator, result, place):
    assert validator.is_valid(result)
    for field in list(places(result)[place]):
        incomplete = copy.deepcopy(result)
        del places(incomplete)[place][field]
        assert not validator.is_valid(incomplete), f"{place} without {field} passed"


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ("result", "schema", "jointquant-hand/2"),
        ("result", "sign_convention", "positive is narrower"),
        ("input", "sha256", "abc"),
        ("visit", "spacing_mm", 0),
        ("visit", "spacing_mm", None),
        ("visit", "date", "31.01.2011"),
        ("visit", "side", "L"),
        ("visit", "hands", None),
        ("hand", "view", "lateral"),
        ("hand", "confidence", 1.2),
        ("hand", "finder", "reader"),
        ("joint", "name", "MCP6"),
        ("visit of a joint", "position_px", [1.0]),
        ("visit of a joint", "position_px", None),
        ("visit of a joint", "width_se_mm", -0.1),
        ("pair", "verdict", "good"),
        ("pair", "upper_motion", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("pair", "change_px", None),
        ("pair", "change_px", "-0.3 mm"),
        ("pair", "se_mm", None),
        ("pair", "interval_mm", [0.0]),
        ("pair", "profile_px", [0.0, 0.0, 0.0]),
        ("pair", "profile_order", "left to right"),
        ("pair", "reason", "a measured joint has nothing to excuse"),
        ("pair", "change_per_year_interval_mm", None),
        ("pair", "sdc_px", None),
        ("pair", "sdc_mm", -0.1),
        ("pair", "beyond_sdc", None),
        ("mean", "change_px", None),
        ("mean", "interval_mm", None),
        ("mean", "joints", ["MCP2", "MCP2", "MCP3"]),
        ("mean", "i_squared", 1.2),
        ("mean", "change_per_year_interval_mm", None),
        ("mean of too few", "change_mm", -0.1),
        ("pair that is not measurable", "sdc_mm", 0.1),
        ("pair that is not measurable", "reason", ""),
        ("pair that is not measurable", "change_mm", 0.0),
    ],
)
def test_a_value_without_its_meaning_is_refused(validator, result, place, field, value):
    assert validator.is_valid(result)
    places(result)[place][field] = value
    assert not validator.is_valid(result)


def test_millimetres_without_a_known_spacing_are_refused(validator, results):
    result = copy.deepcopy(results["px"])
    assert validator.is_valid(result)
    assert result["visits"][0]["spacing_source"] == "unknown"
    result["visits"][0]["spacing_mm"] = 0.15
    assert not validator.is_valid(result)
