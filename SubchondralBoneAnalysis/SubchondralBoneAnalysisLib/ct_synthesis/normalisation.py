"""The signal of an MR relative to that around it: free of its scale, of the coil and of a few very bright voxels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from SubchondralBoneAnalysisLib.volume import Volume

BLOCK_MM = 6.0
AROUND_MM = 30.0  # standard deviation of the surroundings: wider than a condyle, narrower than the reach of a coil
TISSUE = 0.5  # of the mean signal of tissue: above it is tissue; what lies below, as dark marrow, is no measure of it
ROUNDS = 8  # until the mean signal of tissue stands still
FAR = 0.1  # weight of the mean of the whole volume, which rules where there is no tissue near


def relative_signal(slices: Volume) -> np.ndarray:
    """r / (1 + r) of each voxel, float32 in [0, 1), with r its signal over the mean of the tissue around it.

    The mean signal of tissue comes to 0.5. Signals below 0 count as 0.
    """
    signal = np.maximum(slices.array, 0).astype(np.float32, copy=False)
    blocks = [max(1, round(BLOCK_MM / mm)) for mm in slices.spacing_mm]
    tissue = signal > _tissue_above(signal[:, ::2, ::2])
    weight, total = _block_means(tissue, blocks), _block_means(np.where(tissue, signal, 0), blocks)
    if not weight.any():
        return np.zeros_like(signal)
    overall = total.sum() / weight.sum()
    width = [AROUND_MM / (n * mm) for n, mm in zip(blocks, slices.spacing_mm, strict=True)]
    weight, total = (gaussian_filter(part, width, mode="constant") for part in (weight, total))
    around = (total + FAR * overall) / (weight + FAR)
    across, rows, columns = (_between(n, b, m) for n, b, m in zip(signal.shape, blocks, around.shape, strict=True))
    for weights, voxels in zip(across, signal, strict=True):
        # A slice at a time: the surroundings of all voxels would need as much memory as the volume.
        voxels /= voxels + rows @ np.tensordot(weights, around, 1) @ columns.T
    return signal


def _tissue_above(signal: np.ndarray) -> float:
    """A threshold well above the noise of the air: a share of the mean of what lies above it."""
    above = 0.0
    for _ in range(ROUNDS):
        bright = signal[signal > above]
        above = TISSUE * float(bright.mean()) if bright.size else above
    return above


def _block_means(array: np.ndarray, blocks: list[int]) -> np.ndarray:
    """Means over blocks of voxels, those at the far ends over what is left of them."""
    means = array.astype(np.float32)
    for axis, block in enumerate(blocks):
        first = np.arange(0, array.shape[axis], block)
        count = np.diff(np.append(first, array.shape[axis])).astype(np.float32)
        means = np.add.reduceat(means, first, axis) / np.expand_dims(count, [n for n in range(3) if n != axis])
    return means


def _between(voxels: int, block: int, blocks: int) -> np.ndarray:
    """[voxels, blocks]: linear weights of the blocks at each voxel; beyond the outermost middles theirs alone."""
    place = np.clip((np.arange(voxels) - (block - 1) / 2) / block, 0, blocks - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(blocks)), 0).astype(np.float32)
