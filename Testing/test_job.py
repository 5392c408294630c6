"""The result folder is whole or not there; progress can be read by a program and stopped by a signal."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import signal
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from JointQuantLib.errors import BadInput, Cancelled
from JointQuantLib.job import Progress, ResultFolder, plain, replaced, sha256_of, versions

EARLIER = '{"schema": "jointquant-hand/1", "note": "earlier"}'


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "hand"


@pytest.fixture
def earlier(out: Path) -> Path:
    """A result that is there already."""
    out.mkdir()
    (out / "result.json").write_text(EARLIER)
    (out / "scene.mrb").write_text("old")
    return out


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


# ---------------------------------------------------------------------------------------------------- the result folder


def test_the_folder_is_partial_while_the_job_runs_and_named_at_the_end(out):
    with ResultFolder(out) as folder:
        assert folder.path.name == "hand.partial"
        assert not out.exists()
        folder.write_json("result.json", {"a": 1})
    assert json.loads((out / "result.json").read_text()) == {"a": 1}
    assert beside(out) == ["hand"]


@pytest.mark.parametrize("error", [RuntimeError, BadInput, Cancelled, KeyboardInterrupt, SystemExit])
def test_a_job_that_ends_early_leaves_nothing(out, error):
    with pytest.raises(error), ResultFolder(out) as folder:
        folder.write_json("result.json", {})
        raise error
    assert beside(out) == []


def test_folders_above_are_made_and_removed_again_by_a_job_that_ends_early(tmp_path):
    with pytest.raises(RuntimeError), ResultFolder(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with ResultFolder(tmp_path / "a" / "b" / "c"):
        pass
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_an_existing_folder_is_refused(earlier):
    with pytest.raises(BadInput, match="--overwrite"):
        ResultFolder(earlier)
    assert (earlier / "result.json").read_text() == EARLIER


def test_overwriting_replaces_the_earlier_result_at_the_end(earlier):
    with ResultFolder(earlier, overwrite=True) as folder:
        folder.write_json("result.json", {"new": True})
        assert (earlier / "result.json").read_text() == EARLIER
    assert [path.name for path in earlier.iterdir()] == ["result.json"]
    assert json.loads((earlier / "result.json").read_text()) == {"new": True}
    assert beside(earlier) == ["hand"]


def test_overwriting_that_ends_early_keeps_the_earlier_result(earlier):
    with pytest.raises(KeyboardInterrupt), ResultFolder(earlier, overwrite=True) as folder:
        folder.write_json("result.json", {"new": True})
        raise KeyboardInterrupt
    assert (earlier / "result.json").read_text() == EARLIER
    assert (earlier / "scene.mrb").read_text() == "old"
    assert beside(earlier) == ["hand"]


@pytest.mark.parametrize("content", [None, "[]", "{}", '{"schema": "other/1"}', "no json"])
def test_overwriting_never_replaces_what_is_no_result_of_ours(out, content):
    out.mkdir()
    (out / "films.txt").write_text("precious")
    if content is not None:
        (out / "result.json").write_text(content)
    with pytest.raises(BadInput, match="not a result folder"):
        ResultFolder(out, overwrite=True)
    assert (out / "films.txt").read_text() == "precious"


def test_overwriting_never_replaces_a_file(out):
    out.write_text("precious")
    with pytest.raises(BadInput, match="not a result folder"):
        ResultFolder(out, overwrite=True)


def test_an_empty_folder_may_be_overwritten(out):
    out.mkdir()
    with ResultFolder(out, overwrite=True) as folder:
        folder.write_json("result.json", {})
    assert (out / "result.json").exists()


def test_what_a_killed_job_left_is_named_and_goes_with_overwrite(out):
    left = out.with_name("hand.partial")
    left.mkdir()
    (left / "visit_0.nrrd").write_text("half")
    with pytest.raises(BadInput, match=r"hand\.partial"):
        ResultFolder(out)
    with ResultFolder(out, overwrite=True):
        pass
    assert beside(out) == ["hand"]
    assert list(out.iterdir()) == []


def test_a_result_moved_aside_by_a_killed_job_comes_back_when_the_next_one_fails(earlier):
    earlier.rename(earlier.with_name("hand.previous"))
    with pytest.raises(RuntimeError), ResultFolder(earlier, overwrite=True):
        raise RuntimeError
    assert (earlier / "result.json").read_text() == EARLIER


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"), ResultFolder(tmp_path / "file" / "hand"):
        pass


def test_a_warning_is_added_to_the_result(out):
    with ResultFolder(out) as folder:
        folder.write_json("result.json", {"warnings": ["first"], "seed": 3})
        folder.add_warning("second")
    assert json.loads((out / "result.json").read_text()) == {"warnings": ["first", "second"], "seed": 3}


def test_one_file_is_replaced_only_when_its_writing_ends_well(earlier):
    scene = earlier / "scene.mrb"
    with pytest.raises(BadInput, match="--overwrite"), replaced(scene, overwrite=False):
        pass
    with pytest.raises(KeyboardInterrupt), replaced(scene, overwrite=True):
        scene.write_text("half")
        raise KeyboardInterrupt
    assert scene.read_text() == "old"
    with replaced(scene, overwrite=True):
        scene.write_text("new")
    assert scene.read_text() == "new"
    assert sorted(path.name for path in earlier.iterdir()) == ["result.json", "scene.mrb"]


# --------------------------------------------------------------------------------------------------------- what is said


def test_json_takes_numpy_paths_and_dates_and_turns_nan_into_null():
    value = {
        "f": np.float32(0.5),
        "i": np.int64(3),
        "b": np.bool_(True),
        "a": np.array([[1.0, np.nan], [np.inf, -0.0]]),
        "t": (1, None, "text"),
        "p": Path("a") / "b",
        "d": date(2011, 1, 31),
        "n": math.nan,
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "f": 0.5,
        "i": 3,
        "b": True,
        "a": [[1.0, None], [None, 0.0]],
        "t": [1, None, "text"],
        "p": str(Path("a") / "b"),
        "d": "2011-01-31",
        "n": None,
    }


def test_json_refuses_what_it_cannot_hold():
    with pytest.raises(TypeError, match="complex"):
        plain({"z": [1j]})


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "film"
    path.write_bytes(b"\x00\x01" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"\x00\x01" * 100_000).hexdigest()


def test_versions_name_what_the_numbers_rest_on():
    found = versions()
    assert {"jointquant", "python", "numpy", "scipy", "pydicom"} <= set(found)
    assert found["numpy"] == np.__version__


def test_json_progress_is_one_object_a_line():
    stream = io.StringIO()
    progress = Progress("json", stream)
    progress.step(0.25, "Reading\nfilms")
    progress.step(2.0, "Done")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"fraction": 0.25, "text": "Reading\nfilms"},
        {"fraction": 1.0, "text": "Done"},
    ]


def test_human_progress_is_a_line_of_text_and_none_is_silence():
    human, silent = io.StringIO(), io.StringIO()
    Progress("human", human).step(0.5, "Registering MCP2")
    Progress("none", silent).step(0.5, "Registering MCP2")
    assert human.getvalue() == " 50%  Registering MCP2\n"
    assert silent.getvalue() == ""


def test_a_part_of_a_part_covers_its_share_of_the_whole():
    stream = io.StringIO()
    half = Progress("json", stream).part(0.5, 1.0)
    half.part(0.0, 0.5).step(1.0, "x")
    half.step(0.0, "y")
    assert [json.loads(line)["fraction"] for line in stream.getvalue().splitlines()] == [0.75, 0.5]


# ------------------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_what_runs(number):
    with pytest.raises(KeyboardInterrupt), Progress("none"):
        os.kill(os.getpid(), number)
        time.sleep(30)


def test_a_swallowed_signal_is_raised_again_by_the_next_step_of_any_part():
    with Progress("none") as progress:
        part = progress.part(0.0, 0.5)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Cancelled):
            part.step(0.1, "next")


def test_handlers_are_those_of_before_when_the_job_is_over():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Progress("none"):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_signal_does_not_disturb_the_cleaning_up(out, monkeypatch):
    discard = ResultFolder.discard

    def discard_under_fire(folder: ResultFolder) -> None:
        signal.raise_signal(signal.SIGINT)
        discard(folder)

    monkeypatch.setattr(ResultFolder, "discard", discard_under_fire)
    with pytest.raises(KeyboardInterrupt), Progress("none"), ResultFolder(out) as folder:
        folder.write_json("result.json", {})
        signal.raise_signal(signal.SIGINT)
    assert beside(out) == []


def test_a_reader_who_is_gone_stops_the_job():
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(Cancelled):
        Progress("json", Gone()).step(0.1, "x")
