"""What two films of one bone, laid on each other, still show differently, and how far noise alone would set them apart.

Exposure, processing and soft tissue are solved for first, as in the registration: a shading of fourth order, a gain
that varies over the bone, another sharpness, and a bend of the grey scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop

BLUR_MM = 0.25  # of both films: below it lies mostly noise
DETAIL_MM = 1.2  # sigma: what varies more slowly over the bone is shading
NEAR_MM = 6.0  # sigma of the weight along the axis in the fit: what counts lies at the joint
REACH_MM = 8.0  # unit of the coordinates in the shading
SHADING_ORDER = 4
LEAST_GAIN = 0.2  # of the contrast of one film on that of the other: below it they have nothing in common
LEAST_PIXELS = 200
TUKEY = 6.0  # robust standard deviations beyond which a pixel does not count in the fit
NOISE_KERNEL = np.outer([1, -2, 1], [1, -2, 1]) / 6.0  # blind to planes; unit variance of white noise stays (Immerkaer)
SPLINE_AT_PIXEL = np.array([1, 4, 1]) / 6.0  # a cubic spline at its own pixels


@dataclass(frozen=True)
class FilmDifference:
    """Two films inside one region of a crop, [row, column], 0 outside; unit: contrast of the first film in the region.

    ``residual`` is the second film less the first; ``right`` and ``down`` are the gradient of the first (a pixel), and
    all three are free of what varies more slowly than ``DETAIL_MM``. ``noise`` is the variance that noise gives the
    residual, ``gradient_noise`` what it gives to the squared length of the gradient.
    """

    region: np.ndarray
    residual: np.ndarray
    right: np.ndarray
    down: np.ndarray
    noise: np.ndarray
    gradient_noise: float

    def mean(self, picture: np.ndarray, sigma_px: float) -> np.ndarray:
        """Mean of a picture in a Gaussian window around every pixel, of what lies inside the region only."""
        return _mean_inside(picture, self.region, sigma_px)


def film_difference(
    crop: JointCrop, film: np.ndarray, region: np.ndarray, other_spline: np.ndarray, there: np.ndarray
) -> FilmDifference | None:
    """The difference of a crop and another film inside a region; None where they have nothing in common.

    ``film`` is the other film brought onto the crop (NaN where it shows nothing, not inside the region); its noise is
    read in the whole film, ``other_spline`` (coefficients of its cubic spline) around the positions ``there`` (row,
    column, 2; x, y) to which the crop's pixels belong.
    """
    if np.count_nonzero(region) < LEAST_PIXELS:
        return None
    blur, detail = BLUR_MM / crop.nominal_spacing_mm, DETAIL_MM / crop.nominal_spacing_mm
    one, one_contrast = _standardised(crop.pixels, region, blur)
    two, two_contrast = _standardised(film, region, blur)
    if min(one_contrast, two_contrast) <= 0.0:
        return None
    explained, gain = _as_other(crop, one, two, region)
    if np.median(gain) < LEAST_GAIN:
        return None
    gain = np.maximum(gain, LEAST_GAIN)
    residual = np.zeros(one.shape)
    residual[region] = (two[region] - explained) / gain
    down, right = np.gradient(one)
    first = _noise_of_pixels(crop.pixels, region) / one_contrast**2
    second = _noise_of_spline(other_spline, there[region]) / two_contrast**2
    noise = np.zeros(one.shape)
    noise[region] = (first + second / gain**2) * _noise_left(blur)[0]
    residual, right, down = (p - _mean_inside(p, region, detail) for p in (residual, right, down))
    residual, right, down = (np.where(region, p, 0.0) for p in (residual, right, down))
    return FilmDifference(region, residual, right, down, noise, first * _noise_left(blur)[1])


def _standardised(picture: np.ndarray, region: np.ndarray, blur_px: float) -> tuple[np.ndarray, float]:
    """A picture, blurred, with mean 0 and deviation 1 inside the region, and the deviation it had."""
    middle = float(np.mean(picture[region]))
    blurred = ndimage.gaussian_filter(np.where(np.isfinite(picture), picture, middle) - middle, blur_px)
    contrast = float(np.std(blurred[region]))
    if contrast <= 1e-6 * (abs(middle) + np.finfo(np.float32).tiny):
        return blurred, 0.0
    return (blurred - np.mean(blurred[region])) / contrast, contrast


def _as_other(crop: JointCrop, one: np.ndarray, two: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first picture with the look of the second, and how the second follows it (gain); both for the region (n)."""
    rows, columns = np.nonzero(region)
    mm = np.column_stack([columns - crop.origin_px[0], rows - crop.origin_px[1]]) * crop.nominal_spacing_mm
    u, v = mm.T / REACH_MM
    shading = np.column_stack([u ** (order - k) * v**k for order in range(SHADING_ORDER + 1) for k in range(order + 1)])
    value, sharpness = one[region], ndimage.laplace(one, mode="nearest")[region]
    look = np.column_stack([shading, sharpness, shading[:, :3] * value[:, None], value**2])
    near = np.exp(-0.5 * (mm @ np.asarray(crop.axis) / NEAR_MM) ** 2)
    chosen = (rows + columns) % 2 == 0  # half of the pixels hold all that the blur leaves
    gains = _robust_fit(look[chosen], two[region][chosen], near[chosen])
    return look @ gains, shading[:, :3] @ gains[-4:-1] + 2.0 * gains[-1] * value


