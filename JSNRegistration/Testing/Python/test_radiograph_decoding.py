"""Every transfer syntax that a radiograph comes in decodes to the pixels that went in."""

from __future__ import annotations

import numpy as np
import pytest
from film_files import DX, SECONDARY_CAPTURE, a_film, as_bytes, dicom, write, write_encoded, write_transcoded
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jpeg_encoders import encode_jpeg_12bit, encode_jpeg_lossless
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_frames

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.film_reading.dicom_pixels import DECODERS
from JSNRegistrationLib.radiograph import read_radiograph

LOSSLESS = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
)
LOSSY_IN_NAME = (uid.JPEGLSNearLossless, uid.JPEG2000)


def written(pixels, bits, syntax, path, **tags):
    if syntax == uid.ExplicitVRLittleEndian:
        return write(dicom(pixels, bits, **tags), path)
    return write_transcoded(dicom(pixels, bits, **tags), syntax, path)


@st.composite
def stored_images(draw):
    """An image of any depth and sign that a radiograph may have, with every value its bits can hold."""
    bits = draw(st.integers(8, 16))
    signed = draw(st.booleans()) and bits > 8
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    shape = draw(st.tuples(st.integers(64, 70), st.integers(64, 70)))
    dtype = np.int16 if signed else np.uint8 if bits == 8 else np.uint16
    fill = st.integers(low, high)
    image = draw(arrays.arrays(dtype, shape, elements=fill, fill=fill))
    image[0, :2] = low, high  # never one grey value, and the ends of the range are always there
    return image, bits


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_a_lossless_syntax_gives_back_every_bit_at_every_depth_and_sign(syntax, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lossless")

    @settings(max_examples=15)
    @given(stored_images())
    def every_bit(image_and_bits):
        image, bits = image_and_bits
        film = read_radiograph(written(image, bits, syntax, folder / "film.dcm"))
        np.testing.assert_array_equal(film.pixels, image)
        assert film.pixels.dtype == np.float32

    every_bit()


@pytest.mark.parametrize("syntax", LOSSY_IN_NAME, ids=lambda syntax: syntax.name)
def test_the_general_jpeg_ls_and_jpeg_2000_syntaxes_decode(syntax, tmp_path):
    image = a_film(bits=12)
    np.testing.assert_array_equal(read_radiograph(written(image, 12, syntax, tmp_path / "film")).pixels, image)


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit], ids=lambda syntax: syntax.name)
def test_eight_bit_jpeg_decodes_to_a_few_grey_levels(syntax, tmp_path):
    image = a_film(bits=8)
    film = read_radiograph(write_transcoded(dicom(image, 8), syntax, tmp_path / "film", lossy_quality=98))
    assert np.abs(film.pixels - image).max() <= 4


def test_twelve_bit_jpeg_extended_decodes_to_within_rounding_and_without_a_word(tmp_path, capfd):
    image = a_film(bits=12)
    path = write_encoded(dicom(image, 12), encode_jpeg_12bit(image), uid.JPEGExtended12Bit, tmp_path / "film")
    assert np.abs(read_radiograph(path).pixels - image).max() <= 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("precision", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [uid.JPEGLossless, uid.JPEGLosslessSV1], ids=lambda syntax: syntax.name)
def test_jpeg_lossless_streams_of_a_scanner_s_own_sample_depth_decode_bit_for_bit(precision, syntax, tmp_path):
    image = a_film(bits=precision)
    stream = encode_jpeg_lossless(image, precision)
    path = write_encoded(dicom(image, precision), stream, syntax, tmp_path / "film")
    np.testing.assert_array_equal(read_radiograph(path).pixels, image)


@pytest.mark.parametrize("sop_class", [DX, SECONDARY_CAPTURE])
def test_dx_and_secondary_capture_are_read_as_cr_is(sop_class, tmp_path):
    image = a_film()
    np.testing.assert_array_equal(
        read_radiograph(write(dicom(image, sop_class=sop_class), tmp_path / "f")).pixels, image
    )


def test_bits_above_the_stored_ones_are_ignored(tmp_path):
    image = a_film(bits=12)
    with_overlay = image | np.uint16(0x8000)
    np.testing.assert_array_equal(read_radiograph(write(dicom(with_overlay, 12), tmp_path / "film")).pixels, image)


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian], ids=lambda s: s.name
)
@pytest.mark.parametrize("keep_meta", [True, False], ids=["with file meta", "without file meta"])
def test_a_dicom_file_without_preamble_and_ending_is_known_by_its_content(syntax, keep_meta, tmp_path):
    image = a_film()
    data = written(image, 12, syntax, tmp_path / "whole").read_bytes()
    start = 132 if keep_meta else 132 + 12 + int.from_bytes(data[140:144], "little")
    bare = tmp_path / "IM000001"
    bare.write_bytes(data[start:])
    np.testing.assert_array_equal(read_radiograph(bare).pixels, image)


