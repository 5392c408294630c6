"""How much of a measurement may hang on what lies beyond the border of the volume."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness import ThicknessMap
from SubchondralBoneAnalysisLib.local_thickness.distance_map import UNKNOWN, squared_distances
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

SLICES = 8


def near_border(
    found: ThicknessMap,
    codes: np.ndarray,
    spacing_mm: tuple[float, float, float],
    region: np.ndarray | None,
    workers: Workers,
    storage: Storage,
) -> float:
    """The share of the measured voxels that are nearer to the border of what is known than their own local thickness.

    A sphere that holds a voxel reaches no farther from it than its diameter. So the spheres of all other voxels lie
    wholly inside what is known; those of these may be cut, and might be smaller if more of the structure were seen. The
    border is that of the volume and of unknown voxels, half a voxel from their centres.

    :param codes: [k, j, i] uint8: 0 and 1 for the phases, 2 unknown.
    :param region: [k, j, i] bool; None for the whole volume.
    """
    shape = found.squared_radius.shape
    faces = [(np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) * s for n, s in zip(shape, spacing_mm, strict=True)]
    to_unknown = _to_unknown(found, codes, workers, storage)
    half_voxel = 0.5 * float(np.prod(spacing_mm)) ** (1 / 3)

    def count(first: int, end: int) -> np.ndarray:
        radius = found.squared_radius[first:end]
        measured = radius > 0 if region is None else (radius > 0) & region[first:end]
        to_border = np.minimum(np.minimum.outer(faces[0][first:end], faces[1])[..., None], faces[2])
        if to_unknown is not None:
            to_border = np.minimum(to_border, found.lattice.to_mm(to_unknown[first:end]) - half_voxel)
        near = 2 * found.lattice.to_mm(radius) > to_border
        return np.array([np.count_nonzero(near & measured), np.count_nonzero(measured)])

    near, measured = np.sum(workers.share(shape[0], SLICES, count), axis=0)
    return float(near / measured)


def _to_unknown(found: ThicknessMap, codes: np.ndarray, workers: Workers, storage: Storage) -> np.ndarray | None:
    """Squared distance [k, j, i], in units of the lattice, to the nearest unknown voxel; None where all are known."""
    if not any(workers.share(len(codes), SLICES, lambda a, b: bool((codes[a:b] == UNKNOWN).any()))):
        return None
    known = storage.empty(codes.shape, np.uint8)
    np.not_equal(codes, UNKNOWN, out=known.view(bool))
    return squared_distances(known, 1, found.lattice, workers, storage)
