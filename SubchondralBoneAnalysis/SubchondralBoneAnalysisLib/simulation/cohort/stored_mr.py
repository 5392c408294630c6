"""An MR as it is stored: whole numbers, as scanners write them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from SubchondralBoneAnalysisLib.volume import Volume

UNIT = 2000.0  # stored value of a signal of 1


def stored_mr(magnitude: Volume) -> Volume:
    """The magnitude, float, as uint16."""
    return replace(magnitude, array=np.clip(np.rint(UNIT * magnitude.array), 0, 65535).astype(np.uint16))
