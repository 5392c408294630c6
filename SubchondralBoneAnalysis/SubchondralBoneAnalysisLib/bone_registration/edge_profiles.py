"""How far the edge of a bone in an MR lies beside that of the CT, along the normals of its surface.

Nothing is segmented in the MR. The profile that the CT has across the surface is blurred to what the MR resolves, and
looked for in the profile at the same place of the MR by their correlation, pooled over a few millimetres of surface. A
synthetic CT is compared as it is; for an MR the profile is first turned into what the MR is expected to show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from SubchondralBoneAnalysisLib.bone_registration.expected_in_mr import expected_in_mr
from SubchondralBoneAnalysisLib.bone_registration.rest_motion import rest_motion
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import index_per_mm, to_index

STEP_MM = 0.25
SEARCHED_MM = 4.0  # to both sides
PROFILE_MM = (-3.0, 2.5)  # into the bone, out of it
POOLED_MM = 2.0  # standard deviation of the weights of profiles around
POOLED_REACH_MM = 4.0
MOST_POINTS = 6000
GAP_SHARE = 0.4  # of the way to another bone of the CT, up to which a profile is of this bone alone
ACROSS_SLICES = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])  # standard deviations at which a blur is sampled
FLAT = 0.01  # of the usual variance in a profile


@dataclass(frozen=True, eq=False)
class EdgeShifts:
    """At n points of the surface of a bone.

    :param numbers: [n], which points of the surface.
    :param points_lps: [n, 3] in the CT; `normals` [n, 3] out of the bone.
    :param areas_mm2: [n], the part of the surface a point stands for.
    :param shift_mm: [n], how far out of the bone the edge in the MR lies; at the ends of the range none was found.
    :param fit: [n], correlation (0 to 1) of what is seen with what the CT lets expect there, moved by that shift.
    :param fit_unmoved: [n], the same where the transform has put it.
    :param blur_mm: [n], standard deviation along the normal by the thickness of the slices.
    :param inside: bool [n], whether the profile lies inside both images.
    """

    numbers: np.ndarray
    points_lps: np.ndarray
    normals: np.ndarray
    areas_mm2: np.ndarray
    shift_mm: np.ndarray
    fit: np.ndarray
    fit_unmoved: np.ndarray
    blur_mm: np.ndarray
    inside: np.ndarray


def edge_shifts(
    surface: BoneSurface,
    wanted: np.ndarray,
    ct: Volume,
    labels: Volume,
    number: int,
    seen: Volume,
    is_ct: bool,
    motion: Pose,
    fat_shift_mm: tuple[float, float] | None = None,
) -> EdgeShifts:
    """Where the edge of a bone is in an MR, at those points of its surface that are `wanted` (bool [n]).

    :param labels: bones of the CT; `number` is that of this bone.
    :param seen: the MR, or the synthetic CT on its grid (`is_ct`).
    :param motion: of the bone, from the CT to the MR, LPS mm.
    :param fat_shift_mm: by how much the MR shows fat displaced along the two axes of its slices, if it is known.
    """
    chosen = np.flatnonzero(wanted)
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_POINTS))]
    points, normals = surface.points_lps[chosen], surface.normals[chosen]
    areas = surface.areas_mm2[chosen] * surface.areas_mm2[wanted].sum() / max(surface.areas_mm2[chosen].sum(), 1e-9)
    along = np.arange(PROFILE_MM[0], PROFILE_MM[1] + 1e-6, STEP_MM)
    shifts = np.arange(-SEARCHED_MM, SEARCHED_MM + 1e-6, STEP_MM)

    axis, sd = _thick(seen, ct)
    axis = axis @ motion.matrix  # of the MR, as it lies in the CT
    expected, in_ct = _blurred_profiles(ct, points, normals, along, axis, sd)
    wide = np.arange(PROFILE_MM[0] - SEARCHED_MM, PROFILE_MM[1] + SEARCHED_MM + 1e-6, STEP_MM)
    found, in_mr = _profiles(seen, motion.out(points), normals @ motion.matrix.T, wide)
    unmoved = round(SEARCHED_MM / STEP_MM)
    inside = in_ct & in_mr[:, unmoved : unmoved + len(along)].all(axis=1)

    weights = _weights(along) * _of_this_bone(labels, number, points, normals, along)
    pool = _pool(points, normals, inside)
    if not is_ct:
        bone = Volume(labels.array == number, labels.spacing_mm, labels.origin_lps, labels.direction_lps)
        share, _ = _blurred_profiles(bone, points, normals, along, axis, sd)
        total = np.asarray(pool.sum(axis=1))
        counted = areas * inside

        def moved(expected: np.ndarray) -> np.ndarray:
            shift, fit = _best(shifts, _correlations(pool, expected, found, weights))
            found_there = counted * (np.abs(shift) < SEARCHED_MM - STEP_MM) * fit
            return rest_motion(points, normals, shift, found_there + 1e-9).along_normals_mm

        in_plane = normals @ motion.matrix.T @ _slice_axes(seen)
        smooth, counts = (pool @ expected / total, pool @ share / total), weights * inside[:, None]
        expected = expected_in_mr(*smooth, found, counts, in_plane, STEP_MM, moved, fat_shift_mm)
    fits = _correlations(pool, expected, found, weights)
    shift, fit = _best(shifts, fits)
    blur = sd * np.abs(normals @ axis)
    return EdgeShifts(chosen, points, normals, areas, shift, fit, fits[:, unmoved], blur, inside)


def _thick(seen: Volume, ct: Volume) -> tuple[np.ndarray, float]:
    """The axis along which the MR is coarsest, LPS, and the blur by that: of its slices, and of lines between them."""
    axis = int(np.argmax(seen.spacing_mm))
    direction = np.reshape(seen.direction_lps, (3, 3))[:, 2 - axis]
    # A box and a triangle as wide as a slice have a twelfth and a sixth of its square as variance.
    variance = (seen.spacing_mm[axis] ** 2 - float(np.mean(ct.spacing_mm)) ** 2) / 4
    return direction, float(np.sqrt(max(variance, 0.0)))


def _slice_axes(seen: Volume) -> np.ndarray:
    """[3, 2] directions in LPS of the two axes of a slice."""
    across = 2 - int(np.argmax(seen.spacing_mm))
    return np.delete(np.reshape(seen.direction_lps, (3, 3)), across, axis=1)


def _blurred_profiles(
    volume: Volume, points: np.ndarray, normals: np.ndarray, along: np.ndarray, axis: np.ndarray, sd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Profiles [n, x] averaged along an axis by a Gaussian, and whether [n] they lie inside the volume."""
    if sd < 0.1:
        profiles, inside = _profiles(volume, points, normals, along)
        return profiles, inside.all(axis=1)
    weights = np.exp(-0.5 * ACROSS_SLICES**2)
    total, inside = 0.0, True
    for offset, weight in zip(ACROSS_SLICES, weights / weights.sum(), strict=True):
        profiles, within = _profiles(volume, points + offset * sd * axis, normals, along)
        total = total + weight * profiles
        inside = inside & within.all(axis=1)
    return total, inside


