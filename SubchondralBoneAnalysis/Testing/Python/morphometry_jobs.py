"""Runs of the whole morphometry job on small volumes, and what every one of its results has to fulfil."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from job_runs import done
from jsonschema import Draft202012Validator

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE = REPOSITORY / "SubchondralBoneAnalysis"
SCHEMA = MODULE / "SubchondralBoneAnalysisLib" / "morphometry_result.schema.json"

UNIT = re.compile(r"_(mm|mm2|mm3|per_mm|per_mm3|share|in_image_unit)$")
HAS_NO_UNIT = {"bv_tv", "euler_number", "smi", "degree_of_anisotropy", "degree_of_anisotropy_0_to_1"}
HAS_NO_UNIT |= {"volume", "region", "outside", "segmentation", "segmentation_description"}
HAS_NO_UNIT |= {f"mil_axis_{order}_{letter}" for order in (1, 2, 3) for letter in "lps"}
HAS_NO_UNIT |= {"srrd_compatible_bv_tv", "srrd_compatible_slices", "srrd_compatible_note"}


def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def run_morphometry(out: Path, *arguments: object, pictures: bool = False) -> dict:
    """Run `jointquant morphometry` to its good end and return result.json, whose form is checked."""
    result = done("morphometry", out, *arguments, "--device", "cpu", pictures=pictures)
    assert_sound(out, result)
    return result


def read(path: Path) -> np.ndarray:
    """The array [k, j, i] of a volume file."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def assert_sound(folder: Path, result: dict) -> None:
    """The form of a result folder: the schema, a table that says the same, and volumes on the grid that was read."""
    assert [f"{error.json_path}: {error.message}" for error in validator().iter_errors(result)] == []
    assert not folder.with_name(f"{folder.name}.partial").exists()
    assert_table_repeats(folder, result)
    assert_numbers_agree(result)
    assert_volumes_fit(folder, result)


def assert_table_repeats(folder: Path, result: dict) -> None:
    """morphometry.csv: one row, the unit in each title of a measure, the numbers of result.json."""
    with (folder / "morphometry.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    for title in row:
        assert title in HAS_NO_UNIT or UNIT.search(title), f"{title} has no unit"
    said = {"segmentation_description": result["segmentation"]["description"]}
    said |= {"threshold_in_image_unit": result["segmentation"]["threshold"], "region": result["region"]["source"]}
    said |= {f"srrd_compatible_{key}": value for key, value in (result["srrd_compatible"] or {}).items()}
    measures = dict(result["morphometry"])
    axes, lengths = measures.pop("mil_axes_lps"), measures.pop("mil_mm")
    if axes:
        said |= {"mil_axis_1_l": axes[0][0], "mil_axis_3_s": axes[2][2], "mil_2_mm": lengths[1]}
    for phase in ("tb_th", "tb_sp"):
        said[f"{phase}_near_border_share"] = measures.pop(f"{phase}_near_border")
    for title, value in (said | measures).items():
        assert row[title] == ("" if value is None else str(value)), title


def assert_numbers_agree(result: dict) -> None:
    """What follows from other numbers does, and every definition stays under its own name."""
    numbers, region = result["morphometry"], result["region"]
    assert region["volume_mm3"] == pytest.approx(region["voxels"] * np.prod(result["volume"]["spacing_mm_kji"]))
    assert numbers["tv_mm3"] == pytest.approx(region["volume_mm3"])
    assert numbers["bv_tv"] == pytest.approx(numbers["bv_mm3"] / numbers["tv_mm3"])
    for phase in ("tb_th", "tb_sp"):
        corrected = numbers[f"{phase}_raw_mm"] - numbers["half_voxel_mm"]
        assert numbers[f"{phase}_mm"] == pytest.approx(corrected)
        assert numbers[f"{phase}_raw_mm"] <= numbers[f"{phase}_max_mm"] * (1 + 1e-6)
    assert numbers["tb_n_parfitt_per_mm"] == pytest.approx(numbers["bv_tv"] / numbers["tb_th_mm"])
    assert numbers["tb_n_plate_per_mm"] == pytest.approx(1.0 / (numbers["tb_th_mm"] + numbers["tb_sp_mm"]))


def assert_volumes_fit(folder: Path, result: dict) -> None:
    """Structure, region and maps lie on the volume's grid; a map has values at its phase in the region only."""
    grid = result["volume"]
    arrays = {}
    for path in folder.glob("*.nrrd"):
        image = sitk.ReadImage(str(path))
        assert image.GetSize() == tuple(grid["size_kji"][::-1])
        assert image.GetSpacing() == pytest.approx(grid["spacing_mm_kji"][::-1])
        assert image.GetOrigin() == pytest.approx(grid["origin_lps"])
        assert image.GetDirection() == pytest.approx(grid["direction_lps"])
        assert b"space: left-posterior-superior" in path.read_bytes()[:400]
        arrays[path.name] = sitk.GetArrayFromImage(image)
    structure = arrays.pop(grid["file"])
    assert structure.dtype == np.uint8
    assert set(np.unique(structure)) == {0, 1}
    region = arrays.pop("region.nrrd", np.ones_like(structure))
    assert region.sum() == result["region"]["voxels"]
    numbers = result["morphometry"]
    assert numbers["bv_tv"] == pytest.approx(structure[region == 1].mean())
    for name, phase in (("tb_th_mm", structure == 1), ("tb_sp_mm", structure == 0)):
        values = arrays.pop(f"{name}.nrrd")
        assert values.dtype == np.float32
        assert np.array_equal(values > 0, phase & (region == 1))
        assert values[values > 0].mean(dtype=float) == pytest.approx(numbers[name.replace("_mm", "_raw_mm")], rel=1e-5)
    assert arrays == {}
