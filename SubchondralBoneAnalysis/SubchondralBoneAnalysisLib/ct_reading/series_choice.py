"""Which of the series in a folder is the knee CT that is measured, or the sentence that says why none can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.ct_reading.ct_series import LOCALIZER, CtSeries
from SubchondralBoneAnalysisLib.ct_reading.kernels import BONE, SOFT, STANDARD, UNKNOWN
from SubchondralBoneAnalysisLib.ct_reading.voxel_size import LARGEST_MM, SMALLEST_MM

KERNELS = (BONE, STANDARD, UNKNOWN, SOFT)  # the best first
RESOLUTIONS_MM = (0.7, 1.0, np.inf)  # longest edges of voxels between which a better kernel is worth more than size
SAME_PART = 0.5  # of the smaller of two fields of view, that both must show to be pictures of the same part
LISTED = 8
NEEDED = f"give a CT with slices of {SMALLEST_MM} to {LARGEST_MM} mm, reconstructed with a bone or standard kernel"
CHOOSE = "give one file of the series to be measured instead of the folder"


def choose_series(series: Sequence[CtSeries], where: Path) -> tuple[CtSeries, tuple[str, ...]]:
    """The series to be measured, and a warning where there was a choice.

    Axial slices go before reformatted ones, then thin slices, then bone before standard before soft tissue kernels,
    then the smaller voxel.

    :param series: all that were found, at least one.
    :param where: the folder, to be named.
    :raises BadInput: none can be measured, or they show different patients, studies or parts of the body.
    """
    fit = sorted((one for one in series if one.unfit is None), key=_rank)
    if not fit:
        raise BadInput(f"{where} {_why_none(series)}: {NEEDED}.")
    chosen, others = fit[0], fit[1:]
    if others:
        for what, differs in (("patients", "patient"), ("studies", "study")):
            if len({getattr(one.source, differs) for one in fit}) > 1:
                raise BadInput(f"{where} holds CT of different {what}, {_listed(fit)}: {CHOOSE}.")
        if not all(_same_part(chosen, other) for other in others):
            raise BadInput(f"{where} holds CT series of different parts of the body, {_listed(fit)}: {CHOOSE}.")
    seen = [one for one in series if one.source.modality == "CT" and LOCALIZER not in one.source.kind]
    if len(seen) == 1:
        return chosen, ()
    left = [one for one in seen if one is not chosen]
    return chosen, (f"of {len(seen)} CT series {chosen} was measured, and not {_listed(left)}",)


def _rank(series: CtSeries) -> tuple:
    resolution = next(rank for rank, limit in enumerate(RESOLUTIONS_MM) if series.finest_mm <= limit)
    voxel = round(float(np.prod([*series.pixel_mm, np.median(series.places.steps_mm)])), 4)
    number = series.source.number or 0
    return series.is_reformatted, resolution, KERNELS.index(series.kernel), voxel, number, series.source.series


def _same_part(series: CtSeries, other: CtSeries) -> bool:
    (low, high), (other_low, other_high) = series.box, other.box
    common = np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0.0, None)
    smaller = min(np.prod(high - low), np.prod(other_high - other_low))
    return bool(np.prod(common) >= SAME_PART * smaller)


def _why_none(series: Sequence[CtSeries]) -> str:
    if len(series) == 1:
        return f"cannot be measured, as its {series[0]} {series[0].unfit}"
    whole = [one for one in series if one.source.modality == "CT" and LOCALIZER not in one.source.kind]
    if len(whole) == 1:  # beside localizers and objects without slices there is only this one to speak of
        return f"cannot be measured, as its {whole[0]} {whole[0].unfit}"
    reasons = "; ".join(f"{one} {one.unfit}" for one in list(series)[:LISTED])
    more = f"; and {len(series) - LISTED} more" if len(series) > LISTED else ""
    return f"holds no CT that can be measured ({reasons}{more})"


def _listed(series: Sequence[CtSeries]) -> str:
    names = [str(one) for one in series[:LISTED]]
    if len(series) > LISTED:
        names.append(f"{len(series) - LISTED} more")
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
