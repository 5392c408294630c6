"""The true trabecular parameters of a piece of simulated bone: measured, by the same morphometry as a specimen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.morphometry import measure


@dataclass(frozen=True)
class StructureTruth:
    """The four parameters, and what else tells structures apart; None where it cannot be given.

    Definitions are those of `morphometry.Morphometry`; `tb_n_per_mm` is 1/(Tb.Th + Tb.Sp).
    """

    bv_tv: float
    tb_th_mm: float | None
    tb_sp_mm: float | None
    tb_n_per_mm: float | None
    tb_th_sd_mm: float
    smi: float | None
    degree_of_anisotropy: float | None
    conn_d_per_mm3: float


def structure_truth(structure: np.ndarray, spacing_mm: float, context_mm: float, known_mm: float) -> StructureTruth:
    """The parameters of the middle of a block.

    :param structure: [k, j, i] bool, bone, cubic voxels of `spacing_mm`.
    :param context_mm: from each face of the block to the part that is measured.
    :param known_mm: how far around that part bone is looked at; spheres that are larger may be cut.
    :raises ValueError: nothing but bone or nothing but marrow is left (see `morphometry.measure`).
    """
    away, around = round(context_mm / spacing_mm), round(known_mm / spacing_mm)
    cut = max(away - around, 0)
    seen = np.ascontiguousarray(structure[tuple(slice(cut, size - cut) for size in structure.shape)])
    region = np.zeros(seen.shape, bool)
    region[tuple(slice(away - cut, size - (away - cut)) for size in seen.shape)] = True
    found, _ = measure(seen, (spacing_mm,) * 3, region, threads=1, direct_number=False)
    return StructureTruth(
        bv_tv=found.bv_tv,
        tb_th_mm=found.tb_th_mm,
        tb_sp_mm=found.tb_sp_mm,
        tb_n_per_mm=found.tb_n_plate_per_mm,
        tb_th_sd_mm=found.tb_th_sd_mm,
        smi=found.smi,
        degree_of_anisotropy=found.degree_of_anisotropy,
        conn_d_per_mm3=found.conn_d_per_mm3,
    )
