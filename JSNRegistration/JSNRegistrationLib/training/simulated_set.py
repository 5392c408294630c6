"""Simulated images on disk, made once from their seeds by all cores, and read back for training."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

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
    starts = range(0, count, batch)
    files = [folder / f"{name}-{seed}-{start:06d}.npz" for start in starts]
    missing = [(f, seed * SEEDS_APART + start) for f, start in zip(files, starts, strict=True) if not f.exists()]
    if missing:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            work = partial(_make_file, arrays_of, batch)
            for done, _ in enumerate(pool.map(work, *zip(*missing, strict=True)), 1):
                progress(done / len(missing))
    parts = [dict(np.load(file)) for file in files]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _make_file(arrays_of: Callable[[int], Arrays], batch: int, file: Path, first_seed: int) -> None:
    made = [arrays_of(seed) for seed in range(first_seed, first_seed + batch)]
    unfinished = file.with_suffix(".partial.npz")
    np.savez_compressed(unfinished, **{key: np.concatenate([arrays[key] for arrays in made]) for key in made[0]})
    unfinished.replace(file)
