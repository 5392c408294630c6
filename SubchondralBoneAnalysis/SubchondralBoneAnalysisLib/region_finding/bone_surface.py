"""The outer surface of one bone as points with normals, found the same at any voxel size and in any orientation.

The label map is blurred with one Gaussian in millimetres (the box of the voxel counted in), sampled on one lattice that
does not depend on the grid of the image, and its level of one half is the surface. Where a surface runs nearly along
the voxels that leaves terraces, half a voxel high and up to centimetres long; they are faired: the surface moves along
its normals to the smoothest one that no label contradicts. A staircase of 1 mm voxels and one of 0.3 mm voxels so end
as nearly the same surface. Where the bone leaves the image the surface stays open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import index_per_mm, to_index, to_lps

STEP_MM = 0.8  # of the lattice on which every surface is found
BLUR_MM = 0.8  # standard deviation; rounds an edge of radius R off by BLUR_MM^2 / (2 R): 0.1 mm at 3 mm
BLUR_VOXELS = 0.7  # the least blur that hides the staircase of coarse voxels
NORMAL_BLUR_MM = 1.2  # over the surface, so that a normal is that of the bone and not of one voxel
FAIRING_MM = 3.0  # standard deviation; with `FAIRING_ROUNDS` waves of less than 9 mm go and those of 25 mm stay
FAIRING_ROUNDS = 3
FAIRING_VOXELS = 0.5  # by how much fairing moves a point at the most: as far as a label leaves it open
HEAT_STEPS = 2  # of an implicit solution of the heat equation
SLIVER_MM2 = 0.02  # twice the area of a triangle, below which it no longer holds its corners together more firmly
SOLVED = 1e-3  # root mean square error of a solution, mm of a place or parts of a unit normal
MOST_SOLVER_STEPS = 300
SMALL_PART = 0.1  # of the area of the largest part of a surface, below which a part is dropped as a speck


@dataclass(frozen=True, eq=False)
class Lattice:
    """A grid along the axes of LPS with one step for all axes, and a value at each of its nodes.

    :param array: [k, j, i], float32.
    :param origin_lps: place of node [0, 0, 0], (x, y, z) in mm.
    :param step_mm: distance of neighbouring nodes.
    """

    array: np.ndarray
    origin_lps: np.ndarray
    step_mm: float

    def index(self, points_lps: np.ndarray) -> np.ndarray:
        """Index (k, j, i) as [3, n], not rounded, of points [n, 3]."""
        return ((points_lps - self.origin_lps) / self.step_mm).T[::-1]

    def nodes_lps(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Places [n, 3] of the nodes where `chosen` (bool [k, j, i]) is true; of all without it."""
        index = np.argwhere(np.ones(self.array.shape, bool) if chosen is None else chosen)
        return self.origin_lps + index[:, ::-1] * self.step_mm