def _robust_fit(basis: np.ndarray, target: np.ndarray, weight: np.ndarray, rounds: int = 4) -> np.ndarray:
    trust = weight
    for _ in range(rounds):
        weighted = basis * trust[:, None]
        normal = weighted.T @ basis
        normal += 1e-10 * (np.trace(normal) + np.finfo(float).tiny) * np.eye(len(normal))
        found = np.linalg.solve(normal, weighted.T @ target)
        residual = target - basis @ found
        spread = 1.4826 * np.median(np.abs(residual)) + np.finfo(np.float32).tiny
        trust = weight * np.clip(1.0 - (residual / (TUKEY * spread)) ** 2, 0.0, 1.0) ** 2
    return found


def _noise_of_pixels(pixels: np.ndarray, region: np.ndarray) -> float:
    """Variance of white noise in a film inside a region; structure hardly counts, being rare at the finest scale."""
    return _variance(ndimage.correlate(pixels.astype(float), NOISE_KERNEL, mode="nearest")[region])


def _noise_of_spline(coefficients: np.ndarray, positions: np.ndarray) -> float:
    """The same in the pixels of a film that lie nearest to positions (n, 2; x, y): between pixels noise is smoothed."""
    kernel = ndimage.convolve(np.pad(NOISE_KERNEL, 1), np.outer(SPLINE_AT_PIXEL, SPLINE_AT_PIXEL), mode="constant")
    x, y = np.round(positions[::3]).astype(int).T
    rows, columns = coefficients.shape
    response = np.zeros(len(x))
    for down in range(-2, 3):
        for right in range(-2, 3):
            there = coefficients[np.clip(y + down, 0, rows - 1), np.clip(x + right, 0, columns - 1)]
            response += kernel[down + 2, right + 2] * there
    return _variance(response)


def _variance(response: np.ndarray) -> float:
    return float((1.4826 * np.median(np.abs(response))) ** 2)


def _noise_left(blur_px: float) -> tuple[float, float]:
    """Variance that white noise of variance 1 keeps in a blurred picture, and in its squared gradient (analytic)."""
    return 1.0 / (4.0 * np.pi * blur_px**2), 1.0 / (4.0 * np.pi * blur_px**4)


def _mean_inside(picture: np.ndarray, region: np.ndarray, sigma_px: float) -> np.ndarray:
    weight = region.astype(float)
    return ndimage.gaussian_filter(weight * picture, sigma_px) / (
        ndimage.gaussian_filter(weight, sigma_px) + np.finfo(np.float32).tiny
    )
