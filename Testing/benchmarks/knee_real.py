"""The whole knee job on the real CTs: time, memory, and what was found of each bone."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

CTS = ("knee_ct_right_image_side.nrrd", "visible_human_female_plateau.nrrd")


def available(shared_data: Path) -> bool:
    """Whether the CTs are there."""
    return all((shared_data / "knee-ct" / name).is_file() for name in CTS)


def tables(shared_data: Path) -> list[tuple[str, str, list[dict]]]:
    """Both tables of the job: name, title, rows."""
    jobs, bones = [], []
    for name in CTS:
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "result"
            command = [sys.executable, "-m", "JointQuantLib", "knee", str(shared_data / "knee-ct" / name)]
            start = time.perf_counter()
            subprocess.run([*command, "--out", str(out), "--progress", "none"], check=True)
            wall = time.perf_counter() - start
            content = json.loads((out / "result.json").read_text("utf-8"))
            jobs.append(
                {
                    "CT": name,
                    "wall, s": round(wall, 1),
                    "largest memory of the jobs so far, GB": round(_peak_gb(), 2),
                    "knees": len(content["knees"]),
                    "regions": sum(len(knee["regions"]) for knee in content["knees"]),
                    "patches": sum(sum(knee["patches"].values()) for knee in content["knees"]),
                    "warnings": " ".join(content["warnings"]),
                }
            )
            bones += _bones(name, out, content)
    return [("knee_jobs", "The knee job on real CTs", jobs), ("knee_real_bones", "Their bones", bones)]


def _bones(name: str, out: Path, content: dict) -> list[dict]:
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "bones.nrrd")))
    rows = []
    for knee in content["knees"]:
        box = tuple(slice(*ends) for ends in knee["box_kji"])
        for number, bone in enumerate(knee["bones"], 1):
            rows.append(
                {
                    "CT": name,
                    "side": knee["side"],
                    "bone": bone["name"],
                    "volume, cm³": round(bone["volume_mm3"] / 1000, 1),
                    "pieces": _pieces(labels[box] == number),
                    "confidence": round(bone["confidence"], 2),
                    "reason": bone["reason"],
                }
            )
    return rows


def _pieces(mask: np.ndarray) -> int:
    return int(ndimage.label(mask)[1])


def _peak_gb() -> float:
    """Of the largest child process that has ended; getrusage counts in kB on Linux and in bytes on macOS."""
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
