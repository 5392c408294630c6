"""A block of bone as the scanners show it, cut to a window about its middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from SubchondralBoneAnalysisLib.simulation.bone_block import BoneBlock
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtScan
from SubchondralBoneAnalysisLib.simulation.ct_scanner.recording import recorded
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.simulation.voxel_grid import IDENTITY, SAGITTAL, empty_grid
from SubchondralBoneAnalysisLib.volume import Volume


def ct_view(block: BoneBlock, scan: CtScan, edge_mm: float, rng: np.random.Generator) -> Volume:
    """HU of a cube of `edge_mm` about the middle, axial slices, with the noise of the scan."""
    grid = _window(scan.spacing_mm, edge_mm, IDENTITY, rng)
    return replace(grid, array=recorded(block.ct(grid, scan), grid, scan, rng))


def mr_view(block: BoneBlock, scan: MrScan, edge_mm: float, rng: np.random.Generator) -> Volume:
    """Signal of a cube of `edge_mm` about the middle, sagittal slices, with the noise of the scan."""
    grid = _window(scan.spacing_mm, edge_mm, SAGITTAL, rng)
    return replace(grid, array=block.mr(grid, scan, rng))


def _window(
    spacing_mm: tuple[float, float, float], edge_mm: float, direction: tuple[float, ...], rng: np.random.Generator
) -> Volume:
    """The voxels whose centres are in the cube; where the first of them lies is drawn."""
    shape = tuple(max(int(edge_mm / s), 2) for s in spacing_mm)
    step = np.asarray(spacing_mm)[::-1]
    first = -0.5 * (np.array(shape[::-1]) - 1) * step + rng.uniform(-0.5, 0.5, 3) * step
    origin = np.reshape(direction, (3, 3)) @ first
    return empty_grid(shape, spacing_mm, tuple(origin.tolist()), direction)
