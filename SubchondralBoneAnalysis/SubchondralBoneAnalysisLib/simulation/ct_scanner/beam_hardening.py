"""Beam hardening by bone: cupping inside the bones and dark bands between them.

A scanner corrects its projections for the hardening by water. What bone hardens more is left: to second order the line
integral p of the bone is seen as p - c p^2 (Joseph and Spital, J Comput Assist Tomogr 2:100, 1978). The error of the
image is then the filtered back projection of -c p^2. It is smooth, so it is found on a coarse lattice.

The middle of a disc of radius R and value m has an error of -8 c m^2 R / pi, and at r from it that times the root of
1 - (r / R)^2: the inverse Abel transform of p^2 = 4 m^2 (R^2 - t^2). This gives c from `CtScan.beam_hardening_hu`.
"""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.ct_scanner.parallel_beam import back_projected, projector, ray_count
from SubchondralBoneAnalysisLib.volume import Volume

PIXEL_MM, SLICE_MM, ANGLES = 3.0, 6.0, 72
SOFT_HU = 150.0  # what is above it is taken for bone
REFERENCE_MM, REFERENCE_HU = 30.0, 350.0  # radius and bone of the disc that reads `beam_hardening_hu` too low


def hardened(hu: np.ndarray, grid: Volume, scan: CtScan) -> np.ndarray:
    """HU with the beam hardening of the scan, float32 [k, j, i].

    Bone outside the grid hardens nothing here, nor does bone beyond the slice it is in.

    :param hu: without noise, on the grid; slices are along its j and i axes.
    """
    if scan.beam_hardening_hu <= 0.0:
        return np.asarray(hu, np.float32)
    per_hu = np.pi * scan.beam_hardening_hu / (8.0 * REFERENCE_HU**2 * REFERENCE_MM)
    hats = [
        _hats(size, own / step)
        for size, own, step in zip(hu.shape, grid.spacing_mm, (SLICE_MM, PIXEL_MM, PIXEL_MM), strict=True)
    ]
    slices, rows, columns = (hat.shape[1] for hat in hats)
    size = max(rows, columns)
    square = np.zeros((size, size, slices), np.float32)
    square[:rows, :columns] = np.moveaxis(_bone(hu, hats), 0, 2)
    lines = projector(size, ANGLES) @ square.reshape(size * size, slices) * np.float32(PIXEL_MM)
    hardening = -np.float32(per_hu / PIXEL_MM) * lines**2
    error = back_projected(hardening.reshape(ANGLES, ray_count(size), slices), size)[:rows, :columns]
    return _added(hu, np.moveaxis(error, 2, 0), hats)


def _hats(size: int, part: float) -> np.ndarray:
    """Weights [size, coarse points] of linear interpolation between coarse points; `part` of their step is a voxel."""
    at = np.arange(size) * part
    return np.maximum(1.0 - np.abs(at[:, None] - np.arange(int(np.ceil(at[-1])) + 1)), 0.0).astype(np.float32)


def _bone(hu: np.ndarray, hats: list[np.ndarray]) -> np.ndarray:
    """Mean of what is bone around each coarse point, in HU above soft tissue, float32."""
    along_k, along_j, along_i = (hat / np.maximum(hat.sum(0), 1e-6) for hat in hats)
    bone = np.zeros((along_k.shape[1], along_j.shape[1], along_i.shape[1]), np.float32)
    for slice_, weights in zip(hu, along_k, strict=True):
        above = np.maximum(slice_ - np.float32(SOFT_HU), 0.0)
        for number in np.flatnonzero(weights):
            bone[number] += weights[number] * (along_j.T @ above @ along_i)
    return bone


def _added(hu: np.ndarray, error: np.ndarray, hats: list[np.ndarray]) -> np.ndarray:
    """HU and the error, slice by slice, float32."""
    along_k, along_j, along_i = hats
    seen = np.empty(hu.shape, np.float32)
    for number, weights in enumerate(along_k):
        used = np.flatnonzero(weights)
        seen[number] = hu[number] + along_j @ np.tensordot(weights[used], error[used], 1) @ along_i.T
    return seen
