"""Which knee of the body it is: by its anatomy, checked against what the image and the user say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

TIBIA, FIBULA = 2, 4
LEAST_MM = 8.0  # between the middles of tibia and fibula from side to side; in a leg that lies straight it is 15 to 30


@dataclass(frozen=True)
class Side:
    """`side` is "left" or "right", None where nothing tells; `told_by`: in words; `warnings`: who says otherwise."""

    side: str | None
    told_by: str
    warnings: tuple[str, ...] = ()


def side_of_bones(labels: Volume) -> str | None:
    """The side of the body of labelled bones (2 tibia, 4 fibula): the fibula is lateral. None where that is not clear.

    Both bones are compared over the slices, nearest to the long axis of the body, that show the fibula.
    """
    along = int(np.argmax(np.abs(np.reshape(labels.direction_lps, (3, 3))[2])[::-1]))
    array = np.moveaxis(labels.array, along, 0)
    both = np.flatnonzero((array == FIBULA).any(axis=(1, 2)) & (array == TIBIA).any(axis=(1, 2)))
    if not len(both):
        return None
    middles = []
    for number in (TIBIA, FIBULA):
        index = np.argwhere(array[both] == number).mean(axis=0)
        index[0] += both[0]
        middles.append(to_lps(np.insert(index[1:], along, index[0]), labels)[0])
    lateral = middles[1] - middles[0]
    if abs(lateral) < LEAST_MM:
        return None
    return "left" if lateral > 0 else "right"


def side_of_knee(by_fibula: str | None, by_place: str | None, by_file: str | None, by_user: str | None) -> Side:
    """The side of a knee from all that tells it, each "left", "right" or None.

    :param by_fibula: by where the fibula lies; it is believed first, for a file may be mirrored or named wrongly.
    :param by_place: by which of the two legs of the image it is.
    :param by_file: by what the DICOM header says.
    :param by_user: as asked for.
    """
    said = {
        "the fibula, which is lateral": by_fibula,
        "--side": by_user,
        "its place beside the other knee": by_place,
        "the laterality in the DICOM header": by_file,
    }
    told = {by: side for by, side in said.items() if side}
    if not told:
        return Side(None, "")
    told_by, side = next(iter(told.items()))
    others = [by for by, other in told.items() if other != side]
    if not others:
        return Side(side, told_by)
    warning = (
        f"This is a {side} knee by {told_by}, but a {_other(side)} one by {' and '.join(others)}: check that the image "
        "is not mirrored and that its header is right."
    )
    return Side(side, told_by, (warning,))


def _other(side: str) -> str:
    return "left" if side == "right" else "right"
