"""Time and memory of the simulator: patch pairs, and whole knee pairs with and without microstructure."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from simulation_bones import drawn_region

from SubchondralBoneAnalysisLib.simulation.bone_block import PATCH_MM, bone_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES

PAIRS = 210
MANY = 3000
KNEES = (("iterative-0.5", "dess-0.31x1.5"), ("bone-0.5", "dess-0.36x0.7"))  # 17 and 21, 29 and 33 million voxels


def tables(pairs: int = PAIRS) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    yield "simulation_patch_speed", f"Processor time of a patch pair ({pairs} pairs, one thread)", patch_rows(pairs)
    rows = [knee_row(microstructure, *profiles) for microstructure in (False, True) for profiles in KNEES]
    yield "simulation_knee_speed", "One whole knee pair, in a process of its own", rows


def patch_rows(pairs: int) -> list[dict]:
    """Seconds of each step of a pair, by family, and of all."""
    from simulation_views import ct_view, mr_view

    ct, mr = list(CT_PROFILES.values()), list(MR_PROFILES.values())
    used: dict[str, list[tuple[float, ...]]] = {family: [] for family in FAMILIES}
    for number in range(-len(FAMILIES), pairs):  # the first ones compile, and are not counted
        family = FAMILIES[number % len(FAMILIES)]
        rng = np.random.default_rng([51, number + len(FAMILIES)])
        region = drawn_region(rng)
        clock = [time.process_time()]
        block = bone_block(region, family, rng)
        clock.append(time.process_time())
        _ = block.truth
        clock.append(time.process_time())
        ct_view(block, ct[number % len(ct)].of_scan(rng), PATCH_MM, rng)
        clock.append(time.process_time())
        mr_view(block, mr[number % len(mr)].of_scan(rng), PATCH_MM, rng)
        clock.append(time.process_time())
        if number >= 0:
            used[family].append(tuple(np.diff(clock).tolist()))
    rows = [_row(family, np.array(times)) for family, times in used.items()]
    return [*rows, _row("all", np.concatenate([np.array(times) for times in used.values()]))]


def knee_row(microstructure: bool, ct_profile: str, mr_profile: str) -> dict:
    """A CT and an MR of one knee with their labels."""
    task = Path(__file__).with_name("simulation_knee_task.py")
    answer = subprocess.run(
        [sys.executable, str(task), str(int(microstructure)), ct_profile, mr_profile],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def _row(name: str, times: np.ndarray) -> dict:
    steps = dict(zip(("structure", "truth", "CT", "MR"), times.mean(0), strict=True))
    total = times.sum(1)
    return (
        {"family": name, "pairs": len(times)}
        | {f"{step}, s": round(float(mean), 3) for step, mean in steps.items()}
        | {
            "pair, s": round(float(total.mean()), 3),
            "slowest pair, s": round(float(total.max()), 3),
            f"{MANY} pairs, min": round(float(MANY * total.mean() / 60), 1),
        }
    )
