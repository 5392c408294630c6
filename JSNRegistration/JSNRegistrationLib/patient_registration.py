"""Every joint of a patient registered in every pair of its visits: by the network where it can run, else without it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from JointQuantLib import devices
from JointQuantLib.job import Progress
from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.registration import TOO_LITTLE_SEEN, JointRegistration, PreparedCrop, prepare, register
from JSNRegistrationLib.registration_network import NETWORK

RegisteredPairs = dict[tuple[int, int], JointRegistration | str]


def register_patient(
    joints: Sequence[Sequence[JointCrop | None]],
    spacings_mm: Sequence[float | None],
    device: str,
    progress: Progress,
) -> list[RegisteredPairs]:
    """For each joint, every pair of visits that show it: the registration of its crops, or why there is none.

    ``joints`` holds a crop of each visit, ``spacings_mm`` those of the films, None where unknown. Raises BadInput for a
    device that is not there and for weights that are damaged, Cancelled when the user stops the job.
    """
    pairs = [
        (number, a, b)
        for number, crops in enumerate(joints)
        for a, b in combinations(range(len(crops)), 2)
        if crops[a] is not None and crops[b] is not None
    ]
    way = _by_network if NETWORK.available() else _one_by_one
    found: list[RegisteredPairs] = [{} for _ in joints]
    for (number, a, b), answer in zip(pairs, way(joints, pairs, spacings_mm, device, progress), strict=True):
        found[number][a, b] = answer
    return found


def _by_network(joints, pairs, spacings_mm, device: str, progress: Progress) -> list[JointRegistration | str]:
    from JSNRegistrationLib.network_registration import register_joints

    crops = [(joints[number][a], joints[number][b]) for number, a, b in pairs]
    known = [bool(spacings_mm[a] and spacings_mm[b]) for _, a, b in pairs]

    def work(where: str):
        where = devices.CPU if where == "mps" else where  # has no double precision, which the steps need
        return register_joints(crops, known, NETWORK.network(where), where, said)

    def said(done: float) -> None:
        progress.step(done, "Registering the bones")

    found, _ = devices.run_with_fallback(work, device)
    return [_reason(answer) if isinstance(answer, str) else answer for answer in found]


def _one_by_one(joints, pairs, spacings_mm, _: str, progress: Progress) -> list[JointRegistration | str]:
    prepared: dict[tuple[int, int], PreparedCrop] = {}
    found = []
    for done, (number, a, b) in enumerate(pairs):
        progress.step(done / len(pairs), f"Registering joint {number + 1} of {len(joints)}")
        for visit in (a, b):
            if (number, visit) not in prepared:
                prepared[number, visit] = prepare(joints[number][visit], spacings_mm[visit])
        found.append(_registered(prepared[number, a], prepared[number, b]))
    return found


def _registered(first: PreparedCrop, second: PreparedCrop) -> JointRegistration | str:
    try:
        return register(first, second)
    except np.linalg.LinAlgError:  # before ValueError, of which it is a kind
        return _reason(TOO_LITTLE_SEEN)
    except ValueError as error:
        return _reason(error)


def _reason(why: object) -> str:
    return f"the bones could not be registered ({why})"
