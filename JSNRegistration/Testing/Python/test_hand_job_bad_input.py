"""What the hand job cannot use, through the real command: exit code 2, one sentence, and nothing half-written."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from film_files import DX, dicom, write
from hand_jobs import (
    HAND_SPACING_MM,
    JOINT_SPACING_MM,
    REPOSITORY,
    hand,
    joint,
    write_hand,
    write_joint,
    write_masks,
    write_picture,
)
from job_runs import refused
from PIL import Image

CROP = ("--joint-crop", "--spacing", JOINT_SPACING_MM)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two films of a hand."""
    return write_hand(tmp_path_factory.mktemp("films"))[:2]


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two films of a joint."""
    return write_joint(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Masks of the upper and of the lower bone of that joint."""
    return write_masks(tmp_path_factory.mktemp("masks"))


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs `jointquant hand`, which has to refuse, and returns its sentence. What libraries print counts as well."""

    def run(*arguments: object) -> str:
        return refused("hand", tmp_path_factory.mktemp("out"), capfd, *arguments)

    return run


# --------------------------------------------------------------------------------------------------------------- films


def a_dicom(path: Path, visit: int = 0, **tags: object) -> Path:
    return write(dicom(hand().films[visit].astype(np.uint16) * 16, **tags), path)


def cut_short(path: Path, source: Path) -> Path:
    data = source.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def two_frames(path: Path) -> Path:
    pixels = np.concatenate(hand().films[:2]).astype(np.uint16) * 16
    return write(dicom(pixels, NumberOfFrames=2, Rows=pixels.shape[0] // 2), path)


def in_colour(path: Path) -> Path:
    film = hand().films[0]
    Image.fromarray(np.stack([film, film / 2, film], axis=-1).astype(np.uint8)).save(path)
    return path


UNUSABLE = {
    "missing": (lambda folder, _: folder / "nowhere.png", "does not exist"),
    "empty": (lambda folder, _: write_text(folder / "empty.png", ""), "is empty"),
    "no image": (lambda folder, _: write_text(folder / "letter.txt", "Dear colleague\n" * 50), "is not an image"),
    "a folder": (lambda folder, _: folder, "is a folder"),
    "PNG cut short": (lambda folder, films: cut_short(folder / "half.png", films[0]), "cut short"),
    "DICOM cut short": (
        lambda folder, _: cut_short(folder / "half.dcm", a_dicom(folder / "whole.dcm")),
        "cut short",
    ),
    "multi-frame": (lambda folder, _: two_frames(folder / "two.dcm"), "2 frames"),
    "colour": (lambda folder, _: in_colour(folder / "colour.png"), "colour"),
    "zero spacing": (lambda folder, _: a_dicom(folder / "zero.dcm", PixelSpacing=[0, 0]), "Pixel Spacing of 0"),
    "oblong pixels": (lambda folder, _: a_dicom(folder / "oblong.dcm", PixelSpacing=[0.3, 0.2]), "not square"),
    "a CT slice": (lambda folder, _: a_dicom(folder / "ct.dcm", Modality="CT"), "not a radiograph"),
}


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_file_that_is_no_film_is_named_whichever_visit_it_is(refusal, films, tmp_path, kind, place):
    make, said = UNUSABLE[kind]
    given = list(films)
    given[place] = make(tmp_path, films)
    sentence = refusal(*given)
    assert str(given[place]) in sentence
    assert said in sentence


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who may read everything is refused nothing")
def test_a_file_that_may_not_be_read_is_named(refusal, films, tmp_path):
    hidden = write_picture(tmp_path / "hidden.png", hand().films[0])
    hidden.chmod(0)
    assert f"{hidden} cannot be opened" in refusal(films[0], hidden)


def test_films_of_two_patients_are_refused_without_naming_them(refusal, tmp_path):
    first = a_dicom(tmp_path / "a.dcm", PatientID="SECRET-1", PixelSpacing=[0.3, 0.3])
    second = a_dicom(tmp_path / "b.dcm", 1, PatientID="SECRET-2", PixelSpacing=[0.3, 0.3])
    sentence = refusal(first, second)
    assert "different patients" in sentence
    assert "SECRET" not in sentence


@pytest.mark.parametrize("more", [(), ("--joint-crop", "--side", "left")])
def test_films_of_both_sides_are_refused(refusal, tmp_path, more):
    first = a_dicom(tmp_path / "a.dcm", Laterality="L")
    second = write(dicom(hand().films[1].astype(np.uint16) * 16, sop_class=DX, ImageLaterality="R"), tmp_path / "b.dcm")
    assert "the left and" in refusal(first, second, *more)


def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (800, 600))


def gradient(rng: np.random.Generator) -> np.ndarray:
    return np.add.outer(np.arange(800) / 8, np.arange(600) / 5) + rng.normal(0, 2, (800, 600))


def box(rng: np.random.Generator) -> np.ndarray:
    return np.pad(np.full((400, 300), 170.0), ((200, 200), (150, 150))) + rng.normal(20, 2, (800, 600))


def one_joint(_: np.random.Generator) -> np.ndarray:
    return np.kron(joint().films[0], np.ones((6, 6)))


@pytest.mark.parametrize("draw", [noise, gradient, box, one_joint])
def test_a_film_without_a_hand_is_refused(refusal, films, tmp_path, draw):
    path = write_picture(tmp_path / "film.png", draw(np.random.default_rng(0)))
    sentence = refusal(path, films[0])
    assert f"No finger joint was found on {path}" in sentence


# --------------------------------------------------------------------------------------------------------- joints files

MCP2 = {"name": "MCP2", "position_px": [316, 358], "axis": [0, -1]}
POINT = {"label": "MCP2", "position": [10, 10, 0], "positionStatus": "defined"}


def markups(*points: dict) -> dict:
    return {"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": list(points)}]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not valid JSON"),
        ('{"visits": [', "not valid JSON"),
        ("{}", "no list of joints for each visit"),
        ([], "no list of joints for each visit"),
        ([[], []], "names no joint"),
        ([[MCP2]] * 3, "3 visits, but there are 2 films"),
        ([[MCP2, MCP2], [MCP2]], "MCP2 of visit 0 is named twice"),
        ([[MCP2], [MCP2, MCP2 | {"position_px": [9, 9]}]], "MCP2 of visit 1 is named twice"),
        ([[MCP2 | {"position_px": [5000, 10]}], [MCP2]], "outside its film"),
        ([[MCP2 | {"position_px": [-3, 10]}], [MCP2]], "outside its film"),
        ([[MCP2 | {"position_px": [float("nan"), 10]}], [MCP2]], "position_px of joint MCP2"),
        ([[MCP2 | {"position_px": None}], [MCP2]], "position_px of joint MCP2"),
        ([[MCP2 | {"axis": [0, 0]}], [MCP2]], "axis of joint MCP2 of visit 0 is zero"),
        ([[MCP2 | {"name": "MCP7"}], [MCP2]], "'MCP7' is no joint"),
        ([[MCP2 | {"side": "up"}], [MCP2]], "the side of joint MCP2"),
        ([[MCP2 | {"upper": [[1, 1], [2, 1], [2, 2]], "lower": [[1, 1], [2, 1], [2, 2]]}]] * 2, "outline of MCP2"),
        ({"schema": "other/1", "visits": [[MCP2]]}, "its schema is 'other/1'"),
        (markups(), "no placed point"),
        (markups(POINT, POINT), "named twice"),
        (markups(POINT | {"label": "F-1"}), "labelled 'F-1'"),
        (markups(POINT | {"label": "MCP2_2"}), "belongs to visit 2"),
        (markups(POINT | {"position": [-10, 10, 0]}), "outside its film"),
    ],
)
def test_a_joints_file_that_cannot_be_used_is_named(refusal, films, tmp_path, content, said):
    path = tmp_path / "joints.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    sentence = refusal(*films, "--spacing", HAND_SPACING_MM, "--joints", path)
    assert said in sentence
    assert str(path) in sentence or str(films[0]) in sentence


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_joints_file_that_cannot_be_read_is_named(refusal, films, tmp_path, name):
    assert "cannot be read" in refusal(*films, "--joints", tmp_path / name)


def test_a_picture_is_no_joints_file(refusal, films):
    assert "not valid JSON" in refusal(*films, "--joints", films[0])


# --------------------------------------------------------------------------------------------------- films of one joint


def soft_tissue(seed: int, size: int = 120) -> np.ndarray:
    """What lies between two bones or beside a finger: a slow change of brightness, and the noise of a film."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    a, b, c, d = rng.normal(0, 60, 4)
    return 120 + a * x + b * y + c * x * x + d * x * y + rng.normal(0, 2, x.shape)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("place", [0, 1])
