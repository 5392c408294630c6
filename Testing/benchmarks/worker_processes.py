"""Processes that work side by side, each with one thread, and none of which outlives the command that started it."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def single_threaded(jobs: int) -> ProcessPoolExecutor:
    """A pool of processes. Their libraries read how many threads they may have when they are loaded."""
    os.environ |= dict.fromkeys(THREADS, "1")
    return ProcessPoolExecutor(jobs, get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent_process().join()
    os._exit(1)
