"""The morphometry job from volume to result folder."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bone_volumes import ball, plates_and_rods, write, write_dicom_series
from morphometry_jobs import MODULE, REPOSITORY, read, run_morphometry, validator

from JointQuantLib.scene import rendering_available
from SubchondralBoneAnalysisLib.morphometry import Morphometry
from SubchondralBoneAnalysisLib.morphometry_analysis import bytes_a_voxel

BONE = plates_and_rods()
REGION = ball(radius=0.42)
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(MODULE)])}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `bone.nrrd` and `region.nrrd`."""
    folder = tmp_path_factory.mktemp("patient_1234")
    write(folder / "bone.nrrd", BONE)
    write(folder / "condyle.nrrd", REGION * 3)
    return folder


@pytest.fixture(scope="module")
def whole(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The result folder of the whole volume."""
    out = tmp_path_factory.mktemp("out") / "whole"
    return out, run_morphometry(out, files / "bone.nrrd")


@pytest.fixture(scope="module")
def inside(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The result folder of the region, the structure outside as context."""
    out = tmp_path_factory.mktemp("out") / "inside"
    return out, run_morphometry(out, files / "bone.nrrd", "--region", files / "condyle.nrrd")


def test_a_whole_volume_is_measured(whole, files):
    folder, result = whole
    assert sorted(path.name for path in folder.iterdir()) == [
        "morphometry.csv",
        "result.json",
        "structure.nrrd",
        "tb_sp_mm.nrrd",
        "tb_th_mm.nrrd",
    ]
    assert np.array_equal(read(folder / "structure.nrrd"), BONE)
    digest = hashlib.sha256((files / "bone.nrrd").read_bytes()).hexdigest()
    assert result["inputs"] == [{"role": "volume", "path": "bone.nrrd", "sha256": digest}]
    assert result["region"] == {
        "source": "whole volume",
        "outside": "context",
        "volume_mm3": pytest.approx(BONE.size * 0.06 * 0.05 * 0.05),
        "voxels": BONE.size,
    }
    assert result["segmentation"]["method"] == "binary"
    assert result["morphometry"]["bv_tv"] == pytest.approx(BONE.mean())
    # Plates of 0.24 mm and rods of 0.25 mm: nothing is thicker than the diagonal where they meet, nothing thinner.
    assert 0.2 < result["morphometry"]["tb_th_mm"] < 0.4
    assert result["device"] == "cpu"


def test_of_a_region_only_the_inside_is_measured(inside, whole):
    folder, result = inside
    assert np.array_equal(read(folder / "region.nrrd"), REGION)
    assert np.array_equal(read(folder / "structure.nrrd"), BONE)
    assert result["inputs"][1]["role"] == "region"
    assert result["region"]["source"] == "condyle.nrrd"
    assert result["morphometry"]["bv_tv"] == pytest.approx(BONE[REGION].mean())
    # Inside, thickness is what it is in the whole volume: the structure around the region is seen.
    for name in ("tb_th_mm.nrrd", "tb_sp_mm.nrrd"):
        assert np.array_equal(read(folder / name), read(whole[0] / name) * REGION)


def test_what_is_unknown_changes_nothing(files, tmp_path):
    """With --outside unknown the numbers are those of the inside, whatever the file has outside."""
    write(tmp_path / "bone.nrrd", BONE & REGION)
    options = ("--region", files / "condyle.nrrd", "--outside", "unknown")
    results = [
        run_morphometry(tmp_path / f"out_{number}", folder / "bone.nrrd", *options)
        for number, folder in enumerate((files, tmp_path))
    ]
    assert results[0]["morphometry"] == results[1]["morphometry"]
    assert results[0]["srrd_compatible"] == results[1]["srrd_compatible"]
    assert results[0]["region"]["outside"] == "unknown"
    assert np.array_equal(read(tmp_path / "out_0" / "structure.nrrd"), BONE & REGION)


def test_context_is_not_unknown(inside, files, tmp_path):
    unknown = run_morphometry(
        tmp_path / "x", files / "bone.nrrd", "--region", files / "condyle.nrrd", "--outside", "unknown"
    )
    assert unknown["morphometry"]["bv_tv"] == pytest.approx(inside[1]["morphometry"]["bv_tv"])
    assert unknown["morphometry"]["tb_sp_near_border"] > inside[1]["morphometry"]["tb_sp_near_border"]


@pytest.mark.parametrize(
    ("options", "method", "said"),
    [
        (["--segmentation", "fixed", "--threshold", 400], "fixed", "above 400 (fixed threshold"),
        (["--segmentation", "otsu"], "otsu", "Otsu's threshold of all grey values"),
        (
            ["--segmentation", "local", "--window", 1.2, "--offset", 20, "--threshold", 300],
            "local",
            "1.2 mm full width at half maximum, and above 300",
        ),
    ],
)
def test_grey_values_are_segmented_by_the_method_that_was_asked_and_the_result_says_how(
    whole, tmp_path, options, method, said
):
    path = write(tmp_path / "grey.nrrd", np.where(BONE, 800, -50).astype(np.int16))
    result = run_morphometry(tmp_path / "x", path, *options)
    assert result["segmentation"]["method"] == method
    assert said in result["segmentation"]["description"]
    assert result["parameters"]["segmentation"] == method
    assert result["segmentation"]["unit"] == "of the image"
    wrong = np.mean(read(tmp_path / "x" / "structure.nrrd") != BONE)
    assert wrong <= (0.02 if method == "local" else 0.0)
    if method != "local":
        assert result["morphometry"] == whole[1]["morphometry"]


def test_the_largest_piece_can_be_measured_alone(whole, tmp_path):
    loose = BONE.copy()
    loose[10, 10, 10] = loose[26, 25:27, 26] = True
    result = run_morphometry(tmp_path / "x", write(tmp_path / "v.nrrd", loose), "--keep-largest")
    assert result["segmentation"]["keep_largest"]
    assert "2 smaller pieces" in result["segmentation"]["description"]
    assert np.array_equal(read(tmp_path / "x" / "structure.nrrd"), BONE)
    assert result["morphometry"] == whole[1]["morphometry"]


def test_the_same_job_gives_the_same_result(files, inside, tmp_path):
    again = run_morphometry(
        tmp_path / "x", files / "bone.nrrd", "--region", files / "condyle.nrrd", "--threads", 1, "--memory", 2
    )
    ignored = ("created", "parameters")
    assert {key: again[key] for key in again if key not in ignored} == {
        key: value for key, value in inside[1].items() if key not in ignored
    }
    for name in ("tb_th_mm.nrrd", "tb_sp_mm.nrrd"):
        assert np.array_equal(read(tmp_path / "x" / name), read(inside[0] / name))


def test_what_is_too_large_for_memory_gives_the_same_result(files, inside, tmp_path):
    region = ("--region", files / "condyle.nrrd")
    again = run_morphometry(tmp_path / "x", files / "bone.nrrd", *region, "--memory", 0.0005, pictures=True)
    assert again["morphometry"] == inside[1]["morphometry"]
    assert again["srrd_compatible"] is None
    assert sum("memory" in warning for warning in again["warnings"]) >= 2
    for name in ("structure.nrrd", "region.nrrd", "tb_th_mm.nrrd", "tb_sp_mm.nrrd"):
        assert np.array_equal(read(tmp_path / "x" / name), read(inside[0] / name))
        assert b"encoding: raw" in (tmp_path / "x" / name).read_bytes()[:400]
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert "report.html" in names
    assert not any(name.startswith(("view_", "scratch-")) or name == "scene.mrb" for name in names)
    page = (tmp_path / "x" / "report.html").read_text("utf-8")
    assert "mean Tb.Th (raw)" in page


@pytest.mark.parametrize(
    "options", [("fixed", "--threshold", 400), ("otsu",), ("local", "--window", 1.2, "--threshold", 300)]
)
def test_grey_values_that_are_too_large_for_memory_are_segmented_alike(tmp_path, options):
    """A MetaImage is read slab by slab."""
    path = write(tmp_path / "grey.mha", np.where(BONE, 800, -50).astype(np.int16))
    in_memory = run_morphometry(tmp_path / "m", path, "--segmentation", *options)
    in_files = run_morphometry(tmp_path / "f", path, "--segmentation", *options, "--memory", 0.0005, pictures=True)
    assert in_files["morphometry"] == in_memory["morphometry"]
    assert in_files["segmentation"] == in_memory["segmentation"]


LEFT_HANDED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("name", ["v.nrrd", "v.mha", "v.nii.gz"])
def test_a_left_handed_volume_is_measured_where_it_is_with_all_its_pictures(tmp_path, name):
    """Many NIfTI files are: Slicer turns them over as it reads them, so k is counted the other way round."""
    path = write(tmp_path / name, BONE, direction_lps=LEFT_HANDED)
    region = write(tmp_path / f"r_{name}", ball(len(BONE), 0.3), direction_lps=LEFT_HANDED)
    result = run_morphometry(tmp_path / "x", path, "--region", region, pictures=True)
    assert result["morphometry"]["bv_tv"] == pytest.approx(BONE[ball(len(BONE), 0.3)].mean())
    given, measured = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "x" / "structure.nrrd"))
    for index in ((3, 5, 7), (20, 11, 30)):
        place = given.TransformIndexToPhysicalPoint(index)
        assert measured[measured.TransformPhysicalPointToIndex(place)] == given[index]
    if rendering_available()[0]:
        assert {"scene.mrb", "view_tb_th.png"} <= {file.name for file in (tmp_path / "x").iterdir()}


