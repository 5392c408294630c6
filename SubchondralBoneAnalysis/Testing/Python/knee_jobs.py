"""Simulated knees as files, and the knee job run on them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from job_runs import done

from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

SIZE_MM = (110.0, 115.0, 105.0)


def write_knee(folder: Path, knee: SimulatedKnee, spacing_mm: float) -> Volume:
    """Write a simulated CT as ct.nrrd and its true bones as bones.nrrd; the CT in HU."""
    ct = knee.ct(knee.grid(spacing_mm, SIZE_MM))
    write_volume(folder / "ct.nrrd", ct.array, ct)
    write_volume(folder / "bones.nrrd", knee.labels(ct).array, ct)
    return ct


def run_knee(out: Path, ct: Path, *arguments: object) -> dict:
    """The content of result.json of a knee job without pictures."""
    return done("knee", out, ct, *arguments)


def read(path: Path) -> np.ndarray:
    """A volume of a result as [k, j, i]."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def rows(path: Path) -> list[dict[str, str]]:
    """A table of a result."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
