"""A CT on the grid of an MR, and back, where every bone moved by itself: bones rigidly, soft tissue by a smooth blend.

The blend is polyrigid (Arsigny, Commowick, Ayache, Pennec, J Math Imaging Vis 2009;33:222): the logarithms of the
motions are averaged with weights that fall with the distance from each bone. It does not depend on the frame, has no
folds for the motions of a joint, and is the motion itself where all bones move alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numba import njit
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import pose_of
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import index_per_mm, mm_per_index

NUMBERS = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
GOES_WITH = {"fibula": "tibia"}  # where it has no motion of its own
DISTANCE_STEP_MM = 1.0  # of the grid of the distances
HALO_MM = 1.0  # around a bone that moves with it: what the scanner blurs of its edge must not be torn off
SLICES = 4  # at a time


@dataclass(frozen=True, eq=False)
class BoneMotions:
    """How far each place of a CT is from each bone, and how the bones moved.

    :param distance_mm: float32 [bone, k, j, i], to the halo of a bone; 0 and less where the motion is that of the bone.
    :param grid: where these distances are; its voxels are not used.
    :param matrices: [bone, 3, 3] and `shifts` [bone, 3]: a place of the CT in LPS mm to its place in the MR.
    """

    distance_mm: np.ndarray
    grid: Volume
    matrices: np.ndarray
    shifts: np.ndarray


def bone_motions(labels: Volume, transforms: Mapping[str, sitk.Transform]) -> BoneMotions:
    """What `ct_on_mr_grid` and `mr_on_ct_grid` need of the bones, once for both.

    Bones that have no transform count as soft tissue, but the fibula goes with the tibia.

    :param labels: bones of the CT: 1 femur, 2 tibia, 3 patella, 4 fibula.
    :param transforms: rigid, of a place of the CT to that of the MR, LPS mm, by the name of the bone.
    :raises ValueError: none of the labelled bones has a transform, or one is not rigid.
    """
    stride = [max(1, round(DISTANCE_STEP_MM / mm)) for mm in labels.spacing_mm]
    few = replace(
        labels,
        array=np.ascontiguousarray(labels.array[tuple(slice(None, None, n) for n in stride)]),
        spacing_mm=tuple(mm * n for mm, n in zip(labels.spacing_mm, stride, strict=True)),
    )
    # The distance transform counts to the middle of the outermost voxel of a bone.
    halo = HALO_MM + max(few.spacing_mm) / 2
    distances, motions = [], []
    for name, number in NUMBERS.items():
        transform = transforms.get(name, transforms.get(GOES_WITH.get(name, "")))
        inside = few.array == number
        if transform is not None and inside.any():
            distances.append(_distance_mm(inside, few.spacing_mm) - halo)
            motions.append(pose_of(transform))
    if not motions:
        raise ValueError("none of the labelled bones has a transform")
    matrices, shifts = np.array([pose.matrix for pose in motions]), np.array([pose.translation for pose in motions])
    return BoneMotions(np.array(distances), few, matrices, shifts)


def ct_on_mr_grid(
    ct: Volume,
    labels: Volume,
    transforms: Mapping[str, sitk.Transform],
    mr_grid: Volume,
    outside: float = -1000,
    nearest: bool = False,
    motions: BoneMotions | None = None,
) -> tuple[Volume, Volume]:
    """The CT as it would lie on the grid of the MR: every bone where its transform takes it, soft tissue in between.

    :param ct: HU; or any volume of the same place, as the labels themselves with `nearest`.
    :param labels: bones of the CT, on any grid: 1 femur, 2 tibia, 3 patella, 4 fibula.
    :param transforms: rigid, of a place of the CT to that of the MR, LPS mm, by the name of the bone; others than
        those of `bone_motions` are not used.
    :param mr_grid: its voxels are not used.
    :param outside: value where the CT has no voxels.
    :param nearest: take the nearest voxel, as labels need, and not between the voxels.
    :param motions: of `bone_motions` with these labels and transforms, where they are there already.
    :return: values float32 on the grid of the MR, and where they are known (bool): where the CT has voxels.
    """
    motions = motions or bone_motions(labels, transforms)
    back = np.linalg.inv(motions.matrices)
    back_shifts = -np.einsum("bij,bj->bi", back, motions.shifts)
    return _carried(ct, mr_grid, motions, back, back_shifts, True, outside, nearest)


def mr_on_ct_grid(
    mr: Volume,
    labels: Volume,
    transforms: Mapping[str, sitk.Transform],
    ct_grid: Volume,
    outside: float = 0,
    nearest: bool = False,
    motions: BoneMotions | None = None,
) -> tuple[Volume, Volume]:
    """The MR on the grid of the CT, to look at both: exact in the bones; parameters as for `ct_on_mr_grid`.

    It is for display only: what is measured in the MR is measured on its own voxels.
    """
    motions = motions or bone_motions(labels, transforms)
    return _carried(mr, ct_grid, motions, motions.matrices, motions.shifts, False, outside, nearest)


def blended_places(places_lps: np.ndarray, motions: BoneMotions) -> np.ndarray:
    """Where places [n, 3] of the CT lie in the MR, LPS mm: by the motion of their bone, or between bones by the blend.

    It is what `mr_on_ct_grid` samples at, so a patch of soft tissue can be carried as well.
    """
    places = np.ascontiguousarray(places_lps, float)
    result = np.empty_like(places)
    kernel = _kernel(motions, motions.matrices, motions.shifts, False)
    _move(places, result, *kernel)
    return result


def _distance_mm(inside: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    image = sitk.GetImageFromArray(inside.view(np.uint8))
    image.SetSpacing([float(mm) for mm in spacing_mm[::-1]])
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))


def _carried(
    source: Volume,
    grid: Volume,
    motions: BoneMotions,
    matrices: np.ndarray,
    shifts: np.ndarray,
    by_source: bool,
    outside: float,
    nearest: bool,
) -> tuple[Volume, Volume]:
    """Values of `source` at the places of `grid`, which matrices and shifts take into the source."""
    kernel = _kernel(motions, matrices, shifts, by_source)
    shape = grid.array.shape
    values, known = np.empty(shape, np.float32), np.empty(shape, bool)
    step, start = mm_per_index(grid), np.asarray(grid.origin_lps, float)
    per_mm, origin = index_per_mm(source), np.asarray(source.origin_lps, float)
    array = source.array.view(np.uint8) if source.array.dtype == bool else source.array
    for first in range(0, shape[0], SLICES):
        part = slice(first, first + SLICES)
        at = start + first * step[:, 0]
        _sample(values[part], known[part], step, at, array, per_mm, origin, np.float32(outside), nearest, *kernel)
    return tuple(Volume(array, grid.spacing_mm, grid.origin_lps, grid.direction_lps) for array in (values, known))


def _kernel(motions: BoneMotions, matrices: np.ndarray, shifts: np.ndarray, by_source: bool) -> tuple:
    """The motions for the compiled part: the first bone's, and of every bone the logarithm of what it adds to that.

    Averaging what is beyond a common motion lets the leg as a whole be turned by any angle.
    """
    turns = matrices @ matrices[0].T
    adds = shifts - turns @ shifts[0]
    vectors = Rotation.from_matrix(turns).as_rotvec()
    slides = np.array([np.linalg.solve(_left_jacobian(v), a) for v, a in zip(vectors, adds, strict=True)])
    return (
        motions.distance_mm,
        index_per_mm(motions.grid),
        np.asarray(motions.grid.origin_lps, float),
        np.asarray(motions.grid.spacing_mm, float),
        by_source,
        np.ascontiguousarray(matrices),
        np.ascontiguousarray(shifts),
        np.concatenate([vectors, slides], axis=1),
    )


def _left_jacobian(vector: np.ndarray) -> np.ndarray:
    """The V of exp(vector, slide) = (rotation, V slide) of rigid motions."""
    angle = np.linalg.norm(vector)
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    if angle < 1e-6:
        return np.eye(3) + cross / 2
    return np.eye(3) + (1 - np.cos(angle)) / angle**2 * cross + (angle - np.sin(angle)) / angle**3 * cross @ cross


@njit(nogil=True, cache=True)
def _moved(x, y, z, distance, per_mm, origin, spacing, by_source, matrices, shifts, logs):
    """The place in the source of a place of the output; the distance to bones is known at places of the CT alone."""
    bones, depth, height, width = distance.shape
    nearest, least = 0, 1e9
    total = 0.0
    a0, a1, a2, b0, b1, b2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for b in range(bones):
        m, s = matrices[b], shifts[b]
        u, v, w = x, y, z
        if by_source:
            u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + s[0]
            v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + s[1]
            w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + s[2]
        u, v, w = u - origin[0], v - origin[1], w - origin[2]
        k = per_mm[0, 0] * u + per_mm[0, 1] * v + per_mm[0, 2] * w
        j = per_mm[1, 0] * u + per_mm[1, 1] * v + per_mm[1, 2] * w
        i = per_mm[2, 0] * u + per_mm[2, 1] * v + per_mm[2, 2] * w
        kk, jj, ii = min(max(k, 0.0), depth - 1.001), min(max(j, 0.0), height - 1.001), min(max(i, 0.0), width - 1.001)
        k0, j0, i0 = int(kk), int(jj), int(ii)
        fk, fj, fi = kk - k0, jj - j0, ii - i0
        near = distance[b, k0, j0]
        below = distance[b, k0, j0 + 1]
        near_next = distance[b, k0 + 1, j0]
        below_next = distance[b, k0 + 1, j0 + 1]
        first = (1 - fj) * (near[i0] + fi * (near[i0 + 1] - near[i0])) + fj * (
            below[i0] + fi * (below[i0 + 1] - below[i0])
        )
        second = (1 - fj) * (near_next[i0] + fi * (near_next[i0 + 1] - near_next[i0])) + fj * (
            below_next[i0] + fi * (below_next[i0 + 1] - below_next[i0])
        )
        d = (1 - fk) * first + fk * second
        # Beyond the grid the way to it is added.
        ok, oj, oi = (k - kk) * spacing[0], (j - jj) * spacing[1], (i - ii) * spacing[2]
        beyond = ok * ok + oj * oj + oi * oi
        if beyond > 1e-4:
            d = max(d, 0.0) + np.sqrt(beyond)
        if d < least:
            nearest, least = b, d
        if least > 0:
            weight = 1.0 / (d * d * d)
            total += weight
            a0 += weight * logs[b, 0]
            a1 += weight * logs[b, 1]
            a2 += weight * logs[b, 2]
            b0 += weight * logs[b, 3]
            b1 += weight * logs[b, 4]
            b2 += weight * logs[b, 5]
    own = nearest if least <= 1e-3 else 0
    m, s = matrices[own], shifts[own]
    u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + s[0]
    v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + s[1]
    w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + s[2]
    if least <= 1e-3:
        return u, v, w
    a0, a1, a2, b0, b1, b2 = a0 / total, a1 / total, a2 / total, b0 / total, b1 / total, b2 / total
    # exp of the mean logarithm, after the motion of the first bone (Rodrigues).
    square = a0 * a0 + a1 * a1 + a2 * a2
    angle = np.sqrt(square)
    if angle < 1e-4:
        sine, versine, rest = 1.0, 0.5, 1.0 / 6.0
    else:
        sine, versine, rest = (
            np.sin(angle) / angle,
            (1 - np.cos(angle)) / square,
            (angle - np.sin(angle)) / (square * angle),
        )
    c0, c1, c2 = a1 * w - a2 * v, a2 * u - a0 * w, a0 * v - a1 * u
    e0, e1, e2 = a1 * c2 - a2 * c1, a2 * c0 - a0 * c2, a0 * c1 - a1 * c0
    f0, f1, f2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    g0, g1, g2 = a1 * f2 - a2 * f1, a2 * f0 - a0 * f2, a0 * f1 - a1 * f0
    return (
        u + sine * c0 + versine * e0 + b0 + versine * f0 + rest * g0,
        v + sine * c1 + versine * e1 + b1 + versine * f1 + rest * g1,
        w + sine * c2 + versine * e2 + b2 + versine * f2 + rest * g2,
    )


@njit(nogil=True, cache=True)
def _move(places, result, distance, per_mm, origin, spacing, by_source, matrices, shifts, logs):
    for n in range(len(places)):
        x, y, z = _moved(
            places[n, 0], places[n, 1], places[n, 2],
            distance, per_mm, origin, spacing, by_source, matrices, shifts, logs,
        )  # fmt: skip
        result[n, 0], result[n, 1], result[n, 2] = x, y, z


@njit(nogil=True, cache=True)
def _sample(
    values, known, step, start, source, into, corner, outside, whole,
    distance, per_mm, origin, spacing, by_source, matrices, shifts, logs,
):  # fmt: skip
    """Fill slices of the output, whose voxel (k, j, i) lies at start + step @ (k, j, i)."""
    depth, height, width = source.shape
    for k in range(values.shape[0]):
        for j in range(values.shape[1]):
            for i in range(values.shape[2]):
                x, y, z = _moved(
                    start[0] + step[0, 0] * k + step[0, 1] * j + step[0, 2] * i,
                    start[1] + step[1, 0] * k + step[1, 1] * j + step[1, 2] * i,
                    start[2] + step[2, 0] * k + step[2, 1] * j + step[2, 2] * i,
                    distance, per_mm, origin, spacing, by_source, matrices, shifts, logs,
                )  # fmt: skip
                x, y, z = x - corner[0], y - corner[1], z - corner[2]
                c = into[0, 0] * x + into[0, 1] * y + into[0, 2] * z
                b = into[1, 0] * x + into[1, 1] * y + into[1, 2] * z
                a = into[2, 0] * x + into[2, 1] * y + into[2, 2] * z
                if not (-0.5 <= c <= depth - 0.5 and -0.5 <= b <= height - 0.5 and -0.5 <= a <= width - 0.5):
                    values[k, j, i] = outside
                    known[k, j, i] = False
                    continue
                known[k, j, i] = True
                c, b, a = min(max(c, 0.0), depth - 1.0), min(max(b, 0.0), height - 1.0), min(max(a, 0.0), width - 1.0)
                if whole:
                    values[k, j, i] = source[int(c + 0.5), int(b + 0.5), int(a + 0.5)]
                    continue
                c0, b0, a0 = min(int(c), depth - 2), min(int(b), height - 2), min(int(a), width - 2)
                fc, fb, fa = c - c0, b - b0, a - a0
                total = 0.0
                for p in range(2):
                    through = fc if p else 1 - fc
                    for q in range(2):
                        down = through * (fb if q else 1 - fb)
                        row = source[c0 + p, b0 + q]
                        total += down * ((1 - fa) * row[a0] + fa * row[a0 + 1])
                values[k, j, i] = total
