"""One volume of 512 x 512 x 80 voxels to synthetic CT in a process of its own, so that its time and memory are its own.

    python Testing/benchmarks/knee_synthesis_task.py [VOLUME]

Without a volume a simulated DESS is made first. Threads are what the environment says. Prints one line of JSON; memory
is that of the whole process, the libraries and the image counted in.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np
from morphometry_task import MIB, peak_bytes

SEED = 71
PROFILE = "dess-0.31x1.5"
SHAPE = (80, 512, 512)


def main(volume: str = "") -> None:
    """Measure."""
    from SubchondralBoneAnalysisLib.synthesis import synthesize_ct
    from SubchondralBoneAnalysisLib.volume import read_volume

    mr = read_volume(volume) if volume else simulated()
    before = peak_bytes()
    wall, used = time.perf_counter(), time.process_time()
    found = synthesize_ct(mr, device="cpu")
    wall, used = time.perf_counter() - wall, time.process_time() - used
    row = {"voxels": " x ".join(str(n) for n in mr.array.shape[::-1]), "threads": os.environ.get("OMP_NUM_THREADS")}
    row |= {"wall, s": round(wall, 1), "CPU s": round(used, 1), "device": found.device}
    row |= {"memory before, GiB": round(before / MIB / 1024, 2)}
    print(json.dumps(row | {"peak memory, GiB": round(peak_bytes() / MIB / 1024, 2)}))


def simulated():
    """A DESS of a simulated knee, cut or padded to 512 x 512 x 80 voxels; no microstructure."""
    from dataclasses import replace

    from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
    from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES

    scan = MR_PROFILES[PROFILE].of_scan(np.random.default_rng(SEED))
    mr = KneePair(SEED, "right", (4.0, 5.0)).mr(scan)
    array = np.zeros(SHAPE, mr.array.dtype)
    both = tuple(slice(0, min(a, b)) for a, b in zip(SHAPE, mr.array.shape, strict=True))
    array[both] = mr.array[both]
    return replace(mr, array=array)


if __name__ == "__main__":
    main(*sys.argv[1:])
