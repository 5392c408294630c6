"""The command: what it refuses and in which words, how it ends, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from synthetic_result import write_synthetic_result

from JointQuantLib.cli import main
from JointQuantLib.job import Progress

FILMS = ["v1.png", "v2.png"]

# Stands in for the hand analysis where a test needs one that takes for ever: it must be stopped, wherever it is.
ENDLESS_ANALYSIS = """
import time
from dataclasses import dataclass


class HandRequest:
    def __init__(self, **fields):
        self.fields = fields


def analyse_hand(request, folder, progress):
    (folder / "visit_0.nrrd").write_text("half")
    progress.step(0.1, "started")
    while True:
        {work}
"""


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str]:
    """The exit code of the command, and what it said on standard error."""
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "JOB"),
        (["foot"], "foot"),
        (["hand"], "VISIT"),
        (["hand", *FILMS], "--out"),
        (["hand", "v1.png", "--out", "x"], "v1.png is the only film"),
        (["hand", *FILMS, "--out", "x", "--spacing", "0"], "'0' is no pixel spacing"),
        (["hand", *FILMS, "--out", "x", "--spacing=-0.1"], "'-0.1' is no pixel spacing"),
        (["hand", *FILMS, "--out", "x", "--spacing", "nan"], "'nan' is no pixel spacing"),
        (["hand", *FILMS, "--out", "x", "--spacing", "inf"], "'inf' is no pixel spacing"),
        (["hand", *FILMS, "--out", "x", "--spacing", "0,15"], "'0,15' is no pixel spacing"),
        (["hand", *FILMS, "--out", "x", "--spacing", "0.1", "0.1", "0.1"], "3 given for 2 films"),
        (["hand", *FILMS, "--out", "x", "--dates", "31.01.2011", "2012-01-31"], "'31.01.2011' is no date"),
        (["hand", *FILMS, "--out", "x", "--dates", "2011-02-30", "2012-01-31"], "'2011-02-30' is no date"),
        (["hand", *FILMS, "--out", "x", "--dates", "2011-01-31"], "1 given for 2 films"),
        (["hand", *FILMS, "--out", "x", "--only", "MCP6"], "'MCP6' is no finger joint"),
        (["hand", *FILMS, "--out", "x", "--only", "PIP1"], "'PIP1' is no finger joint"),
        (["hand", *FILMS, "--out", "x", "--from", "nowhere"], "nowhere holds no result.json"),
        (["hand", *FILMS, "--out", "x", "--side", "both"], "'both' is no side"),
        (["hand", *FILMS, "--out", "x", "--name", "MCP2"], "--name is for films of one joint"),
        (["hand", *FILMS, "--out", "x", "--upper-mask", "a", "b", "--lower-mask", "c", "d"], "add --joint-crop"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--upper-mask", "a", "b"], "give both"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--upper-mask", "a", "--lower-mask", "b"], "1 given for 2"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--side", "up"], "'up' is no side"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--name", "KNEE"], "'KNEE' is no finger joint"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--only", "MCP2"], "--only is for films of a whole hand"),
        (["hand", *FILMS, "--out", "x", "--joint-crop", "--joints", "j.json"], "--joints is for films of a whole hand"),
        (["hand", *FILMS, "--out", "x", "--device", "gpu"], "'gpu' is no device"),
        (["hand", *FILMS, "--out", "x", "--seed", "-1"], "--seed"),
        (["hand", *FILMS, "--out", "x", "--progress", "loud"], "loud"),
        (["morphometry"], "VOLUME"),
        (["morphometry", "v.nrrd"], "--out"),
        (["morphometry", "v.nrrd", "--out", "x"], "v.nrrd does not exist"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "fixed"], "add --threshold X"),
        (["morphometry", "v.nrrd", "--out", "x", "--threshold", "250"], "--threshold is not for --segmentation binary"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "otsu", "--threshold", "9"], "segmentation otsu"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "fixed", "--threshold", "nan"], "no grey value"),
        (["morphometry", "v.nrrd", "--out", "x", "--window", "1"], "--window is not for --segmentation binary"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "local", "--window", "0"], "'0' is no width"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "otsu", "--offset", "5"], "--offset is not for"),
        (["morphometry", "v.nrrd", "--out", "x", "--segmentation", "best"], "best"),
        (["morphometry", "v.nrrd", "--out", "x", "--outside", "unknown"], "add --region"),
        (["morphometry", "v.nrrd", "--out", "x", "--memory", "0"], "'0' is no number of gigabytes"),
        (["morphometry", "v.nrrd", "--out", "x", "--threads", "0"], "--threads"),
        (["simulate"], "SUBJECT"),
        (["simulate", "hand", "--out", "x", "--count", "0"], "--count"),
        (["simulate", "knee", "--out", "x", "--blocks", "--no-microstructure"], "is for whole knees"),
        (["simulate", "knee", "--out", "x", "--scans", "3"], "give --blocks too"),
        (["simulate", "knee", "--out", "x", "--definition", "test-knees", "--blocks"], "says all about the cohort"),
        (["simulate", "knee", "--out", "x", "--definition", "nowhere.json"], "nowhere.json does not exist"),
        (["simulate", "knee", "--out", "x", "--definition", "test-knees", "--count", "3"], "leave out --count"),
        (["simulate", "knee", "--out", "x", "--micro-ct", ".", "--no-microstructure"], "is a microstructure"),
        (["simulate", "knee", "--out", "x", "--micro-ct", "nowhere.nrrd"], "nowhere.nrrd does not exist"),
        (["simulate", "knee", "--out", "x", "--nuisance", "-1"], "--nuisance"),
        (["simulate", "knee", "--out", "x", "--split", "exam"], "--split"),
        (["simulate", "knee", "--out", "x", "--jobs", "0"], "--jobs"),
        (["scene", "nowhere"], "nowhere holds no result.json"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(capsys, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, error = run(capsys, *arguments)
    assert code == 2
    assert said in error
    assert error.startswith("jointquant: ")
    assert error.endswith(".\n")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_and_left_as_it_was(capsys, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    code, error = run(capsys, "hand", *FILMS, "--out", tmp_path)
    assert code == 2
    assert "exists already" in error
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_films_inside_the_folder_to_be_replaced_are_refused(capsys, tmp_path):
    (tmp_path / "result.json").write_text('{"schema": "jointquant-hand/1"}')
    films = [tmp_path / "v1.png", tmp_path / "v2.png"]
    for film in films:
        film.write_text("film")
    code, error = run(capsys, "hand", *films, "--out", tmp_path, "--overwrite")
    assert code == 2
    assert "lies in the folder that would be replaced" in error
    assert all(film.exists() for film in films)


def test_a_film_that_is_not_there_is_named_and_leaves_nothing(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, error = run(capsys, "hand", *FILMS, "--out", "x", "--progress", "none")
    assert code == 2
    assert "v1.png" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_option_of_the_hand(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["hand", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for option in ("--out", "--spacing", "--dates", "--joints", "--joint-crop", "--upper-mask", "--lower-mask"):
        assert option in said
    for option in ("--side", "--name", "--only", "--from", "--device", "--seed", "--progress", "--overwrite"):
        assert option in said


def test_help_names_every_option_of_the_morphometry(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["morphometry", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for option in ("--region", "--outside", "--segmentation", "--threshold", "--window", "--offset"):
        assert option in said
    for option in ("--keep-largest", "--fine", "--memory", "--threads", "--device", "--seed", "--progress"):
        assert option in said
    assert "--overwrite" in said


# ------------------------------------------------------------------------------------------------ after the analysis


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list:
    """Puts a known result in place of the analysis of films, and collects what was asked of it."""
    asked = []

    def analyse_hand(request: SimpleNamespace, folder: Path, progress: Progress) -> None:
        asked.append(request)
        write_synthetic_result(folder)
        progress.step(1.0, "measured")

    stand_in = ModuleType("JSNRegistrationLib.analysis")
    stand_in.HandRequest = SimpleNamespace
    stand_in.analyse_hand = analyse_hand
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return asked


def test_what_slicer_cannot_draw_here_is_said_in_the_result_and_the_rest_is_written(
    capsys, monkeypatch, tmp_path, analysed
):
    monkeypatch.setattr("JointQuantLib.scene.rendering_available", lambda: (False, "no EGL."))
    monkeypatch.setattr("JointQuantLib.scene.slicer_available", lambda: (False, "no slicer-core."))
    out = tmp_path / "x"
    assert main(["hand", *FILMS, "--out", str(out), "--progress", "json"]) == 0

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [step["fraction"] for step in said] == sorted(step["fraction"] for step in said)
    assert said[-1] == {"fraction": 1.0, "text": f"Done: {out / 'report.html'}"}
    missing = ["view_*.png not written: no EGL.", "scene.mrb not written: no slicer-core."]
    assert json.loads((out / "result.json").read_text("utf-8"))["warnings"][-2:] == missing
    assert set(missing) <= {step["text"] for step in said}
    assert (out / "report.html").stat().st_size > 10_000
    assert not (out / "scene.mrb").exists()
    assert len(analysed) == 1


def test_what_was_asked_reaches_the_analysis(monkeypatch, tmp_path, analysed):
    monkeypatch.setattr("JointQuantLib.cli._write_pictures", lambda *_: None)
    options = ["--spacing", "0.15", "0.2", "--dates", "2011-01-31", "2012-02-29", "--only", "mcp2", "IP1"]
    options += ["--seed", "7", "--device", "cuda:1", "--progress", "none"]
    assert main(["hand", *FILMS, "--out", str(tmp_path / "x"), *options]) == 0
    assert vars(analysed[0]) == {
        "films": (Path("v1.png"), Path("v2.png")),
        "spacing_mm": (0.15, 0.2),
        "dates": (date(2011, 1, 31), date(2012, 2, 29)),
        "joints": None,
        "joint_crop": False,
        "upper_masks": None,
        "lower_masks": None,
        "side": None,
        "name": None,
        "only": ("MCP2", "IP1"),
        "reuse": None,
        "device": "cuda:1",
        "seed": 7,
    }


def test_a_crop_is_named_and_has_its_side_and_masks(monkeypatch, tmp_path, analysed):
    monkeypatch.setattr("JointQuantLib.cli._write_pictures", lambda *_: None)
    options = ["--joint-crop", "--upper-mask", "a", "b", "--lower-mask", "c", "d", "--side", "L", "--name", "pip3"]
    assert main(["hand", *FILMS, "--out", str(tmp_path / "x"), *options, "--progress", "none"]) == 0
    request = analysed[0]
    assert (request.joint_crop, request.side, request.name) == (True, "left", "PIP3")
    assert request.upper_masks == (Path("a"), Path("b"))
    assert request.lower_masks == (Path("c"), Path("d"))


def test_what_was_asked_reaches_the_morphometry(monkeypatch, tmp_path):
    asked = []

    def analyse(request: SimpleNamespace, _folder: Path, _progress: object) -> dict:
        asked.append(request)
        return {"volume": {"in_files": False}}

    stand_in = ModuleType("SubchondralBoneAnalysisLib.morphometry_analysis")
    stand_in.MorphometryRequest = SimpleNamespace
    stand_in.analyse_morphometry = analyse
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr("JointQuantLib.cli._write_pictures", lambda *_: None)
    command = ["morphometry", "v.nrrd", "--out", str(tmp_path / "x"), "--progress", "none"]
    options = ["--region", "r.nrrd", "--outside", "unknown", "--segmentation", "local", "--threshold=-100.5"]
    options += ["--window", "1.5", "--offset", "-20", "--keep-largest", "--fine", "--memory", "2.5", "--threads", "2"]
    assert main([*command, *options, "--seed", "7", "--device", "cuda:1"]) == 0
    assert main([*command[:3], str(tmp_path / "y"), *command[4:]]) == 0
    everything = {
        "volume": Path("v.nrrd"),
        "region": Path("r.nrrd"),
        "segmentation": "local",
        "threshold": -100.5,
        "window_mm": 1.5,
        "offset": -20.0,
        "keep_largest": True,
        "fine": True,
        "outside": "unknown",
        "device": "cuda:1",
        "seed": 7,
        "memory_gb": 2.5,
        "threads": 2,
    }
    nothing = dict.fromkeys(everything) | {"volume": Path("v.nrrd"), "segmentation": "binary", "keep_largest": False}
    nothing |= {"fine": False, "outside": "context", "device": "auto", "seed": 0}
    assert [vars(request) for request in asked] == [everything, nothing]


def test_a_scene_is_added_to_an_earlier_result(capsys, slicer_views, tmp_path):  # noqa: ARG001
    result = write_synthetic_result(tmp_path / "result")
    assert main(["scene", str(result), "--progress", "none"]) == 0
    assert zipfile.is_zipfile(result / "scene.mrb")

    code, error = run(capsys, "scene", result, "--progress", "none")
    assert code == 2
    assert "exists already" in error


# ---------------------------------------------------------------------------------------------------------- being ended


@pytest.fixture
def endless(repository: Path, tmp_path: Path):
    """Starts `jointquant hand` with an analysis that never ends, and returns once that has begun."""
    started = []

    def start(work: str, *more: str) -> subprocess.Popen:
        library = tmp_path / "stand-in" / "JSNRegistrationLib"
        library.mkdir(parents=True)
        (library / "__init__.py").write_text("")
        (library / "analysis.py").write_text(ENDLESS_ANALYSIS.format(work=work))
        process = subprocess.Popen(
            [sys.executable, "-m", "JointQuantLib", "hand", *FILMS, "--out", "x", "--progress", "json", *more],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(library.parent), str(repository)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert json.loads(process.stdout.readline()) == {"fraction": 0.08, "text": "started"}
        assert (tmp_path / "x.partial" / "visit_0.nrrd").exists()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals between processes are a matter of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "work",
    [
        "time.sleep(0.01)",
        "time.sleep(1000)",
        # A library that swallows what it does not know is stopped at the next step.
        "try: time.sleep(1000)\n        except BaseException: progress.step(0.2, 'on')",
    ],
)
def test_an_interrupted_job_leaves_nothing_and_says_so_with_exit_code_3(endless, tmp_path, number, work):
    process = endless(work)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 3
    assert error == "jointquant: cancelled, nothing was written.\n"
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.partial").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals between processes are a matter of POSIX")
def test_an_interrupted_job_keeps_the_result_it_was_to_replace(endless, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "result.json").write_text('{"schema": "jointquant-hand/1"}')
    process = endless("time.sleep(0.01)", "--overwrite")
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stand-in", "x"]
    assert (tmp_path / "x" / "result.json").read_text() == '{"schema": "jointquant-hand/1"}'


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is a matter of POSIX")
def test_a_job_whose_reader_is_gone_stops_and_leaves_nothing(endless, tmp_path):
    process = endless("progress.step(0.5, 'going on')")
    process.stdout.close()
    process.stdout = None
    _, error = process.communicate(timeout=30)
    assert process.returncode == 3
    assert error == "jointquant: cancelled, nothing was written.\n"
    assert not (tmp_path / "x.partial").exists()


def test_a_bug_ends_with_exit_code_1_a_traceback_and_no_folder(repository, tmp_path):
    library = tmp_path / "stand-in" / "JSNRegistrationLib"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("")
    (library / "analysis.py").write_text(ENDLESS_ANALYSIS.format(work="raise ZeroDivisionError"))
    ended = subprocess.run(
        [sys.executable, "-m", "JointQuantLib", "hand", *FILMS, "--out", "x"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(library.parent), str(repository)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stand-in"]
