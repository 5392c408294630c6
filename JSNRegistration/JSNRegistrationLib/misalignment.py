"""Maps that are drawn over the films: the second film brought onto the first, and where they differ.

The loss says how far the bone would have to be misplaced, around each pixel, to make the two films differ as much as
they do: 0 is nothing beyond noise, 1 is 1 mm or more. So a colour means the same mismatch on every joint and film,
whatever its exposure, processing, contrast or noise.

A bone laid d off itself leaves the difference d . gradient. The loss is the d in sqrt(2 (V - N) / (G - M)), with V and
G the mean squares of the difference and of the gradient in a window, N and M what noise adds to each: a shift in an
unknown direction, in closed form. Across a single edge it reads up to 1.4 times too far, along it nothing.

Measured by Testing/benchmarks/loss_maps.py on 24 simulated joints (easy and medium, 0.1 and 0.15 mm pixels, 16000 to
1000 photons) of which one bone was misplaced by 0, 0.1, 0.2, 0.4 and 0.8 mm: its mean loss was 0.04 +- 0.02, 0.10 +-
0.02, 0.19 +- 0.03, 0.37 +- 0.07 and 0.67 +- 0.13 mm, at 1000 photons within 0.02 mm of that up to 0.2 mm. Correlation
alone, which it replaces, read aligned joints six times brighter at 1000 than at 16000 photons.

Dark everywhere: the number can be trusted. Bright along one bone: that bone is not laid on itself. A bright patch in a
well-laid bone: real change, or a finger turned out of the plane (``loss_reading`` puts that in words).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JointQuantLib.loss_colors import FULL_LOSS_MM
from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.film_difference import FilmDifference, film_difference
from JSNRegistrationLib.motion import apply, compose, inverse
from JSNRegistrationLib.refinement import STRIP_MM, compared_regions

WINDOW_MM = 0.6  # sigma of the Gaussian window: 1.4 mm across at half weight
FAINTEST_GRADIENT = 0.05  # of the bone's own mean square: where there is less, nothing can be told


@dataclass(frozen=True)
class BoneLoss:
    """One bone on the pixels of a crop: ``region`` that was compared (bool), its ``loss`` (NaN outside), and the
    ``difference`` it was read from (None where the films have nothing in common there).
    """

    region: np.ndarray
    loss: np.ndarray
    difference: FilmDifference | None


@dataclass(frozen=True)
class MisalignmentMap:
    """Maps on the pixels of a crop: ``film`` the other film brought onto it (NaN where it shows nothing), ``loss`` the
    loss inside both bones (NaN outside), ``mean_loss`` its mean over both bones, ``bones`` the upper and the lower one.
    """

    film: np.ndarray
    loss: np.ndarray
    mean_loss: float
    bones: tuple[BoneLoss, ...] = ()


def misalignment(crop: JointCrop, other_spline: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> MisalignmentMap:
    """Bring a film onto a crop, each bone by its own motion, and compare.

    ``other_spline`` is the ``film_spline`` of the whole other film; ``upper`` and ``lower`` are motions (2 x 3) from
    crop pixels to its pixels. Between the bones the film follows the nearer one.
    """
    regions = compared_regions(crop)
    places = [_places(motion, crop.pixels.shape) for motion in (upper, lower)]
    brought = [_brought(other_spline, place) for place in places]
    from_upper, from_lower = (ndimage.distance_transform_edt(~bone) for bone in (crop.upper, crop.lower))
    free = (_free(crop, from_lower, upper, lower), _free(crop, from_upper, lower, upper))
    bones = tuple(
        _bone_loss(crop, film, region & own, other_spline, place)
        for film, region, own, place in zip(brought, regions, free, places, strict=True)
    )
    nearer_upper = from_upper <= from_lower
    film = np.where(nearer_upper, brought[0], brought[1]).astype(np.float32)
    loss = np.fmax(bones[0].loss, bones[1].loss)
    inside = np.isfinite(loss)
    return MisalignmentMap(film, loss, float(loss[inside].mean()) if inside.any() else np.nan, bones)


def film_spline(pixels: np.ndarray) -> np.ndarray:
    """Cubic spline of a whole film, made once for all its joints."""
    return ndimage.spline_filter(pixels.astype(float), order=3, mode="mirror")


def _places(motion: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where a motion takes every pixel of a crop, (row, column, 2) as x, y."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return apply(motion, np.stack([columns, rows], axis=-1))


def _brought(spline: np.ndarray, places: np.ndarray) -> np.ndarray:
    x, y = np.moveaxis(places, -1, 0)
    film = ndimage.map_coordinates(spline, [y, x], order=3, mode="mirror", prefilter=False)
    shown = (x >= -0.5) & (y >= -0.5) & (x <= spline.shape[1] - 0.5) & (y <= spline.shape[0] - 0.5)
    return np.where(shown, film, np.nan)


def _free(crop: JointCrop, from_other: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pixels (bool) which the other bone, ``from_other`` pixels away, has not come near to in the second film."""
    x, y = np.moveaxis(_places(compose(inverse(other), own), crop.pixels.shape), -1, 0)
    away = ndimage.map_coordinates(from_other, [y, x], order=1, mode="nearest")
    return away * crop.nominal_spacing_mm > STRIP_MM


def _bone_loss(
    crop: JointCrop, film: np.ndarray, region: np.ndarray, other_spline: np.ndarray, places: np.ndarray
) -> BoneLoss:
    """The loss of one bone; 1 all over it where the films have nothing in common."""
    compared = region & np.isfinite(film)
    difference = film_difference(crop, film, compared, other_spline, places)
    apart = np.full(crop.pixels.shape, FULL_LOSS_MM)
    if difference is not None:
        apart = apart_mm(difference, crop.nominal_spacing_mm)
    loss = np.where(compared, np.clip(apart / FULL_LOSS_MM, 0.0, 1.0), np.nan).astype(np.float32)
    return BoneLoss(compared, loss, difference)


def apart_mm(difference: FilmDifference, spacing_mm: float) -> np.ndarray:
    """The misplacement in mm that would leave as much difference in a window around each pixel."""
    window = WINDOW_MM / spacing_mm
    left = difference.mean(difference.residual**2 - difference.noise, window)
    squared = difference.right**2 + difference.down**2
    usual = squared[difference.region].mean() - difference.gradient_noise
    slope = np.maximum(difference.mean(squared, window) - difference.gradient_noise, 0.0)
    slope += FAINTEST_GRADIENT * max(usual, np.finfo(np.float32).tiny)
    return np.sqrt(2.0 * np.maximum(left, 0.0) / slope) * spacing_mm
