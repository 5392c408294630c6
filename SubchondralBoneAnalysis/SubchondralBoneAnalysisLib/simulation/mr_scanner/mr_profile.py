"""An MR protocol, and one scan of one patient by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.mr_readout import FAT_HZ_PER_TESLA
from SubchondralBoneAnalysisLib.simulation.mr_scanner.coil import Coil
from SubchondralBoneAnalysisLib.simulation.mr_scanner.motion import Motion
from SubchondralBoneAnalysisLib.simulation.mr_scanner.tissue_signals import Kind, tissue_signals
from SubchondralBoneAnalysisLib.volume import Volume

SD_OF_BOX = 1.0 / np.sqrt(12.0)
# SD of the logarithm from scan to scan at nuisance 1.
SIGNAL_LOG_SD, FAT_SHIFT_LOG_SD, BROADENING_LOG_SD = 0.08, 0.10, 0.20
BIAS_LOG_SD, SNR_LOG_SD, MOTION_LOG_SD = 0.20, 0.25, 0.50


@dataclass(frozen=True)
class MrScan:
    """One MR scan of one patient. The array axes are (k, j, i): slices, rows down the picture, columns.

    :param spacing_mm: of the voxels of the image, (slice, row, column) = (k, j, i).
    :param acquired: part of k-space of the image that was measured along (k, j, i); 1 is all, the rest is zero.
    :param three_d: slices are encoded too; else each slice is excited alone and `acquired` of k is not used.
    :param slice_mm: thickness of what is excited, where slices are not encoded.
    :param signals: per tissue of `TISSUES` the signal of its (water, fat); 1 is the brightest but fluid.
    :param fat_shift_px: by which fat is displaced along the readout, in voxels of the image.
    :param readout_axis: array axis of the readout, 1 or 2; the other one of the slice is the phase encoding.
    :param taper: of the k-space window, see `kspace.window`.
    :param broadening_mm: by how much each surface of a trabecula looks moved outwards by its susceptibility.
    :param snr: signal of 1 over the SD of the noise in each of the two channels.
    """

    name: str
    kind: Kind
    spacing_mm: tuple[float, float, float]
    acquired: tuple[float, float, float]
    three_d: bool
    slice_mm: float
    signals: Mapping[str, tuple[float, float]]
    fat_shift_px: float
    readout_axis: int
    taper: float
    broadening_mm: float
    snr: float
    coil: Coil
    motion: Motion | None

    def edge(self, depth_mm: np.ndarray, sd_mm: np.ndarray | float) -> np.ndarray:
        """Part of a voxel in a half space, at a depth below its surface: for the fields that `acquire` takes."""
        return ndtr(depth_mm / sd_mm)

    def sd_along(self, normals_lps: np.ndarray, grid: Volume) -> np.ndarray:
        """SD [n] for `edge` along unit vectors [n, 3], in mm: that of the voxel as a box. `acquire` adds the rest."""
        slice_mm = self.spacing_mm[0] if self.three_d else self.slice_mm
        sd = SD_OF_BOX * np.array([self.spacing_mm[2], self.spacing_mm[1], slice_mm])
        along = normals_lps @ np.reshape(grid.direction_lps, (3, 3))
        return np.sqrt((along * sd) ** 2 @ np.ones(3))


@dataclass(frozen=True)
class MrProfile:
    """An MR protocol; every scan by it differs a little. Parameters that `MrScan` has are explained there.

    :param te_ms: time of the echo; of a fast spin echo the effective one.
    :param fat_left: part of the signal of fat that its suppression leaves, 1 without.
    :param bandwidth_hz: of the receiver, per measured pixel.
    :param bias: SD of the logarithm of the sensitivity of the coil from place to place.
    :param motion_mm: SD of the place of the leg during the scan, along each axis of the slice.
    :param held_out: kept for testing; nothing may be trained on it.
    """

    name: str
    kind: Kind
    spacing_mm: tuple[float, float, float]
    acquired: tuple[float, float, float]
    tr_ms: float
    te_ms: float
    flip_deg: float
    bandwidth_hz: float
    snr: float
    three_d: bool = True
    slice_mm: float = 0.0
    fat_left: float = 1.0
    tesla: float = 3.0
    readout_axis: int = 1
    taper: float = 0.3
    broadening_mm: float = 0.02
    bias: float = 0.12
    motion_mm: float = 0.06
    held_out: bool = False

    @property
    def fat_shift_px(self) -> float:
        """By which fat is displaced along the readout, in voxels of the image."""
        return FAT_HZ_PER_TESLA * self.tesla / self.bandwidth_hz / self.acquired[self.readout_axis]

    def of_scan(self, rng: np.random.Generator, nuisance: float = 1.0) -> MrScan:
        """One scan of one patient.

        :param nuisance: factor of all SD of what differs from scan to scan, and of bias and motion; 0 is the profile
            itself, in an even coil and without motion.
        :raises BadInput: a negative nuisance.
        """
        if nuisance < 0:
            raise BadInput(f"a nuisance of {nuisance:g} cannot be simulated: give 0 or more.")
        fat, broadening, bias, snr, motion = np.exp(
            nuisance
            * np.array([FAT_SHIFT_LOG_SD, BROADENING_LOG_SD, BIAS_LOG_SD, SNR_LOG_SD, MOTION_LOG_SD])
            * rng.standard_normal(5)
        ).tolist()
        signals = tissue_signals(self.kind, self.tr_ms, self.te_ms, self.flip_deg, self.fat_left, self.tesla)
        factors = np.exp(nuisance * SIGNAL_LOG_SD * rng.standard_normal((len(signals), 2))).tolist()
        return MrScan(
            self.name,
            self.kind,
            self.spacing_mm,
            self.acquired,
            self.three_d,
            self.slice_mm,
            MappingProxyType(
                {
                    name: (water * more_water, fatty * more_fat)
                    for (name, (water, fatty)), (more_water, more_fat) in zip(signals.items(), factors, strict=True)
                }
            ),
            self.fat_shift_px * fat,
            self.readout_axis,
            self.taper,
            self.broadening_mm * broadening,
            self.snr * snr,
            Coil.drawn(rng, nuisance * self.bias * bias),
            Motion.drawn(rng, nuisance * self.motion_mm * motion),
        )
