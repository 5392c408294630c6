"""The cohorts that have a name: the two that models are tested on, and what the shipped networks learned from.

Those to test on were fixed before any model was trained, and are never changed.

Beside each definition stands the SHA-256 of what was made of its patients, of whole knees of the first ones only. The
same versions of numpy, scipy and numba on the same kind of processor make the same bits; others may round a few voxels
differently.
"""

from __future__ import annotations

import json
from pathlib import Path

from SubchondralBoneAnalysisLib.simulation.cohort.definition import CohortDefinition, read_definition

HERE = Path(__file__).parent
FIXED = ("test-blocks", "test-knees")
NAMED = (*FIXED, "train-knees", "train-blocks", "validation-blocks")


def definition_named(name: str) -> CohortDefinition:
    """One of the `NAMED` cohorts by its name, or any other by the path of its file.

    :raises BadInput: as `read_definition`.
    """
    return read_definition(HERE / f"{name}.json" if name in NAMED else Path(name))


def digests_of(name: str) -> dict[str, str]:
    """The SHA-256 of each patient of a fixed cohort, as far as they were made."""
    return json.loads((HERE / f"{name}.sha256.json").read_text(encoding="utf-8"))
