"""Knees as the training reads them: sagittal slices of MR and CT on disk, cut once and mapped into memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

ARRAYS = ("mr", "hu", "bone")
UNKNOWN = np.int16(-32768)  # HU where the CT shows nothing
TISSUE = 0.1  # relative signal, and
BODY_HU = -300  # HU, above which there is no air
LEAST_SHARE = 0.02  # of a slice


@dataclass(frozen=True, eq=False)
class KneeSlices:
    """The slices of one knee, mapped from files; what there is not is None.

    :param mr: [slice, row, column] float16, the relative signal (`ct_synthesis.normalisation`).
    :param hu: int16 of the same shape where there is an MR, with UNKNOWN beyond the CT.
    :param bone: uint8, 1 in the bones; with the CT of a pair only.
    :param step_mm: from slice to slice.
    """

    mr: np.ndarray | None
    hu: np.ndarray | None
    bone: np.ndarray | None
    step_mm: float

    @property
    def image(self) -> np.ndarray:
        """The MR, or the CT where there is no MR."""
        return self.hu if self.mr is None else self.mr

    @cached_property
    def slices_with_leg(self) -> np.ndarray:
        """Indices of the slices that show something; all where none does."""
        shown = [self.shows_leg(picture[::8, ::8]) > LEAST_SHARE for picture in self.image]
        return np.flatnonzero(shown if any(shown) else np.ones(len(shown), bool))

    def shows_leg(self, picture: np.ndarray) -> float:
        """The share of a slice, or of a piece of one, that is no air."""
        return float((picture > (BODY_HU if self.mr is None else TISSUE)).mean())


def write_slices(folder: Path, knee: KneeSlices) -> None:
    """All files or none: a folder that is there is whole."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        array = getattr(knee, name)
        if array is not None:
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
    (partial / "step_mm.txt").write_text(f"{knee.step_mm!r}\n", "utf-8")
    partial.replace(folder)


def read_slices(folder: Path) -> KneeSlices:
    """What `write_slices` wrote."""

    def mapped(name: str) -> np.ndarray | None:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    step_mm = float((folder / "step_mm.txt").read_text("utf-8"))
    return KneeSlices(*map(mapped, ARRAYS), step_mm)
