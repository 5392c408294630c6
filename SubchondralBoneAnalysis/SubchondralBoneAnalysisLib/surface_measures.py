"""Surface, mean curvature and connectivity of a structure, from the counts of its local configurations.

Sources: Ohser and Schladitz, 3D Images of Materials Structures (2009), chapter 5, for the discretised Crofton formulas;
Ohser, Redenbach and Schladitz, Image Anal Stereol 28:179 (2009), for the structure model index without a mesh; Odgaard
and Gundersen, Bone 14:173 (1993), for the connectivity density.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from skimage.measure import marching_cubes, mesh_surface_area

from SubchondralBoneAnalysisLib.lattice_directions import STEPS, shares, unit_vectors
from SubchondralBoneAnalysisLib.local_configurations import CORNERS, PATTERNS, patterns_as_corners


@dataclass(frozen=True)
class SurfaceMeasures:
    """All per volume of the cells that lie wholly inside the region, which is `cells_mm3`.

    `volume_fraction`: bone. `surface_per_mm`: area of the bone surface over the volume of the region, by lines in 13
    directions; `mesh_surface_per_mm`: the same by a surface mesh (marching cubes), which follows the steps of the
    voxels and is about a tenth too large. `mean_curvature_per_mm2`: integral of the mean of the two principal
    curvatures over the surface, over the volume. `euler_per_mm3`: Euler number of the bone, with 26 neighbours, over
    the volume.
    """

    volume_fraction: float
    surface_per_mm: float
    mesh_surface_per_mm: float
    mean_curvature_per_mm2: float
    euler_per_mm3: float
    cells_mm3: float


def surface_measures(counts: np.ndarray, spacing_mm: tuple[float, float, float]) -> SurfaceMeasures:
    """The measures of a structure with configuration counts (256,) and voxels of `spacing_mm` (k, j, i).

    :raises ValueError: when no cell was counted.
    """
    cells = counts.sum()
    if cells == 0:
        raise ValueError("no cell of 2 x 2 x 2 voxels lies inside the region: it is one voxel thin")
    cell_mm3 = float(np.prod(spacing_mm))
    return SurfaceMeasures(
        volume_fraction=float(counts @ patterns_as_corners().reshape(PATTERNS, 8).mean(axis=1) / cells),
        surface_per_mm=float(2 * crossings_per_mm(counts, spacing_mm) @ shares(unit_vectors(STEPS, spacing_mm)[0])),
        mesh_surface_per_mm=float(counts @ mesh_areas(tuple(spacing_mm)) / (cells * cell_mm3)),
        mean_curvature_per_mm2=_mean_curvature(counts, spacing_mm),
        euler_per_mm3=float(counts @ euler_contributions() / (cells * cell_mm3)),
        cells_mm3=float(cells * cell_mm3),
    )


def crossings_per_mm(counts: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """How often a line meets the surface in 1 mm, (13,) for the directions `STEPS`."""
    _, lengths = unit_vectors(STEPS, spacing_mm)
    bone = patterns_as_corners().reshape(PATTERNS, 8)
    crossings = []
    for step in STEPS:
        pairs = [
            (a, b)
            for a, start in enumerate(CORNERS)
            for b, end in enumerate(CORNERS)
            if np.array_equal(end - start, step)
        ]
        crossings.append(counts @ np.mean([bone[:, a] != bone[:, b] for a, b in pairs], axis=0) / counts.sum())
    return np.array(crossings) / lengths


@cache
def mesh_areas(spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The area (256,) in mm2 of the marching-cubes surface in a cell of each pattern."""
    areas = np.zeros(PATTERNS)
    for pattern, corners in enumerate(patterns_as_corners()[1:-1], 1):
        vertices, faces, _, _ = marching_cubes(corners.astype(np.float32), 0.5, spacing=spacing_mm)
        areas[pattern] = mesh_surface_area(vertices, faces)
    return areas


@cache
def euler_contributions() -> np.ndarray:
    """What a cell of each pattern adds to the Euler number (256,): voxels are closed cubes, so 26 neighbours touch.

    A cell holds one corner that its eight voxels share, half of each of six edges, a quarter of each of twelve faces
    and an eighth of each voxel.
    """
    bone = patterns_as_corners()
    edges = sum(bone.take(side, axis).any(axis=(1, 2)) for axis in (1, 2, 3) for side in (0, 1))
    faces = sum(bone.any(axis=axis).sum(axis=(1, 2)) for axis in (1, 2, 3))
    return bone.any(axis=(1, 2, 3)) - edges / 2 + faces / 4 - bone.sum(axis=(1, 2, 3)) / 8


def _mean_curvature(counts: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """2 pi times the mean Euler number, over area, of the sections by planes of 13 directions."""
    normals, densities = [], []
    for polygons in _section_polygons():
        corners = CORNERS[polygons[0]] * np.asarray(spacing_mm)
        across = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        area = np.linalg.norm(across) * (0.5 if len(polygons[0]) == 3 else 1.0)
        euler = np.mean([_section_euler(tuple(polygon)) for polygon in polygons], axis=0)
        normals.append(across / np.linalg.norm(across))
        densities.append(counts @ euler / (counts.sum() * area))
    return float(2 * np.pi * np.array(densities) @ shares(np.array(normals)))


@cache
def _section_polygons() -> list[list[list[int]]]:
    """For each of 13 planes, the polygons (corner numbers, in order around) that the planes of that direction cut
    from a cell: two squares, one rectangle, or two triangles."""

    def number(dk: int, dj: int, di: int) -> int:
        return 4 * dk + 2 * dj + di

    planes: list[list[list[int]]] = []
    around = [(0, 0), (0, 1), (1, 1), (1, 0)]
    for axis in range(3):
        planes.append([[number(*np.insert(corner, axis, side)) for corner in around] for side in (0, 1)])
    for axis in range(3):  # that lies in the plane
        for diagonal in ([(0, 0), (1, 1)], [(0, 1), (1, 0)]):
            a, b = diagonal
            corners = [np.insert(a, axis, 0), np.insert(a, axis, 1), np.insert(b, axis, 1), np.insert(b, axis, 0)]
            planes.append([[number(*corner) for corner in corners]])
    for apex in range(4):  # one end of each space diagonal: its neighbours, and those of the other end
        planes.append([[end ^ bit for bit in (1, 2, 4)] for end in (apex, apex ^ 7)])
    return planes


@cache
def _section_euler(polygon: tuple[int, ...]) -> np.ndarray:
    """What a polygon of a plane's lattice adds to the plane's Euler number, (256,) by pattern of the cell.

    Bone and marrow are treated alike: the mean of the section of bone and minus that of marrow.
    """
    bone = patterns_as_corners().reshape(PATTERNS, 8)[:, list(polygon)]
    polygons_at_corner = 6 if len(polygon) == 3 else 4

    def euler(phase: np.ndarray) -> np.ndarray:
        edges = (phase & np.roll(phase, 1, axis=1)).sum(axis=1)
        return phase.sum(axis=1) / polygons_at_corner - edges / 2 + phase.all(axis=1)

    return (euler(bone) - euler(~bone)) / 2
