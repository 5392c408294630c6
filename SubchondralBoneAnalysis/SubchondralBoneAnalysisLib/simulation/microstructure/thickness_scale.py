"""The scale at which a family is made: how thick its trabeculae are for cells of one millimetre."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits

# Fitted to Tb.Th measured on blocks of each family: log(Tb.Th / cell) = sum of coefficient times term, see `terms`.
FITTED = {
    "ribbon": (-1.3677, 0.4483, 0.1583, -0.3575, -0.2176, 0.4045, -0.0281),
    "voronoi": (-1.2024, 0.5363, 0.1704, 0.2734, -0.475, 0.0567, 0.0086),
    "network": (-0.4949, 0.6495, 0.1745, -0.094, -0.1937, 0.158, -0.0726),
}


STEP_MM = 0.08  # of a tile
LEAST_STEPS = 2.8  # to a trabecular thickness: thin bone has a finer tile, that repeats sooner


def tile_step_mm(tb_th_mm: float) -> float:
    """Distance of the voxels of a tile for a trabecular thickness."""
    return min(STEP_MM, tb_th_mm / LEAST_STEPS)


def thickness_per_cell(family: str, traits: StructureTraits) -> float:
    """Trabecular thickness over the size of a cell, at the bone volume fraction of the traits."""
    return float(np.exp(terms(traits) @ np.array(FITTED[family])))


def terms(traits: StructureTraits) -> np.ndarray:
    """What the logarithm of the thickness is a sum of."""
    log_bv_tv = np.log(traits.bv_tv / 0.25)
    plate = traits.plate
    return np.array([1.0, log_bv_tv, log_bv_tv**2, plate, plate**2, plate * log_bv_tv, np.log(traits.anisotropy)])
