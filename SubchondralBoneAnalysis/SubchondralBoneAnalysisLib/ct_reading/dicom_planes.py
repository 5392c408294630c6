"""The planes that DICOM files hold, one of a CT image or many of an enhanced one, by their headers alone."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset

MAGIC_AT, MAGIC = 128, b"DICM"
# Old archives leave out the preamble: their first element is of group 0002 or 0008, little endian.
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
KERNEL = re.compile(r"[\w+/. \-]{1,16}")


@dataclass(frozen=True)
class Source:
    """What the planes of one series have in common. No name or text of a patient is kept, only digests to compare."""

    series: str
    study: str
    patient: str
    modality: str
    number: int | None
    kernel: str
    kind: tuple[str, ...]
    side: str | None


@dataclass(frozen=True)
class Plane:
    """One plane of pixels and where it lies.

    :param frame: its number in a file of many frames, from 0; None where the file is this plane.
    :param size: rows and columns.
    :param pixel_mm: distance of rows (along j) and of columns (along i).
    :param axes: unit vectors of i and of j in LPS.
    :param position: centre of its first pixel in LPS; None where the file does not say.
    :param rescale: slope and intercept, from stored values to HU.
    :param padding: lowest and highest stored value that stand for no measurement; None if there are none.
    """

    source: Source
    file: Path
    frame: int | None
    instance: str
    number: int | None
    grey: bool
    size: tuple[int, int]
    pixel_mm: tuple[float, float] | None
    axes: tuple[tuple[float, ...], tuple[float, ...]] | None
    position: tuple[float, ...] | None
    thickness_mm: float | None
    rescale: tuple[float, float]
    padding: tuple[float, float] | None


def is_dicom(path: Path) -> bool:
    """Whether a file opens as DICOM does; its name is not believed."""
    try:
        with path.open("rb") as file:
            head = file.read(MAGIC_AT + len(MAGIC))
    except OSError:
        return False
    if head[MAGIC_AT:] == MAGIC:
        return True
    return head[:2] in FIRST_GROUPS and head[4:6].isalpha() and head[4:6].isupper()


def planes_in(folder: Path) -> list[Plane]:
    """All planes of the DICOM files in a folder and the folders in it; files that are damaged or no images are left."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path))
    return [plane for file in files for plane in planes_of(file)]


def planes_of(file: Path) -> list[Plane]:
    """The planes of one DICOM file; empty where it is damaged, or has no image."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")  # they quote values; what matters is checked by who uses the planes
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            return list(_planes(header, file)) if "Rows" in header else []
        except Exception:  # any parser error: struct, zlib, a value that does not convert
            return []


def _planes(header: Dataset, file: Path) -> Iterator[Plane]:
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        yield _plane(header, [header], file, None)
        return
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for index, frame in enumerate(frames):
        # A value stands in one of the sequences of this frame, or of all frames, or at the top of the file.
        groups = [item for group in (frame, shared[0]) for element in group if element.VR == "SQ" for item in element]
        yield _plane(header, [*groups, header], file, index)


def _plane(header: Dataset, places: list[Dataset], file: Path, frame: int | None) -> Plane:
    def value(keyword: str) -> object:
        return next((place[keyword].value for place in places if place.get(keyword) not in (None, "")), None)

    axes = _numbers(value("ImageOrientationPatient"), 6)
    thickness = _numbers(value("SliceThickness"), 1)
    number = _whole(header.get("InstanceNumber"))
    return Plane(
        source=_source(header, value),
        file=file,
        frame=frame,
        instance=f"{header.get('SOPInstanceUID', file)} {'' if frame is None else frame}",
        number=number if frame is None else frame,
        grey=header.get("SamplesPerPixel", 1) == 1,
        size=(int(header.Rows), int(header.Columns)),
        pixel_mm=_numbers(value("PixelSpacing"), 2),
        axes=None if axes is None else (_unit(axes[:3]), _unit(axes[3:])),
        position=_numbers(value("ImagePositionPatient"), 3),
        thickness_mm=thickness[0] if thickness else None,
        rescale=(float(value("RescaleSlope") or 1), float(value("RescaleIntercept") or 0)),
        padding=_padding(header),
    )


def _source(header: Dataset, value: object) -> Source:
    kernel = value("ConvolutionKernel")
    kernel = str(kernel if isinstance(kernel, str | None) else kernel[0]).strip()
    kind = value("FrameType") or value("ImageType") or ()
    side = str(value("FrameLaterality") or value("ImageLaterality") or value("Laterality") or "").strip().upper()
    return Source(
        series=str(header.get("SeriesInstanceUID", "")),
        study=_digest(header.get("StudyInstanceUID", "")),
        patient=_digest(header.get("PatientID", "")),
        modality=str(header.get("Modality") or "").strip().upper(),
        number=_whole(header.get("SeriesNumber")),
        kernel=kernel if kernel != "None" and KERNEL.fullmatch(kernel) else "",
        kind=tuple(str(word).strip().upper() for word in ([kind] if isinstance(kind, str) else kind)),
        side={"L": "left", "R": "right"}.get(side),
    )


def _padding(header: Dataset) -> tuple[float, float] | None:
    """The range of stored values between Pixel Padding Value and its Range Limit, which may be above or below it."""
    first = header.get("PixelPaddingValue")
    if first is None or first == "":
        return None
    limit = header.get("PixelPaddingRangeLimit")
    signed = header.get("PixelRepresentation") == 1
    ends = [
        int(end) - (1 << 16) * (signed and int(end) > 0x7FFF)  # written as an unsigned number by many
        for end in (first, first if limit in (None, "") else limit)
    ]
    return float(min(ends)), float(max(ends))


def _numbers(value: object, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers; None where they are not there."""
    if value is None or (not isinstance(value, str | float | int) and len(value) != count):
        return None
    numbers = tuple(float(part) for part in ([value] if count == 1 else value))
    return numbers if all(math.isfinite(number) for number in numbers) else None


def _unit(vector: tuple[float, ...]) -> tuple[float, ...]:
    length = math.hypot(*vector)
    return tuple(part / length for part in vector)


def _whole(value: object) -> int | None:
    return None if value in (None, "") else int(value)


def _digest(text: object) -> str:
    return hashlib.sha256(str(text).strip().encode()).hexdigest()[:16]
