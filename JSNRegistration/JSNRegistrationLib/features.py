"""What is compared between two films: locally normalised pictures, from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop

# Blur of each level in millimetres, coarse to fine. The finest is below the width of a trabecula on the film; a wider
# one (0.2 mm) loses a third of the accuracy on simulated joints.
BLUR_MM = (0.45, 0.2, 0.12)
NEIGHBOURHOOD_MM = 3.0  # sigma over which brightness and contrast are evened out
FAINTEST_CONTRAST = 0.05  # of the contrast of the whole crop: keeps flat areas from becoming noise of unit size


@dataclass(frozen=True)
class FeatureLevel:
    """One level of a crop: the normalised picture, its cubic spline and its gradient, and the blur, all in pixels."""

    picture: np.ndarray
    spline: np.ndarray
    gradient: tuple[np.ndarray, np.ndarray]
    blur_px: float

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The normalised picture at pixel coordinates, by cubic spline."""
        return ndimage.map_coordinates(self.spline, [y, x], order=3, mode="mirror", prefilter=False)


def feature_levels(crop: JointCrop) -> tuple[FeatureLevel, ...]:
    """The levels of a crop, coarse to fine.

    Each is the film blurred by ``BLUR_MM``, minus its mean and divided by its standard deviation in a Gaussian
    neighbourhood of ``NEIGHBOURHOOD_MM``: free of exposure, of the soft tissue's slow shading and of the processing
    that a film reader applies.
    """
    return tuple(_level(crop, blur / crop.nominal_spacing_mm) for blur in BLUR_MM)


def _level(crop: JointCrop, blur_px: float) -> FeatureLevel:
    film = crop.pixels.astype(float)
    blurred = ndimage.gaussian_filter(film, blur_px)
    reach = NEIGHBOURHOOD_MM / crop.nominal_spacing_mm
    deviation = blurred - ndimage.gaussian_filter(blurred, reach, truncate=2.5)
    spread = ndimage.gaussian_filter(deviation**2, reach, truncate=2.5)
    floor = (FAINTEST_CONTRAST * blurred[crop.upper | crop.lower].std()) ** 2
    picture = deviation / np.sqrt(spread + floor + np.finfo(float).tiny)
    down, right = np.gradient(picture)
    return FeatureLevel(picture, ndimage.spline_filter(picture, order=3, mode="mirror"), (right, down), blur_px)
