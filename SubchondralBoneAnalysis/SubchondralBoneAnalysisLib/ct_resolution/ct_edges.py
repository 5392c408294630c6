"""Profiles across the edges of a CT, where the skin meets the air and where the cortex of a bone meets soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

SMOOTH_MM = 0.7  # SD of the Gaussian before the direction of an edge is asked
REACH_MM = (-3.5, 4.5)  # of a profile: out of the body or bone, and into it
STEP_MM = 0.1
POOL = 40_000  # edge voxels of which the direction is found
CLASSES = 10  # of direction, by the squared cosine with the slice axis; as many profiles of each
IN_CLASS = 300


@dataclass(frozen=True)
class EdgeKind:
    """An edge: at which value it is looked for, and what there must be outside and just inside of it, in HU."""

    name: str
    level_hu: float
    outside_hu: tuple[float, float]
    least_layer_hu: float
    least_rise_hu: float


SKIN = EdgeKind("skin", -500.0, (-1100.0, -850.0), -250.0, 600.0)
CORTEX = EdgeKind("cortex", 500.0, (-200.0, 250.0), 800.0, 700.0)


@dataclass(frozen=True, eq=False)
class EdgeProfiles:
    """Profiles (n, m) in HU at `along_mm` (m,), from outside inwards; `towards_slices` (n,): squared cosine between an
    edge's normal and the slice axis, 0 for an edge that stands upright on the slices."""

    along_mm: np.ndarray
    profiles: np.ndarray
    towards_slices: np.ndarray


@dataclass(frozen=True, eq=False)
class EdgeImage:
    """A CT made ready for profiles across its edges: `smooth`, and `spline` coefficients (third degree), float32."""

    ct: Volume
    smooth: np.ndarray
    spline: np.ndarray

    @classmethod
    def of(cls, ct: Volume) -> EdgeImage:
        """Made once for all kinds of edges: it is what takes the time."""
        smooth = ndimage.gaussian_filter(ct.array, SMOOTH_MM / np.asarray(ct.spacing_mm), output=np.float32, truncate=3)
        # Mirrored at the border, which no profile comes near, no margin is needed that would be a copy.
        return cls(ct, smooth, ndimage.spline_filter(ct.array, 3, np.float32, mode="mirror"))


def edge_profiles(image: EdgeImage, kind: EdgeKind, unusable: np.ndarray | None = None, seed: int = 0) -> EdgeProfiles:
    """Up to 3000 profiles across edges of a kind, as many of each direction as there are.

    :param unusable: bool [k, j, i], true around metal and where there is no image.
    """
    ct, smooth = image.ct, image.smooth
    spacing = np.asarray(ct.spacing_mm)
    chance = np.random.default_rng(seed)
    places = _edge_voxels(ct.array, kind.level_hu, unusable, np.ceil(4 / spacing).astype(int))
    if len(places) > POOL:
        places = places[np.sort(chance.choice(len(places), POOL, replace=False))]
    along = np.arange(REACH_MM[0], REACH_MM[1] + STEP_MM / 2, STEP_MM)
    if not len(places):
        return EdgeProfiles(along, np.empty((0, len(along))), np.empty(0))
    inward = _directions(smooth, places, spacing)
    places = _on_level(smooth, places, inward, spacing, kind.level_hu)
    chosen = _of_all_directions(inward[:, 0] ** 2, chance)
    places, inward = places[chosen], inward[chosen]
    points = places[:, None] + along[:, None] * inward[:, None] / spacing
    at = points.reshape(-1, 3).T
    values = ndimage.map_coordinates(image.spline, at, np.float32, order=3, mode="mirror", prefilter=False)
    return _fitting(EdgeProfiles(along, values.reshape(points.shape[:2]), inward[:, 0] ** 2), kind)


def _edge_voxels(values: np.ndarray, level: float, unusable: np.ndarray | None, margin: np.ndarray) -> np.ndarray:
    """Voxels (n, 3) above a level with a neighbour below it, not near the border of the volume."""
    if min(np.array(values.shape) - 2 * margin) < 1:
        return np.empty((0, 3))
    above = values > level
    edge = np.zeros(values.shape, bool)
    for axis in range(3):
        first, last = np.moveaxis(above, axis, 0)[:-1], np.moveaxis(above, axis, 0)[1:]
        differs = first != last
        np.moveaxis(edge, axis, 0)[:-1] |= differs & first
        np.moveaxis(edge, axis, 0)[1:] |= differs & last
    if unusable is not None:
        edge &= ~unusable
    inner = tuple(slice(m, n - m) for m, n in zip(margin, values.shape, strict=True))
    return (np.argwhere(edge[inner]) + margin).astype(float)


def _directions(smooth: np.ndarray, places: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) in mm along (k, j, i), to higher values."""
    parts = []
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 1
        up, down = (ndimage.map_coordinates(smooth, (places + sign * step).T, order=1) for sign in (1, -1))
        parts.append((up - down) / (2 * spacing[axis]))
    slope = np.stack(parts, axis=-1)
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)


def _on_level(
    smooth: np.ndarray, places: np.ndarray, inward: np.ndarray, spacing: np.ndarray, level: float
) -> np.ndarray:
    """The places moved along the direction to where the smoothed values pass the level, within 1.5 mm."""
    along = np.arange(-1.5, 1.51, 0.25)
    points = places[:, None] + along[:, None] * inward[:, None] / spacing
    values = ndimage.map_coordinates(smooth, points.reshape(-1, 3).T, order=1, mode="nearest")
    nearest = np.argmin(np.abs(values.reshape(points.shape[:2]) - level), axis=1)
    return points[np.arange(len(places)), nearest]


def _of_all_directions(towards: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Which to take: at most IN_CLASS of each class of directions."""
    chosen = []
    classes = np.minimum((towards * CLASSES).astype(int), CLASSES - 1)
    for one in range(CLASSES):
        of_class = np.flatnonzero(classes == one)
        chosen.append(of_class if len(of_class) <= IN_CLASS else chance.choice(of_class, IN_CLASS, replace=False))
    return np.sort(np.concatenate(chosen))


def _fitting(edges: EdgeProfiles, kind: EdgeKind) -> EdgeProfiles:
    """Those that begin in what must be outside, and rise to what must be inside."""
    far = edges.profiles[:, edges.along_mm < -2].mean(axis=1)
    near = edges.profiles[:, (edges.along_mm > 0) & (edges.along_mm < 2)].max(axis=1)
    keep = (far > kind.outside_hu[0]) & (far < kind.outside_hu[1]) & (near > kind.least_layer_hu)
    keep &= near - far > kind.least_rise_hu
    return EdgeProfiles(edges.along_mm, edges.profiles[keep], edges.towards_slices[keep])
