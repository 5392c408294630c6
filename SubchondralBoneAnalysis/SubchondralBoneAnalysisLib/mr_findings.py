"""What is found of an MR beside the CT: the nouns that the knee job writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from JointQuantLib.statistics import BlandAltman, IntraclassCorrelation
from SubchondralBoneAnalysisLib.bone_registration.soft_tissue import SoftTissueMotion
from SubchondralBoneAnalysisLib.mr_reading import KneeMr
from SubchondralBoneAnalysisLib.mr_structure import ApparentStructure
from SubchondralBoneAnalysisLib.patches import Patch
from SubchondralBoneAnalysisLib.registration import KneeRegistration
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegion
from SubchondralBoneAnalysisLib.synthesis import SyntheticCt
from SubchondralBoneAnalysisLib.volume import Volume


@dataclass(frozen=True, eq=False)
class MrPatch:
    """The cube of a CT patch in the MR.

    :param patch: as it lies in the CT.
    :param centre_lps_mm: (3,) and `axes_lps` (3, 3) as they lie in the MR.
    """

    patch: Patch
    centre_lps_mm: np.ndarray
    axes_lps: np.ndarray
    structure: ApparentStructure


@dataclass(frozen=True, eq=False)
class MrPatches:
    """All patches that could be carried into the MR, and why others, or parameters of all, are not given.

    :param left_out: how many patches of a bone are not in the MR, by the sentence that says why.
    :param bone_signal: reference of bone; None where no patch is measured.
    """

    patches: Sequence[MrPatch] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    bone_signal: float | None = None
    not_measured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MrRegion:
    """A region of the CT in the MR: its apparent share of bone, or why there is none."""

    region: SubchondralRegion
    bv_tv: float | None
    not_measured: str | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """One parameter from CT and from MR in the same patches, CT minus MR.

    :param names: of the patches; `ct` and `mr` are their values (n).
    """

    parameter: str
    ct_estimator: str
    names: Sequence[str]
    ct: np.ndarray
    mr: np.ndarray
    difference: BlandAltman
    correlation: IntraclassCorrelation


@dataclass(frozen=True, eq=False)
class OnMr:
    """The CT and its bones as they lie on the MR, on every `stride`-th of its voxels: to look at, not to measure.

    :param known: bool, where the CT has voxels.
    """

    ct: Volume
    known: Volume
    bones: Volume
    stride: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class MrFindings:
    """Of an MR and the knee of the CT that it shows.

    :param side: of that knee.
    :param why_no_synthesis: a sentence, where there is no synthetic CT.
    :param soft_tissue: the deformation of the soft tissue, on top of the bones' motions; None where not asked for.
    :param seconds: by what was done.
    """

    mr: KneeMr
    side: str
    registration: KneeRegistration
    synthetic: SyntheticCt | None
    why_no_synthesis: str | None
    on_mr: OnMr
    patches: MrPatches
    regions: Sequence[MrRegion]
    comparisons: Sequence[Comparison]
    warnings: Sequence[str]
    seconds: Mapping[str, float]
    soft_tissue: SoftTissueMotion | None = None
