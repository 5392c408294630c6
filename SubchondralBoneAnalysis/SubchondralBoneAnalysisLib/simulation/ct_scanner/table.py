"""The table that the leg lies on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.volume import Volume

TISSUE_HU = -300.0  # what is above it is the leg
AIR_HU = -1000.0
MAT_MM, MAT_HU = 8.0, -930.0  # foam between the leg and the table
SHELL_MM, SHELL_HU = 1.5, 80.0  # carbon fibre
CORE_MM, CORE_HU = 30.0, -950.0  # foam within
LAYERS = ((MAT_MM, MAT_HU), (SHELL_MM, SHELL_HU), (CORE_MM, CORE_HU), (SHELL_MM, SHELL_HU))
RADIUS_MM = 260.0  # of the hollow that it forms
DEPTH_STEP_MM = 0.02


def with_table(hu: np.ndarray, grid: Volume, scan: CtScan) -> np.ndarray:
    """HU with the table below the leg, float32 [k, j, i]; the same where the scan has none or it is out of the field.

    The table is a hollow along S, as wide as the image, that touches the leg from behind (P in LPS).

    :param hu: [k, j, i] on the grid, with air behind the leg.
    """
    hu = np.asarray(hu, np.float32)
    if not scan.table:
        return hu
    backs = (back[slice_ > TISSUE_HU] for slice_, (_, back) in zip(hu, _places(grid), strict=True))
    behind = max((float(back.max()) for back in backs if back.size), default=None)
    if behind is None:
        return hu
    middle = float(np.mean([left.mean() for left, _ in _places(grid)]))
    depths, bed_hu = _bed(scan)
    seen, drawn = hu.copy(), None
    for slice_, (left, back) in zip(seen, _places(grid), strict=True):
        if drawn is not left:
            depth = np.hypot(left - middle, back - (behind - RADIUS_MM)) - RADIUS_MM
            bed, drawn = np.interp(depth, depths, bed_hu).astype(np.float32), left
        np.maximum(slice_, bed, out=slice_)
    return seen


def _bed(scan: CtScan) -> tuple[np.ndarray, np.ndarray]:
    """Depths in mm below the upper side of the mat, and there the HU of the table as the scanner shows it."""
    sd, edge = scan.scanner.sd_mm[0], scan.scanner.edge
    whole = sum(thickness for thickness, _ in LAYERS)
    depths = np.arange(-8.0 * sd, whole + 8.0 * sd, DEPTH_STEP_MM)
    hu, start = np.full(len(depths), AIR_HU), 0.0
    for thickness, value in LAYERS:
        hu += (value - AIR_HU) * (edge(depths - start, sd) - edge(depths - start - thickness, sd))
        start += thickness
    return depths, hu


def _places(grid: Volume) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """L and P in mm, each [j, i], of the voxels of each slice; the same arrays again where slices are not tilted."""
    directions = np.reshape(grid.direction_lps, (3, 3))[:2]
    j, i = np.ix_(*(np.arange(size) * mm for size, mm in zip(grid.array.shape[1:], grid.spacing_mm[1:], strict=True)))
    first = [origin + row[0] * i + row[1] * j for origin, row in zip(grid.origin_lps[:2], directions, strict=True)]
    for number in range(grid.array.shape[0]):
        if not directions[:, 2].any():
            yield first[0], first[1]
        else:
            moved = directions[:, 2] * (number * grid.spacing_mm[0])
            yield first[0] + moved[0], first[1] + moved[1]
