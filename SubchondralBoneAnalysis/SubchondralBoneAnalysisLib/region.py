"""The part of a volume that is measured: read, compared with the volume, and found fit to be measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.segmentation import Segmentation
from SubchondralBoneAnalysisLib.volume import Volume, grid_difference, read_volume


@dataclass(frozen=True)
class Extent:
    """Of a set of voxels: how many they are, and how many voxels the box around them has along (k, j, i)."""

    voxels: int
    box: tuple[int, int, int]


def read_region(path: Path, volume: Volume, storage: Storage | None = None) -> Volume:
    """A region of any shape on the grid of `volume`, as a volume of bool; whatever is not 0 in the file is inside.

    :raises BadInput: the file cannot be read, has another grid, or has nothing inside.
    """
    storage = storage or Storage()
    labels = read_volume(path, storage)
    difference = grid_difference(labels, volume)
    if difference:
        raise BadInput(f"{path} does not fit {volume.path} ({difference}): draw the region on the volume's own grid.")
    region = replace(labels, array=storage.empty(labels.array.shape, bool))
    for k, piece in enumerate(labels.array):
        region.array[k] = piece != 0
    if not any(piece.any() for piece in region.array):
        raise BadInput(f"{path} is an empty region (all of its voxels are 0): mark what is to be measured.")
    return region


def check_measurable(segmentation: Segmentation, region: np.ndarray | None, where: Path) -> None:
    """Refuse what has no bone or no marrow to measure, or only one voxel of it along an axis.

    :param region: bool [k, j, i], what is measured; the whole volume if None.
    :param where: the file to be named: that of the region, else that of the volume.
    """
    of_what = "" if region is None else "as a region "
    if region is not None and not has_block(region):
        raise BadInput(f"{where} is one voxel thin as a region: mark a part that is several voxels wide.")
    how = segmentation.description.rstrip(".")
    found = {"bone": extent(segmentation.structure, region), "marrow": extent(segmentation.structure, region, of=False)}
    other = {"bone": "marrow", "marrow": "bone"}
    for name, part in found.items():
        if part.voxels == 0:
            raise BadInput(
                f"{where} {of_what}holds no {name}, {other[name]} only ({how}): check the segmentation, and what is "
                "measured."
            )
        if min(part.box) == 1:
            raise BadInput(
                f"{where} {of_what}holds {name} that is one voxel thin altogether ({how}): check the segmentation, or "
                "give a larger or finer volume."
            )


def has_block(region: np.ndarray) -> bool:
    """Whether 2 x 2 x 2 voxels lie side by side in a region, the least of which a surface can be measured."""
    for lower, upper in pairwise(region):
        both = lower & upper
        if (both[:-1, :-1] & both[:-1, 1:] & both[1:, :-1] & both[1:, 1:]).any():
            return True
    return False


def extent(structure: np.ndarray, region: np.ndarray | None, of: bool = True) -> Extent:
    """Of the voxels of `structure` that are `of`, inside the region. Slice by slice: no copy of the volume is made."""
    along = [np.zeros(n, bool) for n in structure.shape]
    voxels = 0
    for k, piece in enumerate(structure):
        chosen = piece if of else ~piece
        if region is not None:
            chosen = chosen & region[k]
        count = np.count_nonzero(chosen)
        if count:
            voxels += count
            along[0][k] = True
            along[1] |= chosen.any(axis=1)
            along[2] |= chosen.any(axis=0)
    ends = [np.flatnonzero(line) for line in along]
    return Extent(voxels, tuple(int(end[-1] - end[0] + 1) if len(end) else 0 for end in ends))
