"""A job of the `jointquant` command, run in this process: to its good end, or to its refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from JointQuantLib.cli import main


def done(job: str, out: Path, *arguments: object, pictures: bool = False) -> dict:
    """Run a job to its good end, with Slicer's pictures and the report or without, and return result.json."""
    command = [job, *(str(argument) for argument in arguments), "--out", str(out), "--progress", "none"]
    if pictures:
        assert main(command) == 0
    else:
        with patch("JointQuantLib.cli._write_pictures", lambda *_: None):
            assert main(command) == 0
    return json.loads((out / "result.json").read_text("utf-8"))


def refused(job: str, folder: Path, capfd: pytest.CaptureFixture, *arguments: object) -> str:
    """Run a job that has to refuse, and return its sentence; what libraries print counts, and nothing may be left.

    :param folder: an empty one, in which the result would be made.
    """
    capfd.readouterr()
    code = main([job, *(str(argument) for argument in arguments), "--out", str(folder / "x"), "--progress", "none"])
    said = capfd.readouterr()
    assert code == 2, said.err
    assert said.out == ""
    assert said.err.startswith("jointquant: ")
    assert said.err.endswith(".\n")
    assert said.err.count("\n") == 1
    assert list(folder.iterdir()) == []
    return said.err


def changed(folder: Path, change: Callable[[dict], object]) -> Path:
    """A result folder after `change` was applied to the content of its result.json."""
    path = folder / "result.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder
