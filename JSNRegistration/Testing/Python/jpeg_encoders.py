"""Two small JPEG encoders for tests: streams of 12 bit samples as scanners write them, which no library here makes.

Sequential DCT (Process 4) and lossless with first-order prediction (Process 14, selection value 1), one grey component,
one scan, flat Huffman codes. ITU-T T.81, Annexes F and H.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

_ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda cell: (sum(cell), cell[0] if sum(cell) % 2 else cell[1]),
)
_CATEGORIES = list(range(17))
_CATEGORY_BITS = 5
_RUNS = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 15)]
_RUN_BITS = 8


def encode_jpeg_12bit(image: np.ndarray) -> bytes:
    """JPEG Extended, 12 bit, all quantisation steps 1: decodes to within rounding.

    :param image: values 0..4095 [row, column], sides multiples of 8.
    """
    rows, columns = image.shape
    bits = _Bits()
    last_dc = 0
    for top in range(0, rows, 8):
        for left in range(0, columns, 8):
            block = image[top : top + 8, left : left + 8].astype(float) - 2048
            coefficients = np.rint(dctn(block, norm="ortho")).astype(int)
            dc, *ac = (int(coefficients[cell]) for cell in _ZIGZAG)
            _write_number(bits, dc - last_dc, _CATEGORIES, _CATEGORY_BITS)
            last_dc = dc
            _write_ac(bits, ac)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, bytes([0]) + bytes([1]) * 64),
            _segment(0xC1, bytes([12]) + _size(rows, columns) + bytes([1, 1, 0x11, 0])),
            _huffman_table(0x00, _CATEGORIES[:16], _CATEGORY_BITS),
            _huffman_table(0x10, _RUNS, _RUN_BITS),
            _segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            bits.flush(),
            b"\xff\xd9",
        )
    )


def encode_jpeg_lossless(image: np.ndarray, precision: int) -> bytes:
    """JPEG Lossless, first-order prediction, with samples of ``precision`` bits.

    :param image: values 0 .. 2**precision - 1 [row, column].
    """
    rows, columns = image.shape
    values = image.astype(int)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    bits = _Bits()
    for difference in (values - predicted).ravel():
        _write_number(bits, int(difference), _CATEGORIES, _CATEGORY_BITS)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xC3, bytes([precision]) + _size(rows, columns) + bytes([1, 1, 0x11, 0])),
            _huffman_table(0x00, _CATEGORIES, _CATEGORY_BITS),
            _segment(0xDA, bytes([1, 1, 0x00, 1, 0, 0])),
            bits.flush(),
            b"\xff\xd9",
        )
    )


def _write_ac(bits: _Bits, ac: list[int]) -> None:
    run = 0
    for value in ac:
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits.write(_RUNS.index(0xF0), _RUN_BITS)
            run -= 16
        size = abs(value).bit_length()
        bits.write(_RUNS.index(run << 4 | size), _RUN_BITS)
        bits.write(value if value > 0 else value + (1 << size) - 1, size)
        run = 0
    if run:
        bits.write(_RUNS.index(0x00), _RUN_BITS)


def _write_number(bits: _Bits, number: int, symbols: list[int], code_bits: int) -> None:
    size = abs(number).bit_length()
    bits.write(symbols.index(size), code_bits)
    bits.write(number if number > 0 else number + (1 << size) - 1, size)


def _size(rows: int, columns: int) -> bytes:
    return rows.to_bytes(2, "big") + columns.to_bytes(2, "big")


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _huffman_table(destination: int, symbols: list[int], code_bits: int) -> bytes:
    lengths = bytes(len(symbols) if length == code_bits else 0 for length in range(1, 17))
    return _segment(0xC4, bytes([destination]) + lengths + bytes(symbols))


class _Bits:
    """A bit string, stuffed as JPEG wants it."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def write(self, value: int, count: int) -> None:
        if count:
            self._text.append(format(value, f"0{count}b"))

    def flush(self) -> bytes:
        text = "".join(self._text)
        text += "1" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
