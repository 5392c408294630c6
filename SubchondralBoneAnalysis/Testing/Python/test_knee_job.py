"""The knee job from CT to result folder, on a simulated knee of which every voxel is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from job_runs import refused
from jsonschema import Draft202012Validator
from knee_jobs import CHOSEN, read, rows, run_knee, write_knee

from JointQuantLib.cli import main
from JointQuantLib.errors import BadInput
from JointQuantLib.knee_folder import BONE_NUMBERS, FIRST_COMPARTMENT, SUBREGION_NAMES
from SubchondralBoneAnalysisLib import analysis
from SubchondralBoneAnalysisLib.bones import find_bones
from SubchondralBoneAnalysisLib.ct_reading import read_ct
from SubchondralBoneAnalysisLib.ct_resolution.resolution import BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.one_knee import against_patches, check_joint
from SubchondralBoneAnalysisLib.patches import PatchRule
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee, ct_of_legs
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.volume import Volume, read_volume, write_volume
from SubchondralBoneAnalysisLib.voxel_index import values_at

KNEE = SimulatedKnee(seed=2, side="left")
SCHEMA = Path(analysis.__file__).with_name("knee_result.schema.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ct.nrrd` and `bones.nrrd`."""
    folder = tmp_path_factory.mktemp("patient_1234")
    write_knee(folder, KNEE, 1.0)
    return folder


