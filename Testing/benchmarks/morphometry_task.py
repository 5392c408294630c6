"""One method on one volume in a process of its own, so that its time and memory are its own.

    python Testing/benchmarks/morphometry_task.py METHOD VOLUME.npy PHASE REPEATS PATIENCE [MAP.npy]

Prints one line of JSON. What is compiled or loaded at the first call is so before the clock starts. For up to
PATIENCE seconds it waits until other processes leave the processors alone; a time that they disturbed is taken again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

BONE = 1
WARM_UP = 24  # voxels along an edge
MIB = 2**20
QUIET = 0.1  # processors that others may use
TICK = 0.03  # seconds: the system counts in hundredths
ATTEMPTS = 3  # for every time that is wanted


def main(method: str, volume: str, phase: str, repeats: str, patience: str, kept: str = "") -> None:
    """Measure, and keep the diameters in voxels (float32) where they are asked for."""
    run = METHODS[method]
    structure = np.load(volume)
    place = np.indices((WARM_UP,) * 3)
    run(place.sum(axis=0) % 12 < 5, int(phase))
    base = peak_bytes()
    timed, quiet = [], []
    for _ in range(ATTEMPTS * int(repeats) if int(patience) else int(repeats)):
        diameter = None  # the last answer is not held while the next is made
        wait_for_quiet(int(patience))
        others = of_others()
        began, used = time.perf_counter(), time.process_time()
        diameter = run(structure, int(phase))
        timed.append((time.perf_counter() - began, time.process_time() - used))
        if of_others() - others < QUIET * timed[-1][0] + TICK:
            quiet.append(timed[-1])
        if len(quiet) == int(repeats):
            break
    wall, cpu = zip(*(quiet if quiet and int(patience) else timed), strict=True)
    answer = {"wall": wall, "cpu": cpu, "quiet": bool(quiet), "base_mib": base / MIB, "peak_mib": peak_bytes() / MIB}
    if kept:
        np.save(kept, in_voxels(diameter))
    print(json.dumps(answer))


def of_others() -> float:
    """Processor seconds that all other processes have used; 0 where the system does not say."""
    counts = Path("/proc/stat")
    if not counts.exists():
        return 0.0
    user, nice, system, _idle, _wait, *interrupts = map(int, counts.read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - time.process_time()


def wait_for_quiet(patience: int) -> None:
    """Until others leave the processors alone for a second, but no longer than `patience` seconds."""
    for _ in range(patience):
        others = of_others()
        time.sleep(1)
        if of_others() - others < QUIET + TICK:
            return


def peak_bytes() -> int:
    """The largest memory this process ever had; where the system says only that, its parent's counts, too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_voxels(found: object) -> np.ndarray:
    """Diameters, float32, of what a method answers: our map of squared radii, or diameters."""
    if isinstance(found, np.ndarray):
        return found.astype(np.float32)
    diameter = np.empty(found.squared_radius.shape, np.float32)
    for k, radius in enumerate(found.squared_radius):
        diameter[k] = 2 * found.lattice.to_mm(radius)
    return diameter


def ours(structure: np.ndarray, phase: int, device: str = "cpu", threads: int | None = None) -> object:
    """The exact map as `measure` makes it, in whole numbers."""
    from SubchondralBoneAnalysisLib.local_thickness import local_thickness
    from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
    from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

    lattice = Lattice.of((1, 1, 1), structure.shape)
    with Workers(threads) as workers:
        return local_thickness(structure.view(np.uint8), phase, lattice, workers, device=device)


def ours_as_diameters(structure: np.ndarray, phase: int) -> np.ndarray:
    """The exact map as others give theirs: one floating-point number a voxel."""
    from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

    found = ours(structure, phase)
    diameter = np.empty(structure.shape, np.float32)

    def fill(first: int, end: int) -> None:
        diameter[first:end] = 2 * found.lattice.to_mm(found.squared_radius[first:end])

    with Workers() as workers:
        workers.share(len(diameter), 8, fill)
    return diameter


def everything(structure: np.ndarray, _phase: int) -> tuple[np.ndarray, np.ndarray]:
    """All parameters and both maps."""
    from SubchondralBoneAnalysisLib.morphometry import measure

    maps = measure(structure, (1, 1, 1))[1]
    return maps.tb_th_mm, maps.tb_sp_mm


def porespy(structure: np.ndarray, phase: int, method: str = "bf") -> np.ndarray:
    """porespy of a phase."""
    from morphometry_peers import porespy_diameter

    return porespy_diameter(structure if phase == BONE else ~structure, method)


def localthickness(structure: np.ndarray, phase: int, scale: float = 1) -> np.ndarray:
    """localthickness of a phase."""
    from morphometry_peers import localthickness_diameter

    return localthickness_diameter(structure if phase == BONE else ~structure, scale)


def copies(structure: np.ndarray, _phase: int) -> np.ndarray:
    """What an ideal method moves: reads 1 byte a voxel, makes distances in 3 passes of 8 bytes, writes 4; 2 for room.

    Made of plain copies of whole numbers of 32 bits, 8 bytes moved a voxel each, on all threads.
    """
    from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

    source, target = _room(structure.shape)
    with Workers() as workers:
        for _ in range(IDEAL_COPIES):
            workers.share(len(source), 8, lambda first, end: np.copyto(target[first:end], source[first:end]))
    return target


@cache
def _room(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(shape, np.int32) + 1, np.zeros(shape, np.int32) + 2


TORCH_ON_CPU = "cpu:0"  # "cpu" is the other form
IDEAL_COPIES = 4  # 32 bytes a voxel: 4.3 GB at 512 cubed
METHODS: dict[str, Callable] = {
    "ours": ours,
    "ours, diameters": ours_as_diameters,
    "ours, torch": lambda structure, phase: ours(structure, phase, device=TORCH_ON_CPU),
    "ours, one thread": lambda structure, phase: ours(structure, phase, threads=1),
    "measure": everything,
    "porespy": porespy,
    "porespy dt": lambda structure, phase: porespy(structure, phase, "dt"),
    "localthickness": localthickness,
    "localthickness 0.5": lambda structure, phase: localthickness(structure, phase, 0.5),
    "copies": copies,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
