"""Places along the axes of an MR: mm along (i, j, k) from its first voxel, in which its slices are slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from SubchondralBoneAnalysisLib.volume import Volume


@dataclass(frozen=True, eq=False)
class MrAxes:
    """The axes of an MR.

    :param directions: [3, 3], columns are the directions of i, j, k in LPS.
    :param origin_lps: of its first voxel, [3].
    :param spacing_mm: along (i, j, k).
    :param size_mm: from the first voxel to the last along (i, j, k).
    """

    directions: np.ndarray
    origin_lps: np.ndarray
    spacing_mm: np.ndarray
    size_mm: np.ndarray

    @classmethod
    def of(cls, mr: Volume) -> MrAxes:
        spacing = np.array(mr.spacing_mm[::-1], float)
        return cls(
            np.reshape(mr.direction_lps, (3, 3)).astype(float),
            np.array(mr.origin_lps, float),
            spacing,
            spacing * (np.array(mr.array.shape[::-1]) - 1),
        )

    def along(self, points_lps: np.ndarray) -> np.ndarray:
        """Points [n, 3] in LPS, in mm along (i, j, k)."""
        return (points_lps - self.origin_lps) @ self.directions

    def lps(self, along: np.ndarray) -> np.ndarray:
        """Points [n, 3] in mm along (i, j, k), in LPS."""
        return along @ self.directions.T + self.origin_lps


def slices_last(volume: Volume) -> Volume:
    """The same image with its thickest step along k, so that slices are slices however the file is laid out."""
    axis = int(np.argmax(volume.spacing_mm))
    if volume.spacing_mm[axis] < 1.2 * volume.spacing_mm[0] or axis == 0:
        return volume
    order = [axis, *(a for a in range(3) if a != axis)]
    directions = np.reshape(volume.direction_lps, (3, 3))[:, ::-1][:, order][:, ::-1]
    return replace(
        volume,
        array=np.moveaxis(volume.array, axis, 0),
        spacing_mm=tuple(volume.spacing_mm[a] for a in order),
        direction_lps=tuple(directions.ravel().tolist()),
    )
