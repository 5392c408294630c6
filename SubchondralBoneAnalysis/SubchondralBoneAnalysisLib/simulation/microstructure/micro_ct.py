"""Structure cut from a user's own micro-CT: a volume that is already segmented into bone and marrow.

What is cut out is mirrored, so that it repeats in space. Its signed distance from the surface of bone makes it thinner
or thicker where another bone volume fraction is asked for, and it is enlarged or shrunk a little for its thickness.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, zoom

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.morphometry import measure
from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.volume import read_volume

STEP_MM = 0.06
EDGE = 56  # voxels of what is cut out, half the tile
LEAST_SHARE, MOST_SHARE = 0.05, 0.75  # of bone in what is cut out: beyond, it lies outside the specimen
SCALES = (0.75, 1.33)
TRIES = 50


@dataclass(frozen=True, eq=False)
class Specimen:
    """A micro-CT volume.

    :param height: signed distance from the surface of bone in mm, negative inside, float32 [k, j, i], steps of
        `STEP_MM`.
    """

    path: Path
    height: np.ndarray
    tb_th_mm: float


def micro_ct_tile(path: Path, traits: StructureTraits, rng: np.random.Generator) -> StructureTile:
    """A tile of the structure of a specimen, in one of the 48 positions of a cube.

    :raises BadInput: the file cannot be read, is not binary, or is too small.
    """
    specimen = _specimen(path)
    for _ in range(TRIES):
        corner = [int(rng.integers(0, size - EDGE + 1)) for size in specimen.height.shape]
        piece = specimen.height[tuple(slice(start, start + EDGE) for start in corner)]
        if LEAST_SHARE < (piece < 0).mean() < MOST_SHARE:
            break
    else:
        raise BadInput(f"{path}: no cube of {EDGE * STEP_MM:g} mm in it is trabecular bone: crop it to the specimen.")
    piece = np.transpose(piece, rng.permutation(3))
    for axis in range(3):
        if rng.random() < 0.5:
            piece = np.flip(piece, axis)
        piece = np.concatenate([piece, np.flip(piece, axis)], axis)
    scale = float(np.clip(traits.tb_th_mm / specimen.tb_th_mm, *SCALES))
    return StructureTile.of_field(np.ascontiguousarray(piece, np.float32), STEP_MM * scale)


def check_specimen(path: Path) -> None:
    """:raises BadInput: the volume is missing or cannot be used as structure."""
    _specimen(path)


@lru_cache(maxsize=4)
def _specimen(path: Path) -> Specimen:
    volume = read_volume(path)
    values = np.unique(volume.array)
    if len(values) != 2:
        raise BadInput(f"{path} has {len(values)} values: give a volume of bone and marrow, segmented to two.")
    bone = volume.array == values[1]
    steps = np.array(volume.spacing_mm)
    if (np.array(bone.shape) * steps < EDGE * STEP_MM + 2 * steps).any():
        raise BadInput(f"{path} is smaller than {EDGE * STEP_MM:g} mm: give a larger specimen.")
    height = distance_transform_edt(~bone, steps) - distance_transform_edt(bone, steps)
    # A distance is smooth: what lies between its voxels may be taken on a straight line.
    coarse = zoom(height.astype(np.float32), steps / STEP_MM, order=1, grid_mode=True, mode="nearest")
    found, _ = measure(bone, volume.spacing_mm)
    return Specimen(path, coarse, found.tb_th_mm or found.tb_th_raw_mm)
