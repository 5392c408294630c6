"""What the head of a volume file says and its reader does not: if a voxel size is given, in mm, and other files."""

from __future__ import annotations

import gzip
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from JointQuantLib.errors import BadInput

HEAD_BYTES = 1 << 16
CHUNK_BYTES = 1 << 22
NRRD, META, TIFF, OTHER = "NRRD", "MetaImage", "TIFF", "other"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NIFTI_IN_TWO_FILES = ("0", "2", "5")  # header and voxels apart
GZIP_START = b"\x1f\x8b"
TIFF_X_RESOLUTION, TIFF_Y_RESOLUTION, TIFF_DESCRIPTION = 282, 283, 270
MM_OF_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1e3, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3}
MM_OF_UNIT |= {"millimeter": 1.0, "millimeters": 1.0, "micrometer": 1e-3, "nm": 1e-6}
SAY_VOXEL_SIZE = "save it as NRRD, NIfTI or MHA with its voxel size in mm"


def check_voxel_size_is_given(path: Path) -> None:
    """Refuse a NRRD or MetaImage without a voxel size, or with one that is not in mm: their reader would take 1 mm.

    :raises BadInput: saying which of the two it is.
    """
    kind, fields = _kind(path), _fields(path)
    if kind == NRRD:
        sizes = re.findall(r"[^\s(),]+", fields.get("spacings", fields.get("space directions", "")))
        if not sizes or any(size.lower() == "nan" for size in sizes):
            raise BadInput(f"{path} does not give its voxel size: {SAY_VOXEL_SIZE}.")
        units = set(re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", ""))))
        if units - {"mm", "millimeter", "millimeters", ""}:
            raise BadInput(f"{path} gives its voxel size in {', '.join(sorted(units))}: {SAY_VOXEL_SIZE}.")
    elif kind == META and not {"elementspacing", "elementsize"} & set(fields):
        raise BadInput(f"{path} does not give its voxel size: {SAY_VOXEL_SIZE}.")


def is_tiff(path: Path) -> bool:
    return _kind(path) == TIFF


def tiff_stack(path: Path) -> tuple[int, tuple[float, float, float]]:
    """The number of pages of a TIFF stack and its voxel size (x, y, z) in mm, as ImageJ notes it.

    A plain TIFF has no place for the distance of its pages.

    :raises BadInput: the voxel size is not there, or the file is cut short.
    """
    try:
        with Image.open(path) as stack:
            pages = stack.n_frames
            stack.seek(0)
            tags = dict(stack.tag_v2)
    except Exception as error:  # Pillow's parsers raise almost anything on damaged bytes
        raise BadInput(f"{path} is cut short or damaged: save it again as NRRD or MHA.") from error
    notes = dict(re.findall(r"^(\w+)=(.*)$", str(tags.get(TIFF_DESCRIPTION, "")), re.MULTILINE))
    unit = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), notes.get("unit", "").strip())
    unit = unit.replace("\N{LATIN CAPITAL LETTER A WITH CIRCUMFLEX}", "").lower()  # of UTF-8 that was read as Latin-1
    try:
        mm = MM_OF_UNIT[unit]
        plane = [mm / float(tags[tag]) for tag in (TIFF_X_RESOLUTION, TIFF_Y_RESOLUTION)]
        spacing = (*plane, mm * float(notes["spacing"]))
    except (KeyError, ValueError, ZeroDivisionError):
        raise BadInput(f"{path} is a TIFF that does not give its voxel size: {SAY_VOXEL_SIZE}.") from None
    if not all(math.isfinite(edge) and edge > 0 for edge in spacing):
        raise BadInput(f"{path} has a voxel size that is not greater than 0: {SAY_VOXEL_SIZE}.")
    return pages, spacing


def check_nifti(path: Path, header: Mapping[str, str], voxels: int) -> None:
    """Refuse a NIfTI file that is cut short, or without a voxel size: its reader would fill it with 0 and 1 mm.

    :param header: of the file, as SimpleITK names its fields.
    :param voxels: how many it says to have.
    :raises BadInput: saying which of the two it is.
    """
    if header.get("nifti_type") in NIFTI_IN_TWO_FILES:
        return
    try:
        start, length = _unpacked(path)
    except (OSError, EOFError):
        start, length = b"", 0
    if length < float(header.get("vox_offset", 0)) + voxels * int(header["bitpix"]) // 8:
        raise BadInput(f"{path} is cut short or damaged: copy or save it again.")
    if not all(math.isfinite(edge) and edge != 0 for edge in _nifti_voxel(start)):
        raise BadInput(f"{path} has a voxel size that is not greater than 0: {SAY_VOXEL_SIZE}.")


def files_of(path: Path) -> tuple[Path, ...]:
    """A volume file, and the one beside it that holds its voxels where the file is only their header."""
    fields = _fields(path)
    named = fields.get("data file") or fields.get("datafile") or fields.get("elementdatafile") or ""
    beside = path.parent / named
    return (path, beside) if named and beside.is_file() and beside != path else (path,)


def _kind(path: Path) -> str:
    start = _head(path)
    if start.startswith(b"NRRD"):
        return NRRD
    if start[:4] in TIFF_STARTS:
        return TIFF
    return META if b"ElementDataFile" in start else OTHER


def _fields(path: Path) -> dict[str, str]:
    """The fields of a text header by their names in lower case; empty for other kinds of files."""
    kind = _kind(path)
    if kind not in (NRRD, META):
        return {}
    text = _head(path).decode("latin-1").replace("\r\n", "\n")
    if kind == NRRD:
        return {
            name.strip().lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in text.partition("\n\n")[0].split("\n"))
            if colon and not name.startswith("#")
        }
    head = text[: text.find("\n", text.index("ElementDataFile"))]
    lines = (line.partition("=") for line in head.split("\n"))
    return {name.strip().lower(): value.strip() for name, equals, value in lines if equals}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _nifti_voxel(start: bytes) -> tuple[float, ...]:
    """Edges of a voxel by the first bytes of a NIfTI-1 or NIfTI-2 file, in the file's own unit."""
    order = "<" if start[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    form, at = ("3f", 80) if start[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") else ("3d", 112)
    return struct.unpack_from(order + form, start, at)


def _unpacked(path: Path) -> tuple[bytes, int]:
    """The first bytes and the length of a file, unpacked where it is packed; EOFError or OSError for one cut short."""
    start = _head(path)
    if not start.startswith(GZIP_START):
        return start, path.stat().st_size
    with gzip.open(path) as file:
        start = file.read(HEAD_BYTES)
        length = len(start)
        while chunk := file.read(CHUNK_BYTES):
            length += len(chunk)
    return start, length
