"""Grey values: modality LUT applied, bone bright, padding dark, the window only for drawing."""

from __future__ import annotations

import numpy as np
import pytest
from film_files import a_film, dicom, write
from pydicom import Dataset

from JSNRegistrationLib.radiograph import read_radiograph


def read(tmp_path, pixels, bits=12, **tags):
    return read_radiograph(write(dicom(pixels, bits, **tags), tmp_path / "film"))


def lut(first: int, entries: np.ndarray, bits: int, vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", vr, [int(e) for e in entries] if vr == "US" else entries.tobytes())
    item.ModalityLUTType = "US"
    return item


def test_monochrome1_is_turned_over_within_the_range_of_the_stored_bits(tmp_path):
    stored = a_film(bits=12)
    film = read(tmp_path, stored, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(film.pixels, 4095 - stored.astype(int))


def test_signed_monochrome1_is_turned_over_within_the_range_of_its_stored_bits(tmp_path):
    stored = a_film(bits=12, signed=True)
    film = read(tmp_path, stored, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(film.pixels, -1 - stored.astype(int))


def test_slope_and_intercept_are_applied(tmp_path):
    stored = a_film(bits=12)
    film = read(tmp_path, stored, RescaleSlope=0.5, RescaleIntercept=-100)
    np.testing.assert_array_equal(film.pixels, stored * 0.5 - 100)


def test_a_negative_slope_and_monochrome1_turn_over_twice(tmp_path):
    stored = a_film(bits=12)
    tags = {"RescaleSlope": -1, "RescaleIntercept": 4095}
    film = read(tmp_path, stored, PhotometricInterpretation="MONOCHROME1", **tags)
    np.testing.assert_array_equal(film.pixels, stored)


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_modality_lut_is_applied_and_held_at_its_ends(vr, signed, tmp_path):
    stored = a_film(bits=12, signed=signed)
    first = -1500 if signed else 300
    entries = (np.sqrt(np.arange(2500)) * 80).astype(np.uint16)
    film = read(tmp_path, stored, ModalityLUTSequence=[lut(first, entries, 12, vr)], RescaleSlope=9, RescaleIntercept=9)
    expected = entries[np.clip(stored.astype(int) - first, 0, 2499)]
    np.testing.assert_array_equal(film.pixels, expected)


def test_a_signed_first_value_that_was_written_as_unsigned_is_understood(tmp_path):
    stored = a_film(bits=12, signed=True)
    entries = np.arange(4096).astype(np.uint16)
    film = read(tmp_path, stored, ModalityLUTSequence=[lut(65536 - 2048, entries, 12)])
    np.testing.assert_array_equal(film.pixels, stored.astype(int) + 2048)


def test_a_modality_lut_of_packed_bytes_is_read(tmp_path):
    stored = a_film(bits=8)
    entries = np.arange(255, -1, -1).astype(np.uint8)
    film = read(tmp_path, stored, 8, ModalityLUTSequence=[lut(0, entries, 8, "OW")])
    np.testing.assert_array_equal(film.pixels, 255 - stored)


def test_monochrome1_after_a_modality_lut_is_turned_over_within_the_range_of_the_lut(tmp_path):
    stored = a_film(bits=12)
    entries = (1000 + np.arange(4096) // 2).astype(np.uint16)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "ModalityLUTSequence": [lut(0, entries, 16)]}
    film = read(tmp_path, stored, **tags)
    np.testing.assert_array_equal(film.pixels, 1000 + 3047 - entries[stored])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("limit", "padded"), [(None, [0]), (40, [0, 20, 40])])
def test_padding_is_made_as_dark_as_the_darkest_real_pixel(photometric, limit, padded, tmp_path):
    stored = np.clip(a_film(bits=12), 100, 3000)
    stored[:6, :] = 0
    stored[6:9, :] = 20
    stored[9:12, :] = 40
    tags = {"PixelPaddingValue": 0, "PhotometricInterpretation": photometric}
    if limit is not None:
        tags["PixelPaddingRangeLimit"] = limit
    film = read(tmp_path, stored, **tags)
    padding = np.isin(stored, padded)
    values = stored.astype(int) if photometric == "MONOCHROME2" else 4095 - stored.astype(int)
    np.testing.assert_array_equal(film.pixels[~padding], values[~padding])
    assert np.all(film.pixels[padding] == values[~padding].min())


def test_a_signed_padding_value_is_found(tmp_path):
    stored = np.clip(a_film(bits=16, signed=True), -1000, 1000)
    stored[:10] = -32768
    film = read(tmp_path, stored, 16, PixelPaddingValue=-32768)
    assert film.pixels.min() == stored[10:].min()


def test_the_window_sets_the_display_range_and_no_pixel(tmp_path):
    stored = a_film(bits=12)
    film = read(tmp_path, stored, WindowCenter=[1500, 9], WindowWidth=[1000, 9])
    np.testing.assert_array_equal(film.pixels, stored)
    assert film.display_range == (1000, 1999)  # PS3.3 C.11.2.1.2: the window is [c - w/2, c + w/2 - 1]
    exact = read(tmp_path, stored, WindowCenter=1500, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT")
    assert exact.display_range == (1000, 2000)


def test_the_window_of_a_monochrome1_film_is_turned_over_with_it(tmp_path):
    tags = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 1500, "WindowWidth": 1000}
    assert read(tmp_path, a_film(bits=12), **tags).display_range == (4095 - 1999, 4095 - 1000)


def test_a_voi_lut_sets_the_display_range_and_no_pixel(tmp_path):
    stored = a_film(bits=12)
    entries = np.clip((np.arange(4096) - 1000) / 2000, 0, 1) * 255
    film = read(tmp_path, stored, VOILUTSequence=[lut(0, entries.astype(np.uint16), 8)])
    np.testing.assert_array_equal(film.pixels, stored)
    assert film.display_range == pytest.approx((1020, 2980), abs=12)


@pytest.mark.parametrize(
    "tags", [{}, {"WindowCenter": -5000, "WindowWidth": 10}, {"WindowCenter": 9, "WindowWidth": 0}]
)
def test_without_a_useful_window_the_display_range_comes_from_the_pixels(tags, tmp_path):
    film = read(tmp_path, a_film(bits=12), **tags)
    assert film.display_range == pytest.approx(tuple(np.percentile(film.pixels, (0.5, 99.5))))


@pytest.mark.parametrize(("photometric", "sign", "doubted"), [("MONOCHROME2", 1, True), ("MONOCHROME1", 1, False)])
def test_a_film_that_says_bone_is_dark_in_it_is_a_warning(photometric, sign, doubted, tmp_path):
    film = read(tmp_path, a_film(), PhotometricInterpretation=photometric, PixelIntensityRelationshipSign=sign)
    assert bool(film.warnings) == doubted
