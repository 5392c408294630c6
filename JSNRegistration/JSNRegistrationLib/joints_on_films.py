"""Which joints are measured, and the crop of each in every film: of whole hands, or of films of one joint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bone_finding import bone_regions
from JSNRegistrationLib.bone_finding.bone_regions import BoneRegions
from JSNRegistrationLib.bone_finding.joint_picture import PictureFrame
from JSNRegistrationLib.bones import JointCrop, bone_width_px, crop_from_masks, cut_joint
from JSNRegistrationLib.film_reading.mask_file import read_mask
from JSNRegistrationLib.hand_request import HandRequest
from JSNRegistrationLib.hands_on_films import FollowedHand, is_noise
from JSNRegistrationLib.joint_correspondence import doubts_between, doubts_within
from JSNRegistrationLib.joint_measurement import SeenJoint
from JSNRegistrationLib.joints import CROP_JOINT, JOINT_NAMES, Joint, JointKey
from JSNRegistrationLib.radiograph import Radiograph

NOT_FOUND = "the joint was not found"
OTHER_VIEW = "the hand is turned in one of the two films only (oblique view)"

# A picture of one joint. Measured on 319 real films of joints and on gradients and noise without any bone.
LEAST_CROP_CONFIDENCE = 0.2
STEEPEST_TISSUE = 0.22  # share of the contrast of a picture within 1 mm: gradients up to 0.19, bones from 0.28
EDGE_BLUR_MM = 0.4
CLEARLY_SIDEWAYS = 0.2  # confidence; on upright films of joints at most 0.003, in the middle -0.5
UP, RIGHT, LEFT = (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)


def joints_on_films(
    request: HandRequest, films: Sequence[Radiograph], hands: Sequence[FollowedHand]
) -> dict[JointKey, list[SeenJoint]]:
    """Every joint to be measured, hand by hand, and how it is seen in each film.

    A joint whose place speaks against its being the same one in two films, or a hand that is turned in one of them, is
    doubted. Raises BadInput for joints that cannot be cut out of their film, for masks that cannot be used and for a
    picture of one joint without a bone.
    """
    if request.joint_crop:
        name = request.name or CROP_JOINT
        return {JointKey(request.side or films[0].side, name): _single_joint(request, films, name)}
    return {
        JointKey(hand.side, name): seen
        for hand in hands
        for name, seen in _joints_of(hand, films, request.only, request.device).items()
    }


def _joints_of(
    hand: FollowedHand, films: Sequence[Radiograph], only: Sequence[str] | None, device: str
) -> dict[str, list[SeenJoint]]:
    names = hand.names if not only else [name for name in JOINT_NAMES if name in only]
    visits = range(len(films))
    regions = [
        bone_regions_of(film, [j for j in joints if j.name in names], device)
        for film, joints in zip(films, hand.joints, strict=True)
    ]
    within = [doubts_within(joints) for joints in hand.joints]
    between = {(a, b): _doubts_between(hand, a, b) for b in visits for a in range(b)}
    return {
        name: [
            _seen(
                films[visit],
                next((joint for joint in hand.joints[visit] if joint.name == name), None),
                regions[visit].get(name),
                within[visit].get(name),
                {a: between[a, visit][name] for a in range(visit) if name in between[a, visit]},
            )
            for visit in visits
        ]
        for name in names
    }


def _doubts_between(hand: FollowedHand, a: int, b: int) -> dict[str, str]:
    if hand.turned(a) != hand.turned(b):
        return dict.fromkeys((joint.name for joint in hand.joints[b]), OTHER_VIEW)
    return doubts_between(hand.joints[a], hand.joints[b], a)


def bone_regions_of(film: Radiograph, joints: Sequence[Joint], device: str) -> dict[str, BoneRegions]:
    """The regions of the bones by joint name, all in one pass of the bone network; none where it is not installed."""
    if not bone_regions.NETWORK.available():
        return {}
    # The width as it was found: the usual one is an adult's.
    widths = [joint.width_px or bone_width_px(film, joint) for joint in joints]
    frames = [PictureFrame.around(j.position_px, j.axis, width) for j, width in zip(joints, widths, strict=True)]
    found = bone_regions.find_regions(film.pixels, frames, device)
    return {joint.name: regions for joint, regions in zip(joints, found, strict=True)}


def _seen(
    film: Radiograph, joint: Joint | None, regions: BoneRegions | None, doubt: str | None, unlike: dict[int, str]
) -> SeenJoint:
    if joint is None:
        return SeenJoint(None, NOT_FOUND)
    return SeenJoint(cut_joint(film, joint, regions), doubt=doubt, unlike=unlike)


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
    if is_noise(crop.pixels):
        return "it holds little but noise"
    smooth = ndimage.gaussian_filter(crop.pixels.astype(float), EDGE_BLUR_MM / crop.nominal_spacing_mm)
    low, high = np.percentile(smooth, [2, 98])
    steep = np.percentile(np.hypot(*np.gradient(smooth)), 98) / crop.nominal_spacing_mm
    if steep < STEEPEST_TISSUE * (high - low):
        return "it has no edge as sharp as that of a bone"
    return crop.reason if crop.confidence < LEAST_CROP_CONFIDENCE else None
