"""A patient of whom only cubes of subchondral bone are simulated: in one CT and one MR, side by side along L.

Cubes are all that a model of the microstructure needs, and are made in seconds where a knee takes minutes. They lie in
the images as in a real scan: the upper face of a cube from the tibia looks up, that of one from the femur down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.simulation.bone_block import BLOCK_MM, PATCH_MM, BoneBlock, bone_block
from SubchondralBoneAnalysisLib.simulation.cohort.definition import CohortDefinition
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.patch_table import patch_row
from SubchondralBoneAnalysisLib.simulation.cohort.stored_mr import stored_mr
from SubchondralBoneAnalysisLib.simulation.ct_scanner.recording import recorded
from SubchondralBoneAnalysisLib.simulation.population.bone_population import BETWEEN
from SubchondralBoneAnalysisLib.simulation.population.osteoarthritis import REGIONS
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits
from SubchondralBoneAnalysisLib.simulation.voxel_grid import IDENTITY, SAGITTAL, empty_grid
from SubchondralBoneAnalysisLib.volume import Volume

TILT_SD_DEG = 8.0  # of a cube against the axes of the scanner
# What a registration leaves, at nuisance 1: it is in the MR and in no transform.
MISPLACED_MM, MISPLACED_DEG = 0.4, 1.5
# SD from cube to cube of one region: of BV/TV and thickness as a share, of plates as such.
BV_TV_SD, TB_TH_SD, PLATE_SD = 0.10, 0.05, 0.05


@dataclass(frozen=True, eq=False)
class PlacedBlock:
    """One cube.

    :param misplaced_mm: (3,) LPS, by which it lies elsewhere in the MR than in the CT.
    :param misplaced_deg: (3,) rotation vector.
    """

    name: str
    bone: str
    compartment: str
    block: BoneBlock
    misplaced_mm: np.ndarray
    misplaced_deg: np.ndarray

    def in_mr(self) -> BoneBlock:
        """Where the MR shows it."""
        return self.block.moved(self.misplaced_mm, Rotation.from_rotvec(self.misplaced_deg, degrees=True).as_matrix())


def blocks_of(definition: CohortDefinition, drawn: DrawnPatient) -> list[PlacedBlock]:
    """The cubes of a patient, with centres `BLOCK_MM` apart along L; the regions take turns."""
    regions, blocks = drawn.patient.regions, []
    for number in range(definition.blocks):
        bone, compartment = REGIONS[number % len(REGIONS)]
        rng = drawn.rng("block", number)
        axes = Rotation.from_rotvec(rng.normal(0.0, TILT_SD_DEG, 3), degrees=True).as_matrix()
        if bone == "femur":
            axes = np.diag([1.0, -1.0, -1.0]) @ axes
        block = bone_block(
            _of_one_cube(regions[bone, compartment], rng),
            drawn.family,
            rng,
            ((number + 0.5) * BLOCK_MM, 0.0, 0.0),
            axes,
        )
        misplaced = definition.nuisance * rng.standard_normal(6)
        blocks.append(
            PlacedBlock(
                f"{bone}_{compartment}_{number // len(REGIONS) + 1}",
                bone,
                compartment,
                block,
                MISPLACED_MM * misplaced[:3],
                MISPLACED_DEG * misplaced[3:],
            )
        )
    return blocks


def lying_otherwise(blocks: list[PlacedBlock], drawn: DrawnPatient) -> list[PlacedBlock]:
    """The same cubes as a later scan of the patient meets them: the leg lies otherwise, the registration differs."""
    rng, placed = drawn.rng("lying"), []
    turn = Rotation.from_rotvec(rng.normal(0.0, TILT_SD_DEG, 3), degrees=True).as_matrix()
    for one in blocks:
        misplaced = drawn.definition.nuisance * rng.standard_normal(6)
        placed.append(
            replace(
                one,
                block=one.block.moved(np.zeros(3), turn),
                misplaced_mm=MISPLACED_MM * misplaced[:3],
                misplaced_deg=MISPLACED_DEG * misplaced[3:],
            )
        )
    return placed


def ct_of_blocks(blocks: list[PlacedBlock], drawn: DrawnPatient) -> Volume:
    """The CT of all cubes, int16 HU."""
    scan, rng = drawn.ct_scan, drawn.rng("ct")
    grid = _grid(len(blocks), scan.spacing_mm, IDENTITY, rng)
    hu = np.empty(grid.array.shape, np.float32)
    for placed, (part, voxels) in zip(blocks, _parts(grid, len(blocks)), strict=True):
        hu[voxels] = placed.block.ct(part, scan)
    # In the middle of a knee beam hardening darkens by about this much; its pattern is wider than a cube.
    hu -= scan.beam_hardening_hu * rng.uniform(0.5, 1.0)
    return replace(grid, array=recorded(hu, grid, scan, rng))


def mr_of_blocks(blocks: list[PlacedBlock], drawn: DrawnPatient) -> Volume:
    """The MR of all cubes, uint16."""
    scan, rng = drawn.mr_scan, drawn.rng("mr")
    grid = _grid(len(blocks), scan.spacing_mm, SAGITTAL, rng)
    signal = np.empty(grid.array.shape, np.float32)
    for placed, (part, voxels) in zip(blocks, _parts(grid, len(blocks)), strict=True):
        signal[voxels] = placed.in_mr().mr(part, scan, rng)
    return stored_mr(replace(grid, array=signal))


def block_patch_rows(blocks: list[PlacedBlock], drawn: DrawnPatient) -> list[dict[str, object]]:
    """The rows of patches.csv."""
    return [
        patch_row(
            placed.name,
            drawn.patient.side,
            placed.bone,
            placed.compartment,
            PATCH_MM,
            placed.block.centre_lps,
            placed.block.axes_lps,
            placed.block.truth,
        )
        for placed in blocks
    ]


def misplacement_rows(blocks: list[PlacedBlock]) -> list[dict[str, object]]:
    """By how much each cube lies elsewhere in the MR: what a perfect registration would find."""
    return [
        {"name": placed.name}
        | {f"shift_mm_{letter}": value for letter, value in zip("lps", placed.misplaced_mm.tolist(), strict=True)}
        | {f"turn_deg_{letter}": value for letter, value in zip("lps", placed.misplaced_deg.tolist(), strict=True)}
        for placed in blocks
    ]


def _of_one_cube(traits: RegionTraits, rng: np.random.Generator) -> RegionTraits:
    """The region's bone with what differs from place to place in it."""
    bone, thick, plate = rng.normal(1.0, BV_TV_SD), rng.normal(1.0, TB_TH_SD), rng.normal(0.0, PLATE_SD)
    structure = traits.structure
    return replace(
        traits,
        structure=replace(
            structure,
            bv_tv=float(np.clip(structure.bv_tv * bone, *BETWEEN["bv_tv"])),
            tb_th_mm=float(np.clip(structure.tb_th_mm * thick, *BETWEEN["tb_th_mm"])),
            plate=float(np.clip(structure.plate + plate, 0.0, 1.0)),
        ),
    )


