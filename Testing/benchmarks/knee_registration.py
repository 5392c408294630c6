"""How far off the places of the subchondral bone come to lie when the MR of a knee is registered to its CT.

    python Testing/benchmarks/knee_registration.py COHORT --work FOLDER [--jobs 2] [--only TASK ...] [--pairs N]

COHORT is a folder of simulated knees with known transforms; what is reported is measured on the fixed one:
`jointquant simulate knee --out COHORT --definition test-knees`. Every method gets the same pairs with the same start
errors in the headers. What has been computed stands in FOLDER, a line for every pair and method: a run that was
stopped goes on where it was. Times are seconds of one processor.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from knee_registration_pairs import TRUE, Pair, true_pairs, wrong_pairs
from knee_registration_rivals import elastix_motions, simpleitk_motions
from knee_registration_tables import AS_GIVEN, accuracy, by_profile, paired, starts, wrong
from knee_registration_truth import NUMBERS, motion_of
from worker_processes import single_threaded

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.weights import NoWeights

COHORT = "JOINTQUANT_KNEE_PAIRS"  # names the folder of the cohort for run.py
LINES = "answers.jsonl"
SIMPLEITK, ELASTIX = "SimpleITK, mutual information", "itk-elastix, mutual information"
WITHOUT, WITH = "ours without synthesis", "ours with synthesis"
JOBS = 2


def as_given(pair: Pair) -> dict:
    """What the headers say: the start of all."""
    return {"bones": {bone: _bone(pair, bone, np.eye(4)) for bone in pair.truth.places_lps}}


def by_simpleitk(pair: Pair) -> dict:
    """The rival of SimpleITK."""
    _, motions = simpleitk_motions(pair.ct, pair.labels, pair.mr)
    return {"bones": {bone: _bone(pair, bone, motion) for bone, motion in motions.items()}}


def by_elastix(pair: Pair) -> dict:
    """The rival of elastix."""
    _, motions = elastix_motions(pair.ct, pair.labels, pair.mr)
    return {"bones": {bone: _bone(pair, bone, motion) for bone, motion in motions.items()}}


def by_us(pair: Pair) -> dict:
    """The knee job's registration, of the MR alone."""
    return _ours(pair, synthesis=False)


def by_us_with_synthesis(pair: Pair) -> dict:
    """The knee job's registration, by a synthetic CT made of the MR."""
    return _ours(pair, synthesis=True)


METHODS: dict[str, Callable[[Pair], dict]] = {
    AS_GIVEN: as_given,
    SIMPLEITK: by_simpleitk,
    ELASTIX: by_elastix,
    WITHOUT: by_us,
    WITH: by_us_with_synthesis,
}
TASKS = {
    "prepare": (),
    "start": (AS_GIVEN,),
    "simpleitk": (SIMPLEITK,),
    "elastix": (ELASTIX,),
    "without": (WITHOUT,),
    "with": (WITH,),
}
WRONG = {"wrong": WITH, "wrong-without": WITHOUT}  # pairs of different knees
ALL = (*TASKS, *WRONG)


def available() -> Path | None:
    """The cohort that the environment names, if it is there."""
    cohort = Path(os.environ.get(COHORT, ""))
    return cohort if os.environ.get(COHORT) and (cohort / "participants.csv").is_file() else None


