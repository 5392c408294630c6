"""Which joints are measured, and the crop of each in every film: found, read from a file, or given as single joints."""

from __future__ import annotations

from collections.abc import Sequence

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import crop_from_masks, cut_joint
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.joint_measurement import SeenJoint
from JSNRegistrationLib.joints import CROP_JOINT, JOINT_NAMES, Joint, find_joints, read_joints
from JSNRegistrationLib.mask_file import read_mask
from JSNRegistrationLib.radiograph import Radiograph

NOT_FOUND = "the joint was not found"
LEAST_CROP_CONFIDENCE = 0.2  # below: a picture of a joint without two bones


def joints_on_films(request: HandRequest, films: Sequence[Radiograph]) -> dict[str, tuple[str | None, list[SeenJoint]]]:
    """Every joint to be measured: its name, its side, and how it is seen in each film.

    Raises BadInput for a joints file or masks that cannot be used, for a crop without a bone, and for films on which no
    joint is found.
    """
    if request.joint_crop:
        name = request.name or CROP_JOINT
        return {name: (request.side or films[0].side, _single_joint(request, films, name))}
    if request.joints is not None:
        visits = read_joints(request.joints, films)
        names = [name for name in JOINT_NAMES if any(joint.name == name for joints in visits for joint in joints)]
    else:
        visits, names = [find_joints(film) for film in films], list(JOINT_NAMES)
        empty = next((film for film, joints in zip(films, visits, strict=True) if not joints), None)
        if empty is not None:
            raise BadInput(f"No finger joint was found on {empty.path}: give a film of a whole hand, or --joints.")
    if request.only:
        names = [name for name in JOINT_NAMES if name in request.only]
    return {name: _one_joint(name, visits, films) for name in names}


def _one_joint(name: str, visits: Sequence[Sequence[Joint]], films: Sequence[Radiograph]):
    found = [next((joint for joint in joints if joint.name == name), None) for joints in visits]
    seen = [
        SeenJoint(None, NOT_FOUND) if joint is None else SeenJoint(cut_joint(film, joint))
        for film, joint in zip(films, found, strict=True)
    ]
    sides = [film.side for film in films] + [joint.side for joint in found if joint is not None]
    return next((side for side in sides if side is not None), None), seen


def _single_joint(request: HandRequest, films: Sequence[Radiograph], name: str) -> list[SeenJoint]:
    if request.upper_masks and request.lower_masks:
        return [
            SeenJoint(crop_from_masks(film, read_mask(upper), read_mask(lower), name, request.side))
            for film, upper, lower in zip(films, request.upper_masks, request.lower_masks, strict=True)
        ]
    seen = []
    for film in films:
        rows, columns = film.pixels.shape
        middle = ((columns - 1) / 2, (rows - 1) / 2)
        crop = cut_joint(film, Joint(name, request.side, middle, (0.0, -1.0)))
        if crop.confidence < LEAST_CROP_CONFIDENCE:
            raise BadInput(
                f"{film.path} shows no two bones of a joint ({crop.reason}): give a film with the joint in its "
                "middle and the finger pointing up, or masks of both bones."
            )
        seen.append(SeenJoint(crop))
    return seen
