"""Where the joint registration by the network starts: the best turn and shift of each bone, found on a coarse grid.

Normalised cross-correlation of the bone's region by FFT, for a region of any shape (Padfield 2012, IEEE Trans Image
Process 21:2706), as in ``starting_motion`` but in the joints' own frames, for all turns at once.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from JSNRegistrationLib.halfway_pictures import REGION_MM, REGION_SIDE, ComparedJoint
from JSNRegistrationLib.similarity import Similarity

GRID_MM = 0.4
HALF_SIDE = 26  # of the grid: 10.4 mm
REACH = 10  # of the search for the shift, grid steps: 4 mm
TURNS_DEG = np.arange(-18, 19, 3)
UNUSUAL = 0.10  # taken off the correlation of a start at the rim of the search: joint frames are seldom so wrong
FAINTEST = 1e-6


def searched_motions(first: ComparedJoint, second: ComparedJoint) -> Similarity:
    """Starts (2) of the upper and the lower bone between the frames of a joint in two films (mm)."""
    line = np.arange(-HALF_SIDE, HALF_SIDE + 1) * GRID_MM
    points = line[None, :] + 1j * line[:, None]
    side = fft.next_fast_len(len(line) + REACH, real=True)
    turns = np.exp(1j * np.radians(TURNS_DEG))
    at = second.frame(turns[:, None, None] * points)
    seen = ndimage.map_coordinates(second.coarse, [at.imag, at.real], order=1, mode="constant")
    spectra = [fft.rfft2(picture, (side, side)) for picture in (seen, seen**2)]
    own = first.frame(points)
    template = ndimage.map_coordinates(first.coarse, [own.imag, own.real], order=1, mode="constant")
    inside = points / REGION_MM + REGION_SIDE // 2 * (1 + 1j)
    found = [
        _best(template, ndimage.map_coordinates(region, [inside.imag, inside.real], order=1) > 0.5, spectra, side)
        for region in first.regions
    ]
    # What the turned grid shows at a shift lies, in the second frame, at the turned shift.
    return Similarity(
        np.array([turns[turn] for turn, _ in found]), np.array([turns[turn] * shift for turn, shift in found])
    )


def _best(template: np.ndarray, inside: np.ndarray, spectra: list[np.ndarray], side: int) -> tuple[int, complex]:
    """The turn (its number) and the shift (mm) at which the template correlates best."""
    count = inside.sum()
    middle = len(TURNS_DEG) // 2
    if count < 20:
        return middle, 0.0
    values = np.where(inside, template - template[inside].mean(), 0.0)
    slid_by = [np.conj(fft.rfft2(kernel, (side, side))) for kernel in (values, inside.astype(float))]
    product, total, squares = (
        _window(fft.irfft2(kernel * spectrum, (side, side)))
        for kernel, spectrum in ((slid_by[0], spectra[0]), (slid_by[1], spectra[0]), (slid_by[1], spectra[1]))
    )
    spread = np.maximum(squares - total**2 / count, FAINTEST * count) * np.sum(values**2)
    score = product / np.sqrt(spread + np.finfo(float).tiny)
    steps = np.arange(-REACH, REACH + 1)
    far = np.hypot(steps[:, None], steps[None, :]) / REACH
    turned = np.abs(TURNS_DEG) / TURNS_DEG[-1]
    score = score - UNUSUAL * (far**2 + turned[:, None, None] ** 2)
    turn, row, column = np.unravel_index(np.argmax(score), score.shape)
    return int(turn), complex(steps[column], steps[row]) * GRID_MM


def _window(correlation: np.ndarray) -> np.ndarray:
    """Correlations (turns, ...) at shifts of up to ``REACH`` steps, the most negative first."""
    return np.roll(correlation, (REACH, REACH), axis=(1, 2))[:, : 2 * REACH + 1, : 2 * REACH + 1]
