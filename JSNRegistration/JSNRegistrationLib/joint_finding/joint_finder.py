"""The hands on a film and their joints: by the network where it is installed, else by the classical finder."""

from __future__ import annotations

from JSNRegistrationLib.joint_finding import classical_finder, network_finder
from JSNRegistrationLib.joints import PA, Hand
from JSNRegistrationLib.radiograph import Radiograph

NETWORK, CLASSICAL = "network", "classical"


def finder_in_use() -> str:
    """NETWORK where torch is installed and the weights are there, else CLASSICAL, which sees one hand only."""
    return NETWORK if network_finder.NETWORK.available() else CLASSICAL


def find_hands(film: Radiograph, device: str = "auto") -> tuple[Hand, ...]:
    """The hands on a film, from left to right; none where no joint is found.

    Raises BadInput for a device that is not there and for damaged weights.
    """
    if finder_in_use() == NETWORK:
        return network_finder.find_hands(film, device)
    joints = tuple(classical_finder.find_joints(film))
    return (Hand(joints[0].side, PA, joints, max(j.confidence for j in joints)),) if joints else ()
