"""From exact HU to what the scanner stores: noise, calibration, whole numbers."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid
from SubchondralBoneAnalysisLib.volume import Volume

STORED_HU = (-1024, 3071)  # 12 bit
LEAST_FIELD = (16, 48, 48)  # voxels of noise from which the part of a small grid is taken
FAT_HU = -100.0  # below it lies what the gain does not touch: the calibration on air holds


def recorded(hu: np.ndarray, grid: Volume, scan: CtScan, rng: np.random.Generator) -> np.ndarray:
    """int16 [k, j, i]: HU with the noise and the calibration of the scan, within `STORED_HU`.

    :param hu: with endless dose and right calibration, [k, j, i] on the grid.
    """
    seen = calibrated(hu, scan)
    if scan.scanner.noise_hu > 0:
        seen += _noise(grid, scan, rng)
    return np.clip(np.rint(seen, out=seen), *STORED_HU, out=seen).astype(np.int16)


def calibrated(hu: np.ndarray, scan: CtScan) -> np.ndarray:
    """HU as the scanner of the scan reads them, float32.

    The gain is of the difference from water, as another energy of the beam shows calcium and fat; air is calibrated for
    itself and does not follow.
    """
    gain, offset = np.float32(scan.calibration_gain - 1.0), np.float32(scan.calibration_offset_hu)
    return hu + gain * np.maximum(hu, np.float32(FAT_HU)) + offset


def _noise(grid: Volume, scan: CtScan, rng: np.random.Generator) -> np.ndarray:
    """Noise of the scanner; on a small grid a part of a larger field, whose mean and SD need not be those of all."""
    shape = grid.array.shape
    field = tuple(max(size, least) for size, least in zip(shape, LEAST_FIELD, strict=True))
    noise = scan.scanner.noise(empty_grid(field, grid.spacing_mm, grid.origin_lps, grid.direction_lps), rng)
    return noise[tuple(slice(size) for size in shape)]
