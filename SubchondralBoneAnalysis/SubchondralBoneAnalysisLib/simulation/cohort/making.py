"""A cohort from its definition: patient by patient, on all processors, the same bits whatever their order."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import SimpleITK as sitk

from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.cohort_folder import BONES, COHORT, PARTICIPANTS, PATCHES, TRUTH, write_rows
from SubchondralBoneAnalysisLib.simulation.cohort.block_patient import (
    PlacedBlock,
    block_patch_rows,
    blocks_of,
    ct_of_blocks,
    lying_otherwise,
    misplacement_rows,
    mr_of_blocks,
)
from SubchondralBoneAnalysisLib.simulation.cohort.definition import CohortDefinition
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.fixed import FIXED, definition_named, digests_of
from SubchondralBoneAnalysisLib.simulation.cohort.knee_patient import grids_of, knee_patch_rows, pair_of
from SubchondralBoneAnalysisLib.simulation.cohort.stored_mr import stored_mr
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_header import mr_header
from SubchondralBoneAnalysisLib.simulation.population.best_score import (
    OF_CUBES,
    OF_KNEES,
    OF_KNEES_WITHOUT_STRUCTURE,
    areas_of,
    best_areas,
)
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

LOOK_EVERY_S = 0.5  # for a stop, while patients are made
CORNERS_LPS = ((0.0, 0.0, 0.0), (100.0, 0.0, 0.0), (0.0, 100.0, 0.0))  # mm; they tell all of a rigid transform
BEST_OF = 4000  # patients of whom the best area under the ROC curve is that of

Scan = tuple[DrawnPatient, Callable[[Path], Iterator[tuple[str, Volume]]]]  # and what it writes into its folder


def make_cohort(definition: CohortDefinition, folder: Path, progress: Progress, jobs: int = 1) -> dict[str, Any]:
    """Write a cohort into a folder that is there; see `cohort_folder` for what it then holds.

    :param jobs: processes; more are faster and change nothing.
    :returns: what cohort.json says.
    :raises Cancelled: the user stopped it.
    """
    made: dict[int, list[tuple[dict[str, object], str]]] = dict.fromkeys(range(definition.patients))
    progress.step(0.0, f"Simulating {definition.patients} patients")
    for count, (number, scans) in enumerate(_made(definition, folder, progress, jobs), 1):
        made[number] = scans
        progress.step(0.98 * count / definition.patients, f"Simulated {count} of {definition.patients} patients")
    participants = [one for scans in made.values() for one in scans]
    write_rows(folder / PARTICIPANTS, [row for row, _ in participants])
    said = definition.as_json() | {
        "sha256_of_definition": definition.sha256,
        "images": "simulated",
        "best_area_under_roc": {
            "meaning": (
                "of the probability of osteoarthritis (grade 2 and above) given what is true of all regions, with age, "
                "sex and body mass index: the best score there is from what these images show"
            ),
            f"over_{BEST_OF}_patients_of_this_population": _said(best_areas(_known(definition), BEST_OF)),
            "over_these_patients": _said(
                areas_of([DrawnPatient(definition, n).patient for n in range(definition.patients)], _known(definition))
            ),
        },
        "sha256_of_participants": {row["participant_id"]: digest for row, digest in participants},
    }
    said |= _compared(definition, said["sha256_of_participants"])
    (folder / COHORT).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return said


def _known(definition: CohortDefinition) -> Mapping[str, Sequence[str]]:
    """What the images of a cohort show."""
    if definition.what == "blocks":
        return OF_CUBES
    return OF_KNEES if definition.microstructure else OF_KNEES_WITHOUT_STRUCTURE


def _said(areas: Mapping[str, tuple[float, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {"area": round(area, 3), "low": round(float(low), 3), "high": round(float(high), 3)}
        for name, (area, (low, high)) in areas.items()
    }


def _compared(definition: CohortDefinition, made: dict[str, str]) -> dict[str, Any]:
    """Of a fixed cohort: how many patients are bit for bit those that were made when it was fixed."""
    for name in FIXED:
        if definition == definition_named(name):
            fixed = digests_of(name)
            same = sum(made[patient] == digest for patient, digest in fixed.items())
            return {"same_as_when_fixed": {"patients": same, "of": len(fixed)}}
    return {}


def make_patient(definition: CohortDefinition, number: int, folder: Path) -> list[tuple[dict[str, object], str]]:
    """Write the folders of one patient, one for each scan; returns their rows of participants.csv and SHA-256.

    The digest is that of what was drawn, of voxels and where they are, of tables and of what the transforms do, not of
    files: compression may differ from one library to the next.
    """
    images = _blocks if definition.what == "blocks" else _knee
    made = []
    for drawn, volumes in images(DrawnPatient(definition, number)):
        place = folder / drawn.name
        (place / TRUTH).mkdir(parents=True)
        row, digest = drawn.row(), hashlib.sha256()
        digest.update(json.dumps(row).encode())
        for name, volume in volumes(place):
            place_of = np.round([*volume.spacing_mm, *volume.origin_lps, *volume.direction_lps], 6) + 0.0
            digest.update(name.encode() + place_of.tobytes() + np.ascontiguousarray(volume.array).tobytes())
            write_volume(place / name, volume.array, volume)
        for table in (place / PATCHES, *sorted((place / TRUTH).glob("*.csv"))):
            if table.is_file():
                digest.update(table.read_bytes())
        for path in sorted(place.glob("*.tfm")):
            moved = sitk.ReadTransform(str(path))
            corners = [moved.TransformPoint(corner) for corner in CORNERS_LPS]
            digest.update(path.name.encode() + (np.round(corners, 6) + 0.0).tobytes())
        made.append((row | drawn.protocol(), digest.hexdigest()))
    return made


def _made(
    definition: CohortDefinition, folder: Path, progress: Progress, jobs: int
) -> Iterator[tuple[int, list[tuple[dict[str, object], str]]]]:
    if jobs == 1 or definition.patients == 1:
        for number in range(definition.patients):
            yield number, make_patient(definition, number, folder)
            progress.check()
        return
    # Spawned, not forked: a process that was forked while its libraries ran threads may hang. Its libraries read how
    # many threads they may have when they are loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, get_context("spawn"), _worker) as pool:
        waiting = {
            pool.submit(make_patient, definition, number, folder): number for number in range(definition.patients)
        }
        try:
            while waiting:
                done, _ = wait(waiting, LOOK_EVERY_S, "FIRST_COMPLETED")
                progress.check()
                for future in done:
                    yield waiting.pop(future), future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _worker() -> None:
    """One thread, and none longer than the command: a worker whose parent was killed would wait for ever."""
    Thread(target=_end_with_parent, daemon=True).start()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)


def _blocks(drawn: DrawnPatient) -> Iterator[Scan]:
    first = blocks_of(drawn.definition, drawn)
    for scan in range(drawn.definition.scans):
        again = replace(drawn, scan=scan)
        yield again, partial(_blocks_of_scan, again, lying_otherwise(first, again) if scan else first)


def _blocks_of_scan(drawn: DrawnPatient, blocks: list[PlacedBlock], place: Path) -> Iterator[tuple[str, Volume]]:
    write_rows(place / PATCHES, block_patch_rows(blocks, drawn))
    write_rows(place / TRUTH / "misplaced_in_mr.csv", misplacement_rows(blocks))
    _write_transform(place / "ct_to_mr.tfm", sitk.Euler3DTransform())
    yield "ct.nrrd", ct_of_blocks(blocks, drawn)
    yield "mr.nrrd", mr_of_blocks(blocks, drawn)


def _knee(drawn: DrawnPatient) -> Iterator[Scan]:
    yield drawn, partial(_knee_of_scan, drawn)


def _knee_of_scan(drawn: DrawnPatient, place: Path) -> Iterator[tuple[str, Volume]]:
    pair = pair_of(drawn)
    for bone, transform in pair.transforms().items():
        _write_transform(place / f"ct_to_mr_{bone}.tfm", transform)
    if pair.microstructure is not None:
        write_rows(place / PATCHES, knee_patch_rows(pair, drawn))
    ct, mr = grids_of(pair, drawn)
    yield BONES, pair.ct_labels(ct)
    yield f"{TRUTH}/bones_mr.nrrd", pair.mr_labels(mr)
    yield "ct.nrrd", pair.ct(drawn.ct_scan, ct, drawn.noise_seed("ct"))
    header = mr_header(drawn.mr_profile, mr.array.shape)
    (place / "mr.json").write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    yield "mr.nrrd", stored_mr(pair.mr(drawn.mr_scan, mr, drawn.noise_seed("mr")))


def _write_transform(path: Path, transform: sitk.Transform) -> None:
    sitk.WriteTransform(transform, str(path))
