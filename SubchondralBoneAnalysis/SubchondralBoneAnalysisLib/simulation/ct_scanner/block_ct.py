"""The CT of a small block of microstructure that is given on a fine lattice."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.fine_block import FineBlock, Frequencies
from SubchondralBoneAnalysisLib.volume import Volume

MARGIN_SD = 3.0  # mirrored around the block, in SD of the point spread


def ct_of_block(block: Volume, grid: Volume, scan: CtScan) -> np.ndarray:
    """HU that the scanner would show with endless dose, before calibration, float32 [k, j, i] of the grid.

    :param block: HU on a fine lattice, float; its origin and direction say where it is in the frame of the grid.
    :param grid: the CT's voxels; slices are its i-j planes, so its direction says how the scanner was turned. Voxels
        within three SD of the point spread of the border of the block see its mirror image beyond the border.
    """
    sd = scan.scanner.sd_mm
    wide = 2.0 if scan.scanner.overshoot else 1.0
    fine = FineBlock.mirrored(block, MARGIN_SD * wide * max(sd), detail_mm=2.0 * min(sd))
    return fine.sampled(fine.spectrum() * transfer(scan.scanner, fine.frequencies(grid)), grid)


def transfer(scanner: Scanner, frequencies: Frequencies) -> np.ndarray:
    """Transfer function of the scanner at frequencies per mm along (k, j, i): that of the spread behind its `edge`."""
    k, j, i = frequencies
    in_plane, axial = scanner.sd_mm
    exponent = np.float32(-2.0 * np.pi**2) * ((in_plane * j) ** 2 + (in_plane * i) ** 2 + (axial * k) ** 2)
    sharp = np.exp(exponent)
    if scanner.overshoot == 0.0:
        return sharp
    # Twice the SD: the fourth power.
    return np.float32(1.0 + scanner.overshoot) * sharp - np.float32(scanner.overshoot) * sharp**4
