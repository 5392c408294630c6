"""A patient of whom the whole knee is simulated: the leg lies otherwise in the MR, and bends differently."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.bone_block import KNOWN_MM, PATCH_MM, VOXEL_MM
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.patch_places import patch_places
from SubchondralBoneAnalysisLib.simulation.cohort.patch_table import patch_row
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.structure_truth import structure_truth

CT_FLEXION_DEG = (4.0, 20.0)
TURN_DEG, SHIFT_MM = (8.0, 5.0, 10.0), (20.0, 20.0, 25.0)  # SD, half the range: of the leg in the MR, along L, P and S


def pair_of(drawn: DrawnPatient) -> KneePair:
    """The knee of a patient as it lies in the CT and in the MR."""
    definition, patient, rng = drawn.definition, drawn.patient, drawn.rng("knee")
    flexion = rng.uniform(*CT_FLEXION_DEG)
    apart = rng.uniform(-1.0, 1.0) * definition.most_flexion_apart_deg
    other = float(np.clip(flexion + apart, 0.0, 35.0))
    return KneePair(
        seed=int(rng.integers(1, 2**31)),
        side=patient.side,
        joint_space_mm=patient.joint_space_mm,
        ct_flexion_deg=float(flexion),
        mr_flexion_deg=other,
        mr_turn_deg=tuple(np.clip(rng.normal(0.0, TURN_DEG), -25.0, 25.0).tolist()),
        mr_shift_mm=tuple((rng.uniform(-1.0, 1.0, 3) * SHIFT_MM).tolist()),
        regions=patient.regions if definition.microstructure else None,
        family=drawn.family,
        plate_mm=float(np.mean([region.plate_mm for region in patient.regions.values()])),
    )


def knee_patch_rows(pair: KneePair, drawn: DrawnPatient) -> list[dict[str, object]]:
    """The rows of patches.csv of a knee with microstructure."""
    plates = {region: traits.plate_mm for region, traits in drawn.patient.regions.items()}
    rows = []
    for place in patch_places(pair.in_ct.shapes, pair.in_ct.pose, plates):
        edge = PATCH_MM + 2 * KNOWN_MM
        structure = pair.structure_at(place.bone, tuple(place.centre_lps.tolist()), place.axes_lps.T, edge, VOXEL_MM)
        truth = structure_truth(structure, VOXEL_MM, KNOWN_MM, KNOWN_MM)
        rows.append(
            patch_row(
                place.name,
                drawn.patient.side,
                place.bone,
                place.compartment,
                PATCH_MM,
                place.centre_lps,
                place.axes_lps,
                truth,
            )
        )
    return rows
