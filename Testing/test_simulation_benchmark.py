"""What real and simulated patches are compared by is what it says, on images of which it is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from SubchondralBoneAnalysisLib.volume import Volume

BENCHMARKS = Path(__file__).parent / "benchmarks"
SPACING_MM = (0.5, 0.25, 0.4)


@pytest.fixture(autouse=True)
def _benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def noise(shape=(48, 96, 60), sigma_mm=0.0, seed=3):
    """Gaussian noise, smoothed by a Gaussian of an SD in mm."""
    values = np.random.default_rng(seed).standard_normal(shape)
    if not sigma_mm:
        return values
    values = ndimage.gaussian_filter(values, [sigma_mm / s for s in SPACING_MM], mode="wrap")
    return values / values.std()


def volume(values):
    return Volume(values.astype(np.float32), SPACING_MM, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))


def test_autocorrelation_of_smoothed_noise_falls_to_a_half_where_a_gaussian_does():
    from simulation_features import half_length_mm

    values = noise(sigma_mm=0.6)
    expected = 2 * 0.6 * np.sqrt(np.log(2))  # exp(-x^2 / (4 s^2)) = 1/2
    for axis, step in enumerate(SPACING_MM):
        assert half_length_mm(values, axis, step) == pytest.approx(expected, rel=0.06)


def test_gradient_of_a_ramp_is_its_slope():
    from simulation_features import mean_gradient

    k, j, i = np.indices((8, 9, 10))
    ramp = 3 * k * SPACING_MM[0] + 4 * i * SPACING_MM[2] + 0 * j
    assert mean_gradient(ramp, SPACING_MM) == pytest.approx(5)


def test_entropy_counts_even_bins_and_is_none_for_one_value():
    from simulation_features import entropy

    assert entropy(np.arange(64) * 25.0, 25.0) == pytest.approx(6)
    assert entropy(np.full(64, 7.0), 25.0) == 0


@pytest.mark.parametrize("slope", [0.0, -2.0, -4.0])
def test_spectral_slope_of_power_law_noise(slope):
    from simulation_features import spectral_slope

    values = noise((64, 64, 64))
    axes = np.meshgrid(*(np.fft.fftfreq(64, 0.3) for _ in range(3)), indexing="ij")
    frequency = np.sqrt(sum(f**2 for f in axes))
    frequency[0, 0, 0] = frequency[0, 0, 1]
    values = np.fft.ifftn(np.fft.fftn(values) * frequency ** (slope / 2)).real
    assert spectral_slope(values, (0.3, 0.3, 0.3)) == pytest.approx(slope, abs=0.25)


def test_features_of_a_ct_shift_and_scale_as_they_should():
    from simulation_features import ct_features

    values = 40 * noise(sigma_mm=0.4)
    once, twice = ct_features(volume(values + 200)), ct_features(volume(2 * values + 500))
    assert twice["mean, HU"] == pytest.approx(500, abs=2)
    for name in ("SD, HU", "SD about the local mean, HU", "gradient, HU/mm"):
        assert twice[name] == pytest.approx(2 * once[name], rel=1e-3)
    assert twice["entropy, bit"] == pytest.approx(once["entropy, bit"] + 1, abs=0.1)
    for name in ("grain, mm", "skewness", "kurtosis", "autocorrelation along j, mm", "spectral slope"):
        assert twice[name] == pytest.approx(once[name], rel=1e-3, abs=1e-3)
    assert abs(once["kurtosis"]) < 0.2


def test_features_of_an_mr_do_not_depend_on_its_scale():
    from simulation_features import mr_features

    values = 100 + 10 * noise(sigma_mm=0.4)
    once, other = mr_features(volume(values)), mr_features(volume(7 * values))
    for name, value in once.items():
        assert other[name] == pytest.approx(value, rel=2e-2, abs=1e-3)
    assert once["SD over mean"] == pytest.approx(0.1, rel=0.02)


def test_percentile_counts_ties_half_and_an_outlier_in_most_profiles_is_outside():
    from simulation_real import is_outside, percentile

    values = np.array([1.0, 2.0, 2.0, 3.0])
    assert [percentile(values, value) for value in (0.0, 2.0, 9.0)] == [0, 50, 100]
    assert is_outside(np.array([99.0, 98.0, 50.0]))
    assert not is_outside(np.array([99.0, 60.0, 50.0]))


def test_a_structure_like_the_simulated_ones_lies_among_them_and_another_does_not():
    from simulation_real import places

    rng = np.random.default_rng(4)

    def looks(number, first=0.0):
        return [{"a": {"one": rng.normal(first), "two": rng.normal()}} for _ in range(number)]

    simulated = looks(200)
    assert 2.5 < places(looks(31), simulated)["one"][0] < 97.5
    assert places(looks(31, first=6.0), simulated)["one"][0] == 100


@pytest.mark.parametrize("axis", [0, 2])
def test_edge_width_of_a_gaussian_blur_is_its_own(axis):
    from scipy.special import ndtr
    from simulation_scanners import _across, edge_mm

    sd, spacing = 0.3, (0.5, 0.4, 0.4)

    def seen(grid):
        ends = [
            o + np.arange(n) * s
            for o, n, s in zip(grid.origin_lps[::-1], grid.array.shape, grid.spacing_mm, strict=True)
        ]
        return ndtr(_across(np.meshgrid(*ends, indexing="ij"), axis) / sd)

    width, rise = edge_mm(axis, spacing, seen)
    assert width == pytest.approx(2.3548 * sd, rel=0.02)
    assert rise == pytest.approx(2 * 1.28155 * sd, rel=0.02)


def test_noise_power_has_its_peak_where_the_noise_has():
    from simulation_scanners import noise_power

    spacing = (0.5, 0.4, 0.4)
    white = np.random.default_rng(5).standard_normal((12, 200, 200))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(200, 0.4), np.fft.fftfreq(200, 0.4)))
    ring = np.exp(-0.5 * ((radius - 0.6) / 0.1) ** 2)
    coloured = np.fft.ifft2(np.fft.fft2(white) * ring).real.astype(np.float32)
    peak, mean = noise_power(Volume(coloured, spacing))
    assert peak == pytest.approx(0.6, abs=0.08)
    assert mean == pytest.approx(0.6, abs=0.08)


def test_a_mirrored_specimen_keeps_its_middle_and_its_bone():
    from simulation_real_bone import RealBone

    rng = np.random.default_rng(6)
    structure = ndimage.gaussian_filter(rng.standard_normal((90, 90, 90)), 4) > 0.05
    bone = RealBone("made", structure, (0.04,) * 3, np.ones(structure.shape, bool))
    cube, blocks = bone.cube(), bone.blocks()
    before = (128 - cube.shape[0]) // 2
    inner = tuple(slice(before, before + n) for n in cube.shape)
    assert np.array_equal(blocks[0][inner], cube)
    assert cube.mean() == pytest.approx(structure.mean(), abs=0.02)
    assert len({block.tobytes() for block in blocks}) == 6


def test_the_patch_of_otsus_threshold_is_six_millimetres():
    from simulation_otsu import in_patch

    from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid

    grid = empty_grid((20, 20, 20), (0.4, 0.4, 0.4), (-3.6, -3.6, -3.6))
    region = in_patch(grid)
    assert region.sum() == 15**3
    assert not region[0].any()
