"""The part of a CT that shows one knee."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.ct_resolution import CtResolution
from SubchondralBoneAnalysisLib.knee_findings import Box
from SubchondralBoneAnalysisLib.volume import Volume


@dataclass(frozen=True, eq=False)
class KneeImage:
    """The part of a CT that shows one knee, in HU, and what of it cannot be used (bool [k, j, i], None: nothing)."""

    ct: Volume
    unusable: np.ndarray | None
    box: Box
    resolution: CtResolution
