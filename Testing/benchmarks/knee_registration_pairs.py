"""Pairs of CT and MR of a cohort of simulated knees, as they are given to every method: true ones and wrong ones.

The header of each MR is changed by a start error of its own: on top of how the leg lay in the two scanners. What takes
long and is the same for all methods (the bones that `find_bones` sees in the CT, the places where the error is
measured) is kept in a working folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from knee_registration_truth import (
    KneeTruth,
    mirrored,
    moved,
    read_motion,
    size_of,
    start_error,
    subchondral_places,
)

from SubchondralBoneAnalysisLib.bones import find_bones
from SubchondralBoneAnalysisLib.cohort_folder import BONES as TRUE_BONES
from SubchondralBoneAnalysisLib.cohort_folder import Participant, read_participants
from SubchondralBoneAnalysisLib.volume import Volume, read_volume, write_volume

TRUE, OTHER_PATIENT, OTHER_SIDE = "true", "another patient", "mirrored MR"
OTHER_PATIENTS, OTHER_SIDES = 20, 10
SEED = 1711


@dataclass(frozen=True, eq=False)
class Pair:
    """A CT, and an MR that is or is not of the same knee.

    :param number: of the MR's patient in the cohort; it fixes the start error.
    """

    kind: str
    ct_of: Participant
    mr_of: Participant
    number: int
    kept: Path

    @property
    def name(self) -> str:
        return f"{self.ct_of.name} with {self.mr_of.name}"

    @property
    def mr_profile(self) -> str:
        return self.mr_of.row.get("mr_profile", "")

    @cached_property
    def ct(self) -> Volume:
        return read_volume(self.ct_of.ct)

    @cached_property
    def mr(self) -> Volume:
        """With the start error in its header."""
        mr = read_volume(self.mr_of.mr)
        return moved(mirrored(mr) if self.kind == OTHER_SIDE else mr, self._start)

    @cached_property
    def labels(self) -> Volume:
        """The bones that the knee job finds in the CT: 1 femur, 2 tibia, 3 patella, 4 fibula."""
        return self._bones[0]

    @cached_property
    def side(self) -> str:
        """As the job tells it, by the fibula; else what the table of the cohort says."""
        return self._bones[1] or self.ct_of.row["side"]

    @cached_property
    def truth(self) -> KneeTruth:
        """Of a true pair, after the start error."""
        return _truth(self.mr_of, self.kept).after(self._start)

    def prepare(self) -> None:
        """Find and keep the bones and the places, if they are not kept yet."""
        if not (_bones_path(self.ct_of, self.kept).is_file() and _places_path(self.mr_of, self.kept).is_file()):
            _ = self.labels, self._start

    def start_sizes(self) -> dict[str, tuple[float, float]]:
        """By how many mm and degrees each bone of a true pair lies off before anything is done."""
        places = self.truth.places_lps
        return {bone: size_of(self.truth.ct_to_mr[bone], places[bone].mean(axis=0)) for bone in places}

    @cached_property
    def _start(self) -> np.ndarray:
        rng = np.random.default_rng([SEED, self.number])
        return start_error(rng, _truth(self.mr_of, self.kept).joint_in_mr())

    @cached_property
    def _bones(self) -> tuple[Volume, str | None]:
        path = _bones_path(self.ct_of, self.kept)
        told = path.with_suffix(".side")
        if not path.is_file():
            found = find_bones(self.ct)
            told.write_text(found.side or "", "utf-8")
            whole = path.with_suffix(".partial.nrrd")
            write_volume(whole, found.labels.array, found.labels)
            whole.replace(path)
        labels = read_volume(path)
        return replace(labels, path=self.ct.path), told.read_text("utf-8") or None


def true_pairs(cohort: Path, kept: Path) -> list[Pair]:
    """The pairs of a cohort, in its order."""
    return [Pair(TRUE, person, person, number, kept) for number, person in enumerate(_people(cohort))]


def wrong_pairs(cohort: Path, kept: Path) -> Iterator[Pair]:
    """CTs with the MR of the next patient of the same side, and with their own MR mirrored."""
    people = _people(cohort)
    for number, person in enumerate(people[:OTHER_PATIENTS]):
        after = [(number + step) % len(people) for step in range(1, len(people))]
        other = next((n for n in after if people[n].row["side"] == person.row["side"]), None)
        if other is not None:
            yield Pair(OTHER_PATIENT, person, people[other], other, kept)
    for number, person in enumerate(people[-OTHER_SIDES:], start=max(len(people) - OTHER_SIDES, 0)):
        yield Pair(OTHER_SIDE, person, person, number, kept)


def _people(cohort: Path) -> list[Participant]:
    return [person for person in read_participants(cohort) if person.mr is not None]


def _truth(person: Participant, kept: Path) -> KneeTruth:
    """Of a patient as the files are; the places are kept."""
    path = _places_path(person, kept)
    if not path.is_file():
        places = subchondral_places(read_volume(person.folder / TRUE_BONES), person.row["side"])
        np.savez(path, **places)
    with np.load(path) as stored:
        places = {bone: stored[bone] for bone in stored.files}
    return KneeTruth(places, {bone: read_motion(person.transform(bone)) for bone in places})


def _bones_path(person: Participant, kept: Path) -> Path:
    return kept / f"{person.name}_bones.nrrd"


def _places_path(person: Participant, kept: Path) -> Path:
    return kept / f"{person.name}_places.npz"