def tables(
    cohort: Path, work: Path, jobs: int = JOBS, only: Iterable[str] = ALL, pairs: int | None = None
) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables (name, title, rows) of what is in the working folder after what was missing there was computed."""
    compute(cohort, work, jobs, tuple(only), pairs)
    lines = answers(work)
    true = [line for line in lines if line["kind"] == TRUE]
    title = "Target registration error in the subchondral bone"
    yield "knee_registration", title, accuracy(true, list(METHODS))
    yield "knee_registration_profiles", "The same by MR profile, all bones", by_profile(true, list(METHODS))
    if {WITH, WITHOUT} <= {line["method"] for line in true}:
        rows = paired(true, WITH, [SIMPLEITK, ELASTIX, WITHOUT])
        yield "knee_registration_paired", "With synthesis against the others, bone by bone", rows
    yield "knee_registration_starts", "Start errors: what the headers are off by", starts(true)
    if len(true) < len(lines):
        yield "knee_registration_wrong", "Pairs of which CT and MR are of different knees", wrong(lines)


def compute(cohort: Path, work: Path, jobs: int, only: tuple[str, ...], number: int | None) -> None:
    """Add the answers that are missing to the working folder."""
    work.mkdir(parents=True, exist_ok=True)
    done = {(line["kind"], line["pair"], line["method"]) for line in answers(work)}
    pairs = true_pairs(cohort, work)
    wanted = [(pair, method) for pair in pairs[:number] for name in only for method in TASKS.get(name, ())]
    strangers = list(wrong_pairs(cohort, work))[:number]
    wanted += [(pair, method) for name, method in WRONG.items() if name in only for pair in strangers]
    wanted = [(pair, method) for pair, method in wanted if (pair.kind, pair.name, method) not in done]
    with single_threaded(jobs) as pool:
        # Bones and places first: two methods of one pair at a time must not both look for them.
        needed = {person.name for pair, _ in wanted for person in (pair.ct_of, pair.mr_of)}
        needed |= {pair.ct_of.name for pair in pairs[:number] if "prepare" in only}
        list(pool.map(Pair.prepare, [pair for pair in pairs if pair.ct_of.name in needed]))
        running = {pool.submit(answer, pair, method): (pair, method) for pair, method in wanted}
        for asked in as_completed(running):
            pair, method = running[asked]
            if asked.exception() is not None:  # the other pairs go on; the next run tries it again
                print(f"{pair.name} ({pair.kind}), {method}: {asked.exception()!r}", file=sys.stderr, flush=True)
                continue
            with (work / LINES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asked.result()) + "\n")


def answer(pair: Pair, method: str) -> dict:
    """One line: what a method says of a pair, how far off that is, and how long it took."""
    _ = pair.ct, pair.mr, pair.labels, pair.kind == TRUE and pair.truth
    began = time.process_time()
    try:
        found = METHODS[method](pair)
    except RuntimeError as failure:  # of ITK: all samples outside of the image, and the like
        found = {"bones": {}, "failed": str(failure)}
    line = {"kind": pair.kind, "pair": pair.name, "method": method, "mr_profile": pair.mr_profile}
    line |= {"ct_profile": pair.ct_of.row.get("ct_profile", ""), "side": pair.side, "seen": sorted(_seen(pair))}
    if method == AS_GIVEN:
        line["start"] = {bone: [round(mm, 2), round(deg, 2)] for bone, (mm, deg) in pair.start_sizes().items()}
    return line | {"seconds": round(time.process_time() - began, 2)} | found


def answers(work: Path) -> list[dict]:
    """All lines so far."""
    path = work / LINES
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _ours(pair: Pair, synthesis: bool) -> dict:
    from SubchondralBoneAnalysisLib.mr_readout import fat_displacement
    from SubchondralBoneAnalysisLib.registration import register_knee

    synthetic, took = None, 0.0
    try:
        if synthesis:
            from SubchondralBoneAnalysisLib.synthesis import synthesize_ct

            began = time.process_time()
            synthetic = synthesize_ct(pair.mr, device="cpu").volume
            took = time.process_time() - began
        displaced = fat_displacement(pair.mr_of.mr, pair.mr)
        found = register_knee(pair.ct, pair.labels, pair.mr, synthetic, Progress("none"), pair.side, displaced)
    except NoWeights:
        raise
    except BadInput as refusal:
        return {"bones": {}, "refused": str(refusal), "synthesis_s": round(took, 2)}
    bones = {}
    for name, bone in found.bones.items():
        quality = asdict(bone.quality)
        bones[name] = _bone(pair, name, motion_of(bone.transform)) | {
            key: round(value, 4) if isinstance(value, float) else value for key, value in quality.items()
        }
    return {"bones": bones, "way": found.method, "synthesis_s": round(took, 2)}


def _bone(pair: Pair, bone: str, motion: np.ndarray) -> dict:
    found = {"motion": [round(float(value), 6) for value in motion[:3].ravel()]}
    if pair.kind == TRUE and bone in pair.truth.places_lps:
        found["errors_mm"] = [round(float(error), 3) for error in pair.truth.errors_mm(bone, motion)]
    return found


def _seen(pair: Pair) -> set[str]:
    """The bones that were found in the CT."""
    return {bone for bone, number in NUMBERS.items() if (pair.labels.array == number).any()}


def main() -> None:
    """Measure, and print the tables."""
    from run import report

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path, help="folder of simulated knees with known transforms")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what has been computed")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--pairs", type=int, help="the first so many of each kind")
    asked = parser.parse_args()
    for name, title, rows in tables(asked.cohort, asked.work, asked.jobs, asked.only, asked.pairs):
        report(name, title, rows)


if __name__ == "__main__":
    main()
