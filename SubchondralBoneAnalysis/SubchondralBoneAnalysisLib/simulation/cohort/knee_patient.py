"""A patient of whom the whole knee is simulated: the leg lies otherwise in the MR, and bends differently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from SubchondralBoneAnalysisLib.simulation.bone_block import KNOWN_MM, PATCH_MM, VOXEL_MM
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.patch_places import patch_places
from SubchondralBoneAnalysisLib.simulation.cohort.patch_table import patch_row
from SubchondralBoneAnalysisLib.simulation.knee_pair import KneePair
from SubchondralBoneAnalysisLib.simulation.structure_truth import structure_truth
from SubchondralBoneAnalysisLib.volume import Volume

CT_FLEXION_DEG = (4.0, 20.0)
TURN_DEG, SHIFT_MM = (8.0, 5.0, 10.0), (20.0, 20.0, 25.0)  # SD, half the range: of the leg in the MR, along L, P and S
CT_TURN_DEG, CT_CENTRE_MM = (4.0, 3.0, 6.0), (90.0, 40.0, 60.0)  # the same in the CT, from a straight leg
# Half the range by which the middle of an image lies beside the joint: nobody centres a field of view to the mm.
OFF_CENTRE_MM = (9.0, 9.0, 14.0)


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
        ct_turn_deg=_turn(rng, CT_TURN_DEG),
        ct_centre_lps=_within(rng, CT_CENTRE_MM),
        mr_turn_deg=_turn(rng, TURN_DEG),
        mr_shift_mm=_within(rng, SHIFT_MM),
        regions=patient.regions if definition.microstructure else None,
        family=drawn.family,
        plate_mm=float(np.mean([region.plate_mm for region in patient.regions.values()])),
    )


def grids_of(pair: KneePair, drawn: DrawnPatient) -> tuple[Volume, Volume]:
    """The voxels of the CT and of the MR: the joint lies near their middle, not in it."""
    rng = drawn.rng("grids")
    grids = pair.ct_grid(drawn.ct_scan), pair.mr_grid(drawn.mr_scan)
    return tuple(
        replace(grid, origin_lps=tuple((np.array(grid.origin_lps) + _within(rng, OFF_CENTRE_MM)).tolist()))
        for grid in grids
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


def _turn(rng: np.random.Generator, sd_deg: tuple[float, float, float]) -> tuple[float, float, float]:
    return tuple(np.clip(rng.normal(0.0, sd_deg), -25.0, 25.0).tolist())


def _within(rng: np.random.Generator, half_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    return tuple((rng.uniform(-1.0, 1.0, 3) * half_mm).tolist())
