"""The benchmark of the registration tells the truth about its own joints: layers move as stated, bounds are bounds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

BENCHMARKS = Path(__file__).parent / "benchmarks"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZE = 160
MIDDLE = np.array([(SIZE - 1) / 2, (SIZE - 1) / 2])
UP = np.array([0.0, -1.0])


@pytest.fixture(autouse=True)
def _benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def film_of_two_blocks(upper_shift=(0.0, 0.0), lower_shift=(0.0, 0.0)):
    """A smooth film of two bones on sloping soft tissue, in closed form, and their regions; shifts in pixels (x, y)."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(float)

    def block(top, bottom, shift):
        x, y = columns - shift[0] - MIDDLE[0], rows - shift[1]
        across = 1 / (1 + np.exp(-(40 - np.abs(x)) / 1.5))
        along = 1 / (1 + np.exp(-(y - top) / 1.5)) / (1 + np.exp(-(bottom - y) / 1.5))
        texture = 1 + 0.15 * np.sin(x / 3.1) * np.cos(y / 3.7)
        return across * along * texture, (np.abs(x) < 40) & (y > top) & (y < bottom)

    upper, upper_region = block(-200.0, 70.0, upper_shift)
    lower, lower_region = block(88.0, 400.0, lower_shift)
    return 60 + 0.1 * columns + 100 * (upper + lower), upper_region, lower_region


def test_the_layers_of_a_film_add_up_to_the_film():
    from film_layers import PERCENTILES, composed, split

    film, upper, lower = film_of_two_blocks()
    still = np.eye(2, 3)
    black, white = np.percentile(film, PERCENTILES)
    again = composed(split(film, upper, lower), still, still, still)
    assert np.abs(again - (film - black) / (white - black)).max() < 0.02  # what the denoising takes


def test_a_bone_layer_moves_by_the_stated_motion_and_leaves_the_rest():
    from film_layers import PERCENTILES, composed, region, split

    from JSNRegistrationLib.motion import motion_about

    film, upper, lower = film_of_two_blocks()
    layers = split(film, upper, lower)
    shift = np.array([2.37, -3.61])
    moved = motion_about(MIDDLE, 0.0, 1.0, shift)
    made = composed(layers, np.eye(2, 3), moved, np.eye(2, 3))
    expected, upper_there, _ = film_of_two_blocks(upper_shift=shift)
    black, white = np.percentile(film, PERCENTILES)
    error = np.abs(made - (expected - black) / (white - black))
    inside = ndimage.binary_erosion(upper_there, iterations=6, border_value=1)
    assert error[inside].max() < 0.02  # soft tissue is filled in behind the bone
    assert np.median(error) < 0.005
    assert np.mean(region(layers.upper_depth, moved, film.shape, None) != upper_there) < 0.005


def test_the_bones_turn_about_the_origin_and_part_by_the_stated_change():
    from layer_motion import Reach, draw_poses, true_motions

    from JSNRegistrationLib.motion import relative_angle
    from JSNRegistrationLib.narrowing import space_change_px

    reach = Reach(1.5, 8.0, 6.0, 0.0, 0.0, change_mm=(-0.4, -0.4), foreshortening=(0.01, 0.01))
    first, second = draw_poses(np.random.default_rng(3), reach, MIDDLE, UP, 15.0, 0.1)
    upper, lower = true_motions(first, second)
    assert space_change_px(upper, lower, MIDDLE, UP) * 0.1 == pytest.approx(-0.4, abs=1e-3)
    assert 0 < abs(np.degrees(relative_angle(upper, lower))) < 6


def test_foreshortening_leaves_the_joint_surface_where_it_is():
    from layer_motion import Reach, draw_poses

    from JSNRegistrationLib.motion import apply

    reach = Reach(0.0, 0.0, 0.0, 0.0, 0.0, foreshortening=(0.01, 0.02))
    _, pose = draw_poses(np.random.default_rng(3), reach, MIDDLE, UP, 15.0, 0.1)
    surface = MIDDLE + 7.5 * UP + np.outer([-30.0, 0.0, 30.0], [1.0, 0.0])
    assert np.allclose(apply(pose.upper_bent, surface), apply(pose.upper, surface))
    assert not np.allclose(apply(pose.upper_bent, surface + 40 * UP), apply(pose.upper, surface + 40 * UP))


def test_whitening_solves_with_the_covariance_inside_the_region():
    from registration_floor import CORRELATED_PX, _noise_power, _whitened

    rng = np.random.default_rng(0)
    region = np.zeros((14, 12), bool)
    region[2:12, 3:11] = True
    deviation = 1.0 + rng.random(region.shape)
    spot = np.zeros((2 * CORRELATED_PX + 1,) * 2)
    spot[CORRELATED_PX, CORRELATED_PX] = 1.0
    kernel = ndimage.gaussian_filter(spot, 0.6)
    kernel /= kernel.max()
    effects = rng.standard_normal((3, *region.shape)) * region
    rows, columns = np.nonzero(region)
    apart = np.stack([rows[:, None] - rows, columns[:, None] - columns])
    near = np.abs(apart).max(axis=0) <= CORRELATED_PX
    covariance = np.where(near, kernel[tuple(np.clip(apart + CORRELATED_PX, 0, 2 * CORRELATED_PX))], 0.0)
    covariance *= np.outer(deviation[region], deviation[region])
    exact = np.linalg.solve(covariance, effects[:, region].T).T
    found = _whitened(effects, region, deviation, _noise_power(region.shape, kernel))[:, region]
    assert np.allclose(found, exact, atol=0.02 * np.abs(exact).max())


@pytest.mark.parametrize("program", ["phase_only_correlation", "two_region_phase_correlation"])
def test_phase_correlation_finds_a_shift_to_a_part_of_a_pixel(program):
    import phase_peers
    from peer_task import PeerSettings, PeerTask

    rng = np.random.default_rng(2)
    picture = ndimage.gaussian_filter(rng.standard_normal((128, 128)), 1.5)
    shift = (1.4, -2.3)  # x, y
    there = ndimage.shift(picture, shift[::-1], order=5, mode="wrap")
    region = np.zeros(picture.shape, bool)
    region[20:108, 20:108] = True
    task = PeerTask(picture.astype(np.float32), there.astype(np.float32), region, region, np.eye(2, 3))
    found = getattr(phase_peers, program)(task, PeerSettings(detail=0.25))
    assert np.allclose(found[:, 2], shift, atol=0.1)


@pytest.mark.skipif(not (SHARED_DATA / "mcp-series").is_dir(), reason="../shared/data is not there")
def test_a_real_joint_is_made_again_from_its_description_and_parts_do_not_mix():
    from registration_joints import REAL, make, specs

    spec = next(s for s in specs(SHARED_DATA, "development", 1) if s.source == REAL)
    first, again = make(spec), make(spec)
    assert np.array_equal(first.first.pixels, again.first.pixels)
    assert first.true_mm == again.true_mm
    odd = {int(s.film.parent.name.split("_")[1]) % 2 for s in specs(SHARED_DATA, "development", 10) if s.film}
    assert odd == {1}
