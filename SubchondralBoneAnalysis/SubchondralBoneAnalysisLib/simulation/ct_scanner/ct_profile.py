"""A CT scanner with its protocol, and one scan of one patient by it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner

BONE_HU_120 = 1750.0  # solid trabecular tissue at 120 kVp, to which the tissue values of `soft_tissue` belong
# SD from patient to patient and scan to scan at nuisance 1; no scan is farther than `FARTHEST` of them.
TISSUE_LOG_SD, MARROW_SD_HU = 0.05, 25.0
GAIN_SD, OFFSET_SD_HU = 0.02, 6.0
IN_PLANE_FWHM_SD_MM, AXIAL_FWHM_SD_MM = 0.10, 0.12
MOST_OF_FWHM = 0.4  # by which it differs from the profile's at the most
NOISE_LOG_SD, HARDENING_LOG_SD = 0.35, 0.25
FARTHEST = 2.0


@dataclass(frozen=True)
class CtScan:
    """One scan of one patient: what the scanner and the patient's tissue were that day.

    :param scanner: sharpness and noise of this scan.
    :param spacing_mm: of the voxels, (k, j, i): slices first.
    :param bone_hu: of solid trabecular tissue, as this scanner would show it if it were sharp and calibrated.
    :param marrow_hu: the same of marrow.
    :param beam_hardening_hu: by how much the middle of a knee's worth of bone reads too low; see `beam_hardening`.
    :param calibration_gain: of what differs from water; see `recording`.
    :param table: whether the leg lies on a table that is in the image where the field of view reaches it.
    """

    name: str
    scanner: Scanner
    spacing_mm: tuple[float, float, float]
    kvp: float
    bone_hu: float = BONE_HU_120
    marrow_hu: float = -60.0
    beam_hardening_hu: float = 0.0
    calibration_gain: float = 1.0
    calibration_offset_hu: float = 0.0
    table: bool = True


@dataclass(frozen=True)
class CtProfile:
    """A CT scanner with one protocol; every scan by it differs a little. Parameters as of `CtScan`.

    :param held_out: kept for testing; nothing may be trained on it.
    """

    name: str
    scanner: Scanner
    spacing_mm: tuple[float, float, float]
    kvp: float
    bone_hu: float = BONE_HU_120
    marrow_hu: float = -60.0
    beam_hardening_hu: float = 8.0
    calibration_gain: float = 1.0
    calibration_offset_hu: float = 0.0
    table: bool = True
    held_out: bool = False

    def of_scan(self, rng: np.random.Generator, nuisance: float = 1.0) -> CtScan:
        """One scan of one patient.

        :param nuisance: factor of all SD of what differs from scan to scan; 0 is the profile itself.
        :raises BadInput: a negative nuisance.
        """
        if nuisance < 0:
            raise BadInput(f"a nuisance of {nuisance:g} cannot be simulated: give 0 or more.")
        deviates = nuisance * np.clip(rng.standard_normal(8), -FARTHEST, FARTHEST)
        tissue, marrow, gain, offset, in_plane, axial, noise, hardening = deviates.tolist()
        scanner = replace(
            self.scanner,
            in_plane_fwhm_mm=_near(self.scanner.in_plane_fwhm_mm, IN_PLANE_FWHM_SD_MM * in_plane),
            axial_fwhm_mm=_near(self.scanner.axial_fwhm_mm, AXIAL_FWHM_SD_MM * axial),
            noise_hu=self.scanner.noise_hu * float(np.exp(NOISE_LOG_SD * noise)),
        )
        return CtScan(
            self.name,
            scanner,
            self.spacing_mm,
            self.kvp,
            self.bone_hu * float(np.exp(TISSUE_LOG_SD * tissue)),
            self.marrow_hu + MARROW_SD_HU * marrow,
            self.beam_hardening_hu * float(np.exp(HARDENING_LOG_SD * hardening)),
            self.calibration_gain + GAIN_SD * gain,
            self.calibration_offset_hu + OFFSET_SD_HU * offset,
            self.table,
        )


def _near(fwhm_mm: float, more_mm: float) -> float:
    return fwhm_mm + float(np.clip(more_mm, -MOST_OF_FWHM * fwhm_mm, MOST_OF_FWHM * fwhm_mm))
