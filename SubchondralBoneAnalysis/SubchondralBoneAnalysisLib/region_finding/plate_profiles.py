"""Grey values along the normals of a bone's surface, aligned to the edge that they show, and how far they are blurred.

Averaged over the surface as they come, profiles whose edges lie at different depths would look blurred more than the
scanner blurs; so each is read off from its own edge first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.ct_resolution.resolution import FWHM, CtResolution
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index

DEPTH_MM = np.arange(-2.0, 3.51, 0.15)  # below the edge, negative outside
SEARCHED_MM = np.arange(-2.4, 2.81, 0.2)  # below the surface of the labels, where the edge is looked for
ALONG_SURFACE_MM = 1.0  # profiles are averaged with this standard deviation
OTHER_BONE_SHARE = 0.4  # of the way to another bone, up to which a profile is of this bone alone
LEAST_OUTSIDE_MM = 0.4  # of a profile before its edge, without which the edge is not one
MARGIN = 12  # voxels around, of which a spline between voxels takes notice


@dataclass(frozen=True, eq=False)
class PlateProfiles:
    """Profiles of n points of a surface.

    :param hu: [n, len(DEPTH_MM)]; NaN outside the image.
    :param shift_mm: [n], depth below the surface at which a profile has its zero.
    :param begins_mm: [n], where a profile begins to be that of this bone alone; above -LEAST_OUTSIDE_MM it is none.
    """

    hu: np.ndarray
    shift_mm: np.ndarray
    begins_mm: np.ndarray


def plate_profiles(surface: BoneSurface, ct: Volume, gap_mm: np.ndarray, wanted: np.ndarray) -> PlateProfiles:
    """Profiles at all points; where not `wanted` (bool [n]) they are NaN.

    :param gap_mm: [n], distance of the nearest other bone.
    """
    begins = np.maximum(-OTHER_BONE_SHARE * gap_mm, DEPTH_MM[0])
    if not wanted.any():
        return PlateProfiles(np.full((len(wanted), len(DEPTH_MM)), np.nan, np.float32), np.zeros(len(wanted)), begins)
    values = _Spline(ct, surface.points_lps[wanted])

    def read(depths: np.ndarray, shift: np.ndarray) -> np.ndarray:
        profiles = np.full((len(wanted), len(depths)), np.nan, np.float32)
        for n, depth in enumerate(depths):
            inwards = (depth + shift[wanted])[:, None] * surface.normals[wanted]
            profiles[wanted, n] = values.at(surface.points_lps[wanted] - inwards)
        return _averaged(surface, profiles, ALONG_SURFACE_MM)

    edge = half_maximum_mm(SEARCHED_MM, read(SEARCHED_MM, np.zeros(len(wanted))), begins)
    shift = filled(surface, np.where(wanted, edge, np.nan), ALONG_SURFACE_MM)
    return PlateProfiles(read(DEPTH_MM, shift), shift, begins)


def blur_sd_mm(surface: BoneSurface, ct: Volume, resolution: CtResolution) -> np.ndarray | None:
    """Standard deviation [n] of the blur along the normals; None where the blur of the CT is not known."""
    if resolution.in_plane is None:
        return None
    in_plane = resolution.in_plane.fwhm_mm
    # As for the gate: what is not known across the slices counts as one slice at least.
    across = resolution.axial.fwhm_mm if resolution.axial else max(in_plane, resolution.voxel_mm[0])
    towards = (surface.normals @ np.reshape(ct.direction_lps, (3, 3))[:, 2]) ** 2
    return np.sqrt(in_plane**2 * (1 - towards) + across**2 * towards) / FWHM


def half_maximum_mm(depth_mm: np.ndarray, profiles: np.ndarray, begins_mm: np.ndarray) -> np.ndarray:
    """Depth [n] at which profiles [n, x] rise to the middle between soft tissue and their peak; NaN if they do not.

    Of a plate thinner than the blur it lies too far out: good to align profiles, not to tell where the bone begins.
    """
    begins_mm = np.minimum(begins_mm, -LEAST_OUTSIDE_MM)[:, None]
    own = (depth_mm >= begins_mm) & np.isfinite(profiles)
    peak = np.argmax(np.where(own, profiles, -np.inf), axis=1)
    row, number = np.arange(len(profiles)), np.arange(len(depth_mm))
    before = own & (number <= peak[:, None])
    lowest = np.min(np.where(before, profiles, np.inf), axis=1)
    middle = (lowest + profiles[row, peak]) / 2
    below = before & (profiles < middle[:, None])
    last = len(depth_mm) - 1 - np.argmax(below[:, ::-1], axis=1)
    after = np.minimum(last + 1, len(depth_mm) - 1)
    rise = profiles[row, after] - profiles[row, last]
    step = (middle - profiles[row, last]) / np.where(rise > 0, rise, np.nan)
    return np.where(below.any(axis=1), depth_mm[last] + step * (depth_mm[1] - depth_mm[0]), np.nan)


def filled(surface: BoneSurface, values: np.ndarray, sd_mm: float) -> np.ndarray:
    """`values` [n] averaged over the surface; where they are NaN from around, and far from any their median."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    weight = surface.smoothed(known.astype(float), sd_mm)
    total = surface.smoothed(np.where(known, values, 0), sd_mm)
    return np.where(weight > 0.05, total / np.maximum(weight, 0.05), np.median(values[known]))


def _averaged(surface: BoneSurface, profiles: np.ndarray, sd_mm: float) -> np.ndarray:
    """Profiles averaged over the surface with those around that are known; NaN stays NaN."""
    known = np.isfinite(profiles)
    weight = surface.smoothed(known.all(axis=1).astype(float), sd_mm)[:, None]
    total = surface.smoothed(np.where(known.all(axis=1)[:, None], profiles, 0), sd_mm)
    return np.where(known, total / np.maximum(weight, 1e-3), np.nan).astype(np.float32)


class _Spline:
    """Values of a CT between its voxels by a cubic spline: a straight line between voxels would blur them further."""

    def __init__(self, ct: Volume, around_lps: np.ndarray) -> None:
        index = to_index(around_lps, ct)
        margin = MARGIN + np.ceil(4 / np.array(ct.spacing_mm)).astype(int)
        self.first = np.clip(np.floor(index.min(axis=0)).astype(int) - margin, 0, None)
        self.last = np.minimum(np.ceil(index.max(axis=0)).astype(int) + margin + 1, ct.array.shape)
        box = tuple(slice(a, b) for a, b in zip(self.first, self.last, strict=True))
        self.ct = ct
        self.coefficients = ndimage.spline_filter(ct.array[box].astype(np.float32), 3, np.float32, mode="mirror")

    def at(self, places_lps: np.ndarray) -> np.ndarray:
        """Values [n] at places [n, 3]; NaN outside the image."""
        index = to_index(places_lps, self.ct)
        within = ((index >= self.first) & (index <= self.last - 1)).all(axis=1)
        values = np.full(len(index), np.nan, np.float32)
        inside = (index[within] - self.first).T
        values[within] = ndimage.map_coordinates(self.coefficients, inside, np.float32, 3, prefilter=False)
        return values
