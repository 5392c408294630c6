"""Where the large arrays of a measurement lie: in memory, or in files of a folder where they are too large for it."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import Self

import numpy as np


class Storage:
    """Makes arrays; a context manager that removes their files.

    Arrays in files are read and written like others. The system keeps as much of them in memory as there is room, and
    `let_go` gives back what it keeps of slices that are done.

    :param folder: where the files are made; None for arrays in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._scratch = None if folder is None else tempfile.TemporaryDirectory(prefix="scratch-", dir=folder)
        self._maps: dict[int, mmap.mmap] = {}  # by the address of the array

    @property
    def in_files(self) -> bool:
        return self._scratch is not None

    def empty(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """An array whose values are not set."""
        if self._scratch is None:
            return np.empty(shape, dtype)
        size = max(1, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
        with tempfile.TemporaryFile(dir=self._scratch.name) as file:
            file.truncate(size)
            mapped = mmap.mmap(file.fileno(), size)
        array = np.frombuffer(mapped, dtype, int(np.prod(shape, dtype=np.int64))).reshape(shape)
        self._maps[array.ctypes.data] = mapped
        return array

    def let_go(self, array: np.ndarray, first: int = 0, end: int | None = None) -> None:
        """Give back the memory of the slices `first` to `end` of an array; its values stay, in its file."""
        mapped = self._maps.get(array.ctypes.data)
        if mapped is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        bytes_per_slice = array.nbytes // max(1, len(array))
        start = -(-first * bytes_per_slice // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = min(len(mapped), (len(array) if end is None else end) * bytes_per_slice)
        if stop > start:
            mapped.madvise(mmap.MADV_DONTNEED, start, stop - start)

    def let_go_of_all(self) -> None:
        """Give back the memory of all arrays."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)

    def forget(self, array: np.ndarray) -> None:
        """The array is not needed any more: its file goes with the last reference to it."""
        self._maps.pop(array.ctypes.data, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._maps.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
