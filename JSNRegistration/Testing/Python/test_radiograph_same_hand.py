"""Visits, sides and patients: what the tags say, and which films may be compared."""

from __future__ import annotations

from datetime import date

import pytest
from film_files import CR, SECONDARY_CAPTURE, a_film, dicom, write

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.radiograph import check_same_hand, read_radiograph

DATES = {
    "AcquisitionDate": "20110131",
    "AcquisitionDateTime": "20110201101500.000000",
    "ContentDate": "20110202",
    "SeriesDate": "20110203",
    "StudyDate": "20110204",
}


@pytest.fixture
def film(tmp_path):
    count = iter(range(100))

    def read(given_date=None, spacing_mm=None, **tags):
        number = next(count)
        pixels = a_film()
        pixels[0, 0] = number
        path = write(dicom(pixels, sop_class=tags.pop("sop_class", CR), **tags), tmp_path / f"visit{number}.dcm")
        return read_radiograph(path, spacing_mm=spacing_mm, date=given_date)

    return read


@pytest.mark.parametrize(
    ("sop_class", "order"),
    [
        (CR, ["AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate"]),
        (SECONDARY_CAPTURE, ["AcquisitionDate", "AcquisitionDateTime", "StudyDate", "SeriesDate", "ContentDate"]),
    ],
)
def test_the_date_is_that_of_the_exposure_as_near_as_the_tags_come(film, sop_class, order):
    for taken_away in range(len(order) + 1):
        left = order[taken_away:]
        expected = date(2011, int(DATES[left[0]][4:6]), int(DATES[left[0]][6:8])) if left else None
        assert film(sop_class=sop_class, **{key: DATES[key] for key in left}).date == expected


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_dates_that_are_none_are_passed_over(film):
    tags = {"AcquisitionDate": "00000000", "ContentDate": "18000101", "SeriesDate": "", "StudyDate": "1992.12.25"}
    assert film(**tags).date == date(1992, 12, 25)
    assert film(DateOfSecondaryCapture="20200101").date is None


def test_the_date_given_by_the_user_wins(film):
    assert film(given_date=date(2020, 2, 29), AcquisitionDate="20110131").date == date(2020, 2, 29)


@pytest.mark.parametrize(
    ("tags", "side"),
    [
        ({"ImageLaterality": "L"}, "left"),
        ({"Laterality": "R"}, "right"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "left"),
        ({"ImageLaterality": "", "Laterality": "R"}, "right"),
        ({"ImageLaterality": "B", "Laterality": "R"}, None),
        ({"ImageLaterality": "U"}, None),
        ({"SeriesDescription": "LEFT HAND PA", "BodyPartExamined": "HAND"}, None),
        ({}, None),
    ],
)
def test_the_side_is_what_the_laterality_tags_say_and_nothing_guessed(film, tags, side):
    assert film(**tags).side == side


def test_films_of_one_hand_pass_without_a_word(film):
    same = {"PatientID": "A", "Laterality": "L", "ImagerPixelSpacing": [0.15, 0.15]}
    visits = [film(AcquisitionDate=f"20{year}0131", **same) for year in (11, 12, 14)]
    assert check_same_hand(visits) == []


def test_films_of_different_patients_are_refused(film):
    visits = [film(PatientID="A"), film(), film(PatientID="B")]
    with pytest.raises(BadInput, match=r"visit0\.dcm and .*visit2\.dcm are of different patients"):
        check_same_hand(visits)


def test_films_of_different_sides_are_refused(film):
    visits = [film(Laterality="L"), film(), film(ImageLaterality="R")]
    with pytest.raises(BadInput, match=r"visit0\.dcm shows the left and .*visit2\.dcm the right side"):
        check_same_hand(visits)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("A", "Clinic"), ("A", "Clinic"), True),
        (("A", "Clinic"), ("A ", ""), True),
        (("A", "Clinic"), ("A", "Practice"), False),
        (("A", ""), ("B", ""), False),
        (("A", ""), ("", ""), True),
    ],
)
def test_the_issuer_of_an_identifier_counts_where_both_films_name_one(film, first, second, same):
    visits = [film(PatientID=number, IssuerOfPatientID=issuer) for number, issuer in (first, second)]
    if same:
        assert check_same_hand(visits) == []
    else:
        with pytest.raises(BadInput, match="different patients"):
            check_same_hand(visits)


def test_dates_out_of_order_are_a_warning_that_names_both(film):
    visits = [film(AcquisitionDate="20120101"), film(), film(AcquisitionDate="20110131")]
    (warning,) = check_same_hand(visits)
    assert "visit2.dcm is of 2011-01-31" in warning
    assert "after visit0.dcm of 2012-01-01" in warning


def test_one_file_given_twice_is_a_warning(film):
    visit = film()
    (warning,) = check_same_hand([visit, visit])
    assert warning.endswith("are the same film.")


def test_spacings_of_different_kinds_are_a_warning(film):
    at_detector = film(ImagerPixelSpacing=[0.15, 0.15])
    corrected = film(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor=1.05)
    corrected_otherwise = film(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor=1.04)
    assert "different sources" in check_same_hand([at_detector, corrected])[0]
    assert check_same_hand([corrected, corrected_otherwise]) == []


def test_the_warnings_of_a_film_come_along_with_its_name(film):
    doubtful = film(ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.1, 0.1])
    (warning,) = check_same_hand([doubtful])
    assert warning.startswith("visit0.dcm: its detector spacing is 2 times")
