"""Struts and plates laid between neighbouring points: a network that is not made of cells.

Each random point is joined to its nearest neighbours by struts. Where the structure is of plates, points are the middle
of a fan: of its neighbours those that lie nearest to one plane, and the triangles between them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.thickness_scale import thickness_per_cell, tile_step_mm
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits

EDGE = 96  # voxels of the tile along each axis
REACH = 0.45  # in cells, how far around itself a strut or plate of usual thickness is drawn
STRUTS = 4  # from a point to its nearest neighbours
NEIGHBOURS, FAN = 12, 5  # of a point, and those of them that a fan reaches to
FANS = 0.7  # of the points where the structure is of plates
SPREAD = 0.30  # SD of the logarithm of the thickness
ROUNDING = 0.085  # SD in cells


def network_tile(traits: StructureTraits, rng: np.random.Generator) -> StructureTile:
    """A tile of struts and fans of triangles between neighbouring points."""
    cell_mm = traits.tb_th_mm / thickness_per_cell("network", traits)
    step_mm = tile_step_mm(traits.tb_th_mm)
    size = EDGE * step_mm / cell_mm
    # Neighbours are sought where the stretched network is not stretched yet.
    sides = size / traits.anisotropy ** (np.array([2.0, -1.0, -1.0]) / 3.0)
    points = rng.random((round(size**3), 3)) * sides
    _, near = cKDTree(points, boxsize=sides).query(points, NEIGHBOURS + 1)
    to_near = points[near[:, 1:]] - points[:, None]
    to_near -= sides * np.round(to_near / sides)
    struts = np.repeat(to_near[:, :STRUTS, None], 2, axis=2)
    # The first few fans change the structure most.
    middles = rng.permutation(len(points))[: round(FANS * traits.plate**2 * len(points))]
    fans = _fans(to_near[middles], rng.standard_normal((len(middles), 3)))
    of_point = np.concatenate([np.repeat(np.arange(len(points)), STRUTS), np.repeat(middles, FAN)])
    others = np.concatenate([struts.reshape(-1, 2, 3), fans.reshape(-1, 2, 3)])
    thick = np.exp(SPREAD * rng.standard_normal(len(points) * (STRUTS + 1)))
    thickness = np.concatenate([thick[: len(points) * STRUTS], np.repeat(thick[len(points) * STRUTS :][middles], FAN)])
    corners = points[of_point][:, None]
    triangles = np.concatenate([corners, corners + others], axis=1) * (EDGE / sides)
    field = np.full((EDGE, EDGE, EDGE), REACH, np.float32)
    _draw(triangles, thickness, size / EDGE, field)
    return StructureTile.of_field(gaussian_filter(field, ROUNDING * EDGE / size, mode="wrap"), step_mm)


def _fans(to_near: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Two corners [n, FAN, 2, 3] of the triangles around each point; the third is the point.

    :param to_near: [n, neighbours, 3] from each point to its neighbours.
    :param normals: [n, 3] of the planes, of any length.
    """
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    out_of_plane = np.abs(np.einsum("nka,na->nk", to_near, normals)) / np.linalg.norm(to_near, axis=2)
    chosen = np.argsort(out_of_plane, axis=1)[:, :FAN]
    fan = np.take_along_axis(to_near, chosen[..., None], axis=1)
    along = np.cross(normals, fan[:, 0])
    azimuth = np.arctan2(np.einsum("nka,na->nk", fan, along), np.einsum("nka,na->nk", fan, np.cross(along, normals)))
    fan = np.take_along_axis(fan, np.argsort(azimuth, axis=1)[..., None], axis=1)
    return np.stack([fan, np.roll(fan, -1, axis=1)], axis=2)


@njit(nogil=True, cache=True)
def _draw(triangles: np.ndarray, thick: np.ndarray, step: float, field: np.ndarray) -> None:
    """Lower `field` to the distance in cells from each triangle [n, 3, 3] in voxels, less where it is thicker."""
    edge = field.shape[0]
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for n in range(len(triangles)):
        around = REACH * thick[n] / step
        corner, along, other = triangles[n, 0], triangles[n, 1] - triangles[n, 0], triangles[n, 2] - triangles[n, 0]
        for axis in range(3):
            corners = triangles[n, :, axis]
            low[axis], high[axis] = int(np.floor(corners.min() - around)), int(np.ceil(corners.max() + around))
        bb, bc, cc = (along * along).sum(), (along * other).sum(), (other * other).sum()
        across = np.cross(along, other) / max(np.sqrt(max(bb * cc - bc * bc, 0.0)), 1e-6)
        for k in range(low[0], high[0] + 1):
            z, kk = k + 0.5 - corner[0], k % edge
            for j in range(low[1], high[1] + 1):
                y, jj = j + 0.5 - corner[1], j % edge
                first, end = low[2], high[2] + 1
                if abs(across[2]) > 1e-3:
                    # Only where the row is near the plane of the triangle.
                    middle = corner[2] - 0.5 - (across[0] * z + across[1] * y) / across[2]
                    half = around / abs(across[2])
                    first, end = max(first, int(np.floor(middle - half))), min(end, int(np.ceil(middle + half)) + 1)
                for i in range(first, end):
                    x = i + 0.5 - corner[2]
                    pb = z * along[0] + y * along[1] + x * along[2]
                    pc = z * other[0] + y * other[1] + x * other[2]
                    u, v = _nearest(bb, bc, cc, pb, pc)
                    dz = z - u * along[0] - v * other[0]
                    dy = y - u * along[1] - v * other[1]
                    dx = x - u * along[2] - v * other[2]
                    far = np.float32(step * np.sqrt(dz * dz + dy * dy + dx * dx) / thick[n])
                    ii = i + edge if i < 0 else i - edge if i >= edge else i
                    field[kk, jj, ii] = min(field[kk, jj, ii], far)


@njit(nogil=True, cache=True, inline="always")
def _nearest(bb: float, bc: float, cc: float, pb: float, pc: float) -> tuple[float, float]:
    """Where in a triangle the point nearest to p is: corner + u b + v c (Ericson 2005, section 5.1.5).

    :param bb: products of the sides b and c from the corner with each other, and with p from there (pb, pc). Of a line
        c is b.
    """
    determinant = bb * cc - bc * bc
    if determinant < 1e-9 * bb * cc + 1e-12:
        return min(max(pb / (bb + 1e-12), 0.0), 1.0), 0.0
    u, v = (cc * pb - bc * pc) / determinant, (bb * pc - bc * pb) / determinant
    if u >= 0 and v >= 0 and u + v <= 1:
        return u, v
    if u < 0 or v < 0:
        # On one of the sides at the corner, or on the third side where both of them end there.
        along = min(max(pb / bb, 0.0), 1.0)
        across = min(max(pc / cc, 0.0), 1.0)
        first = along * along * bb - 2 * along * pb
        second = across * across * cc - 2 * across * pc
        t = min(max((pc - pb - bc + bb) / (bb - 2 * bc + cc), 0.0), 1.0)
        third = (1 - t) ** 2 * bb + 2 * t * (1 - t) * bc + t * t * cc - 2 * ((1 - t) * pb + t * pc)
        if first <= second and first <= third:
            return along, 0.0
        if second <= third:
            return 0.0, across
        return 1.0 - t, t
    t = min(max((pc - pb - bc + bb) / (bb - 2 * bc + cc), 0.0), 1.0)
    return 1.0 - t, t
