"""What CT and MR say of the same patches, beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from JointQuantLib.statistics import bland_altman, icc
from SubchondralBoneAnalysisLib.knee_findings import MeasuredPatch
from SubchondralBoneAnalysisLib.mr_findings import Comparison, MrPatch
from SubchondralBoneAnalysisLib.patches import Patch

FEWEST = 10  # patches
APART = 2.0  # edges of a patch: patches in one block of that size, which overlap, are drawn together

# The CT's parameters by the name of the MR's, each with how it was estimated.
CT_PARAMETERS: Mapping[str, str] = {"bv_tv": "density"}


def compare(measured: Sequence[MeasuredPatch], patches: Sequence[MrPatch], seed: int) -> list[Comparison]:
    """Bland-Altman and ICC of each parameter that both have in enough patches; intervals by bootstrap over blocks."""
    of_ct = {of.patch.name: of for of in measured}
    found = []
    for parameter, estimator in CT_PARAMETERS.items():
        pairs = [
            (of.patch, getattr(of_ct[of.patch.name], parameter), getattr(of.structure, parameter)) for of in patches
        ]
        pairs = [pair for pair in pairs if None not in pair]
        if len(pairs) < FEWEST:
            continue
        ct, mr = (np.array([pair[place] for pair in pairs], float) for place in (1, 2))
        blocks = [
            f"{patch.bone} {np.floor(patch.centre_lps_mm / (APART * patch.edge_mm)).astype(int)}"
            for patch, _, _ in pairs
        ]
        found.append(
            Comparison(
                parameter,
                estimator,
                [patch.name for patch, _, _ in pairs],
                ct,
                mr,
                bland_altman(ct, mr),
                icc(np.column_stack([ct, mr]), np.random.default_rng(seed), blocks),
            )
        )
    return found


def _block(patch: Patch) -> tuple[int, ...]:
    return tuple(np.floor(patch.centre_lps_mm / (APART * patch.edge_mm)).astype(int).tolist())
