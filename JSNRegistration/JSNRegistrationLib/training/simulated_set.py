"""Simulated images on disk, made once from their seeds by all cores, and read back for training."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

VERSION = 1  # of the simulation: raised with it, so that older images are not used again
SEEDS_APART = 1_000_000  # between the images of one training seed and the next

Arrays = dict[str, np.ndarray]


def simulated_set(
    folder: Path,
    name: str,
    arrays_of: Callable[[int], Arrays],
    seed: int,
    count: int,
    batch: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Arrays:
    """The arrays of `count` seeds of one training seed, joined along their first axis.

    `arrays_of` (a function of a module, so that other processes can run it) makes those of one seed, each with a first
    axis for what it simulates. Files of `batch` seeds that `folder` already holds are read, the others are made.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [range(start, min(start + batch, count)) for start in range(0, count, batch)]
    files = [folder / f"{name}-{VERSION}-{seed}-{piece.start:06d}-{len(piece)}.npz" for piece in pieces]
    missing = [(file, piece) for file, piece in zip(files, pieces, strict=True) if not file.exists()]
    if missing:
        # Spawned: a fork of a process in which PyTorch has threads can hang.
        with ProcessPoolExecutor(min(len(missing), os.cpu_count() or 1), get_context("spawn")) as pool:
            work = partial(_make_file, arrays_of, seed * SEEDS_APART)
            for done, _ in enumerate(pool.map(work, *zip(*missing, strict=True)), 1):
                progress(done / len(missing))
    parts = [_read(file) for file in files]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _read(file: Path) -> Arrays:
    with np.load(file) as stored:
        return dict(stored)


def _make_file(arrays_of: Callable[[int], Arrays], first_seed: int, file: Path, piece: range) -> None:
    made = [arrays_of(first_seed + number) for number in piece]
    unfinished = file.with_suffix(".partial.npz")
    np.savez_compressed(unfinished, **{key: np.concatenate([arrays[key] for arrays in made]) for key in made[0]})
    unfinished.replace(file)
