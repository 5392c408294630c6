"""The real MCP joints that the benchmarks read: films of one joint with the regions of both bones drawn by people."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import JointCrop, crop_from_masks
from JSNRegistrationLib.film_reading.mask_file import read_mask
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph

ASSUMED_SPACING_MM = 0.1  # of these films, by the width of the bones; they say nothing themselves


@dataclass(frozen=True)
class JointSeries:
    """Films of one joint; ``part`` is "development" (odd number) or "evaluation" (even number)."""

    name: str
    films: tuple[Path, ...]

    @property
    def part(self) -> str:
        return "development" if int(re.search(r"\d+", self.name).group()) % 2 else "evaluation"


def joint_series(shared_data: Path, part: str, fewest_films: int) -> list[JointSeries]:
    """All series of a part of the data with at least so many films."""
    found = []
    for folder in sorted((shared_data / "mcp-series").glob("joint_*")):
        films = tuple(sorted(p for p in folder.glob("film_*.png") if re.fullmatch(r"film_\d+", p.stem)))
        series = JointSeries(folder.name, films)
        if series.part == part and len(films) >= fewest_films:
            found.append(series)
    return found


def masks_of(film: Path) -> tuple[np.ndarray, np.ndarray]:
    """The drawn regions of the upper and the lower bone."""
    return tuple(read_mask(film.with_name(f"{film.stem}_{bone}.png")) for bone in ("upper", "lower"))


def crop_of(path: Path) -> tuple[Radiograph, JointCrop] | None:
    """A film and its joint; None where the drawn regions are refused (both are the same bone)."""
    film = read_radiograph(path)
    try:
        return film, crop_from_masks(film, *masks_of(path))
    except BadInput:
        return None


def in_parallel(work: Callable, items: Iterable) -> list:
    """Every item worked on, on all cores."""
    # Spawned: a fork of a process in which PyTorch has threads can hang.
    with get_context("spawn").Pool(os.cpu_count(), _one_core_each) as pool:
        return pool.map(work, list(items), chunksize=1)


def _one_core_each() -> None:
    import torch

    torch.set_num_threads(1)
