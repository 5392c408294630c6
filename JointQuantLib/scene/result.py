"""Reading of the result folder: what was measured, without any node."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput

SCHEMA = "jointquant-hand/1"


@dataclass(frozen=True)
class HandResult:
    """A result folder of the hand job; `data` is `result.json` as published."""

    folder: Path
    data: dict

    @property
    def visits(self) -> list[dict]:
        return self.data["visits"]

    @property
    def joints(self) -> list[dict]:
        return self.data["joints"]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(from visit, to visit) of all measured pairs, in order."""
        return sorted({(pair["from_visit"], pair["to_visit"]) for joint in self.joints for pair in joint["pairs"]})

    @property
    def shows_both_hands(self) -> bool:
        return len({joint["side"] for joint in self.joints}) > 1

    def title(self, joint: dict) -> str:
        """The name of a joint in the scene: MCP2, or "left MCP2" where the result is of both hands."""
        return f"{joint['side'] or 'unknown'} {joint['name']}" if self.shows_both_hands else joint["name"]

    def short_title(self, joint: dict) -> str:
        """The same to be written over a film: MCP2 or "L MCP2"."""
        return f"{(joint['side'] or '?')[0].upper()} {joint['name']}" if self.shows_both_hands else joint["name"]

    def spacing(self, visit: int) -> float:
        """Millimetres per pixel, or 1.0 where unknown: then a length in the scene is a number of pixels."""
        return self.visits[visit]["spacing_mm"] or 1.0

    def spacing_is_known(self, visit: int) -> bool:
        return self.visits[visit]["spacing_mm"] is not None

    def visit_title(self, visit: int) -> str:
        date = self.visits[visit]["date"]
        return f"visit {visit + 1} ({date})" if date else f"visit {visit + 1}"

    def has_file(self, name: str) -> bool:
        return (self.folder / name).is_file()


def read_result(folder: Path) -> HandResult:
    """Read `result.json` of a hand job; `BadInput` where the folder holds none or one of another kind."""
    path = folder / "result.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}): give the folder that `jointquant hand` wrote.") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise BadInput(f"{path} is not a hand result of schema {SCHEMA}: give the folder that `jointquant hand` wrote.")
    return HandResult(folder, data)


def pair_of(joint: dict, from_visit: int, to_visit: int) -> dict | None:
    """The entry of one pair of visits of a joint, None where there is none."""
    for pair in joint["pairs"]:
        if (pair["from_visit"], pair["to_visit"]) == (from_visit, to_visit):
            return pair
    return None


def outlines_of(joint: dict, visit: int) -> dict[str, np.ndarray]:
    """The outlines that a joint has at a visit: "upper", "lower" -> (n, 2) polygon in film pixels."""
    here = joint["visits"][visit]
    polygons = {bone: np.asarray(here.get(bone) or [], dtype=float).reshape(-1, 2) for bone in ("upper", "lower")}
    return {bone: polygon for bone, polygon in polygons.items() if len(polygon) >= 3}


def is_measured(pair: dict | None) -> bool:
    """Whether a pair has motions and numbers (measured or doubtful)."""
    return pair is not None and pair["verdict"] != "not_measurable" and pair.get("upper_motion") is not None


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Column titles and rows of a CSV file, all cells as text."""
    with path.open(newline="", encoding="utf-8") as file:
        titles, *rows = list(csv.reader(file))
    return titles, rows
