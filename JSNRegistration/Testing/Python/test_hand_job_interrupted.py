"""The hand job stopped in the middle of its real work: exit code 3, and no result folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hand_jobs import JOINT_SPACING_MM, REPOSITORY, write_joint

from JointQuantLib.errors import Cancelled
from JointQuantLib.job import Progress

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals between processes are a matter of POSIX")


def stopped(folder: Path, number: int, step: str, seconds_later: float) -> subprocess.CompletedProcess:
    """Start the job on two films of a joint and stop it some time after it has said that `step` begins."""
    films = [str(path) for path in write_joint(folder.parent)]
    command = [sys.executable, "-m", "JointQuantLib", "hand", *films, "--joint-crop", "--progress", "json"]
    process = subprocess.Popen(
        [*command, "--spacing", str(JOINT_SPACING_MM), "--out", str(folder / "x")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "JSNRegistration")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if step in json.loads(line)["text"]:
                break
        else:
            pytest.skip(f"this machine does not come to the step {step!r}: without slicer-core there are no pictures")
        assert (folder / "x.partial").is_dir()
        time.sleep(seconds_later)
        process.send_signal(number)
        output, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, output, error)


@pytest.mark.parametrize(
    ("number", "step", "seconds_later"),
    [
        (signal.SIGTERM, "Reading the films", 0.0),
        (signal.SIGINT, "Finding the joints", 0.1),
        (signal.SIGTERM, "Registering the bones", 0.05),
        (signal.SIGINT, "Drawing the maps", 0.0),
        (signal.SIGTERM, "Drawing the images in Slicer", 0.2),  # while slicer-core is looked for or loaded
        (signal.SIGINT, "Drawing the images in Slicer", 0.8),
        (signal.SIGINT, "Writing the report", 0.1),
        (signal.SIGTERM, "Writing the Slicer scene", 0.0),
    ],
)
def test_a_stop_at_any_step_leaves_nothing(tmp_path, number, step, seconds_later):
    folder = tmp_path / "out"
    folder.mkdir()
    ended = stopped(folder, number, step, seconds_later)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr == "jointquant: cancelled, nothing was written.\n"
    assert list(folder.iterdir()) == []


def test_the_error_that_a_library_makes_of_a_stop_is_a_stop():
    """A module in C that is stopped while it imports another one says that it could not be loaded."""
    with pytest.raises(Cancelled), Progress("none"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except KeyboardInterrupt:
            raise ImportError("no module of that name") from None


def test_a_stop_waits_while_it_is_held_back():
    """An exception in the middle of VTK's C++ code would end the process and leave half a folder."""
    done = []
    with pytest.raises(Cancelled), Progress("none") as progress:
        with progress.held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            done.append("drawn")
        done.append("went on")
    assert done == ["drawn"]


def test_a_stop_that_is_held_back_ends_the_work_at_its_next_check():
    done = []
    with pytest.raises(Cancelled), Progress("none") as progress, progress.part(0.5, 1.0).held_back():
        for picture in range(3):
            if picture == 1:
                os.kill(os.getpid(), signal.SIGINT)
            done.append(picture)
            progress.check()
    assert done == [0, 1]


def test_an_error_without_a_stop_stays_what_it_is():
    with pytest.raises(ImportError), Progress("none"):
        raise ImportError("no module of that name")
