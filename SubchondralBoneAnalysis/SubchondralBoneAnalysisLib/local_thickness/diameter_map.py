"""Local thickness as a map in millimetres, made slice by slice from its whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice


@dataclass(frozen=True, eq=False)
class DiameterMap:
    """The diameters 2r in mm, float32 [k, j, i], 0 outside the phase and outside the region.

    Iterating gives the slices [j, i] one by one; `whole` gives all of them. What is kept is a third of their size.

    :param squared_radius: [k, j, i] in units of `lattice`; `region` is [k, j, i] bool or None for the whole volume.
    """

    squared_radius: np.ndarray
    lattice: Lattice
    region: np.ndarray | None = None

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.squared_radius.shape

    def __iter__(self) -> Iterator[np.ndarray]:
        for k, squared in enumerate(self.squared_radius):
            diameter = (2 * self.lattice.to_mm(squared)).astype(np.float32)
            if self.region is not None:
                diameter[~self.region[k]] = 0
            yield diameter

    def whole(self) -> np.ndarray:
        """All slices in memory."""
        return np.stack(list(self))
