"""A radiograph in a DICOM file: which files are one, and the tags that a measurement needs."""

from __future__ import annotations

import hashlib
import io
import warnings
from datetime import date, datetime
from pathlib import Path

import pydicom
from pydicom import Dataset, uid

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.dicom_pixels import DECODERS, grey_values, stored_values
from JSNRegistrationLib.film_reading.pixel_spacing import Pair, SpacingTags
from JSNRegistrationLib.film_reading.stored_film import StoredFilm, refuse_unfit_size

SECONDARY_CAPTURES = (
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.2",  # the multi-frame greyscale kinds, accepted with a single frame
    "1.2.840.10008.5.1.4.1.1.7.3",
)
RADIOGRAPHS = (
    "1.2.840.10008.5.1.4.1.1.1",  # CR
    "1.2.840.10008.5.1.4.1.1.1.1",  # DX
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",  # mammography: its detectors are used for hands
    "1.2.840.10008.5.1.4.1.1.1.2.1",
)
# RG: film that was digitised. OT and SC: what secondary captures of radiographs are often given.
MODALITIES = ("CR", "DX", "RG", "DR", "MG", "SC", "OT")
# A modality is shown in a message only when it is one of the standard's words: the tag could hold anything.
_OTHER_MODALITIES = ("CT", "MR", "US", "NM", "PT", "XA", "RF", "SR", "PR", "KO", "DOC", "SEG", "ECG", "XC", "IO", "PX")

# The day on which the film was exposed. A secondary capture has a Content Date of the day when it was captured, which
# may be years later, so there the study's date goes before it.
DATES = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate")
DATES_OF_SECONDARY_CAPTURE = ("AcquisitionDate", "AcquisitionDateTime", "StudyDate", "SeriesDate", "ContentDate")
DISCOVERY_OF_X_RAYS = date(1895, 11, 8)

_NOT_A_FILM = "give the original CR, DX or Secondary Capture image"


def read_dicom(path: Path, data: bytes) -> StoredFilm:
    """Read one DICOM radiograph.

    No text of the file but standard words and numbers gets into a message: names and identifiers stay where they are.

    :param path: names the file in messages.
    :param data: the whole file.
    :raises BadInput: damaged or cut short, no image, not a radiograph, several frames, colour, an unknown compression.
    """
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")  # pydicom's warnings and log quote values; what matters is checked here
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            dataset.decode()
        except Exception as error:  # any parser error: struct, zlib, Unicode, recursion ...
            raise _damaged(path) from error
        try:
            return _film(path, dataset)
        except BadInput:
            raise
        except Exception as error:  # a value that does not convert, a decoder that gives up
            raise _damaged(path) from error


def _film(path: Path, dataset: Dataset) -> StoredFilm:
    _refuse_what_is_no_radiograph(path, dataset)
    _refuse_other_pixels(path, dataset)
    _settle_transfer_syntax(path, dataset)
    stored = stored_values(dataset)
    pixels, display_range = grey_values(dataset, stored, str(path))
    secondary = dataset.get("SOPClassUID") in SECONDARY_CAPTURES
    return StoredFilm(
        pixels=pixels,
        display_range=display_range,
        spacing=_spacing_tags(dataset, secondary),
        date=_date(dataset, DATES_OF_SECONDARY_CAPTURE if secondary else DATES),
        side=_side(dataset),
        patient_key=_patient_key(dataset),
        warnings=_doubts(dataset),
    )


def _damaged(path: Path) -> BadInput:
    return BadInput(f"{path} is a DICOM file that is damaged or cut short: export or copy the film again.")


def _refuse_what_is_no_radiograph(path: Path, dataset: Dataset) -> None:
    sop_class = dataset.get("SOPClassUID")
    modality = str(dataset.get("Modality") or "").strip()
    if sop_class is None and not modality:
        raise _damaged(path)
    known_class = sop_class is None or sop_class in RADIOGRAPHS or sop_class in SECONDARY_CAPTURES
    if not known_class or modality not in (*MODALITIES, ""):
        said = f" (modality {modality})" if modality in (*MODALITIES, *_OTHER_MODALITIES) else ""
        raise BadInput(f"{path} is DICOM, but not a radiograph{said}: {_NOT_A_FILM}.")
    if "PixelData" not in dataset or not dataset.PixelData:
        raise BadInput(f"{path} is a DICOM file without an image, or was cut short before it: {_NOT_A_FILM}.")


