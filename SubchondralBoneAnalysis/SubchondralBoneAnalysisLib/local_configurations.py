"""How often each of the 256 patterns of bone and marrow occurs among the cells of 2 x 2 x 2 voxels.

Surface, curvature, connectivity and mean intercept length all follow from these counts, so they cost one pass, and the
counts of parts of a volume are those of the whole, added up.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

PATTERNS = 256
SLICES = 8
# The bit of a pattern that stands for the voxel (dk, dj, di) of a cell.
CORNERS = np.array([(dk, dj, di) for dk in (0, 1) for dj in (0, 1) for di in (0, 1)])


def patterns_as_corners() -> np.ndarray:
    """[pattern, dk, dj, di] bool: which voxels of a cell are bone."""
    bits = (np.arange(PATTERNS)[:, None] >> np.arange(8)) & 1
    return bits.astype(bool).reshape(PATTERNS, 2, 2, 2)


def count_configurations(codes: np.ndarray, region: np.ndarray | None, workers: Workers) -> np.ndarray:
    """Counts (256,) of the patterns of all cells that lie wholly inside a region and are known.

    Bit ``4 dk + 2 dj + di`` of a pattern is set where the voxel (dk, dj, di) of the cell is bone.

    :param codes: [k, j, i] uint8: 0 marrow, 1 bone, 2 unknown.
    :param region: [k, j, i] bool; None for the whole volume.
    """
    inside = np.zeros((0, 0, 0), np.uint8) if region is None else region.view(np.uint8)
    parts = workers.share(max(len(codes) - 1, 0), SLICES, lambda a, b: _count(codes[a : b + 1], inside[a : b + 1]))
    return np.sum(parts, axis=0, dtype=np.int64) if parts else np.zeros(PATTERNS, np.int64)


@njit(nogil=True, cache=True)
def _count(codes, inside):
    depth, height, width = codes.shape
    counts = np.zeros(PATTERNS + 1, np.int64)
    # Two columns of four voxels make a pattern; a column that is not wholly known and inside has the bit 256 set.
    columns = np.empty(width, np.uint16)
    for k in range(depth - 1):
        for j in range(height - 1):
            a, b, c, d = codes[k, j], codes[k, j + 1], codes[k + 1, j], codes[k + 1, j + 1]
            for i in range(width):
                outside = (a[i] | b[i] | c[i] | d[i]) & 2
                columns[i] = (a[i] & 1) | (b[i] & 1) << 2 | (c[i] & 1) << 4 | (d[i] & 1) << 6 | outside << 7
            if inside.size > 0:
                e, f, g, h = inside[k, j], inside[k, j + 1], inside[k + 1, j], inside[k + 1, j + 1]
                for i in range(width):
                    columns[i] |= (1 - (e[i] & f[i] & g[i] & h[i])) << 8
            for i in range(width - 1):
                counts[min(np.int64(columns[i]) | np.int64(columns[i + 1]) << 1, PATTERNS)] += 1
    return counts[:PATTERNS]
