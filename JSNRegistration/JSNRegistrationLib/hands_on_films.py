"""The hands of a job, each followed over all its visits: what the finder sees, and joints from a file instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import ndimage

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.joint_files import read_joints
from JSNRegistrationLib.joint_finding.joint_finder import find_hands, finder_in_use
from JSNRegistrationLib.joints import CROP_JOINT, JOINT_NAMES, OBLIQUE, SIDES, Hand, Joint
from JSNRegistrationLib.radiograph import Radiograph

NOISE_BLUR_PX = 2.0
LEAST_SMOOTH_SHARE = 0.5  # of the spread of grey values that outlasts this blur: noise 0.15, films 0.92 and more
REACH = 0.25  # of the extent of a hand's joints: as far beside them a joint may lie and still be of that hand
DEDUCED_SIDE = "The side was read from the picture under the assumption of a posteroanterior view."


@dataclass(frozen=True, eq=False)
class FollowedHand:
    """One hand over all visits; every tuple has an entry for each visit."""

    side: str | None
    found: tuple[Hand | None, ...]  # as the finder sees it, None where it sees no such hand
    joints: tuple[tuple[Joint, ...], ...]  # those that are measured: from the file, else as found
    given: frozenset[str] = frozenset()  # names of the joints that the file gives, for any visit

    @property
    def names(self) -> list[str]:
        """The joints that are looked at: all of a hand that was found, else those of the file."""
        named = {joint.name for joints in self.joints for joint in joints}
        if CROP_JOINT not in named and any(hand is not None for hand in self.found):
            return list(JOINT_NAMES)
        return [name for name in (CROP_JOINT, *JOINT_NAMES) if name in named]

    def turned(self, visit: int) -> bool:
        """Whether the hand lies obliquely on the film of a visit."""
        hand = self.found[visit]
        return hand is not None and hand.view == OBLIQUE


@dataclass(frozen=True, eq=False)
class HandsOnFilms:
    """All hands of a job, left before right. ``finder`` is "network" or "classical", None where none was needed."""

    hands: tuple[FollowedHand, ...]
    finder: str | None
    warnings: tuple[str, ...] = ()


def hands_on_films(request: HandRequest, films: Sequence[Radiograph]) -> HandsOnFilms:
    """Find the hands of all films, lay the joints of the user's file over them, and follow each hand over the visits.

    Films that show one hand at most are films of the same hand, whose side is, in this order: the user's, that of the
    files, that of the joints file, that of the finder. Where a film shows two, hands are the same by their side, and
    the user's side chooses one of them.

    Raises BadInput for a joints file that cannot be used, a film on which no joint is found or given, and a side that
    no film shows.
    """
    seen = _Finder(films, request.device)
    given: list[list[Joint]] = [[] for _ in films]
    if request.joints is not None:
        given = read_joints(request.joints, films, partial(seen.chosen, side=request.side))
        if not any(given):
            raise BadInput(f"{request.joints} names no joint: give at least one, or leave --joints out.")
        if any(joint.name == CROP_JOINT for joints in given for joint in joints):
            side = request.side or next((s for s in _sides(films, given) if s is not None), None)
            return HandsOnFilms((_followed(side, (None,) * len(films), given),), None)
    found = [seen(film) for film in films]
    for film, hands in zip(films, found, strict=True):
        if not hands and request.joints is None:
            raise BadInput(f"No finger joint was found on {film.path}: give a film of a whole hand, or --joints.")
    if _one_hand(films, found, given):
        hands, warnings = _follow_one(request, films, found, given)
    else:
        hands, warnings = _follow_by_side(request, films, found, given)
    warnings += [
        f"Visit {visit + 1} ({film.path.name}): the {_hand_words(hand.side)} is turned (oblique view); joint spaces "
        "are foreshortened, compare only with an oblique film."
        for visit, film in enumerate(films)
        for hand in hands
        if hand.turned(visit)
    ]
    return HandsOnFilms(tuple(hands), finder_in_use(), tuple(warnings))


def _hand_words(side: str | None) -> str:
    return f"{side} hand" if side else "hand"


class _Finder:
    """The hands on each film; each is looked at once."""

    def __init__(self, films: Sequence[Radiograph], device: str):
        self._films, self._device = films, device
        self._found: dict[int, tuple[Hand, ...]] = {}

    def __call__(self, film: Radiograph) -> tuple[Hand, ...]:
        visit = next(k for k, own in enumerate(self._films) if own is film)
        if visit not in self._found:
            hands = () if is_noise(film.pixels) else find_hands(film, self._device)
            self._found[visit] = _with_both_sides([hand for hand in hands if hand.joints])
        return self._found[visit]

    def chosen(self, film: Radiograph, side: str | None) -> tuple[Hand, ...]:
        """The hands of a film, only the one of this side where there are two."""
        hands = self(film)
        return tuple(h for h in hands if side in (None, h.side)) if len(hands) > 1 else hands


def is_noise(pixels: np.ndarray) -> bool:
    """Whether a picture [row, column] holds little but noise."""
    grey = pixels.astype(float)
    return bool(np.std(ndimage.gaussian_filter(grey, NOISE_BLUR_PX)) < LEAST_SMOOTH_SHARE * np.std(grey))


# ---------------------------------------------------------------------------------------------------- films of one hand


def _one_hand(films, found, given) -> bool:
    """Whether all films show one and the same hand at most, as far as can be told."""
    if any(len(hands) > 1 for hands in found) or len({j.side for joints in given for j in joints} - {None}) > 1:
        return False
    # The file may give the hand that the finder missed: then its joints lie beside the one that was found.
    return all(
        joint.side in (None, film.side, hand.side) or _lies_on(joint, hand)
        for film, hands, joints in zip(films, found, given, strict=True)
        for hand in hands
        for joint in joints
    )


def _lies_on(joint: Joint, hand: Hand) -> bool:
    places = np.array([other.position_px for other in hand.joints])
    low, high = places.min(axis=0), places.max(axis=0)
    reach = REACH * np.ptp(places, axis=0).max()
    return bool(np.all((low - reach <= joint.position_px) & (joint.position_px <= high + reach)))


def _follow_one(request, films, found, given) -> tuple[list[FollowedHand], list[str]]:
    seen = tuple(next(iter(hands), None) for hands in found)
    told = request.side or next((side for side in _sides(films, given) if side is not None), None)
    deduced = {hand.side for hand in seen if hand is not None and hand.side is not None}
    warnings = []
    if told is None and deduced:
        warnings.append(DEDUCED_SIDE)
    if told is None and len(deduced) > 1:
        which = ", ".join(f"visit {v + 1} {hand.side}" for v, hand in enumerate(seen) if hand is not None and hand.side)
        warnings.append(f"The films seem to show hands of different sides ({which}): check that they are of one hand.")
    surest = max((h for h in seen if h is not None and h.side), key=lambda h: h.confidence, default=None)
    side = told or (surest.side if surest is not None else None)
    return [_followed(side, seen, given)], warnings


def _sides(films: Sequence[Radiograph], given: Sequence[Sequence[Joint]]) -> list[str | None]:
    """What is known of the side without looking at the picture, the surest first."""
    return [film.side for film in films] + [joint.side for joints in given for joint in joints]


# -------------------------------------------------------------------------------------------------- films of both hands


def _follow_by_side(request, films, found, given) -> tuple[list[FollowedHand], list[str]]:
    warnings = []
    by_side: list[dict[str | None, Hand]] = []
    for film, hands in zip(films, found, strict=True):
        sided = {hand.side: hand for hand in sorted(hands, key=lambda hand: hand.confidence)}
        by_side.append(sided)
        if len(sided) < len(hands):
            warnings.append(
                f"{film.path.name} shows two hands that look like one side: only the surer one is measured."
            )
    if any(side is not None and film.side is None for film, own in zip(films, by_side, strict=True) for side in own):
        warnings.insert(0, DEDUCED_SIDE)
    given = [
        [_sided(request, film, joint, sided) for joint in joints]
        for film, joints, sided in zip(films, given, by_side, strict=True)
    ]
    sides = {side for own in by_side for side in own} | {joint.side for joints in given for joint in joints}
    if request.side is not None:
        if request.side not in sides:
            raise BadInput(
                f"No {request.side} hand was found on {films[0].path} and the films after it: leave --side out."
            )
        sides = {request.side}
    hands = []
    for side in sorted(sides, key=(None, *SIDES).index):
        own = [[joint for joint in joints if joint.side == side] for joints in given]
        hands.append(_followed(side, tuple(sided.get(side) for sided in by_side), own))
    return hands, warnings


def _with_both_sides(hands: Sequence[Hand]) -> tuple[Hand, ...]:
    """Of two hands of which one has no side, that one gets the other side."""
    known = [hand.side for hand in hands if hand.side is not None]
    if len(hands) != 2 or len(known) != 1:
        return tuple(hands)
    other = next(side for side in SIDES if side != known[0])
    return tuple(hand if hand.side is not None else replace(hand, side=other) for hand in hands)


def _sided(request: HandRequest, film: Radiograph, joint: Joint, hands: dict[str | None, Hand]) -> Joint:
    """A joint of the file with its side, which must be said where the film leaves a choice."""
    if joint.side is not None:
        return joint
    sides = [request.side] if request.side is not None else list(hands)
    if len(sides) != 1:
        why = "shows two hands" if sides else "does not tell it"
        raise BadInput(
            f"{request.joints}: joint {joint.name} has no side, and {film.path} {why}; give its side (in Slicer as "
            f"L_{joint.name}), or --side."
        )
    return replace(joint, side=sides[0])


def _followed(side: str | None, found: tuple[Hand | None, ...], given: Sequence[Sequence[Joint]]) -> FollowedHand:
    visits = []
    for hand, joints in zip(found, given, strict=True):
        named = {joint.name: joint for joint in (hand.joints if hand is not None else ())}
        named |= {joint.name: joint for joint in joints}
        visits.append(tuple(replace(joint, side=side) for joint in named.values()))
    return FollowedHand(side, found, tuple(visits), frozenset(joint.name for joints in given for joint in joints))
