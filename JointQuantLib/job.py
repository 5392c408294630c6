"""A job: its progress, its cancelling and the folder that holds its result."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Self, TextIO

from JointQuantLib import __version__
from JointQuantLib.errors import BadInput, Cancelled

RESULT_FILE = "result.json"
SCHEMA_PREFIX = "jointquant-"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPORTED_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "pillow",
    "pydicom",
    "python-gdcm",
    "SimpleITK",
    "matplotlib",
    "numba",
    "slicer-core",
    "vtk",
    "torch",
    "monai",
)

ProgressMode = Literal["human", "json", "none"]


class _Interrupted(KeyboardInterrupt):
    """A stop signal, in a class of its own.

    Python notes a plain KeyboardInterrupt that passes through some of its C code, and then ends the process by SIGINT
    even though the exception was caught and the exit code was to be 3.
    """


class Progress:
    """Says how far a job is, and stops it when the user asks.

    Used as a context manager it takes SIGINT and SIGTERM: the signal interrupts whatever runs with KeyboardInterrupt,
    and should a library swallow that, the next `step` raises `Cancelled`. Code that must not be torn apart is run
    `held_back`. Without the context it only reports.

    :param mode: "human" writes a line of text a step, "json" an object `{"fraction", "text"}` a line, "none" nothing.
    :param stream: where to write; standard output unless given.
    """

    def __init__(self, mode: ProgressMode = "human", stream: TextIO | None = None) -> None:
        self._mode = mode
        self._stream = stream
        self._start, self._end = 0.0, 1.0
        self._stop = threading.Event()
        self._held_back = threading.Event()
        self._handlers: dict[signal.Signals, Any] = {}

    def step(self, fraction: float, text: str) -> None:
        """Report that `fraction` (0 to 1) of the work is done and `text` comes next; raises Cancelled after a stop."""
        self.check()
        within = min(max(fraction, 0.0), 1.0)
        self._write(self._start + (self._end - self._start) * within, text)

    def check(self) -> None:
        """Raise Cancelled after a stop."""
        if self._stop.is_set():
            raise Cancelled("the job was cancelled")

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let a stop wait for the next `step` or `check`, at most until the end of the block.

        VTK ends the whole process where an exception comes up in the middle of its C++ code.
        """
        self._held_back.set()
        try:
            yield
        finally:
            self._held_back.clear()
        self.check()

    def finish(self, text: str) -> None:
        """Say the last word. The result is in place: a stop that comes now comes too late to count."""
        self._stop.clear()
        self._write(1.0, text)

    def part(self, start: float, end: float) -> Progress:
        """Return a progress whose 0 to 1 is `start` to `end` of this one; both are stopped by the same signal."""
        piece = copy.copy(self)
        piece._start = self._start + (self._end - self._start) * start
        piece._end = self._start + (self._end - self._start) * end
        return piece

    def __enter__(self) -> Self:
        # Python delivers signals to its main thread only; elsewhere the caller's own thread handling applies.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        if self._stop.is_set() and isinstance(error, Exception):
            # A library that is interrupted while it is loaded makes an ImportError of it.
            raise Cancelled("the job was cancelled") from error

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()
        if not self._held_back.is_set():
            raise _Interrupted

    def _write(self, fraction: float, text: str) -> None:
        if self._mode == "none":
            return
        line = json.dumps({"fraction": round(fraction, 4), "text": text})
        try:
            print(line if self._mode == "json" else f"{fraction:4.0%}  {text}", file=self._stream, flush=True)
        except BrokenPipeError:
            # Whoever read the progress is gone. Python would complain once more when it flushes at exit.
            if self._stream is None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Cancelled("nobody reads the progress any more") from None


class ResultFolder:
    """The folder a job writes: `DIR.partial` while the job runs, `DIR` once it has ended well, nothing otherwise.

    ::

        with ResultFolder(Path("hand"), overwrite=False) as folder:
            folder.write_json("result.json", {...})

    :param out: the folder to be made; folders above it are made too.
    :param overwrite: replace an earlier result of that name, at the very end. Only a result folder is ever replaced.
    :raises BadInput: when `out` exists and may not be replaced, or cannot be made.
    """

    def __init__(self, out: Path, overwrite: bool = False) -> None:
        self.out = Path(out).resolve()
        if self.out.exists():
            if not overwrite:
                raise BadInput(f"{out} exists already: choose another --out, or add --overwrite to replace it.")
            if not _may_be_replaced(self.out):
                raise BadInput(
                    f"{out} is not a result folder (it has no {RESULT_FILE} of this program), so it is not replaced: "
                    "choose another --out."
                )
        self.path = self.out.with_name(f"{self.out.name}.partial")
        self._previous = self.out.with_name(f"{self.out.name}.previous")
        self._parents: list[Path] = []
        for leftover in (self.path, self._previous):
            if leftover.exists() and not overwrite:
                raise BadInput(
                    f"{leftover} is left from a job that was killed, or another job is writing it: remove it, or add "
                    "--overwrite."
                )

    def __enter__(self) -> Self:
        try:
            self._parents = [p for p in self.out.parents if not p.exists()]
            _remove(self.path)
            self.path.mkdir(parents=True)
        except OSError as error:
            self.discard()
            raise BadInput(f"{self.out} cannot be written ({error.strerror}): choose another --out.") from error
        except BaseException:
            self.discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _signals_ignored():
            if kind is None:
                self._put_in_place()
            else:
                self.discard()

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write `content` as JSON: numpy values become plain ones, paths and dates text, NaN and infinity null."""
        path = self.path / name
        path.write_text(json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
        return path

    def add_warning(self, text: str) -> None:
        """Add a sentence to the `warnings` of the result.json that is already in the folder."""
        result = json.loads((self.path / RESULT_FILE).read_text("utf-8"))
        result["warnings"].append(text)
        self.write_json(RESULT_FILE, result)

    def discard(self) -> None:
        """Remove all that this job wrote, and the folders made for it; an earlier result stays as it was."""
        _remove(self.path)
        if self._previous.exists() and not self.out.exists():
            self._previous.rename(self.out)
        for parent in self._parents:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()

    def _put_in_place(self) -> None:
        try:
            if self.out.exists():
                _remove(self._previous)
                self.out.rename(self._previous)
            self.path.rename(self.out)
        except OSError:
            self.discard()
            raise
        _remove(self._previous)


@contextmanager
def replaced(path: Path, overwrite: bool) -> Iterator[None]:
    """Let the block write one file anew: an earlier one comes back, and half a new one goes, if the block fails.

    :raises BadInput: when the file exists and `overwrite` is false.
    """
    previous = path.with_name(f"{path.name}.previous")
    if path.exists():
        if not overwrite:
            raise BadInput(f"{path} exists already: add --overwrite to replace it.")
        path.replace(previous)
    try:
        yield
    except BaseException:
        with _signals_ignored():
            path.unlink(missing_ok=True)
            if previous.exists():
                previous.rename(path)
        raise
    previous.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return `value` made of JSON's own types. Raises TypeError for what has no faithful form in JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy for the sake of --help
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of this program, of Python and of the installed packages that numbers or pictures rest on."""
    found = {"jointquant": __version__, "python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _may_be_replaced(folder: Path) -> bool:
    """An empty folder or a result of this program: anything else may hold what the user cannot make again."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        result = json.loads((folder / RESULT_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(result, dict) and str(result.get("schema", "")).startswith(SCHEMA_PREFIX)


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    elif folder.exists() or folder.is_symlink():
        folder.unlink()


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Renaming and cleaning up take a moment and must not be torn apart by an impatient second Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