@pytest.fixture(scope="module")
def result(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The result folder of the CT alone, and its result.json."""
    out = tmp_path_factory.mktemp("out") / "knee"
    return out, run_knee(out, files / "ct.nrrd")


@pytest.fixture(scope="module")
def drawn(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The same with the true bones and bands and patches of the user's choice."""
    out = tmp_path_factory.mktemp("out") / "drawn"
    return out, run_knee(out, files / "ct.nrrd", "--bones", files / "bones.nrrd", *CHOSEN)


def test_the_folder_holds_what_it_promises_and_follows_its_schema(result, files):
    folder, content = result
    assert {path.name for path in folder.iterdir()} == {
        *("result.json", "regions.csv", "surfaces.csv", "patches.csv", "ct.nrrd", "bones.nrrd"),
        *("regions.nrrd", "regions_below_plate.nrrd", "bands.nrrd", "bands_below_plate.nrrd", "compartments.nrrd"),
        *("depth_mm.nrrd", "plate_thickness_mm.nrrd", "joint_space_mm.nrrd"),
        *(f"surface_left_{bone}.vtk" for bone in BONE_NUMBERS),
    }
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(content)
    given = sitk.ReadImage(str(files / "ct.nrrd"))
    for path in folder.glob("*.nrrd"):
        image = sitk.ReadImage(str(path))
        assert image.GetSize() == given.GetSize(), path.name
        assert np.allclose(image.GetSpacing(), given.GetSpacing())
        assert np.allclose(image.GetOrigin(), given.GetOrigin())
        assert np.allclose(image.GetDirection(), given.GetDirection())
    assert np.array_equal(read(folder / "ct.nrrd"), sitk.GetArrayFromImage(given))


def test_no_folder_of_the_patient_is_written_out(result):
    folder, _ = result
    for path in [*folder.glob("*.json"), *folder.glob("*.csv")]:
        assert "patient_1234" not in path.read_text("utf-8")


def test_the_bones_and_the_side_are_those_of_the_simulated_knee(result, files):
    folder, content = result
    (knee,) = content["knees"]
    assert knee["side"] == "left"
    found, truth = read(folder / "bones.nrrd"), read(files / "bones.nrrd")
    for bone in knee["bones"]:
        number = BONE_NUMBERS[bone["name"]]
        inside, true = found == number, truth == number
        assert bone["found"]
        assert 2 * (inside & true).sum() / (inside.sum() + true.sum()) > 0.97
        assert bone["volume_mm3"] == pytest.approx(inside.sum(), rel=1e-6)
    assert {bone["name"]: bool(bone["reason"]) for bone in knee["bones"]}["tibia"] is False


def test_volumes_and_table_tell_the_same(result):
    folder, content = result
    (knee,) = content["knees"]
    table = rows(folder / "regions.csv")
    assert [row["name"] for row in table] == [region["name"] for region in knee["regions"]]
    assert len(table) == 2 * 2 * 6 * 3
    ct, compartments = read(folder / "ct.nrrd"), read(folder / "compartments.nrrd")
    for from_surface, name in (("bone", ""), ("plate", "_below_plate")):
        regions, bands = read(folder / f"regions{name}.nrrd"), read(folder / f"bands{name}.nrrd")
        listed = [region for region in knee["regions"] if region["from_surface"] == from_surface]
        assert set(np.unique(regions)) == {0} | {region["number"] for region in listed}
        for region in listed:
            inside = regions == region["number"]
            assert inside.sum() == region["voxels"]
            assert set(np.unique(bands[inside])) == {1 + [0.0, 2.5, 5.0].index(region["depth_from_mm"])}
            if region["hu_mean"] is not None:
                assert region["hu_mean"] == pytest.approx(ct[inside].mean(), abs=0.01)
            if from_surface == "bone":
                part = SUBREGION_NAMES.index(f"{region['compartment']} {region['subregion']}")
                assert set(np.unique(compartments[inside])) == {FIRST_COMPARTMENT[region["bone"]] + part}


def test_depths_are_those_of_the_simulated_bones(result, files):
    folder, _ = result
    depth, regions, bones = (read(folder / name) for name in ("depth_mm.nrrd", "regions.nrrd", "bones.nrrd"))
    grid = read_volume(files / "ct.nrrd")
    for bone in ("femur", "tibia"):
        inside = (regions > 0) & (bones == BONE_NUMBERS[bone])
        error = depth[inside] - KNEE.depth_mm(grid, bone)[inside]
        assert abs(error.mean()) < 0.2
        assert np.percentile(np.abs(error), 90) < 0.4


def test_medial_is_where_the_fibula_is_not(result):
    folder, _ = result
    bones = read_volume(folder / "bones.nrrd")
    fibula = np.argwhere(bones.array == 4)[:, 2].mean()
    compartments = read(folder / "compartments.nrrd")
    for first in FIRST_COMPARTMENT.values():
        medial, lateral = (
            np.argwhere((compartments >= start) & (compartments < start + 3))[:, 2].mean()
            for start in (first, first + 3)
        )
        assert abs(lateral - fibula) < abs(medial - fibula)


def test_patches_lie_in_their_bone_and_have_names_of_their_own(result):
    folder, content = result
    table = rows(folder / "patches.csv")
    (knee,) = content["knees"]
    assert len(table) == sum(knee["patches"].values()) > 300
    assert len({row["name"] for row in table}) == len(table)
    bones = read_volume(folder / "bones.nrrd")
    centres = np.array([[float(row[f"centre_lps_mm_{letter}"]) for letter in "lps"] for row in table])
    numbers = values_at(centres, bones, order=0)
    assert all(number == BONE_NUMBERS[row["bone"]] for number, row in zip(numbers, table, strict=True))
    for row in table:
        axes = np.array([[float(row[f"axis_{axis}_lps_{letter}"]) for letter in "lps"] for axis in "ijk"])
        assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    depth = Volume(read(folder / "depth_mm.nrrd"), bones.spacing_mm, bones.origin_lps, bones.direction_lps)
    seen = values_at(centres, depth)
    told = np.array([float(row["depth_mm"]) for row in table])
    assert np.median(np.abs(seen - told)) < 0.5


def test_the_joint_space_is_about_the_simulated_one(result):
    _, content = result
    central = {
        row["compartment"]: row["joint_space_smallest_mm"]
        for row in content["knees"][0]["surfaces"]
        if row["bone"] == "tibia" and row["subregion"] == "central"
    }
    for compartment, truth in zip(("medial", "lateral"), KNEE.joint_space_mm, strict=True):
        assert truth - 0.5 < central[compartment] < truth + 1.0


def test_bones_bands_and_patches_of_the_users_choice(drawn, files):
    folder, content = drawn
    (knee,) = content["knees"]
    assert np.array_equal(read(folder / "bones.nrrd"), read(files / "bones.nrrd"))
    assert [entry["role"] for entry in content["inputs"]] == ["ct", "bones"]
    assert {(region["depth_from_mm"], region["depth_to_mm"]) for region in knee["regions"]} == {(0, 3), (3, 8)}
    table = rows(folder / "patches.csv")
    assert {float(row["edge_mm"]) for row in table} == {5.0}
    centres = np.array([[float(row[f"centre_lps_mm_{letter}"]) for letter in "lps"] for row in table])
    layers = np.array([row["name"][-2:] for row in table])
    for layer in set(layers):
        of_layer = centres[layers == layer]
        apart = np.linalg.norm(of_layer[:, None] - of_layer[None], axis=-1)[np.triu_indices(len(of_layer), 1)]
        assert apart.min() >= 0.7 * 5


def test_drawn_bones_of_a_mirrored_knee_have_mirrored_regions(drawn, files, tmp_path):
    _, content = drawn
    for name in ("ct.nrrd", "bones.nrrd"):
        volume = read_volume(files / name)
        index = np.array([0, 0, volume.array.shape[2] - 1])
        left, posterior, superior = volume.origin_lps + index[::-1] * np.array(volume.spacing_mm[::-1])
        mirrored = replace(volume, array=volume.array[:, :, ::-1], origin_lps=(-left, posterior, superior))
        write_volume(tmp_path / name, mirrored.array, mirrored)
    (knee,) = run_knee(tmp_path / "out", tmp_path / "ct.nrrd", "--bones", tmp_path / "bones.nrrd", *CHOSEN)["knees"]
    assert knee["side"] == "right"
    for region, other in zip(content["knees"][0]["regions"], knee["regions"], strict=True):
        assert region["name"] == other["name"]
        assert other["volume_mm3"] == pytest.approx(region["volume_mm3"], rel=0.03)


def test_plate_and_joint_space_are_not_given_around_metal(drawn, files, tmp_path_factory, tmp_path):
    _, clean = drawn
    ct, bones = read_volume(files / "ct.nrrd"), read(files / "bones.nrrd")
    # A screw under the medial plateau: of a left knee that is on the right, at the lower end of i.
    shaft = np.argwhere(bones == BONE_NUMBERS["tibia"])
    middle = shaft.mean(axis=0)
    medial = shaft[(shaft[:, 2] < middle[2] - 12) & (np.abs(shaft[:, 1] - middle[1]) < 3)]
    k, j, i = medial[medial[:, 0] == medial[:, 0].max() - 3].mean(axis=0).astype(int)
    ct.array[k - 1 : k + 2, j - 3 : j + 4, i - 3 : i + 4] = 3071
    path = tmp_path_factory.mktemp("metal") / "ct.nrrd"
    write_volume(path, ct.array, ct)
    content = run_knee(tmp_path / "out", path, "--bones", files / "bones.nrrd", "--patch-overlap", 0)
    metal = read(tmp_path / "out" / "metal.nrrd") > 0
    for name in ("plate_thickness_mm.nrrd", "joint_space_mm.nrrd"):
        assert not read(tmp_path / "out" / name)[metal].any()
    rows_of = {
        (row["bone"], row["compartment"], row["subregion"]): (row, before)
        for row, before in zip(content["knees"][0]["surfaces"], clean["knees"][0]["surfaces"], strict=True)
    }
    spoiled, _ = rows_of["tibia", "medial", "central"]
    assert spoiled["plate_median_mm"] is spoiled["joint_space_median_mm"] is None
    assert "around metal" in spoiled["not_measured"]["plate_median_mm"]
    kept, before = rows_of["tibia", "lateral", "central"]
    assert kept["joint_space_mean_mm"] == pytest.approx(before["joint_space_mean_mm"], abs=0.1)


def test_what_is_said_of_a_knee_that_is_left_out_names_no_folder():
    request = KneeRequest(Path("/data/patient_1234/ct"), Path("/data/patient_1234/bones.nrrd"))
    said = analysis.without_folders(BadInput(f"{request.bones} does not fit {request.ct}: no tibia."), request)
    assert said == "bones.nrrd does not fit ct: no tibia."


def test_a_folder_that_is_given_as_a_dot_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "scan").mkdir()
    monkeypatch.chdir(tmp_path / "scan")
    assert KneeRequest(Path()).parameters()["ct"] == KneeRequest(Path("../scan")).parameters()["ct"] == "scan"


