"""The knee job with an MR: from two files to the result folder, with the motions of the bones known."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from job_runs import changed, refused
from jsonschema import Draft202012Validator
from knee_jobs import CHOSEN, read, rows, run_knee
from mr_pairs import Pair, write_pair

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.knee_folder import read_knee, transform_file
from JointQuantLib.report import write_report
from JointQuantLib.scene import slicer_available
from SubchondralBoneAnalysisLib import analysis, mr_examination, registration
from SubchondralBoneAnalysisLib.bone_registration.bone_laying import Stage
from SubchondralBoneAnalysisLib.bone_registration.quality import BoneQuality
from SubchondralBoneAnalysisLib.cohort_folder import write_rows
from SubchondralBoneAnalysisLib.file_digest import digest_of
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.mr_reading import KneeMr
from SubchondralBoneAnalysisLib.mr_result import NOTE
from SubchondralBoneAnalysisLib.registration import KneeRegistration, RegisteredBone
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

KNEE = SimulatedKnee(seed=2, side="left")
SCHEMA = Path(analysis.__file__).with_name("knee_result.schema.json")
WITH_MR = {
    *("mr.nrrd", "mr_agreement.nrrd", "ct_on_mr.nrrd", "bones_on_mr.nrrd", "soft_tissue_mm.nrrd"),
    *(transform_file(name, way) for name in ("knee", "femur", "tibia", "patella") for way in ("ct_to_mr", "mr_to_ct")),
}


def registration_of(pair: Pair):
    """The registration that is known: the patella of this one is doubtful."""

    def register(
        ct: Volume,
        labels: Volume,
        mr: Volume,
        synthetic: Volume | None,
        progress: Progress,
        side: str,
        fat_displacement_lps: np.ndarray | None,
    ):
        assert fat_displacement_lps is None  # the header beside this MR tells the field only
        assert ct.array.shape == labels.array.shape
        assert (side, synthetic) == (KNEE.side, None)
        progress.step(0.5, "Aligning")
        bones = {}
        for name, transform in pair.transforms.items():
            verdict = "doubtful" if name == "patella" else "registered"
            quality = BoneQuality(0.2, 0.6, 0.9, 0.85, verdict, "its surface lies on the edge that the MR shows")
            stage = Stage("bone", 0.4, 0.8, 11.0, 7.5, 1.2)
            bones[name] = RegisteredBone(name, transform, quality, (stage,))
        agreement = np.full(mr.array.shape, np.nan, np.float32)
        agreement[20:30, 40:70, 40:70] = 0.8
        return KneeRegistration(
            method="MR alone",
            knee=pair.transforms["femur"],
            knee_stages=(Stage("whole knee", 0.1, 0.4, 18.0, 9.0, 2.0),),
            bones=bones,
            agreement=replace(mr, array=agreement),
            fat_shift_mm=(0.0, 0.4),
            warnings=("the patella is only partly in the MR",),
        )

    return register


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    pair = write_pair(tmp_path_factory.mktemp("patient_4321"), KNEE)
    (pair.folder / "mr.json").write_text('{"MagneticFieldStrength": 3.0}', "utf-8")
    return pair


@pytest.fixture(scope="module")
def result(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("out") / "knee"
    options = ("--bones", pair.folder / "bones.nrrd", *CHOSEN, "--mr", pair.folder / "mr.nrrd")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mr_examination, "register_knee", registration_of(pair))
        return out, run_knee(out, pair.folder / "ct.nrrd", *options, "--no-synthesis", "--deform")


def test_the_folder_holds_what_it_promises_and_follows_its_schema(result, pair):
    folder, content = result
    assert {path.name for path in folder.iterdir()} >= WITH_MR
    assert not (folder / "synthetic_ct.nrrd").exists()
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(content)
    assert [entry["role"] for entry in content["inputs"]] == ["ct", "bones", "mr", "mr header"]
    assert content["inputs"][3] == {
        "role": "mr header",
        "path": "mr.json",
        "sha256": digest_of((pair.folder / "mr.json",)),
    }
    assert "The patella is only partly in the MR." in content["warnings"]
    assert content["mr"]["why_no_synthetic_ct"] == "it was not asked for (--no-synthesis)"
    for path in [*folder.glob("*.json"), *folder.glob("*.csv")]:
        assert "patient_4321" not in path.read_text("utf-8")
    stored = read_volume(folder / "mr.nrrd")
    assert np.array_equal(stored.array, pair.mr.array)
    assert stored.origin_lps == pytest.approx(pair.mr.origin_lps)


def test_both_directions_of_every_motion_are_stored_as_files_and_matrices(result, pair):
    folder, content = result
    places = np.random.default_rng(0).uniform(-50, 50, (10, 3))
    for name, told in content["mr"]["transforms"].items():
        true = pair.transforms["femur" if name == "knee" else name]
        there, back = (sitk.ReadTransform(str(folder / told[f"{way}_file"])) for way in ("ct_to_mr", "mr_to_ct"))
        for place in places.tolist():
            moved = true.TransformPoint(place)
            assert there.TransformPoint(place) == pytest.approx(moved, abs=1e-6)
            assert back.TransformPoint(moved) == pytest.approx(place, abs=1e-6)
            assert (np.array(told["ct_to_mr"]) @ [*place, 1.0])[:3] == pytest.approx(moved, abs=1e-6)
            assert (np.array(told["mr_to_ct"]) @ [*moved, 1.0])[:3] == pytest.approx(place, abs=1e-6)


def test_the_soft_tissue_is_moved_a_little_and_the_bones_are_not(result):
    folder, content = result
    told, field = content["mr"]["soft_tissue"], sitk.ReadImage(str(folder / "soft_tissue_mm.nrrd"))
    lengths = np.linalg.norm(sitk.GetArrayFromImage(field), axis=-1)
    assert lengths.max() == pytest.approx(told["largest_mm"], abs=1e-3)
    assert told["similarity_after"] >= told["similarity_before"]
    bones = sitk.ReadImage(str(folder / "bones_on_mr.nrrd"))
    inside = sitk.GetArrayFromImage(sitk.Resample(bones, sitk.VectorIndexSelectionCast(field, 0), sitk.Transform(), 1))
    assert lengths[inside > 0].max() < 0.05


def test_the_bones_of_the_ct_lie_on_those_of_the_mr(result, pair):
    folder, _ = result
    bones, mr = read(folder / "bones_on_mr.nrrd"), pair.mr.array
    ct = read(folder / "ct_on_mr.nrrd")
    assert bones.shape == mr.shape  # voxels of 1 mm are all shown
    assert np.corrcoef(ct[bones > 0], mr[bones > 0].astype(float))[0, 1] < -0.9  # what is dense is dark


def test_patches_of_the_mr_have_the_places_of_those_of_the_ct(result, pair):
    folder, content = result
    table = rows(folder / "patches.csv")
    of_ct = {row["name"]: row for row in table if row["source"] == "ct"}
    of_mr = [row for row in table if row["source"] == "mr"]
    assert len(of_ct) + len(of_mr) == len(table)
    assert len(of_mr) == sum(content["mr"]["patches"].values()) > 20
    for row in of_mr:
        own = of_ct[row["name"]]
        place = [float(own[f"centre_lps_mm_{letter}"]) for letter in "lps"]
        there = [float(row[f"centre_mr_lps_mm_{letter}"]) for letter in "lps"]
        assert there == pytest.approx(pair.transforms[row["bone"]].TransformPoint(place), abs=1e-6)
        assert (row["hu_mean"], row["bv_tv"], row["estimator"]) == ("", "", "")
        assert row["depth_mm"] == own["depth_mm"]
    assert "pixels of 1 mm do not show trabeculae" in content["mr"]["not_measured"]["bv_tv"]
    regions = rows(folder / "regions.csv")
    assert {row["source"] for row in regions} == {"ct", "mr"}
    assert len([row for row in regions if row["source"] == "mr"]) == len(content["mr"]["regions"]) == 2 * 6 * 2


def test_the_page_says_how_well_each_bone_is_aligned_and_shows_it(result):
    folder, _ = result
    text = write_report(folder).read_text("utf-8")
    assert "doubtful: look at the outlines" in text
    assert text.count(">aligned<") == 2
    for title in ("MR with the outlines of the CT&#39;s bones", "Checkerboard of CT and MR", "Local agreement"):
        assert title in text
    assert "none: it was not asked for (--no-synthesis)" in text


def test_the_mr_lies_on_the_ct_in_a_scene(result, pair):
    available, reason = slicer_available()
    if not available:
        pytest.skip(reason)
    from JointQuantLib.scene.folders import Folders
    from JointQuantLib.scene.headless import headless_application
    from JointQuantLib.scene.knee_mr_nodes import add_mr_nodes
    from JointQuantLib.scene.knee_volumes import add_ct

    folder, _ = result
    known = read_knee(folder)
    scene = headless_application().scene
    nodes = add_mr_nodes(scene, known, add_ct(scene, known), Folders(scene, "knee"))
    assert nodes.mr.GetParentTransformNode() is nodes.transforms["knee"]
    assert nodes.synthetic is None
    assert nodes.checkerboard.GetImageData().GetScalarRange()[1] == 255
    place = [12.0, -7.0, 30.0]  # of the CT, in LPS
    there = pair.transforms["tibia"].TransformPoint(place)
    back = nodes.transforms["tibia"].GetMatrixTransformToParent().MultiplyPoint([-there[0], -there[1], there[2], 1.0])
    assert [-back[0], -back[1], back[2]] == pytest.approx(place, abs=1e-4)
    assert nodes.transforms["knee"].GetName() == "MR to CT, whole knee"


# ------------------------------------------------------------------------------------------------------- two knees


def fits(side: str):
    """A registration that takes one knee only."""

    def register(_ct, _labels, _mr, _synthetic, _progress, asked: str, _displaced):
        if asked != side:
            raise BadInput(f"the MR is of another knee than the {asked} one.")
        quality = SimpleNamespace(verdict="registered", agreement=0.8)
        return SimpleNamespace(bones={"femur": SimpleNamespace(quality=quality)})

    return register


def two_knees() -> list:
    labels = Volume(np.zeros((2, 2, 2), np.uint8), (1.0,) * 3)
    box = (slice(0, 2),) * 3
    return [SimpleNamespace(side=side, side_from="the fibula", labels=labels, box=box) for side in ("right", "left")]


def fitting(side: str | None, monkeypatch, register) -> str:
    monkeypatch.setattr(mr_examination, "register_knee", register)
    volume = Volume(np.zeros((2, 2, 2), np.int16), (1.0,) * 3)
    mr, request = KneeMr(volume, True, "mr.nrrd", side), KneeRequest(Path("ct.nrrd"), mr=Path("mr.nrrd"))
    ct = SimpleNamespace(volume=volume)
    knee, _ = mr_examination.fitting_knee(mr, ct, two_knees(), None, request, Progress("none"))
    return knee.side


@pytest.mark.parametrize("side", ["left", "right"])
def test_of_two_knees_the_mr_goes_to_the_one_that_it_fits(side, monkeypatch):
    assert fitting(None, monkeypatch, fits(side)) == side
    assert fitting(side, monkeypatch, fits(side)) == side


def test_an_mr_that_fits_no_knee_is_refused(monkeypatch):
    with pytest.raises(BadInput, match=r"mr.nrrd fits neither knee of the CT \(right knee: .* left knee: .*\)"):
        fitting(None, monkeypatch, fits("none"))
    with pytest.raises(BadInput, match=r"mr.nrrd: the MR is of another knee than the left one"):
        fitting("left", monkeypatch, fits("right"))


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--deform",), "--deform says how an MR is aligned: add --mr"),
        (("--no-synthesis",), "--no-synthesis says how an MR is aligned: add --mr"),
        (("--mr", "nowhere.nrrd"), "nowhere.nrrd does not exist"),
    ],
)
def test_what_does_not_fit_together_is_refused(pair, tmp_path, capfd, options, said):
    assert said in refused("knee", tmp_path, capfd, pair.folder / "ct.nrrd", *options)


def test_a_ct_given_as_mr_stops_the_job_and_leaves_nothing(pair, tmp_path, capfd):
    shutil.copy(pair.folder / "ct.nrrd", tmp_path.parent / "as_mr.nrrd")
    said = refused("knee", tmp_path, capfd, pair.folder / "ct.nrrd", "--mr", tmp_path.parent / "as_mr.nrrd")
    assert "as_mr.nrrd is a CT" in said


# ----------------------------------------------------------------------- what a result with a synthetic CT also shows


@pytest.fixture
def with_synthetic(result, tmp_path) -> Path:
    """The result as a job with a synthetic CT and finer voxels would have written it."""
    folder = Path(shutil.copytree(result[0], tmp_path / "result"))
    shutil.copy(folder / "ct_on_mr.nrrd", folder / "synthetic_ct.nrrd")
    random = np.random.default_rng(4)
    table = rows(folder / "patches.csv")
    ct = {row["name"]: float(row["bv_tv"]) for row in table if row["source"] == "ct" and row["bv_tv"]}
    for row in table:
        if row["source"] == "mr" and row["name"] in ct:
            row["bv_tv"] = str(ct[row["name"]] + 0.05 + random.normal(0, 0.01))
    write_rows(folder / "patches.csv", table)
    found = {
        "parameter": "bv_tv",
        "ct_estimator": "density",
        "mr_estimator": "apparent, dual reference",
        "patches": len(ct),
        "ct_mean": 0.25,
        "mr_mean": 0.3,
        "bias": -0.05,
        "bias_interval": [-0.052, -0.048],
        "limits": [-0.07, -0.03],
        "lower_limit_interval": [-0.072, -0.068],
        "upper_limit_interval": [-0.032, -0.028],
        "icc_2_1": 0.61,
        "icc_2_1_interval": [0.5, 0.7],
        "icc_3_1": 0.93,
        "icc_3_1_interval": [0.9, 0.95],
    }
    synthetic = {"file": "synthetic_ct.nrrd", "model": "trained on simulated images", "device": "cpu", "note": NOTE}

    def change(content: dict) -> None:
        content["mr"] |= {"synthetic_ct": synthetic, "why_no_synthetic_ct": None, "comparison": [found]}

    return changed(folder, change)


def test_the_page_tells_a_synthetic_ct_from_a_ct_and_shows_how_ct_and_mr_agree(with_synthetic):
    content = json.loads((with_synthetic / "result.json").read_text("utf-8"))
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(content)
    text = write_report(with_synthetic).read_text("utf-8")
    assert "Synthetic CT (made of the MR)" in text
    assert "by a network trained on simulated images; for alignment only; not measured" in text
    assert "0.61 (95 % interval 0.50 to 0.70)" in text
    assert "−0.050 (95 % interval −0.052 to −0.048)" in text
    plotted = sum(row["source"] == "mr" and row["bv_tv"] != "" for row in rows(with_synthetic / "patches.csv"))
    assert text.count("<circle cx=") == plotted > 20


def test_a_synthetic_ct_is_not_grey_in_a_scene(with_synthetic):
    available, reason = slicer_available()
    if not available:
        pytest.skip(reason)
    from JointQuantLib.scene.folders import Folders
    from JointQuantLib.scene.headless import headless_application
    from JointQuantLib.scene.knee_mr_nodes import add_mr_nodes
    from JointQuantLib.scene.knee_volumes import add_ct

    known, application = read_knee(with_synthetic), headless_application()
    scene = application.scene
    volume = add_mr_nodes(scene, known, add_ct(scene, known), Folders(scene, "knee")).synthetic
    assert volume.GetName() == "Synthetic CT (from MR, for alignment only; not measured)"
    assert "trained on simulated images" in volume.GetDescription()
    red, green, blue = volume.GetDisplayNode().GetColorNode().GetColorTransferFunction().GetColor(1.0)
    assert blue - green > 0.25
    assert red - green > 0.1


def test_the_registration_that_is_injected_here_is_asked_like_the_real_one(pair):
    real = inspect.signature(registration.register_knee).parameters
    assert list(real) == list(inspect.signature(registration_of(pair)).parameters)