def _refuse_other_pixels(path: Path, dataset: Dataset) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise BadInput(f"{path} holds {frames} frames: give a film with one image.")
    photometric = str(dataset.PhotometricInterpretation)
    if dataset.SamplesPerPixel != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadInput(f"{path} is a colour image, not a grey radiograph: {_NOT_A_FILM}.")
    allocated, stored, high = dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit
    if allocated not in (8, 16) or not 2 <= stored <= allocated or high != stored - 1:
        raise BadInput(
            f"{path} stores its pixels in a way not read here ({stored} of {allocated} bits, high bit {high}): "
            f"export it again with 8 or 16 bits allocated."
        )
    refuse_unfit_size(str(path), dataset.Rows, dataset.Columns)


def _settle_transfer_syntax(path: Path, dataset: Dataset) -> None:
    """Make sure that how the pixels are encoded is known, also where the file meta information is missing."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None and not dataset["PixelData"].is_undefined_length:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = syntax = (
            uid.ImplicitVRLittleEndian
            if implicit
            else uid.ExplicitVRLittleEndian
            if little
            else uid.ExplicitVRBigEndian
        )
    if syntax not in DECODERS:
        name = "in a way it does not name" if syntax is None else f"as {uid.UID(syntax).name}"
        raise BadInput(f"{path} is compressed {name}, which is not read here: export it uncompressed.")


def _spacing_tags(dataset: Dataset, secondary: bool) -> SpacingTags:
    factor = dataset.get("EstimatedRadiographicMagnificationFactor")
    return SpacingTags(
        pixel_spacing=_pair(dataset, "PixelSpacing"),
        calibration_type=str(dataset.get("PixelSpacingCalibrationType") or "").strip(),
        imager_pixel_spacing=_pair(dataset, "ImagerPixelSpacing"),
        nominal_scanned_pixel_spacing=_pair(dataset, "NominalScannedPixelSpacing"),
        magnification_factor=None if factor in (None, "") else float(factor),
        aspect_ratio=_pair(dataset, "PixelAspectRatio"),
        secondary_capture=secondary,
    )


def _pair(dataset: Dataset, keyword: str) -> Pair | None:
    """Two numbers, None where the tag is absent or empty, not-a-number where it cannot be read."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "" or (not isinstance(value, str) and len(value) == 0):
            return None
        row, column = (float(number) for number in value)
    except (ValueError, TypeError):
        return float("nan"), float("nan")
    return row, column


def _date(dataset: Dataset, keywords: tuple[str, ...]) -> date | None:
    """The first date that is one, and not older than X-rays."""
    for keyword in keywords:
        digits = str(dataset.get(keyword) or "").replace(".", "")[:8]  # before 1993: 1992.12.25
        try:
            day = datetime.strptime(digits, "%Y%m%d").date()
        except ValueError:
            continue
        if day >= DISCOVERY_OF_X_RAYS:
            return day
    return None


def _side(dataset: Dataset) -> str | None:
    """Image Laterality, else the series' Laterality, where it says left or right; nothing is guessed from text."""
    for keyword in ("ImageLaterality", "Laterality"):
        word = str(dataset.get(keyword) or "").strip().upper()
        if word:
            return {"L": "left", "R": "right"}.get(word)
    return None


def _patient_key(dataset: Dataset) -> str | None:
    """Patient ID and its issuer as two short digests, so that the key can be compared but not read."""
    patient = str(dataset.get("PatientID") or "").strip()
    if not patient:
        return None
    issuer = str(dataset.get("IssuerOfPatientID") or "").strip()
    return f"{_digest(patient)}/{_digest(issuer) if issuer else ''}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _doubts(dataset: Dataset) -> tuple[str, ...]:
    # +1: higher stored values are more X-rays, which is less bone; MONOCHROME2 shows higher values brighter.
    more_is_brighter = (dataset.PhotometricInterpretation == "MONOCHROME2") == (dataset.get("RescaleSlope", 1) > 0)
    sign = dataset.get("PixelIntensityRelationshipSign")
    if sign is not None and (sign == 1) == more_is_brighter and not dataset.get("ModalityLUTSequence"):
        return ("its Pixel Intensity Relationship Sign says that bone is dark in it; look at the film",)
    return ()
