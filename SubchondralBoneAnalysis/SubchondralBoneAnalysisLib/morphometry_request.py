"""What a user asks of the morphometry job."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

CONTEXT, UNKNOWN = "context", "unknown"
OUTSIDE = (CONTEXT, UNKNOWN)


@dataclass(frozen=True)
class MorphometryRequest:
    """A volume of trabecular bone, which part of it is measured, and how its bone is found.

    ``region``: label volume on the same grid, not 0 inside; ``outside``: the structure outside the region is
    ``context`` that is seen and not measured, or ``unknown`` as what lies beyond the border of the volume;
    ``segmentation``: binary, fixed, otsu or local; ``threshold``: of the fixed method, or floor of the local one;
    ``window_mm`` and ``offset``: of the local method, as :func:`SubchondralBoneAnalysisLib.segmentation.segment`;
    ``keep_largest``: only the largest connected piece of bone; ``fine``: Tb.Th also with spheres that may lie half way
    between voxels; ``memory_gb``: arrays lie in files where more would be taken; ``threads``: how many.
    """

    volume: Path
    region: Path | None = None
    segmentation: str = "binary"
    threshold: float | None = None
    window_mm: float | None = None
    offset: float | None = None
    keep_largest: bool = False
    fine: bool = False
    outside: str = CONTEXT
    device: str = "auto"
    seed: int = 0
    memory_gb: float | None = None
    threads: int | None = None

    def parameters(self) -> dict:
        """What was asked, for result.json; paths as names only, so that no folder of a patient is written out."""
        asked = asdict(self)
        for key in ("volume", "region"):
            asked[key] = None if asked[key] is None else Path(asked[key]).name
        return asked
