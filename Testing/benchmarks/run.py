"""`make bench`: accuracy and speed, on real films where they are there and on simulated joints, as tables.

    python Testing/benchmarks/run.py [--development] [--only SUBJECT ...]

Writes bench-result/*.csv and prints the tables. Every run on the films that are kept for the final evaluation is
logged, with its date, in Testing/benchmarks/evaluations.csv; --development leaves those films alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import closure
import hand_films
import knee_bones
import knee_mr_real
import knee_plate
import knee_real
import knee_regions
import knee_registration
import knee_synthesis
import loss_maps
import morphometry_phantoms
import morphometry_real
import morphometry_speed
import other_joints
import outlines
import registration_bench
import sensitivity
import simulation_clinical
import simulation_otsu
import simulation_real
import simulation_scanners
import simulation_speed
import simulation_structures

from SubchondralBoneAnalysisLib.synthesis import synthesis_available

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "bench-result"
EVALUATIONS = HERE / "evaluations.csv"
REAL_FILMS = (  # subject, file, title, what measures it on a part of the films
    ("registration", "closure", "Closure A to B to C to A on real films", closure.measure),
    ("registration", "sensitivity", "One bone of a real film moved by a known amount", sensitivity.measure),
    ("registration", "other_joints", "Verdicts on films of one joint and of two different ones", other_joints.measure),
    ("finder", "finder", "Joints found on real films of whole hands", hand_films.measure),
    ("finder", "finder_same", "The same film turned, inverted and mirrored", hand_films.measure_sameness),
    ("outlines", "outlines", "Regions of the bones against those drawn by people", outlines.measure),
    ("outlines", "outlines_closure", "Closure with drawn and with found regions", outlines.measure_closure),
)
MORPHOMETRY = ("morphometry_phantoms", "morphometry_real", "morphometry_speed")
KNEE = ("knee_bones", "knee_regions", "knee_plate", "knee_real")
SIMULATION = (
    "simulation_structures",
    "simulation_otsu",
    "simulation_scanners",
    "simulation_real",
    "simulation_clinical",
    "simulation_speed",
)
KNEE_MR = ("knee_registration", "knee_synthesis", "knee_mr_real")
SUBJECTS = (
    "loss_maps",
    "known_motion",
    "registration",
    "finder",
    "outlines",
    *MORPHOMETRY,
    *KNEE,
    *SIMULATION,
    *KNEE_MR,
)


def main(arguments: list[str]) -> None:
    """Run all benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--development", action="store_true", help="leave the films of the final evaluation alone")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="what is measured (default: all)")
    asked = parser.parse_args(arguments)
    RESULTS.mkdir(exist_ok=True)
    if "loss_maps" in asked.only:
        colours, readings = loss_maps.measure()
        report("loss_colours", "Loss over a bone misplaced by a known amount", colours)
        report("loss_readings", "What the reading of the loss map finds", readings)
    parts = ("development",) if asked.development else ("development", "evaluation")
    if "known_motion" in asked.only:
        _known_motion(parts)
    for subject in MORPHOMETRY:
        if subject in asked.only:
            for name, title, rows in _morphometry(subject):
                report(name, title, rows)
    for subject in KNEE:
        if subject in asked.only:
            for name, title, rows in _knee(subject):
                report(name, title, rows)
    for subject in SIMULATION:
        if subject in asked.only:
            for name, title, rows in _simulation(subject):
                report(name, title, rows)
    for subject in KNEE_MR:
        if subject in asked.only:
            for name, title, rows in _knee_mr(subject):
                report(name, title, rows)
    if set(asked.only) <= {*MORPHOMETRY, *KNEE, *SIMULATION, *KNEE_MR}:
        return
    if not (SHARED_DATA / "mcp-series").is_dir() or not (SHARED_DATA / "hand-radiographs").is_dir():
        print("Real films: skipped, ../shared/data is not there.")
        return
    if "finder" in asked.only:
        report("marks", "Two markings of the same joints by eye", hand_films.measure_repeatability())
        report("finder_speed", "Finding the joints of a film", hand_films.measure_speed(SHARED_DATA))
    for part in parts:
        for subject, name, title, measure in REAL_FILMS:
            if subject not in asked.only:
                continue
            rows = measure(SHARED_DATA, part)
            report(f"{name}_{part}", f"{title}, {part}", rows)
            if part == "evaluation":
                _log([{"test": name.replace("_", " ")} | row for row in rows])


