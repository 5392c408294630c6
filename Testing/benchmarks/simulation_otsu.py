"""What naive thresholding makes of the simulated CT: do its errors grow as they do on real scanners?

The patch of 6 mm below a subchondral plate (of the real specimens: bare bone, mirrored to that size), at its native
voxels, and at half their edge by linear interpolation; Otsu's threshold of the patch's own values; the morphometry of
what is above it, inside the patch, beside the truth on the fine lattice. Tb.Th and Tb.Sp are ratios of the mean
diameter 2r, as other programs give it; corrected: both less half a voxel of their own lattice.

Published: distal tibiae of 16 cadavers, a clinical CT with slices of 0.5 mm and 512 x 512 pixels against micro-CT
(Skeletal Radiol 2025, doi 10.1007/s00256-025-05001-5): Tb.Th 3.58 and 3.68 times, Tb.Sp 1.52 and 1.36 times, BV/TV 1.66
to 1.92 times (without and with a reconstruction by deep learning). The abstract gives neither the field of view, and
so the pixel, nor how it was thresholded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from simulation_bones import bare_block, drawn_region
from simulation_real_bone import real_bones
from simulation_views import ct_view
from skimage.filters import threshold_otsu

from SubchondralBoneAnalysisLib.morphometry import measure
from SubchondralBoneAnalysisLib.simulation.bone_block import BLOCK_MM, PATCH_MM, VOXEL_MM, BoneBlock, bone_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES
from SubchondralBoneAnalysisLib.volume import Volume

PATCHES = 20  # of each family
LIKE_PUBLISHED = ("bone-0.5", "bone-0.4")  # bone kernels with slices of half a millimetre and less
SPARSE = (0.15, 0.30)  # BV/TV: bone of the distal tibia is sparser than that below the joint
PUBLISHED = {"BV/TV": "1.66 to 1.92", "Tb.Th": "3.58, 3.68", "Tb.Sp": "1.52, 1.36"}


@dataclass(frozen=True)
class Ratio:
    """What thresholding finds over what is true; nan where the threshold leaves nothing to measure."""

    bv_tv: float
    tb_th: float
    tb_th_raw: float
    tb_sp: float
    tb_sp_raw: float


def tables(shared_data: Path | None = None, patches: int = PATCHES) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows; with real structures where they are there."""
    real = real_bones(shared_data) if shared_data else []
    specimens = {bone.name: [bare_block(structure) for structure in bone.blocks()] for bone in real}
    blocks = {family: list(_blocks(family, patches)) for family in FAMILIES}
    every = [block for of in blocks.values() for block in of]
    sparse = {
        f"all families, BV/TV {SPARSE[0]:.2f} to {SPARSE[1]:.2f}": [block for block in every if _is_sparse(block)]
    }
    rows = [{"structure": "published, slices of 0.5 mm"} | {f"{name}, ratio": text for name, text in PUBLISHED.items()}]
    rows += _rows(LIKE_PUBLISHED, specimens | blocks | {"all families": every} | sparse)
    yield "simulation_otsu", "Otsu's threshold on the simulated CT: ratio to the truth", rows
    cube = dict(list(specimens.items())[:1])
    rows = _rows(tuple(CT_PROFILES), {"all families": every} | sparse | cube)
    yield "simulation_otsu_profiles", "The same by profile", rows


def ratios(blocks: list[BoneBlock], profile: str, finer: int = 1) -> list[Ratio]:
    """Of every block, each in a scan of its own, at voxels of 1/`finer` of their edge."""
    found = []
    for number, block in enumerate(blocks):
        rng = np.random.default_rng([31, number])
        ct = ct_view(block, CT_PROFILES[profile].of_scan(rng), BLOCK_MM, rng)
        found.append(naive(block, ct if finer == 1 else interpolated(ct, finer)))
    return found


def interpolated(ct: Volume, finer: int) -> Volume:
    """Linearly between the voxels of a CT, whose first and last stay where they are."""
    shape = [finer * (n - 1) + 1 for n in ct.array.shape]
    factors = [m / n for m, n in zip(shape, ct.array.shape, strict=True)]
    array = ndimage.zoom(ct.array.astype(np.float32), factors, order=1)
    return replace(ct, array=array, spacing_mm=tuple(s / finer for s in ct.spacing_mm))


def naive(block: BoneBlock, ct: Volume) -> Ratio:
    """Threshold the patch of a CT of the whole block."""
    region = in_patch(ct)
    bone = ct.array > threshold_otsu(ct.array[region])
    truth = block.truth
    try:
        seen, _ = measure(bone, ct.spacing_mm, region, threads=1)
    except ValueError:  # nothing but bone, or nothing but marrow
        return Ratio(*[np.nan] * 5)
    nothing = np.nan
    return Ratio(
        seen.bv_tv / truth.bv_tv,
        (seen.tb_th_mm or nothing) / truth.tb_th_mm,
        seen.tb_th_raw_mm / (truth.tb_th_mm + 0.5 * VOXEL_MM),
        (seen.tb_sp_mm or nothing) / truth.tb_sp_mm,
        seen.tb_sp_raw_mm / (truth.tb_sp_mm + 0.5 * VOXEL_MM),
    )


def in_patch(ct: Volume) -> np.ndarray:
    """Voxels whose centres lie in the patch, bool [k, j, i]; axes of the grid are those of the block."""
    region = np.ones(ct.array.shape, bool)
    for axis, (first, step) in enumerate(zip(ct.origin_lps[::-1], ct.spacing_mm, strict=True)):
        at = np.abs(first + step * np.arange(ct.array.shape[axis])) <= 0.5 * PATCH_MM
        region &= np.expand_dims(at, [other for other in range(3) if other != axis])
    return region


def _blocks(family: str, patches: int) -> Iterator[BoneBlock]:
    for number in range(patches):
        rng = np.random.default_rng([32, number])
        yield bone_block(drawn_region(rng), family, rng)


def _is_sparse(block: BoneBlock) -> bool:
    return SPARSE[0] <= block.truth.bv_tv <= SPARSE[1]


def _rows(profiles: tuple[str, ...], structures: dict[str, list[BoneBlock]]) -> list[dict]:
    rows = []
    for name in profiles:
        profile = CT_PROFILES[name]
        voxel = f"{profile.spacing_mm[2]:g} ({profile.spacing_mm[0]:g})"
        blur = f"{profile.scanner.in_plane_fwhm_mm:g} ({profile.scanner.axial_fwhm_mm:g})"
        for structure, blocks in structures.items():
            for finer in (1, 2):
                about = {"profile": name, "pixel (slice), mm": voxel, "FWHM (axial), mm": blur, "structure": structure}
                about["voxels"] = "native" if finer == 1 else "half the edge"
                rows.append(about | _row(ratios(blocks, name, finer)))
    return rows


def _row(found: list[Ratio]) -> dict:
    row = {"patches": len(found)}
    for title, name in (
        ("BV/TV, ratio", "bv_tv"),
        ("Tb.Th, ratio", "tb_th_raw"),
        ("Tb.Th corrected, ratio", "tb_th"),
        ("Tb.Sp, ratio", "tb_sp_raw"),
        ("Tb.Sp corrected, ratio", "tb_sp"),
    ):
        values = np.array([getattr(ratio, name) for ratio in found])
        row[title] = (
            f"{np.nanmean(values):.2f} ({np.nanpercentile(values, 5):.2f} to {np.nanpercentile(values, 95):.2f})"
        )
    return row
