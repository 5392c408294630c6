"""Reads the result folder of a hand job: `result.json` and the NRRD maps beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from JointQuantLib.errors import BadInput

SCHEMA = "jointquant-hand/1"


@dataclass(frozen=True)
class HandResult:
    """The content of one result folder; `content` is `result.json` as written."""

    folder: Path
    content: dict

    @property
    def visits(self) -> list[dict]:
        return self.content["visits"]

    @property
    def joints(self) -> list[dict]:
        return self.content["joints"]

    @property
    def sides(self) -> list[str]:
        """The hands that are named: none where all joints are of one hand, else "left" and "right"."""
        sides = {joint.get("side") for joint in self.joints}
        return sorted(sides - {None}) if len(sides) > 1 else []

    def hand_of(self, joint: dict) -> str:
        """Of which hand a joint is, as "left"; empty where all are of one hand."""
        return (joint.get("side") or "unknown") if self.sides else ""

    def label(self, joint: dict) -> str:
        """What a joint is called so that it is told from all others: MCP2, or "left MCP2" where there are two hands."""
        return f"{self.hand_of(joint)} {joint['name']}".strip()

    def visit_pairs(self) -> list[tuple[int, int]]:
        """All (from, to) over which joints were compared, the longest way first: its numbers stand in the summary."""
        found = {(pair["from_visit"], pair["to_visit"]) for joint in self.joints for pair in joint["pairs"]}
        return sorted(found, key=lambda pair: (pair[0] - pair[1], pair))

    def film(self, visit: int) -> np.ndarray | None:
        return self.image(self.visits[visit]["film"])

    def image(self, name: str) -> np.ndarray | None:
        """A map of the folder as float32 [row, column]; None where the job wrote no such file."""
        path = self.folder / Path(name).name  # never outside the folder
        if not path.is_file():
            return None
        return np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))).astype(np.float32)


def read_result(folder: Path) -> HandResult:
    """Read the folder of a finished hand job; BadInput where `result.json` is missing, unreadable or another kind."""
    path = Path(folder) / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: not found; give the result folder of a finished hand job.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); run the job again.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BadInput(f"{path}: is not a hand result of schema {SCHEMA}; give the result folder of a hand job.")
    return HandResult(Path(folder), content)
