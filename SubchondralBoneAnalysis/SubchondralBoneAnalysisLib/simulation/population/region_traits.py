"""The bone of one compartment of one bone: its trabeculae, how they thin out with depth, and the plate above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.simulation.microstructure.traits import BV_TV, StructureTraits

MEAN_OVER_MM = 6.0
DECAY_MM = 5.0
SPARSE_FROM_MM, SPARSE_OVER_MM = 7.0, 22.0  # deeper than any patch bone grows sparse, towards the marrow of the shaft


@dataclass(frozen=True)
class RegionTraits:
    """A region as it is drawn.

    :param structure: its `bv_tv` is the mean over the first 6 mm below the plate.
    :param plate_mm: thickness of the subchondral plate.
    :param denser_above: by which share BV/TV at the plate exceeds BV/TV far below; it falls off with `DECAY_MM`.
    """

    structure: StructureTraits
    plate_mm: float
    denser_above: float = 0.35

    def bv_tv_at(self, below_plate_mm: np.ndarray) -> np.ndarray:
        """BV/TV [n] at depths [n] in mm below the plate.

        The bone volume fraction of knees falls over the first 6 mm (Patel et al., J Orthop Res 2003;21:6-13).
        """
        depth = np.maximum(np.asarray(below_plate_mm, float), 0.0)
        mean = 1.0 + self.denser_above * DECAY_MM / MEAN_OVER_MM * (1.0 - np.exp(-MEAN_OVER_MM / DECAY_MM))
        shallow = (1.0 + self.denser_above * np.exp(-depth / DECAY_MM)) / mean
        deep = np.exp(-np.maximum(depth - SPARSE_FROM_MM, 0.0) / SPARSE_OVER_MM)
        return np.clip(self.structure.bv_tv * shallow * deep, *BV_TV)
