"""How well the change of a joint space can be known at best: the Cramer-Rao bound of one joint.

The picture is taken as known and the noise of both films as independent. For each bone the unknowns are a shift (2), a
turn, a log scale that both bones share, a gain, a bias and a linear shading (2); the pixels are those of the region of
the bone that is compared. With G the effect of the unknowns on the pixels and C the covariance of the noise, which is
correlated between neighbours, their covariance is at best (G' C^-1 G)^-1 (Kay 1993, Fundamentals of statistical signal
processing, volume 1, section 3.9). No expectation on the scale is used: where the spacings of the films are known, a
method can come a little below. Without knowing the picture, from both films only (Knapp and Carter 1976, IEEE Trans
Acoust 24:320), the bound came out 0 to 6 % higher at low and medium noise, 3 to 14 % at high noise; it is not given.

C = D K D: D the standard deviation of the noise at every pixel, K its correlation, the same everywhere; both from the
films with noise minus the same films without, after their grey scales were made alike (the window of a simulated film
follows its noise). C^-1 G is solved by conjugate gradients on the region.
"""

from __future__ import annotations

import numpy as np
from registration_joints import KnownJoint, make
from scipy import fft, ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import apply
from JSNRegistrationLib.refinement import compared_regions

LOCAL_MM = 2.0  # sigma over which the standard deviation of the noise is taken
CORRELATED_PX = 4  # noise farther apart is independent
LEAST_POWER = 0.02  # of the mean: keeps the inverse from trusting frequencies without any noise
STEPS = 60
SETTLED = 1e-3  # of the right side
UPPER, LOWER = [0, 1, 2, 6, 7, 8, 9, 10], [3, 4, 5, 6, 11, 12, 13, 14]  # places of a bone's unknowns among all


def floor_mm(noisy: KnownJoint) -> float:
    """Smallest standard error of the change of the joint space that an unbiased answer can have, in mm."""
    clean = make(noisy.spec, noise=False)
    deviation, correlation = _noise(noisy, clean)
    information = np.zeros((15, 15))
    origin = np.array(noisy.first.origin_px)
    regions = compared_regions(noisy.first)
    picture = _piece(clean.first, noisy.first)
    for places, region in zip((UPPER, LOWER), regions, strict=True):
        effect = _effects(picture, region, origin)
        whitened = _whitened(effect, region, deviation, _noise_power(region.shape, correlation))
        information[np.ix_(places, places)] += np.tensordot(effect, whitened, axes=([1, 2], [1, 2]))
    axis = np.array(noisy.first.axis)
    slope = np.zeros(15)
    slope[0:2], slope[3:5] = axis, -axis
    return float(np.sqrt(slope @ np.linalg.solve(information, slope))) * noisy.spec.spacing_mm


def _noise(noisy: KnownJoint, clean: KnownJoint) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation of the difference of both films' noise (grey values of the first, at its pixels), and the
    correlation of noise at offsets up to ``CORRELATED_PX`` (2 n + 1 square).
    """
    noises = [_difference(a, _piece(b, a)) for a, b in ((noisy.first, clean.first), (noisy.second, clean.second))]
    blur = LOCAL_MM / noisy.spec.spacing_mm
    variances = [ndimage.gaussian_filter(noise**2, blur, mode="nearest") for noise in noises]
    gain = _contrast(noisy.first) / _contrast(noisy.second)
    rows, columns = np.mgrid[0 : variances[0].shape[0], 0 : variances[0].shape[1]]
    joined = 0.5 * (noisy.upper + noisy.lower)
    there = apply(joined, np.stack([columns, rows], axis=-1) + np.array(noisy.first.offset_px)) - np.array(
        noisy.second.offset_px
    )
    second = ndimage.map_coordinates(variances[1], [there[..., 1], there[..., 0]], order=1, mode="nearest")
    first_noise = noises[0] / np.sqrt(variances[0])
    power = np.abs(fft.fft2(first_noise - first_noise.mean())) ** 2
    covariance = fft.fftshift(fft.ifft2(power).real)
    middle = np.array(covariance.shape) // 2
    near = covariance[tuple(slice(m - CORRELATED_PX, m + CORRELATED_PX + 1) for m in middle)]
    return np.sqrt(variances[0] + gain**2 * second), near / near.max()


def _difference(crop: JointCrop, clean: np.ndarray) -> np.ndarray:
    """The noise of a film: what is left of it after a cubic of its grey values without noise is fitted to it."""
    bones = crop.upper | crop.lower
    return crop.pixels - np.polynomial.Polynomial.fit(clean[bones], crop.pixels[bones], 3)(clean)


def _piece(clean: JointCrop, noisy: JointCrop) -> np.ndarray:
    """The pixels without noise of the piece that was cut out of the film with noise."""
    if clean.pixels.shape != noisy.pixels.shape or clean.offset_px != noisy.offset_px:
        raise ValueError("both crops follow from the same outlines; they should be the same piece")
    return clean.pixels.astype(float)


def _contrast(crop: JointCrop) -> float:
    return float(crop.pixels[crop.upper | crop.lower].std())


def _effects(picture: np.ndarray, region: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """What a unit of each unknown does to the picture inside the region (8, rows, columns), 0 outside."""
    down, right = np.gradient(picture)
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    x, y = columns - origin[0], rows - origin[1]
    one = np.ones_like(picture)
    rigid = [right, down, down * x - right * y, right * x + down * y]
    return np.stack([*rigid, picture - picture[region].mean(), one, x, y]) * region


def _noise_power(size: tuple[int, int], correlation: np.ndarray) -> np.ndarray:
    """Power spectrum (of a real transform) of noise with this correlation, on a grid with room round the picture."""
    kernel = np.zeros(_grid(size))
    kernel[: correlation.shape[0], : correlation.shape[1]] = correlation
    power = fft.rfft2(np.roll(kernel, (-CORRELATED_PX, -CORRELATED_PX), axis=(0, 1))).real
    return np.maximum(power, LEAST_POWER * power.mean())


def _grid(size: tuple[int, int]) -> list[int]:
    return [fft.next_fast_len(n + 2 * CORRELATED_PX, real=True) for n in size]


def _whitened(effects: np.ndarray, region: np.ndarray, deviation: np.ndarray, power: np.ndarray) -> np.ndarray:
    """C^-1 of every effect, C restricted to the region: conjugate gradients, all effects at once."""
    shape = _grid(region.shape)
    size = effects.shape[1:]

    def filtered(pictures: np.ndarray, by: np.ndarray) -> np.ndarray:
        return fft.irfft2(fft.rfft2(pictures, shape) * by, shape)[:, : size[0], : size[1]] * region

    def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sum(a * b, axis=(1, 2))[:, None, None]

    right = effects / deviation
    answer = np.zeros_like(right)
    residual, settled = right.copy(), SETTLED**2 * dot(right, right)
    guess = filtered(residual, 1.0 / power)
    direction, energy = guess, dot(residual, guess)
    for _ in range(STEPS):
        ahead = filtered(direction, power)
        step = energy / np.maximum(dot(direction, ahead), np.finfo(float).tiny)
        answer += step * direction
        residual -= step * ahead
        if np.all(dot(residual, residual) <= settled):
            break
        guess = filtered(residual, 1.0 / power)
        new = dot(residual, guess)
        direction, energy = guess + new / np.maximum(energy, np.finfo(float).tiny) * direction, new
    return answer / deviation
