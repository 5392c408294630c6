"""What is compared between two films: the blurred films, from coarse to fine, and their local contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop

BLUR_MM = (0.45, 0.2)  # of each level, coarse to fine
NEIGHBOURHOOD_MM = 3.0  # sigma over which contrast is evened out
FAINTEST_CONTRAST = 0.05  # of the contrast of both bones: keeps flat areas from counting as much as structure


@dataclass(frozen=True)
class FeatureLevel:
    """One level of a crop: the picture blurred by ``blur_px``, its cubic spline and its gradient (right, down)."""

    picture: np.ndarray
    spline: np.ndarray
    gradient: tuple[np.ndarray, np.ndarray]
    blur_px: float

    @property
    def stride(self) -> int:
        """Every so many pixels hold all that the blur leaves."""
        return max(1, round(self.blur_px / 1.2))

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The picture at pixel coordinates, by cubic spline."""
        return ndimage.map_coordinates(self.spline, [y, x], order=3, mode="mirror", prefilter=False)


def feature_levels(crop: JointCrop) -> tuple[FeatureLevel, ...]:
    """The levels of a crop, coarse to fine; grey values are scaled to the contrast of its two bones.

    The coarse ones are evened: far from the answer that finds it more often. The finest is not: there the other bone,
    whose picture reaches into the evening of this one, would pull the answer (by 1 % of the change of the joint space).
    """
    bones = crop.pixels[crop.upper | crop.lower].astype(float)
    film = (crop.pixels - bones.mean()) / (bones.std() + np.finfo(np.float32).tiny)
    levels = []
    for blur_mm in BLUR_MM:
        blur_px = blur_mm / crop.nominal_spacing_mm
        picture = ndimage.gaussian_filter(film, blur_px)
        if blur_mm != BLUR_MM[-1]:
            picture = evened(picture, crop.nominal_spacing_mm)
        down, right = np.gradient(picture)
        spline = ndimage.spline_filter(picture, order=3, mode="mirror")
        levels.append(FeatureLevel(picture, spline, (right, down), blur_px))
    return tuple(levels)


def local_contrast(picture: np.ndarray, region: np.ndarray, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a picture in the neighbourhood of every pixel, of what lies in the region only."""
    reach = NEIGHBOURHOOD_MM / spacing_mm
    weight = region.astype(float)
    inside = _widely_blurred(weight, reach) + np.finfo(np.float32).tiny
    mean = _widely_blurred(weight * picture, reach) / inside
    variance = _widely_blurred(weight * (picture - mean) ** 2, reach) / inside
    return mean, np.sqrt(np.maximum(variance, 0.0) + FAINTEST_CONTRAST**2)


def _widely_blurred(picture: np.ndarray, sigma_px: float) -> np.ndarray:
    """Close to a Gaussian blur, by three box filters of the same variance: a tenth of the time for a wide one."""
    size = round(np.sqrt(4.0 * sigma_px**2 + 1.0)) | 1  # odd: an even box shifts the picture by half a pixel
    for _ in range(3):
        picture = ndimage.uniform_filter(picture, size)
    return picture


def evened(picture: np.ndarray, spacing_mm: float) -> np.ndarray:
    """A picture free of slow shading and exposure: minus the local mean, over the local deviation."""
    mean, deviation = local_contrast(picture, np.ones(picture.shape, bool), spacing_mm)
    return (picture - mean) / deviation
