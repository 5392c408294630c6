"""How well the MR shows, place by place around the bones, what the CT lets expect there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to
from SubchondralBoneAnalysisLib.bone_finding.knee_grid import on_grid_of
from SubchondralBoneAnalysisLib.bone_registration.blended_motion import bone_motions, ct_on_mr_grid
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

STEP_MM = 0.8
WINDOW_SD_MM = 1.5  # of a Gaussian that is about as wide as a window of 5 mm
NEAR_BONE_MM = 5.0  # of the surface of a bone, inside and outside
LEAST_STRUCTURE_HU = 60.0  # standard deviation of the CT in a window, below which there is nothing to agree on
LEAST_KNOWN = 0.5
RIDGE = 1e-3


def local_agreement(
    ct: Volume, labels: Volume, mr: Volume, synthetic: Volume | None, transforms: Mapping[str, sitk.Transform]
) -> Volume:
    """The agreement of CT and MR, float32 on the grid of the MR, 0 (none) to 1; NaN where nothing can be said.

    With a synthetic CT it is its correlation with the CT in a window of about 5 mm, 0 where that is negative. Without,
    it is the multiple correlation of the MR with the HU of the CT and the share of bone, so that any contrast will do.
    It is told within 5 mm of the surface of a bone, where the CT is known and has structure.

    :param labels: bones of the CT, on its grid.
    :param transforms: of each bone, from the CT to the MR, LPS mm.
    """
    seen = _coarse(mr if synthetic is None else synthetic)
    motions = bone_motions(labels, transforms)
    bone = Volume(labels.array > 0, labels.spacing_mm, labels.origin_lps, labels.direction_lps)
    hu, known = _through_slices(_coarse(ct), labels, transforms, seen, motions)
    share, _ = _through_slices(_coarse(bone), labels, transforms, seen, motions)

    sds = [WINDOW_SD_MM / mm for mm in seen.spacing_mm]
    weight = known.astype(np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, sds, mode="nearest", truncate=2.5)

    total = np.maximum(mean(weight), 1e-3)
    predictors = [hu] if synthetic is not None else [hu, share]
    correlation, spread = _correlation(seen.array, predictors, lambda values: mean(weight * values) / total)

    outside, inside = distance_to(share > 0.5, seen.spacing_mm), distance_to(share <= 0.5, seen.spacing_mm)
    told = known & (total > LEAST_KNOWN) & (np.maximum(outside, inside) < NEAR_BONE_MM) & (spread > LEAST_STRUCTURE_HU)
    return _on_fine_grid(correlation, told, seen, mr)


def _coarse(volume: Volume) -> Volume:
    """The volume averaged over blocks of voxels about `STEP_MM` large, float32."""
    blocks = [max(1, min(round(STEP_MM / mm), n)) for mm, n in zip(volume.spacing_mm, volume.array.shape, strict=True)]
    whole = [n // b * b for n, b in zip(volume.array.shape, blocks, strict=True)]
    array = volume.array[tuple(slice(0, n) for n in whole)].astype(np.float32)
    for axis, block in enumerate(blocks):
        shape = (*array.shape[:axis], array.shape[axis] // block, block, *array.shape[axis + 1 :])
        array = array.reshape(shape).mean(axis=axis + 1)
    return Volume(
        array,
        tuple(mm * block for mm, block in zip(volume.spacing_mm, blocks, strict=True)),
        tuple(to_lps((np.array(blocks) - 1) / 2, volume).tolist()),
        volume.direction_lps,
    )


def _through_slices(source: Volume, labels: Volume, transforms: Mapping, grid: Volume, motions) -> tuple:
    """Values on the grid of the MR, averaged through the thickness of its slices, and where all of that is known."""
    thick = int(np.argmax(grid.spacing_mm))
    parts = max(1, round(grid.spacing_mm[thick] / STEP_MM))
    total, known = np.zeros(grid.array.shape, np.float32), np.ones(grid.array.shape, bool)
    for part in range(parts):
        index = np.zeros(3)
        index[thick] = (part + 0.5) / parts - 0.5
        moved = Volume(grid.array, grid.spacing_mm, tuple(to_lps(index, grid).tolist()), grid.direction_lps)
        values, there = ct_on_mr_grid(source, labels, transforms, moved, motions=motions, outside=0)
        total += values.array / parts
        known &= there.array
    return total, known


def _correlation(seen: np.ndarray, predictors: list[np.ndarray], mean) -> tuple[np.ndarray, np.ndarray]:
    """(Multiple) correlation in windows, 0 to 1, and the standard deviation of the first predictor in them."""
    mean_seen, means = mean(seen), [mean(p) for p in predictors]
    variance = np.maximum(mean(seen * seen) - mean_seen**2, 1e-9)
    cross = [mean(seen * p) - mean_seen * m for p, m in zip(predictors, means, strict=True)]
    squares = [np.maximum(mean(p * p) - m * m, 1e-9) for p, m in zip(predictors, means, strict=True)]
    spread = np.sqrt(squares[0])
    if len(predictors) == 1:
        return np.clip(cross[0] / np.sqrt(squares[0] * variance), 0, 1), spread
    both = mean(predictors[0] * predictors[1]) - means[0] * means[1]
    first, second = squares[0] * (1 + RIDGE), squares[1] * (1 + RIDGE)
    explained = second * cross[0] ** 2 - 2 * both * cross[0] * cross[1] + first * cross[1] ** 2
    return np.sqrt(np.clip(explained / np.maximum((first * second - both**2) * variance, 1e-9), 0, 1)), spread


def _on_fine_grid(values: np.ndarray, told: np.ndarray, coarse: Volume, fine: Volume) -> Volume:
    """Between the coarse voxels that are told; NaN where more than half of what is around is not."""
    total, part = (
        on_grid_of(Volume(array, coarse.spacing_mm, coarse.origin_lps, coarse.direction_lps), fine)
        for array in (np.where(told, values, 0).astype(np.float32), told.astype(np.float32))
    )
    array = np.full(part.shape, np.nan, np.float32)
    np.divide(total, part, out=array, where=part > 0.5)
    return Volume(np.clip(array, 0, 1, out=array), fine.spacing_mm, fine.origin_lps, fine.direction_lps)