def test_soft_tissue_is_no_joint(refusal, crops, tmp_path, seed, place):
    given = list(crops)
    given[place] = write_picture(tmp_path / "tissue.png", soft_tissue(seed))
    sentence = refusal(*given, *CROP)
    assert f"{given[place]} shows no two bones" in sentence


@pytest.mark.parametrize("size", [90, 120, 256])
@pytest.mark.parametrize("spacing", [(), ("--spacing", 0.1), ("--spacing", 0.2)])
def test_noise_is_no_joint_not_even_if_it_is_the_same_twice(refusal, tmp_path, size, spacing):
    grey = np.random.default_rng(size).integers(0, 256, (size, size))
    path = write_picture(tmp_path / "noise.png", grey)
    assert f"{path} shows no two bones" in refusal(path, path, "--joint-crop", *spacing)


def test_a_joint_that_lies_on_its_side_is_refused(refusal, tmp_path):
    lying = [write_picture(tmp_path / f"{k}.png", np.rot90(film)) for k, film in enumerate(joint().films)]
    assert "the finger pointing up" in refusal(*lying, *CROP)


def test_a_blank_film_is_refused(refusal, tmp_path):
    blank = write_picture(tmp_path / "blank.png", np.full((120, 120), 7.0))
    assert "one grey value" in refusal(blank, blank, *CROP)


