"""Whether a joint of one visit is the joint of that name in another: told from where the joints of a hand lie.

Between two films of one hand its joints move together: one turn, one scale and one shift (never a reflection), by which
the palm is carried. On top of that a finger may be spread or bent anew. What neither explains is another joint, or the
same one at a wrong place.

All lengths are in millimetres of a hand of usual size: the scale of a hand is the median, over all pairs of its joints,
of their distance on the film over their usual distance. So it needs no pixel spacing, it is the same for a child and
for an adult, and less than a third of wrong joints do not change it by much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from JSNRegistrationLib.bones import typical_width_mm
from JSNRegistrationLib.joints import FINGER_JOINTS, JOINT_NAMES, Joint
from JSNRegistrationLib.usual_hand import USUAL_PLACES_MM

# How far a joint may lie from where the whole hand carries it (mm), when that whole is looked for: fingers are spread.
LOOSENESS_MM = {"MCP": 4.0, "MCP1": 8.0, "IP1": 12.0, "PIP": 9.0, "DIP": 13.0}
MOST_PALM_MM = {"MCP": 6.0, "MCP1": 14.0}  # an MCP joint, when the palm is known; the thumb moves in its own joint too
MOST_SPREAD_DEG = {"MCP": 19.0, "MCP1": 26.0}  # turn of the first bone of a finger against the palm; MCP1: of a thumb
MOST_BEND_DEG = 14.0  # turn of a bone of a finger against the one before it
MOST_LONGER = 0.22  # share by which two joints of a finger are farther from or nearer to each other: it may be bent
SLACK_MM = 3.0  # by which each of two joints may be misplaced in both films together, turned into degrees and shares
LEAST_AGREEING = 3  # joints, and half of all that both visits have: else no whole is known

ALIKE = 0.3  # misfits nearer to each other than this do not tell which joint is wrong

SAME_PLACE = 0.4  # of a bone width: two joints nearer to each other cannot both be right
OUT_OF_ORDER = 0.25  # of a bone width: as far may neighbouring fingers lie the wrong way round


def doubts_between(first: Sequence[Joint], second: Sequence[Joint], first_visit: int) -> dict[str, str]:
    """Why a joint of the second film may not be that of the first: a sentence by the name of the joint.

    :param first, second: the joints of one hand on two films, at most one of each name.
    :param first_visit: 0-based, for the sentence.

    With fewer than three joints on both films nothing can be told. With three, or with no more than half of the joints
    agreeing, it can be told that they do not fit but not which one is wrong: then all are doubted.
    """
    before, after = _places(first), _places(second)
    names = [name for name in JOINT_NAMES if name in before and name in after]
    if len(names) < LEAST_AGREEING:
        return {}
    visit = f"visit {first_visit + 1}"
    moved = _moved(names, before, after)
    if moved is None:
        return dict.fromkeys(
            names, f"the joints of the hand do not lie to each other as in {visit}: check their positions and the side"
        )
    return {
        name: f"{name} lies elsewhere on the hand than in {visit}: it may be another joint; check its position"
        for name in names
        if name in moved
    }


def doubts_within(joints: Sequence[Joint]) -> dict[str, str]:
    """Why a joint of one film may be wrong: at the place of another one, or in the wrong finger; sentences by name."""
    places = _places(joints)
    names = [name for name in JOINT_NAMES if name in places]
    scale = hand_scale(places)
    if scale is None:
        return {}
    doubts: dict[str, list[str]] = {}
    for a, b in combinations(names, 2):
        width = min(typical_width_mm(a), typical_width_mm(b)) * scale
        if np.hypot(*(places[a] - places[b])) < SAME_PLACE * width:
            for name in (a, b):
                doubts.setdefault(name, []).append(f"{a} and {b} are at the same place: check their positions")
    for name in sorted(_out_of_order(places, scale), key=JOINT_NAMES.index):
        doubts.setdefault(name, []).append(
            f"{name} is not in its place in the order of the fingers: it may be of another finger; check its position"
        )
    return {name: "; ".join(sentences) for name, sentences in doubts.items()}


def hand_scale(places: Mapping[str, np.ndarray]) -> float | None:
    """Film pixels a millimetre of a hand of usual size; None for fewer than two joints, or joints all at one place."""
    ratios = [
        np.hypot(*(places[a] - places[b])) / np.hypot(*np.subtract(USUAL_PLACES_MM[a], USUAL_PLACES_MM[b]))
        for a, b in combinations(places, 2)
    ]
    scale = float(np.median(ratios)) if ratios else 0.0
    return scale if scale > 0 else None


def _places(joints: Sequence[Joint]) -> dict[str, np.ndarray]:
    return {joint.name: np.array(joint.position_px, float) for joint in joints if joint.name in USUAL_PLACES_MM}


# ------------------------------------------------------------------------------------------------- between two films


def _moved(names: list[str], before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str] | None:
    """The joints that moved as no hand moves; None where too few agree on how the hand moved."""
    scale = hand_scale({name: after[name] for name in names})
    if scale is None:
        return None
    there = {name: after[name] / scale for name in names}
    carried = _carried_by_the_hand(names, before, there)
    if carried is None:
        return None
    wrong = set()
    for finger, own in FINGER_JOINTS.items():
        present = [name for name in own if name in carried]
        wrong |= set(present) - _plausible(finger, present, carried, there)
    agreeing = len(names) - len(wrong)
    return wrong if agreeing >= LEAST_AGREEING and 2 * agreeing > len(names) else None


def _carried_by_the_hand(names, before, there) -> dict[str, np.ndarray] | None:
    """Where the similarity on which most joints agree brings the joints of the first film; mm of the second hand.

    Every pair of joints proposes the similarity that carries the two exactly; the one that the others gainsay least is
    fitted again to all that agree with it. None where these are too few.
    """
    first = np.array([complex(*before[name]) for name in names])
    second = np.array([complex(*there[name]) for name in names])
    loose = np.array([_by_kind(LOOSENESS_MM, name) for name in names])

    def misfit(similarity: tuple[complex, complex]) -> np.ndarray:
        return np.abs(similarity[0] * first + similarity[1] - second) / loose

    proposed = []
    for a, b in combinations(range(len(names)), 2):
        if first[a] != first[b]:
            turn = (second[b] - second[a]) / (first[b] - first[a])
            proposed.append((turn, second[a] - turn * first[a]))
    if not proposed:
        return None
    best = min(proposed, key=lambda similarity: float(np.sum(np.minimum(misfit(similarity), 1.0) ** 2)))
    for _ in range(3):
        weight = (misfit(best) < 1.0) / loose**2
        if np.count_nonzero(weight) < LEAST_AGREEING:
            return None
        best = _fitted(first, second, weight)
    return {name: np.array([z.real, z.imag]) for name, z in zip(names, best[0] * first + best[1], strict=True)}


def _fitted(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> tuple[complex, complex]:
    """Turn and scale (one complex number) and shift that carry the first points onto the second, least squares."""
    weight = weight / weight.sum()
    middle, there = weight @ first, weight @ second
    away = first - middle
    turn = (weight * away.conj()) @ (second - there) / (weight @ np.abs(away) ** 2)
    return turn, there - turn * middle


def _plausible(finger: int, present: list[str], carried, there) -> set[str]:
    """The largest set of joints of a finger that can be where they are; where several fit alike, what they share."""
    for size in range(len(present), 0, -1):
        misfits = {kept: _misfit(finger, kept, carried, there) for kept in combinations(present, size)}
        least = min(misfits.values())
        if least <= 1.0:
            return set.intersection(*(set(kept) for kept, misfit in misfits.items() if misfit <= least + ALIKE))
    return set()


def _misfit(finger: int, kept: Sequence[str], carried, there) -> float:
    """How far these joints are from what the palm, the spread of the finger and its bends allow; 1 is the limit."""
    root = FINGER_JOINTS[finger][0]
    misfits = [0.0]
    if root in kept:
        misfits.append(np.hypot(*(there[root] - carried[root])) / _by_kind(MOST_PALM_MM, root))
    # The finger starts at its own MCP joint, else where the palm says that this is, else nowhere.
    before = carried.get(root)
    here = there[root] if root in kept else before
    turned = None
    for name in (name for name in kept if name != root):
        if before is None:
            misfits.append(np.hypot(*(there[name] - carried[name])) / (_by_kind(LOOSENESS_MM, name) + SLACK_MM))
        else:
            usual, seen = carried[name] - before, there[name] - here
            slack = SLACK_MM / np.hypot(*usual)
            most = MOST_BEND_DEG if turned is not None else _by_kind(MOST_SPREAD_DEG, root)
            turn = _angle_deg(usual, seen)
            misfits.append(abs(turn - (turned or 0.0)) / (most + np.degrees(slack)))
            misfits.append(abs(np.hypot(*seen) / np.hypot(*usual) - 1.0) / (MOST_LONGER + slack))
            turned = turn
        before, here = carried[name], there[name]
    return float(max(misfits))


def _angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """By how much b is turned against a, -180 to 180."""
    return float(np.degrees(np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b)))


def _by_kind(table: Mapping[str, float], name: str) -> float:
    return table.get(name) or table.get(name[:-1]) or table["MCP"]


# ---------------------------------------------------------------------------------------------------- within one film


def _out_of_order(places: Mapping[str, np.ndarray], scale: float) -> set[str]:
    """Joints that lie on the wrong side of a neighbour, row by row from the index to the little finger.

    The direction across the hand is that from the first to the last joint of the row. Of the joints of a broken row the
    largest set in order stays; where there are several, what they share.
    """
    wrong: set[str] = set()
    for kind in ("MCP", "PIP", "DIP"):
        row = [f"{kind}{finger}" for finger in (2, 3, 4, 5) if f"{kind}{finger}" in places]
        if len(row) < 3:
            continue
        across = places[row[-1]] - places[row[0]]
        along = {name: float(places[name] @ across) / max(float(np.hypot(*across)), 1e-9) for name in row}
        least = -OUT_OF_ORDER * typical_width_mm(row[0]) * scale
        wrong |= set(row) - _in_order(row, along, least)
    return wrong


def _in_order(row: Sequence[str], along: Mapping[str, float], least: float) -> set[str]:
    def fits(kept: Iterable[str]) -> bool:
        return all(along[b] - along[a] > least for a, b in combinations(kept, 2))

    for size in range(len(row), 0, -1):
        sets = [set(kept) for kept in combinations(row, size) if fits(kept)]
        if sets:
            return set.intersection(*sets)
    return set()
