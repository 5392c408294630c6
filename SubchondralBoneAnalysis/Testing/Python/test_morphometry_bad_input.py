"""What the morphometry job cannot use, through the real command: exit code 2, one sentence, nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bone_volumes import ORIGIN_LPS, SPACING_KJI_MM, ball, grey, plates_and_rods, write, write_dicom_series
from job_runs import refused

from JointQuantLib.cli import main

BONE = plates_and_rods(32)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs `jointquant morphometry`, which has to refuse, and returns its sentence. What libraries print counts."""

    def run(*arguments: object) -> str:
        return refused("morphometry", tmp_path_factory.mktemp("out"), capfd, *arguments)

    return run


def not_a_number(path: Path) -> Path:
    array = BONE.astype(np.float32)
    array[1, 2, 3] = np.nan
    return write(path, array)


def no_image(path: Path) -> Path:
    path.write_text("Dear colleague\n" * 50)
    return path


def one_plate() -> np.ndarray:
    bone = np.zeros((16, 16, 16), bool)
    bone[8] = True
    return bone


UNUSABLE = {
    "missing": (lambda f: f / "nowhere.nrrd", "does not exist"),
    "no image": (lambda f: no_image(f / "letter.nrrd"), "is not an image"),
    "no series": (lambda f: f, "without a DICOM series"),
    "two series": (lambda f: write_dicom_series(write_dicom_series(f / "ct", BONE), BONE, "2"), "2 DICOM series"),
    "NaN": (lambda f: not_a_number(f / "v.nrrd"), "NaN or infinite"),
    "one voxel thin": (lambda f: write(f / "v.nrrd", BONE[:, :1]), "one voxel thin (32 × 1 × 32 voxels)"),
    "one plate of one voxel": (lambda f: write(f / "v.nrrd", one_plate()), "bone that is one voxel thin"),
    "not binary": (lambda f: write(f / "v.nrrd", grey(BONE)), "--segmentation (fixed, otsu, local)"),
    "empty": (lambda f: write(f / "v.nrrd", BONE & False), "holds no bone (it is 0 everywhere)"),
    "all bone": (lambda f: write(f / "v.nrrd", BONE | True), "holds bone only, no marrow (it is 1 everywhere)"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_volume_that_cannot_be_measured_is_named_with_what_is_wrong(refusal, tmp_path, case):
    make, said = UNUSABLE[case]
    path = make(tmp_path)
    sentence = refusal(path)
    assert said in sentence
    assert str(path) in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--segmentation", "fixed", "--threshold", 5000], "--threshold 5000 is outside the grey values of"),
        (["--segmentation", "fixed", "--threshold", -5000], "is outside the grey values of"),
        (["--segmentation", "local", "--threshold", 5000], "is outside the grey values of"),
        (["--segmentation", "local", "--window", 0.05], "--window 0.05 is less than two voxels"),
        (["--segmentation", "local", "--window", 50], "is wider than"),
        (["--segmentation", "local", "--offset", 5000], "holds no bone, marrow only"),
        (["--segmentation", "local", "--offset", -5000], "holds no marrow, bone only"),
    ],
)
def test_a_segmentation_that_does_not_fit_the_volume_is_refused(refusal, tmp_path, options, said):
    assert said in refusal(write(tmp_path / "v.nrrd", grey(BONE)), *options)


def one_slice() -> np.ndarray:
    region = np.zeros(BONE.shape, bool)
    region[10] = True
    return region


REGIONS = {
    "missing": (lambda f: f / "nowhere.nrrd", "does not exist"),
    "empty": (lambda f: write(f / "r.nrrd", BONE & False), "is an empty region"),
    "size": (lambda f: write(f / "r.nrrd", ball(31)), "its size is 31 × 31 × 31 instead of 32 × 32 × 32 voxels"),
    "spacing": (lambda f: write(f / "r.nrrd", ball(32), (0.05, 0.05, 0.05)), "its spacing is 0.05, 0.05, 0.05"),
    "origin": (lambda f: write(f / "r.nrrd", ball(32), SPACING_KJI_MM, (0.0, 0.0, 0.0)), "its origin is 0, 0, 0"),
    "direction": (
        lambda f: write(f / "r.nrrd", ball(32), SPACING_KJI_MM, ORIGIN_LPS, IDENTITY),
        "its direction in space",
    ),
    "one slice": (lambda f: write(f / "r.nrrd", one_slice()), "is one voxel thin as a region"),
    "no bone": (lambda f: write(f / "r.nrrd", ~BONE), "as a region holds no bone, marrow only"),
    "no marrow": (lambda f: write(f / "r.nrrd", BONE), "as a region holds no marrow, bone only"),
}


@pytest.mark.parametrize("case", REGIONS)
def test_a_region_that_does_not_fit_the_volume_is_named_with_what_is_wrong(refusal, tmp_path, case):
    make, said = REGIONS[case]
    region = make(tmp_path)
    sentence = refusal(write(tmp_path / "v.nrrd", BONE), "--region", region)
    assert said in sentence
    assert sentence.startswith(f"jointquant: {region} ")


def test_inputs_in_the_folder_that_would_be_replaced_are_refused(capfd, tmp_path):
    (tmp_path / "result.json").write_text('{"schema": "jointquant-morphometry/1"}')
    volume, region = write(tmp_path / "v.nrrd", BONE), write(tmp_path / "r.nrrd", ball(32))
    elsewhere = write(tmp_path.parent / f"{tmp_path.name}.nrrd", BONE)
    for arguments in ([volume], [elsewhere, "--region", region]):
        assert main(["morphometry", *map(str, arguments), "--out", str(tmp_path), "--overwrite"]) == 2
        assert "lies in the folder that would be replaced" in capfd.readouterr().err
    assert volume.exists()
    assert region.exists()


def test_a_device_that_is_not_there_is_refused(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr("JointQuantLib.devices.torch_available", lambda: False)
    assert "PyTorch is not installed here" in refusal(write(tmp_path / "v.nrrd", BONE), "--device", "cuda")