def _grid(
    blocks: int, spacing_mm: tuple[float, float, float], direction: tuple[float, ...], rng: np.random.Generator
) -> Volume:
    """Voxels over all cubes, that begin anywhere within a voxel of their corner."""
    lower = np.array([0.0, -0.5 * BLOCK_MM, -0.5 * BLOCK_MM])
    upper = np.array([blocks * BLOCK_MM, 0.5 * BLOCK_MM, 0.5 * BLOCK_MM])
    axes = np.reshape(direction, (3, 3)).T  # rows: i, j, k
    steps = np.asarray(spacing_mm)[::-1]
    size = np.abs(axes) @ (upper - lower)
    shape = np.maximum(np.floor(size / steps).astype(int), 2)
    first = rng.uniform(0.0, 1.0, 3) * (size - (shape - 1) * steps)
    corner = np.where(axes.sum(1) > 0, np.abs(axes) @ lower, np.abs(axes) @ upper)
    along = corner + np.sign(axes.sum(1)) * first
    origin = np.abs(axes).T @ along
    return empty_grid(
        tuple(shape[::-1].tolist()), tuple(steps[::-1].tolist()), tuple(origin.tolist()), tuple(direction)
    )


def _parts(grid: Volume, blocks: int) -> Iterator[tuple[Volume, tuple[slice, slice, slice]]]:
    """The voxels of each cube: those whose centres are in its part along L."""
    direction = np.reshape(grid.direction_lps, (3, 3))
    column = int(np.argmax(np.abs(direction[0])))  # 0, 1, 2: the axis i, j, k that runs along L
    axis = 2 - column
    along = grid.origin_lps[0] + direction[0, column] * grid.spacing_mm[axis] * np.arange(grid.array.shape[axis])
    owner = np.clip(np.floor(along / BLOCK_MM).astype(int), 0, blocks - 1)
    for number in range(blocks):
        mine = np.flatnonzero(owner == number)
        voxels = [slice(0, size) for size in grid.array.shape]
        voxels[axis] = slice(int(mine[0]), int(mine[-1]) + 1)
        origin = np.asarray(grid.origin_lps) + direction[:, column] * grid.spacing_mm[axis] * mine[0]
        shape = list(grid.array.shape)
        shape[axis] = len(mine)
        yield empty_grid(tuple(shape), grid.spacing_mm, tuple(origin.tolist()), grid.direction_lps), tuple(voxels)