def test_a_compressed_file_that_does_not_name_its_compression_is_refused(tmp_path):
    whole = write_transcoded(dicom(a_film()), uid.JPEG2000Lossless, tmp_path / "whole").read_bytes()
    bare = tmp_path / "bare"
    bare.write_bytes(whole[132 + 12 + int.from_bytes(whole[140:144], "little") :])
    with pytest.raises(BadInput, match="bare is compressed in a way it does not name"):
        read_radiograph(bare)


def test_a_compression_that_is_not_read_is_named(tmp_path):
    path = write_encoded(dicom(a_film()), b"\xff\x4f\xff\xd9", uid.HTJ2KLossless, tmp_path / "film")
    with pytest.raises(BadInput, match=r"High-Throughput JPEG 2000.*export it uncompressed"):
        read_radiograph(path)


@pytest.mark.parametrize("syntax", DECODERS, ids=lambda syntax: uid.UID(syntax).name)
def test_a_file_cut_short_is_refused_or_read_in_full_but_never_in_part(syntax, tmp_path):
    lossy = syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    dataset = dicom(a_film(bits=8 if lossy else 12), 8 if lossy else 12)
    path = tmp_path / "film"
    if syntax == uid.ExplicitVRLittleEndian:
        write(dataset, path)
    else:
        write_transcoded(dataset, syntax, path, lossy_quality=95 if lossy else None)
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
    assert refused >= 60


COMPRESSED = [syntax for syntax, plugin in DECODERS.items() if plugin]


def compressed(syntax, twelve_bit_samples, path):
    """A film in a compressed syntax; JPEG Extended comes with 8 or with 12 bit samples."""
    if syntax == uid.JPEGExtended12Bit and twelve_bit_samples:
        return write_encoded(dicom(a_film()), encode_jpeg_12bit(a_film()), syntax, path)
    lossy = syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    bits = 8 if lossy else 12
    return write_transcoded(dicom(a_film(bits=bits), bits), syntax, path, 95 if lossy else None)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: uid.UID(syntax).name)
@pytest.mark.parametrize("twelve_bit_samples", [False, True])
def test_a_frame_cut_short_inside_a_sound_file_is_never_read_in_part(syntax, twelve_bit_samples, tmp_path):
    path = compressed(syntax, twelve_bit_samples, tmp_path / "film")
    expected = read_radiograph(path).pixels
    dataset = dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    refused = 0
    # An RLE frame that lacks its very last byte cannot be told from a whole one: padding takes the byte's place.
    for missing in (*range(2, 24), *np.linspace(24, len(frame) - 4, 20).astype(int)):
        dataset.PixelData = encapsulate([frame[:-missing]])
        try:
            pixels = read_radiograph(write(dataset, path)).pixels
        except BadInput:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, expected)
    assert refused >= 40


# Bytes left over are padding to RLE and to uncompressed pixels, and no sign of damage.
SIZED = [(syntax, rows) for syntax in COMPRESSED for rows in (160, 64) if (syntax, rows) != (uid.RLELossless, 64)]


@pytest.mark.parametrize(("syntax", "rows"), SIZED, ids=str)
def test_a_frame_of_another_size_than_the_header_says_is_refused(syntax, rows, tmp_path):
    path = compressed(syntax, False, tmp_path / "film")
    dataset = dcmread(path)
    dataset.Rows = rows
    with pytest.raises(BadInput, match="damaged or cut short"):
        read_radiograph(write(dataset, path))


def test_a_jpeg_frame_broken_between_its_segments_is_refused_before_a_decoder_can_end_the_program(tmp_path):
    image = a_film()
    for stream, syntax in (
        (encode_jpeg_lossless(image, 12), uid.JPEGLosslessSV1),
        (encode_jpeg_12bit(image), uid.JPEGExtended12Bit),
    ):
        table = stream.index(b"\xff\xc4")
        scan = stream.index(b"\xff\xda") + 60
        for damaged in (
            stream[:table] + b"\xa8" + stream[table + 1 :],
            stream[: table + 1] + b"\xd0" + stream[table + 2 :],
            stream[:scan] + b"\xff\xc4\x00\x04" + stream[scan:],
            stream.replace(b"\xff\xda", b"\xff\xd9"),
        ):
            path = write_encoded(dicom(image), damaged, syntax, tmp_path / "film")
            with pytest.raises(BadInput, match="damaged or cut short"):
                read_radiograph(path)


def test_the_same_bytes_give_the_same_digest_and_another_film_another(tmp_path):
    first = write(dicom(a_film()), tmp_path / "first")
    copy = tmp_path / "copy"
    copy.write_bytes(as_bytes(dicom(a_film())))
    other = write(dicom(a_film()[::-1].copy()), tmp_path / "other")
    assert read_radiograph(first).sha256 == read_radiograph(copy).sha256 != read_radiograph(other).sha256