def test_patches_smaller_than_the_image_resolves_have_no_density():
    blurred = CtResolution((0.5,) * 3, None, BlurEstimate(1.2, 0.01, 500, "skin"), None, ())
    small, large = (KneeRequest(Path("ct"), patch_rule=PatchRule(edge_mm=edge)) for edge in (1.0, 6.0))
    assert against_patches(small, blurred) == "its cube is 1 mm thick, less than the blur of 1.20 mm (FWHM)"
    assert against_patches(large, blurred) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bands", "5", "2"), "each deeper than the one before"),
        (("--bands", "0", "40"), "20 mm at the most"),
        (("--bands", "0", "deep"), "no depth"),
        (("--bands", "0.00", "40"), "20 mm at the most"),
        (("--bands", "1", "1.0005"), "thinner than 0.1 mm"),
        (("--patch-edge", "5", "--patch-grid", "0.4"), "whole number of steps"),
        (("--patch-edge", "12"), "10 mm at the most"),
        (("--patch-edge", "2", "--patch-overlap", "0.9"), "0.2 mm apart"),
        (("--patch-grid", "0.05"), "120 values along an edge"),
        (("--patch-overlap", "1"), "from 0 to 0.9"),
        (("--bones-labels", "femur=1"), "add --bones"),
        (("--bones", "nowhere.nrrd"), "does not exist"),
    ],
)
def test_what_does_not_fit_together_is_refused(files, tmp_path, capfd, options, said):
    assert said in refused("knee", tmp_path, capfd, files / "ct.nrrd", *options)


