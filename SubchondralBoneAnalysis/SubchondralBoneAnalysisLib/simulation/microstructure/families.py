"""The families of trabecular structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.microstructure.micro_ct import micro_ct_tile
from SubchondralBoneAnalysisLib.simulation.microstructure.network import network_tile
from SubchondralBoneAnalysisLib.simulation.microstructure.ribbon import ribbon_tile
from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.simulation.microstructure.voronoi import voronoi_tile

MAKERS: dict[str, Callable[[StructureTraits, np.random.Generator], StructureTile]] = {
    "ribbon": ribbon_tile,
    "voronoi": voronoi_tile,
    "network": network_tile,
}
FAMILIES = tuple(MAKERS)
HELD_OUT_FAMILY = "network"  # for testing; nothing may be trained on it
MICRO_CT = "micro-ct:"  # and the path of a volume: structures cut from it


def make_tile(family: str, traits: StructureTraits, rng: np.random.Generator) -> StructureTile:
    """A tile of a family whose trabeculae are near `traits.tb_th_mm` thick at `traits.bv_tv`.

    :raises BadInput: there is no such family, or its micro-CT volume cannot be used.
    """
    if family.startswith(MICRO_CT):
        return micro_ct_tile(Path(family.removeprefix(MICRO_CT)), traits, rng)
    if family not in MAKERS:
        raise BadInput(f"There is no family of structure called {family}: choose one of {', '.join(MAKERS)}.")
    return MAKERS[family](traits, rng)
