"""What kind of file this is, by its first bytes: names and endings are not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from JointQuantLib.errors import BadInput

READABLE = "give a radiograph as DICOM, PNG, TIFF, BMP or JPEG"

_PICTURES = (
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"II+\0",  # BigTIFF
    b"MM\0+",
    b"BM",
    b"\xff\xd8\xff",
)
_OTHER_FILES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GIF8", "a GIF picture"),
    (b"NRRD", "an NRRD volume"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
)
_VALUE_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OW PN SH SL SS ST TM UI UL UN US UT".split()
)
# Without its preamble a data set opens with group 0002 or 0008, whose first elements are short.
_LONGEST_FIRST_VALUE = 1024


def kind_of_file(path: Path, data: bytes) -> Literal["dicom", "picture"]:
    """Tell a DICOM file from a picture.

    :param path: names the file in messages.
    :param data: the whole file, or at least its first 132 bytes.
    :raises BadInput: the file is empty, or neither of the two.
    """
    if not data:
        raise BadInput(f"{path} is empty: {READABLE}.")
    if data[128:132] == b"DICM":
        return "dicom"
    if data.startswith(_PICTURES):
        return "picture"
    for magic, what in _OTHER_FILES:
        if data.startswith(magic):
            raise BadInput(f"{path} is {what}, not a film: {READABLE}.")
    if _is_dicom_without_preamble(data):
        return "dicom"
    raise BadInput(f"{path} is not an image in any format known here: {READABLE}.")


def _is_dicom_without_preamble(data: bytes) -> bool:
    """Old archives leave out the 128-byte preamble: look for a first element that makes sense."""
    head = data[:8]
    if len(head) < 8:
        return False
    if head[:2] in (b"\x02\x00", b"\x08\x00"):
        implicit_length = int.from_bytes(head[4:8], "little")
        return head[4:6] in _VALUE_REPRESENTATIONS or implicit_length <= min(len(data), _LONGEST_FIRST_VALUE)
    return head[:2] in (b"\x00\x02", b"\x00\x08") and head[4:6] in _VALUE_REPRESENTATIONS
