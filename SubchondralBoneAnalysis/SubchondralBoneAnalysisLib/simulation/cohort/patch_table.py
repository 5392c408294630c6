"""The rows of patches.csv: where a patch is, and its true parameters. Column names are those of the knee job."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.structure_truth import StructureTruth


def patch_row(
    name: str,
    side: str,
    bone: str,
    compartment: str,
    edge_mm: float,
    centre_lps: np.ndarray,
    axes_lps: np.ndarray,
    truth: StructureTruth,
) -> dict[str, object]:
    """One row.

    :param centre_lps: (3,) in the CT, mm.
    :param axes_lps: [3, 3], rows are the directions of i, j and k.
    """
    row: dict[str, object] = {
        "name": name,
        "side": side,
        "bone": bone,
        "compartment": compartment,
        "subregion": "",
        "edge_mm": edge_mm,
        "source": "simulated",
        "bv_tv": truth.bv_tv,
        "tb_th_mm": truth.tb_th_mm,
        "tb_sp_mm": truth.tb_sp_mm,
        "tb_n_per_mm": truth.tb_n_per_mm,
        "tb_th_sd_mm": truth.tb_th_sd_mm,
        "smi": truth.smi,
        "degree_of_anisotropy": truth.degree_of_anisotropy,
        "conn_d_per_mm3": truth.conn_d_per_mm3,
    }
    row |= {f"centre_lps_mm_{letter}": float(value) for letter, value in zip("lps", centre_lps, strict=True)}
    return row | {
        f"axis_{axis}_lps_{letter}": float(value)
        for axis, vector in zip("ijk", axes_lps, strict=True)
        for letter, value in zip("lps", vector, strict=True)
    }