def test_a_result_beside_the_ct_does_not_take_it_away(files, tmp_path, capfd):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "ct.nrrd").write_bytes((files / "ct.nrrd").read_bytes())
    assert main(["knee", str(tmp_path / "x" / "ct.nrrd"), "--out", str(tmp_path / "x"), "--overwrite"]) == 2
    assert "choose another --out" in capfd.readouterr().err


def test_what_is_no_ct_of_a_knee_is_refused(files, tmp_path, capfd):
    said = refused("knee", tmp_path, capfd, files / "bones.nrrd")
    assert "bones.nrrd" in said
    assert "not a CT" in said


def test_drawn_bones_without_a_tibia_are_refused(files, tmp_path_factory, tmp_path, capfd):
    bones = read_volume(files / "bones.nrrd")
    path = tmp_path_factory.mktemp("drawn") / "femur.nrrd"
    write_volume(path, np.where(bones.array == 1, bones.array, 0), bones)
    assert "no tibia" in refused("knee", tmp_path, capfd, files / "ct.nrrd", "--bones", path)


def test_a_knee_without_fibula_needs_to_be_told_its_side(files, tmp_path_factory, tmp_path, capfd):
    bones = read_volume(files / "bones.nrrd")
    path = tmp_path_factory.mktemp("drawn") / "two.nrrd"
    write_volume(path, np.where(bones.array == 4, 0, bones.array), bones)
    assert "--side" in refused("knee", tmp_path, capfd, files / "ct.nrrd", "--bones", path)


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the CT of both legs of a patient, and their true bones."""
    folder = tmp_path_factory.mktemp("legs")
    left = SimulatedKnee(seed=2, side="left", centre_lps=(72.0, 0.0, 0.0))
    both = (left, left.mirrored())
    grid = grid_around((0.0, 10.0, 5.0), (262.0, 115.0, 108.0), 1.5)
    ct = ct_of_legs(both, grid)
    write_volume(folder / "ct.nrrd", ct.array, ct)
    write_volume(folder / "bones.nrrd", np.maximum(*(knee.labels(grid).array for knee in both)), ct)
    return folder


def test_both_knees_of_a_ct_are_analysed_the_right_one_first(legs, tmp_path):
    out = tmp_path / "out"
    content = run_knee(out, legs / "ct.nrrd", "--bones", legs / "bones.nrrd")
    right, left = content["knees"]
    assert (right["side"], left["side"]) == ("right", "left")
    for one, other in zip(right["regions"], left["regions"], strict=True):
        assert one["name"] == other["name"]
        assert one["number"] != other["number"]
        assert one["volume_mm3"] == pytest.approx(other["volume_mm3"], rel=0.05, abs=5)
    regions = read(out / "regions.nrrd")
    listed = [region for knee in content["knees"] for region in knee["regions"] if region["from_surface"] == "bone"]
    assert [np.count_nonzero(regions == region["number"]) for region in listed] == [r["voxels"] for r in listed]
    middle = regions.shape[2] // 2
    assert set(np.unique(regions[:, :, :middle])) == {0} | {r["number"] for r in right["regions"]}
    assert {row["side"] for row in rows(out / "patches.csv")} == {"right", "left"}


def test_of_two_knees_one_can_be_chosen(legs):
    ct = read_ct(legs / "ct.nrrd")
    (leg,) = analysis.wanted_legs(ct, KneeRequest(legs / "ct.nrrd", side="left"))
    assert leg.side_in_image == "left"
    assert leg.box[2].start > ct.volume.array.shape[2] // 2 - 10
    assert [leg.side_in_image for leg in analysis.wanted_legs(ct, KneeRequest(legs / "ct.nrrd"))] == ["right", "left"]


def test_why_no_knee_was_found_is_said():
    air = Volume(np.full((20, 20, 20), -900, np.int16), (2.0, 2.0, 2.0))
    with pytest.raises(BadInput, match=r"a.nrrd: No shaft of a femur .* give the CT of a knee"):
        check_joint(find_bones(air), "a.nrrd", drawn=False)