def _morphometry(subject: str) -> Iterator[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows) of a subject of the trabecular morphometry."""
    if subject == "morphometry_phantoms":
        yield from morphometry_phantoms.thickness_and_separation()
        yield "morphometry_correction", "What raw 2r is too large by", morphometry_phantoms.correction()
        yield "morphometry_fine", "Known bodies with centres between voxels", morphometry_phantoms.fine_correction()
        yield "morphometry_connectivity", "Connectivity of known bodies", morphometry_phantoms.connectivity()
        yield "morphometry_anisotropy", "Degree of anisotropy of known bodies", morphometry_phantoms.anisotropy()
    elif subject == "morphometry_speed":
        yield from morphometry_speed.tables()
    elif morphometry_real.available(SHARED_DATA):
        yield "morphometry_fraction", "BV/TV of the human cube", morphometry_real.cube(SHARED_DATA)
        yield "morphometry_cube", "The human cube", morphometry_real.cube_thickness(SHARED_DATA)
        yield "morphometry_specimen", "A specimen that fills part of its box", morphometry_real.specimen(SHARED_DATA)
    else:
        print("Real trabecular bone: skipped, ../shared/data/trabecular-microct is not there.")


def _knee(subject: str) -> Iterator[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows) of a subject of the knee job."""
    shared_data = SHARED_DATA if knee_real.available(SHARED_DATA) else None
    if subject == "knee_bones":
        yield "knee_bones", "Bones of simulated knees", knee_bones.measure()
    elif subject == "knee_regions":
        yield from knee_regions.tables(shared_data)
    elif subject == "knee_plate":
        yield from knee_plate.tables()
    elif shared_data is not None:
        yield from knee_real.tables(shared_data)
    else:
        print("Real knee CT: skipped, ../shared/data/knee-ct is not there.")


def _simulation(subject: str) -> Iterator[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows) of a subject of the simulated knees."""
    specimens = SHARED_DATA if morphometry_real.available(SHARED_DATA) else None
    if subject == "simulation_structures":
        yield from simulation_structures.tables()
    elif subject == "simulation_otsu":
        yield from simulation_otsu.tables(specimens)
    elif subject == "simulation_scanners":
        yield from simulation_scanners.tables()
    elif subject == "simulation_speed":
        yield from simulation_speed.tables()
    elif subject == "simulation_real" and specimens is not None:
        yield from simulation_real.tables(specimens)
    elif subject == "simulation_clinical" and knee_real.available(SHARED_DATA):
        yield from simulation_clinical.tables(SHARED_DATA)
    else:
        print(f"{subject}: skipped, its real images are not in ../shared/data.")


def _knee_mr(subject: str) -> Iterator[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows) of a subject of a knee's MR beside its CT."""
    cohort = knee_registration.available()
    if subject != "knee_registration" and not synthesis_available():
        print(f"{subject}: skipped, PyTorch, MONAI or the weights of the synthetic CT are not there.")
    elif subject == "knee_mr_real" and knee_mr_real.available(SHARED_DATA):
        yield from knee_mr_real.tables(SHARED_DATA)
    elif subject == "knee_mr_real":
        print("Real knee MR: skipped, ../shared/data/knee-mr is not there.")
    elif cohort is None:
        print(f"{subject}: skipped, {knee_registration.COHORT} names no folder of simulated knee pairs.")
    elif subject == "knee_registration":
        yield from knee_registration.tables(cohort, RESULTS / f"pairs_{cohort.name}")
    else:
        yield from knee_synthesis.tables(cohort, RESULTS / f"pairs_{cohort.name}")


def _known_motion(parts: tuple[str, ...]) -> None:
    """Joints with known motion, simulated and, where real films are there, made of them."""
    shared_data = SHARED_DATA if (SHARED_DATA / "mcp-series").is_dir() else None
    for part in parts:
        for name, title, rows in registration_bench.tables(shared_data, part, RESULTS):
            report(f"{name}_{part}", title and f"{title}, {part}", rows)
            if part == "evaluation" and shared_data is not None and title:
                _log([{"test": name.replace("_", " ")} | row for row in rows])


def report(name: str, title: str | None, rows: list[dict]) -> None:
    """Write a table, and print it where it has a title."""
    rows = [{key: getattr(value, "item", lambda v=value: v)() for key, value in row.items()} for row in rows]
    with (RESULTS / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        rows = [dict.fromkeys(columns, "") | row for row in rows]
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)
    if title is None:
        return
    print(f"\n{title}\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)


def _log(rows: list[dict]) -> None:
    """Add a line for every figure: date, test, which, quantity, value."""
    new = not EVALUATIONS.exists()
    today = datetime.now(UTC).date().isoformat()
    with EVALUATIONS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["date", "test", "films", "which", "figure", "value"])
        for row in rows:
            which = row.get("pairs") or row.get("program", "all")
            for figure, value in row.items():
                if figure not in ("test", "films", "pairs", "program") and value != "":
                    writer.writerow([today, row["test"], row["films"], which, figure, value])


if __name__ == "__main__":
    main(sys.argv[1:])
