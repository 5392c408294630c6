"""Apparent trabecular bone in an MR: the share of bone between two reference signals, and its structure.

Marrow is bright and bone gives no signal, so the signal of a place falls with its share of bone: BV/TV = (marrow -
signal) / (marrow - bone), with one reference each for marrow and bone, after the dual reference threshold of Majumdar
et al. (J Bone Miner Res 1997;12:111). The threshold is the grey value below which that share of the voxels lies, so
that the binary structure and the share agree. The marrow is that of the patch itself, so the coil, whose sensitivity
changes slowly, falls out. All of it is apparent: voxels are larger than trabeculae, and susceptibility makes these look
thicker than they are.

The limits of resolution are where structure was no longer found on 120 simulated cubes of known truth (balanced
gradient echoes of 0.2 x 0.5, 0.22 x 0.75 and 0.3 x 1 mm): correlation of BV/TV with the truth 0.94, 0.82 and 0.27,
for in thick slices no voxel is free enough of bone to tell the marrow; of Tb.Th 0.92, 0.20 and 0.04, of Tb.Sp 0.72,
0.60 and -0.09. At 0.2 x 0.5 mm BV/TV is 0.04 too large on the mean, Tb.Th 2 times and Tb.Sp 1.4 times what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.morphometry import measure

MARROW_PERCENTILE = 90.0  # of the signal in a patch: its marrow that is hardly mixed with bone
LEAST_CONTRAST = 0.3  # of marrow to bone, by that of the bright tissue of the image: less is suppressed fat
COARSEST_PIXEL_MM = 0.35  # twice a trabecula
THICKEST_FOR_SHARE_MM = 0.8
THICKEST_FOR_STRUCTURE_MM = 0.55
COARSEST_FOR_STRUCTURE_MM = 0.25
SHARES = (0.02, 0.98)  # outside of which a cube has no two phases to be measured
STRUCTURE = ("tb_th_mm", "tb_sp_mm", "tb_n_per_mm")
PARAMETERS = ("bv_tv", *STRUCTURE)


@dataclass(frozen=True)
class ApparentStructure:
    """Of a cube; None has its reason in `not_measured`, under the same name. `marrow` is its reference signal."""

    bv_tv: float | None = None
    tb_th_mm: float | None = None
    tb_sp_mm: float | None = None
    tb_n_per_mm: float | None = None
    marrow: float | None = None
    not_measured: tuple[tuple[str, str], ...] = ()


def against_share(pixel_mm: float, slice_mm: float) -> str | None:
    """Why an MR of that voxel tells no share of bone; None where it does."""
    if pixel_mm > COARSEST_PIXEL_MM + 1e-6:
        return f"pixels of {pixel_mm:.2g} mm do not show trabeculae, which takes {COARSEST_PIXEL_MM:g} mm or less"
    if slice_mm > THICKEST_FOR_SHARE_MM + 1e-6:
        return (
            f"slices of {slice_mm:.2g} mm mix marrow with bone everywhere, and {THICKEST_FOR_SHARE_MM:g} mm or less "
            "are needed to know the signal of marrow"
        )
    return None


def against_structure(pixel_mm: float, slice_mm: float) -> str | None:
    """Why an MR of that voxel tells no thickness or distance of trabeculae; None where it does."""
    why_not = against_share(pixel_mm, slice_mm)
    if why_not:
        return why_not
    if pixel_mm > COARSEST_FOR_STRUCTURE_MM + 1e-6 or slice_mm > THICKEST_FOR_STRUCTURE_MM + 1e-6:
        return (
            f"voxels of {pixel_mm:.2g} × {slice_mm:.2g} mm are too large for single trabeculae, which takes "
            f"{COARSEST_FOR_STRUCTURE_MM:g} × {THICKEST_FOR_STRUCTURE_MM:g} mm or less"
        )
    return None


def against_contrast(marrow: float, bone: float, bright: float) -> str | None:
    """Why marrow and bone cannot be told apart; None where they can.

    :param marrow: typical signal of marrow in the patches, `bone` of bone, `bright` of the bright tissue of the image.
    """
    share = (marrow - bone) / max(bright - bone, 1e-6)
    if share >= LEAST_CONTRAST:
        return None
    return (
        f"marrow has {100 * max(share, 0.0):.0f} % of the signal of the brightest tissue (fat is suppressed, or the "
        "marrow is replaced), so that bone cannot be told from it"
    )


def apparent_structure(
    cube: np.ndarray, bone: float, grid_mm: float, why_no_structure: str | None = None
) -> ApparentStructure:
    """The apparent structure of a cube.

    :param cube: signal [k, j, i] on a grid of `grid_mm`.
    :param bone: reference signal of bone.
    :param why_no_structure: the share of bone is all that is wanted, for that reason.
    """
    marrow = float(np.percentile(cube, MARROW_PERCENTILE))
    if marrow <= bone:
        reason = "its marrow is as dark as bone"
        return ApparentStructure(not_measured=tuple((name, reason) for name in PARAMETERS))
    share = float(np.clip((marrow - cube.mean()) / (marrow - bone), 0.0, 1.0))
    if why_no_structure is None and not SHARES[0] <= share <= SHARES[1]:
        why_no_structure = f"{100 * share:.0f} % of it look like bone, which leaves no structure to be measured"
    if why_no_structure is not None:
        return ApparentStructure(
            share, marrow=marrow, not_measured=tuple((name, why_no_structure) for name in STRUCTURE)
        )
    structure = _darkest(cube, share)
    found, _ = measure(structure, (grid_mm,) * 3, threads=1, direct_number=False)
    values = (found.tb_th_mm, found.tb_sp_mm, found.tb_n_plate_per_mm)
    lacking = "its trabeculae are one voxel thin"
    return ApparentStructure(
        share,
        *values,
        marrow=marrow,
        not_measured=tuple((name, lacking) for name, value in zip(STRUCTURE, values, strict=True) if value is None),
    )


def _darkest(cube: np.ndarray, share: float) -> np.ndarray:
    """The darkest voxels that make up a share of a cube, as nearly as voxels of one value let it be; never all."""
    threshold = np.quantile(cube, share)
    choices = [inside for inside in (cube < threshold, cube <= threshold) if inside.any() and not inside.all()]
    return min(choices, key=lambda inside: abs(float(inside.mean()) - share))
