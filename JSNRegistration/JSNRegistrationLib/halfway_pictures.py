"""Both films of a bone, brought to the place half way between them: what the registration network compares.

Neither film is the reference: each is moved by half of the motion, so both are read off their pixels equally, and the
way back gives exactly the inverse. A bone is seen in its own frame: millimetres from the joint origin, the bone above.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.features import evened
from JSNRegistrationLib.refinement import MARGIN_MM
from JSNRegistrationLib.similarity import Similarity

FINE_BLUR_MM = 0.12  # of the films before they are compared: as fine as the grid can hold
COARSE_BLUR_MM = 0.45
THREADS = 2
STRIP_MM = 0.5  # a bone is not looked at so near the other one: where they overlap, both move
REGION_MM, REGION_SIDE = 0.2, 129  # grid on which the regions of a crop are kept, the joint origin in its middle


@dataclass(frozen=True)
class BoneGrid:
    """Where a bone is looked at: ``rows`` by ``columns`` points ``step_mm`` apart, ``above`` rows of them above (on the
    bone's side of) the joint origin."""

    step_mm: float
    rows: int
    columns: int
    above: int

    @property
    def points(self) -> np.ndarray:
        """Positions x + i y in mm (rows, columns), y down, 0 at the joint origin."""
        return _points(self)


@lru_cache
def _points(grid: BoneGrid) -> np.ndarray:
    y, x = np.mgrid[: grid.rows, : grid.columns].astype(float)
    return (x - (grid.columns - 1) / 2 + 1j * (y - grid.above)) * grid.step_mm


FINE = BoneGrid(0.2, 48, 88, 38)
COARSE = BoneGrid(0.4, 24, 44, 19)


@dataclass(frozen=True)
class ComparedJoint:
    """A joint in one film, ready to be compared.

    ``frame`` takes mm of the joint's frame (x across, y against the axis) to crop pixels; ``fine`` and ``coarse`` are
    cubic splines of the crop with two blurs, in units of the contrast of its bones; ``regions`` (2, n, n) float32 says
    how far each pixel of the joint's frame belongs to the upper and to the lower bone (0 to 1), margin included.
    """

    frame: Similarity
    fine: np.ndarray
    coarse: np.ndarray
    regions: np.ndarray


def compared_joint(crop: JointCrop) -> ComparedJoint:
    """A crop made ready."""
    spacing = crop.nominal_spacing_mm
    bones = crop.pixels[crop.upper | crop.lower].astype(float)
    film = (crop.pixels - bones.mean()) / (bones.std() + np.finfo(np.float32).tiny)
    fine = ndimage.gaussian_filter(film, FINE_BLUR_MM / spacing)
    coarse = evened(ndimage.gaussian_filter(film, COARSE_BLUR_MM / spacing), spacing)
    ax, ay = crop.axis
    frame = Similarity(complex(-ay, ax) / spacing, complex(*crop.origin_px))
    fine, coarse = (ndimage.spline_filter(p, order=3, mode="mirror").astype(np.float32) for p in (fine, coarse))
    return ComparedJoint(frame, fine, coarse, _regions(crop, frame))


def _regions(crop: JointCrop, frame: Similarity) -> np.ndarray:
    half = REGION_SIDE // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1] * REGION_MM
    at = frame(x + 1j * y)
    upper, lower = (
        ndimage.map_coordinates(bone.astype(np.float32), [at.imag, at.real], order=1) > 0.5
        for bone in (crop.upper, crop.lower)
    )
    from_upper, from_lower = (ndimage.distance_transform_edt(~bone) * REGION_MM for bone in (upper, lower))
    shown = (at.real > 0) & (at.real < crop.pixels.shape[1] - 1) & (at.imag > 0) & (at.imag < crop.pixels.shape[0] - 1)
    return np.stack([_within(from_upper, from_lower) * shown, _within(from_lower, from_upper) * shown]).astype(
        np.float32
    )


def _within(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 inside the bone and its margin, 0 outside and beside the other bone, with a slope of one pixel."""
    return np.clip((MARGIN_MM - own) / REGION_MM + 0.5, 0, 1) * np.clip((other - STRIP_MM) / REGION_MM + 0.5, 0, 1)


def halfway_pictures(
    pairs: Sequence[tuple[ComparedJoint, ComparedJoint]], motions: Similarity, grid: BoneGrid, level: str
) -> np.ndarray:
    """Both films of n bones half way (n, 4, rows, columns) float32: the first film, the second, how far each pixel
    belongs to the bone in both (0 to 1), and how far to its neighbour. Upper and lower bone of each pair in turn.

    ``motions`` (pairs, 2) are those of the bones from the first to the second joint's frame (mm), where the bones are
    thought to be; ``level`` is "fine" or "coarse".
    """
    pictures = np.empty((2 * len(pairs), 4, grid.rows, grid.columns), np.float32)

    def fill(number: int) -> None:
        bone, (first, second) = number % 2, pairs[number // 2]
        half = motions[number // 2, bone].half()
        points = grid.points if bone == 0 else -grid.points
        picture = pictures[number]
        picture[2:] = 1.0
        for film, joint, place in ((0, first, half.inverse()), (1, second, half)):
            there = place(points)
            picture[film] = _read(getattr(joint, level), joint.frame(there), 3)
            in_region = there / REGION_MM + (REGION_SIDE // 2) * (1 + 1j)
            picture[2] *= _read(joint.regions[bone], in_region, 1)
            picture[3] *= _read(joint.regions[1 - bone], in_region, 1)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, range(len(pictures))))
    return pictures


def _read(picture: np.ndarray, at: np.ndarray, order: int) -> np.ndarray:
    mode = "mirror" if order == 3 else "constant"
    return ndimage.map_coordinates(picture, [at.imag, at.real], order=order, mode=mode, prefilter=False)
