"""Metal in a CT, and the zone around it where its streaks make grey values and edges wrong."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

# Cortical bone ends near 2000 HU, with the overshoot of a bone kernel near 2500; a CT of 12 bit ends at 3071.
METAL_HU, CERTAIN_HU = 2500, 3000
LEAST_MM3 = 10.0  # smaller clumps are noise or calcium
STREAKS_MM, STREAKS_ALONG_MM = 10.0, 3.0  # in the plane of the scan, where streaks run, and along the patient
ANY_NEIGHBOUR = np.ones((3, 3, 3), bool)


def find_metal(ct: Volume) -> np.ndarray | None:
    """Metal itself, bool [k, j, i]; None if there is none. See `streak_zone` for what its streaks reach.

    Metal is a clump of voxels above `METAL_HU` of at least `LEAST_MM3` that holds one above `CERTAIN_HU`.

    :param ct: HU.
    """
    if ct.array.max() < CERTAIN_HU:
        return None
    box = _box(ct.array > METAL_HU)
    clumps, count = ndimage.label(ct.array[box] > METAL_HU, ANY_NEIGHBOUR)
    numbers = np.arange(1, count + 1)
    large = ndimage.sum_labels(clumps > 0, clumps, numbers) * ct.voxel_mm3 >= LEAST_MM3
    certain = ndimage.maximum(ct.array[box], clumps, numbers) >= CERTAIN_HU
    metal = np.zeros(ct.array.shape, bool)
    metal[box] = np.isin(clumps, numbers[large & certain])
    return metal if metal.any() else None


def streak_zone(metal: np.ndarray, ct: Volume) -> np.ndarray:
    """Metal and what its streaks reach, bool [k, j, i].

    Metal is dilated by an ellipsoid: `STREAKS_MM` in the axial plane, `STREAKS_ALONG_MM` along the patient.
    """
    along = 2 - int(np.argmax(np.abs(np.reshape(ct.direction_lps, (3, 3))[2])))  # the array axis nearest to S
    reach = np.where(np.arange(3) == along, STREAKS_ALONG_MM, STREAKS_MM)
    margin = np.ceil(reach / ct.spacing_mm).astype(int) + 1
    box = tuple(
        slice(max(part.start - more, 0), part.stop + more) for part, more in zip(_box(metal), margin, strict=True)
    )
    away = ndimage.distance_transform_edt(~metal[box], sampling=np.array(ct.spacing_mm) / reach)
    zone = np.zeros(metal.shape, bool)
    zone[box] = away <= 1.0
    return zone


def _box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    lines = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)
