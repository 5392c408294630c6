"""One film: its pixels, its pixel spacing and where that spacing comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date as Date  # "date" is a field and a parameter here
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.dicom_film import read_dicom
from JSNRegistrationLib.film_reading.file_kind import READABLE, kind_of_file
from JSNRegistrationLib.film_reading.picture_film import read_picture
from JSNRegistrationLib.film_reading.pixel_spacing import choose_spacing

LARGEST_FILE = 1 << 30


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A film as it is measured.

    :param pixels: float32 [row, column]; modality values, never windowed; bone bright (MONOCHROME1 is turned over);
        padding as dark as the darkest real pixel.
    :param spacing_mm: distance between pixel centres, the same along rows and columns, in the plane that
        ``spacing_source`` says; None where unknown: then nothing may be given in mm.
    :param spacing_source: see :mod:`JSNRegistrationLib.film_reading.pixel_spacing`.
    :param path: the file as it was named by the caller.
    :param sha256: of the file, in hexadecimal.
    :param date: day of the exposure, None where unknown.
    :param side: "left", "right", or None where the file does not say.
    :param patient_key: for comparison only; made of digests, not shown and not to be written anywhere.
    :param display_range: grey values drawn black and white; for pictures only.
    :param warnings: what a reader of the result should know about this film; sentences without the file's name.
    """

    pixels: np.ndarray
    spacing_mm: float | None
    spacing_source: str
    path: Path
    sha256: str
    date: Date | None
    side: str | None
    patient_key: str | None = field(repr=False)
    display_range: tuple[float, float]
    warnings: tuple[str, ...] = ()


def read_radiograph(path: str | Path, spacing_mm: float | None = None, date: Date | None = None) -> Radiograph:
    """Read one film: DICOM (CR, DX, Secondary Capture), or a grey PNG, TIFF, BMP or JPEG, whatever the file is called.

    :param spacing_mm: pixel spacing in mm given by the user; wins over what the file says.
    :param date: date of the visit given by the user; wins over what the file says.
    :raises BadInput: the file cannot be used; one sentence that says why and what to do.
    """
    path = Path(path)
    data = _read_bytes(path)
    film = read_dicom(path, data) if kind_of_file(path, data) == "dicom" else read_picture(path, data)
    spacing = choose_spacing(film.spacing, spacing_mm, str(path))
    return Radiograph(
        pixels=film.pixels,
        spacing_mm=spacing.mm,
        spacing_source=spacing.source,
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        date=film.date if date is None else date,
        side=film.side,
        patient_key=film.patient_key,
        display_range=film.display_range,
        warnings=film.warnings + spacing.warnings,
    )


def check_same_hand(films: Sequence[Radiograph]) -> list[str]:
    """Check that films may be compared as visits of one hand.

    :param films: in the order of the visits.
    :returns: warnings: dates out of order, one file given twice, spacings of different kinds, and those of the films.
    :raises BadInput: the DICOM tags of two films name different patients or different sides.
    """
    for first, second in combinations(films, 2):
        if _different_patients(first.patient_key, second.patient_key):
            raise BadInput(
                f"{first.path} and {second.path} are of different patients by their Patient ID: "
                f"give films of one patient only."
            )
        if first.side and second.side and first.side != second.side:
            raise BadInput(
                f"{first.path} shows the {first.side} and {second.path} the {second.side} side by their Laterality: "
                f"give films of one hand only."
            )
    found = [f"{film.path.name}: {warning}." for film in films for warning in film.warnings]
    found += [
        f"{first.path.name} and {second.path.name} are the same film."
        for first, second in combinations(films, 2)
        if first.sha256 == second.sha256
    ]
    dated = [film for film in films if film.date is not None]
    found += [
        f"The dates are out of order: {later.path.name} is of {later.date}, "
        f"but comes after {earlier.path.name} of {earlier.date}."
        for earlier, later in pairwise(dated)
        if later.date < earlier.date
    ]
    kinds = sorted({_kind_of_spacing(film) for film in films})
    if len(kinds) > 1:
        found.append(
            f"The pixel spacings of the films come from different sources ({'; '.join(kinds)}), "
            f"so a difference in magnification may hide in the millimetres."
        )
    return found


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder: give the file of one film.")
        if path.stat().st_size > LARGEST_FILE:
            raise BadInput(f"{path} is too large to be one film: {READABLE}.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the name of the film.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise BadInput(f"{path} cannot be opened: check that you may read it and that the disk is well.") from error


def _different_patients(first: str | None, second: str | None) -> bool:
    """By Patient ID; the issuers count only where both films name one."""
    if first is None or second is None:
        return False
    (patient, issuer), (other_patient, other_issuer) = first.split("/"), second.split("/")
    return patient != other_patient or bool(issuer and other_issuer and issuer != other_issuer)


def _kind_of_spacing(film: Radiograph) -> str:
    return film.spacing_source.partition(" / ERMF")[0] + (" / ERMF" if " / ERMF" in film.spacing_source else "")
