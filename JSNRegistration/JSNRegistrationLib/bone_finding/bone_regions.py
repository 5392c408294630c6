"""The regions of the two bones of every joint of a film, by the bone network in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from JSNRegistrationLib.bone_finding.joint_picture import PictureFrame, cut_picture
from JSNRegistrationLib.trained_network import TrainedNetwork

SMALLEST_SHARE = 0.04  # of a bone: smaller pieces are not believed; an epiphysis is larger
UNSURE = (0.1, 0.9)  # chances between which a pixel of the network's answer is unsure


@dataclass(frozen=True, eq=False)
class BoneRegions:
    """The network's answer for one joint: logits (2, SIDE_PX, SIDE_PX) for upper and lower bone in a picture frame."""

    frame: PictureFrame
    logits: np.ndarray

    def on_crop(self, offset_px: Sequence[float], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The regions (upper, lower) on the pixels [row, column] of a piece of the film that begins at offset_px."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        points = self.frame.in_picture(np.stack([x + offset_px[0], y + offset_px[1]], axis=-1))
        rows_columns = points.transpose(2, 0, 1)[::-1]
        sampled = (ndimage.map_coordinates(bone, rows_columns, order=1, cval=-9.0) for bone in self.logits)
        upper, lower = (_whole(logit > 0) for logit in sampled)
        return upper, lower

    def seen(self) -> tuple[float, float]:
        """0 to 1 for upper and lower bone: how sure the network is of its outline."""
        chances = special.expit(self.logits)
        unsure = ((chances > UNSURE[0]) & (chances < UNSURE[1])).sum(axis=(1, 2))
        border = [max(np.count_nonzero(bone ^ ndimage.binary_erosion(bone)), 1) for bone in self.logits > 0]
        return tuple(float(np.clip(1.6 - 0.25 * n / b, 0, 1)) for n, b in zip(unsure, border, strict=True))


def _bone_network():
    from JSNRegistrationLib.bone_finding.bone_network import BoneNetwork

    return BoneNetwork()


NETWORK = TrainedNetwork("hand-bones", _bone_network)


def find_regions(pixels: np.ndarray, frames: Sequence[PictureFrame], device: str = "auto") -> list[BoneRegions]:
    """The regions of the bones in every frame of a film [row, column], all in one pass of the network."""
    if not frames:
        return []
    pictures = np.stack([cut_picture(pixels, frame) for frame in frames])
    logits = NETWORK.answers(pictures, device)
    return [BoneRegions(frame, answer) for frame, answer in zip(frames, logits, strict=True)]


def _whole(region: np.ndarray) -> np.ndarray:
    """A region without holes and specks."""
    labels, count = ndimage.label(region)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        region = (sizes > SMALLEST_SHARE * sizes.max())[labels]
    return ndimage.binary_fill_holes(region)
