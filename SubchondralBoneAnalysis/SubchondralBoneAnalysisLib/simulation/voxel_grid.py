"""The grid that a simulated knee is drawn on: a Volume whose voxels are not stored."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.volume import Volume

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # as MR is stored: i to the back, j down, k to the right


def empty_grid(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    origin_lps: tuple[float, float, float],
    direction_lps: tuple[float, ...] = IDENTITY,
) -> Volume:
    """A grid of `shape` and `spacing_mm` (k, j, i) that takes no memory; see `Volume` for origin and direction."""
    return Volume(np.broadcast_to(np.uint8(0), shape), spacing_mm, tuple(origin_lps), tuple(direction_lps))


def grid_around(
    centre_lps: tuple[float, float, float],
    size_mm: tuple[float, float, float] = (130.0, 130.0, 110.0),
    spacing_mm: float | tuple[float, float, float] = 0.8,
    direction_lps: tuple[float, ...] = IDENTITY,
) -> Volume:
    """A grid whose middle is at `centre_lps`.

    :param size_mm: along the i, j and k axis.
    :param spacing_mm: of (k, j, i), or one for all.
    """
    spacing = np.broadcast_to(np.asarray(spacing_mm, float), 3)
    shape = tuple(int(max(2, round(mm / step))) for mm, step in zip(size_mm[::-1], spacing, strict=True))
    half = 0.5 * (np.array(shape) - 1) * spacing
    origin = np.asarray(centre_lps) - np.reshape(direction_lps, (3, 3)) @ half[::-1]
    return empty_grid(shape, tuple(spacing.tolist()), tuple(origin.tolist()), direction_lps)


def lattice_lps(grid: Volume, kji: np.ndarray) -> np.ndarray:
    """Places [n, 3] in LPS mm of indices [n, 3] (k, j, i), which need not be whole."""
    along = (kji * np.asarray(grid.spacing_mm))[:, ::-1]
    return along @ np.reshape(grid.direction_lps, (3, 3)).T + np.asarray(grid.origin_lps)
