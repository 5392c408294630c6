"""What every other program is given: one bone in two pictures, prepared alike, and where it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.features import evened
from JSNRegistrationLib.motion import apply
from JSNRegistrationLib.refinement import compared_regions, refine
from JSNRegistrationLib.registration import MAGNIFICATION_SD, prepare
from JSNRegistrationLib.starting_motion import frames_matched, searched

SOFT_EDGE_PX = 3.0


@dataclass(frozen=True)
class PeerSettings:
    """How a program is called. ``normalised``: the films are evened out (local mean and contrast), else only scaled to
    the contrast of both bones. ``blur_mm``: of both films beforehand. ``detail``: what matters most for this program,
    as ``Peer.detail_means`` says.
    """

    normalised: bool = True
    blur_mm: float = 0.1
    detail: float = 1.0


@dataclass(frozen=True)
class PeerTask:
    """One bone: the pictures of both films (float32), its region in the first and in the second film (bool), and the
    start (2 x 3, first to second crop pixels).
    """

    template: np.ndarray
    picture: np.ndarray
    region: np.ndarray
    picture_region: np.ndarray
    start: np.ndarray

    def brought(self) -> np.ndarray:
        """The second picture on the grid of the first, by the start."""
        return _brought(self.picture, self.template.shape, self.start, 3)

    def brought_region(self) -> np.ndarray:
        """The region in the second picture, as share of a pixel, on the grid of the first."""
        return np.clip(_brought(self.picture_region.astype(np.float32), self.template.shape, self.start, 1), 0.0, 1.0)

    def cut_out(self) -> tuple[np.ndarray, np.ndarray]:
        """The bone in both films on a grey ground with a soft edge, the second brought to the first by the start."""
        edge = ndimage.gaussian_filter(self.region.astype(float), SOFT_EDGE_PX)
        pair = (self.template, self.brought())
        return tuple(edge * (picture - np.average(picture, weights=edge)) for picture in pair)


def frames_start(first: JointCrop, second: JointCrop) -> tuple[np.ndarray, np.ndarray]:
    """The joint frames laid on each other, for both bones."""
    start = frames_matched(first, second, first.nominal_spacing_mm / second.nominal_spacing_mm)
    return start, start


def coarse_start(first: JointCrop, second: JointCrop) -> tuple[np.ndarray, np.ndarray]:
    """The motions after our own coarse level, as ``registration.register`` finds them."""
    one, two = (prepare(crop, crop.nominal_spacing_mm) for crop in (first, second))
    scale = first.nominal_spacing_mm / second.nominal_spacing_mm
    frames = frames_start(first, second)
    candidates = [frames, searched(first, one.levels[0], two.levels[0], frames[0])]
    log_scale = (float(np.log(scale)), MAGNIFICATION_SD)
    found = [refine(first, one.levels, second, two.levels, start, log_scale, last_level=1) for start in candidates]
    best = max(found, key=lambda refined: refined.upper.similarity + refined.lower.similarity)
    return best.upper.matrix, best.lower.matrix


def peer_tasks(
    first: JointCrop, second: JointCrop, starts: tuple[np.ndarray, np.ndarray], settings: PeerSettings
) -> list[PeerTask]:
    """The tasks for the upper and the lower bone."""
    template, picture = (_prepared(crop, settings) for crop in (first, second))
    regions = zip(compared_regions(first), compared_regions(second), strict=True)
    return [PeerTask(template, picture, *own, start) for own, start in zip(regions, starts, strict=True)]


def _prepared(crop: JointCrop, settings: PeerSettings) -> np.ndarray:
    bones = crop.pixels[crop.upper | crop.lower].astype(float)
    film = (crop.pixels - bones.mean()) / (bones.std() + np.finfo(np.float32).tiny)
    if settings.blur_mm:
        film = ndimage.gaussian_filter(film, settings.blur_mm / crop.nominal_spacing_mm)
    return (evened(film, crop.nominal_spacing_mm) if settings.normalised else film).astype(np.float32)


def _brought(picture: np.ndarray, shape: tuple[int, int], start: np.ndarray, order: int) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    x, y = np.moveaxis(apply(start, np.stack([columns, rows], axis=-1)), -1, 0)
    return ndimage.map_coordinates(picture, [y, x], order=order, mode="nearest")
