"""JPEG Extended (Process 4) with 12 bit samples, which pydicom hands to no decoder whose licence allows shipping.

GDCM brings a 12 bit build of the Independent JPEG Group's library, but pydicom's GDCM plug-in refuses to use it.
The codec itself, asked directly and told the sample depth, decodes correctly.
"""

from __future__ import annotations

import gdcm
import numpy as np

_PIXEL_DATA = (0x7FE0, 0x0010)


def decode_jpeg_12bit(stream: bytes, rows: int, columns: int) -> np.ndarray:
    """Decode one grey JPEG stream with 12 bit samples.

    :returns: uint16 [row, column].
    :raises ValueError: the stream cannot be decoded, is cut short, or has another size.
    """
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    encoded = gdcm.DataElement(gdcm.Tag(*_PIXEL_DATA))
    encoded.SetValue(fragments.__ref__())

    codec = gdcm.JPEGCodec()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((columns, rows, 1))
    # 12 bits *allocated* chooses the 12 bit build at once; samples still come out in 16 bit words.
    codec.SetPixelFormat(gdcm.PixelFormat(1, 12, 12, 11, 0))
    monochrome = gdcm.PhotometricInterpretation.MONOCHROME2
    codec.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(monochrome))
    codec.SetPlanarConfiguration(0)
    codec.SetNeedByteSwap(False)
    codec.SetNeedOverlayCleanup(False)
    decoded = gdcm.DataElement(gdcm.Tag(*_PIXEL_DATA))
    words = decoded.GetByteValue() if codec.Decode(encoded, decoded) else None
    # SWIG gives the bytes as text; this is how to have them back.
    samples = b"" if words is None else words.GetBuffer().encode("utf-8", "surrogateescape")
    if len(samples) != 2 * rows * columns:
        raise ValueError("not a 12 bit JPEG stream of the stated size")
    return np.frombuffer(samples, dtype="<u2").reshape(rows, columns)
