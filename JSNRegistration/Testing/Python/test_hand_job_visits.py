"""The whole job on several visits: films that agree with each other, dates, spacings, and films as DICOM."""

from __future__ import annotations

import numpy as np
import pytest
from film_files import CR, DX, dicom, write
from hand_jobs import (
    HAND_SPACING_MM,
    LARGEST_ERROR_MM,
    all_pairs,
    change_px,
    error_mm,
    hand,
    joint_of,
    pair_of,
    run_hand,
    write_hand,
    write_picture,
)

DATES = ("2019-01-01", "2020-01-01", "2022-01-01")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list:
    return write_hand(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def three(films, tmp_path_factory) -> dict:
    only = ["MCP4", "PIP3", "DIP2"]
    out = tmp_path_factory.mktemp("three") / "result"
    return run_hand(out, *films, "--spacing", HAND_SPACING_MM, "--dates", *DATES, "--only", *only)


def test_three_visits_give_three_pairs_that_agree_with_the_truth(three):
    assert len(all_pairs(three)) == 9
    for joint, pair in all_pairs(three):
        motions = hand().joint_motions(joint["name"], pair["from_visit"], pair["to_visit"])
        assert pair["verdict"] == "measured"
        assert abs(error_mm(pair, *motions, HAND_SPACING_MM)) < LARGEST_ERROR_MM, (joint["name"], pair["from_visit"])


def homogeneous(motion: list) -> np.ndarray:
    return np.vstack([motion, [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("bone", ["upper_motion", "lower_motion"])
def test_the_motions_of_three_visits_close(three, bone):
    for joint in three["joints"]:
        ab, ac, bc = (homogeneous(pair[bone]) for pair in joint["pairs"])
        middle = np.array([*joint["visits"][0]["position_px"], 1.0])
        assert np.abs((bc @ ab - ac) @ middle).max() < 1e-6, joint["name"]
        assert np.abs((bc @ ab - ac)[:, :2]).max() < 1e-9, joint["name"]


def test_the_plain_pairwise_motions_are_kept_beside_them_and_do_not_close(three):
    gaps = []
    for joint in three["joints"]:
        ab, ac, bc = (homogeneous(pair["pairwise"]["upper_motion"]) for pair in joint["pairs"])
        middle = np.array([*joint["visits"][0]["position_px"], 1.0])
        gaps.append(np.abs((bc @ ab - ac) @ middle).max())
        for pair in joint["pairs"]:
            alone = pair["pairwise"]
            change = change_px(alone["upper_motion"], alone["lower_motion"], pair["origin_px"], pair["axis"])
            assert alone["change_px"] == pytest.approx(change, abs=1e-9)
            assert alone["change_mm"] == pytest.approx(change * HAND_SPACING_MM, abs=1e-9)
    assert min(gaps) > 1e-5  # three independent measurements never close exactly
    assert max(gaps) < 0.2


def test_origin_and_axis_are_found_once_and_carried_to_the_other_visits(three):
    for joint in three["joints"]:
        ab, ac, _ = joint["pairs"]
        assert ab["origin_px"] == ac["origin_px"] == joint["visits"][0]["position_px"]
        point = np.array([*ab["origin_px"], 1.0])
        carried = 0.5 * (np.array(ac["upper_motion"]) + np.array(ac["lower_motion"])) @ point
        assert np.allclose(joint["visits"][2]["position_px"], carried, atol=1e-9)


def test_years_are_counted_between_the_dates(three):
    years = {(pair["from_visit"], pair["to_visit"]): pair["years"] for _, pair in all_pairs(three)}
    assert years == pytest.approx({(0, 1): 365 / 365.25, (0, 2): 1096 / 365.25, (1, 2): 731 / 365.25})


def test_dates_out_of_order_are_reported_and_give_no_change_per_year(films, tmp_path):
    out = tmp_path / "x"
    options = ["--spacing", HAND_SPACING_MM, "--dates", "2021-01-01", "2020-01-01", "--only", "MCP4"]
    result = run_hand(out, *films[:2], *options)
    assert any("out of order" in warning for warning in result["warnings"])
    pair = pair_of(result, "MCP4")
    assert pair["verdict"] == "measured"
    assert pair["years"] is pair["change_per_year_mm"] is pair["change_per_year_interval_mm"] is None


def test_a_film_against_itself_gives_zero_for_every_joint(films, tmp_path):
    result = run_hand(tmp_path / "x", films[0], films[0], "--spacing", HAND_SPACING_MM)
    assert len(result["joints"]) == 14
    for joint, pair in all_pairs(result):
        assert pair["verdict"] == "measured", joint["name"]
        assert f"{abs(pair['change_mm']):.3f}" == f"{abs(pair['tilt_deg']):.3f}" == "0.000", joint["name"]
        assert np.abs(pair["profile_mm"]).max() < 5e-4, joint["name"]
    assert any("same film" in warning for warning in result["warnings"])


def test_a_joint_that_one_film_does_not_show_is_still_measured_between_the_others(films, tmp_path):
    pixels = hand().films[1].copy()
    pixels[:130] = 20.0  # the tips of the longer fingers
    covered = write_picture(tmp_path / "covered.png", pixels)
    result = run_hand(tmp_path / "x", films[0], covered, films[2], "--spacing", HAND_SPACING_MM, "--only", "DIP3")
    seen = joint_of(result, "DIP3")["visits"]
    assert [visit["found"] for visit in seen] == [True, False, True]
    for a, b in ((0, 1), (1, 2)):
        pair = pair_of(result, "DIP3", a, b)
        assert pair["verdict"] == "not_measurable"
        assert "visit 2" in pair["reason"]
    pair = pair_of(result, "DIP3", 0, 2)
    assert pair["verdict"] == "measured"
    assert abs(error_mm(pair, *hand().joint_motions("DIP3", 0, 2), HAND_SPACING_MM)) < LARGEST_ERROR_MM


def test_films_of_different_spacing_are_measured_in_millimetres_of_the_first(films, tmp_path):
    """The second film is the same one with every pixel twice as large, as if scanned again at half the resolution."""
    pixels = hand().films[0][: 854 // 2 * 2, :600]
    half = pixels.reshape(pixels.shape[0] // 2, 2, 300, 2).mean(axis=(1, 3))
    second = write_picture(tmp_path / "half.png", half)
    spacing = ["--spacing", HAND_SPACING_MM, 2 * HAND_SPACING_MM]
    result = run_hand(tmp_path / "x", films[0], second, *spacing, "--only", "MCP2", "PIP3")
    assert [visit["spacing_mm"] for visit in result["visits"]] == [HAND_SPACING_MM, 2 * HAND_SPACING_MM]
    for joint, pair in all_pairs(result):
        assert abs(pair["change_mm"]) < 0.05, joint["name"]
        assert np.hypot(*np.array(pair["upper_motion"])[:, 0]) == pytest.approx(0.5, rel=0.01)
        assert pair["quality"]["magnification"] == pytest.approx(1.0, abs=0.01)


# --------------------------------------------------------------------------------------------------------------- DICOM


@pytest.fixture(scope="module")
def from_dicom(tmp_path_factory) -> dict:
    """A CR film, and a DX film with dark bones and other grey values; dates, side and spacing are in their tags."""
    folder = tmp_path_factory.mktemp("dicom")
    first, second = (film.astype(np.uint16) for film in hand().films[:2])
    of_both = {"PatientID": "A", "Laterality": "L"}
    spacing = [HAND_SPACING_MM, HAND_SPACING_MM]
    paths = [
        write(dicom(100 + 12 * first, PixelSpacing=spacing, AcquisitionDate="20200101", **of_both), folder / "cr.dcm"),
        write(
            dicom(
                4095 - 16 * second,
                sop_class=DX,
                PixelSpacing=spacing,
                AcquisitionDate="20210101",
                PhotometricInterpretation="MONOCHROME1",
                **of_both,
            ),
            folder / "dx.dcm",
        ),
    ]
    return run_hand(folder / "result", *paths, "--only", "MCP4", "PIP3")


def test_dicom_films_bring_their_spacing_date_and_side(from_dicom):
    assert [visit["spacing_mm"] for visit in from_dicom["visits"]] == [HAND_SPACING_MM] * 2
    assert all("PixelSpacing" in visit["spacing_source"] for visit in from_dicom["visits"])
    assert [visit["date"] for visit in from_dicom["visits"]] == ["2020-01-01", "2021-01-01"]
    assert {joint["side"] for joint in from_dicom["joints"]} == {"left"}
    assert {pair["profile_order"] for _, pair in all_pairs(from_dicom)} == {"radial to ulnar"}


def test_dicom_films_give_the_change_of_the_films_in_them(from_dicom):
    for joint, pair in all_pairs(from_dicom):
        assert pair["verdict"] == "measured"
        motions = hand().joint_motions(joint["name"], 0, 1)
        assert abs(error_mm(pair, *motions, HAND_SPACING_MM)) < LARGEST_ERROR_MM, joint["name"]
        assert pair["years"] == pytest.approx(366 / 365.25)


def test_one_film_without_spacing_leaves_the_change_in_pixels(tmp_path):
    first, second = (film.astype(np.uint16) * 16 for film in hand().films[:2])
    known = write(dicom(first, PixelSpacing=[HAND_SPACING_MM] * 2, sop_class=CR), tmp_path / "known.dcm")
    unknown = write(dicom(second, sop_class=CR), tmp_path / "unknown.dcm")
    result = run_hand(tmp_path / "x", known, unknown, "--only", "PIP3")
    seen, pair = joint_of(result, "PIP3")["visits"], pair_of(result, "PIP3")
    assert pair["change_mm"] is pair["width_mm"] is pair["interval_mm"] is None
    assert pair["change_px"] < -0.4
    assert seen[0]["width_mm"] is not None  # of the first film alone, which says its spacing
    assert seen[1]["width_mm"] is None
    assert any("spacing of a film is unknown" in warning for warning in result["warnings"])
