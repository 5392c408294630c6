"""Where a knee lies in an MR, whatever the headers say within 60 degrees: every rotation and every shift is tried.

The CT is a handful of tissues; where the MR is well told by them, a knee is found (correlation ratio, Roche et al.,
MICCAI 1998, as a likelihood ratio so that a small overlap cannot win). Sums over all shifts of one rotation are
products of Fourier transforms, the mean and the number of voxels of each tissue in the overlap among them (Padfield,
IEEE Trans Image Process 21:2706, 2012). No contrast is assumed: MR and synthetic CT are searched alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.bone_registration.motion_of_bone import apart, joint_middle
from SubchondralBoneAnalysisLib.bone_registration.mr_axes import MrAxes
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

STEP_MM = 7.0
TURN_STEP_DEG, MOST_TURN_DEG = 17.0, 60.0
FINER_DEG = 6.0
NEAR_BONE_MM = 22.0
COIL_MM = 18.0  # SD within which the brightness of the MR is made even
DARK = 0.15  # of bright tissue: less is air
TISSUE_HU = (-300.0, -30.0, 130.0)  # fat from, other soft tissue | what is dense without being labelled
JOINT_MM = 70.0  # from the middle of the joint: farther up and down the shafts look alike
LEAST_OVERLAP = 0.65  # of the voxels that are looked at
APART_MM, APART_DEG = 14.0, 14.0  # of starts that count as two


@dataclass(frozen=True, eq=False)
class Start:
    """A place at which the knee may lie.

    :param motion: from the CT to the MR in LPS.
    :param score: log of the likelihood ratio per voxel near bone; higher is better.
    """

    motion: Pose
    score: float


def find_starts(
    ct: Volume, labels: Volume, mr: Volume, most: int = 6, check: Callable[[], None] = lambda: None
) -> list[Start]:
    """The best few places of the knee of a CT in an MR or a synthetic CT, the best first.

    :param check: called between rotations; may raise to stop.
    """
    axes = MrAxes.of(mr)
    seen = _SeenMr.of(mr, axes)
    tissues, low, centre = _tissues(ct, labels)
    each = np.arange(-np.floor(MOST_TURN_DEG / TURN_STEP_DEG), MOST_TURN_DEG / TURN_STEP_DEG) * TURN_STEP_DEG
    turns = np.stack(np.meshgrid(each, each, each, indexing="ij"), axis=-1).reshape(-1, 3)
    turns = turns[np.linalg.norm(turns, axis=1) <= MOST_TURN_DEG]
    found = []
    for turn in turns:
        check()
        matrix = Rotation.from_rotvec(turn, degrees=True).as_matrix()
        found.append(_best_shift(tissues, low, centre, matrix, seen, axes))
    found = _distinct(found, most, centre)
    finer = np.stack(np.meshgrid(*[(-FINER_DEG, 0.0, FINER_DEG)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    better = []
    for start in found:
        around = [start]
        for turn in finer:
            check()
            matrix = Rotation.from_rotvec(turn, degrees=True).as_matrix() @ start.motion.matrix
            around.append(_best_shift(tissues, low, centre, matrix, seen, axes))
        better.append(max(around, key=lambda one: one.score))
    return _distinct(better, most, centre)


@dataclass(frozen=True, eq=False)
class _SeenMr:
    """Transforms of the MR on coarse voxels along its own axes: where the leg is, its values, their squares."""

    padded: tuple[int, ...]
    leg: np.ndarray
    values: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, mr: Volume, axes: MrAxes) -> _SeenMr:
        blur = [0.5 * STEP_MM / mm if mm < STEP_MM else 0.0 for mm in mr.spacing_mm]
        smooth = ndimage.gaussian_filter(mr.array, [0.8 * b for b in blur], output=np.float32, truncate=2.5)
        counts = np.floor(axes.size_mm / STEP_MM).astype(int) + 1
        scale = STEP_MM / axes.spacing_mm[::-1]
        values = ndimage.affine_transform(smooth, scale, output_shape=tuple(counts[::-1]), order=1, mode="nearest")
        leg = _leg(values)
        values /= _brightness(values)
        values = np.clip(values, *np.percentile(values, (1, 99)))
        values = leg * (values - values[leg].mean()) / max(float(values[leg].std()), 1e-9)
        padded = tuple(fft.next_fast_len(int(n + 2 * 90.0 / STEP_MM), True) for n in values.shape)
        fields = (leg.astype(np.float32), values, values**2)
        return cls(padded, *(fft.rfftn(field, padded) for field in fields))


def _leg(values: np.ndarray) -> np.ndarray:
    """Where the leg is: no bone lies in the air, which is as dark as marrow without fat's signal."""
    bright = values > DARK * np.percentile(values, 95)
    bright = ndimage.binary_opening(bright)
    leg = bright.copy()
    for axis in range(3):  # marrow is closed in by bright tissue in the slices across a bone, whichever these are
        for part, filled in zip(np.moveaxis(bright, axis, 0), np.moveaxis(leg, axis, 0), strict=True):
            filled |= ndimage.binary_fill_holes(part)
    return leg if leg.any() else np.ones_like(leg)


