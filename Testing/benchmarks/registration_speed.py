"""How long a patient takes: 28 joints in 2 visits, crops in memory, after everything was loaded, on two cores.

A method that uses several cores by itself gets the patient as a whole; the others get half of it on each of two
processes. Comparable accuracy: an RMSE on these joints of at most twice ours.
"""

from __future__ import annotations

import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from registration_joints import KnownJoint, make, specs
from registration_methods import METHODS, OURS, PEER, Answer, Method

JOINTS, CORES, REPEATS = 28, 2, 3
COMPARABLE = 2.0  # times our RMSE
LOADED = 2  # joints registered before the clock starts


def measure(shared_data: Path | None, part: str, joints: int = JOINTS) -> list[dict]:
    """The table: seconds for a patient, a row for each method, the fastest first; and the peers' time over ours."""
    every = [spec for spec in specs(shared_data, part) if spec.motion == "medium" and spec.noise == "low"]
    patient = [make(spec) for spec in every[:: max(1, len(every) // joints)][:joints]]
    with get_context("spawn").Pool(CORES) as pool:
        rows = [_row(method, patient, pool, part) for method in METHODS]
    ours = [row for row in rows if row["kind"] == OURS]
    for row in ours:
        peers = [r for r in rows if r["kind"] == PEER and r["RMSE, mm"] <= COMPARABLE * row["RMSE, mm"]]
        fastest = min(peers, key=lambda r: r["seconds for the patient"], default=None)
        row["fastest peer of comparable accuracy"] = fastest["program"] if fastest else "none is as accurate"
        row["its time over ours"] = (
            round(fastest["seconds for the patient"] / row["seconds for the patient"], 1) if fastest else ""
        )
    return sorted(rows, key=lambda row: row["seconds for the patient"])


def answers_of(task: tuple[int, list]) -> list[Answer]:
    """The answers of one method (its place among all) for some pairs."""
    place, pairs = task
    return METHODS[place].register(pairs)


def _row(method: Method, patient: list[KnownJoint], pool, part: str) -> dict:
    pairs = [(joint.first, joint.second) for joint in patient]
    halves = [(METHODS.index(method), pairs[core::CORES]) for core in range(CORES)]
    warm = [(place, some[:LOADED]) for place, some in halves]
    if method.batched:
        method.register(pairs[:LOADED])
    else:
        pool.map(answers_of, warm, chunksize=1)
    seconds = []
    for _ in range(REPEATS if method.kind == OURS else 1):
        began = time.perf_counter()
        if method.batched:
            answers = method.register(pairs)
        else:
            answers = [None] * len(pairs)
            for core, found in enumerate(pool.map(answers_of, halves, chunksize=1)):
                answers[core::CORES] = found
        seconds.append(time.perf_counter() - began)
    errors = [
        joint.change_mm(answer.upper, answer.lower) - joint.true_mm
        for joint, answer in zip(patient, answers, strict=True)
        if answer.upper is not None
    ]
    return {
        "films": part,
        "program": method.name,
        "kind": method.kind,
        "joints": len(pairs),
        "seconds for the patient": round(min(seconds), 3),
        "RMSE, mm": round(float(np.sqrt(np.mean(np.square(errors)))), 4) if errors else float("nan"),
        "fastest peer of comparable accuracy": "",
        "its time over ours": "",
    }
