"""Which joints are measured, and the crop of each in every film: found, read from a file, or given as single joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import JointCrop, crop_from_masks, cut_joint
from JSNRegistrationLib.film_reading.mask_file import read_mask
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.joint_files import read_joints
from JSNRegistrationLib.joint_finding.joint_finder import find_joints
from JSNRegistrationLib.joint_measurement import SeenJoint
from JSNRegistrationLib.joints import CROP_JOINT, JOINT_NAMES, Joint
from JSNRegistrationLib.radiograph import Radiograph

NOT_FOUND = "the joint was not found"
NOISE_BLUR_PX = 2.0
LEAST_SMOOTH_SHARE = 0.5  # of the spread of grey values that outlasts this blur: noise 0.15, films 0.92 and more

# A picture of one joint. Measured on 319 real films of joints and on gradients and noise without any bone.
LEAST_CROP_CONFIDENCE = 0.2
STEEPEST_TISSUE = 0.22  # share of the contrast of a picture within 1 mm: gradients up to 0.19, bones from 0.28
EDGE_BLUR_MM = 0.4
CLEARLY_SIDEWAYS = 0.2  # confidence; on upright films of joints at most 0.003, in the middle -0.5
UP, RIGHT, LEFT = (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)


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
        named = {joint.name for joints in visits for joint in joints}
        names = [name for name in (CROP_JOINT, *JOINT_NAMES) if name in named]
        if not names:
            raise BadInput(f"{request.joints} names no joint: give at least one, or leave --joints out.")
    else:
        visits, names = [find_joints(film) for film in films], list(JOINT_NAMES)
        for film, joints in zip(films, visits, strict=True):
            if not joints or _is_noise(film.pixels):
                raise BadInput(f"No finger joint was found on {film.path}: give a film of a whole hand, or --joints.")
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
    return [SeenJoint(_middle_joint(film, name, request.side)) for film in films]


def _middle_joint(film: Radiograph, name: str, side: str | None) -> JointCrop:
    """The joint in the middle of a picture of one joint, the finger pointing up."""
    rows, columns = film.pixels.shape
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    upright, *sideways = (cut_joint(film, Joint(name, side, middle, axis)) for axis in (UP, RIGHT, LEFT))
    why_not = _why_no_bones(upright)
    if max(crop.confidence for crop in sideways) > upright.confidence + CLEARLY_SIDEWAYS:
        why_not = "the bones lie side by side"
    if why_not:
        raise BadInput(
            f"{film.path} shows no two bones one above the other ({why_not}): give a film with the joint in its "
            "middle and the finger pointing up, or masks of both bones."
        )
    return upright


def _why_no_bones(crop: JointCrop) -> str | None:
    """What tells a picture of one joint from noise and from soft tissue; None where it may well show bones."""
    if _is_noise(crop.pixels):
        return "it holds little but noise"
    smooth = ndimage.gaussian_filter(crop.pixels.astype(float), EDGE_BLUR_MM / crop.nominal_spacing_mm)
    low, high = np.percentile(smooth, [2, 98])
    steep = np.percentile(np.hypot(*np.gradient(smooth)), 98) / crop.nominal_spacing_mm
    if steep < STEEPEST_TISSUE * (high - low):
        return "it has no edge as sharp as that of a bone"
    return crop.reason if crop.confidence < LEAST_CROP_CONFIDENCE else None


def _is_noise(pixels: np.ndarray) -> bool:
    grey = pixels.astype(float)
    return bool(np.std(ndimage.gaussian_filter(grey, NOISE_BLUR_PX)) < LEAST_SMOOTH_SHARE * np.std(grey))
