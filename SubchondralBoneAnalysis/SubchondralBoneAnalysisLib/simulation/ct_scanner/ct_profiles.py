"""The CT scanners of simulated cohorts: six to train on, three that are held out.

Ranges: knees are scanned at 0.5 to 0.625 mm slices with 120 kV and fields near 200 mm, which is 0.39 mm a pixel; with
0.5 mm slices and 512 pixels on a high-resolution scanner (Skeletal Radiology 2025, doi 10.1007/s00256-025-05001-5); the
voxels of a study of tibial plateaus were 0.29 mm ex vivo and 0.33 mm in patients (PMC9376842). With a bone kernel the
modulation transfer of such a scanner falls to 10 % at 1.10 per mm in the slice and 1.17 across, and with smaller
detectors at 2.04 in the slice (PubMed 33608927): as a Gaussian, whose FWHM is 0.80 over that frequency, 0.73, 0.69 and
0.39 mm. Bone kernels differ from a Gaussian (Pakdel and others, Medical Physics 41:011906, 2014): they overshoot. A
clinical knee CT with such a kernel was measured by `ct_resolution` to have a FWHM of 0.54 mm in the slice and 0.86 mm
across, 53 HU of noise and grains of 0.7 mm.

The noise of a Gaussian reconstruction of SD s peaks at 0.113 / s, the maximum of f exp(-(2 pi s f)^2); that of a
scanner somewhat higher, since focal spot and detectors blur the patient and not the noise: 1.1 to 1.3 times that here.
The other numbers were chosen around these. At one dose noise rises with sharpness and falls with the thickness of the
slice; profiles of low noise stand for smooth kernels and iterative reconstruction.

What is held out differs in everything: one is sharper, one smoother and one noisier than all that are trained on, with
other voxels, slices, kernels and tube voltages.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from SubchondralBoneAnalysisLib.simulation.ct_scanner.bone_attenuation import solid_bone_hu
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtProfile
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner


def _profile(
    name: str,
    *,
    fwhm_mm: tuple[float, float],
    pixel_slice_mm: tuple[float, float],
    noise_hu: float,
    noise_peak_per_mm: float,
    overshoot: float = 0.0,
    kvp: float = 120.0,
    beam_hardening_hu: float = 12.0,
    table: bool = True,
    held_out: bool = False,
) -> CtProfile:
    """A profile from (in the slice, across it) FWHM and (pixel, slice) spacing."""
    pixel, slice_ = pixel_slice_mm
    return CtProfile(
        name,
        Scanner(*fwhm_mm, overshoot, noise_hu, noise_peak_per_mm),
        (slice_, pixel, pixel),
        kvp,
        solid_bone_hu(kvp),
        beam_hardening_hu=beam_hardening_hu,
        table=table,
        held_out=held_out,
    )


CT_PROFILES: Mapping[str, CtProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            _profile(
                "bone-0.5",
                fwhm_mm=(0.62, 0.75),
                pixel_slice_mm=(0.39, 0.5),
                noise_hu=55,
                noise_peak_per_mm=0.50,
                overshoot=0.06,
            ),
            _profile(
                "bone-0.4",
                fwhm_mm=(0.55, 0.68),
                pixel_slice_mm=(0.31, 0.4),
                noise_hu=85,
                noise_peak_per_mm=0.58,
                overshoot=0.12,
            ),
            _profile(
                "bone-0.625",
                fwhm_mm=(0.68, 0.85),
                pixel_slice_mm=(0.45, 0.625),
                noise_hu=60,
                noise_peak_per_mm=0.46,
                overshoot=0.10,
                table=False,
            ),
            _profile(
                "bone-0.6-100kv",
                fwhm_mm=(0.60, 0.80),
                pixel_slice_mm=(0.35, 0.6),
                noise_hu=70,
                noise_peak_per_mm=0.52,
                overshoot=0.08,
                kvp=100.0,
                beam_hardening_hu=16.0,
            ),
            _profile(
                "standard-0.6",
                fwhm_mm=(0.88, 0.90),
                pixel_slice_mm=(0.41, 0.6),
                noise_hu=24,
                noise_peak_per_mm=0.34,
            ),
            _profile(
                "iterative-0.5",
                fwhm_mm=(0.76, 0.80),
                pixel_slice_mm=(0.50, 0.5),
                noise_hu=20,
                noise_peak_per_mm=0.36,
                overshoot=0.03,
                table=False,
            ),
            _profile(
                "sharp-0.3",
                fwhm_mm=(0.48, 0.58),
                pixel_slice_mm=(0.27, 0.3),
                noise_hu=120,
                noise_peak_per_mm=0.70,
                overshoot=0.18,
                beam_hardening_hu=14.0,
                held_out=True,
            ),
            _profile(
                "smooth-0.8-140kv",
                fwhm_mm=(0.98, 1.10),
                pixel_slice_mm=(0.49, 0.8),
                noise_hu=16,
                noise_peak_per_mm=0.30,
                kvp=140.0,
                beam_hardening_hu=9.0,
                held_out=True,
            ),
            _profile(
                "low-dose-0.7-80kv",
                fwhm_mm=(0.72, 0.95),
                pixel_slice_mm=(0.56, 0.7),
                noise_hu=130,
                noise_peak_per_mm=0.42,
                overshoot=0.14,
                kvp=80.0,
                beam_hardening_hu=22.0,
                table=False,
                held_out=True,
            ),
        )
    }
)
