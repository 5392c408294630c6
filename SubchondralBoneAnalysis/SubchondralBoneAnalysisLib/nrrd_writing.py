"""NRRD files written slice by slice: what is too large for memory is never in memory as a whole."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from SubchondralBoneAnalysisLib.local_thickness.diameter_map import DiameterMap

PACKING = 2  # of 9: more takes much longer and saves little
NAMES = {"float32": "float", "float64": "double", "bool": "uint8"}  # other types are called alike in NRRD and numpy


def write_nrrd(
    path: Path,
    array: np.ndarray | DiameterMap,
    spacing_mm: Sequence[float],
    origin_lps: Sequence[float],
    direction_lps: Sequence[float],
    packed: bool = True,
) -> None:
    """Write an NRRD, attached header, in LPS; bool is stored as 0 and 1 in 8 bit.

    :param array: [k, j, i], in memory, mapped from a file, or made slice by slice.
    :param spacing_mm: along (k, j, i).
    :param origin_lps: centre of the first voxel, (x, y, z) in mm.
    :param direction_lps: row by row the 3 x 3 matrix whose columns are the directions of the i, j and k axis.
    :param packed: by gzip; what is not can be mapped into memory by whoever reads it.
    """
    axes = np.reshape(direction_lps, (3, 3)).T * np.asarray(spacing_mm, float)[::-1, None]
    head = [
        "NRRD0004",
        f"type: {NAMES.get(array.dtype.name, array.dtype.name)}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in array.shape[::-1])}",
        f"space directions: {' '.join(_vector(axis) for axis in axes)}",
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        f"encoding: {'gzip' if packed else 'raw'}",
        f"space origin: {_vector(origin_lps)}",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(head) + "\n\n").encode("ascii"))
        with gzip.GzipFile("", "wb", PACKING, file, mtime=0) if packed else nullcontext(file) as voxels:
            for piece in array:
                voxels.write(np.ascontiguousarray(piece).view(np.uint8).data)


def _vector(values: Iterable[float]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"
