"""A small cohort of registered MR and CT with known geometry, and weights of a generator that copies its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from JointQuantLib.weights import ManifestEntry, write_weights
from SubchondralBoneAnalysisLib.cohort_folder import write_rows
from SubchondralBoneAnalysisLib.synthesis import MODEL
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # i to the back, j to the feet, k to the right
SHIFT_LPS = (4.0, -6.0, 3.0)  # from CT to MR


def places(volume: Volume) -> np.ndarray:
    """[k, j, i, 3]: LPS of every voxel."""
    index = np.moveaxis(np.indices(volume.array.shape)[::-1], 0, -1)
    return index * volume.spacing_mm[::-1] @ np.reshape(volume.direction_lps, (3, 3)).T + volume.origin_lps


def leg(places_lps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether a place is in the leg (a cylinder of 28 mm along S about the origin), and in its bone (a ball of 14)."""
    inside = np.hypot(places_lps[..., 0], places_lps[..., 1]) < 28
    return inside, np.linalg.norm(places_lps, axis=-1) < 14


def write_cohort(folder: Path, knees: int = 2) -> Path:
    """MR and CT of a leg with one bone (the femur); the MR lies SHIFT_LPS beside the CT."""
    rng = np.random.default_rng(5)
    rows = []
    for number in range(knees):
        name = f"sub-{number + 1:04d}"
        rows.append({"participant_id": name, "split": "train" if number else "validation"})
        one = folder / name
        one.mkdir(parents=True)
        ct = Volume(np.empty((36, 64, 64)), (2.0, 1.0, 1.0), (-31.5, -31.5, -35.0))
        inside, bone = leg(places(ct))
        hu = np.select([bone, inside], [600.0, 40.0], -1000.0) + rng.normal(0, 10, inside.shape)
        mr = Volume(np.empty((20, 70, 70)), (3.0, 1.0, 1.0), (28.5, -34.5, 34.5), SAGITTAL)
        inside_mr, bone_mr = leg(places(mr) - SHIFT_LPS)
        signal = np.select([bone_mr, inside_mr], [300.0, 900.0], 10.0) * (1 + 0.05 * number)
        write_volume(one / "ct.nrrd", hu.astype(np.int16), ct)
        write_volume(one / "bones.nrrd", bone.astype(np.uint8), ct)
        write_volume(one / "mr.nrrd", (signal + rng.normal(0, 10, signal.shape)).astype(np.float32), mr)
        transform = sitk.Euler3DTransform()
        transform.SetTranslation(SHIFT_LPS)
        sitk.WriteTransform(transform, str(one / "ct_to_mr_femur.tfm"))
    write_rows(folder / "participants.csv", rows)
    return folder


def write_random_weights(folder: Path, seed: int = 0) -> Path:
    """Weights of a generator as it is before it learns; its answer depends on the slices all the same."""
    import torch

    from SubchondralBoneAnalysisLib.ct_synthesis.generator import Generator, arrays_of

    torch.manual_seed(seed)
    write_weights(folder, MODEL, arrays_of(Generator()), ManifestEntry("none", seed, "nothing"))
    return folder
