"""The points at which the lines of a lattice in a bone's own frame meet its articular surface.

Lines run along each of the three axes of the bone, a step apart through its origin. A line counts where it enters the
bone through a surface that faces along its axis more than along the two others: every part of a surface is met by one
of the three families, never at a slant of more than 55 degrees. Where two families meet, at a ridge, those points of
the second that lie too near to one of the first are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.region_finding.bone_frame import BoneFrame
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps, values_at

LETTERS = "LPS"  # lateral, posterior, proximal (superior): the axes of a bone
# (axis, sense): where the surface faces. Bones bear load at their ends, so these come first.
FACES = {
    "distal": (2, -1),
    "proximal": (2, 1),
    "posterior": (1, 1),
    "anterior": (1, -1),
    "medial": (0, -1),
    "lateral": (0, 1),
}
WALK_MM = 0.5  # from sample to sample along a line
JUST_INSIDE_MM = 1.0  # depth at which it is asked which part of the articular surface this is
NEAREST = 0.7  # of a step, by which points of two families must be apart
FWHM = 2.3548  # of a Gaussian, in standard deviations


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Named points of a surface.

    `places_lps` (n, 3) in mm; `normals_lps` (n, 3), unit, out of the bone; `axes_lps` (n, 3, 3): rows are two unit
    vectors along the surface and, third, the one into the bone.
    """

    names: tuple[str, ...]
    places_lps: np.ndarray
    normals_lps: np.ndarray
    axes_lps: np.ndarray


def surface_points(
    depth_mm: Volume, columns: Volume, frame: BoneFrame, step_mm: float, normal_mm: float
) -> SurfacePoints:
    """The points of the surface at depth 0 that lie on the lattice of `frame` and over a label in `columns`.

    :param depth_mm: float [k, j, i], positive in the bone and negative outside, NaN where it is not known.
    :param normal_mm: FWHM over which the direction of the surface is averaged.
    """
    box = _box_in_frame(columns, frame)
    gradient = _gradient(depth_mm, normal_mm)
    names: list[str] = []
    places, normals = np.empty((0, 3)), np.empty((0, 3))
    turns = []
    for face, (axis, sense) in FACES.items():
        if box is None:
            break
        steps, entries = _entries(depth_mm, frame, box, axis, sense, step_mm)
        outward = -_unit(_sampled(gradient, entries, depth_mm))
        along = frame.turned(outward)
        counts = values_at(entries - JUST_INSIDE_MM * outward, columns, order=0) > 0
        counts &= (np.argmax(np.abs(along), axis=1) == axis) & (np.sign(along[:, axis]) == sense)
        counts &= _first_of_each_line(steps, counts)
        if len(places):
            counts[counts] = cKDTree(places).query(entries[counts])[0] >= NEAREST * step_mm
        others = [other for other in range(3) if other != axis]
        letters = [LETTERS[other] for other in others]
        names += [f"{face}-" + "".join(map("{}{:+03d}".format, letters, step)) for step in steps[counts]]
        places, normals = np.vstack((places, entries[counts])), np.vstack((normals, outward[counts]))
        turns += [frame.axes[others]] * np.count_nonzero(counts)
    return SurfacePoints(tuple(names), places, normals, _axes(normals, np.reshape(turns, (-1, 2, 3))))


def _box_in_frame(columns: Volume, frame: BoneFrame) -> np.ndarray | None:
    """The box (2, 3) around all labelled voxels in mm along the axes of the bone, None where there are none."""
    spans = ndimage.find_objects((columns.array > 0).view(np.uint8))
    if not spans:
        return None
    corners = np.array(list(product(*((span.start - 1, span.stop) for span in spans[0]))), float)
    places = to_lps(corners, columns)
    along = frame.coordinates(places)
    return np.array([along.min(axis=0), along.max(axis=0)])


def _entries(
    depth_mm: Volume, frame: BoneFrame, box: np.ndarray, axis: int, sense: int, step_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where lines along an axis come into the bone: steps (n, 2) of the lines, places (n, 3); outermost first."""
    others = [other for other in range(3) if other != axis]
    first, last = np.ceil(box[0] / step_mm).astype(int), np.floor(box[1] / step_mm).astype(int)
    lines = np.array(list(product(*(range(first[other], last[other] + 1) for other in others))), int).reshape(-1, 2)
    reach = np.arange(box[0, axis] - 2 * WALK_MM, box[1, axis] + 3 * WALK_MM, WALK_MM)[::-sense]
    points = np.empty((len(lines), len(reach), 3))
    points[..., others] = (lines * step_mm)[:, None]
    points[..., axis] = reach
    places = frame.places_lps(points)
    depths = values_at(places, depth_mm, outside=np.nan)
    line, sample = np.nonzero((depths[:, :-1] <= 0) & (depths[:, 1:] > 0))
    before, after = depths[line, sample], depths[line, sample + 1]
    share = (before / (before - after))[:, None]
    return lines[line], places[line, sample] * (1 - share) + places[line, sample + 1] * share


def _first_of_each_line(steps: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """True for the outermost of the entries of each line that count."""
    first = np.zeros(len(steps), bool)
    candidates = np.flatnonzero(counts)
    if len(candidates):
        first[candidates[np.unique(steps[candidates], axis=0, return_index=True)[1]]] = True
    return first


def _gradient(depth_mm: Volume, fwhm_mm: float) -> list[np.ndarray]:
    """The directions, averaged, in which the depth grows along k, j and i; what is not known has no say."""
    slopes = np.gradient(depth_mm.array.astype(np.float32, copy=False), *depth_mm.spacing_mm)
    known = np.isfinite(slopes).all(axis=0)
    sigma = fwhm_mm / FWHM / np.asarray(depth_mm.spacing_mm)
    return [ndimage.gaussian_filter(np.where(known, s, 0), sigma, mode="nearest", truncate=3) for s in slopes]


def _sampled(gradient: list[np.ndarray], places: np.ndarray, like: Volume) -> np.ndarray:
    """The gradient (n, 3) in LPS at places (n, 3)."""
    index = to_index(places, like).T
    parts = [ndimage.map_coordinates(part, index, order=1, mode="nearest") for part in gradient]
    return np.stack(parts[::-1], axis=-1) @ np.reshape(like.direction_lps, (3, 3)).T


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _axes(normals: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Right-angled axes (n, 3, 3): third into the bone; first and second along the surface, with the least turn from
    the two axes of the bone `along` (n, 2, 3). Both lean from the surface alike, so neither is more exact."""
    flat = along - (along @ normals[..., None]) * normals[:, None]
    # The nearest right-angled pair: the polar factor of the two projected axes (Higham 1986).
    left, _, right = np.linalg.svd(flat, full_matrices=False)
    return np.concatenate((left @ right, -normals[:, None]), axis=1)
