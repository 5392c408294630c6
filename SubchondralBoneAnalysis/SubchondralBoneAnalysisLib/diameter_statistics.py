"""Mean and spread of a local thickness inside a region, from how often each squared radius occurs.

The counts are whole numbers, so the answer does not hang on the order in which slices are added up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness import ThicknessMap
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

SLICES = 8


@dataclass(frozen=True)
class Diameters:
    """Over the voxels that were counted: mean, standard deviation and largest of their local thickness 2r, in mm."""

    mean_mm: float
    sd_mm: float
    max_mm: float
    voxels: int


def diameters(found: ThicknessMap, region: np.ndarray | None, workers: Workers) -> Diameters:
    """The local thickness of the phase of a map inside a region [k, j, i] bool; None for the whole volume.

    Each voxel counts once (Hildebrand and Ruegsegger 1997, equation 3).

    :raises ValueError: when the region holds no voxel of the phase.
    """

    def count(first: int, end: int) -> Counter:
        values = found.squared_radius[first:end]
        values = values[region[first:end]] if region is not None else values.ravel()
        if values.dtype == np.uint16:
            counts = np.bincount(values, minlength=1)
            present = np.flatnonzero(counts)
            return Counter(dict(zip(present.tolist(), counts[present].tolist(), strict=True)))
        present, counts = np.unique(values, return_counts=True)
        return Counter(dict(zip(present.tolist(), counts.tolist(), strict=True)))

    total: Counter = Counter()
    for part in workers.share(len(found.squared_radius), SLICES, count):
        total.update(part)
    total.pop(0, None)  # the other phase
    if not total:
        raise ValueError("the region holds no voxel of this phase")
    squared, counts = np.array(sorted(total.items()), np.int64).T
    lengths = 2 * found.lattice.to_mm(squared)
    mean = float(np.average(lengths, weights=counts))
    spread = float(np.sqrt(np.average((lengths - mean) ** 2, weights=counts)))
    return Diameters(mean, spread, float(lengths[-1]), int(counts.sum()))
