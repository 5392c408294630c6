"""How exactly all ways to register find the change of a joint space, on joints with exactly known motion, in one run.

What the columns say, for the errors (estimate minus truth, mm) of the joints that were answered: mean, SD, RMSE and its
95 % interval (bootstrap over joints), worst; "mismatch" is the share of all joints with an error beyond 0.2 mm or
without an answer; "worst measured" is the worst among joints that the method itself calls measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from mcp_series import in_parallel
from peers import SETTINGS
from registration_floor import floor_mm
from registration_joints import MOTIONS, NOISES, REAL, SIMULATED, SOURCES, JointSpec, KnownJoint, make, specs
from registration_methods import CLASSICAL, GUIDED, METHODS, OTHER_SEED, OURS, PEER, UNGUIDED, Method, timed
from scipy import stats

from JointQuantLib.statistics import interval_coverage, rmse_ratio
from JSNRegistrationLib.verdict import MEASURED, NOT_MEASURABLE

MISMATCH_MM = 0.2
TOGETHER = 9  # joints that a method gets at once
RESAMPLES = 2000
LEAST_ANSWERED = 0.95  # of the joints: the best outside peer has to answer as many
MANUAL_SDC_MM = 0.041  # smallest detectable change, manual measurement, phantom: J Digit Imaging 2020;33:1390
WANG = {"SD, mm": 0.0661, "MSE (no unit stated)": 0.0031, "mismatch, %": 0.48}  # Comput Med Imaging Graph 2023;108
Cells = Callable[["Answered"], bool]


@dataclass(frozen=True)
class Answered:
    """What one method answered for one joint; lengths in mm, ``floor_mm`` that of the joint."""

    method: str
    source: str
    motion: str
    noise: str
    seed: int
    true_mm: float
    estimate_mm: float
    se_mm: float
    verdict: str | None
    cpu_s: float
    floor_mm: float

    @property
    def joint(self) -> tuple[str, str, str, int]:
        """Which joint this is about."""
        return self.source, self.motion, self.noise, self.seed

    @property
    def error_mm(self) -> float:
        return self.estimate_mm - self.true_mm


@dataclass(frozen=True)
class Task:
    """Joints that every method gets at once, and the folder that keeps what the peers answered: they are slow."""

    number: int
    joints: tuple[JointSpec, ...]
    kept: Path | None

    @property
    def file(self) -> Path | None:
        """Another file for other joints and other settings of the peers."""
        if self.kept is None:
            return None
        of = (
            repr([replace(spec, film=spec.film and spec.film.parts[-2:]) for spec in self.joints])
            + SETTINGS.read_text()
        )
        return self.kept / f"{hashlib.sha256(of.encode()).hexdigest()[:16]}.json"


def answers_of(task: Task) -> list[Answered]:
    """All methods on the joints of a task; the peers are not asked again where they were asked in an earlier run."""
    kept = _kept(task)
    joints = [make(spec) for spec in task.joints]
    floors = [answer.floor_mm for answer in kept[: len(joints)]] or [floor_mm(joint) for joint in joints]
    found = {
        kind: [
            answer
            for method in METHODS
            if method.kind == kind and not (kept and kind == PEER) and task.number % method.every == 0
            for answer in _answers(method, joints, floors)
        ]
        for kind in (OURS, OTHER_SEED, PEER)
    }
    if task.file is not None and not kept:
        unfinished = task.file.with_suffix(".part")
        unfinished.write_text(json.dumps([asdict(answer) for answer in found[PEER]]), encoding="utf-8")
        unfinished.replace(task.file)
    return found[OURS] + found[OTHER_SEED] + (kept or found[PEER])


def _kept(task: Task) -> list[Answered]:
    if task.file is None or not task.file.exists():
        return []
    return [Answered(**answer) for answer in json.loads(task.file.read_text(encoding="utf-8"))]


def _answers(method: Method, joints: Sequence[KnownJoint], floors: Sequence[float]) -> list[Answered]:
    answers, cpu_s = timed(method, [(joint.first, joint.second) for joint in joints])
    found = []
    for joint, answer, floor in zip(joints, answers, floors, strict=True):
        estimate = np.nan if answer.upper is None else joint.change_mm(answer.upper, answer.lower)
        spec = joint.spec
        found.append(
            Answered(
                method.name,
                spec.source,
                spec.motion,
                spec.noise,
                spec.seed,
                joint.true_mm,
                estimate,
                answer.se_mm,
                answer.verdict,
                cpu_s / len(joints),
                floor,
            )
        )
    return found


def all_answers(
    shared_data: Path | None, part: str, each: int | None = None, kept: Path | None = None
) -> list[Answered]:
    """All methods on all joints of a part; ``kept`` is the folder that keeps the answers of the peers."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    chosen = specs(shared_data, part, each)
    lots = [tuple(chosen[k : k + TOGETHER]) for k in range(0, len(chosen), TOGETHER)]
    tasks = [Task(number, lot, kept) for number, lot in enumerate(lots)]
    return [answer for found in in_parallel(answers_of, tasks) for answer in found]


