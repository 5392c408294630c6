"""The image of an MR scan from the signals of water and fat on its voxels."""

from __future__ import annotations

import numpy as np
from scipy.fft import fft, fft2, fftfreq, ifft, ifft2

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.mr_scanner.kspace import axis_window
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan

ROWS = 64  # at a time, where slices are encoded


def acquire(water: np.ndarray, fat: np.ndarray, scan: MrScan, rng: np.random.Generator) -> np.ndarray:
    """Magnitude, float32 [k, j, i].

    What the coil hears goes through k-space: fat is shifted along the readout, the leg moves from line to line, noise
    is added, what is not measured is zero, and the rest is weighted. Needs about 16 bytes a voxel beside the input.

    :param water: and `fat`: the signal of each in every voxel, [k, j, i], in the units of `MrScan.signals`.
    :param rng: of the noise; coil and motion are those of the scan.
    :raises BadInput: water and fat of different shape.
    """
    if water.shape != fat.shape or water.ndim != 3:
        raise BadInput(f"water {water.shape} and fat {fat.shape} must be volumes of one shape: draw both on one grid.")
    _, rows, columns = shape = water.shape
    weights = [axis_window(size, part, scan.taper) for size, part in zip(shape, scan.acquired, strict=True)]
    weight = weights[1][:, None] * weights[2]
    fat_weight = weight * _shift(shape, scan.readout_axis, scan.fat_shift_px)
    moved = _motion(shape, scan)
    places = [(np.arange(size) - 0.5 * (size - 1)) * mm for size, mm in zip(shape, scan.spacing_mm, strict=True)]
    noise_sd = np.float32(_noise_before(weights, scan) / scan.snr)
    image = np.empty(shape, np.complex64)
    for number, (of_water, of_fat) in enumerate(zip(water, fat, strict=True)):
        heard = scan.coil.slice_sensitivity(float(places[0][number]), places[1], places[2])
        measured = fft2(of_water * heard) * weight
        if of_fat.any():
            measured += fft2(of_fat * heard) * fat_weight
        if moved is not None:
            measured *= moved
        noise = rng.standard_normal((rows, columns, 2), np.float32).view(np.complex64)[..., 0]
        # Noise is white in k-space as it is in the image; the SD of its transform is the root of the voxels.
        measured += noise * (noise_sd * np.float32(np.sqrt(rows * columns)) * weight)
        image[number] = ifft2(measured, overwrite_x=True)
    if scan.three_d and not np.all(weights[0] == 1.0):
        for first in range(0, rows, ROWS):
            part = image[:, first : first + ROWS]
            part[:] = ifft(fft(part, axis=0) * weights[0][:, None, None], axis=0, overwrite_x=True)
    return np.abs(image)


def _shift(shape: tuple[int, int, int], axis: int, pixels: float) -> np.ndarray:
    """Factor of the k-space of a slice that moves it along an array axis by any number of pixels."""
    phase = np.exp(-2j * np.pi * pixels * fftfreq(shape[axis])).astype(np.complex64)
    # The highest frequency of an even axis has no sign: without this a real image would not stay real.
    if shape[axis] % 2 == 0:
        phase[shape[axis] // 2] = phase[shape[axis] // 2].real
    return phase[:, None] if axis == 1 else phase[None, :]


def _motion(shape: tuple[int, int, int], scan: MrScan) -> np.ndarray | None:
    if scan.motion is None:
        return None
    encoded = 3 - scan.readout_axis
    frequencies = {axis: fftfreq(shape[axis], scan.spacing_mm[axis]).astype(np.float32) for axis in (1, 2)}
    highest = 0.5 * scan.acquired[encoded] / scan.spacing_mm[encoded]
    lines = {1: frequencies[1][:, None], 2: frequencies[2][None, :]}
    return scan.motion.phase(lines[encoded] / highest, lines[encoded], lines[scan.readout_axis])


def _noise_before(weights: list[np.ndarray], scan: MrScan) -> float:
    """SD of white noise that has SD 1 when k-space is weighted (Parseval)."""
    used = weights if scan.three_d else weights[1:]
    return 1.0 / np.sqrt(np.prod([np.mean(np.square(weight, dtype=float)) for weight in used]))
