"""Pixel spacing follows the DICOM rules (PS3.3 section 10.7.1), and says which rule it was."""

from __future__ import annotations

import math

import pytest
from film_files import CR, DX, SECONDARY_CAPTURE, a_film, dicom, write
from hypothesis import given
from hypothesis import strategies as st

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.pixel_spacing import SpacingTags, choose_spacing
from JSNRegistrationLib.radiograph import read_radiograph

maybe_spacing = st.none() | st.floats(0.02, 1.0).map(lambda mm: (mm, mm))


@given(
    user=st.none() | st.floats(0.02, 1.0),
    pixel=maybe_spacing,
    imager=maybe_spacing,
    scanned=maybe_spacing,
    equal=st.booleans(),
    calibration=st.sampled_from(["", "GEOMETRY", "FIDUCIAL", "SOMETHING ELSE"]),
    factor=st.none() | st.floats(1.0, 1.5),
    secondary=st.booleans(),
)
def test_every_combination_of_tags_follows_the_rule_table(
    user, pixel, imager, scanned, equal, calibration, factor, secondary
):
    detector = (scanned or imager) if secondary else (imager or scanned)
    if equal and detector is not None:
        pixel = detector
    tags = SpacingTags(pixel, calibration, imager, scanned, factor, None, secondary)
    chosen = choose_spacing(tags, user, "film")

    known_type = calibration in ("GEOMETRY", "FIDUCIAL")
    differs = pixel is not None and detector is not None and abs(pixel[0] / detector[0] - 1) > 1e-3
    if user is not None:
        assert (chosen.mm, chosen.source) == (user, "user")
    elif pixel is None and detector is None:
        assert (chosen.mm, chosen.source) == (None, "unknown")
    elif differs or (detector is None and known_type):
        assert chosen.mm == pixel[0]
        assert chosen.source == f"PixelSpacing ({calibration if known_type else 'calibrated'})"
    else:
        at_detector = pixel if detector is None else detector
        assert math.isclose(chosen.mm, at_detector[0] / (factor or 1.0), rel_tol=2e-3)
        assert chosen.source.endswith(f" / ERMF {factor:.6g}") == (factor is not None) if factor else True
        assert ("ERMF" in chosen.source) == (factor is not None)
        if detector is None:
            assert chosen.source.startswith("PixelSpacing (calibration not stated)")
        else:
            from_scan = detector is scanned and (secondary or imager is None)
            assert chosen.source.startswith("NominalScannedPixelSpacing" if from_scan else "ImagerPixelSpacing")


