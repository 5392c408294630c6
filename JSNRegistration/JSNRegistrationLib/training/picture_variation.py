"""Varies the pictures of a batch: other textures, other noise, other sharpness, and what moves otherwise than the bone.

A network that has only seen simulated bones learns how they look. It should learn to compare what agrees in both
films, whatever it looks like: so textures of many kinds are laid over the bones and moved exactly as they are.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from JSNRegistrationLib.halfway_pictures import FINE
from JSNRegistrationLib.similarity import Similarity

TEXTURED, STRONGEST_TEXTURE = 0.7, (0.08, 1.2)  # share of the bones; amplitude, of the contrast of the bones
NOISY, MOST_NOISE = 0.4, 0.15
BENT, BEND = 0.4, 0.06  # of the grey scale
BLURRED, MOST_BLUR_PX = 0.3, 1.0
SPOTTED, MOST_SPOT = 0.3, 1.0  # something that only one film shows
SPOT_MM = (0.4, 2.0)
TILTED, TILT, TILT_APART = 0.15, 0.008, 0.3  # share; longer along the finger, and sheared; of it, each bone by itself
MIDDLE_MM = 2.0  # of a bone, to both sides, where its joint surface is looked for
FIELD_SIDE = 192  # of the square in which a texture is made, pixels


def vary(pictures: np.ndarray, left: Similarity, rng: np.random.Generator) -> None:
    """Put each variation on a share of the bones of ``halfway_pictures``; ``left`` (n) is the motion from the first to
    the second picture of each bone, in its own frame (mm)."""
    first, second = pictures[:, 0], pictures[:, 1]
    for bone in range(len(first)):
        if rng.random() < TEXTURED:
            ahead, back = left[bone].half(), left[bone].half().inverse()
            texture = _texture(rng) * np.exp(rng.uniform(*np.log(STRONGEST_TEXTURE)))
            first[bone] += _moved(texture, ahead)
            second[bone] += _moved(texture, back)
        if bone % 2 == 0:
            tilt = rng.normal(0, TILT, 2) * (rng.random() < TILTED)
        if tilt.any():
            _tilt(pictures[bone], (tilt + rng.normal(0, TILT_APART * TILT, 2)) * (1, 1j))
        film = (first, second)[rng.integers(2)]
        if rng.random() < SPOTTED:
            film[bone] += _spot(rng)
        if rng.random() < BENT:
            film[bone] += rng.normal(0, BEND) * film[bone] ** 2
        if rng.random() < BLURRED:
            blur = rng.uniform(0, MOST_BLUR_PX)
            for chosen in (first, second) if rng.random() < 0.5 else (film,):
                chosen[bone] = ndimage.gaussian_filter(chosen[bone], blur)
        if rng.random() < NOISY:
            for chosen in (first, second):
                chosen[bone] += rng.uniform(0, MOST_NOISE) * rng.standard_normal(film[bone].shape)


def _texture(rng: np.random.Generator) -> np.ndarray:
    """A random field of mean 0 and deviation 1: cloudy, grainy or stranded, along any direction."""
    ky, kx = fft.fftfreq(FIELD_SIDE)[:, None], fft.rfftfreq(FIELD_SIDE)[None, :]
    angle, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, np.log(4)))
    along, across = np.cos(angle) * kx + np.sin(angle) * ky, np.cos(angle) * ky - np.sin(angle) * kx
    radius = np.hypot(along * stretch, across) + 1e-3
    finest = rng.uniform(0.08, 0.3)  # cycles a pixel
    noise = fft.rfft2(rng.standard_normal((FIELD_SIDE, FIELD_SIDE), np.float32))
    field = fft.irfft2(noise * radius ** -rng.uniform(0, 2) * np.exp(-((radius / finest) ** 2)), s=(FIELD_SIDE,) * 2)
    field = (field - field.mean()) / field.std()
    if rng.random() < 0.4:  # its zero crossings are strands
        field = np.exp(-((field / rng.uniform(0.2, 0.6)) ** 2))
    return (field - field.mean()) / field.std()


def _moved(texture: np.ndarray, motion: Similarity) -> np.ndarray:
    at = motion(FINE.points) / FINE.step_mm + FIELD_SIDE / 2 * (1 + 1j)
    return ndimage.map_coordinates(texture, [at.imag, at.real], order=3, mode="grid-wrap")


def _tilt(pictures: np.ndarray, bend: np.ndarray) -> None:
    """Foreshorten and shear the bone in one film against the other, half in each: the joint surface stays in place."""
    points = FINE.points
    middle = (pictures[2] > 0.5) & (np.abs(points.real) < MIDDLE_MM)
    surface_mm = points.imag[middle].max() if middle.any() else 0.0
    sideways, along = 0.5 * bend
    for film, sign in ((0, 1.0), (1, -1.0)):
        at = points + sign * (sideways + along) * (points.imag - surface_mm)
        column, row = (at.real - points[0, 0].real) / FINE.step_mm, (at.imag - points[0, 0].imag) / FINE.step_mm
        pictures[film] = ndimage.map_coordinates(pictures[film], [row, column], order=3, mode="nearest")


def _spot(rng: np.random.Generator) -> np.ndarray:
    points = FINE.points
    centre = points[rng.integers(points.shape[0]), rng.integers(points.shape[1])]
    reach = rng.uniform(*SPOT_MM)
    return rng.normal(0, MOST_SPOT) * np.exp(-((np.abs(points - centre) / reach) ** 4))
