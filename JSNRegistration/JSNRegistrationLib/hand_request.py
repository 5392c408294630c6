"""What a user asks of the hand job."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class HandRequest:
    """Films of one hand (or of one joint, ``joint_crop``) in the order of the visits, and all that was said about them.

    ``spacing_mm``: one for all films or one a film; ``dates``: one a film; ``joints``: file of joint positions;
    ``upper_masks``, ``lower_masks``: one a film, with ``joint_crop``; ``side``, ``name``: of the joint of a crop;
    ``only``: joints to measure; ``reuse``: an earlier result folder from which all else is taken.
    """

    films: tuple[Path, ...]
    spacing_mm: tuple[float, ...] | None = None
    dates: tuple[date, ...] | None = None
    joints: Path | None = None
    joint_crop: bool = False
    upper_masks: tuple[Path, ...] | None = None
    lower_masks: tuple[Path, ...] | None = None
    side: str | None = None
    name: str | None = None
    only: tuple[str, ...] | None = None
    reuse: Path | None = None
    device: str = "auto"
    seed: int = 0

    def parameters(self) -> dict:
        """What was asked, for result.json; paths as names only, so that no folder of a patient is written out."""
        asked = asdict(self)
        for key in ("films", "upper_masks", "lower_masks"):
            asked[key] = None if asked[key] is None else [Path(p).name for p in asked[key]]
        for key in ("joints", "reuse"):
            asked[key] = None if asked[key] is None else Path(asked[key]).name
        asked["dates"] = None if self.dates is None else [d.isoformat() for d in self.dates]
        return asked
