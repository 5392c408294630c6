"""One whole knee pair in a process of its own, so that its time and memory are its own.

    python Testing/benchmarks/simulation_knee_task.py 0|1 CT_PROFILE MR_PROFILE

With (1) or without (0) trabeculae. Prints one line of JSON; what is compiled at the first call is counted.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from morphometry_task import MIB, peak_bytes

SEED = 71


def main(microstructure: str, ct_profile: str, mr_profile: str) -> None:
    """Make the CT, the MR and the labels of both, each on the profile's own grid."""
    from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
    from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
    from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
    from SubchondralBoneAnalysisLib.simulation.population.patient import Patient

    rng = np.random.default_rng(SEED)
    patient = Patient.drawn(rng)
    ct_scan, mr_scan = CT_PROFILES[ct_profile].of_scan(rng), MR_PROFILES[mr_profile].of_scan(rng)
    clock = [(time.perf_counter(), time.process_time())]
    pair = KneePair(
        SEED,
        patient.side,
        patient.joint_space_mm,
        regions=patient.regions if int(microstructure) else None,
    )
    ct = pair.ct(ct_scan)
    clock.append((time.perf_counter(), time.process_time()))
    mr = pair.mr(mr_scan)
    clock.append((time.perf_counter(), time.process_time()))
    pair.ct_labels(pair.ct_grid(ct_scan))
    pair.mr_labels(pair.mr_grid(mr_scan))
    clock.append((time.perf_counter(), time.process_time()))
    cpu = np.diff([used for _, used in clock])
    row = {"microstructure": "with" if int(microstructure) else "without"}
    row |= {"CT": ct_profile, "CT voxels": _size(ct.array), "MR": mr_profile, "MR voxels": _size(mr.array)}
    row |= {f"{step}, CPU s": round(float(used), 1) for step, used in zip(("CT", "MR", "labels"), cpu, strict=True)}
    row |= {"pair, CPU s": round(float(cpu.sum()), 1), "pair, wall s": round(clock[-1][0] - clock[0][0], 1)}
    print(json.dumps(row | {"peak memory, GiB": round(peak_bytes() / MIB / 1024, 2)}))


def _size(array: np.ndarray) -> str:
    return " x ".join(str(n) for n in array.shape[::-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
