"""The joints of all hands on a film, by the trained network."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from skimage.transform import resize

from JointQuantLib import devices
from JointQuantLib.weights import NoWeights, read_weights
from JSNRegistrationLib.joint_finding.hand_assembly import SeenHand, hands_of
from JSNRegistrationLib.joint_finding.hand_side import side_of
from JSNRegistrationLib.joint_finding.network_maps import SIDE_PX
from JSNRegistrationLib.joints import JOINT_NAMES, OBLIQUE, PA, Hand, Joint
from JSNRegistrationLib.models import models_folder
from JSNRegistrationLib.radiograph import Radiograph

MODEL = "hand-joints"
LOW, HIGH = 0.5, 99.5  # percentiles of the grey values that become 0 and 1
BLOCK_PX = 32  # the picture's sides are multiples of this


def available() -> bool:
    """Whether torch is installed and the weights are there."""
    if not devices.torch_available():
        return False
    try:
        _arrays()
    except NoWeights:
        return False
    return True


def find_hands(film: Radiograph, device: str = "auto") -> tuple[Hand, ...]:
    """The hands on a film, as the network sees them; places in film pixels. One pass over the film.

    Raises BadInput for a device that is not there and for damaged weights.
    """
    picture, scale = film_picture(film.pixels)
    maps, _ = devices.run_with_fallback(lambda where: _answer(picture, where), device)
    hands = [_hand(seen, scale) for seen in hands_of(maps)]
    if len(hands) == 1 and film.side is not None:
        hands = [of_side(hands[0], film.side)]
    return tuple(sorted(hands, key=lambda hand: np.mean([joint.position_px[0] for joint in hand.joints])))


def film_picture(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """The film as the network sees it: float32 [row, column] in 0..1, and its pixels a film pixel."""
    low, high = np.percentile(pixels, [LOW, HIGH])
    grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    scale = SIDE_PX / max(pixels.shape)
    shape = tuple(max(1, round(n * scale)) for n in pixels.shape)
    small = resize(grey, shape, order=1, anti_aliasing=scale < 1, mode="edge")
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    padded = tuple(-(-n // BLOCK_PX) * BLOCK_PX for n in shape)
    picture = np.full(padded, np.median(border), np.float32)
    picture[: shape[0], : shape[1]] = small
    return picture, scale


def of_side(hand: Hand, side: str | None) -> Hand:
    """The same hand, said to be of this side."""
    return replace(hand, side=side, joints=tuple(replace(joint, side=side) for joint in hand.joints))


def _hand(seen: SeenHand, scale: float) -> Hand:
    joints = tuple(
        Joint(
            JOINT_NAMES[index],
            None,
            tuple(float(v) for v in (peak.place + 0.5) / scale - 0.5),
            tuple(float(v) for v in peak.axis),
            width_px=peak.width / scale,
            confidence=round(peak.heat, 3),
        )
        for index, peak in sorted(seen.peaks.items())
    )
    hand = Hand(None, OBLIQUE if seen.oblique > 0.5 else PA, joints, round(seen.heat, 3))
    return of_side(hand, side_of(joints))


@lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray]:
    return read_weights(models_folder(), MODEL).arrays


@lru_cache(maxsize=2)
def _network(device: str):
    import torch

    from JSNRegistrationLib.joint_finding.joint_network import JointNetwork

    network = JointNetwork()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in _arrays().items()}, strict=False)
    return network.eval().to(device)


def _answer(picture: np.ndarray, device: str) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return _network(device)(torch.from_numpy(picture)[None, None].to(device))[0].float().cpu().numpy()