def test_voxels_of_centimetres_are_measured_and_asked_about(tmp_path):
    result = run_morphometry(tmp_path / "x", write(tmp_path / "v.nrrd", BONE, (20.0, 20.0, 20.0)))
    assert any("in millimetres?" in warning for warning in result["warnings"])
    assert result["srrd_compatible"]["tb_th_mm"] is None
    assert "in millimetres?" in result["srrd_compatible"]["note"]


def test_finer_spheres_are_not_given_in_long_voxels(tmp_path):
    long = write(tmp_path / "v.nrrd", BONE, (0.1, 0.05, 0.05))
    result = run_morphometry(tmp_path / "x", long, "--fine")
    assert result["morphometry"]["tb_th_fine_mm"] is None
    assert any("finer spheres" in warning for warning in result["warnings"])
    cubes = run_morphometry(tmp_path / "y", write(tmp_path / "c.nrrd", BONE, (0.05, 0.05, 0.05)), "--fine")
    assert cubes["morphometry"]["tb_th_fine_mm"] > 0


def test_the_memory_that_is_foreseen_grows_with_the_numbers_that_distances_need():
    shape = (200, 200, 200)
    cubes, long, finer = (
        bytes_a_voxel(shape, *case)
        for case in (((0.02,) * 3, False), ((0.0821, 0.0607, 0.0607), False), ((0.0821, 0.0607, 0.0607), True))
    )
    assert (cubes, long, finer) == pytest.approx((12, 42, 166), rel=0.3)  # as measured


