"""What speaks for and against the registration of a joint in two films."""

from __future__ import annotations

from dataclasses import dataclass

from JSNRegistrationLib.bones import CLASSICAL


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against one joint in one pair of films.

    ``similarity`` the smaller correlation of the two bones after registration, ``cover`` the smaller share of a bone
    that the second film shows, ``ways_apart_mm`` the difference between the forward and the backward change (0 where
    both ways are one step), ``se_mm`` the standard error, ``relative_turn_deg`` the turn of one bone against the other,
    ``magnification`` the shared scale beyond the known spacings (1 = none), ``texture`` the smaller correlation of the
    trabeculae inside the bones (None where too little of them shows), ``found`` the smaller confidence with which the
    joint was found, and ``found_reason`` what was wrong there; ``registered_by`` the network or the classical core.
    Millimetres are nominal where the spacing is unknown.
    """

    similarity: float
    cover: float
    ways_apart_mm: float
    se_mm: float
    relative_turn_deg: float
    magnification: float
    found: float
    found_reason: str | None
    texture: float | None = None
    registered_by: str = CLASSICAL
