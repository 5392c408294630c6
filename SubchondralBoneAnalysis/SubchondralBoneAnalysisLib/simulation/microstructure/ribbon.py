"""Plates and rods where random waves are near zero."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from SubchondralBoneAnalysisLib.simulation.microstructure.random_waves import random_waves
from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.thickness_scale import thickness_per_cell, tile_step_mm
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits

EDGE = 112
WIDTH = 0.25
NARROWEST = 0.03  # weight of the second field where all is plates: sheets alone fall to pieces in thin bone
ROUNDING = 0.06  # SD over the wavelength where all is rods: rods are round where they meet


def ribbon_tile(traits: StructureTraits, rng: np.random.Generator) -> StructureTile:
    """A tile of ribbons: bone where f^2 + w g^2 is low, with two independent fields of random waves f and g.

    The zero surfaces of f alone are plates (w = 0); where both are zero are lines, the rods (w = 1); between the two
    are ribbons, as much wider than thick as w is less than 1.
    """
    rods = 1.0 - traits.plate
    step_mm = tile_step_mm(traits.tb_th_mm)
    length = traits.tb_th_mm / thickness_per_cell("ribbon", traits) / step_mm
    across = length / traits.anisotropy ** (1 / 3)
    wavelength = (across * traits.anisotropy, across, across)
    first = random_waves(EDGE, wavelength, WIDTH, rng)
    second = random_waves(EDGE, wavelength, WIDTH, rng)
    field = first * first + np.float32(max(rods**2, NARROWEST)) * second * second
    rounded = gaussian_filter(field, [ROUNDING * rods * mm for mm in wavelength], mode="wrap", truncate=3)
    return StructureTile.of_field(rounded, step_mm)
