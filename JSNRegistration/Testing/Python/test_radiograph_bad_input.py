"""What is not a film is refused: one sentence that names the file, and no patient."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from film_files import CR, SECONDARY_CAPTURE, a_film, as_bytes, dicom, write
from pydicom import uid

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.radiograph import check_same_hand, read_radiograph

CT = uid.CTImageStorage


def refusal(path) -> str:
    with pytest.raises(BadInput) as caught:
        read_radiograph(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ": " in sentence.removeprefix(str(path))  # what is wrong: what to do
    return sentence


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7\n" + b"x" * 400, "is a PDF document"),
        (b"PK\x03\x04" + b"x" * 400, "is a zip archive"),
        (gzip.compress(b"x" * 400, mtime=0), "is a gzip archive"),
        (b"GIF89a" + b"x" * 400, "is a GIF picture"),
        (b"NRRD0005\n" + b"x" * 400, "is an NRRD volume"),
        (b"Name,Value\n" * 50, "is not an image in any format known here"),
        (b"\x00" * 500, "is not an image in any format known here"),
        (b"\x08\x00", "is not an image in any format known here"),
        (b"BM" + b"x" * 400, "is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 400, "is damaged or cut short"),
        (b"\xff\xd8\xff\xe0" + b"x" * 400, "is damaged or cut short"),
        (b"\x00" * 128 + b"DICM", "is a DICOM file that is damaged or cut short"),
        (b"\x00" * 128 + b"DICM" + b"x" * 400, "is a DICOM file that is damaged or cut short"),
    ],
)
def test_a_file_that_is_no_film_is_named_for_what_it_is(content, what, tmp_path):
    path = tmp_path / "film.dcm"
    path.write_bytes(content)
    assert what in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere.dcm")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"Modality": "CT", "SOPClassUID": CT}, "not a radiograph (modality CT)"),
        ({"SOPClassUID": CT}, "not a radiograph"),
        ({"Modality": "CT", "SOPClassUID": SECONDARY_CAPTURE}, "not a radiograph (modality CT)"),
        ({"Modality": "XA"}, "not a radiograph (modality XA)"),
        (
            {"Modality": "SR", "SOPClassUID": uid.BasicTextSRStorage, "PixelData": None},
            "not a radiograph (modality SR)",
        ),
        ({"PixelData": None}, "without an image"),
        ({"PixelData": b""}, "without an image"),
        ({"NumberOfFrames": 3}, "holds 3 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "colour image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour image"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 of 32 bits"),
        ({"HighBit": 15}, "high bit 15"),
        ({"BitsStored": 17, "HighBit": 16}, "17 of 16 bits"),
        ({"Rows": 40}, "too small"),
        ({"Rows": 20000, "Columns": 20000}, "too large"),
        ({"Rows": None}, "damaged or cut short"),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "one grey value"),
    ],
)
def test_dicom_that_is_no_single_grey_radiograph_is_refused(tags, what, tmp_path):
    assert what in refusal(write(dicom(a_film(), **tags), tmp_path / "film.dcm"))


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "OT", ""])
def test_a_secondary_capture_of_a_radiograph_may_have_any_of_their_modalities(modality, tmp_path):
    path = write(dicom(a_film(), sop_class=SECONDARY_CAPTURE, Modality=modality), tmp_path / "film")
    assert read_radiograph(path).pixels.shape == a_film().shape


def test_one_frame_said_to_be_one_is_accepted(tmp_path):
    assert read_radiograph(write(dicom(a_film(), NumberOfFrames=1), tmp_path / "film")).pixels.shape == a_film().shape


@pytest.mark.parametrize("padding", [{}, {"PixelPaddingValue": 0}])
def test_an_image_of_one_grey_value_shows_nothing(padding, tmp_path):
    pixels = np.full((80, 80), 700, np.uint16)
    pixels[:20] = 0 if padding else 700
    assert "one grey value" in refusal(write(dicom(pixels, **padding), tmp_path / "film"))


SECRET = "Zyxwv"


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"Modality": SECRET.upper()},
        {"Modality": f"{SECRET} is no code, and too long"},
        {"PhotometricInterpretation": SECRET.upper()},
        {"PatientID": SECRET * 20},
        {"NumberOfFrames": 2},
        {"PixelData": None},
        {"SOPClassUID": CT},
        {"PixelSpacingCalibrationType": SECRET.upper(), "PixelSpacing": [0.1, 0.1]},
        {"PixelSpacing": [0, 0]},
        {"AcquisitionDate": SECRET},
        {"ImageLaterality": SECRET.upper()},
    ],
)
@pytest.mark.filterwarnings("ignore:.*value for VR", "ignore:The value length")
def test_no_name_or_identifier_of_a_patient_comes_out(broken, tmp_path, recwarn, caplog, capfd):
    names = {
        "PatientName": f"{SECRET}^Anna",
        "PatientID": f"{SECRET}-4711",
        "IssuerOfPatientID": SECRET,
        "OtherPatientIDs": SECRET,
        "PatientComments": SECRET,
        "ImageComments": SECRET,
        "InstitutionName": SECRET,
        "AccessionNumber": SECRET,
    }
    film_path = write(dicom(a_film(), **{**names, **broken}), tmp_path / "film")
    other_path = write(dicom(a_film(), PatientID="somebody else"), tmp_path / "other")
    recwarn.clear()  # what pydicom said while the files were made
    caplog.clear()
    said = []
    try:
        film = read_radiograph(film_path)
        other = read_radiograph(other_path)
        said += [repr(film), str(film.patient_key), *film.warnings]
        check_same_hand([film, other])
    except BadInput as error:
        said.append(str(error))
    printed = capfd.readouterr()
    said += [str(warning.message) for warning in recwarn] + [printed.out, printed.err, caplog.text]
    assert SECRET.lower() not in " ".join(said).lower()
    assert said
    assert not caplog.records


def test_a_value_that_cannot_be_converted_is_damage_and_not_a_traceback(tmp_path):
    data = as_bytes(dicom(a_film(), PixelSpacing=[0.125, 0.125], WindowCenter="512.75"))
    for good, bad in ((b"512.75", b"NO NUM"), (b"0.125\\0.125", b"0.125 0.125")):
        assert data.count(good) == 1
        path = tmp_path / "film"
        path.write_bytes(data.replace(good, bad))
        assert re.search("damaged|Pixel Spacing of nan", refusal(path))


def test_dicom_that_does_not_say_what_it_is_is_refused(tmp_path):
    dataset = dicom(a_film())
    dataset.file_meta.MediaStorageSOPClassUID = CR
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    del dataset.SOPClassUID, dataset.Modality
    assert "damaged or cut short" in refusal(write(dataset, tmp_path / "film"))


def test_the_sop_class_alone_is_enough(tmp_path):
    path = write(dicom(a_film(), Modality=None, SOPClassUID=CR), tmp_path / "film")
    assert read_radiograph(path).pixels.shape == a_film().shape
