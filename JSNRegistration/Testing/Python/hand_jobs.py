"""Runs of the whole hand job on small simulated films, and what every one of its results has to fulfil."""

from __future__ import annotations

import csv
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from job_runs import done
from jsonschema import Draft202012Validator
from PIL import Image

from JSNRegistrationLib.simulation import SimulatedHand, SimulatedJoint, simulate_hand, simulate_joint

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = REPOSITORY / "JSNRegistration" / "JSNRegistrationLib" / "hand_result.schema.json"
SAMPLES = REPOSITORY / "Resources" / "SampleData"

HAND_SPACING_MM = 0.3
JOINT_SPACING_MM = 0.2
LARGEST_ERROR_MM = 0.05  # of any change of a joint space on these films

UNIT = re.compile(r"_(mm|px|deg)$")
HAS_NO_UNIT = {"name", "side", "verdict", "reason", "profile_order", "from_visit", "to_visit", "from_date", "to_date"}
HAS_NO_UNIT |= {"axis_x", "axis_y", "similarity_upper", "similarity_lower", "texture", "loss_before", "loss_after"}
HAS_NO_UNIT |= {"beyond_sdc", "joints", "i_squared"}
HAS_NO_UNIT |= {"magnification", "years", "reading", "mismatch_probability"}  # years: the title is the unit


@cache
def hand() -> SimulatedHand:
    """A left hand at three visits, of which MCP1, MCP4, MCP5 and PIP3 narrow."""
    return simulate_hand(11, spacing_mm=HAND_SPACING_MM, visits=3)


@cache
def joint() -> SimulatedJoint:
    """A joint of a right hand whose space narrows by 0.4 mm."""
    return simulate_joint(5, spacing_mm=JOINT_SPACING_MM, changes_mm=(-0.4,))


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(path)
    return path


def write_hand(folder: Path) -> list[Path]:
    """The three films of `hand` as pictures."""
    return [write_picture(folder / f"hand_{visit}.png", film) for visit, film in enumerate(hand().films)]


def write_joint(folder: Path) -> list[Path]:
    """The two films of `joint` as pictures."""
    return [write_picture(folder / f"joint_{visit}.png", film) for visit, film in enumerate(joint().films)]


def write_masks(folder: Path) -> tuple[list[Path], list[Path]]:
    """The masks of both bones of `joint`: upper, lower."""
    return tuple(
        [write_picture(folder / f"{bone}_{visit}.png", 255.0 * mask) for visit, mask in enumerate(masks)]
        for bone, masks in (("upper", joint().upper_masks), ("lower", joint().lower_masks))
    )


def run_hand(out: Path, *arguments: object, pictures: bool = False) -> dict:
    """Run `jointquant hand` to its good end and return result.json, whose form is checked."""
    result = done("hand", out, *arguments, pictures=pictures)
    assert_sound(out, result)
    return result


def joint_of(result: dict, name: str) -> dict:
    return next(joint for joint in result["joints"] if joint["name"] == name)


def pair_of(result: dict, name: str, from_visit: int = 0, to_visit: int = 1) -> dict:
    pairs = joint_of(result, name)["pairs"]
    return next(pair for pair in pairs if (pair["from_visit"], pair["to_visit"]) == (from_visit, to_visit))


def all_pairs(result: dict) -> list[tuple[dict, dict]]:
    return [(joint, pair) for joint in result["joints"] for pair in joint["pairs"]]


def change_px(upper: np.ndarray, lower: np.ndarray, origin_px: np.ndarray, axis: np.ndarray) -> float:
    """The definition of the change of a joint space, written a second time: (R axis) . (U p - L p) / s."""
    upper, lower = np.asarray(upper, float), np.asarray(lower, float)
    apart = (upper - lower) @ [*origin_px, 1.0]
    scale = (np.linalg.det(upper[:, :2]) * np.linalg.det(lower[:, :2])) ** 0.25
    turned = upper[:, :2] @ axis / np.linalg.norm(upper[:, 0]) + lower[:, :2] @ axis / np.linalg.norm(lower[:, 0])
    return float(turned / np.linalg.norm(turned) @ apart / scale)


def error_mm(pair: dict, upper: np.ndarray, lower: np.ndarray, spacing_mm: float) -> float:
    """Measured minus true change, the true one by the true motions at the reported origin and axis."""
    return (pair["change_px"] - change_px(upper, lower, pair["origin_px"], pair["axis"])) * spacing_mm


# ------------------------------------------------------------------------------------------ what holds of every result


def assert_sound(folder: Path, result: dict) -> None:
    """The form of a result folder: the schema, one table and one set of maps that say the same as result.json."""
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(result)
    assert not folder.with_name(f"{folder.name}.partial").exists()
    assert_table_repeats(folder, result)
    assert_means_are_repeated(folder, result)
    assert_maps_lie_on_the_films(folder, result)
    used = json.loads((folder / "joints.json").read_text("utf-8"))["visits"]
    for visit, joints in enumerate(used):
        assert [j["name"] for j in joints] == [j["name"] for j in result["joints"] if j["visits"][visit]["found"]]


