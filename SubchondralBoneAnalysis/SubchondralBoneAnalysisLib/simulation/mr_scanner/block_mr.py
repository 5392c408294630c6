"""The MR of a small block of microstructure that is given on a fine lattice.

Bone itself is dark. The marrow beside it loses signal to the field around the bone, whose susceptibility differs: here
by a factor exp(-strength x bone around), with the bone seen through a Gaussian of `HALO_MM`. At a flat surface the
signal that is lost so is that of a layer of marrow `MrScan.broadening_mm` thick: trabeculae look thicker by twice that.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.fft import fftn, ifftn
from scipy.optimize import brentq
from scipy.special import ndtr

from SubchondralBoneAnalysisLib.simulation.fine_block import FineBlock, Frequencies
from SubchondralBoneAnalysisLib.simulation.mr_scanner.kspace import axis_window, window
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.volume import Volume

HALO_MM = 0.10  # SD of the Gaussian; thinner than most trabeculae
MARGIN_MM = 1.0  # mirrored around the block; half a slice where that is more
SPREAD_MM = 30.0  # SD of the place of a block in the coil
STRONGEST = 30.0
DETAIL = 1.5  # measured voxels that the sharpest detail is wide: what is beyond the measured k-space is cut off


def mr_of_block(
    block: Volume, grid: Volume, scan: MrScan, rng: np.random.Generator, cartilage: np.ndarray | None = None
) -> np.ndarray:
    """Magnitude on the grid with its noise, float32 [k, j, i], in the units of `MrScan.signals`.

    The whole point spread is that of the measured part of k-space, on the fine lattice: true partial volume.

    :param block: part of bone in each voxel of a fine lattice, 0 to 1, bool or float; the rest is marrow. Its origin
        and direction say where it is in the frame of the grid.
    :param grid: the MR's voxels, its axes as in `MrScan`; its direction says how the scanner was turned.
    :param rng: of the noise and of the place in the coil.
    :param cartilage: part of what is not bone that is cartilage and not marrow, float [k, j, i] of the block.
    """
    voxel = _measured_mm(scan)
    margin = MARGIN_MM if scan.three_d else max(MARGIN_MM, 0.5 * scan.slice_mm)
    fine = FineBlock.mirrored(block, margin, detail_mm=DETAIL * min(voxel))
    soft = replace(fine, array=_soft(fine, scan.broadening_mm))
    keep, frequencies, weight = _measured(soft, grid, scan)
    (water, fat), (cartilage_water, _) = scan.signals["marrow"], scan.signals["cartilage"]
    to_fat = _fat_shift(frequencies, scan)
    measured = soft.spectrum()[keep]
    if cartilage is None:
        measured = measured * (weight * (water + fat * to_fat))
    else:
        part = FineBlock.mirrored(replace(block, array=cartilage), margin, detail_mm=DETAIL * min(voxel)).array
        within = replace(soft, array=soft.array * part).spectrum()[keep]
        measured = weight * (measured * (water + fat * to_fat) + within * (cartilage_water - water - fat * to_fat))
    seen = _seen(soft, keep, measured, frequencies, grid, scan)
    heard = scan.coil.slice_sensitivity(0.0, *(np.full(1, place) for place in rng.normal(0.0, SPREAD_MM, 2)))[0, 0]
    return np.abs(heard * seen + _noise(grid, scan, rng))


def _soft(fine: FineBlock, broadening_mm: float) -> np.ndarray:
    """Signal of what is not bone where marrow has 1."""
    soft = 1.0 - fine.array
    if broadening_mm <= 0.0:
        return soft
    halo = fine.filtered(lambda square: np.exp(np.float32(-2.0 * np.pi**2 * HALO_MM**2) * square))
    return soft * np.exp(np.float32(-halo_strength(round(broadening_mm, 6))) * halo)


@lru_cache(maxsize=256)
def halo_strength(broadening_mm: float) -> float:
    """Strength of the loss beside bone whose signal is that of a layer of `broadening_mm`."""
    depth = np.linspace(0.0, 6.0, 601)
    bone = ndtr(-depth)

    def lost_mm(strength: float) -> float:
        return HALO_MM * np.trapezoid(1.0 - np.exp(-strength * bone), depth)

    if lost_mm(STRONGEST) <= broadening_mm:
        return STRONGEST
    return brentq(lambda strength: lost_mm(strength) - broadening_mm, 0.0, STRONGEST)


def _measured_mm(scan: MrScan) -> tuple[float, float, float]:
    """Edges of the measured voxel along (k, j, i)."""
    edges = [mm / part for mm, part in zip(scan.spacing_mm, scan.acquired, strict=True)]
    return (edges[0] if scan.three_d else scan.slice_mm, edges[1], edges[2])


def _measured(fine: FineBlock, grid: Volume, scan: MrScan) -> tuple[np.ndarray, Frequencies, np.ndarray]:
    """Where the half spectrum is measured (bool), and there the frequencies along (k, j, i) and the weights, each [n].

    A slice that is excited alone is the mean over its thickness.
    """
    voxel = _measured_mm(scan)
    along = fine.frequencies(grid)
    weight = [window(2.0 * f * mm, scan.taper) for f, mm in zip(along, voxel, strict=True)]
    if not scan.three_d:
        weight[0] = np.sinc(along[0] * np.float32(voxel[0]))
    weight = weight[0] * weight[1] * weight[2]
    keep = weight != 0.0
    return keep, tuple(np.broadcast_to(f, keep.shape)[keep] for f in along), weight[keep]


def _fat_shift(frequencies: Frequencies, scan: MrScan) -> np.ndarray:
    """Factor of k-space that moves fat along the readout, complex64 [n]."""
    mm = scan.fat_shift_px * scan.spacing_mm[scan.readout_axis]
    angle = np.float32(-2.0 * np.pi * mm) * frequencies[scan.readout_axis]
    return np.cos(angle) + np.complex64(1j) * np.sin(angle)


def _seen(
    fine: FineBlock, keep: np.ndarray, measured: np.ndarray, frequencies: Frequencies, grid: Volume, scan: MrScan
) -> np.ndarray:
    """The image without noise, real or complex [k, j, i]."""

    def image(part: np.ndarray) -> np.ndarray:
        spectrum = np.zeros(keep.shape, np.complex64)
        spectrum[keep] = part
        return fine.sampled(spectrum, grid)

    if scan.motion is None:
        return image(measured)
    encoded = 3 - scan.readout_axis
    along, across = frequencies[encoded], frequencies[scan.readout_axis]
    when = along * np.float32(2.0 * _measured_mm(scan)[encoded])
    # Motion takes the image apart into a real and an imaginary one, each of which has a half spectrum.
    before, after = scan.motion.phase(when, along, across), scan.motion.phase(-when, along, across)
    return image(measured * (0.5 * (before + after))) + 1j * image(measured * ((before - after) / np.complex64(2j)))


def _noise(grid: Volume, scan: MrScan, rng: np.random.Generator) -> np.ndarray:
    """Complex noise of the measured part of k-space, complex64 [k, j, i], SD 1 / SNR in each channel."""
    shape = grid.array.shape
    noise = rng.standard_normal((*shape, 2), np.float32).view(np.complex64)[..., 0]
    weights = [axis_window(size, part, scan.taper) for size, part in zip(shape, scan.acquired, strict=True)]
    weight = weights[1][:, None] * weights[2]
    if scan.three_d:
        weight = weights[0][:, None, None] * weight
    axes = (0, 1, 2) if scan.three_d else (1, 2)
    power = float(np.mean(np.square(weight, dtype=float)))
    return ifftn(fftn(noise, axes=axes) * weight, axes=axes) * np.float32(1.0 / (scan.snr * np.sqrt(power)))
