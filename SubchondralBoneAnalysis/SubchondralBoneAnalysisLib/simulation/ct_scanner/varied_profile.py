"""A CT scanner drawn anew for every patient, so that a model that learns from many of them fits none in particular.

What clinical knee CT spans between the profiles that are trained on (`ct_profiles`): voxels of 0.28 to 0.7 mm, kernels
from sharp to smooth, 18 to 110 HU of noise. What is held out for testing stays outside: sharper, smoother, noisier, in
thicker slices, and at tube voltages of 80 and 140 kVp.
"""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.ct_scanner.bone_attenuation import solid_bone_hu
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtProfile
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import SD_OF_FWHM, Scanner

VARIED = "varied"
IN_PLANE_FWHM_MM, AXIAL_OF_IN_PLANE = (0.52, 0.94), (0.95, 1.35)
PIXEL_MM, SLICE_MM = (0.28, 0.56), (0.35, 0.7)
NOISE_HU = (18.0, 110.0)
OVERSHOOT, SHARPEST_WITHOUT_MM = (0.0, 0.16), 0.8  # no smooth kernel enhances edges
PEAK_OF_GAUSSIAN, PEAK_PER_MM = (1.1, 1.3), 0.113  # see `ct_profiles`
KVP = (100.0, 120.0)
BEAM_HARDENING_HU = (9.0, 18.0)


def varied_profile(rng: np.random.Generator) -> CtProfile:
    """One scanner of all that there are."""
    in_plane = rng.uniform(*IN_PLANE_FWHM_MM)
    overshoot = rng.uniform(*OVERSHOOT) if in_plane < SHARPEST_WITHOUT_MM else 0.0
    pixel, kvp = rng.uniform(*PIXEL_MM), float(rng.choice(KVP))
    scanner = Scanner(
        in_plane,
        in_plane * rng.uniform(*AXIAL_OF_IN_PLANE),
        overshoot,
        float(np.exp(rng.uniform(*np.log(NOISE_HU)))),
        rng.uniform(*PEAK_OF_GAUSSIAN) * PEAK_PER_MM / (in_plane * SD_OF_FWHM),
    )
    return CtProfile(
        VARIED,
        scanner,
        (rng.uniform(*SLICE_MM), pixel, pixel),
        kvp,
        solid_bone_hu(kvp),
        beam_hardening_hu=rng.uniform(*BEAM_HARDENING_HU),
        table=bool(rng.uniform() < 0.5),
    )