def test_no_folder_of_a_patient_is_written_out(inside):
    folder, _ = inside
    for name in ("result.json", "morphometry.csv"):
        assert "patient_1234" not in (folder / name).read_text("utf-8")


def test_the_files_of_a_series_have_one_digest_together(tmp_path):
    series = write_dicom_series(tmp_path / "ct", BONE[:12] * 900)
    result = run_morphometry(tmp_path / "x", series)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(series.iterdir())]
    together = hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
    assert result["inputs"] == [{"role": "volume", "path": "ct", "sha256": together}]
    assert result["volume"]["spacing_mm_kji"] == [0.5, 0.5, 0.5]


def test_structure_that_the_voxels_hardly_show_is_warned_of(tmp_path):
    thin = np.indices((20, 20, 20)).sum(axis=0) % 6 < 1
    warnings = run_morphometry(tmp_path / "x", write(tmp_path / "v.nrrd", thin, (0.2, 0.1, 0.1)))["warnings"]
    assert any("less than 2 of the longest voxel edge, 0.2 mm" in warning for warning in warnings)
    assert any("2 times as long as they are wide" in warning for warning in warnings)


def test_a_volume_finer_than_the_paper_s_pixels_has_a_note(whole):
    assert "no volume fraction" in whole[1]["srrd_compatible"]["note"]


