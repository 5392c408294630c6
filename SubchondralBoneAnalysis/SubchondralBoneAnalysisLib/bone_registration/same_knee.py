"""Whether an MR shows the knee of the CT at all: not the other knee, and not that of somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.bone_registration.quality import BoneQuality
from SubchondralBoneAnalysisLib.volume import Volume

BOTH = ("femur", "tibia")  # the patella is nearly its own mirror image, and too small to tell two people apart
MOST_MISFIT = 0.67  # mean of both bones; of the same knee it was 0.57 at the most, of others 0.77 and more
CLEARLY_BETTER = 0.7  # of the misfit, below which the mirrored MR has to be


def mirrored(volume: Volume) -> Volume:
    """The volume with left and right of the patient exchanged, on the same grid.

    It is turned round along the axis that runs nearest to left and right; the rest is for the registration.
    """
    axis = int(np.argmax(np.abs(np.reshape(volume.direction_lps, (3, 3))[0])))
    return replace(volume, array=np.flip(volume.array, 2 - axis))


def looks_amiss(qualities: Mapping[str, BoneQuality]) -> bool:
    """Whether femur or tibia fit so badly that the MR may be of another knee: then the mirrored MR is worth a try."""
    seen = _seen(qualities)
    return any(one.verdict == "mismatch" for one in seen.values()) or _misfit(seen) > MOST_MISFIT


def mirrored_better(as_it_is: Mapping[str, BoneQuality], mirror_image: Mapping[str, BoneQuality]) -> bool:
    """Whether the bones of the CT fit the mirrored MR clearly better than the MR as it is.

    :param as_it_is: quality of the bones after registration with the MR (or its synthetic CT).
    :param mirror_image: the same after registration with it `mirrored`.
    """
    bones = [bone for bone in BOTH if bone in as_it_is and bone in mirror_image]
    if not bones or any(mirror_image[bone].verdict in ("mismatch", "outside") for bone in bones):
        return False
    here, there = (_misfit({bone: part[bone] for bone in bones}) for part in (as_it_is, mirror_image))
    return there < CLEARLY_BETTER * here


def check_same_knee(qualities: Mapping[str, BoneQuality], mirrored_better: bool, side: str, mr: str = "the MR") -> None:
    """Refuse an MR of another knee.

    :param qualities: by bone, after registration.
    :param mirrored_better: as found by `mirrored_better`.
    :param side: of the knee in the CT, "left" or "right".
    :param mr: how the file is called.
    :raises BadInput: the MR shows the other knee, or the shapes of femur and tibia are not those of the CT.
    """
    if mirrored_better:
        other = "left" if side == "right" else "right"
        raise BadInput(f"{mr} shows a {other} knee, the CT a {side} one: give the MR of the same knee.")
    seen = _seen(qualities)
    if not seen:
        raise BadInput(f"{mr} shows neither femur nor tibia of the CT: give the MR of the same knee.")
    # Of one bone alone less can be told.
    too_much = _misfit(seen) > MOST_MISFIT if len(seen) > 1 else next(iter(seen.values())).verdict == "mismatch"
    if too_much:
        names, apart = " and ".join(seen), " and ".join(f"{one.surface_median_mm:.1f} mm" for one in seen.values())
        raise BadInput(
            f"{mr} is not of the same knee: after registration the surfaces of {names} lie {apart} (median) from where "
            "the CT has them, and no motion makes them fit: give the MR that belongs to the CT."
        )


def _seen(qualities: Mapping[str, BoneQuality]) -> dict[str, BoneQuality]:
    return {bone: qualities[bone] for bone in BOTH if bone in qualities and qualities[bone].verdict != "outside"}


def _misfit(qualities: Mapping[str, BoneQuality]) -> float:
    return float(np.mean([one.misfit for one in qualities.values()])) if qualities else 0.0
