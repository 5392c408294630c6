"""The bones found in simulated knees against the exact ones: overlap, distance of the surfaces, side, and time.

The joint spaces (0 to 6 mm), poses, cuts, voxels and scanners are those that the knees of an examination have; none of
these knees (seeds 11 to 20) was looked at while the method was made.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bones import NAMES, find_bones
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume

LEAST_DICE = 0.97
SOFT = Scanner(in_plane_fwhm_mm=1.2, axial_fwhm_mm=1.2, noise_hu=10.0)
SHARP = Scanner(in_plane_fwhm_mm=0.6, overshoot=0.3, noise_hu=60.0)
THICK = Scanner(axial_fwhm_mm=1.6)
SMALL_BOX = (100.0, 100.0, 75.0)
# What is special, knee, voxel (k, j, i) in mm, scanner, box in mm, faces that are cut off by so many mm.
CASES = (
    ("as usual", SimulatedKnee(seed=11), 0.8, None, None, 0),
    ("medial compartment gone", SimulatedKnee(seed=12, side="left", joint_space_mm=(0.0, 3.5)), 0.8, None, None, 0),
    ("both compartments gone", SimulatedKnee(seed=13, joint_space_mm=(0.0, 0.0)), 0.8, None, None, 0),
    ("both gone, coarse", SimulatedKnee(seed=14, side="left", joint_space_mm=(0.0, 0.0)), 1.0, None, None, 0),
    ("narrow, fine", SimulatedKnee(seed=15, joint_space_mm=(2.0, 4.0)), 0.5, None, None, 0),
    ("wide, tilted", SimulatedKnee(seed=16, side="left", joint_space_mm=(6.0, 6.0), tilt_deg=(10, -8, 20)), 0.8, None,
     None, 0),
    ("small box, finest", SimulatedKnee(seed=17), 0.3, None, SMALL_BOX, 0),
    ("thick slices", SimulatedKnee(seed=18, side="left"), (1.5, 0.4, 0.4), THICK, None, 0),
    ("soft kernel", SimulatedKnee(seed=19, joint_space_mm=(1.0, 4.0)), 1.0, SOFT, None, 0),
    ("sharp kernel, noise", SimulatedKnee(seed=20, side="left"), 0.8, SHARP, None, 0),
    ("thin plate", SimulatedKnee(seed=11, plate_mm=0.7), 0.8, None, None, 0),
    ("mirrored", SimulatedKnee(seed=12, side="left", joint_space_mm=(0.0, 3.5)).mirrored(), 0.8, None, None, 0),
    ("cut in front and at one side", SimulatedKnee(seed=14, side="left"), 0.8, None, None, 30),
)  # fmt: skip


def measure() -> list[dict]:
    """A row for every bone of every knee."""
    rows = []
    for name, knee, voxel_mm, scanner, box_mm, cut_mm in CASES:
        grid = knee.grid(voxel_mm) if box_mm is None else knee.grid(voxel_mm, box_mm)
        ct, truth = knee.ct(grid, scanner), knee.labels(grid).array
        if cut_mm:
            front, beside = (int(cut_mm / mm) for mm in ct.spacing_mm[1:])
            ct = replace(ct, array=np.ascontiguousarray(ct.array[:, front:, beside:]))
            truth = truth[:, front:, beside:]
        start = time.perf_counter()
        found = find_bones(ct)
        seconds = time.perf_counter() - start
        for number, bone in NAMES.items():
            if (truth == number).any():
                rows.append(
                    {"knee": name, "voxel, mm": voxel_mm, "bone": bone}
                    | _compared(found.labels.array == number, truth == number, ct)
                    | {"side": "right" if found.side == knee.side else "wrong", "s": round(seconds, 1)}
                )
    return rows


def _compared(found: np.ndarray, true: np.ndarray, ct: Volume) -> dict:
    """Overlap and distance of the surfaces; the border of the volume is no surface."""
    dice = 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))
    if not found.any():
        return {"Dice": 0.0, "95 % of the surface within, mm": "", "met": "no"}
    surfaces = [mask & ~ndimage.binary_erosion(mask, border_value=1) for mask in (found, true)]
    away = [ndimage.distance_transform_edt(~surface, sampling=ct.spacing_mm) for surface in surfaces]
    within = float(np.percentile(np.concatenate([away[1][surfaces[0]], away[0][surfaces[1]]]), 95))
    # Of a voxel that is not cubic its longest edge is what one voxel is.
    met = dice >= LEAST_DICE and within <= max(ct.spacing_mm) + 1e-6
    return {"Dice": round(dice, 3), "95 % of the surface within, mm": round(within, 2), "met": "yes" if met else "no"}
