"""Patients of whom the whole knee is simulated: what lies beside the images belongs to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from SubchondralBoneAnalysisLib.cohort_folder import read_participants, write_rows
from SubchondralBoneAnalysisLib.mr_readout import fat_displacement
from SubchondralBoneAnalysisLib.simulation.bone_block import ABOVE_PATCH_MM, PATCH_MM
from SubchondralBoneAnalysisLib.simulation.cohort import making
from SubchondralBoneAnalysisLib.simulation.cohort.definition import CohortDefinition, usual_definition
from SubchondralBoneAnalysisLib.simulation.cohort.drawn_patient import DrawnPatient
from SubchondralBoneAnalysisLib.simulation.cohort.knee_patient import grids_of, knee_patch_rows, pair_of
from SubchondralBoneAnalysisLib.simulation.cohort.patch_places import patch_places
from SubchondralBoneAnalysisLib.simulation.knee_shapes import LABELS
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps, values_at


def knees(patients: int = 8, **others) -> CohortDefinition:
    return replace(usual_definition("knees", "train", 5, patients), **others)


@pytest.fixture(scope="module")
def drawn() -> list[DrawnPatient]:
    return [DrawnPatient(knees(), number) for number in range(5)]


def test_legs_lie_and_bend_otherwise_in_the_mr_within_the_limits(drawn):
    pairs = [pair_of(one) for one in drawn]
    apart = [abs(pair.ct_flexion_deg - pair.mr_flexion_deg) for pair in pairs]
    assert max(apart) <= knees().most_flexion_apart_deg
    assert np.std(apart) > 1.0
    assert len({pair.ct_turn_deg for pair in pairs} | {pair.mr_turn_deg for pair in pairs}) == 2 * len(pairs)
    assert {pair.side for pair in pairs} == {"left", "right"}


def test_the_middles_of_the_images_do_not_give_the_motion_away(drawn):
    """A registration that lays one middle on the other must be left with centimetres to find."""
    left = []
    for one in drawn:
        pair = pair_of(one)
        ct, mr = (to_lps(0.5 * (np.array(grid.array.shape)[None] - 1), grid)[0] for grid in grids_of(pair, one))
        left.append(pair.motion("tibia").out(ct[None])[0] - mr)
    assert np.std(left, axis=0).min() > 3.0
    assert np.linalg.norm(left, axis=1).max() > 10.0


def test_patches_lie_under_the_surface_of_their_compartment(drawn):
    for one in drawn[:3]:
        knee = pair_of(one).in_ct
        plates = {region: traits.plate_mm for region, traits in one.patient.regions.items()}
        places = patch_places(knee.shapes, knee.pose, plates)
        assert len({place.name for place in places}) == len(places) == 8
        lateral = knee.pose.matrix @ np.array([1.0, 0.0, 0.0])
        middle = np.mean([place.centre_lps for place in places], axis=0)
        for place in places:
            assert np.allclose(place.axes_lps @ place.axes_lps.T, np.eye(3))
            assert np.linalg.det(place.axes_lps) == pytest.approx(1.0)
            assert ((place.centre_lps - middle) @ lateral > 0) == (place.compartment == "lateral")
            deep = knee.shapes.bone(place.bone).nearest(knee.pose.into(place.centre_lps[None]), deep=True)
            wanted = plates[place.bone, place.compartment] + ABOVE_PATCH_MM[1] + 0.5 * PATCH_MM
            assert -deep.distance_mm[0] == pytest.approx(wanted, abs=0.3)


def test_the_truth_of_a_patch_is_near_what_its_region_was_drawn_for(drawn):
    regions = drawn[0].patient.regions
    for row in knee_patch_rows(pair_of(drawn[0]), drawn[0])[:3]:
        asked = regions[row["bone"], row["compartment"]].structure
        assert row["bv_tv"] == pytest.approx(asked.bv_tv, rel=0.25)
        assert row["tb_th_mm"] == pytest.approx(asked.tb_th_mm, rel=0.2)


def test_a_folder_of_a_knee(tmp_path, monkeypatch):
    """On coarse grids, which change nothing but the time: labels meet through the transforms, and the CT has bone."""
    definition = knees(1, microstructure=False)

    def coarse(pair, drawn) -> tuple[Volume, Volume]:
        return tuple(
            grid_around(tuple(to_lps(0.5 * (np.array(grid.array.shape)[None] - 1), grid)[0]), (90.0, 90.0, 60.0), 3.0)
            for grid in grids_of(pair, drawn)
        )

    monkeypatch.setattr(making, "grids_of", coarse)
    ((row, digest),) = making.make_patient(definition, 0, tmp_path)
    assert row["family"] == ""
    assert len(digest) == 64
    write_rows(tmp_path / "participants.csv", [row])
    (one,) = read_participants(tmp_path)
    ct, mr, labels = read_volume(one.ct), read_volume(one.mr), read_volume(one.folder / "bones.nrrd")
    assert (ct.array.dtype, mr.array.dtype) == (np.int16, np.uint16)
    assert ct.array[labels.array == LABELS["tibia"]].mean() > ct.array[labels.array == 0].mean() + 100
    assert fat_displacement(one.mr, mr) is not None
    in_mr = read_volume(one.folder / "truth" / "bones_mr.nrrd")
    in_mr = replace(in_mr, array=in_mr.array.astype(np.float32))
    for bone in ("femur", "tibia"):
        assert one.transform(bone).name == f"ct_to_mr_{bone}.tfm"
        transform = sitk.ReadTransform(str(one.transform(bone)))
        inside = to_lps(np.argwhere(labels.array == LABELS[bone]), labels)
        moved = np.array([transform.TransformPoint(point) for point in inside.tolist()])
        there = values_at(moved, in_mr, order=0, outside=-1.0)
        assert (there[there >= 0] == LABELS[bone]).mean() > 0.85, bone
    assert one.patches() == []