def _profiles(
    volume: Volume, points: np.ndarray, normals: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values [n, x] between the voxels at points + along x normals, and whether they are inside (bool [n, x])."""
    start, step = to_index(points, volume), normals @ index_per_mm(volume).T
    index = start[:, None] + along[:, None] * step[:, None]
    inside = ((index >= -0.5) & (index <= np.array(volume.array.shape) - 0.5)).all(axis=-1)
    array = volume.array.view(np.uint8) if volume.array.dtype == bool else volume.array
    values = ndimage.map_coordinates(array, np.moveaxis(index, -1, 0), np.float32, 1, mode="nearest")
    return values, inside


def _weights(along: np.ndarray) -> np.ndarray:
    """Less at both ends of a profile, so that nothing enters or leaves by a step."""
    low, high = along[0] - STEP_MM, along[-1] + STEP_MM
    return np.minimum(1, np.minimum(along - low, high - along) / 1.0)


def _of_this_bone(
    labels: Volume, number: int, points: np.ndarray, normals: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """bool [n, x]: not so near to another bone, which moved otherwise, that its edge plays a part."""
    reach = np.arange(0.5, along[-1] / GAP_SHARE + 1e-6, 0.5)
    index = np.rint(to_index(points[:, None] + reach[:, None] * normals[:, None], labels)).astype(int)
    index = np.clip(index, 0, np.array(labels.array.shape) - 1)
    found = labels.array[tuple(np.moveaxis(index, -1, 0))]
    other = (found > 0) & (found != number)
    gap = np.where(other.any(axis=1), reach[np.argmax(other, axis=1)], np.inf)
    return along <= np.maximum(GAP_SHARE * gap, 0.5)[:, None]


def _pool(points: np.ndarray, normals: np.ndarray, inside: np.ndarray) -> sparse.csr_matrix:
    """[n, n] weights of the profiles around, whose normals point the same way, and that are inside."""
    pairs = cKDTree(points).query_pairs(POOLED_REACH_MM, output_type="ndarray")
    one, other = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    away = np.linalg.norm(points[one] - points[other], axis=1)
    alike = np.maximum(np.einsum("nc,nc->n", normals[one], normals[other]), 0) ** 2
    weight = np.exp(-0.5 * (away / POOLED_MM) ** 2) * alike * inside[other]
    n = len(points)
    return sparse.csr_matrix((weight, (one, other)), (n, n)) + sparse.identity(n, format="csr")


def _correlations(pool: sparse.csr_matrix, expected: np.ndarray, found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation [n, shift] of pooled profiles, `expected` [n, x] with each shift of `found`; 0 where negative."""
    width = expected.shape[1]
    count = found.shape[1] - width + 1
    sums = [weights, weights * expected, weights * expected**2]
    sums = [part.sum(axis=1) for part in sums]
    windows = np.lib.stride_tricks.sliding_window_view(found, width, axis=1)
    sums.append(np.einsum("nsx,nx->ns", windows, weights, optimize=True))
    sums.append(np.einsum("nsx,nx->ns", np.lib.stride_tricks.sliding_window_view(found**2, width, axis=1), weights))
    sums.append(np.einsum("nsx,nx->ns", windows, weights * expected))
    total, *means = np.split(pool @ np.column_stack(sums), np.cumsum([1, 1, 1, count, count]), axis=1)
    x, xx, y, yy, xy = (part / total for part in means)
    spread_x, spread_y = (np.maximum(square - mean**2, 0) for square, mean in ((xx, x), (yy, y)))
    # What hardly varies correlates by chance.
    spread_x, spread_y = (part + FLAT * np.median(part) + 1e-9 for part in (spread_x, spread_y))
    return np.clip((xy - x * y) / np.sqrt(spread_x * spread_y), 0, 1)


def _best(shifts: np.ndarray, fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shift [n] of the best fit, between the steps by a parabola, and that fit [n]."""
    best = np.argmax(fits, axis=1)
    row = np.arange(len(fits))
    inner = np.clip(best, 1, len(shifts) - 2)
    before, at, after = (fits[row, inner + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    part = np.where((bend < -1e-9) & (best == inner), 0.5 * (before - after) / np.where(bend < -1e-9, bend, -1), 0)
    return shifts[best] + STEP_MM * np.clip(part, -0.5, 0.5), fits[row, best]
