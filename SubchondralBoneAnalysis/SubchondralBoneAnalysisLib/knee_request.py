"""What a user asks of the knee job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from SubchondralBoneAnalysisLib.patches import PatchRule
from SubchondralBoneAnalysisLib.region_finding.depth_bands import BANDS_MM

PATCH_GRID_MM = 0.4


@dataclass(frozen=True)
class KneeRequest:
    """A CT of one or both knees, an MR of one of them or none, and what is to be found in them.

    ``bones``: label map of the bones drawn elsewhere, in place of our own; ``bone_names``: which of its labels is which
    bone, None where the file says so; ``side``: of the body, where the image shows one knee and its fibula does not
    tell, or which of two knees is wanted; ``bands_mm``: depth bands from shallow to deep; ``patch_rule`` and
    ``patch_grid_mm``: how patches are placed, and the grid on which they are sampled; ``mr``: of the same knee;
    ``synthesis``: whether a synthetic CT helps to align it; ``deform``: whether soft tissue is aligned, too.
    """

    ct: Path
    bones: Path | None = None
    bone_names: Mapping[int, str] | None = None
    side: str | None = None
    bands_mm: tuple[tuple[float, float], ...] = BANDS_MM
    patch_rule: PatchRule = field(default_factory=PatchRule)
    patch_grid_mm: float = PATCH_GRID_MM
    mr: Path | None = None
    synthesis: bool = True
    deform: bool = False
    device: str = "auto"
    seed: int = 0

    def parameters(self) -> dict:
        """What was asked, for result.json; paths as names only, so that no folder of a patient is written out."""
        asked = asdict(self)
        asked["ct"] = name_of(self.ct)
        asked["bones"] = None if self.bones is None else name_of(self.bones)
        asked["mr"] = None if self.mr is None else name_of(self.mr)
        if self.bone_names is not None:
            asked["bone_names"] = {str(number): name for number, name in self.bone_names.items()}
        return asked


def name_of(path: Path) -> str:
    """The name of an input without its place, also where it was given as `.` or `..`."""
    name = Path(path).name
    return name if name not in ("", "..") else Path(path).resolve().name
