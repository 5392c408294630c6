"""The folder of a cohort: the same for simulated knees and for a user's own.

    COHORT/
      cohort.json            what it is; of simulated ones the definition that makes them again
      participants.csv       a row a patient
      sub-0001/
        ct.nrrd  or  ct/     the CT, in HU: NRRD, NIfTI, MHA or a folder of DICOM files
        mr.nrrd  or  mr/     the MR, if there is one
        mr.json              of an MR that is no DICOM: what its header said of the readout (`mr_readout`), if known
        ct_to_mr.tfm         the rigid transform that takes a place (LPS, mm) in the CT to the same place in the MR
        ct_to_mr_femur.tfm   the same for one bone, where they moved apart; also tibia, patella, fibula
        bones.nrrd           1 femur, 2 tibia, 3 patella, 4 fibula on the grid of the CT, if known
        patches.csv          a row a patch: where it is, and its true parameters
        truth/               what only a simulation knows

`participants.csv` needs `participant_id` (the name of the folder) and `split` (train, validation or test); `side`,
`age_years`, `sex`, `bmi`, `kl_grade` and others are used where they are there. `patches.csv` has the columns of the
knee job's own patches.csv, of which `name`, `bone`, `edge_mm` and `centre_lps_mm_l`, `_p`, `_s` (the place in the CT)
are needed, with `bv_tv`, `tb_th_mm`, `tb_sp_mm` and `tb_n_per_mm`, each of which may be empty where it is not known.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput

SPLITS = ("train", "validation", "test")
COHORT, PARTICIPANTS, PATCHES, TRUTH = "cohort.json", "participants.csv", "patches.csv", "truth"
BONES = "bones.nrrd"
IMAGE_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha", ".mhd")
PARAMETERS = ("bv_tv", "tb_th_mm", "tb_sp_mm", "tb_n_per_mm")
NEEDED_OF_PATCHES = ("name", "bone", "edge_mm", *(f"centre_lps_mm_{letter}" for letter in "lps"))


@dataclass(frozen=True, eq=False)
class KnownPatch:
    """One patch whose parameters are known; None where one is not.

    :param centre_lps_mm: [3], in the CT.
    """

    name: str
    bone: str
    edge_mm: float
    centre_lps_mm: np.ndarray
    parameters: Mapping[str, float | None]


@dataclass(frozen=True, eq=False)
class Participant:
    """One patient of a cohort; the row of participants.csv is kept as it is."""

    name: str
    split: str
    folder: Path
    row: Mapping[str, str]

    @property
    def ct(self) -> Path:
        """:raises BadInput: there is none."""
        found = _image(self.folder, "ct")
        if found is None:
            raise BadInput(f"{self.folder} holds no CT: name it ct.nrrd, ct.nii.gz or ct.mha, or put its DICOM in ct.")
        return found

    @property
    def mr(self) -> Path | None:
        """None where there is no MR."""
        return _image(self.folder, "mr")

    def transform(self, bone: str | None = None) -> Path | None:
        """The transform from CT to MR of a bone, or that of the knee where the bone has none of its own."""
        names = ([f"ct_to_mr_{bone}.tfm"] if bone else []) + ["ct_to_mr.tfm"]
        return next((self.folder / name for name in names if (self.folder / name).is_file()), None)

    def patches(self) -> list[KnownPatch]:
        """The patches of patches.csv, none where there is no such file.

        :raises BadInput: the table lacks a column or has what is no number.
        """
        path = self.folder / PATCHES
        if not path.is_file():
            return []
        rows = _rows(path, NEEDED_OF_PATCHES)
        return [_patch(path, line, row) for line, row in enumerate(rows, 2)]


def read_participants(cohort: Path) -> list[Participant]:
    """All patients of a cohort, in the order of the table.

    :raises BadInput: the table is missing or wrong, a folder is missing, or a patient is named twice.
    """
    path = cohort / PARTICIPANTS
    if not path.is_file():
        raise BadInput(f"{cohort} holds no {PARTICIPANTS}: give a folder that is laid out as a cohort.")
    found: dict[str, Participant] = {}
    for line, row in enumerate(_rows(path, ("participant_id", "split")), 2):
        name, split = row["participant_id"], row["split"]
        if split not in SPLITS:
            raise BadInput(f"{path}, line {line}: the split {split!r} is not known: give {', '.join(SPLITS)}.")
        if name in found:
            raise BadInput(f"{path}, line {line}: {name} is named twice: a patient may be in one split only.")
        if name in ("", ".", "..") or Path(name).name != name or not (cohort / name).is_dir():
            raise BadInput(
                f"{path}, line {line}: there is no folder {name!r} beside the table: make it or drop the row."
            )
        found[name] = Participant(name, split, cohort / name, row)
    if not found:
        raise BadInput(f"{path} names nobody: give a row to each patient.")
    return list(found.values())


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A table whose columns are the keys of its rows; numbers to nine digits, so that no bit of sense is lost."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _written(value) for key, value in row.items()} for row in rows)


def _written(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.9g}" if isinstance(value, float) else value


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(f"{path} has no column {missing[0]!r}: its first line must name {', '.join(needed)}.")
            return [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8.") from error


def _patch(path: Path, line: int, row: Mapping[str, str]) -> KnownPatch:
    def number(column: str) -> float:
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadInput(f"{path}, line {line}: {column} is {row[column]!r}, which is no number: correct it.")
        return value

    return KnownPatch(
        row["name"],
        row["bone"],
        number("edge_mm"),
        np.array([number(f"centre_lps_mm_{letter}") for letter in "lps"]),
        {name: number(name) if row.get(name) else None for name in PARAMETERS},
    )


def _image(folder: Path, name: str) -> Path | None:
    candidates = [folder / f"{name}{ending}" for ending in IMAGE_ENDINGS]
    found = next((path for path in candidates if path.is_file()), None)
    return found or (folder / name if (folder / name).is_dir() else None)
