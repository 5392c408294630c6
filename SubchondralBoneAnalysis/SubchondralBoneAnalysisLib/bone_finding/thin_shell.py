"""The thin shell of a bone spur and of a porous bone: too faint for the threshold of cortex, but a sheet."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.bone_shells import ALL_NEIGHBOURS
from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to

THIN_HU = 110.0  # brighter than muscle, cartilage and tendon beside fat; with less smoothing than for the shell
RISE_HU = 50.0  # above what is around it
AROUND_MM = 1.5
REACH_MM = 8.0  # along the sheet from the shell: how far a spur stands out
FROM_OTHERS_MM = 3.0  # between two bones there is a joint space, whose two plates are no spur of either


def with_thin_shells(owner: np.ndarray, hu: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Labels of the shells of bones [k, j, i] that go on in the thin sheets that begin at them.

    :param owner: numbers of bones, 0 elsewhere.
    :param hu: the same part of the CT [k, j, i] with little smoothing, on cubic voxels.
    """
    sheet = (hu > THIN_HU) & (hu - ndimage.gaussian_filter(hu, AROUND_MM / voxel_mm) > RISE_HU) & (owner == 0)
    grown = owner.copy()
    for number in [int(n) for n in np.unique(owner) if n]:
        others = (owner > 0) & (owner != number)
        free = sheet & (distance_to(others, voxel_mm) > FROM_OTHERS_MM)
        own = owner == number
        reached = ndimage.binary_dilation(own, ALL_NEIGHBOURS, int(REACH_MM / voxel_mm), mask=own | free)
        grown[reached & (grown == 0)] = number
    return grown
