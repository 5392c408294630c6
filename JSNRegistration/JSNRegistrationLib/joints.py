"""Where the joints are: the Joint, its names, and the file joints.json (read by `joint_files`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from JSNRegistrationLib.radiograph import Radiograph

SCHEMA = "jointquant-joints/1"
FINGER_JOINTS: dict[int, tuple[str, ...]] = {1: ("MCP1", "IP1")} | {
    f: (f"MCP{f}", f"PIP{f}", f"DIP{f}") for f in (2, 3, 4, 5)
}
"""Names of the joints of each finger (1 = thumb), from the palm to the tip."""
JOINT_NAMES: tuple[str, ...] = tuple(
    kind + str(f) for kind in ("MCP", "IP", "PIP", "DIP") for f in FINGER_JOINTS if kind + str(f) in FINGER_JOINTS[f]
)
CROP_JOINT = "JOINT"
"""Name of the joint of a film that shows one joint only."""


@dataclass(frozen=True, eq=False)
class Joint:
    """One joint on one film. Positions are pixels (x, y), centres at integers, x right, y down."""

    name: str
    side: str | None
    position_px: tuple[float, float]  # the middle of the joint space
    axis: tuple[float, float]  # unit vector from the lower (proximal) to the upper (distal) bone
    width_px: float | None = None  # of the bones across the joint
    upper: np.ndarray | None = None  # (n, 2) outline of the distal bone, only where the user gave it
    lower: np.ndarray | None = None
    confidence: float = 1.0  # 0 ... 1; 1 where the user placed the joint


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand on a film, with the joints that were found on it."""

    side: str | None  # the film's own where DICOM gives it; else by the order of the fingers, assuming a PA view
    view: str  # PA or OBLIQUE
    joints: tuple[Joint, ...]  # at most one of each name
    confidence: float  # 0 ... 1


PA, OBLIQUE = "PA", "oblique"
SIDES = ("left", "right")


@dataclass(frozen=True)
class JointKey:
    """Which joint of which hand: numbers, maps and files of a job are kept by it. As text: left MCP2."""

    side: str | None
    name: str

    def __str__(self) -> str:
        return self.name if self.side is None else f"{self.side} {self.name}"


def ijk_to_ras(film: Radiograph) -> np.ndarray:
    """The 4 x 4 matrix from (column, row, slice) of a film to RAS: diag(-s, -s, 1), s mm or 1.0 where unknown.

    It is what Slicer shows for the films of a result folder: origin 0, identity direction in LPS.
    """
    s = film.spacing_mm if film.spacing_mm is not None else 1.0
    return np.diag([-s, -s, 1.0, 1.0])


def write_joints(path: Path, joints_per_visit: Sequence[Sequence[Joint]]) -> None:
    """Writes joints.json: one list of joints for each visit, everything in film pixels."""
    visits = [[_as_json(joint) for joint in joints] for joints in joints_per_visit]
    Path(path).write_text(json.dumps({"schema": SCHEMA, "visits": visits}, indent=1) + "\n", encoding="utf-8")


def _as_json(joint: Joint) -> dict:
    entry = {
        "name": joint.name,
        "side": joint.side,
        "position_px": [float(v) for v in joint.position_px],
        "axis": [float(v) for v in joint.axis],
        "confidence": float(joint.confidence),
    }
    if joint.width_px is not None:
        entry["width_px"] = float(joint.width_px)
    for bone in ("upper", "lower"):
        outline = getattr(joint, bone)
        if outline is not None:
            entry[bone] = np.asarray(outline, float).tolist()
    return entry
