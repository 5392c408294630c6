"""Films that were exported as plain pictures: PNG, TIFF, BMP or JPEG, grey, 8 or 16 bit."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.stored_film import StoredFilm, fill_padding, refuse_unfit_size, robust_range

FORMATS = ("PNG", "TIFF", "BMP", "JPEG")

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_PNG_GREY = 0


def read_picture(path: Path, data: bytes) -> StoredFilm:
    """Read a grey picture; bone is taken to be bright, as a viewer shows it.

    Colour modes are accepted where all three channels are equal. Fully transparent pixels are padding.

    :raises BadInput: not readable, cut short, several pictures, true colour, a mask, too small, or one grey value.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                refuse_unfit_size(str(path), picture.height, picture.width)
                _refuse_several(path, picture)
                _refuse_deep_colour(path, picture, data)
                white_is_zero = _is_16_bit_white_is_zero(picture)
                picture.load()
                grey, padding = _grey(path, picture)
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(f"{path} is too large for a film: give one radiograph of a hand.") from error
    except Exception as error:  # Pillow's parsers raise almost anything on damaged bytes, SyntaxError included
        raise BadInput(f"{path} is damaged or cut short and cannot be read: export or copy the film again.") from error
    if white_is_zero:
        grey = 65535 - grey.astype(np.int32)
    pixels = fill_padding(str(path), grey, padding)
    return StoredFilm(pixels=pixels, display_range=robust_range(pixels))


def _grey(path: Path, picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey values [row, column], and where there are none."""
    mode = picture.mode
    if mode == "L" or mode.startswith("I;16"):
        return np.asarray(picture), None
    if mode == "I":  # 16 bit signed or 32 bit: the values tell which
        values = np.asarray(picture)
        if values.min() >= -(2**15) and values.max() < 2**16:
            return values, None
    if mode in ("LA", "P", "PA", "RGB", "RGBA"):
        colour = np.asarray(picture.convert("RGBA"))
        padding = colour[..., 3] == 0
        seen = colour[~padding]
        if (seen[:, 0] != seen[:, 1]).any() or (seen[:, 0] != seen[:, 2]).any():
            raise BadInput(f"{path} is a colour picture: save the radiograph as 8 or 16 bit grey.")
        return colour[..., 0], padding if padding.any() else None
    what = "has only black and white, as a mask has" if mode == "1" else f"has pixels of a kind not read here ({mode})"
    raise BadInput(f"{path} {what}: save the radiograph as 8 or 16 bit grey.")


def _refuse_several(path: Path, picture: Image.Image) -> None:
    count = getattr(picture, "n_frames", 1)
    if count > 1:
        raise BadInput(f"{path} holds {count} pictures: save the one radiograph as a file of its own.")


def _refuse_deep_colour(path: Path, picture: Image.Image, data: bytes) -> None:
    """Pillow cuts 16 bit colour, and 16 bit grey with transparency, down to 8 bit without a word: do not let it."""
    deep = False
    if picture.format == "PNG":
        bit_depth, colour_type = data[24], data[25]
        deep = bit_depth == 16 and colour_type != _PNG_GREY
    elif picture.format == "TIFF":
        bits = picture.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,))
        deep = len(bits) > 1 and max(bits) > 8
    if deep:
        raise BadInput(f"{path} has 16 bit colour or transparency: save the radiograph as plain 8 or 16 bit grey.")


def _is_16_bit_white_is_zero(picture: Image.Image) -> bool:
    """Pillow turns an 8 bit white-is-zero TIFF over by itself, but not one of 16 bit."""
    return (
        picture.format == "TIFF"
        and picture.mode.startswith("I")
        and picture.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    )
