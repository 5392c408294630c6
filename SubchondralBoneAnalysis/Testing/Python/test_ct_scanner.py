"""The simulated CT scanner against analytic answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.ct_scanner import beam_hardening as hardening
from SubchondralBoneAnalysisLib.simulation.ct_scanner.beam_hardening import hardened
from SubchondralBoneAnalysisLib.simulation.ct_scanner.block_ct import ct_of_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.bone_attenuation import solid_bone_hu
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import (
    AXIAL_FWHM_SD_MM,
    GAIN_SD,
    IN_PLANE_FWHM_SD_MM,
    MARROW_SD_HU,
    MOST_OF_FWHM,
    NOISE_LOG_SD,
    OFFSET_SD_HU,
    TISSUE_LOG_SD,
    CtScan,
)
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.ct_scanner.parallel_beam import back_projected, projector, ray_count
from SubchondralBoneAnalysisLib.simulation.ct_scanner.recording import calibrated, recorded
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.ct_scanner.table import MAT_HU, MAT_MM, SHELL_HU, SHELL_MM, with_table
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

EDGE, STEP = 96, 0.0625
TURNED = tuple(Rotation.from_euler("xyz", [20, 35, 50], degrees=True).as_matrix().ravel())
STRAIGHT = tuple(np.eye(3).ravel())


def block_of(value, edge: int = EDGE) -> Volume:
    """A block around the origin from a function of x, y, z in mm."""
    at = (np.arange(edge) - 0.5 * (edge - 1)) * STEP
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    return Volume(np.asarray(value(x, y, z), np.float32), (STEP,) * 3, (at[0],) * 3)


def points_of(grid: Volume) -> np.ndarray:
    return lattice_lps(grid, np.indices(grid.array.shape).reshape(3, -1).T)


def scan_of(name: str = "bone-0.5", **changes) -> CtScan:
    scan = CT_PROFILES[name].of_scan(np.random.default_rng(0), nuisance=0.0)
    return replace(scan, **{"beam_hardening_hu": 0.0, **changes})


@pytest.mark.parametrize("direction", [STRAIGHT, TURNED], ids=["straight", "turned"])
@pytest.mark.parametrize("name", CT_PROFILES)
def test_a_half_space_has_the_edge_response_of_the_scanner(name, direction):
    scan, normal, place = scan_of(name), np.array([0.3, 0.5, 0.81]), 0.13
    normal = normal / np.linalg.norm(normal)
    # What of a fine voxel is inside, linear across it, is exact enough where it is much smaller than the blur.
    block = block_of(
        lambda x, y, z: np.clip((normal[0] * x + normal[1] * y + normal[2] * z - place) / STEP + 0.5, 0, 1)
    )
    grid = grid_around((0.0, 0.0, 0.0), (3.0, 3.0, 3.0), scan.spacing_mm, direction)
    seen = ct_of_block(block, grid, scan)
    expected = scan.scanner.edge(points_of(grid) @ normal - place, scan.scanner.sd_along(normal[None], grid))
    assert seen.shape == grid.array.shape
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.ravel(), expected, atol=2e-3)


@pytest.mark.parametrize("overshoot", [0.0, 0.15])
def test_a_wave_is_weakened_by_the_transfer_function(overshoot):
    scan = scan_of(scanner=Scanner(0.62, 0.75, overshoot, 0.0), spacing_mm=(0.5, 0.25, 0.25))
    grid = grid_around((0.0, 0.0, 0.0), (3.0, 3.0, 3.0), scan.spacing_mm)
    in_plane, axial = scan.scanner.sd_mm
    for axis, sd in ((0, in_plane), (2, axial)):
        # One that repeats in the mirrored block.
        per_mm = 5.0 / (EDGE * STEP)
        seen = ct_of_block(
            block_of(lambda *xyz, axis=axis, f=per_mm: np.cos(2 * np.pi * f * (xyz[axis] + 0.5 * EDGE * STEP))),
            grid,
            scan,
        )
        single = np.exp(-2 * np.pi**2 * sd**2 * per_mm**2)
        expected = (1 + overshoot) * single - overshoot * single**4
        wave = np.cos(2 * np.pi * per_mm * (points_of(grid)[:, axis] + 0.5 * EDGE * STEP))
        np.testing.assert_allclose(seen.ravel(), expected * wave, atol=4e-3)


def test_a_small_bright_thing_is_seen_where_it_is_and_with_the_width_of_the_spread():
    place, own = np.array([0.19, -0.28, 0.35]), 0.12
    block = block_of(
        lambda x, y, z: 1e3 * np.exp(-0.5 * ((x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2) / own**2)
    )
    scan = scan_of(scanner=Scanner(0.6, 0.9), spacing_mm=(0.3, 0.2, 0.2))
    for direction in (STRAIGHT, TURNED):
        grid = grid_around((0.0, 0.0, 0.0), (4.0, 4.0, 4.0), scan.spacing_mm, direction)
        seen, points = ct_of_block(block, grid, scan).ravel().astype(float), points_of(grid)
        centre = seen @ points / seen.sum()
        np.testing.assert_allclose(centre, place, atol=0.003)
        away = (points - centre) @ np.reshape(direction, (3, 3))
        variance = seen @ away**2 / seen.sum()
        in_plane, axial = scan.scanner.sd_mm
        np.testing.assert_allclose(variance - own**2, [in_plane**2, in_plane**2, axial**2], rtol=0.02)


def test_an_even_block_stays_even_and_trabeculae_keep_their_mean():
    scan = scan_of()
    grid = grid_around((0.0, 0.0, 0.0), (5.0, 5.0, 5.0), scan.spacing_mm, TURNED)
    np.testing.assert_allclose(ct_of_block(block_of(lambda x, _y, _z: 0 * x - 60.0), grid, scan), -60.0, atol=1e-3)
    fine = np.random.default_rng(1).random((EDGE,) * 3) < 0.3
    block = block_of(lambda _x, _y, _z: np.where(fine, 1750.0, -60.0))
    assert abs(ct_of_block(block, grid, scan).mean() - block.array.mean()) < 15


def test_averaging_two_fine_voxels_first_changes_less_than_the_noise(monkeypatch):
    rng = np.random.default_rng(2)
    plates = sum(
        np.cos(2 * np.pi * (waves @ np.stack(np.meshgrid(*[np.arange(EDGE) * STEP] * 3)).reshape(3, -1)) + phase)
        for waves, phase in zip(rng.normal(0.0, 0.8, (12, 3)), rng.uniform(0, 6, 12), strict=True)
    ).reshape((EDGE,) * 3)
    block = block_of(lambda _x, _y, _z: np.where(np.abs(plates) < 0.8, 1750.0, -60.0))
    scan = scan_of("sharp-0.3")
    grid = grid_around((0.0, 0.0, 0.0), (3.0, 3.0, 3.0), scan.spacing_mm, TURNED)
    quick = ct_of_block(block, grid, scan)
    monkeypatch.setattr("SubchondralBoneAnalysisLib.simulation.fine_block.FINEST_SEEN", 1e9)
    exact = ct_of_block(block, grid, scan)
    assert not np.array_equal(quick, exact)
    assert np.std(quick - exact) < 0.02 * np.std(exact)


def test_profiles_to_train_on_and_held_out_ones_that_differ_in_everything():
    train = [profile for profile in CT_PROFILES.values() if not profile.held_out]
    held_out = [profile for profile in CT_PROFILES.values() if profile.held_out]
    assert len(train) >= 6
    assert len(held_out) >= 3
    assert all(name == profile.name for name, profile in CT_PROFILES.items())

    def traits(profile):
        scanner = profile.scanner
        blur = (scanner.in_plane_fwhm_mm, scanner.axial_fwhm_mm)
        return (*blur, scanner.noise_hu, scanner.noise_peak_per_mm, *profile.spacing_mm[:2])

    trained = np.array([traits(profile) for profile in train])
    for profile in held_out:
        assert not np.any(trained == np.array(traits(profile))), profile.name
    # Sharper, smoother, noisier than all that are trained on.
    assert min(p.scanner.in_plane_fwhm_mm for p in held_out) < trained[:, 0].min()
    assert max(p.scanner.in_plane_fwhm_mm for p in held_out) > trained[:, 0].max()
    assert max(p.scanner.noise_hu for p in held_out) > trained[:, 2].max()
    assert {profile.kvp for profile in held_out} - {profile.kvp for profile in train}
    for profile in CT_PROFILES.values():
        # Sampled finely enough that a Gaussian spread is not aliased by more than a few percent.
        assert profile.spacing_mm[1] < 0.85 * profile.scanner.in_plane_fwhm_mm
        assert profile.bone_hu == solid_bone_hu(profile.kvp)


def test_bone_is_brighter_at_low_voltage():
    values = [solid_bone_hu(kvp) for kvp in (80.0, 100.0, 120.0, 140.0)]
    assert np.all(np.diff(values) < -100)
    assert values[2] == pytest.approx(1750, abs=10)
    # The tables themselves at one of their energies: 1.92 x 0.3148 / 0.2059 - 1.
    assert values[1] == pytest.approx(1935.5, abs=0.5)
    with pytest.raises(BadInput, match="90 kVp"):
        solid_bone_hu(90.0)


def test_scans_differ_as_asked_and_the_same_seed_is_the_same_scan():
    profile = CT_PROFILES["bone-0.5"]
    still = profile.of_scan(np.random.default_rng(1), nuisance=0.0)
    assert still.scanner == profile.scanner
    assert (still.bone_hu, still.calibration_gain) == (profile.bone_hu, 1.0)
    assert profile.of_scan(np.random.default_rng(1)) == profile.of_scan(np.random.default_rng(1))
    for nuisance in (0.5, 1.0):
        rng = np.random.default_rng(3)
        scans = [profile.of_scan(rng, nuisance) for _ in range(3000)]
        spread = {
            "bone": np.std(np.log([scan.bone_hu for scan in scans])) / TISSUE_LOG_SD,
            "marrow": np.std([scan.marrow_hu for scan in scans]) / MARROW_SD_HU,
            "gain": np.std([scan.calibration_gain for scan in scans]) / GAIN_SD,
            "offset": np.std([scan.calibration_offset_hu for scan in scans]) / OFFSET_SD_HU,
            "in plane": np.std([scan.scanner.in_plane_fwhm_mm for scan in scans]) / IN_PLANE_FWHM_SD_MM,
            "axial": np.std([scan.scanner.axial_fwhm_mm for scan in scans]) / AXIAL_FWHM_SD_MM,
            "noise": np.std(np.log([scan.scanner.noise_hu for scan in scans])) / NOISE_LOG_SD,
        }
        for name, found in spread.items():
            assert found == pytest.approx(0.96 * nuisance, rel=0.06), name  # of a normal deviate cut at 2 SD
    farthest = [profile.of_scan(np.random.default_rng(number), 10.0).scanner.in_plane_fwhm_mm for number in range(50)]
    assert min(farthest) == pytest.approx((1 - MOST_OF_FWHM) * profile.scanner.in_plane_fwhm_mm)
    assert max(farthest) == pytest.approx((1 + MOST_OF_FWHM) * profile.scanner.in_plane_fwhm_mm)
    with pytest.raises(BadInput, match="nuisance of -1"):
        profile.of_scan(np.random.default_rng(0), nuisance=-1.0)


def test_calibration_leaves_water_to_the_offset_and_air_to_itself():
    scan = scan_of(calibration_gain=1.03, calibration_offset_hu=4.0)
    hu = np.array([-1000.0, -100.0, 0.0, 1000.0], np.float32)
    np.testing.assert_allclose(calibrated(hu, scan), [-999.0, -99.0, 4.0, 1034.0], atol=1e-3)
    assert hu[3] == 1000.0


def test_a_recorded_volume_has_the_noise_of_the_scan_in_whole_hounsfield_units():
    scan = scan_of()
    grid = empty_grid((20, 128, 128), scan.spacing_mm, (0.0, 0.0, 0.0))
    hu = np.full(grid.array.shape, 40.0, np.float32)
    first = recorded(hu, grid, scan, np.random.default_rng(5))
    assert first.dtype == np.int16
    assert np.array_equal(first, recorded(hu, grid, scan, np.random.default_rng(5)))
    assert not np.array_equal(first, recorded(hu, grid, scan, np.random.default_rng(6)))
    assert first.std() == pytest.approx(scan.scanner.noise_hu, rel=0.02)
    assert first.mean() == pytest.approx(40.0, abs=1.5)
    quiet = scan_of(scanner=replace(scan.scanner, noise_hu=0.0))
    assert np.array_equal(recorded(hu * 100, grid, quiet, np.random.default_rng(5)), np.full(hu.shape, 3071, np.int16))


def test_noise_power_in_the_slice_rises_from_zero_to_its_peak():
    scan = scan_of("bone-0.4")
    size, pixel = 128, scan.spacing_mm[1]
    grid = empty_grid((60, size, size), scan.spacing_mm, (0.0, 0.0, 0.0))
    noise = recorded(np.zeros(grid.array.shape, np.float32), grid, scan, np.random.default_rng(7))
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size, pixel)] * 2))
    rings = np.arange(0.0, 1.5, 0.05)
    found = np.array([power[(radius >= low) & (radius < low + 0.05)].mean() for low in rings])
    assert rings[np.argmax(found)] + 0.025 == pytest.approx(scan.scanner.noise_peak_per_mm, abs=0.1)
    assert found[0] < 0.15 * found.max()


def test_small_grids_see_parts_of_a_larger_field_of_noise():
    scan = scan_of()
    grid = grid_around((0.0, 0.0, 0.0), (6.0, 6.0, 6.0), scan.spacing_mm)
    flat = np.zeros(grid.array.shape, np.float32)
    drawn = np.array([recorded(flat, grid, scan, np.random.default_rng([8, n])) for n in range(120)], float)
    assert drawn.std() == pytest.approx(scan.scanner.noise_hu, rel=0.05)
    assert drawn.std(axis=(1, 2, 3)).std() > 0.01 * scan.scanner.noise_hu


def test_projections_come_back_as_the_slice_that_they_are_of():
    size, angles = 72, 90
    y, x = np.indices((size, size)) - 0.5 * (size - 1)
    smooth = np.exp(-0.5 * ((x - 8) ** 2 + (y + 5) ** 2) / 6.0**2)
    lines = (projector(size, angles) @ smooth.reshape(-1, 1)).reshape(angles, ray_count(size), 1)
    # Each projection holds the whole mass, and that of a Gaussian is one of the same width.
    np.testing.assert_allclose(lines.sum(axis=1), smooth.sum(), rtol=1e-3)
    assert np.median(lines.max(axis=1)) == pytest.approx(6.0 * np.sqrt(2 * np.pi), rel=0.02)
    assert np.abs(back_projected(lines, size)[..., 0] - smooth).max() < 0.04


def disc_slices(grid: Volume, discs, value: float) -> np.ndarray:
    left, back, _ = points_of(grid).T.reshape(3, *grid.array.shape)
    bone = np.zeros(grid.array.shape, bool)
    for (x, y), radius in discs:
        bone |= np.hypot(left - x, back - y) < radius
    return np.where(bone, value, 50.0).astype(np.float32)


def test_a_disc_of_bone_is_cupped_as_the_abel_transform_says():
    scan = scan_of(beam_hardening_hu=20.0)
    radius, value = hardening.REFERENCE_MM, hardening.SOFT_HU + hardening.REFERENCE_HU
    grid = grid_around((0.0, 0.0, 0.0), (130.0, 140.0, 12.0), (2.0, 1.0, 1.0))
    hu = disc_slices(grid, [((4.0, -6.0), radius)], value)
    error = (hardened(hu, grid, scan) - hu)[3]
    x, y, _ = points_of(grid).T.reshape(3, *grid.array.shape)[:, 3]
    away = np.hypot(x - 4.0, y + 6.0)
    for at in (0.0, 6.0, 12.0, 18.0, 24.0):
        expected = -20.0 * np.sqrt(1.0 - (at / radius) ** 2)
        assert error[np.abs(away - at) < 1.0].mean() == pytest.approx(expected, abs=0.5)
    assert np.abs(error[away > radius + 8.0]).max() < 2.0
    # To second order: twice the bone, four times the error.
    twice = disc_slices(grid, [((4.0, -6.0), radius)], hardening.SOFT_HU + 2 * hardening.REFERENCE_HU)
    np.testing.assert_allclose((hardened(twice, grid, scan) - twice)[3], 4 * error, atol=0.01)
    assert np.array_equal(hardened(hu, grid, replace(scan, beam_hardening_hu=0.0)), hu)


def test_between_two_bones_lies_a_dark_band():
    scan = scan_of(beam_hardening_hu=20.0)
    grid = grid_around((0.0, 0.0, 0.0), (150.0, 150.0, 12.0), (3.0, 1.0, 1.0))
    hu = disc_slices(grid, [((-35.0, 0.0), 18.0), ((35.0, 0.0), 18.0)], 700.0)
    error = (hardened(hu, grid, scan) - hu)[2]
    assert error[75, 75] < -3.0
    assert error[75, 75] < error[20, 75] - 3.0
    # Oblong pixels and the same place give the same error.
    oblong = grid_around((0.0, 0.0, 0.0), (150.0, 150.0, 12.0), (3.0, 1.5, 1.0))
    hu = disc_slices(oblong, [((-35.0, 0.0), 18.0), ((35.0, 0.0), 18.0)], 700.0)
    assert (hardened(hu, oblong, scan) - hu)[2][50, 75] == pytest.approx(error[75, 75], abs=1.0)


@pytest.mark.parametrize("direction", [STRAIGHT, (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)], ids=["axial", "other"])
def test_the_table_lies_behind_the_leg_and_touches_it(direction):
    scan = scan_of()
    grid = grid_around((0.0, 0.0, 0.0), (60.0, 60.0, 60.0), 0.75, direction)
    x, y, _ = points_of(grid).T.reshape(3, *grid.array.shape)
    hu = np.where(np.hypot(x, y + 8.0) < 20.0, 50.0, -1000.0).astype(np.float32)
    seen = with_table(hu, grid, scan)
    assert seen.dtype == np.float32
    middle = np.abs(x) < 2.0
    back = y[hu > 0].max()
    shell = seen[middle & (np.abs(y - back - MAT_MM - 0.5 * SHELL_MM) < SHELL_MM)]
    assert shell.max() == pytest.approx(SHELL_HU, abs=20)
    assert seen[middle & (np.abs(y - back - 0.5 * MAT_MM) < 1.0)].mean() == pytest.approx(MAT_HU, abs=15)
    # A hollow: at the sides it is higher.
    aside = np.abs(np.abs(x) - 26.0) < 1.5
    heights = [y[part & (seen > -500) & (y > 8.0)].mean() for part in (middle & (y > back + 4), aside)]
    assert heights[1] < heights[0] - 0.7
    assert np.array_equal(seen[y < 5.0], hu[y < 5.0])
    assert np.array_equal(with_table(hu, grid, replace(scan, table=False)), hu)


def test_without_a_leg_there_is_no_table_to_place():
    grid = empty_grid((4, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    air = np.full(grid.array.shape, -1000.0, np.float32)
    assert np.array_equal(with_table(air, grid, scan_of()), air)
