"""Time and memory of the local thickness beside other programs, in one run, all processors free for every program.

The volume is trabecular and alike at all sizes: BV/TV 0.26, mean local thickness 4.6 voxels. Every method runs in a
process of its own (morphometry_task.py) after it was called once on a small volume, so compiling is not counted. Times
are the best of the repeats that no other process disturbed; the memory is the largest the process ever had, "before it
began" that of Python, the program and the volume.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from morphometry_shapes import trabecular

TASK = Path(__file__).parent / "morphometry_task.py"
BONE, MARROW = 1, 0
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
NAMES = {
    "ours": "JointQuant, whole numbers",
    "ours, diameters": "JointQuant, diameters in mm",
    "ours, one thread": "JointQuant, one thread",
    "ours, torch": "JointQuant, torch form on CPU tensors",
    "measure": "JointQuant, all parameters and both maps",
    "porespy": "porespy, default (bf)",
    "porespy dt": "porespy, dt",
    "localthickness": "localthickness, scale 1",
    "localthickness 0.5": "localthickness, scale 0.5",
}
OURS = ("ours", "ours, diameters", "ours, one thread")
PEERS = ("porespy", "porespy dt", "localthickness", "localthickness 0.5")
# size, phase, repeats, methods, methods that are run only once. localthickness at scale 1 takes minutes at 512.
RUNS = (
    (128, BONE, 3, (*OURS, "ours, torch", *PEERS), ()),
    (128, MARROW, 3, (*OURS[:2], *PEERS), ()),
    (256, BONE, 3, (*OURS, *PEERS[:2], "localthickness 0.5"), ("localthickness",)),
    (256, MARROW, 3, (*OURS[:2], *PEERS[:2]), ("localthickness", "localthickness 0.5")),
    (512, BONE, 2, (*OURS, "porespy"), ("porespy dt", "localthickness 0.5")),
    (512, MARROW, 2, OURS[:2], ("porespy",)),
)
EVERYTHING = 256
PATIENCE = 15  # seconds that are waited for a quiet machine, each time


def tables() -> list[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows): every method, and what is aimed at."""
    rows, copying = [], []
    with tempfile.TemporaryDirectory() as folder:
        for size in sorted({run[0] for run in RUNS}):
            volume = Path(folder) / "volume.npy"
            np.save(volume, trabecular(size))
            copying.append({"voxels": size} | _run("copies", volume, BONE, 3))
            for _, phase, repeats, methods, once in (run for run in RUNS if run[0] == size):
                rows += _rows(size, phase, volume, dict.fromkeys(methods, repeats) | dict.fromkeys(once, 1))
            if size == EVERYTHING:
                rows.append(_row(size, "both", "measure", _run("measure", volume, BONE, 3)))
    ordered = sorted(rows, key=lambda row: (row["voxels"], row["phase"] != "bone"))
    return [
        ("morphometry_speed", "Local thickness of a trabecular volume", ordered),
        ("morphometry_speed_aims", "Speed and memory against what is aimed at, bone", _aims(rows, copying)),
    ]


def _rows(size: int, phase: int, volume: Path, repeats: dict[str, int]) -> list[dict]:
    truth = volume.with_name("truth.npy")
    rows = []
    for method, number in repeats.items():
        kept = truth if method == "ours" else volume.with_name("map.npy")
        timed = _run(method, volume, phase, number, kept)
        errors = {} if method == "ours" else _errors(volume, phase, truth, kept)
        rows.append(_row(size, "bone" if phase == BONE else "marrow", method, timed) | errors)
    ours, *_ = rows
    for row in rows:
        row["wall of ours / its wall"] = round(ours["wall, s"] / row["wall, s"], 2)
    return rows


def _row(size: int, phase: str, method: str, timed: dict) -> dict:
    return {
        "voxels": f"{size}^3",
        "phase": phase,
        "method": NAMES[method],
        "wall, s": round(min(timed["wall"]), 3),
        "CPU, s": round(min(timed["cpu"]), 3),
        "runs": len(timed["wall"]) if timed["quiet"] else f"{len(timed['wall'])}, disturbed",
        "peak memory, MiB": round(timed["peak_mib"]),
        "of that before it began, MiB": round(timed["base_mib"]),
        "wall of ours / its wall": "",
        "mean error, voxels": "",
        "mean size of error, voxels": "",
        "largest error, voxels": "",
    }


def _run(
    method: str, volume: Path, phase: int, repeats: int, kept: Path | None = None, patience: int = PATIENCE
) -> dict:
    command = [sys.executable, str(TASK), method, str(volume), *map(str, (phase, repeats, patience))]
    command += [str(kept)] if kept else []
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{method} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _errors(volume: Path, phase: int, truth: Path, found: Path) -> dict:
    structure, right, other = (np.load(file, mmap_mode="r") for file in (volume, truth, found))
    total = size = largest = count = 0.0
    for k, slice_ in enumerate(structure):
        inside = slice_ == bool(phase)
        error = other[k][inside].astype(np.float64) - right[k][inside]
        total, size, count = total + error.sum(), size + np.abs(error).sum(), count + error.size
        largest = max(largest, float(np.abs(error).max(initial=0)))
    return {
        "mean error, voxels": round(total / count, 3),
        "mean size of error, voxels": round(size / count, 3),
        "largest error, voxels": round(largest, 2),
    }


def _aims(rows: list[dict], copying: list[dict]) -> list[dict]:
    def of(size: int, method: str, column: str) -> float:
        where = (f"{size}^3", "bone", NAMES[method])
        return next(row[column] for row in rows if (row["voxels"], row["phase"], row["method"]) == where)

    wall = {size: of(size, "ours", "wall, s") for size in (128, 256, 512)}
    cpu, poro = of(512, "ours", "CPU, s"), of(512, "porespy", "wall, s")
    answers = [
        ("wall at 256^3 over that of porespy's default", wall[256] / of(256, "porespy", "wall, s"), "at most 0.6", 0.6),
        (
            "wall at 256^3 over that of localthickness at scale 1",
            wall[256] / of(256, "localthickness", "wall, s"),
            "at most 0.1",
            0.1,
        ),
        ("peak memory at 512^3, GB", of(512, "ours", "peak memory, MiB") * 2**20 / 1e9, "below 2", 2),
        ("CPU seconds at 512^3", cpu, "below 6, or the next", 6),
        ("wall at 512^3 over that of porespy's default", wall[512] / poro, "below 0.7, or the one before", 0.7),
    ]
    table = [
        {"quantity": name, "measured": round(value, 2), "aim": aim, "reached": "yes" if value <= most else "no"}
        for name, value, aim, most in answers
    ]
    for copied in copying:
        size, seconds = copied["voxels"], min(copied["wall"])
        moved = 32 * size**3 / 1e9
        table.append(
            {
                "quantity": f"bound by memory at {size}^3: {moved:.2g} GB copied in {seconds:.3f} s "
                f"({moved / seconds:.1f} GB/s); our wall over it",
                "measured": round(wall[size] / seconds, 1),
                "aim": "stated",
                "reached": "",
            }
        )
    return table
