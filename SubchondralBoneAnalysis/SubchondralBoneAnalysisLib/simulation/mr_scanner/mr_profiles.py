"""The MR protocols of simulated cohorts: seven to train on, three that are held out. All are sagittal.

Ranges: DESS with water excitation at 16.3 / 4.7 ms and 25 degrees, 307 x 384 of a field of 140 mm, 0.7 mm slices and
185 Hz a pixel, and fast spin echoes of 3 mm at 3200 to 3700 / 29 to 30 ms with 248 to 352 Hz are the protocol of the
Osteoarthritis Initiative (table 1 of PMC5871621). The voxel of the balanced one, 0.22 x 0.22 x 0.75 mm, is that of the
MR in the published code of the SRRD network, which does not say how it was acquired. All other numbers were chosen:
what part of an image was measured, SNR, window, coil, motion and the broadening. Trabeculae look thicker in balanced
gradient echoes than in spin echoes (J Magn Reson Imaging 27:854, 2008), so `broadening_mm` is larger there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrProfile

MR_PROFILES: Mapping[str, MrProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            MrProfile(
                name="bffe-0.22x0.75",
                kind="bffe",
                spacing_mm=(0.75, 0.2188, 0.2188),
                acquired=(0.9, 0.75, 0.7),
                tr_ms=7.0,
                te_ms=3.5,
                flip_deg=35.0,
                bandwidth_hz=650.0,
                snr=20.0,
            ),
            MrProfile(
                name="bffe-0.2x0.5",
                kind="bffe",
                spacing_mm=(0.5, 0.2, 0.2),
                acquired=(1.0, 0.9, 0.9),
                tr_ms=8.5,
                te_ms=4.2,
                flip_deg=40.0,
                bandwidth_hz=550.0,
                snr=14.0,
                taper=0.25,
            ),
            MrProfile(
                name="bffe-0.3x1.0",
                kind="bffe",
                spacing_mm=(1.0, 0.3, 0.3),
                acquired=(0.8, 0.75, 0.7),
                tr_ms=6.0,
                te_ms=3.0,
                flip_deg=45.0,
                bandwidth_hz=800.0,
                snr=25.0,
                taper=0.2,
                readout_axis=2,
            ),
            MrProfile(
                name="dess-0.36x0.7",
                kind="dess",
                spacing_mm=(0.7, 0.3646, 0.3646),
                acquired=(1.0, 1.0, 0.8),
                tr_ms=16.3,
                te_ms=4.7,
                flip_deg=25.0,
                fat_left=0.03,
                bandwidth_hz=185.0,
                snr=20.0,
                broadening_mm=0.03,
            ),
            MrProfile(
                name="dess-0.31x1.5",
                kind="dess",
                spacing_mm=(1.5, 0.3125, 0.3125),
                acquired=(1.0, 0.9, 0.65),
                tr_ms=20.0,
                te_ms=6.0,
                flip_deg=30.0,
                fat_left=0.02,
                bandwidth_hz=200.0,
                snr=25.0,
                broadening_mm=0.03,
                taper=0.4,
            ),
            MrProfile(
                name="pd-0.31x3.0",
                kind="pd",
                spacing_mm=(3.0, 0.3125, 0.3125),
                acquired=(1.0, 0.8, 0.7),
                tr_ms=3200.0,
                te_ms=30.0,
                flip_deg=90.0,
                three_d=False,
                slice_mm=3.0,
                bandwidth_hz=300.0,
                snr=30.0,
                broadening_mm=0.008,
            ),
            MrProfile(
                name="pd-0.4x2.75",
                kind="pd",
                spacing_mm=(2.75, 0.4, 0.4),
                acquired=(1.0, 0.95, 0.8),
                tr_ms=2400.0,
                te_ms=20.0,
                flip_deg=90.0,
                three_d=False,
                slice_mm=2.5,
                bandwidth_hz=248.0,
                snr=25.0,
                broadening_mm=0.008,
                readout_axis=2,
                taper=0.2,
            ),
            MrProfile(
                name="bffe-0.25x0.5-1.5t",
                kind="bffe",
                spacing_mm=(0.5, 0.25, 0.25),
                acquired=(0.6, 0.6, 0.6),
                tr_ms=9.0,
                te_ms=4.5,
                flip_deg=60.0,
                tesla=1.5,
                bandwidth_hz=300.0,
                snr=12.0,
                broadening_mm=0.014,
                taper=0.5,
                bias=0.16,
                held_out=True,
            ),
            MrProfile(
                name="dess-0.46x0.8",
                kind="dess",
                spacing_mm=(0.8, 0.4557, 0.3646),
                acquired=(1.0, 1.0, 1.0),
                tr_ms=18.0,
                te_ms=5.5,
                flip_deg=35.0,
                fat_left=0.06,
                bandwidth_hz=260.0,
                snr=14.0,
                broadening_mm=0.025,
                taper=0.1,
                readout_axis=2,
                motion_mm=0.1,
                held_out=True,
            ),
            MrProfile(
                name="pd-0.36x4.0",
                kind="pd",
                spacing_mm=(4.0, 0.357, 0.357),
                acquired=(1.0, 1.0, 0.7),
                tr_ms=3700.0,
                te_ms=29.0,
                flip_deg=90.0,
                three_d=False,
                slice_mm=3.6,
                bandwidth_hz=352.0,
                snr=20.0,
                broadening_mm=0.008,
                taper=0.45,
                bias=0.18,
                held_out=True,
            ),
        )
    }
)
