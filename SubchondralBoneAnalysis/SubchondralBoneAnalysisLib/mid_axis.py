"""How far the mid-axes of the trabeculae are apart: the direct trabecular number.

The mid-axis is the ridge of the distance map: the voxels whose own sphere is the largest of all that hold them, to
within half a voxel. So it is the layer of voxels nearest to the middle, which is one or two voxels thick and has no
holes. The distance between mid-axes is the local thickness of all that is not mid-axis, and Tb.N is one over its mean
(Hildebrand and Ruegsegger 1997; Laib et al., Technol Health Care 6:329, 1998). Here 2r is half a voxel too small on the
mean, because a layer of voxels is measured to its centres and the middle lies between.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.local_thickness import ThicknessMap
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

SLICES = 8


def mid_axis_codes(
    codes: np.ndarray, bone: ThicknessMap, half_voxel_mm: float, workers: Workers, storage: Storage
) -> np.ndarray:
    """Codes [k, j, i] uint8 of the volume with its mid-axis as the only bone: 1 there, 0 elsewhere, 2 unknown.

    :param codes: [k, j, i] uint8: 0 marrow, 1 bone, 2 unknown; `bone` is the local thickness of the bone.
    """
    axis = storage.empty(codes.shape, np.uint8)
    near = half_voxel_mm / np.sqrt(bone.lattice.unit_mm2)

    def mark(first: int, end: int) -> None:
        parts = (array[first:end] for array in (codes, bone.squared_radius, bone.squared_distance, axis))
        _mark(*parts, near)
        storage.let_go(axis, first, end)

    workers.share(len(codes), SLICES, mark)
    return axis


@njit(nogil=True, cache=True)
def _mark(codes, radius, distance, axis, near):
    for k in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            for i in range(codes.shape[2]):
                code = codes[k, j, i]
                if code == 1:
                    largest = np.sqrt(np.float64(radius[k, j, i]))
                    code = np.uint8(np.sqrt(np.float64(distance[k, j, i])) >= largest - near)
                axis[k, j, i] = code
