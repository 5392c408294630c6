"""What is found of one knee: the nouns that the knee job writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.bones import FoundBone
from SubchondralBoneAnalysisLib.ct_measures import RegionMeasures, WidthSummary
from SubchondralBoneAnalysisLib.patches import Patch
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegion, SubchondralRegions
from SubchondralBoneAnalysisLib.volume import Volume

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class MeasuredRegion:
    """A depth band under a sub-region, and what the CT says of it."""

    region: SubchondralRegion
    measures: RegionMeasures


@dataclass(frozen=True)
class MeasuredSurface:
    """One sub-region of an articular surface: its plate, and on the tibia the joint space over it."""

    bone: str
    compartment: str
    subregion: str
    area_mm2: float
    plate: WidthSummary
    joint_space: WidthSummary | None


@dataclass(frozen=True)
class MeasuredPatch:
    """A cube of bone, and what its voxels say: mean and SD in HU, and the share of bone by density; None: too small."""

    patch: Patch
    hu_mean: float | None
    hu_sd: float | None
    bv_tv: float | None


@dataclass(frozen=True, eq=False)
class KneeFindings:
    """Of one knee.

    :param side: "left" or "right".
    :param side_from: what told it, in words.
    :param box: the part of the CT that shows this knee; all volumes below are on its grid.
    :param bones: by name, with volume_mm3 beside it in `bone_mm3`.
    :param surfaces: of every bone that was found.
    :param warnings: sentences about this knee.
    """

    side: str
    side_from: str
    box: Box
    labels: Volume
    bones: Mapping[str, FoundBone]
    surfaces: Mapping[str, BoneSurface]
    regions: SubchondralRegions
    measured: Sequence[MeasuredRegion]
    sub_regions: Sequence[MeasuredSurface]
    patches: Sequence[MeasuredPatch]
    warnings: Sequence[str]

    def bone_mm3(self, number: int) -> float:
        """Volume of a bone by its voxels."""
        return float(np.count_nonzero(self.labels.array == number) * self.labels.voxel_mm3)
