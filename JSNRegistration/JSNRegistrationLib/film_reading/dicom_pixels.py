"""From the stored pixels of a DICOM radiograph to grey values: decoding, modality LUT, padding, window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder

from JSNRegistrationLib.film_reading.encoded_frame import frame_header
from JSNRegistrationLib.film_reading.jpeg12 import decode_jpeg_12bit
from JSNRegistrationLib.film_reading.stored_film import DisplayRange, fill_padding, robust_range

# One decoder for each syntax, whatever else is installed: JPEG decoders differ in the last grey level, and a number
# must not change with the machine. GDCM is BSD licensed, its wheel python-gdcm Apache-2.0; Pillow is MIT-CMU.
_BY_GDCM = (
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
)
DECODERS: dict[str, str] = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.DeflatedExplicitVRLittleEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",  # 8 bit samples; for 12 see jpeg12
    **dict.fromkeys(_BY_GDCM, "gdcm"),
}

ModalityTransform = Callable[[np.ndarray], np.ndarray]


def stored_values(dataset: Dataset) -> np.ndarray:
    """Decode the one frame of a grey image; integers [row, column], unused bits cleared, signed where the file says so.

    Raises whatever pydicom or a decoder raises on damaged data: the caller names the file.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = DECODERS[syntax]
    if plugin in ("gdcm", "pillow"):  # pydicom's own RLE decoder checks what it is given
        stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
        header = frame_header(stream)
        if (header.rows, header.columns, header.components) != (dataset.Rows, dataset.Columns, 1):
            raise ValueError("the compressed frame has another size than the file says")
        if header.precision > dataset.BitsAllocated:
            raise ValueError("the compressed frame has more bits than the file says")
        if syntax == uid.JPEGExtended12Bit and header.precision > 8:
            return decode_jpeg_12bit(stream, dataset.Rows, dataset.Columns)
    values, _ = get_decoder(syntax).as_array(dataset, decoding_plugin=plugin)
    return values


def grey_values(dataset: Dataset, stored: np.ndarray, film: str) -> tuple[np.ndarray, DisplayRange]:
    """Apply the modality transform, turn MONOCHROME1 over, fill padding, and read the window for drawing.

    MONOCHROME1 is turned over within the range that the *stored bits* can take, mapped by the modality transform, never
    within the range of the data: so two films of one machine are turned over about the same value.

    :returns: float32 [row, column], bone bright; and the display range, from the window or VOI LUT, else percentiles.
    :raises BadInput: all pixels have one value.
    """
    transform = _modality_transform(dataset)
    padding = _padding(dataset, stored)
    pixels = transform(stored)
    window = _window(dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        possible = transform(_possible_values(dataset))
        turned_about = possible.min() + possible.max()
        pixels = turned_about - pixels
        if window is not None:
            window = (float(turned_about - window[1]), float(turned_about - window[0]))
    pixels = fill_padding(film, pixels, padding)
    if window is None or not window[0] < pixels.max() or not window[1] > pixels.min():
        window = robust_range(pixels)
    return pixels, window


def _possible_values(dataset: Dataset) -> np.ndarray:
    count = 1 << dataset.BitsStored
    return np.arange(count) - (count // 2 if dataset.PixelRepresentation else 0)


def _modality_transform(dataset: Dataset) -> ModalityTransform:
    """Stored values to modality values (PS3.3 section C.11.1): the LUT where there is one, else slope and intercept."""
    if dataset.get("ModalityLUTSequence"):
        first, table = _lookup_table(dataset, dataset.ModalityLUTSequence[0])
        return lambda stored: table[np.clip(stored.astype(np.int64) - first, 0, len(table) - 1)].astype(np.float64)
    slope = dataset.get("RescaleSlope")
    intercept = dataset.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    return lambda stored: stored * slope + intercept


def _lookup_table(dataset: Dataset, item: Dataset) -> tuple[int, np.ndarray]:
    """First mapped value and entries of a LUT. Entries may come as a list of numbers, 16 bit words, or packed bytes."""
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = count or 1 << 16
    if dataset.PixelRepresentation and first >= 1 << 15:  # a signed first value that was read as unsigned
        first -= 1 << 16
    entries = item.LUTData
    if isinstance(entries, bytes):
        little = dataset.file_meta.TransferSyntaxUID.is_little_endian
        packed = bits <= 8 and len(entries) < 2 * count
        entries = np.frombuffer(entries, dtype=np.uint8 if packed else ("<u2" if little else ">u2"))
    table = np.atleast_1d(np.asarray(entries)).astype(np.uint16)
    if len(table) < count:
        raise ValueError("the lookup table is shorter than it says")
    return first, table[:count]


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Where Pixel Padding Value, or the range up to Pixel Padding Range Limit, says that there is no film."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    padding = (stored >= low) & (stored <= high)
    return padding if padding.any() else None


def _window(dataset: Dataset) -> DisplayRange | None:
    """The first window, or the first VOI LUT, as the modality values drawn black and white (PS3.3 section C.11.2)."""
    center, width = (_first_number(dataset.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None:
        exact = dataset.get("VOILUTFunction", "LINEAR") in ("LINEAR_EXACT", "SIGMOID")
        low, high = (center - width / 2, center + width / 2) if exact else (center - width / 2, center + width / 2 - 1)
        return (low, high) if low < high else None
    if dataset.get("VOILUTSequence"):
        first, table = _lookup_table(dataset, dataset.VOILUTSequence[0])
        rising = np.maximum.accumulate(table.astype(np.float64))
        black, white = np.searchsorted(rising, rising[0] + (rising[-1] - rising[0]) * np.array((0.01, 0.99)))
        return (float(first + black), float(first + white)) if black < white else None
    return None


def _first_number(value: object) -> float | None:
    if value is None or value == "":
        return None
    number = float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    return number if np.isfinite(number) else None
