"""The joints of all hands on a film, by the trained network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from skimage.transform import resize

from JSNRegistrationLib.joint_finding.hand_assembly import SeenHand, hands_of
from JSNRegistrationLib.joint_finding.hand_side import side_of
from JSNRegistrationLib.joint_finding.network_maps import SIDE_PX
from JSNRegistrationLib.joint_finding.turned_views import combined, views_of
from JSNRegistrationLib.joints import FINGER_JOINTS, OBLIQUE, PA, Hand, Joint
from JSNRegistrationLib.radiograph import Radiograph
from JSNRegistrationLib.trained_network import TrainedNetwork

LOW, HIGH = 0.5, 99.5  # percentiles of the grey values that become 0 and 1
ORDER = {name: k for k, name in enumerate(name for names in FINGER_JOINTS.values() for name in names)}
SMALL = 0.85  # of the film: a hand in a smaller part of it is looked at once more
AROUND = 0.45  # of the extent of the joints: palm, finger tips and wrist lie around them
FEWEST_JOINTS = 4  # fewer do not show how large the hand is
LEAST_ROOM = 0.5  # of the width of the bones, between a joint and the border of the film


def _joint_network():
    from JSNRegistrationLib.joint_finding.joint_network import JointNetwork

    return JointNetwork()


NETWORK = TrainedNetwork("hand-joints", _joint_network)


@dataclass(frozen=True)
class FilmPicture:
    """A film as the network sees it: `pixels` (SIDE_PX, SIDE_PX) float32 in 0..1, the film in its middle."""

    pixels: np.ndarray
    scale: tuple[float, float]  # picture pixels a film pixel, along x and y
    border: tuple[int, int]  # picture pixels left of and above the film

    @staticmethod
    def of(pixels: np.ndarray) -> FilmPicture:
        """The picture of a film [row, column]."""
        low, high = np.percentile(pixels, [LOW, HIGH])
        grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
        # Even sizes, so that the film lies in the middle and a turned film gives the turned picture.
        shape = tuple(max(2, 2 * round(0.5 * SIDE_PX * n / max(pixels.shape))) for n in pixels.shape)
        small = resize(grey, shape, order=1, anti_aliasing=max(pixels.shape) > SIDE_PX, mode="edge")
        top, left = ((SIDE_PX - n) // 2 for n in shape)
        edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
        picture = np.full((SIDE_PX, SIDE_PX), np.median(edge), np.float32)
        picture[top : top + shape[0], left : left + shape[1]] = small
        return FilmPicture(picture, (shape[1] / pixels.shape[1], shape[0] / pixels.shape[0]), (left, top))

    def on_film(self, place: np.ndarray) -> tuple[float, float]:
        """Film pixel (x, y) of a picture pixel (x, y)."""
        x, y = (place - self.border + 0.5) / self.scale - 0.5
        return float(x), float(y)


def find_hands(film: Radiograph, device: str = "auto") -> tuple[Hand, ...]:
    """The hands on a film, as the network sees them; places in film pixels.

    All joints of the film are seen at once; a hand that is small on its film is looked at once more, larger.
    Raises BadInput for a device that is not there and for damaged weights.
    """
    hands = [_closer(hand, film.pixels, device) for hand in _look(film.pixels, device)]
    most = max((len(hand.joints) for hand in hands), default=0)
    # Beside a hand, a joint or two are no other hand.
    hands = [hand for hand in hands if len(hand.joints) >= min(FEWEST_JOINTS, most)]
    if len(hands) == 1 and film.side is not None:
        hands = [of_side(hands[0], film.side)]
    return tuple(sorted(hands, key=lambda hand: np.mean(_places(hand)[:, 0])))


def _look(pixels: np.ndarray, device: str) -> list[Hand]:
    picture = FilmPicture.of(pixels)
    answers = NETWORK.answers(views_of(picture.pixels), device)
    hands = (_hand(seen, picture) for seen in hands_of(combined(answers)))
    hands = (replace(hand, joints=tuple(j for j in hand.joints if _on_film(j, pixels.shape))) for hand in hands)
    return [hand for hand in hands if hand.joints]


def _on_film(joint: Joint, shape: tuple[int, int]) -> bool:
    """Whether both sides of the joint can be seen: near the border the network sees joints that lie beyond it."""
    x, y = joint.position_px
    room = min(x, y, shape[1] - 1 - x, shape[0] - 1 - y)
    return room >= LEAST_ROOM * (joint.width_px or 0.0)


def _closer(hand: Hand, pixels: np.ndarray, device: str) -> Hand:
    """The same hand seen larger, unless that shows fewer of its joints."""
    places = _places(hand)
    if len(places) < FEWEST_JOINTS:
        return hand
    size = np.ptp(places, axis=0).max()
    low = np.clip(np.floor(places.min(axis=0) - AROUND * size).astype(int), 0, None)
    high = np.minimum(np.ceil(places.max(axis=0) + AROUND * size).astype(int) + 1, pixels.shape[::-1])
    if max(high - low) > SMALL * max(pixels.shape):
        return hand
    seen = _look(pixels[low[1] : high[1], low[0] : high[0]], device)
    same = [_shifted(again, low) for again in seen]
    same = [again for again in same if np.hypot(*(_places(again).mean(axis=0) - places.mean(axis=0))) < 0.3 * size]
    return max([hand, *same], key=lambda one: (len(one.joints), one is not hand, one.confidence))


def _places(hand: Hand) -> np.ndarray:
    return np.array([joint.position_px for joint in hand.joints])


def _shifted(hand: Hand, by: np.ndarray) -> Hand:
    joints = (replace(j, position_px=(j.position_px[0] + by[0], j.position_px[1] + by[1])) for j in hand.joints)
    return replace(hand, joints=tuple(joints))


def of_side(hand: Hand, side: str | None) -> Hand:
    """The same hand, said to be of this side."""
    return replace(hand, side=side, joints=tuple(replace(joint, side=side) for joint in hand.joints))


def _hand(seen: SeenHand, picture: FilmPicture) -> Hand:
    joints = tuple(
        Joint(
            name,
            None,
            picture.on_film(peak.place),
            tuple(float(v) for v in peak.axis),
            width_px=peak.width / float(np.mean(picture.scale)),
            confidence=round(peak.heat, 3),
        )
        for name, peak in sorted(seen.peaks.items(), key=lambda item: ORDER[item[0]])
    )
    hand = Hand(None, OBLIQUE if seen.oblique > 0.5 else PA, joints, round(seen.heat, 3))
    return of_side(hand, side_of(joints))