def assert_table_repeats(folder: Path, result: dict) -> None:
    """joints.csv: a row per joint and pair, the numbers of result.json, and the unit in each title of a measure."""
    with (folder / "joints.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pairs = all_pairs(result)
    assert [(row["name"], row["from_visit"], row["to_visit"]) for row in rows] == [
        (joint["name"], str(pair["from_visit"]), str(pair["to_visit"])) for joint, pair in pairs
    ]
    for title in rows[0]:
        assert title in HAS_NO_UNIT or UNIT.search(title), f"{title} has no unit"
    for row, (joint, pair) in zip(rows, pairs, strict=True):
        for title, value in expected_row(joint, pair).items():
            said = row[title]
            assert said == ("" if value is None else str(value)), (title, said, value)


def assert_means_are_repeated(folder: Path, result: dict) -> None:
    """hands.csv: a row per hand and pair of visits, with the joints that count and the numbers of result.json."""
    with (folder / "hands.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    means = [(hand["side"], pair) for hand in result["hands"] for pair in hand["pairs"]]
    assert len(rows) == len(means)
    for row, (side, pair) in zip(rows, means, strict=True):
        assert all(title in HAS_NO_UNIT or UNIT.search(title) for title in row)
        assert row["side"] == (side or "")
        assert row["joints"].split() == pair["joints"]
        counted = [
            joint["name"]
            for joint, own in all_pairs(result)
            if joint["side"] == side and own["verdict"] == "measured" and own["to_visit"] == pair["to_visit"]
            if own["from_visit"] == pair["from_visit"] and joint["name"] != "JOINT"
        ]
        assert pair["joints"] == counted
        low, high = pair["interval_mm"] or (None, None)
        said = {"change_mm": pair["change_mm"], "interval_low_mm": low, "interval_high_mm": high}
        said |= {key: pair[key] for key in ("change_px", "change_per_year_mm", "between_joints_sd_mm", "i_squared")}
        assert {key: row[key] for key in said} == {k: "" if v is None else str(v) for k, v in said.items()}


def expected_row(joint: dict, pair: dict) -> dict:
    """What a row of joints.csv has to say, written here a second time from the names of result.json alone."""
    ends = [joint["visits"][pair[end]] for end in ("from_visit", "to_visit")]
    pairwise, quality = pair["pairwise"] or {}, pair["quality"] or {}
    nothing = [None] * 5
    expected = {"side": joint["side"], "verdict": pair["verdict"], "reason": pair["reason"], "years": pair["years"]}
    for unit in ("mm", "px"):
        expected[f"change_{unit}"], expected[f"se_{unit}"] = pair[f"change_{unit}"], pair[f"se_{unit}"]
        interval = pair[f"interval_{unit}"] or nothing
        expected[f"interval_low_{unit}"], expected[f"interval_high_{unit}"] = interval[:2]
        expected[f"profile_1_{unit}"] = (pair[f"profile_{unit}"] or nothing)[0]
        expected[f"profile_5_{unit}"] = (pair[f"profile_{unit}"] or nothing)[4]
        expected[f"width_from_{unit}"], expected[f"width_to_{unit}"] = (end[f"width_{unit}"] for end in ends)
        expected[f"width_se_from_{unit}"], expected[f"width_se_to_{unit}"] = (end[f"width_se_{unit}"] for end in ends)
        expected[f"pairwise_change_{unit}"] = pairwise.get(f"change_{unit}")
        expected[f"pairwise_se_{unit}"] = pairwise.get(f"se_{unit}")
        expected[f"sdc_{unit}"] = pair[f"sdc_{unit}"]
        if pair[f"se_{unit}"] is not None:
            assert pair[f"sdc_{unit}"] == pytest.approx(1.96 * pair[f"se_{unit}"], rel=1e-4)
            assert pair["beyond_sdc"] == (abs(pair[f"change_{unit}"]) > pair[f"sdc_{unit}"])
    expected["beyond_sdc"] = pair["beyond_sdc"]
    expected["tilt_deg"], expected["profile_order"] = pair["tilt_deg"], pair["profile_order"]
    expected["change_per_year_mm"] = pair["change_per_year_mm"]
    expected["change_per_year_interval_low_mm"] = (pair["change_per_year_interval_mm"] or nothing)[0]
    expected["origin_x_px"], expected["origin_y_px"] = (pair["origin_px"] or nothing)[:2]
    expected["axis_x"], expected["axis_y"] = (pair["axis"] or nothing)[:2]
    expected["loss_after"], expected["magnification"] = quality.get("loss_after"), quality.get("magnification")
    return expected


def assert_maps_lie_on_the_films(folder: Path, result: dict) -> None:
    """Films and maps: one slice on the film's own grid, its spacing or 1, LPS; a loss of 0 to 1, or -1 outside."""
    for visit in result["visits"]:
        film = read_map(folder / visit["film"], visit)
        assert np.isfinite(film).all()
    for a in range(len(result["visits"])):
        for b in range(a + 1, len(result["visits"])):
            for name in ("before", "after", "loss_before", "loss_after"):
                values = read_map(folder / f"{name}_{a}_{b}.nrrd", result["visits"][a])
                if name.startswith("loss"):
                    assert np.isfinite(values).all()
                    inside = values[values != -1.0]
                    assert ((inside >= 0.0) & (inside <= 1.0)).all()


def read_map(path: Path, visit: dict) -> np.ndarray:
    """A film or map [row, column], whose grid is that of the film of the visit."""
    image = sitk.ReadImage(str(path))
    spacing = visit["spacing_mm"] or 1.0
    assert image.GetSize() == (*visit["shape"][::-1], 1)
    assert np.allclose(image.GetSpacing(), (spacing, spacing, 1.0), rtol=1e-9)
    assert image.GetOrigin() == (0.0, 0.0, 0.0)
    assert image.GetDirection() == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert b"space: left-posterior-superior" in path.read_bytes()[:400]
    return sitk.GetArrayFromImage(image)[0]
