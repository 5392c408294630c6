"""Maps on the grid of a film: joints that do not cover each other, and files that give back what went in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from analytic_joint import AnalyticJoint

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.film_maps import (
    NAMES,
    OUTSIDE_LOSS,
    FilmMaps,
    map_name,
    nearest_joint,
    read_volume,
    write_volume,
)
from JSNRegistrationLib.misalignment import MisalignmentMap

SHAPE = (300, 260)


@pytest.fixture(scope="module")
def crop() -> JointCrop:
    return replace(AnalyticJoint(1).film(spacing_mm=0.2).crop, offset_px=(40, 90))


def result_of(crop: JointCrop, value: float) -> MisalignmentMap:
    """A map whose film is `value` everywhere and whose loss is `value` / 100 inside the upper bone."""
    film = np.full(crop.pixels.shape, value, np.float32)
    return MisalignmentMap(film, np.where(crop.upper, value / 100, np.nan).astype(np.float32), value / 100)


def window_of(crop: JointCrop):
    rows, columns = crop.pixels.shape
    x, y = crop.offset_px
    return np.s_[y : y + rows, x : x + columns]


def test_empty_maps_show_nothing():
    maps = FilmMaps.empty(SHAPE)
    assert np.isnan(maps.before).all()
    assert np.isnan(maps.after).all()
    assert (maps.loss_before == OUTSIDE_LOSS).all()
    assert (maps.loss_after == OUTSIDE_LOSS).all()
    assert {getattr(maps, name).dtype for name in NAMES} == {np.dtype(np.float32)}


def test_losses_of_another_scale_are_taken_out_and_the_films_stay(crop):
    maps = FilmMaps.empty(SHAPE)
    maps.paste(crop, np.ones(crop.pixels.shape, bool), result_of(crop, 30.0), result_of(crop, 10.0))
    maps.clear_losses()
    assert (maps.loss_before == OUTSIDE_LOSS).all()
    assert (maps.loss_after == OUTSIDE_LOSS).all()
    assert np.isfinite(maps.before).any()


def test_a_joint_is_put_where_it_lies_in_the_film(crop):
    maps = FilmMaps.empty(SHAPE)
    own = np.ones(crop.pixels.shape, bool)
    maps.paste(crop, own, result_of(crop, 30.0), result_of(crop, 10.0))
    window = window_of(crop)
    assert (maps.before[window] == 30.0).all()
    assert (maps.after[window] == 10.0).all()
    assert np.array_equal(maps.loss_before[window] == np.float32(0.3), crop.upper)
    assert np.array_equal(maps.loss_after[window] == np.float32(0.1), crop.upper)


def test_outside_of_the_bones_the_loss_is_minus_one(crop):
    maps = FilmMaps.empty(SHAPE)
    maps.paste(crop, np.ones(crop.pixels.shape, bool), result_of(crop, 30.0), result_of(crop, 10.0))
    for loss in (maps.loss_before, maps.loss_after):
        inside = np.zeros(SHAPE, bool)
        inside[window_of(crop)] = crop.upper
        assert (loss[~inside] == -1.0).all()
        assert (loss[inside] >= 0.0).all()
        assert np.isfinite(loss).all()
    outside = np.ones(SHAPE, bool)
    outside[window_of(crop)] = False
    assert np.isnan(maps.after[outside]).all()


def test_a_joint_is_put_only_where_the_film_is_its_own(crop):
    maps = FilmMaps.empty(SHAPE)
    own = np.zeros(crop.pixels.shape, bool)
    own[:, :50] = True
    maps.paste(crop, own, result_of(crop, 30.0), result_of(crop, 10.0))
    assert np.array_equal(np.isfinite(maps.after[window_of(crop)]), own)
    assert np.array_equal(maps.loss_after[window_of(crop)] >= 0, own & crop.upper)


def test_a_joint_that_was_not_registered_has_no_after(crop):
    maps = FilmMaps.empty(SHAPE)
    maps.paste(crop, np.ones(crop.pixels.shape, bool), result_of(crop, 30.0), None)
    assert np.isnan(maps.after).all()
    assert (maps.loss_after == OUTSIDE_LOSS).all()
    assert (maps.before[window_of(crop)] == 30.0).all()


def test_neighbours_share_the_film_out_between_them(crop):
    here = np.add(crop.origin_px, crop.offset_px)
    to_the_right = here + [30.0, 0.0]
    own = nearest_joint(crop, [to_the_right])
    columns = np.arange(crop.pixels.shape[1]) + crop.offset_px[0]
    expected = np.broadcast_to(columns <= here[0] + 15.0, crop.pixels.shape)
    assert np.array_equal(own, expected)


def test_every_pixel_near_two_joints_belongs_to_one_of_them(crop):
    here = np.add(crop.origin_px, crop.offset_px)
    there = here + [21.3, -12.7]
    own = nearest_joint(crop, [there])
    others = nearest_joint(replace(crop, origin_px=tuple(there - crop.offset_px)), [here])
    assert np.array_equal(own, ~others)


def test_a_joint_alone_owns_its_whole_crop(crop):
    assert nearest_joint(crop, []).all()
    assert nearest_joint(crop, [np.array([5000.0, 5000.0])]).all()


@pytest.mark.parametrize("spacing_mm", [0.15, None])
def test_maps_come_back_from_their_files_as_they_were(tmp_path, crop, spacing_mm):
    maps = FilmMaps.empty(SHAPE)
    random = np.random.default_rng(0)
    noisy = replace(result_of(crop, 30.0), film=random.normal(size=crop.pixels.shape).astype(np.float32))
    maps.paste(crop, np.ones(crop.pixels.shape, bool), noisy, result_of(crop, 12.5))
    maps.write(tmp_path, 0, 2, spacing_mm)
    again = FilmMaps.read(tmp_path, 0, 2)
    for name in NAMES:
        assert np.array_equal(getattr(again, name), getattr(maps, name), equal_nan=True)
        assert getattr(again, name).dtype == np.float32
        image = sitk.ReadImage(str(tmp_path / map_name(name, 0, 2)))
        assert image.GetSize() == (SHAPE[1], SHAPE[0], 1)
        assert image.GetSpacing() == pytest.approx((spacing_mm or 1.0, spacing_mm or 1.0, 1.0))
        assert image.GetOrigin() == (0.0, 0.0, 0.0)
        assert image.GetDirection() == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert np.isnan(again.before).any()


def test_the_files_say_left_posterior_superior(tmp_path):
    FilmMaps.empty((20, 30)).write(tmp_path, 0, 1, 0.1)
    head = (tmp_path / "loss_after_0_1.nrrd").read_bytes().split(b"\n\n")[0].decode("ascii")
    assert "space: left-posterior-superior" in head
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}_0_1.nrrd" for name in NAMES)


@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(600.0).reshape(20, 30),
        np.full((20, 30), 65535.0),
        np.full((20, 30), -32768.0),
        np.linspace(-1.0, 1.0, 600).reshape(20, 30),
        np.where(np.eye(20, 30) > 0, np.nan, 5.0),
    ],
    ids=["12 bit", "16 bit", "negative", "fractions", "NaN"],
)
def test_a_film_comes_back_from_its_file_as_it_was(tmp_path, pixels):
    write_volume(tmp_path / "film.nrrd", pixels.astype(np.float32), 0.12)
    again = read_volume(tmp_path / "film.nrrd")
    assert again.shape == pixels.shape
    assert np.array_equal(again, pixels.astype(np.float32), equal_nan=True)