def accuracy_rows(answers: list[Answered], part: str) -> list[dict]:
    """The table of errors: a row for every method, best first, the literature below."""
    rows = [_row(method.name, method.kind, _of(answers, method.name), part) for method in METHODS]
    return sorted(rows, key=lambda row: row["RMSE, mm"]) + _literature(list(rows[0]))


def cell_rows(answers: list[Answered], part: str) -> list[dict]:
    """RMSE (mm) of every method, and the floor, in every cell of source, motion and noise."""
    rows = [_cells(method.name, _of(answers, method.name), lambda a: a.error_mm, part) for method in METHODS]
    return [_cells("Cramer-Rao-like floor", _of(answers, CLASSICAL), lambda a: a.floor_mm, part), *rows]


def ratio_rows(answers: list[Answered], part: str) -> list[dict]:
    """Our methods against the best outside peer, against our classical core on hard films, against the same without
    the network (for the networks of three trainings), and against the floor."""
    peer = best_peer(answers)
    ours = [method.name for method in METHODS if method.kind == OURS]
    rows = [
        _ratio(f"RMSE over that of {peer}, {which}", name, peer, answers, cell, part)
        for name, (which, cell) in product(ours, _SUBSETS.items())
    ]
    rows += [
        _ratio(f"RMSE over that of the classical core, {which}", name, CLASSICAL, answers, cell, part)
        for name, (which, cell) in product(ours, _HARD.items())
        if name != CLASSICAL
    ]
    trained = [GUIDED, *(method.name for method in METHODS if method.kind == OTHER_SEED)]
    rows += [
        _ratio(f"RMSE over that without network, {which}", name, UNGUIDED, answers, cell, part)
        for name, (which, cell) in product(trained, (_HARD | _SUBSETS).items())
    ]
    return rows + [
        _over_floor(f"RMSE over the floor, {which}", name, answers, cell, part)
        for name, (which, cell) in product(ours, _FLOORED.items())
    ]


def coverage_rows(answers: list[Answered], part: str) -> list[dict]:
    """How often the stated intervals hold the truth, over all joints and in every cell."""
    cells = {"all": _every} | {
        f"{source}, motion {motion}, noise {noise}": _cell(source, motion, noise)
        for source, motion, noise in product(SOURCES, MOTIONS, NOISES)
    }
    rows = []
    for method in METHODS:
        stated = [a for a in _of(answers, method.name) if np.isfinite(a.error_mm) and np.isfinite(a.se_mm)]
        rows += [_coverage(method.name, which, [a for a in stated if cell(a)], part) for which, cell in cells.items()]
    return [row for row in rows if row["N"]]


def best_peer(answers: list[Answered]) -> str:
    """The outside peer with the smallest RMSE of those that were asked for all joints and answer nearly always."""
    rmses = {}
    for method in METHODS:
        errors = np.array([a.error_mm for a in _of(answers, method.name)])
        if method.kind == PEER and method.every == 1 and np.mean(np.isfinite(errors)) >= LEAST_ANSWERED:
            rmses[method.name] = _rms(errors)
    return min(rmses, key=rmses.get)


def _of(answers: list[Answered], method: str) -> list[Answered]:
    return [a for a in answers if a.method == method]


def _every(_: Answered) -> bool:
    return True


def _cell(source: str, motion: str, noise: str) -> Cells:
    return lambda a: (a.source, a.motion, a.noise) == (source, motion, noise)


_SUBSETS: dict[str, Cells] = {
    "all joints": _every,
    SIMULATED: lambda a: a.source == SIMULATED,
    REAL: lambda a: a.source == REAL,
}
_HARD: dict[str, Cells] = {
    "hard films": lambda a: a.motion == "hard",
    f"hard films, {SIMULATED}": lambda a: a.motion == "hard" and a.source == SIMULATED,
    f"hard films, {REAL}": lambda a: a.motion == "hard" and a.source == REAL,
}
_FLOORED: dict[str, Cells] = {
    "easy and medium motion at medium noise": lambda a: a.motion != "hard" and a.noise == "medium",
    "all joints": _every,
}


