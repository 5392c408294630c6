"""Noise and blur that are estimated from the image alone, against those that the image was made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from leg_phantom import leg
from scipy.special import erf

from SubchondralBoneAnalysisLib.ct_resolution.ct_noise import ct_noise
from SubchondralBoneAnalysisLib.ct_resolution.layered_edge import fit_layered_edges
from SubchondralBoneAnalysisLib.ct_resolution.resolution import CtResolution, ct_resolution
from SubchondralBoneAnalysisLib.volume import Volume, read_volume

ALONG_MM = np.arange(-3.5, 4.51, 0.1)


@pytest.fixture(scope="module")
def sharp_leg() -> Volume:
    return leg(0.6, 0.75, 35, (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def seen(sharp_leg: Volume) -> CtResolution:
    return ct_resolution(sharp_leg)


def check(found: CtResolution, in_plane_mm: float, axial_mm: float, within: float) -> None:
    assert found.reasons == ()
    assert found.in_plane.fwhm_mm == pytest.approx(in_plane_mm, rel=within)
    assert found.axial.fwhm_mm == pytest.approx(axial_mm, rel=within)


# ---------------------------------------------------------------------------------------------------------- on phantoms


def test_blur_and_noise_of_a_sharp_ct(seen: CtResolution):
    check(seen, 0.6, 0.75, 0.08)
    assert seen.noise.sd_hu == pytest.approx(35, rel=0.1)
    # The noise was made with a Gaussian of 0.8 voxels: its autocorrelation has an FWHM of 0.8 * sqrt(2) * 2.355 voxels.
    assert seen.noise.grain_mm == pytest.approx(0.8 * 2**0.5 * 2.3548 * 0.5, rel=0.1)
    assert seen.worst_fwhm_mm == seen.axial.fwhm_mm


@pytest.mark.parametrize(
    ("in_plane_mm", "axial_mm", "noise_hu", "spacing_mm", "within"),
    [
        (0.5, 0.5, 80, (0.4, 0.4, 0.4), 0.12),  # a sharp kernel with much noise
        (0.7, 2.0, 30, (1.0, 0.5, 0.5), 0.06),  # thick slices
        (1.1, 1.0, 20, (1.0, 1.0, 1.0), 0.12),  # voxels as large as the blur
    ],
)
def test_blur_and_noise_of_other_cts(in_plane_mm, axial_mm, noise_hu, spacing_mm, within):
    found = ct_resolution(leg(in_plane_mm, axial_mm, noise_hu, spacing_mm))
    check(found, in_plane_mm, axial_mm, within)
    assert found.noise.sd_hu == pytest.approx(noise_hu, rel=0.1)


def test_a_thin_cortex_is_not_taken_for_blur():
    """Of a cortex of 1 mm an edge by half of the maximum would tell its thickness."""
    found = ct_resolution(leg(0.6, 0.75, 35, (0.4, 0.55, 0.55), cortex_mm=1.0))
    check(found, 0.6, 0.75, 0.12)


def test_without_an_edge_across_the_slices_that_blur_is_not_known():
    found = ct_resolution(leg(0.6, 0.75, 35, (0.5, 0.5, 0.5), round_bone=False))
    assert found.in_plane.fwhm_mm == pytest.approx(0.6, rel=0.12)
    assert found.axial is None
    assert found.worst_fwhm_mm == max(found.in_plane.fwhm_mm, 0.5)
    assert any("across the slices" in reason for reason in found.reasons)


def test_an_empty_image_tells_nothing_and_says_so():
    found = ct_resolution(Volume(np.full((30, 40, 40), -1000, np.int16), (0.5, 0.5, 0.5)))
    assert (found.noise, found.in_plane, found.axial, found.worst_fwhm_mm) == (None, None, None, None)
    assert len(found.reasons) == 3


def test_what_cannot_be_used_is_not_looked_at(sharp_leg: Volume, seen: CtResolution):
    streaks = np.zeros(sharp_leg.array.shape, bool)
    streaks[:, :, :40] = True
    spoiled = np.where(streaks, np.random.default_rng(0).integers(-900, 1900, streaks.shape), sharp_leg.array)
    found = ct_resolution(replace(sharp_leg, array=spoiled.astype(np.int16)), streaks)
    assert found.in_plane.fwhm_mm == pytest.approx(seen.in_plane.fwhm_mm, rel=0.05)
    assert found.noise.sd_hu == pytest.approx(seen.noise.sd_hu, rel=0.05)


def test_the_same_image_gives_the_same_estimate(sharp_leg: Volume, seen: CtResolution):
    assert ct_resolution(sharp_leg) == seen


def test_no_noise_is_found_in_an_image_without_soft_tissue():
    assert ct_noise(Volume(np.full((20, 60, 60), 800, np.int16), (0.5, 0.5, 0.5))) is None


# --------------------------------------------------------------------------------------------------------- single edges


def profile(outside, layer, inside, place, thickness, sigma):
    def step(at):
        return 0.5 * (1 + erf((ALONG_MM - at) / sigma / 2**0.5))

    return outside + (layer - outside) * step(place) + (inside - layer) * step(place + thickness)


@pytest.mark.parametrize("sigma", [0.15, 0.3, 0.6])
@pytest.mark.parametrize(("layer", "inside"), [(1500, 150), (1300, 700), (60, -100)])
def test_an_edge_without_noise_is_fitted_exactly(sigma, layer, inside):
    thickness = max(1.6, 4 * sigma)
    fitted = fit_layered_edges(ALONG_MM, profile(-50.0, layer, inside, 0.2, thickness, sigma)[None])
    assert fitted.sigma_mm[0] == pytest.approx(sigma, rel=0.02)
    assert fitted.thickness_mm[0] == pytest.approx(thickness, rel=0.03)
    assert fitted.place_mm[0] == pytest.approx(0.2, abs=0.02)
    assert fitted.layer_hu[0] == pytest.approx(layer, abs=20)


def test_many_noisy_edges_are_right_on_the_median():
    noise = np.random.default_rng(3).normal(0, 60, (400, len(ALONG_MM)))
    fitted = fit_layered_edges(ALONG_MM, profile(20.0, 1500, 200, -0.1, 2.5, 0.3) + noise)
    assert np.median(fitted.sigma_mm) == pytest.approx(0.3, rel=0.03)


# ------------------------------------------------------------------------------------------------------------ a real CT


def test_a_real_ct_is_as_sharp_along_bone_as_along_skin(shared_data):
    found = ct_resolution(read_volume(shared_data / "knee-ct" / "knee_ct_right_image_side.nrrd"))
    assert found.reasons == ()
    assert 0.45 < found.in_plane.fwhm_mm < 0.7  # a bone kernel
    assert 0.65 < found.axial.fwhm_mm < 1.0  # slices of 0.625 mm every 0.4 mm
    assert 30 < found.noise.sd_hu < 80
