"""Threads that share the slices or tiles of a volume; the kernels they run let go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A pool of `threads` threads (default: one for each processor); a context manager.

    `check` is called in the caller's thread as the parts are done; what it raises ends the work.
    """

    def __init__(self, threads: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        self.threads = threads or processors()
        self._check = check
        self._pool = ThreadPoolExecutor(self.threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """What `work` answers for each item, in their order."""
        running = [self._pool.submit(work, item) for item in items]
        try:
            answers = []
            for future in running:
                answers.append(future.result())
                self._check()
            return answers
        finally:
            for future in running:
                future.cancel()

    def share(self, count: int, size: int, work: Callable[[int, int], Answer]) -> list[Answer]:
        """Call `work(first, end)` on parts of at most `size` of `count` things, and return the answers in order."""
        parts = [(first, min(first + size, count)) for first in range(0, count, size)]
        return self.each(lambda part: work(*part), parts)
