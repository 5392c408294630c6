"""Silence for the readers of image files, which write to standard error what the user is told in our own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let no reader write to standard error: a file that cannot be used is said once, in our own sentence."""
    try:
        kept = os.dup(STDERR)
    except OSError:  # a process without one, as a windowed program on Windows
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)
