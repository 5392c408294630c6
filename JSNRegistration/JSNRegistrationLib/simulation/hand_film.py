"""Films of one or two whole hands, for training the joint finder: any age, pose and film quality.

Not for measuring joint spaces: for that see `joint` and `hand`, whose motions are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.joints import JOINT_NAMES

from .bone_points import project
from .film_clutter import Clutter
from .hand_flesh import flesh_mm
from .posed_hand import HandTraits, PosedHand, pose_hand
from .scanner import Exposure, detected, presented, transmission, with_noise

LONG_SIDE_PX = 448
BONE_DENSITY_SHARE = 0.9  # mineral of the cortex against solid bone


@dataclass(frozen=True)
class FilmedHand:
    """A hand on a film. joints: [joint, (x, y, axis x, axis y, width)] in pixels, NaN where the film shows none."""

    joints: np.ndarray
    oblique: bool


@dataclass(frozen=True)
class HandFilm:
    """A simulated film (uint8, bone bright, [row, column]) and what it shows."""

    pixels: np.ndarray
    hands: tuple[FilmedHand, ...]
    pixel_mm: float
    seed: int


def simulate_hand_film(seed: int, long_side_px: int = LONG_SIDE_PX) -> HandFilm:
    """One film. The same seed gives the same film."""
    rng = np.random.default_rng([seed, 31])
    traits = HandTraits.draw(rng, pitch_mm=rng.uniform(0.5, 0.65))
    count = 2 if rng.random() < 0.18 else 1
    hands = [pose_hand(rng, traits) for _ in range(count)]
    oblique = rng.random() < 0.12
    # Mirrored by chance: the finder must not rely on a side.
    mirrors = [1, -1] if count == 2 else [int(rng.choice([1, -1]))]
    if count == 2 and rng.random() < 0.5:
        mirrors = mirrors[::-1]
    views = [draw_view(rng, oblique, mirror) for mirror in mirrors]
    views, size_mm = _side_by_side(rng, hands, views)
    pixel_mm = max(size_mm) / long_side_px
    shape = (int(np.ceil(size_mm[1] / pixel_mm)), int(np.ceil(size_mm[0] / pixel_mm)))
    views = [view / pixel_mm for view in views]
    clutter = Clutter.draw(rng, shape, pixel_mm)
    pixels, open_field = _exposed(rng, hands, views, shape, pixel_mm, clutter)
    filmed = tuple(
        FilmedHand(_joints_on_film(hand, view, pixel_mm, open_field), oblique)
        for hand, view in zip(hands, views, strict=True)
    )
    return HandFilm(pixels, filmed, pixel_mm, seed)


def draw_view(rng: np.random.Generator, oblique: bool, mirror: int) -> np.ndarray:
    """(2, 4) from the hand frame to film millimetres, y down, without a shift."""
    turn = np.radians(rng.uniform(22, 50) if oblique else rng.normal(0, 4))
    nod, tilt = np.radians(rng.normal(0, 4)), np.radians(rng.normal(0, 9))
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    seen = (about_x @ about_y)[:2]
    seen = np.diag([mirror, -1.0]) @ seen
    plane = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.column_stack([plane @ seen, np.zeros(2)])


def _side_by_side(rng, hands: list[PosedHand], views: list[np.ndarray]):
    """The views shifted so that the hands stand beside each other on one film, and the film's (width, height) in mm."""
    placed, right, lows, highs = [], rng.uniform(2, 40), [], []
    for hand, view in zip(hands, views, strict=True):
        shown = [
            view[:, :3] @ end
            for name, bone in hand.bones.items()
            for end in (bone.start_mm, bone.end_mm)
            if name not in ("radius", "ulna")
        ]
        box = np.array(shown + [view[:, 3]])
        skin = 16 * hand.size
        shift = np.array([right + skin - box[:, 0].min(), 0.0])
        view = np.column_stack([view[:, :3], shift])
        placed.append(view)
        lows.append(box[:, 1].min() - skin)
        highs.append(box[:, 1].max())
        right = box[:, 0].max() + shift[0] + skin + (rng.uniform(0, 25) if len(hands) > 1 else 0)
    width = right + rng.uniform(2, 40)
    height_of_hand = max(highs) - min(lows)
    below = rng.uniform(-0.06, 0.1) if rng.random() < 0.2 else rng.uniform(0.1, 0.4)  # often with a part of the forearm
    top = min(lows) - rng.uniform(0, 0.15) * height_of_hand
    bottom = max(highs) + below * height_of_hand
    if rng.random() < 0.05:
        top += rng.uniform(0.05, 0.25) * height_of_hand  # finger tips are cut off
    for view in placed:
        view[1, 3] = -top
    return placed, np.array([width, bottom - top])


def _exposed(rng, hands, views, shape, pixel_mm: float, clutter):
    """The pixels (uint8), and where the film was open to the beam."""
    bone, soft = np.zeros(shape), np.zeros(shape)
    for hand, view in zip(hands, views, strict=True):
        for part in hand.bones.values():
            places = part.points.places_mm @ view[:, :3].T + view[:, 3]
            bone += project(places, part.points.mineral_mm3 * BONE_DENSITY_SHARE, shape) / pixel_mm**2
        soft = np.maximum(soft, flesh_mm(hand, view, shape, pixel_mm, rng))
    bone = ndimage.gaussian_filter(bone, 0.4)
    soft = np.maximum(soft, bone) + clutter.plaster_mm * (soft > 0)
    lead = clutter.metal_mm(hands, views, pixel_mm)
    beam = transmission(bone + lead, soft + lead)
    exposure = draw_exposure(rng)
    signal = detected(beam * np.maximum(clutter.open_field, 0.003), pixel_mm, exposure)
    signal = with_noise(signal, pixel_mm, exposure, rng)
    inside = clutter.open_field > 0.5
    grey = presented(signal, pixel_mm, exposure, inside)
    return clutter.finished(rng, grey, soft, inside), inside


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """A hand film as any program shows it: dose, scatter, sharpness and presentation vary widely."""
    return Exposure(
        photons=float(np.exp(rng.uniform(np.log(2000), np.log(60000)))),
        electronic=10.0,
        scatter_fraction=rng.uniform(0.08, 0.35),
        scatter_mm=rng.uniform(5, 15),
        blur_mm=rng.uniform(0.1, 0.4),
        logarithmic=bool(rng.random() < 0.8),
        unsharp=float(rng.choice([0.0, 0.4, 1.0])),
        unsharp_mm=rng.uniform(1.5, 8.0),
        gamma=rng.uniform(0.6, 1.5),
        window=(rng.uniform(0.2, 45.0), rng.uniform(98.0, 99.95)),
        headroom=(rng.uniform(0.0, 0.25), rng.uniform(0.0, 0.25)),
    )


def _joints_on_film(hand: PosedHand, view: np.ndarray, pixel_mm: float, open_field: np.ndarray) -> np.ndarray:
    table = np.full((len(JOINT_NAMES), 5), np.nan, np.float32)
    rows, columns = open_field.shape
    for row, name in enumerate(JOINT_NAMES):
        joint = hand.joints.get(name)
        if joint is None:
            continue
        x, y = view @ np.append(joint.place_mm, 1.0)
        if not (1 <= x <= columns - 2 and 1 <= y <= rows - 2) or not open_field[int(round(y)), int(round(x))]:
            continue
        axis = view[:, :3] @ joint.axis
        table[row] = [x, y, *(axis / max(np.hypot(*axis), 1e-9)), joint.width_mm / pixel_mm]
    return table