# --------------------------------------------------------------------------------------------------------- the process


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "JointQuantLib", "morphometry", *(str(argument) for argument in arguments)]


def test_a_process_of_its_own_says_its_steps_as_json(files, tmp_path):
    ended = subprocess.run(
        command(files / "bone.nrrd", "--out", tmp_path / "x", "--progress", "json"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    steps = [json.loads(line) for line in ended.stdout.splitlines()]
    fractions = [step["fraction"] for step in steps]
    assert fractions == sorted(fractions)
    texts = [step["text"] for step in steps]
    assert texts[:2] == ["Reading the volume", "Segmenting the bone"]
    assert "Measuring the trabeculae" in texts
    assert not any("films" in text for text in texts)
    assert texts[-1] == f"Done: {tmp_path / 'x' / 'report.html'}"
    assert (tmp_path / "x" / "report.html").stat().st_size > 10_000


@pytest.mark.skipif(os.name != "posix", reason="signals between processes are a matter of POSIX")
@pytest.mark.parametrize(
    ("number", "step"),
    [(signal.SIGTERM, "Reading"), (signal.SIGINT, "Measuring the trabeculae"), (signal.SIGTERM, "Writing the maps")],
)
def test_a_stop_at_any_step_leaves_nothing(files, tmp_path, number, step):
    process = subprocess.Popen(
        command(files / "bone.nrrd", "--out", tmp_path / "x", "--progress", "json"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any(step in json.loads(line)["text"] for line in process.stdout)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 3, error
    assert error == "jointquant: cancelled, nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- the schema

SECTIONS = ("volume", "segmentation", "region", "morphometry", "srrd_compatible")


@pytest.mark.parametrize("place", ["result", *SECTIONS])
def test_no_field_may_be_missing(whole, place):
    valid, result = validator(), whole[1]
    assert valid.is_valid(result)
    for field in result if place == "result" else result[place]:
        incomplete = copy.deepcopy(result)
        del (incomplete if place == "result" else incomplete[place])[field]
        assert not valid.is_valid(incomplete), f"{place} without {field} passed"


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ("volume", "spacing_mm_kji", [0.1, 0.1, 0.0]),
        ("volume", "size_kji", [48, 48]),
        ("volume", "direction_lps", [1.0, 0.0, 0.0]),
        ("segmentation", "method", "by hand"),
        ("segmentation", "description", ""),
        ("segmentation", "threshold", 250.0),
        ("segmentation", "unit", "of the image"),
        ("region", "outside", "air"),
        ("region", "outside", "unknown"),
        ("region", "voxels", 0),
        ("morphometry", "bv_tv", 1.2),
        ("morphometry", "bv_tv", None),
        ("morphometry", "tb_th_mm", "0.2 mm"),
        ("morphometry", "tb_th_near_border", 1.5),
        ("morphometry", "mil_mm", [1.0, 1.0]),
        ("morphometry", "degree_of_anisotropy", 0.5),
        ("srrd_compatible", "note", ""),
        ("srrd_compatible", "tb_th_mm", -0.1),
    ],
)
def test_a_value_without_its_meaning_is_refused(whole, place, field, value):
    result = copy.deepcopy(whole[1])
    result[place][field] = value
    assert not validator().is_valid(result)


def test_the_schema_has_the_fields_of_the_measurement_and_no_others():
    assert set(validator().schema["$defs"]["morphometry"]["properties"]) == {f.name for f in fields(Morphometry)}


def test_every_field_of_the_schema_is_described():
    definitions = validator().schema["$defs"]
    for name in ("volume", "segmentation", "region", "morphometry"):
        for field, rule in definitions[name]["properties"].items():
            assert rule.get("description") or field == "method", f"{name} {field}"
