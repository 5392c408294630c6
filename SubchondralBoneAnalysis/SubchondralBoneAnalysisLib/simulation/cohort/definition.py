"""What a cohort is: everything that makes it, so that the same definition makes the same cohort anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.cohort_folder import SPLITS
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.ct_scanner.varied_profile import VARIED
from SubchondralBoneAnalysisLib.simulation.knee_pair import MOST_FLEXION_APART_DEG
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES, HELD_OUT_FAMILY, MICRO_CT
from SubchondralBoneAnalysisLib.simulation.microstructure.micro_ct import check_specimen
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES

MOST_NUISANCE = 10.0
MOST_SCANS = 100
SCHEMA = "jointquant-knee-cohort/1"
SHOWS_TRABECULAE = (
    "bffe",
)  # in DESS with water excitation marrow is dark, and slices of PD are thicker than marrow spaces
What = Literal["blocks", "knees"]


@dataclass(frozen=True)
class Group:
    """Patients of one kind: whose bone and which scanners they have is drawn from these.

    :param families: of microstructure; also "micro-ct:" and the path of a user's own segmented volume.
    :param ct_profiles: by name, or `VARIED` for a scanner drawn anew for every scan.
    :param mr_profiles: by name.
    """

    name: str
    patients: int
    families: tuple[str, ...]
    ct_profiles: tuple[str, ...]
    mr_profiles: tuple[str, ...]


@dataclass(frozen=True)
class CohortDefinition:
    """A cohort.

    :param what: "blocks" are cubes of subchondral bone, "knees" are whole knees.
    :param split: patients of different splits are never the same, whatever their seeds.
    :param nuisance: factor of what differs from scan to scan; 1 is the level of the scanner profiles.
    :param blocks: of each patient, where the cohort is of blocks.
    :param microstructure: of whole knees; without it they serve registration and are made faster.
    :param most_flexion_apart_deg: between CT and MR, of whole knees.
    :param scans: of each patient with blocks: repeats, every one by scanners of its own, with the leg lying otherwise.
    """

    name: str
    what: What
    split: str
    seed: int
    nuisance: float
    groups: tuple[Group, ...]
    blocks: int = 8
    microstructure: bool = True
    most_flexion_apart_deg: float = 15.0
    scans: int = 1

    @property
    def patients(self) -> int:
        """In all groups."""
        return sum(group.patients for group in self.groups)

    def group_of(self, number: int) -> Group:
        """The group of a patient; patients are numbered from 0 through the groups."""
        for group in self.groups:
            if number < group.patients:
                return group
            number -= group.patients
        raise IndexError(f"the cohort {self.name} has {self.patients} patients")

    def seed_of(self, number: int) -> list[int]:
        """The seed of everything about a patient."""
        return [SPLITS.index(self.split), self.seed, number]

    def as_json(self) -> dict[str, Any]:
        """As it is written; one scan goes without saying, as it did before there were more."""
        written = {"schema": SCHEMA} | asdict(self)
        if self.scans == 1:
            del written["scans"]
        return written

    @property
    def sha256(self) -> str:
        """Of the definition, in a form that no editor changes."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_definition(path: Path) -> CohortDefinition:
    """A definition from its own file, or from the cohort.json of a cohort that was made by it.

    :raises BadInput: the file is no such definition, or names what there is not.
    """
    if not path.is_file():
        raise BadInput(f"{path} does not exist: give the cohort.json of an earlier cohort, or the name of a fixed one.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        schema = found["schema"]
        values = {field.name: found[field.name] for field in fields(CohortDefinition) if field.name in found}
        values["groups"] = tuple(
            Group(
                group["name"],
                group["patients"],
                *(_names(group[key]) for key in ("families", "ct_profiles", "mr_profiles")),
            )
            for group in values["groups"]
        )
        definition = CohortDefinition(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no definition of a cohort ({error}): take one that this program wrote.") from error
    if schema != SCHEMA:
        raise BadInput(f"{path} is a definition of the kind {schema!r}, not {SCHEMA!r}: take one of this version.")
    check(definition, str(path))
    return definition


def check(definition: CohortDefinition, of: str) -> None:
    """:raises BadInput: the definition `of` a file or command names what there is not, or mixes what is held out."""
    if definition.split not in SPLITS:
        raise BadInput(f"{of}: the split {definition.split!r} is not known: give one of {', '.join(SPLITS)}.")
    if definition.what not in ("blocks", "knees"):
        raise BadInput(f"{of}: a cohort of {definition.what!r} cannot be made: give blocks or knees.")
    for name, value, kind, least, most in (
        ("seed", definition.seed, int, 0, 2**63 - 1),
        ("blocks", definition.blocks, int, 1, 1000),
        ("scans", definition.scans, int, 1, MOST_SCANS if definition.what == "blocks" else 1),
        ("nuisance", definition.nuisance, (int, float), 0.0, MOST_NUISANCE),
        ("most_flexion_apart_deg", definition.most_flexion_apart_deg, (int, float), 0.0, MOST_FLEXION_APART_DEG),
        *(("patients", group.patients, int, 1, 1_000_000) for group in definition.groups),
    ):
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
            raise BadInput(f"{of}: {name} is {value!r}: give a number from {least:g} to {most:g}.")
    if not isinstance(definition.microstructure, bool) or not isinstance(definition.name, str):
        raise BadInput(f"{of}: microstructure must be true or false, and name a text.")
    if not definition.groups:
        raise BadInput(f"{of}: it has no group of patients: give one.")
    for group in definition.groups:
        for kind, names, known in (
            ("family of microstructure", group.families, FAMILIES),
            ("CT profile", group.ct_profiles, (*CT_PROFILES, VARIED)),
            ("MR profile", group.mr_profiles, MR_PROFILES),
        ):
            if not names:
                raise BadInput(f"{of}: no {kind} is given for {group.name}: name at least one.")
            for name in names:
                if known is FAMILIES and name.startswith(MICRO_CT):
                    check_specimen(Path(name.removeprefix(MICRO_CT)))
                elif name not in known:
                    raise BadInput(f"{of}: the {kind} {name!r} is not known: give one of {', '.join(known)}.")
        if definition.split != "test":
            _check_nothing_held_out(group, of)


def _names(value: object) -> tuple[str, ...]:
    """:raises TypeError: it is no list of texts."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"{value!r} is no list of names")
    return tuple(value)


def _check_nothing_held_out(group: Group, of: str) -> None:
    held_out = [name for name in group.families if name == HELD_OUT_FAMILY]
    held_out += [name for name in group.ct_profiles if name != VARIED and CT_PROFILES[name].held_out]
    held_out += [name for name in group.mr_profiles if MR_PROFILES[name].held_out]
    if held_out:
        raise BadInput(f"{of}: {', '.join(held_out)} is held out for testing: only a test cohort may have it.")


def mr_profiles(what: What, held_out: bool) -> tuple[str, ...]:
    """The MR protocols of cohorts of cubes or of knees, by name."""
    return tuple(
        name
        for name, profile in MR_PROFILES.items()
        if profile.held_out == held_out and (what == "knees" or profile.kind in SHOWS_TRABECULAE)
    )


def usual_definition(
    what: What,
    split: str,
    seed: int,
    patients: int,
    nuisance: float = 1.0,
    microstructure: bool = True,
    micro_ct: Sequence[Path] = (),
    scans: int = 1,
) -> CohortDefinition:
    """A cohort to train or validate on, with all that is not held out; of the split "test" with all that is.

    Cubes are seen by the MR protocols that show trabeculae, whole knees by all.

    :raises BadInput: as `check`.
    """
    held_out = split == "test"
    group = Group(
        "all",
        patients,
        (
            *(name for name in FAMILIES if held_out or name != HELD_OUT_FAMILY),
            *(f"{MICRO_CT}{path.resolve()}" for path in micro_ct),
        ),
        tuple(name for name, profile in CT_PROFILES.items() if profile.held_out == held_out),
        mr_profiles(what, held_out),
    )
    definition = CohortDefinition(
        f"{split}-{what}",
        what,
        split,
        seed,
        nuisance,
        (group,),
        microstructure=microstructure,
        scans=scans,
    )
    check(definition, "simulate knee")
    return definition
