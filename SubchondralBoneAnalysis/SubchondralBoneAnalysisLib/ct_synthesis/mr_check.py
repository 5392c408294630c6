"""Whether a volume can be an MR of a knee: what is not is said before an hour is spent on it."""

from __future__ import annotations

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.volume import Volume

LABELS = 16  # an image has more values than that
AIR_HU = -500.0  # no MR has such values, and the air around a leg has them in every CT
AIR_SHARE = 0.02
SMALLEST_MM = 30.0  # along an axis: less shows no joint
THICKEST_MM, COARSEST_MM = 4.5, 0.8  # the network has learned up to here

Warnings = tuple[str, ...]


def check_mr(mr: Volume) -> Warnings:
    """What to be careful with, as sentences.

    :raises BadInput: it is a CT, a label map, empty or too small, in one sentence.
    """
    name = mr.path or "the MR"
    few = mr.array[:: max(1, len(mr.array) // 32), ::4, ::4]
    extent = np.multiply(mr.array.shape, mr.spacing_mm)
    if min(mr.array.shape) < 2 or extent.min() < SMALLEST_MM:
        raise BadInput(
            f"{name} is {_times(extent[::-1])} mm large, which shows no knee: give an MR volume of at least "
            f"{SMALLEST_MM:g} mm along each axis."
        )
    if not np.isfinite(few).all():
        raise BadInput(f"{name} has voxels that are NaN or infinite: give every voxel a number.")
    if mr.array.dtype != bool and np.mean(few < AIR_HU) > AIR_SHARE:
        raise BadInput(
            f"{name} has values below {AIR_HU:g}, as the air of a CT in HU has: give the MR here, not the CT."
        )
    values = len(np.unique(few))
    if values == 1:
        raise BadInput(f"{name} is empty (all of its voxels have one value): give the MR of a knee.")
    if values <= LABELS:
        raise BadInput(f"{name} has only {values} values, as a label map has: give the MR image itself.")
    return _warnings(mr)


def _warnings(mr: Volume) -> Warnings:
    across, *within = sorted(mr.spacing_mm, reverse=True)
    said = []
    if across > THICKEST_MM:
        said.append(
            f"The slices of the MR are {across:.1f} mm apart, and the synthetic CT was learned with at most "
            f"{THICKEST_MM:g} mm: bone surfaces between slices are uncertain."
        )
    if max(within) > COARSEST_MM:
        said.append(
            f"The pixels of the MR are {max(within):.2f} mm, and the synthetic CT was learned with at most "
            f"{COARSEST_MM:g} mm: bone surfaces are blurred."
        )
    return tuple(said)


def _times(values: np.ndarray) -> str:
    return " × ".join(f"{value:.0f}" for value in values)
