"""What registered knees are measured by is what it says: the truth moves with the MR, and errors are those put in."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

BENCHMARKS = Path(__file__).parent / "benchmarks"
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.fixture(autouse=True)
def _benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def a_motion(degrees=(20.0, -10.0, 5.0), shift=(4.0, -3.0, 12.0)):
    """A rigid motion [4, 4] about a place far from the origin."""
    from knee_registration_truth import turned_about

    turn = Rotation.from_euler("xyz", degrees, degrees=True)
    return turned_about(turn, np.array([80.0, -20.0, 60.0]), np.array(shift))


def line(pair, method, errors, verdict=None, **more):
    """What is kept of a pair with one bone."""
    bone = {"errors_mm": errors} | ({"verdict": verdict} if verdict else {})
    return {"kind": "true", "pair": pair, "method": method, "mr_profile": "PD", "seen": ["femur"], "seconds": 1.0} | {
        "bones": {"femur": bone}
    } | more  # fmt: skip


def test_a_moved_volume_shows_the_same_voxels_where_the_motion_takes_them():
    from knee_registration_truth import carried, moved

    volume = Volume(np.zeros((4, 5, 6)), (3.0, 0.5, 0.4), (10.0, 20.0, -30.0), SAGITTAL)
    motion = a_motion()
    index = np.array([[0, 0, 0], [3, 4, 5], [1, 0, 2]])
    assert np.allclose(to_lps(index, moved(volume, motion)), carried(to_lps(index, volume), motion))


def test_the_error_of_the_true_motion_is_none_and_of_a_shifted_one_the_shift():
    from knee_registration_truth import KneeTruth

    places = np.random.default_rng(1).normal(size=(50, 3)) * 20
    start = a_motion(shift=(0.0, 0.0, 30.0))
    truth = KneeTruth({"femur": places}, {"femur": a_motion()}).after(start)
    shifted = np.eye(4)
    shifted[:3, 3] = (0.0, 3.0, 4.0)
    assert truth.errors_mm("femur", start @ a_motion()).max() < 1e-9
    assert truth.errors_mm("femur", shifted @ start @ a_motion()) == pytest.approx(np.full(50, 5.0))


def test_start_errors_have_all_sizes_up_to_30_mm_and_30_degrees():
    from knee_registration_truth import size_of, start_error

    rng = np.random.default_rng(2)
    about = np.array([50.0, -10.0, 7.0])
    mm, deg = np.array([size_of(start_error(rng, about), about) for _ in range(800)]).T
    assert max(mm.max(), deg.max()) <= 30
    assert np.histogram(mm, 3, (0, 30))[0] == pytest.approx(800 / 3, rel=0.2)
    assert np.histogram(deg, 3, (0, 30))[0] == pytest.approx(800 / 3, rel=0.2)


def test_any_rigid_transform_is_read_as_the_motion_it_is():
    from knee_registration_truth import carried, motion_of

    transform = sitk.Euler3DTransform((5.0, 6.0, 7.0), 0.3, -0.2, 0.1, (8.0, -9.0, 10.0))
    places = np.array([[0.0, 0.0, 0.0], [30.0, -40.0, 50.0]])
    expected = [transform.TransformPoint(place) for place in places.tolist()]
    assert np.allclose(carried(places, motion_of(transform)), expected)


def test_a_mirrored_mr_is_reversed_from_left_to_right_alone():
    from knee_registration_truth import mirrored

    array = np.arange(24).reshape(2, 3, 4)
    volume = Volume(array, (3.0, 0.5, 0.4), (0.0, 0.0, 0.0), SAGITTAL)
    assert np.array_equal(mirrored(volume).array, array[::-1])
    upright = replace(volume, direction_lps=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    assert np.array_equal(mirrored(upright).array, array[:, :, ::-1])


def test_placesunder_the_patella_face_the_femur_and_lie_within_ten_millimetres():
    from knee_registration_truth import under_the_patella

    k, j, i = np.indices((40, 60, 40))
    labels = np.zeros(k.shape, np.uint8)
    labels[np.hypot(np.hypot(k - 20, j - 42), i - 20) < 14] = 1  # a femur of 14 mm behind
    labels[(np.abs(k - 20) < 12) & (np.abs(i - 20) < 12) & (j > 2) & (j < 22)] = 3
    found = under_the_patella(Volume(labels, (1.0, 1.0, 1.0)))
    assert len(found) > 100
    assert (labels[tuple(found.T)] == 3).all()
    assert found[:, 1].min() >= 11


def test_elastix_and_simpleitk_see_no_bone_that_is_not_there():
    from knee_registration_rivals import bone_parts

    labels = np.zeros((40, 40, 40), np.uint8)
    labels[10:30, 15:25, 12:28] = 2
    grid = Volume(labels, (1.0, 1.0, 1.0), (5.0, 6.0, 7.0))
    (bone, part, mask), *others = bone_parts(sitk.Cast(sitk.Image(40, 40, 40, sitk.sitkUInt8), sitk.sitkFloat32), grid)
    assert bone == "tibia"
    assert not others
    inside = sitk.GetArrayFromImage(mask)
    assert inside.shape == part.GetSize()[::-1]
    assert inside.sum() > np.count_nonzero(labels)


def test_the_table_counts_what_is_wrong_and_not_flagged():
    from knee_registration_tables import accuracy

    lines = [
        line("a", "ours", [0.1, 0.3], "registered", way="MR alone"),
        line("b", "ours", [2.5, 2.6], "doubtful", way="MR alone"),
        line("c", "ours", [3.0, 1.0], "registered", way="MR alone"),
        line("d", "ours", [], refused="another knee") | {"bones": {}},
    ]
    aim, row, everything = accuracy(lines, ["ours"])
    assert aim["method"] == "aim"
    assert (row["bones"], row["bones > 2 mm"], row["not flagged and > 2 mm"]) == (4, 2, 1)
    assert (row["bones flagged, %"], row["median, mm"], row["worst place, mm"]) == ("50.0", "1.75", "3.00")
    assert everything["bones"] == 4


def test_the_table_of_wrong_pairs_tells_refused_from_flagged():
    from knee_registration_tables import wrong

    def pair(kind, *verdicts, **more):
        bones = {str(number): {"verdict": verdict} for number, verdict in enumerate(verdicts)}
        return {"kind": kind, "method": "ours", "bones": bones, "way": "synthetic CT"} | more

    rows = wrong(
        [
            pair("another patient", "mismatch", "doubtful", way="MR alone"),
            pair("another patient", "mismatch", "registered", way="MR alone"),
            pair("another patient", refused="of another knee"),
        ]
    )
    assert [list(row.values())[2:] for row in rows] == [[3, 1, 1, 1, 1]]


def test_figures_of_a_synthetic_ct_are_those_of_its_error():
    from knee_synthesis import figures, inside, near

    true = np.full((12, 60, 60), -1000.0, np.float32)
    true[:, 8:52, 8:52] = 50.0
    true[:, 56:58, :] = 100.0  # a table
    grid = Volume(true, (2.0, 1.0, 1.0))
    body = inside(grid, np.ones(true.shape, bool))
    assert not body[:, 55:].any()
    assert body[:, 12:48, 12:48].all()
    bones = np.zeros(true.shape, np.uint8)
    bones[:, 25:35, 25:35] = 1
    bone = near(Volume(bones, grid.spacing_mm))
    synthetic = true + np.where(bone, 100.0, 0.0).astype(np.float32)
    found = figures(synthetic, true, body, bone)
    share = bone[body].mean()
    assert found["MAE of bone, HU"] == pytest.approx(100)
    assert found["MAE, HU"] == pytest.approx(100 * share, rel=1e-3)
    assert found["PSNR, dB"] == pytest.approx(10 * np.log10(3000**2 / (100**2 * share)), abs=0.01)
    assert figures(true + 1e-3, true, body, bone)["SSIM"] == pytest.approx(1)


def test_a_ct_made_of_an_mr_lies_where_the_known_motion_says():
    from knee_mr_real import made_ct
    from knee_registration_truth import carried

    mr = Volume(np.zeros((20, 60, 60), np.float32), (2.0, 0.6, 0.6), (15.0, -40.0, 30.0), SAGITTAL)
    mr.array[8:12, 25:35, 20:32] = 30000.0  # beyond the noise, cut at the highest HU
    motion = a_motion()
    ct = made_ct(mr, motion, np.random.default_rng(3))
    bright = to_lps(np.argwhere(ct.array > 1500), ct).mean(axis=0)
    middle = to_lps(np.array([9.5, 29.5, 25.5]), mr)
    assert carried(bright[None], motion)[0] == pytest.approx(middle, abs=0.2)
