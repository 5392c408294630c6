"""Simulated knees as files, and the knee job run on them."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
from job_runs import done

from SubchondralBoneAnalysisLib import analysis
from SubchondralBoneAnalysisLib.knee_findings import KneeFindings
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

SIZE_MM = (110.0, 115.0, 105.0)
# Bands and patches of a user's choice: several tests share what is found with them.
CHOSEN = ("--bands", 0, 3, 8, "--patch-edge", 5, "--patch-grid", 0.5, "--patch-overlap", 0)


def write_knee(folder: Path, knee: SimulatedKnee, spacing_mm: float) -> Volume:
    """Write a simulated CT as ct.nrrd and its true bones as bones.nrrd; the CT in HU."""
    ct = knee.ct(knee.grid(spacing_mm, SIZE_MM))
    write_volume(folder / "ct.nrrd", ct.array, ct)
    write_volume(folder / "bones.nrrd", knee.labels(ct).array, ct)
    return ct


def run_knee(out: Path, ct: Path, *arguments: object) -> dict:
    """The content of result.json of a knee job without pictures.

    What is found of a knee takes most of the time: of the same CT with the same options it is found once.
    """
    with patch.object(analysis, "knee_of_leg", _found_once):
        return done("knee", out, ct, *arguments)


def _found_once(ct, leg, drawn, resolution, request, progress):
    labels = None if drawn is None else drawn.labels.array
    volumes = [hashlib.sha256(np.ascontiguousarray(a)).hexdigest() for a in (ct.volume.array, labels) if a is not None]
    asked = replace(request, ct=Path(), bones=None, mr=None, synthesis=True, deform=False)
    key = (*volumes, str(leg.box), repr(asked))
    if key not in _FOUND:
        _FOUND[key] = _find(ct, leg, drawn, resolution, request, progress)
    return _FOUND[key]


_FOUND: dict[tuple, KneeFindings] = {}
_find = analysis.knee_of_leg


def read(path: Path) -> np.ndarray:
    """A volume of a result as [k, j, i]."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def rows(path: Path) -> list[dict[str, str]]:
    """A table of a result."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