def _row(name: str, kind: str, answers: list[Answered], part: str) -> dict:
    error = np.array([a.error_mm for a in answers])
    true = np.array([a.true_mm for a in answers])
    gave = np.isfinite(error)
    measured = np.array([a.verdict == MEASURED for a in answers]) & gave
    low, high = _rmse_interval(error[gave])
    judged = any(a.verdict for a in answers)
    row = {
        "films": part,
        "program": name,
        "kind": kind,
        "N": len(answers),
        "gave up": int(np.sum(~gave)),
        "mean, mm": round(float(error[gave].mean()), 4),
        "SD, mm": round(float(error[gave].std()), 4),
        "RMSE, mm": round(_rms(error), 4),
        "95 % interval of RMSE": f"{low:.4f} to {high:.4f}",
        "MSE, mm2": round(float(np.mean(error[gave] ** 2)), 6),
        "mismatch (> 0.2 mm), %": round(100 * float(np.mean(~(np.abs(error) <= MISMATCH_MM))), 2),
        "worst, mm": round(float(np.abs(error[gave]).max()), 3),
        "worst measured, mm": round(float(np.abs(error[measured]).max()), 3) if measured.any() else "",
        "measured, %": round(100 * float(np.mean(measured)), 1) if judged else "",
        "refused, %": round(100 * float(np.mean([a.verdict == NOT_MEASURABLE for a in answers])), 1) if judged else "",
        "slope on truth": round(float(np.polyfit(true[gave], (true + error)[gave], 1)[0]), 4),
        "CPU ms per joint": round(1000 * float(np.mean([a.cpu_s for a in answers]))),
    }
    for source in SOURCES:
        row[f"RMSE {source}, mm"] = round(_rms(np.array([a.error_mm for a in answers if a.source == source])), 4)
    return row


def _literature(columns: list[str]) -> list[dict]:
    """Figures of others, from their own films: to be read beside ours, not against them."""
    empty = dict.fromkeys(columns, "")
    return [
        empty
        | {
            "films": "phantom of others",
            "program": f"literature: manual measurement, smallest detectable change {MANUAL_SDC_MM} mm (1.96 SD)",
            "SD, mm": round(MANUAL_SDC_MM / 1.96, 4),
        },
        empty
        | {
            "films": "patients of others, truth unknown",
            "program": "literature: Wang et al. 2023, as the abstract states; no definition of a mismatch was found, "
            "the MSE has no unit and may be of grey values",
            "SD, mm": WANG["SD, mm"],
            "MSE, mm2": f"{WANG['MSE (no unit stated)']} (no unit)",
            "mismatch (> 0.2 mm), %": WANG["mismatch, %"],
        },
    ]


def _cells(name: str, answers: list[Answered], quantity: Callable[[Answered], float], part: str) -> dict:
    row = {"films": part, "program": name}
    for source, motion, noise in product(SOURCES, MOTIONS, NOISES):
        inside = _cell(source, motion, noise)
        row[f"{source}, {motion} / {noise}"] = round(_rms(np.array([quantity(a) for a in answers if inside(a)])), 4)
    return row


def _ratio(what: str, name: str, other: str, answers: list[Answered], cell: Cells, part: str) -> dict:
    theirs = {a.joint: a.error_mm for a in _of(answers, other)}
    pairs = [(a.error_mm, theirs[a.joint]) for a in _of(answers, name) if cell(a) and a.joint in theirs]
    pairs = [pair for pair in pairs if np.isfinite(pair).all()]
    row = {"films": part, "program": name, "ratio": what, "N": len(pairs), "value": "", "95 % interval": ""}
    if len(pairs) < 2:
        return row
    value, (low, high) = rmse_ratio(*np.transpose(pairs), rng=np.random.default_rng(1))
    return row | {"value": round(value, 3), "95 % interval": f"{low:.3f} to {high:.3f}"}


def _over_floor(what: str, name: str, answers: list[Answered], cell: Cells, part: str) -> dict:
    chosen = [a for a in _of(answers, name) if cell(a) and np.isfinite(a.error_mm)]
    errors, floors = np.array([(a.error_mm, a.floor_mm) for a in chosen]).T
    value, (low, high) = rmse_ratio(errors, floors, rng=np.random.default_rng(1))
    return {
        "films": part,
        "program": name,
        "ratio": what,
        "N": len(chosen),
        "value": round(value, 3),
        "95 % interval": f"{low:.3f} to {high:.3f}",
    }


def _coverage(name: str, which: str, answers: list[Answered], part: str) -> dict:
    row = {"films": part, "program": name, "pairs": f"{name}, {which}", "N": len(answers)}
    if not answers:
        return row
    errors, ses = np.array([(a.error_mm, a.se_mm) for a in answers]).T
    for level in (0.68, 0.95):
        share, (low, high) = interval_coverage(errors, ses, level)
        row[f"{level:.0%} interval holds the truth, %"] = round(100 * share, 1)
        row[f"interval of that at {level:.0%}"] = f"{100 * low:.0f} to {100 * high:.0f}"
    row["RMS of error / standard error"] = round(_rms(errors / ses), 2)
    row["median standard error, mm"] = round(float(np.median(ses)), 4)
    return row


def _rms(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _rmse_interval(errors: np.ndarray) -> tuple[float, float]:
    interval = stats.bootstrap(
        (errors,),
        lambda e, axis=-1: np.sqrt(np.mean(np.square(e), axis)),
        n_resamples=RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    return float(interval.low), float(interval.high)
