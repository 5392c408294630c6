"""The nearest point of a surface for many nodes of a lattice at once.

A search tree is slow for nodes deep in a bone, which have hundreds of points nearly as near. Here a distance transform
tells each node a point that is near, and from there a walk from point to point along the surface ends at the nearest.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface

CHUNK = 1 << 16  # nodes at a time
MOST_STEPS = 12  # of the walk; two or three are the rule


def nearest_points(surface: BoneSurface, chosen: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Number [n] of the point of the surface that is nearest to each of the chosen nodes of its lattice.

    :param chosen: bool [k, j, i] on the lattice of the surface.
    :param among: bool [points], which of the surface count; at least one.
    """
    lattice = surface.inside
    numbers = np.flatnonzero(among)
    node = np.rint(lattice.index(surface.points_lps[numbers])).astype(np.intp)
    at_node = np.full(lattice.array.shape, -1, np.int32)
    at_node[tuple(node)] = numbers
    near = ndimage.distance_transform_edt(at_node < 0, return_distances=False, return_indices=True)
    found = at_node[tuple(axis[chosen] for axis in near)]
    places = lattice.nodes_lps(chosen)
    neighbours = _neighbours(surface, among)
    for start in range(0, len(found), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = _walked(surface.points_lps, neighbours, places[part], found[part])
    return found


def _neighbours(surface: BoneSurface, among: np.ndarray) -> np.ndarray:
    """Numbers [points, m] of each point's neighbours; a point with fewer has itself in the remaining columns."""
    edges = surface.edges[among[surface.edges].all(axis=1)]
    first, second = np.r_[edges, edges[:, ::-1]].T
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    count = np.bincount(first, minlength=len(among))
    column = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    table = np.repeat(np.arange(len(among), dtype=np.int32)[:, None], count.max(initial=0) + 1, axis=1)
    table[first, column + 1] = second
    return table


def _walked(points: np.ndarray, neighbours: np.ndarray, places: np.ndarray, start: np.ndarray) -> np.ndarray:
    at, moving = start.copy(), np.arange(len(start))
    for _ in range(MOST_STEPS):
        candidates = neighbours[at[moving]]
        away = points[candidates] - places[moving, None]
        best = candidates[np.arange(len(moving)), np.argmin(np.einsum("nmc,nmc->nm", away, away), axis=1)]
        moved = best != at[moving]
        at[moving] = best
        moving = moving[moved]
        if not len(moving):
            break
    return at
