"""A CT and an MR of one knee in which every bone moved by itself, small enough for a test, and their registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from knee_jobs import write_knee

from SubchondralBoneAnalysisLib.bone_registration.blended_motion import ct_on_mr_grid
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

# Sagittal slices: k runs to the right, j downward, i to the back.
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
SHIFT, TURN_DEG = (9.0, -14.0, 6.0), (4.0, -3.0, 7.0)
BENT_DEG = 6.0


@dataclass(frozen=True, eq=False)
class Pair:
    """`folder` holds ct.nrrd, bones.nrrd and mr.nrrd; `transforms` take a place in the CT to the MR, LPS mm."""

    folder: Path
    ct: Volume
    labels: Volume
    mr: Volume
    transforms: Mapping[str, sitk.Euler3DTransform]


def motion(turn_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> sitk.Euler3DTransform:
    """A rotation about the origin, and then a shift."""
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*np.deg2rad(turn_deg))
    transform.SetTranslation(shift_mm)
    return transform


def write_pair(folder: Path, knee: SimulatedKnee, spacing_mm: float = 1.0) -> Pair:
    """A pair whose MR has marrow and fat bright, cartilage and muscle grey and bone dark; in slices of 2 mm."""
    ct = write_knee(folder, knee, spacing_mm)
    labels = knee.labels(ct)
    bent = motion((TURN_DEG[0] + BENT_DEG, *TURN_DEG[1:]), SHIFT)
    whole = motion(TURN_DEG, SHIFT)
    transforms = {"femur": whole, "tibia": bent, "patella": whole, "fibula": bent}
    middle = np.array(whole.TransformPoint([float(o + n * ct.spacing_mm[0] / 2) for o, n in zip(
        ct.origin_lps, ct.array.shape[::-1], strict=True)]))  # fmt: skip
    size, spacing = (48, 112, 112), (2.0, 1.0, 1.0)
    turn = np.reshape(SAGITTAL, (3, 3))
    origin = middle - turn @ ((np.array(size[::-1]) - 1) / 2 * np.array(spacing[::-1]))
    grid = Volume(np.zeros(size, np.float32), spacing, tuple(origin.tolist()), SAGITTAL)
    hounsfield, _ = ct_on_mr_grid(ct, labels, transforms, grid)
    signal = np.interp(hounsfield.array, (-500, -120, -20, 40, 150, 400, 1000), (0, 1600, 1500, 700, 900, 500, 30))
    noise = 15 * np.random.default_rng(3).standard_normal(signal.shape)
    mr = replace(grid, array=np.clip(np.rint(signal + noise), 0, None).astype(np.uint16))
    write_volume(folder / "mr.nrrd", mr.array, mr)
    return Pair(folder, ct, labels, mr, {name: transforms[name] for name in ("femur", "tibia", "patella")})
