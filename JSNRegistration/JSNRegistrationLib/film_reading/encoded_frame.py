"""What a compressed frame says of itself: JPEG, JPEG-LS and JPEG 2000 headers.

A decoder that is told another size than the stream has may write beyond its buffer or end the whole program, so the two
are compared before any decoder sees the stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_START_OF_IMAGE = b"\xff\xd8"
_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ, always the first two
_END_OF_IMAGE = b"\xff\xd9"
# SOF0 to SOF15 without DHT, JPG and DAC, which lie between them; SOF55 is JPEG-LS.
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN = 0xDA
# What may stand before a scan: tables (DHT, DAC, DQT, DRI, LSE of JPEG-LS), APP0 to APP15, a comment.
_SEGMENTS = _FRAME_MARKERS | {_START_OF_SCAN, 0xC4, 0xCC, 0xDB, 0xDD, 0xF8, *range(0xE0, 0xF0), 0xFE}
# Within a scan 0xFF is followed by 0x00 (by less than 0x80 in JPEG-LS), by a restart marker, or by a fill byte.
_MARKER_AFTER_SCAN = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")


@dataclass(frozen=True)
class FrameHeader:
    """Size, number of components and bits of a sample, as coded."""

    rows: int
    columns: int
    components: int
    precision: int


def frame_header(stream: bytes) -> FrameHeader:
    """Read the header of one compressed frame (ITU-T T.81 section B.2.2, T.87 section C.2.2, T.800 section A.5.1).

    :raises ValueError: no such stream, or a JPEG scan that breaks off; a JPEG 2000 decoder sees that for itself.
    """
    if stream.startswith(_START_OF_CODESTREAM):
        return _jpeg_2000_header(stream)
    if stream.startswith(_START_OF_IMAGE):
        return _jpeg_header(stream)
    raise ValueError("not a JPEG, JPEG-LS or JPEG 2000 stream")


def _jpeg_header(stream: bytes) -> FrameHeader:
    """Walk the segments to the scan: each must follow the last without a gap, and the scan must be whole.

    GDCM ends the program on a stream that breaks off between its segments or in its scan.
    """
    header = None
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker not in _SEGMENTS:
            break
        if marker in _FRAME_MARKERS:
            header = FrameHeader(
                precision=stream[at + 4],
                rows=int.from_bytes(stream[at + 5 : at + 7], "big"),
                columns=int.from_bytes(stream[at + 7 : at + 9], "big"),
                components=stream[at + 9],
            )
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            after_scan = _MARKER_AFTER_SCAN.search(stream, at)
            if header is None or after_scan is None or not after_scan.group().endswith(_END_OF_IMAGE):
                break
            return header
    raise ValueError("a JPEG stream whose parts do not follow each other")


def _jpeg_2000_header(stream: bytes) -> FrameHeader:
    if len(stream) < 43:
        raise ValueError("a JPEG 2000 stream without its size")
    right, bottom, left, top = (int.from_bytes(stream[at : at + 4], "big") for at in (8, 12, 16, 20))
    return FrameHeader(
        rows=bottom - top,
        columns=right - left,
        components=int.from_bytes(stream[40:42], "big"),
        precision=(stream[42] & 0x7F) + 1,
    )