def _brightness(values: np.ndarray) -> np.ndarray:
    """How bright tissue is around each voxel: the coil, and no more of the tissues than their mean."""
    tissue = (values > DARK * np.percentile(values, 95)).astype(np.float32)
    around = [ndimage.gaussian_filter(field, COIL_MM / STEP_MM) for field in (values * tissue, tissue)]
    mean = around[0] / np.maximum(around[1], 0.05)
    return np.maximum(mean, 1e-3 * mean.max() + 1e-12)


def _tissues(ct: Volume, labels: Volume) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Shares of the tissues near bone on upright coarse voxels [k, j, i], the place of the first, and the middle."""
    stride = np.maximum(1, np.floor(0.5 * STEP_MM / np.array(ct.spacing_mm)).astype(int))
    # The mean over small blocks is what a coarse voxel sees; two strides make one step.
    hu = ndimage.uniform_filter(ct.array.astype(np.float32), stride)[tuple(slice(s // 2, None, s) for s in stride)]
    bone = labels.array[tuple(slice(s // 2, None, s) for s in stride)] > 0
    mm = np.array(ct.spacing_mm) * stride
    near = ndimage.distance_transform_edt(~bone, sampling=mm) < NEAR_BONE_MM
    near &= _near_joint(labels, ct, near.shape, stride)
    kinds = [near & bone & (hu < 450.0), near & bone & (hu >= 450.0)]
    kinds += [near & ~bone & (hu >= a) & (hu < b) for a, b in pairwise((*TISSUE_HU, np.inf))]
    points = to_lps(np.argwhere(near) * stride + stride // 2, ct)
    low = points.min(axis=0) - STEP_MM
    size = np.ceil((points.max(axis=0) + STEP_MM - low) / STEP_MM).astype(int) + 1
    shares = []
    where = np.argwhere(near)
    at = (to_lps(where * stride + stride // 2, ct) - low) / STEP_MM
    cell = np.rint(at).astype(int)
    flat = np.ravel_multi_index(cell[:, ::-1].T, tuple(size[::-1]))
    per_cell = STEP_MM**3 / (np.prod(mm))
    for kind in kinds:
        weight = kind[tuple(where.T)].astype(float)
        counts = np.bincount(flat, weight, int(np.prod(size))).reshape(tuple(size[::-1]))
        if counts.sum() > 0.005 * len(where):
            shares.append((counts / per_cell).astype(np.float32))
    return shares, low, points.mean(axis=0)


def _near_joint(labels: Volume, ct: Volume, shape: tuple[int, ...], stride: np.ndarray) -> np.ndarray:
    middle = joint_middle(labels)
    places = to_lps(np.stack(np.indices(shape), axis=-1) * stride + stride // 2, ct)
    return np.linalg.norm(places - middle, axis=-1) < JOINT_MM


def _best_shift(
    tissues: list[np.ndarray], low: np.ndarray, centre: np.ndarray, matrix: np.ndarray, seen: _SeenMr, axes: MrAxes
) -> Start:
    """The best place of the CT turned by a matrix (about its middle, in LPS)."""
    # Fields of the CT on voxels along the axes of the MR, in a box about its middle that holds it in any position.
    half = int(np.ceil(0.5 * np.linalg.norm(np.array(tissues[0].shape)) / 1.25))
    side = 2 * half + 1
    to_ct = (matrix.T @ axes.directions)[::-1, ::-1]  # steps (k, j, i) of the MR to steps (k, j, i) of the upright grid
    middle = ((centre - low) / STEP_MM)[::-1]
    offset = middle - to_ct @ np.full(3, half)
    total = count = within = sums = squares = 0.0
    for tissue in tissues:
        turned = ndimage.affine_transform(tissue, to_ct, offset, (side,) * 3, order=1, mode="constant")
        transform = np.conj(fft.rfftn(turned, seen.padded))
        n = fft.irfftn(transform * seen.leg, seen.padded)
        s = fft.irfftn(transform * seen.values, seen.padded)
        n = np.maximum(n, 1e-3)
        within = within + s * s / n
        count, sums = count + n, sums + s
        squares = squares + transform
        total += float(turned.sum())
    squares = fft.irfftn(squares * seen.squares, seen.padded)
    count = np.maximum(count, 1e-3)
    all_of_it = np.maximum(squares - sums**2 / count, 1e-6 * count)
    left = np.maximum(squares - within, 1e-3 * count)
    score = np.where(count > LEAST_OVERLAP * total, 0.5 * count / total * np.log(all_of_it / left), -np.inf)
    best = np.unravel_index(np.argmax(score), score.shape)
    shift = np.array([b if b < n - side else b - n for b, n in zip(best, seen.padded, strict=True)], float)
    # Voxel `half` of the turned box, the middle of the CT, lies at voxel shift + half of the MR.
    place = axes.lps(((shift + half) * STEP_MM)[::-1][None])[0]
    return Start(Pose(matrix, place - matrix @ centre), float(score[best]))


def _distinct(starts: list[Start], most: int, centre: np.ndarray) -> list[Start]:
    """The best starts that differ from each other at the middle of the knee, or by their turn."""
    kept: list[Start] = []
    for start in sorted((one for one in starts if np.isfinite(one.score)), key=lambda one: -one.score):
        if not any(_same(start.motion, other.motion, centre) for other in kept):
            kept.append(start)
        if len(kept) == most:
            break
    return kept


def _same(one: Pose, other: Pose, at: np.ndarray) -> bool:
    mm, degrees = apart(one, other, at)
    return mm < APART_MM and degrees < APART_DEG
