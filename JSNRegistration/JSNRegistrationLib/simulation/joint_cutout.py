"""Pictures of single joints of simulated hands with the true regions of both bones, for training the bone network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bone_finding.joint_picture import WIDTH_PX

from . import anatomy
from .bone_points import project
from .hand_film import BONE_DENSITY_SHARE, draw_exposure, draw_view
from .hand_flesh import flesh_mm
from .posed_hand import HandTraits, PlacedJoint, PosedHand, pose_hand
from .scanner import detected, presented, transmission, with_noise

SIDE_PX = 128  # more than the network sees, so that training can turn and shift it
PITCH_MM = 0.36
BONE_MM = 0.4  # as much bone must the beam meet, marrow included, for a pixel to belong to the bone


@dataclass(frozen=True)
class JointCutout:
    """pixels (128, 128) uint8, the joint in its middle, the finger upwards; bones (2, 128, 128) uint8 0..255: upper,
    lower, how much of a pixel each covers; they overlap where they project over each other."""

    name: str
    pixels: np.ndarray
    bones: np.ndarray


def simulate_joint_cutouts(seed: int) -> list[JointCutout]:
    """All joints of one hand. The same seed gives the same pictures."""
    rng = np.random.default_rng([seed, 37])
    traits = HandTraits.draw(rng, pitch_mm=PITCH_MM)
    hand = pose_hand(rng, traits)
    view = draw_view(rng, oblique=rng.random() < 0.1, mirror=int(rng.choice([1, -1])))
    return [_picture(rng, hand, view, name, joint) for name, joint in hand.joints.items()]


def _picture(rng, hand: PosedHand, view: np.ndarray, name: str, joint: PlacedJoint) -> JointCutout:
    pixel_mm = joint.width_mm / WIDTH_PX
    to_picture = _upright(view, joint) / pixel_mm
    middle = to_picture @ np.append(joint.place_mm, 1.0)
    to_picture[:, 3] = (SIDE_PX - 1) / 2 - middle
    shape = (SIDE_PX, SIDE_PX)
    shadows = {
        bone: _shadow(part.points.places_mm, part.points.mineral_mm3, part.points.outer_mm3, to_picture, pixel_mm)
        for bone, part in hand.bones.items()
    }
    bone = np.sum([shadow[0] for shadow in shadows.values()], axis=0) * BONE_DENSITY_SHARE
    soft = np.maximum(flesh_mm(hand, to_picture, shape, pixel_mm, rng), bone)
    exposure = draw_exposure(rng)
    exposure = replace(exposure, blur_mm=min(exposure.blur_mm, 0.6 * pixel_mm), photons=exposure.photons * 2)
    signal = with_noise(detected(transmission(bone, soft), pixel_mm, exposure), pixel_mm, exposure, rng)
    pixels = presented(signal, pixel_mm, exposure).astype(np.uint8)
    upper, lower = bones_of(name)
    regions = np.stack([_covered(shadows[bone][1]) for bone in (upper, lower)])
    return JointCutout(name, pixels, regions)


def bones_of(joint: str) -> tuple[str, str]:
    """Names of the upper (distal) and the lower bone of a joint."""
    finger = int(joint[-1])
    at = anatomy.JOINT_NAMES[finger].index(joint)
    return anatomy.BONE_NAMES[finger][at + 1], anatomy.BONE_NAMES[finger][at]


def _upright(view: np.ndarray, joint: PlacedJoint) -> np.ndarray:
    """The view turned so that the finger points up in the picture; without a shift."""
    axis = view[:, :3] @ joint.axis
    axis = axis / max(np.hypot(*axis), 1e-6)
    turn = np.array([[-axis[1], axis[0]], [-axis[0], -axis[1]]])
    return np.column_stack([turn @ view[:, :3], np.zeros(2)])


def _shadow(places_mm, mineral, outer, to_picture, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Paths in mm through mineral, and through bone with its marrow."""
    places = places_mm @ to_picture[:, :3].T + to_picture[:, 3]
    near = ((places > 0) & (places < SIDE_PX - 1)).all(axis=1)
    shape = (SIDE_PX, SIDE_PX)
    if not near.any():
        return np.zeros(shape), np.zeros(shape)
    # The points are about a pixel apart: a little blur closes the gaps between them.
    blur = max(0.5, 0.45 * PITCH_MM / pixel_mm)
    paths = (project(places[near], mass[near], shape) / pixel_mm**2 for mass in (mineral, outer))
    return tuple(ndimage.gaussian_filter(path, blur) for path in paths)


def _covered(path_mm: np.ndarray) -> np.ndarray:
    """0..255: how much of each pixel the bone covers, from the path through it."""
    return np.clip(255 * (0.5 + (path_mm - BONE_MM) / (2 * BONE_MM)), 0, 255).astype(np.uint8)
