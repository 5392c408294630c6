"""Maps that are drawn over the films: the second film brought onto the first, and where they differ.

The loss is 1 - local correlation, cut to 0..1: 0 where both films show the same, 1 where they are nothing alike. It
does not depend on exposure or processing, and its scale is the same for every joint and visit. Dark everywhere: the
number can be trusted. Bright rims along one bone's border: that bone is not laid on itself. A bright patch inside a
well-laid bone: real change, or a finger turned out of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import apply
from JSNRegistrationLib.refinement import compared_regions

WINDOW_MM = 0.6  # sigma of the Gaussian window: 1.4 mm across at half weight
FINEST_MM = 0.12  # films are blurred by this before they are compared
FAINTEST_CONTRAST = 0.05  # of the bone's own contrast: below it there is nothing to compare


@dataclass(frozen=True)
class MisalignmentMap:
    """Maps on the pixels of a crop: ``film`` the other film brought onto it (NaN where it shows nothing), ``loss`` the
    loss inside both bones (NaN outside), ``mean_loss`` its mean over both bones.
    """

    film: np.ndarray
    loss: np.ndarray
    mean_loss: float


def misalignment(crop: JointCrop, other_spline: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> MisalignmentMap:
    """Bring a film onto a crop, each bone by its own motion, and compare.

    ``other_spline`` is the ``film_spline`` of the whole other film; ``upper`` and ``lower`` are motions (2 x 3) from
    crop pixels to its pixels. Between the bones the film follows the nearer one.
    """
    regions = compared_regions(crop)
    brought = [_brought(other_spline, motion, crop.pixels.shape) for motion in (upper, lower)]
    nearer_upper = ndimage.distance_transform_edt(~crop.upper) <= ndimage.distance_transform_edt(~crop.lower)
    loss = np.full(crop.pixels.shape, np.nan, np.float32)
    for region, film in zip(regions, brought, strict=True):
        own = region & np.isfinite(film)
        if own.any():
            loss[own] = _local_loss(crop.pixels, film, own, crop.nominal_spacing_mm)[own]
    film = np.where(nearer_upper, brought[0], brought[1]).astype(np.float32)
    inside = np.isfinite(loss)
    return MisalignmentMap(film, loss, float(loss[inside].mean()) if inside.any() else np.nan)


def film_spline(pixels: np.ndarray) -> np.ndarray:
    """Cubic spline of a whole film, made once for all its joints."""
    return ndimage.spline_filter(pixels.astype(float), order=3, mode="mirror")


def _brought(spline: np.ndarray, motion: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    x, y = np.moveaxis(apply(motion, np.stack([columns, rows], axis=-1)), -1, 0)
    film = ndimage.map_coordinates(spline, [y, x], order=3, mode="mirror", prefilter=False)
    shown = (x >= -0.5) & (y >= -0.5) & (x <= spline.shape[1] - 0.5) & (y <= spline.shape[0] - 0.5)
    return np.where(shown, film, np.nan)


def _local_loss(first: np.ndarray, second: np.ndarray, region: np.ndarray, spacing_mm: float) -> np.ndarray:
    """1 - correlation in a Gaussian window, of what lies inside the region only; where both are flat, no loss."""
    weight = region.astype(float)
    window = WINDOW_MM / spacing_mm
    inside = ndimage.gaussian_filter(weight, window) + np.finfo(float).tiny

    def mean(picture):
        return ndimage.gaussian_filter(weight * picture, window) / inside

    one, two = (_standardised(picture, region, FINEST_MM / spacing_mm) for picture in (first, second))
    one_mean, two_mean = mean(one), mean(two)
    one_spread = np.maximum(mean(one**2) - one_mean**2, 0.0) + FAINTEST_CONTRAST**2
    two_spread = np.maximum(mean(two**2) - two_mean**2, 0.0) + FAINTEST_CONTRAST**2
    shared = mean(one * two) - one_mean * two_mean + FAINTEST_CONTRAST**2
    return np.clip(1.0 - shared / np.sqrt(one_spread * two_spread), 0.0, 1.0)


def _standardised(picture: np.ndarray, region: np.ndarray, blur_px: float) -> np.ndarray:
    """Blurred, with mean 0 and standard deviation 1 inside the region; as the mean where nothing is shown."""
    middle, spread = np.mean(picture[region]), np.std(picture[region])
    unit = (picture - middle) / (spread + np.finfo(np.float32).tiny)
    return ndimage.gaussian_filter(np.where(np.isfinite(unit), unit, 0.0).astype(float), blur_px)
