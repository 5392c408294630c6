"""Plain pictures: grey in any wrapping is read exactly, everything else is refused in one sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from film_files import a_film
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.radiograph import read_radiograph

GREY8 = a_film(bits=8)
GREY16 = a_film(bits=16)


def saved(path, image, kind, **options):
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, format=kind, **options)
    return path


def png_chunks(width, height, bit_depth, colour_type, raw):
    """A PNG of a kind that Pillow does not write."""
    chunks = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return chunks


@pytest.mark.parametrize(
    ("kind", "grey"), [("PNG", GREY8), ("PNG", GREY16), ("TIFF", GREY8), ("TIFF", GREY16), ("BMP", GREY8)]
)
def test_grey_pictures_are_read_exactly_whatever_the_file_is_called(kind, grey, tmp_path):
    film = read_radiograph(saved(tmp_path / "film.dat", grey, kind))
    np.testing.assert_array_equal(film.pixels, grey)
    assert film.pixels.dtype == np.float32
    assert (film.spacing_mm, film.spacing_source) == (None, "unknown")
    assert (film.date, film.side, film.patient_key) == (None, None, None)


@settings(max_examples=20)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]), st.tuples(st.integers(64, 80), st.integers(64, 80)), unique=False
    ).filter(lambda image: image.min() < image.max()),
    st.sampled_from(["PNG", "TIFF"]),
)
def test_every_grey_image_survives_the_file(tmp_path_factory, image, kind):
    path = saved(tmp_path_factory.getbasetemp() / "any", image, kind)
    np.testing.assert_array_equal(read_radiograph(path).pixels, image)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_is_read(compression, tmp_path):
    path = saved(tmp_path / "film", GREY16, "TIFF", compression=compression)
    np.testing.assert_array_equal(read_radiograph(path).pixels, GREY16)


def test_a_jpeg_is_read_to_a_few_grey_levels(tmp_path):
    film = read_radiograph(saved(tmp_path / "film.jpg", GREY8, "JPEG", quality=98))
    assert np.abs(film.pixels - GREY8).max() <= 4


@pytest.mark.parametrize("grey", [GREY8, GREY16])
def test_a_white_is_zero_tiff_is_turned_over(grey, tmp_path):
    """The tag is changed in the file itself, for Pillow writes none of 16 bit."""
    data = saved(tmp_path / "film", grey, "TIFF").read_bytes()
    tag = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(tag) == 1
    (tmp_path / "film").write_bytes(data.replace(tag, struct.pack("<HHIH", 262, 3, 1, 0)))
    full = np.iinfo(grey.dtype).max
    np.testing.assert_array_equal(read_radiograph(tmp_path / "film").pixels, full - grey.astype(int))


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA"])
def test_colour_modes_with_equal_channels_are_grey(mode, tmp_path):
    path = saved(tmp_path / "film", Image.fromarray(GREY8).convert(mode), "PNG")
    np.testing.assert_array_equal(read_radiograph(path).pixels, GREY8)


def test_transparent_pixels_are_padding(tmp_path):
    alpha = np.full_like(GREY8, 255)
    alpha[:10] = 0
    film = read_radiograph(saved(tmp_path / "film", np.dstack([np.clip(GREY8, 20, 255), alpha]), "PNG"))
    assert np.all(film.pixels[:10] == film.pixels[10:].min())


def test_one_pixel_of_colour_makes_a_colour_picture(tmp_path):
    colour = np.dstack([GREY8] * 3)
    colour[3, 4, 2] ^= 1
    for kind in ("PNG", "TIFF", "BMP"):
        with pytest.raises(BadInput, match="film is a colour picture: save the radiograph as 8 or 16 bit grey"):
            read_radiograph(saved(tmp_path / "film", colour, kind))


def test_a_colour_palette_is_a_colour_picture(tmp_path):
    picture = Image.fromarray(GREY8)
    picture.putpalette([value for grey in range(256) for value in (grey, 255 - grey, grey)])
    with pytest.raises(BadInput, match="colour picture"):
        read_radiograph(saved(tmp_path / "film", picture, "PNG"))


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_channels_that_would_be_cut_to_eight_are_refused(colour_type, channels, tmp_path):
    rows = (b"\0" + np.repeat(row.astype(">u2"), channels).tobytes() for row in GREY16)
    (tmp_path / "film").write_bytes(png_chunks(*GREY16.shape[::-1], 16, colour_type, b"".join(rows)))
    with pytest.raises(BadInput, match="16 bit colour or transparency"):
        read_radiograph(tmp_path / "film")


def test_sixteen_bit_colour_in_a_tiff_is_refused_too(tmp_path):
    tifffile.imwrite(tmp_path / "film", np.dstack([GREY16] * 3), photometric="rgb")
    with pytest.raises(BadInput, match="16 bit colour or transparency"):
        read_radiograph(tmp_path / "film")


def test_a_mask_is_no_film(tmp_path):
    with pytest.raises(BadInput, match="only black and white"):
        read_radiograph(saved(tmp_path / "film", Image.fromarray(GREY8 > 100), "PNG"))


def test_floating_point_grey_is_refused(tmp_path):
    with pytest.raises(BadInput, match="8 or 16 bit grey"):
        read_radiograph(saved(tmp_path / "film", GREY8.astype(np.float32), "TIFF"))


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_several_pictures_in_one_file_are_refused(kind, tmp_path):
    pages = [Image.fromarray(GREY8), Image.fromarray(GREY8[::-1].copy())]
    path = saved(tmp_path / "film", pages[0], kind, save_all=True, append_images=pages[1:])
    with pytest.raises(BadInput, match="film holds 2 pictures"):
        read_radiograph(path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_a_picture_cut_short_is_refused_or_read_in_full_but_never_in_part(kind, tmp_path):
    path = saved(tmp_path / "film", GREY8, kind)
    whole = path.read_bytes()
    expected = read_radiograph(path).pixels
    refused = 0
    for keep in sorted({*np.linspace(0, len(whole) - 1, 60).astype(int), *range(len(whole) - 20, len(whole))}):
        path.write_bytes(whole[:keep])
        try:
            pixels = read_radiograph(path).pixels
        except BadInput:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, expected)
    assert refused >= 50


@pytest.mark.parametrize("dpi", [(72, 72), (300, 300), (254, 508)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_resolution_of_a_picture_is_not_its_pixel_spacing(kind, dpi, tmp_path):
    path = saved(tmp_path / "film", GREY8, kind, dpi=dpi)
    assert read_radiograph(path).spacing_mm is None
    assert read_radiograph(path, spacing_mm=0.15).spacing_mm == 0.15


def test_a_picture_of_absurd_size_is_refused_before_it_is_unpacked(tmp_path):
    (tmp_path / "film").write_bytes(png_chunks(60000, 60000, 8, 0, b""))
    with pytest.raises(BadInput, match="film is too large"):
        read_radiograph(tmp_path / "film")
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((63, 200), np.uint8)).save(buffer, "PNG")
    (tmp_path / "film").write_bytes(buffer.getvalue())
    with pytest.raises(BadInput, match="film is too small"):
        read_radiograph(tmp_path / "film")
