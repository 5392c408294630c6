"""The simulated bone that the benchmarks of the simulator look at: of the knees of a cohort, or bone by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from SubchondralBoneAnalysisLib.simulation.bone_block import VOXEL_MM, VOXELS, BoneBlock
from SubchondralBoneAnalysisLib.simulation.microstructure.trabeculae import make_trabeculae
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import BV_TV, TB_TH_MM, StructureTraits
from SubchondralBoneAnalysisLib.simulation.population.bone_population import CORRELATION, SD
from SubchondralBoneAnalysisLib.simulation.population.patient import Patient
from SubchondralBoneAnalysisLib.simulation.population.region_traits import RegionTraits

MOST_SD = 3.0  # by which the thickness follows a bone volume fraction that is far from the population's


def drawn_region(rng: np.random.Generator) -> RegionTraits:
    """Any region of the knee of a patient of a cohort."""
    regions = Patient.drawn(rng).regions
    return regions[sorted(regions)[rng.integers(len(regions))]]


def traits_near(bv_tv: float, rng: np.random.Generator) -> StructureTraits:
    """Traits of the population, were its BV/TV what is asked for: its thickness moves as far as it goes along."""
    drawn = drawn_region(rng).structure
    away = np.clip((bv_tv - drawn.bv_tv) / SD["bv_tv"], -MOST_SD, MOST_SD)
    thicker = np.exp(CORRELATION["bv_tv", "log_tb_th"] * SD["log_tb_th"] * away)
    return replace(
        drawn,
        bv_tv=float(np.clip(bv_tv, *BV_TV)),
        tb_th_mm=float(np.clip(drawn.tb_th_mm * thicker, *TB_TH_MM)),
    )


def bare_block(structure: np.ndarray) -> BoneBlock:
    """A block of nothing but trabeculae, bool [k, j, i]: no plate, no cartilage, its middle at the origin."""
    return BoneBlock(structure, np.zeros(structure.shape, bool), (0.0, 0.0, 0.0), np.eye(3))


def simulated_block(family: str, traits: StructureTraits, rng: np.random.Generator) -> BoneBlock:
    """A bare block of even bone volume fraction."""
    corner = (0.5 - 0.5 * VOXELS) * VOXEL_MM
    trabeculae = make_trabeculae(family, traits, rng)
    return bare_block(trabeculae.solid_block((VOXELS,) * 3, VOXEL_MM, (corner,) * 3, traits.bv_tv))
