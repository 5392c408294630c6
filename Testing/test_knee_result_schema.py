"""The published schema of the knee job's result.json: it takes a good result and refuses every incomplete one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from synthetic_knee import write_synthetic_knee

MADE = {
    "right": {},
    "left": {"sides": ("left",)},
    "both": {"sides": ("right", "left")},
    "cut": {"femur": False},
    "metal": {"metal": True},
    "hostile name": {"ct_name": "<b>\"knee\" & 'co'</b>.nrrd"},
}


@pytest.fixture(scope="module")
def validator(repository: Path) -> Draft202012Validator:
    path = repository / "SubchondralBoneAnalysis" / "SubchondralBoneAnalysisLib" / "knee_result.schema.json"
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    made = {}
    for name, asked in MADE.items():
        folder = write_synthetic_knee(tmp_path_factory.mktemp("made") / "result", **asked)
        made[name] = json.loads((folder / "result.json").read_text("utf-8"))
    return made


@pytest.fixture
def result(results: dict[str, dict]) -> dict:
    return copy.deepcopy(results["right"])


def surface(result: dict, bone: str, place: int = 0) -> dict:
    return [row for row in result["knees"][0]["surfaces"] if row["bone"] == bone][place]


def places(result: dict) -> dict[str, dict]:
    knee = result["knees"][0]
    return {
        "result": result,
        "input": result["inputs"][0],
        "ct": result["ct"],
        "blur": result["ct"]["blur_in_plane"],
        "definitions": result["definitions"],
        "patch rule": result["parameters"]["patch_rule"],
        "knee": knee,
        "bone": knee["bones"][0],
        "frame": knee["frames"]["tibia"],
        "surface": surface(result, "tibia"),
        "surface of the femur": surface(result, "femur"),
        "surface that is too thin": surface(result, "tibia", -1),
        "region": knee["regions"][0],
        "region below the plate": next(row for row in knee["regions"] if row["from_surface"] == "plate"),
    }


@pytest.mark.parametrize("name", MADE)
def test_a_whole_result_is_valid(validator, results, name):
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(results[name])]
    assert errors == []


def test_what_is_not_known_of_the_image_may_be_null(validator, result):
    result["ct"] |= {"noise_sd_hu": None, "blur_in_plane": None, "blur_axial": None}
    assert validator.is_valid(result)


def test_a_bone_drawn_elsewhere_has_no_confidence(validator, result):
    places(result)["bone"]["confidence"] = None
    assert validator.is_valid(result)


PLACES = (
    "result",
    "input",
    "ct",
    "blur",
    "definitions",
    "patch rule",
    "knee",
    "bone",
    "frame",
    "surface",
    "surface of the femur",
    "region",
    "region below the plate",
)


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
        ("result", "schema", "jointquant-knee/2"),
        ("result", "knees", []),
        ("input", "sha256", "abc"),
        ("input", "role", "volume"),
        ("ct", "size_kji", [40, 40]),
        ("ct", "spacing_mm_kji", [1.0, 1.0, 0.0]),
        ("ct", "direction_lps", [2.0, 0, 0, 0, 1, 0, 0, 0, 1]),
        ("ct", "noise_sd_hu", -1.0),
        ("blur", "fwhm_mm", 0.0),
        ("definitions", "density", ""),
        ("patch rule", "overlap", 1.5),
        ("knee", "side", "R"),
        ("knee", "side_from", ""),
        ("knee", "bones", []),
        ("knee", "missing", {"patella": "not asked for"}),
        ("knee", "patches", {"tibia": -1}),
        ("bone", "name", "talus"),
        ("bone", "found", False),  # with a volume and a model
        ("bone", "confidence", 1.2),
        ("bone", "cut_by_view", ["top"]),
        ("bone", "model", "surface.stl"),
        ("frame", "lateral_posterior_proximal_lps", [[1.0, 0.0, 0.0]]),
        ("surface", "plate_mean_mm", None),  # without a reason
        ("surface", "joint_space_median_mm", None),
        ("surface", "plate_unresolved", 1.5),
        ("surface", "not_measured", {"plate_mean_mm": "a measured plate has nothing to excuse"}),
        ("surface of the femur", "joint_space_mean_mm", 4.0),
        ("surface that is too thin", "not_measured", {}),
        ("region", "bone", "patella"),
        ("region", "name", "tibia_medial_0-2.5"),
        ("region", "name", "tibia_medial_anterior_0-2.5_below_plate"),
        ("region", "from_surface", "skin"),
        ("region", "number", 0),
        ("region", "hu_mean", None),
        ("region", "bv_tv", 1.2),
        ("region", "bv_tv", None),
        ("region", "estimator", None),
        ("region", "estimator", "guess"),
        ("region", "texture_sd_hu", 40.0),  # with the reason why there is none
        ("region", "depth_to_mm", 0.0),
        ("region below the plate", "from_surface", "bone"),
    ],
)
def test_a_value_without_its_meaning_is_refused(validator, result, place, field, value):
    assert validator.is_valid(result)
    places(result)[place][field] = value
    assert not validator.is_valid(result)


def test_every_unit_is_said(validator):
    """Whatever is a number says in its description what it is."""
    silent = []

    def look(name: str, part: object) -> None:
        if not isinstance(part, dict):
            return
        for key, of in part.get("properties", {}).items():
            kinds = of.get("type", []) if isinstance(of, dict) else []
            if "number" in (kinds if isinstance(kinds, list) else [kinds]) and "description" not in of:
                silent.append(f"{name}.{key}")
            look(f"{name}.{key}", of)
        look(f"{name}[]", part.get("items"))

    for name, part in {"result": validator.schema, **validator.schema["$defs"]}.items():
        look(name, part)
    assert silent == []
