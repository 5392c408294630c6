"""How much of a measurement may hang on what lies beyond the border of the volume."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness import ThicknessMap
from SubchondralBoneAnalysisLib.local_thickness.distance_map import UNKNOWN, squared_distances
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

SLICES = 8


def near_border(
    found: ThicknessMap, spacing_mm: tuple[float, float, float], region: np.ndarray | None, workers: Workers
) -> float:
    """The share of the measured voxels that are nearer to the border of the volume than their own local thickness.

    A sphere that holds a voxel reaches no farther from it than its diameter. So the spheres of all other voxels lie
    wholly inside the volume; those of these may be cut, and might be smaller if more of the structure were seen.

    :param region: [k, j, i] bool; None for the whole volume.
    """
    shape = found.squared_radius.shape
    borders = [(np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) * s for n, s in zip(shape, spacing_mm, strict=True)]

    def count(first: int, end: int) -> np.ndarray:
        radius = found.squared_radius[first:end]
        measured = radius > 0 if region is None else (radius > 0) & region[first:end]
        to_border = np.minimum(np.minimum.outer(borders[0][first:end], borders[1])[..., None], borders[2])
        # In units of the lattice: the diameter squared is four times the radius squared.
        near = 4.0 * radius > np.square(to_border) / found.lattice.unit_mm2
        return np.array([np.count_nonzero(near & measured), np.count_nonzero(measured)])

    near, measured = np.sum(workers.share(shape[0], SLICES, count), axis=0)
    return float(near / measured)


def near_unknown(
    found: ThicknessMap, codes: np.ndarray, region: np.ndarray | None, workers: Workers, storage: Storage
) -> float:
    """The share of the measured voxels that are nearer to an unknown voxel than their own local thickness."""
    known = storage.empty(codes.shape, np.uint8)
    np.not_equal(codes, UNKNOWN, out=known.view(bool))
    to_unknown = squared_distances(known, 1, found.lattice, workers, storage)

    def count(first: int, end: int) -> np.ndarray:
        radius = found.squared_radius[first:end]
        measured = radius > 0 if region is None else (radius > 0) & region[first:end]
        near = 4 * radius.astype(np.int64) > to_unknown[first:end]
        return np.array([np.count_nonzero(near & measured), np.count_nonzero(measured)])

    near, measured = np.sum(workers.share(len(codes), SLICES, count), axis=0)
    return float(near / measured)