def mask_of_ones(folder: Path, _: Path) -> Path:
    return write_picture(folder / "full.png", np.full((120, 120), 255.0))


def mask_without_values(folder: Path, _: Path) -> Path:
    Image.fromarray(np.full((120, 120), np.nan, np.float32)).save(folder / "nan.tif")
    return folder / "nan.tif"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder, _: write_picture(folder / "empty.png", np.zeros((120, 120))), "is empty"),
        (lambda folder, _: write_picture(folder / "small.png", np.full((60, 60), 255.0)), "60 x 60 pixels"),
        (mask_of_ones, "same bone"),
        (lambda _, lower: lower, "same bone"),
        (mask_without_values, "pixels without a value"),
        (lambda folder, _: folder / "nowhere.png", "cannot be read as a mask"),
        (lambda folder, _: write_text(folder / "mask.png", "no picture"), "cannot be read as a mask"),
        (lambda folder, lower: cut_short(folder / "half.png", lower), "cannot be read as a mask"),
    ],
)
@pytest.mark.parametrize("visit", [0, 1])
def test_a_mask_that_cannot_be_used_is_refused(refusal, crops, masks, tmp_path, make, said, visit):
    upper, lower = (list(paths) for paths in masks)
    upper[visit] = make(tmp_path, lower[visit])
    sentence = refusal(*crops, *CROP, "--upper-mask", *upper, "--lower-mask", *lower)
    assert said in sentence
    assert str(crops[visit]) in sentence or str(upper[visit]) in sentence


# ------------------------------------------------------------------------------------------ earlier results and folders


@pytest.fixture(scope="module")
def earlier(films, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--from` reads of a result of these two films, spacing 0.3 mm, without dates."""
    folder = tmp_path_factory.mktemp("earlier")
    result = {
        "schema": "jointquant-hand/1",
        "inputs": [{"sha256": hashlib.sha256(film.read_bytes()).hexdigest()} for film in films],
        "visits": [{"spacing_mm": HAND_SPACING_MM, "date": None}] * 2,
        "joints": [],
    }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.mark.parametrize(
    ("order", "more", "said"),
    [
        ([1, 0], ["--spacing", "0.3"], "has other films"),
        ([0, 1, 0], ["--spacing", "0.3"], "has other films"),
        ([0, 1], [], "has other spacings or dates"),
        ([0, 1], ["--spacing", "0.2"], "has other spacings or dates"),
        ([0, 1], ["--spacing", "0.3", "--dates", "2020-01-01", "2021-01-01"], "has other spacings or dates"),
        ([0, 1], ["--spacing", "0.3", "--joint-crop"], "--from is for films of a whole hand"),
    ],
)
def test_an_earlier_result_of_something_else_is_refused(refusal, films, earlier, order, more, said):
    assert said in refusal(*(films[k] for k in order), *more, "--from", earlier)


@pytest.mark.parametrize("content", ["[]", "{}", "not JSON", '{"inputs": [], "visits": [{}], "joints": []}'])
def test_what_is_no_result_of_the_hand_job_is_not_reused(refusal, films, tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    assert "is not a result of the hand job" in refusal(*films, "--from", tmp_path)


def in_a_process(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "JointQuantLib", "hand", *(str(argument) for argument in arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "JSNRegistration")])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_of_its_own_ends_with_exit_code_2_and_the_same_sentence(films, tmp_path):
    ended = in_a_process(films[0], tmp_path / "nowhere.png", "--out", tmp_path / "x", "--progress", "none")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (f"jointquant: {tmp_path / 'nowhere.png'} does not exist: check the name of the film.\n")
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_exists_is_refused_before_anything_is_computed(films, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    for more in ([], ["--overwrite"]):  # a folder with anything else in it is never replaced
        ended = in_a_process(*films, "--out", tmp_path / "x", *more)
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        assert (tmp_path / "x" / "notes.txt").read_text() == "mine"


def test_a_refusal_with_overwrite_keeps_the_earlier_result(films, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "result.json").write_text('{"schema": "jointquant-hand/1"}')
    ended = in_a_process(films[0], tmp_path / "nowhere.png", "--out", tmp_path / "x", "--overwrite")
    assert ended.returncode == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "result.json"]
