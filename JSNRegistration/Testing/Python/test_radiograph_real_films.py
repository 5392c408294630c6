"""Real films, where they are at hand (see the fixture ``shared_data``)."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import SimpleITK as sitk

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.radiograph import check_same_hand, read_radiograph


@pytest.fixture(scope="module")
def hip(shared_data):
    return read_radiograph(shared_data / "cr-dicom" / "RG2_JLSL.dcm")


@pytest.fixture(scope="module")
def leg(shared_data):
    return read_radiograph(shared_data / "cr-dicom" / "RG3_J2KR.dcm")


def test_a_jpeg_ls_film_has_the_spacing_that_slicer_s_reader_overlooks(hip):
    assert hip.pixels.shape == (2140, 1760)
    assert hip.spacing_mm == pytest.approx(0.2)
    assert hip.spacing_source == "PixelSpacing (calibration not stated)"
    assert hip.date == date(1997, 3, 14)  # exposed; the study is dated 2004
    assert hip.side is None
    assert hip.display_range == (-1.0, 1022.0)


def test_a_jpeg_2000_monochrome1_film_has_bone_bright_and_no_spacing(leg):
    assert leg.pixels.shape == (1760, 1760)
    assert (leg.spacing_mm, leg.spacing_source) == (None, "unknown")
    assert (leg.date, leg.side) == (date(1992, 12, 25), "right")
    rows = slice(300, 900)
    air, calf, shin = (
        leg.pixels[rows, columns].mean() for columns in (slice(500, 600), slice(700, 740), slice(800, 900))
    )
    assert shin > calf + 100 > air + 200


def test_another_reader_gives_the_same_pixels(hip, leg):
    for film in (hip, leg):
        other = sitk.GetArrayFromImage(sitk.ReadImage(str(film.path)))[0]
        np.testing.assert_array_equal(film.pixels, other)


def test_two_people_s_films_are_not_compared(hip, leg):
    with pytest.raises(BadInput, match="different patients"):
        check_same_hand([hip, leg])


def test_exported_hand_films_are_read_as_they_are(shared_data):
    folder = shared_data / "hand-radiographs" / "adult-two-visits"
    films = [read_radiograph(path, spacing_mm=0.15) for path in sorted(folder.glob("*.png"))]
    assert [film.spacing_source for film in films] == ["user", "user"]
    for film in films:
        np.testing.assert_array_equal(film.pixels, sitk.GetArrayFromImage(sitk.ReadImage(str(film.path))))
    assert check_same_hand(films) == []