@dataclass(frozen=True, eq=False)
class BoneSurface:
    """Points of the surface of a bone.

    :param points_lps: [n, 3] mm.
    :param normals: [n, 3], unit, pointing out of the bone.
    :param areas_mm2: [n], the part of the surface that each point stands for.
    :param triangles: [m, 3] point numbers.
    :param inside: share of bone at each node of the lattice, 0 to 1; NaN outside the image.
    """

    points_lps: np.ndarray
    normals: np.ndarray
    areas_mm2: np.ndarray
    triangles: np.ndarray
    inside: Lattice

    @cached_property
    def tree(self) -> cKDTree:
        """To find the point that is nearest to a place."""
        return cKDTree(self.points_lps)

    @cached_property
    def edges(self) -> np.ndarray:
        """[e, 2] point numbers, every edge of the triangles once."""
        return edges_of(self.triangles)

    @cached_property
    def open_ends(self) -> np.ndarray:
        """[p] numbers of the points where the surface ends at the border of the image."""
        pairs, count = _pairs(self.triangles)
        return np.unique(pairs[count == 1])

    @cached_property
    def _stiffness(self) -> sparse.csr_matrix:
        """The Laplacian of the surface with cotangent weights (Pinkall and Polthier, Exp Math 1993;2:15).

        It knows the lengths of the edges: what is averaged with it does not depend on how the lattice cut the surface.
        """
        n = len(self.points_lps)
        rows, columns, weights = [], [], []
        for corner in range(3):
            at, one, other = (self.triangles[:, (corner + step) % 3] for step in range(3))
            to_one, to_other = self.points_lps[one] - self.points_lps[at], self.points_lps[other] - self.points_lps[at]
            across = np.linalg.norm(np.cross(to_one, to_other), axis=1)
            cotangent = np.einsum("nc,nc->n", to_one, to_other) / np.maximum(across, SLIVER_MM2)
            rows += [one, other]
            columns += [other, one]
            weights += 2 * [0.5 * cotangent]
        between = sparse.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (n, n))
        return (sparse.diags(np.asarray(between.sum(axis=1)).ravel()) - between).tocsr()

    def smoothed(self, values: np.ndarray, sd_mm: float) -> np.ndarray:
        """`values` [n] or [n, c] averaged over the surface with about a Gaussian of that standard deviation."""
        mass = np.maximum(self.areas_mm2, 1e-6)
        # Heat that flows for this time spreads by that deviation.
        time = sd_mm**2 / 2 / HEAT_STEPS
        system = (sparse.diags(mass) + time * self._stiffness).tocsr()
        heat = np.reshape(np.asarray(values, float), (len(mass), -1))
        # Without their mean: the precision asked for must not depend on how far the bone lies from the origin of LPS.
        mean = heat.mean(axis=0)
        heat = heat - mean
        for _ in range(HEAT_STEPS):
            heat = _solved(system, mass[:, None] * heat, heat, SOLVED * np.linalg.norm(mass))
        return (heat + mean).reshape(np.shape(values))

    def moved_in(self, shift_mm: np.ndarray) -> BoneSurface:
        """The surface with each point [n] moved into the bone, as far as the grey values show its edge there."""
        return replace(self, points_lps=self.points_lps - shift_mm[:, None] * self.normals)

    def distance_mm(self, places_lps: np.ndarray, reach_mm: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """How far places [n, 3] lie outside the bone (negative inside), and the number of the nearest surface point.

        Measured to the plane through the nearest point, so that the points need not be dense. NaN, with number 0, where
        no point is within `reach_mm`.
        """
        to_point, nearest = self.tree.query(places_lps, distance_upper_bound=reach_mm, workers=-1)
        found = np.isfinite(to_point)
        nearest[~found] = 0
        away = places_lps - self.points_lps[nearest]
        return np.where(found, np.einsum("nc,nc->n", away, self.normals[nearest]), np.nan), nearest


def bone_surface(labels: Volume, label: int, step_mm: float = STEP_MM) -> BoneSurface | None:
    """The surface of the bone that has `label` in a label map; None where there is no such bone.

    :param labels: label map [k, j, i].
    :param step_mm: distance of the points, and of the lattice that other maps of the bone are computed on.
    """
    share, offset = _blurred(labels, label)
    if share is None:
        return None
    lattice = _on_lattice(share, offset, labels, step_mm)
    known = np.isfinite(lattice.array)
    filled = np.where(known, lattice.array, 0)
    if not (filled > 0.5).any() or (filled[known] > 0.5).all():
        return None
    points, triangles, _, _ = marching_cubes(filled, 0.5, mask=known, allow_degenerate=False)
    points, triangles = _without_specks(points, triangles)
    rough = _of_mesh(lattice.origin_lps + points[:, ::-1] * step_mm, triangles, lattice)
    return _faired(rough, FAIRING_VOXELS * max(labels.spacing_mm))


def edges_of(triangles: np.ndarray) -> np.ndarray:
    """[e, 2] point numbers, every edge of `triangles` [m, 3] once."""
    return _pairs(triangles)[0]


def _pairs(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[e, 2] point numbers of every edge, and how many triangles [e] have it."""
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    points = int(pairs.max(initial=0)) + 1
    # Rows as one number each are sorted twenty times faster.
    numbers, count = np.unique(pairs[:, 0].astype(np.int64) * points + pairs[:, 1], return_counts=True)
    return np.stack(np.divmod(numbers, points), axis=1), count


def _blurred(labels: Volume, label: int) -> tuple[np.ndarray | None, np.ndarray]:
    """The blurred share of bone in a box around it, and the index at which the box begins."""
    inside = labels.array == label
    box = ndimage.find_objects(inside.view(np.uint8))
    if not box or box[0] is None:
        return None, np.zeros(3)
    spacing = np.array(labels.spacing_mm)
    sd = np.maximum(BLUR_MM, BLUR_VOXELS * spacing)
    pad = np.ceil((3 * sd + 2 * STEP_MM) / spacing).astype(int)
    first = [max(0, part.start - p) for part, p in zip(box[0], pad, strict=True)]
    last = [min(n, part.stop + p) for part, p, n in zip(box[0], pad, inside.shape, strict=True)]
    share = inside[tuple(slice(a, b) for a, b in zip(first, last, strict=True))].astype(np.float32)
    # A voxel is itself a blur of variance spacing^2 / 12.
    sd = np.sqrt(sd**2 - spacing**2 / 12) / spacing
    return ndimage.gaussian_filter(share, sd, mode="nearest", truncate=3), np.array(first)


def _on_lattice(share: np.ndarray, offset: np.ndarray, labels: Volume, step_mm: float) -> Lattice:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in share.shape])).reshape(3, -1).T + offset
    corners_lps = to_lps(corners, labels)
    low = np.floor(corners_lps.min(axis=0) / step_mm) * step_mm
    shape = (np.ceil((corners_lps.max(axis=0) - low) / step_mm).astype(int) + 1)[::-1]
    # Node to index is affine: a row of the lattice after the other, without a list of all nodes.
    per_mm = index_per_mm(labels)
    start = per_mm @ (low - np.array(labels.origin_lps)) - offset
    array = ndimage.affine_transform(
        share,
        per_mm[:, ::-1] * step_mm,
        start,
        output_shape=tuple(shape),
        order=1 if max(labels.spacing_mm) < 0.6 else 3,
        mode="constant",
        cval=np.nan,
    )
    lattice = Lattice(array, low, step_mm)
    outside = ~np.isfinite(array)
    if outside.any():
        # Beyond the box there is no bone, but beyond the image nothing is known.
        index = to_index(lattice.nodes_lps(outside), labels)
        in_image = ((index >= -0.5) & (index <= np.array(labels.array.shape) - 0.5)).all(axis=1)
        array[outside] = np.where(in_image, 0, np.nan)
    return lattice


def _without_specks(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(points)
    edges = edges_of(triangles)
    _, part = connected_components(sparse.csr_matrix((np.ones(len(edges)), edges.T), (n, n)), directed=False)
    area = np.bincount(part, _areas(points, triangles))
    kept = (area > SMALL_PART * area.max())[part]
    number = np.cumsum(kept) - 1
    return points[kept], number[triangles[kept[triangles].all(axis=1)]]


def _of_mesh(points: np.ndarray, triangles: np.ndarray, lattice: Lattice) -> BoneSurface:
    """Points with the normals and areas of their triangles, the normals averaged."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    outward = np.cross(b - a, c - a)
    normals = np.stack([_summed(triangles, outward[:, axis], len(points)) for axis in range(3)], axis=1)
    bare = BoneSurface(points, _unit(normals), _areas(points, triangles), triangles, lattice)
    return replace(bare, normals=_unit(bare.smoothed(bare.normals, NORMAL_BLUR_MM)))


def _faired(rough: BoneSurface, most_mm: float) -> BoneSurface:
    """The surface moved along its normals, by `most_mm` at the most, to where waves shorter than `FAIRING_MM` are gone.

    One smoothing would shrink what is round. What is left of the points after several rounds of taking the smooth part
    away, (1 - S)^n, holds the short waves alone.
    """
    residual = rough.points_lps
    for _ in range(FAIRING_ROUNDS):
        residual = residual - rough.smoothed(residual, FAIRING_MM)
    along = np.clip(np.einsum("nc,nc->n", residual, rough.normals), -most_mm, most_mm)
    return _of_mesh(rough.points_lps - along[:, None] * rough.normals, rough.triangles, rough.inside)


def _solved(system: sparse.csr_matrix, right: np.ndarray, start: np.ndarray, most: float) -> np.ndarray:
    """The solution [n, c] of a symmetric system with residuals [c] of at most `most`.

    By conjugate gradients, for all columns at once.
    """
    scale = 1 / system.diagonal()[:, None]
    solution = start.copy()
    residual = right - system @ solution
    ahead = scale * residual
    direction, power = ahead.copy(), _dot(residual, ahead)
    for _ in range(MOST_SOLVER_STEPS):
        if (_dot(residual, residual) <= most**2).all():
            break
        pushed = system @ direction
        step = power / np.maximum(_dot(direction, pushed), 1e-30)
        solution += step * direction
        residual -= step * pushed
        np.multiply(scale, residual, out=ahead)
        before, power = power, _dot(residual, ahead)
        direction *= power / np.maximum(before, 1e-30)
        direction += ahead
    return solution


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each column; three times as fast as einsum where there are few columns."""
    return np.array([np.vdot(a, b) for a, b in zip(one.T, other.T, strict=True)])


def _areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return _summed(triangles, area / 3, len(points))


def _summed(triangles: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """What the triangles [m] give to each of the `n` points at their corners, summed."""
    return np.bincount(triangles.ravel(), np.repeat(values, 3), n)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