@pytest.mark.parametrize(
    ("sop_class", "tags", "spacing", "source"),
    [
        # What the reader of ITK and Slicer makes of these is in the comment.
        (CR, {"PixelSpacing": [0.15, 0.15]}, 0.15, "PixelSpacing (calibration not stated)"),  # 1.0
        (DX, {"ImagerPixelSpacing": [0.143, 0.143]}, 0.143, "ImagerPixelSpacing"),
        (
            DX,
            {
                "ImagerPixelSpacing": [0.143, 0.143],
                "PixelSpacing": [0.13, 0.13],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            0.13,
            "PixelSpacing (FIDUCIAL)",
        ),  # 0.143
        (
            DX,
            {"ImagerPixelSpacing": [0.21, 0.21], "EstimatedRadiographicMagnificationFactor": 1.05},
            0.2,
            "ImagerPixelSpacing / ERMF 1.05",
        ),  # 0.21
        (
            DX,
            {
                "ImagerPixelSpacing": [0.143, 0.143],
                "PixelSpacing": [0.13, 0.13],
                "PixelSpacingCalibrationType": "GEOMETRY",
                "EstimatedRadiographicMagnificationFactor": 1.1,
            },
            0.13,
            "PixelSpacing (GEOMETRY)",
        ),
        (SECONDARY_CAPTURE, {"NominalScannedPixelSpacing": [0.1, 0.1]}, 0.1, "NominalScannedPixelSpacing"),  # 1.0
        (SECONDARY_CAPTURE, {"PixelSpacing": [0.1, 0.1]}, 0.1, "PixelSpacing (calibration not stated)"),
        (SECONDARY_CAPTURE, {"ImagerPixelSpacing": [0.1, 0.1]}, 0.1, "ImagerPixelSpacing"),  # 1.0
        (CR, {"PixelSpacing": None}, None, "unknown"),
        (CR, {"ImagerPixelSpacing": ""}, None, "unknown"),
        (DX, {"DistanceSourceToDetector": 1100, "DistanceSourceToPatient": 1000}, None, "unknown"),
        (
            DX,
            {
                "ImagerPixelSpacing": [0.143, 0.143],
                "DistanceSourceToDetector": 1100,
                "DistanceSourceToPatient": 1000,
            },
            0.143,
            "ImagerPixelSpacing",
        ),
    ],
)
def test_the_tags_of_a_file_reach_the_rules(sop_class, tags, spacing, source, tmp_path):
    dataset = dicom(a_film(), sop_class=sop_class, **{key: value for key, value in tags.items() if value is not None})
    film = read_radiograph(write(dataset, tmp_path / "film.dcm"))
    assert film.spacing_mm == (None if spacing is None else pytest.approx(spacing))
    assert film.spacing_source == source


def test_the_spacing_of_the_user_wins_over_every_tag(tmp_path):
    path = write(dicom(a_film(), PixelSpacing=[0.15, 0.15], ImagerPixelSpacing=[0.2, 0.2]), tmp_path / "film")
    film = read_radiograph(path, spacing_mm=0.175)
    assert (film.spacing_mm, film.spacing_source) == (0.175, "user")


def test_the_spacing_of_the_user_mends_a_broken_tag(tmp_path):
    path = write(dicom(a_film(), PixelSpacing=[0, 0]), tmp_path / "film")
    assert read_radiograph(path, spacing_mm=0.15).spacing_mm == 0.15


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
@pytest.mark.parametrize(
    "value", [[0, 0], [-0.1, -0.1], [0.009, 0.009], [2.01, 2.01], [0.1, 0], [0.1], [0.1, 0.1, 0.1]]
)
def test_a_spacing_that_cannot_be_is_refused_with_the_remedy(keyword, value, tmp_path):
    path = write(dicom(a_film(), **{keyword: value}), tmp_path / "film.dcm")
    with pytest.raises(BadInput, match=r"film\.dcm states a .* --spacing"):
        read_radiograph(path)


@pytest.mark.parametrize("value", [0.0, -0.1, 0.005, 3.0, math.nan, math.inf])
def test_a_spacing_of_the_user_that_cannot_be_is_refused(value, tmp_path):
    path = write(dicom(a_film()), tmp_path / "film.dcm")
    with pytest.raises(BadInput, match=r"given for .*film\.dcm is not possible"):
        read_radiograph(path, spacing_mm=value)


@pytest.mark.parametrize("factor", [0, -1, 0.9, 2.5, 105])
def test_a_magnification_that_cannot_be_is_refused_only_where_it_would_be_used(factor, tmp_path):
    tags = {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": factor}
    path = write(dicom(a_film(), **tags), tmp_path / "film")
    with pytest.raises(BadInput, match="magnification factor"):
        read_radiograph(path)
    calibrated = write(dicom(a_film(), PixelSpacing=[0.19, 0.19], **tags), tmp_path / "calibrated")
    assert read_radiograph(calibrated).spacing_mm == 0.19


@pytest.mark.parametrize("given_mm", [None, 0.15])
@pytest.mark.parametrize(
    "tags", [{"PixelSpacing": [0.15, 0.16]}, {"ImagerPixelSpacing": [0.2, 0.1]}, {"PixelAspectRatio": [4, 3]}]
)
def test_pixels_that_are_not_square_are_refused_even_with_a_spacing_from_the_user(tags, given_mm, tmp_path):
    path = write(dicom(a_film(), **tags), tmp_path / "film")
    with pytest.raises(BadInput, match="not square"):
        read_radiograph(path, spacing_mm=given_mm)


def test_pixels_square_to_a_thousandth_are_square(tmp_path):
    path = write(dicom(a_film(), PixelSpacing=[0.15, 0.15012], PixelAspectRatio=[1, 1]), tmp_path / "film")
    assert read_radiograph(path).spacing_mm == pytest.approx(0.15006)


@pytest.mark.parametrize(("pixel", "doubted"), [(0.2, False), (0.18, False), (0.1, True), (0.3, True)])
def test_an_unlikely_magnification_between_the_two_spacings_is_a_warning(pixel, doubted, tmp_path):
    dataset = dicom(a_film(), ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[pixel, pixel])
    film = read_radiograph(write(dataset, tmp_path / "film"))
    assert film.spacing_mm == pixel
    assert bool(film.warnings) == doubted
