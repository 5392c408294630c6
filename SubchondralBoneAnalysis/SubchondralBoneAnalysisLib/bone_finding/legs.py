"""The legs in a CT: one box of voxels for each, in which nothing of the other leg is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.bone_shells import pieces
from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of, upright
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps

VOXEL_MM, SMOOTHING_MM = 2.0, 1.0
# Streaks between two knees of metal join them at the lower ones.
BONE_HU = (200.0, 300.0, 450.0, 700.0, 1000.0, 1500.0)
LEAST_PIECE_MM3 = 300.0
WIDEST_MM = 120.0  # of the bones of one leg across an axial slice; two knees side by side are wider
FARTHEST_MM = 40.0  # from one bone of a leg to the next: the shafts of tibia and fibula
LEAST_LEG_MM3 = 8000.0  # of what is bright: less is no knee
LEAST_SHARE = 0.35  # of the larger leg: a leg that has less is seen in part only
MARGIN_MM = 30.0  # around the bones of a leg
AIR_HU = -1024


@dataclass(frozen=True, eq=False)
class Leg:
    """One leg of a CT.

    :param volume: its part of the CT, HU; air where the other leg was.
    :param box: where this lies in the array [k, j, i] of the CT.
    :param side_in_image: "left" or "right" as it lies in the patient by the orientation of the CT, of two legs; None
        where there is one.
    :param warnings: sentences.
    """

    volume: Volume
    box: tuple[slice, slice, slice]
    side_in_image: str | None = None
    warnings: tuple[str, ...] = ()


def legs_in(ct: Volume) -> list[Leg]:
    """The legs in a CT, that on the patient's right first.

    Bones are of one leg where they lie near each other and are together no wider than a knee; what is around them is
    of the leg whose bones are nearer. Where skin, a table or clothing touch does not matter. Of a leg that is in the
    volume in part only the other one says so. A volume without two legs is one, whatever it shows.

    :param ct: HU [k, j, i], in any orientation.
    """
    grid = upright(ct, VOXEL_MM, SMOOTHING_MM)
    bones = grouped(_bone_pieces(grid.array))
    sizes = np.bincount(bones.ravel(), minlength=2)[1:] * VOXEL_MM**3
    large = [n for n, mm3 in enumerate(sizes, 1) if mm3 >= max(LEAST_LEG_MM3, LEAST_SHARE * sizes.max())]
    if not large:
        return [Leg(ct, tuple(slice(0, n) for n in ct.array.shape))]
    if len(large) > 2:  # no legs: the two largest are, if anything is
        large = sorted(sorted(large, key=lambda n: -sizes[n - 1])[:2])
    large.sort(key=lambda n: np.nonzero(bones == n)[2].mean())
    parts = [n for n, mm3 in enumerate(sizes, 1) if n not in large and mm3 >= LEAST_LEG_MM3 / 4]
    warnings = ()
    if parts and len(large) == 1:
        warnings = ("a part of another leg is in the volume, too little of it to be measured: it was left out",)
    sides = ("right", "left") if len(large) == 2 else (None,)
    owner = _nearest(bones, [*large, *parts])
    return [
        _leg(ct, grid, bones == number, None if len(large) + len(parts) == 1 else owner == number, side, warnings)
        for number, side in zip(large, sides, strict=True)
    ]


def grouped(bones: np.ndarray) -> np.ndarray:
    """Labels 1, 2, ... [k, j, i] of pieces of bone, on cubic voxels of `VOXEL_MM`, as those of legs.

    The nearest pieces come together first, unless they would be wider than a knee in an axial slice.
    """
    numbers = list(range(1, int(bones.max()) + 1))
    gaps = []
    for a in numbers:
        away = ndimage.distance_transform_edt(bones != a, sampling=VOXEL_MM)
        nearest = ndimage.minimum(away, bones, numbers)
        gaps += [(float(gap), a, b) for b, gap in zip(numbers, nearest, strict=True) if b > a and gap <= FARTHEST_MM]
    leg = {number: number for number in numbers}
    for _, a, b in sorted(gaps):
        one, other = leg[a], leg[b]
        together = np.isin(bones, [n for n in numbers if leg[n] in (one, other)])
        if one != other and _width_mm(together) <= WIDEST_MM:
            leg = {number: one if own == other else own for number, own in leg.items()}
    order = {own: n for n, own in enumerate(dict.fromkeys(leg.values()), 1)}
    return np.array([0, *(order[leg[number]] for number in numbers)])[bones]


def _bone_pieces(hu: np.ndarray) -> np.ndarray:
    """Labels [k, j, i] of what is bright, no piece wider than a knee if there is such a threshold."""
    for threshold in BONE_HU:
        bones = pieces(hu > threshold, LEAST_PIECE_MM3, VOXEL_MM)
        boxes = ndimage.find_objects(bones)
        if all(_width_mm(bones[box] == n) <= WIDEST_MM for n, box in enumerate(boxes, 1)):
            return bones
    return pieces(hu > BONE_HU[0], LEAST_PIECE_MM3, VOXEL_MM)


def _width_mm(mask: np.ndarray) -> float:
    """How wide (along i) it is in its widest axial slices; a few may be wider, as metal with its streaks is."""
    across = mask.any(axis=1)
    across = across[across.any(axis=1)]
    first, last = across.argmax(axis=1), across.shape[1] - 1 - across[:, ::-1].argmax(axis=1)
    return float(np.percentile(last - first + 1, 95) * VOXEL_MM)


def _nearest(bones: np.ndarray, numbers: list[int]) -> np.ndarray:
    """The number of the nearest of some labels [k, j, i]."""
    away = [ndimage.distance_transform_edt(bones != number).astype(np.float32) for number in numbers]
    return np.array(numbers)[np.argmin(away, axis=0)]


def _leg(
    ct: Volume, grid: Volume, bone: np.ndarray, own: np.ndarray | None, side: str | None, warnings: tuple[str, ...]
) -> Leg:
    """Cut a leg from the CT by its bones and what is its own on the upright grid."""
    low, high = (end(np.argwhere(bone), axis=0) for end in (np.min, np.max))
    reach = MARGIN_MM / VOXEL_MM
    # All slices: the shafts go on, and what lies above and below is looked at.
    ends = np.array([[-1, low[1] - reach, low[2] - reach], [len(bone), high[1] + reach, high[2] + reach]])
    corners = np.array([[ends[c[axis], axis] for axis in range(3)] for c in np.ndindex(2, 2, 2)])
    index = to_index(to_lps(corners, grid), ct)
    first = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0)), np.array(ct.array.shape) - 1).astype(int)
    box = tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
    part = replace(ct, array=ct.array[box], origin_lps=tuple(to_lps(first, ct).tolist()))
    if own is None:
        return Leg(part, box, side, warnings)
    inside = sitk.Resample(
        image_of(replace(grid, array=own)),
        image_of(replace(part, array=np.broadcast_to(np.uint8(0), part.array.shape))),
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
        1.0,  # beyond the upright grid, at the rim, nobody else is
    )
    alone = np.where(sitk.GetArrayViewFromImage(inside) > 0, part.array, part.array.dtype.type(AIR_HU))
    return Leg(replace(part, array=alone), box, side, warnings)
