"""Phase-only correlation, of the bone by itself and in the two-region form (PIPOC); both find a shift only.

Written from descriptions: phase-only correlation with a fitted peak by Takita et al. 2003 (IEICE Trans Fundam
E86-A:1925); PIPOC by Ou et al. 2023 (IEEE J Biomed Health Inform 27:53): the phase spectra of the whole window, the
phase picture split by region, each region correlated, and the peak, which looks like a sinc, fitted by least squares in
a window of 15 x 15. No code of theirs was used.
"""

from __future__ import annotations

import numpy as np
from peer_task import PeerSettings, PeerTask
from scipy import fft, ndimage, optimize, signal

from JSNRegistrationLib.motion import compose, motion_about

FITTED = 7  # pixels on each side of the highest one
FARTHEST_PX = 20  # shifts are looked for up to here


def phase_only_correlation(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """On bones cut out with a soft edge; ``detail`` is the share of the spectrum, from its middle, that is used."""
    pair = [fft.fft2(picture) for picture in task.cut_out()]
    product = pair[1] * np.conj(pair[0])
    return _shifted(task, _within_band(_whitened(product), settings.detail), settings.detail)


def two_region_phase_correlation(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """PIPOC; ``detail`` is the share of the spectrum, from its middle, that is used."""
    shape = task.template.shape
    hann = np.outer(*(signal.windows.hann(n, sym=False) for n in shape))
    regions = (task.region.astype(float), task.brought_region())
    spectra = []
    for picture, region in zip((task.template, task.brought()), regions, strict=True):
        spectrum = fft.fft2(hann * (picture - picture.mean()))
        phases = fft.ifft2(_within_band(_whitened(spectrum), settings.detail)).real
        spectra.append(fft.fft2(phases * region))
    return _shifted(task, spectra[1] * np.conj(spectra[0]), settings.detail)


def _whitened(spectrum: np.ndarray) -> np.ndarray:
    return spectrum / np.maximum(np.abs(spectrum), np.finfo(float).eps * np.abs(spectrum).max())


def _within_band(spectrum: np.ndarray, share: float) -> np.ndarray:
    rows, columns = (np.abs(fft.fftfreq(n)) <= 0.5 * share for n in spectrum.shape)
    return spectrum * np.outer(rows, columns)


def _shifted(task: PeerTask, product: np.ndarray, share: float) -> np.ndarray:
    correlation = fft.fftshift(fft.ifft2(product).real)
    middle = np.array(correlation.shape) // 2
    near = correlation[tuple(slice(m - FARTHEST_PX, m + FARTHEST_PX + 1) for m in middle)]
    row, column = np.subtract(np.unravel_index(np.argmax(near), near.shape), FARTHEST_PX)
    shift = _peak(correlation, middle, (row, column), share)
    return compose(task.start, motion_about(np.zeros(2), 0.0, 1.0, shift[::-1]))


def _peak(correlation: np.ndarray, middle: np.ndarray, top, share: float) -> np.ndarray:
    """The place (row, column) of the peak to a part of a pixel: height x sinc x sinc fitted around its top."""
    offsets = np.arange(-FITTED, FITTED + 1)
    rows, columns = (offsets + at for at in top)
    window = ndimage.map_coordinates(
        correlation, np.meshgrid(rows + middle[0], columns + middle[1], indexing="ij"), order=0, mode="wrap"
    )

    def misfit(unknowns: np.ndarray) -> np.ndarray:
        height, row, column = unknowns
        return (
            height * np.outer(np.sinc(share * (rows - row)), np.sinc(share * (columns - column))) - window / scale
        ).ravel()

    scale = np.abs(window).max() + np.finfo(float).tiny
    found = optimize.least_squares(misfit, [1.0, *top]).x[1:]
    return found if np.all(np.abs(found - top) <= 1.5) else np.asarray(top, float)
