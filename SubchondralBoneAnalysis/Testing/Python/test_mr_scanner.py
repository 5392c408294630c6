"""The simulated MR scanner against analytic answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import sici

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.simulation.mr_scanner import tissue_signals as signals
from SubchondralBoneAnalysisLib.simulation.mr_scanner.acquisition import acquire
from SubchondralBoneAnalysisLib.simulation.mr_scanner.block_mr import mr_of_block
from SubchondralBoneAnalysisLib.simulation.mr_scanner.coil import REACH_MM, Coil
from SubchondralBoneAnalysisLib.simulation.mr_scanner.kspace import axis_window, window
from SubchondralBoneAnalysisLib.simulation.mr_scanner.motion import Motion
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrScan
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.mr_scanner.tissue_signals import TISSUES, tissue_signals
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid, grid_around, lattice_lps
from SubchondralBoneAnalysisLib.volume import Volume

EDGE, STEP = 96, 0.0625
HALF = 0.5 * EDGE * STEP
SILENT = 1e9  # SNR of no noise


def scan_of(name: str = "bffe-0.3x1.0", **changes) -> MrScan:
    """A scan without noise, coil, motion, fat shift, broadening, window; only what is asked for."""
    scan = MR_PROFILES[name].of_scan(np.random.default_rng(0), nuisance=0.0)
    plain = {"acquired": (1.0, 1.0, 1.0), "taper": 0.0, "fat_shift_px": 0.0, "broadening_mm": 0.0, "snr": SILENT}
    return replace(scan, **{**plain, **changes})


def rng() -> np.random.Generator:
    return np.random.default_rng(9)


def block_of(value) -> Volume:
    """A block around the origin from a function of x, y, z in mm."""
    at = (np.arange(EDGE) - 0.5 * (EDGE - 1)) * STEP
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    return Volume(np.asarray(value(x, y, z), np.float32), (STEP,) * 3, (at[0],) * 3)


def objects(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Random smooth water and fat."""
    draw = np.random.default_rng(4)
    return tuple(draw.uniform(0.2, 1.0, shape).astype(np.float32) for _ in range(2))


def test_all_of_kspace_without_any_fault_gives_the_object_back():
    water, fat = objects((5, 24, 30))
    np.testing.assert_allclose(acquire(water, fat, scan_of(), rng()), water + fat, atol=2e-6)
    with pytest.raises(BadInput, match="one shape"):
        acquire(water, fat[1:], scan_of(), rng())


@pytest.mark.parametrize("axis", [1, 2])
def test_fat_is_shifted_along_the_readout_by_as_many_pixels(axis):
    water, fat = objects((3, 24, 30))
    seen = acquire(water, fat, scan_of(fat_shift_px=3.0, readout_axis=axis), rng())
    np.testing.assert_allclose(seen, water + np.roll(fat, 3, axis), atol=2e-6)
    # By a part of a pixel: the centre of a smooth blob.
    at = np.indices((3, 24, 30))
    blob = np.exp(-0.5 * ((at[1] - 11) ** 2 + (at[2] - 14) ** 2) / 2.5**2).astype(np.float32)
    seen = acquire(0 * blob, blob, scan_of(fat_shift_px=1.37, readout_axis=axis), rng())
    moved = [(seen * at[n]).sum() / seen.sum() - (11, 14)[n - 1] for n in (1, 2)]
    assert moved[axis - 1] == pytest.approx(1.37, abs=0.02)
    assert moved[2 - axis] == pytest.approx(0.0, abs=0.02)


def test_profiles_shift_fat_by_hertz_over_bandwidth():
    profile = MR_PROFILES["pd-0.31x3.0"]
    # 3.4 ppm of 127.7 MHz over 300 Hz a measured pixel, of which 0.8 are as wide as 1 of the image.
    assert profile.fat_shift_px == pytest.approx(3.4 * 127.73 / 300.0 / 0.8, rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_edge_rings_by_nine_percent_where_kspace_is_cut_and_not_where_it_fades(axis):
    shape = [4, 4, 4]
    shape[axis] = 512
    at = np.arange(512)
    step = np.where((at >= 128) & (at < 384), 1.0, 0.2).astype(np.float32)
    water = np.broadcast_to(np.expand_dims(step, [a for a in range(3) if a != axis]), shape).copy()
    acquired = [1.0, 1.0, 1.0]
    acquired[axis] = 0.2

    def overshoot(taper: float) -> float:
        seen = acquire(water, 0 * water, scan_of(acquired=tuple(acquired), taper=taper), rng())
        return (seen.max() - 1.0) / 0.8

    # Si(pi) / pi - 1/2, the overshoot at a jump of any Fourier series.
    assert overshoot(0.0) == pytest.approx(sici(np.pi)[0] / np.pi - 0.5, abs=0.006)
    assert overshoot(1.0) < 0.02
    assert overshoot(0.0) > overshoot(0.3) > overshoot(1.0)


def test_what_is_not_measured_is_zero_in_kspace():
    water, fat = objects((8, 32, 40))
    acquired = (0.5, 0.6, 0.72)
    # Bright enough that the magnitude is the image itself.
    seen = acquire(water + 5.0, fat, scan_of(acquired=acquired), rng())
    power = np.abs(np.fft.fftn(seen)) ** 2
    for axis, (size, part) in enumerate(zip(seen.shape, acquired, strict=True)):
        beyond = np.abs(np.fft.fftfreq(size)) > 0.5 * part
        assert np.compress(beyond, power, axis).max() < 1e-9 * power.max()


def test_slices_that_are_excited_alone_do_not_see_each_other():
    water, fat = objects((6, 16, 16))
    water[3:] = 0.0
    fat[3:] = 0.0
    assert acquire(water, fat, scan_of("pd-0.31x3.0", acquired=(0.5, 1.0, 1.0)), rng())[4:].max() < 1e-5
    assert acquire(water, fat, scan_of(acquired=(0.5, 1.0, 1.0)), rng())[4].max() > 0.02


@pytest.mark.parametrize("name", ["bffe-0.3x1.0", "pd-0.31x3.0"])
@pytest.mark.parametrize(("acquired", "taper"), [((1.0, 1.0, 1.0), 0.0), ((0.6, 0.7, 0.5), 0.4)])
def test_magnitudes_are_rician_with_the_snr_of_the_scan(name, acquired, taper):
    scan = scan_of(name, acquired=acquired, taper=taper, snr=20.0)
    nothing = np.zeros((24, 96, 96), np.float32)
    air = acquire(nothing, nothing, scan, rng())
    sd = 1.0 / 20.0
    assert air.mean() == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sd * np.sqrt(2 - np.pi / 2), rel=0.03)
    assert np.mean(air.astype(float) ** 2) == pytest.approx(2 * sd**2, rel=0.03)
    bright = acquire(nothing + 1.0, nothing, scan, rng())
    assert bright.mean() == pytest.approx(1.0 + 0.5 * sd**2, abs=0.003)
    assert bright.std() == pytest.approx(sd, rel=0.03)


def test_the_same_seed_is_the_same_image_and_another_one_is_not():
    water, fat = objects((4, 20, 20))
    scan = MR_PROFILES["bffe-0.3x1.0"].of_scan(np.random.default_rng(3))
    first = acquire(water, fat, scan, np.random.default_rng(1))
    assert first.dtype == np.float32
    again = MR_PROFILES["bffe-0.3x1.0"].of_scan(np.random.default_rng(3))
    assert np.array_equal(first, acquire(water, fat, again, np.random.default_rng(1)))
    assert not np.array_equal(first, acquire(water, fat, scan, np.random.default_rng(2)))


def test_motion_keeps_the_place_and_the_energy_and_ghosts_along_the_phase_encoding():
    at = np.indices((1, 128, 128))
    disc = (np.hypot(at[1] - 64, at[2] - 64) < 20).astype(np.float32)
    for readout in (1, 2):
        motion = Motion.drawn(np.random.default_rng(5), 0.5)
        scan = scan_of(motion=motion, readout_axis=readout)
        seen = acquire(disc, 0 * disc, scan, rng())
        # Phases only: Parseval.
        assert np.sum(seen.astype(float) ** 2) == pytest.approx(np.sum(disc), rel=1e-5)
        ghost = seen[0].astype(float) ** 2
        bands = [ghost[:, 54:75], ghost[54:75, :]]  # along rows, along columns
        along = {1: bands[0][:40].sum() + bands[0][-40:].sum(), 2: bands[1][:, :40].sum() + bands[1][:, -40:].sum()}
        assert along[3 - readout] > 3 * along[readout]
        still = acquire(disc, 0 * disc, replace(scan, motion=None), rng())
        assert np.abs(seen - still).max() > 0.05


def test_a_motion_has_the_spread_that_was_asked_for_and_starts_from_the_middle_of_kspace():
    spreads = []
    for seed in range(40):
        motion = Motion.drawn(np.random.default_rng(seed), 0.3)
        assert np.array_equal(motion(np.zeros(1)), np.zeros((2, 1)))
        spreads.append(motion(np.linspace(-1, 1, 1001)).std(axis=1))
    np.testing.assert_allclose(spreads, 0.3, rtol=1e-6)
    assert Motion.drawn(np.random.default_rng(0), 0.0) is None


def test_an_even_displacement_during_half_the_scan_is_the_shift_theorem():
    step = Motion(np.empty((0, 4)), np.array([[1.0, -2.0, 0.6]]))
    # Before the scan began: nothing moves.
    assert not step(np.linspace(-1, 1, 11)).any()
    lines = np.linspace(-1.0, 1.0, 9)[:, None]
    across = np.linspace(-1.0, 1.0, 7)[None, :]
    late = Motion(np.empty((0, 4)), np.array([[1.0, 0.1, 0.6]]))
    expected = np.where(lines > 0.1, np.exp(-2j * np.pi * across * 0.6), 1.0)
    np.testing.assert_allclose(late.phase(lines, lines, across), np.broadcast_to(expected, (9, 7)), atol=1e-5)


def test_the_coil_is_smooth_and_varies_as_asked():
    at = np.linspace(-60.0, 60.0, 13)
    drawn = []
    for seed in range(120):
        coil = Coil.drawn(np.random.default_rng(seed), 0.12)
        assert REACH_MM[0] <= coil.reach_mm <= REACH_MM[1]
        heard = np.log(coil.slice_sensitivity(10.0, at, at)) + 0.5 * (at[:, None] / coil.reach_mm) ** 2
        assert np.abs(np.diff(heard, axis=0)).max() < 0.12 * 2 * np.pi / 110.0 * 10.0 * np.sqrt(2 * 8)
        drawn.append(heard)
    assert np.std(drawn) == pytest.approx(0.12, rel=0.1)
    assert np.array_equal(Coil.drawn(rng(), 0.0).slice_sensitivity(0.0, at, at), np.ones((13, 13), np.float32))
    water, fat = objects((3, 20, 22))
    scan = scan_of(coil=Coil.drawn(np.random.default_rng(1), 0.2))
    ratio = acquire(water, fat, scan, rng()) / (water + fat)
    places = [(np.arange(size) - 0.5 * (size - 1)) * mm for size, mm in zip(ratio.shape, scan.spacing_mm, strict=True)]
    expected = scan.coil.slice_sensitivity(places[0][2], places[1], places[2])
    np.testing.assert_allclose(ratio[2], expected, rtol=1e-4)


def test_the_window_is_whole_inside_and_nothing_outside():
    part = np.array([0.0, 0.5, 0.75, 1.0, 1.01])
    np.testing.assert_allclose(window(part, 0.5), [1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(window(part, 0.0), [1.0, 1.0, 1.0, 1.0, 0.0])
    assert axis_window(64, 0.5, 0.0).sum() == 33


# Blocks of microstructure


def marrow(scan: MrScan) -> float:
    return sum(scan.signals["marrow"])


def across(scan: MrScan, axis: int, spacing: float = 0.1) -> Volume:
    """A fine line of voxels along an array axis, through the middle of a block."""
    shape, steps, origin = [1, 1, 1], list(scan.spacing_mm), [0.0, 0.0, 0.0]
    shape[axis], steps[axis] = int(4.0 / spacing), spacing
    origin[2 - axis] = -2.0 + 0.5 * spacing
    return empty_grid(tuple(shape), tuple(steps), tuple(origin))


def test_the_edge_of_bone_in_a_block_is_the_sine_integral_of_the_measured_voxel():
    scan = scan_of(spacing_mm=(0.4, 0.4, 0.4))
    for axis in range(3):
        grid = across(scan, axis)
        seen = mr_of_block(block_of(lambda *xyz, a=axis: xyz[2 - a] < 0.0), grid, scan, rng())
        place = lattice_lps(grid, np.indices(grid.array.shape).reshape(3, -1).T)[:, 2 - axis]
        expected = marrow(scan) * np.abs(0.5 + sici(np.pi * place / 0.4)[0] / np.pi)
        np.testing.assert_allclose(seen.ravel(), expected, atol=0.025)


def test_a_slice_that_is_excited_alone_is_the_mean_over_its_thickness():
    scan = scan_of("pd-0.31x3.0", spacing_mm=(2.0, 0.3, 0.3), slice_mm=2.0)
    grid = across(scan, 0)
    seen = mr_of_block(block_of(lambda _x, _y, z: z < 0.0), grid, scan, rng()).ravel()
    place = lattice_lps(grid, np.indices(grid.array.shape).reshape(3, -1).T)[:, 2]
    np.testing.assert_allclose(seen, marrow(scan) * np.clip(0.5 + place / 2.0, 0, 1), atol=0.015)


@pytest.mark.parametrize("broadening", [0.01, 0.03])
def test_a_plate_of_bone_loses_the_signal_of_a_layer_more_on_each_side(broadening):
    # A soft window: a sharp one would ring below zero, which the magnitude hides.
    scan = scan_of(spacing_mm=(0.4, 0.4, 0.4), taper=1.0)
    plate = block_of(lambda x, _y, _z: np.abs(x) < 0.5)
    grid = grid_around((0.0, 0.0, 0.0), (4.8, 1.2, 1.2), 0.2)

    def dark_mm(scan: MrScan) -> float:
        return float((1.0 - mr_of_block(plate, grid, scan, rng()) / marrow(scan)).mean(axis=(0, 1)).sum() * 0.2)

    assert dark_mm(scan) == pytest.approx(1.0, abs=0.01)
    assert dark_mm(replace(scan, broadening_mm=broadening)) == pytest.approx(1.0 + 2 * broadening, abs=0.012)


def test_fat_of_marrow_is_shifted_in_a_block_as_in_the_image():
    scan = scan_of(spacing_mm=(0.5, 0.5, 0.5), fat_shift_px=1.5, readout_axis=2)
    scan = replace(scan, signals={**scan.signals, "marrow": (0.0, 1.0)})
    hole = block_of(lambda x, y, z: np.exp(-0.5 * (x**2 + y**2 + z**2) / 0.4**2))
    grid = grid_around((0.0, 0.0, 0.0), (5.0, 5.0, 5.0), 0.25)
    dark = 1.0 - mr_of_block(hole, grid, scan, rng()).ravel()
    centre = dark @ lattice_lps(grid, np.indices(grid.array.shape).reshape(3, -1).T) / dark.sum()
    np.testing.assert_allclose(centre, [0.75, 0.0, 0.0], atol=0.02)


def test_cartilage_in_a_block_has_its_own_signal_and_no_fat_shift():
    scan = scan_of("dess-0.36x0.7", fat_shift_px=1.5)
    block = block_of(lambda x, _y, _z: 0 * x)
    part = block_of(lambda x, _y, _z: np.ones_like(x)).array
    grid = grid_around((0.0, 0.0, 0.0), (3.0, 3.0, 3.0), scan.spacing_mm)
    np.testing.assert_allclose(mr_of_block(block, grid, scan, rng(), part), scan.signals["cartilage"][0], atol=1e-4)
    np.testing.assert_allclose(mr_of_block(block, grid, scan, rng()), marrow(scan), atol=1e-4)
    half = block_of(lambda x, _y, _z: 0 * x + 0.5)
    np.testing.assert_allclose(mr_of_block(half, grid, scan, rng()), 0.5 * marrow(scan), atol=1e-4)


def test_a_block_has_the_noise_of_the_scan_and_moves_like_the_leg():
    profile = MR_PROFILES["bffe-0.22x0.75"]
    scan = replace(profile.of_scan(np.random.default_rng(0), 0.0), snr=20.0)
    block = block_of(lambda x, _y, _z: 0 * x)
    grid = grid_around((0.0, 0.0, 0.0), (5.0, 5.0, 5.0), scan.spacing_mm)
    drawn = np.array([mr_of_block(block, grid, scan, np.random.default_rng(n)) for n in range(30)], float)
    assert drawn.std() == pytest.approx(1.0 / 20.0, rel=0.06)
    assert np.array_equal(mr_of_block(block, grid, scan, rng()), mr_of_block(block, grid, scan, rng()))
    # A displacement that begins after the middle of k-space leaves the mean of an even block alone and blurs a hole.
    hole = block_of(lambda x, y, z: np.exp(-0.5 * (x**2 + y**2 + z**2) / 0.4**2))
    quiet = replace(scan, snr=SILENT)
    moved = replace(quiet, motion=Motion.drawn(np.random.default_rng(2), 0.2))
    np.testing.assert_allclose(
        mr_of_block(block, grid, moved, rng()), mr_of_block(block, grid, quiet, rng()), atol=1e-4
    )
    still, blurred = (1.0 - mr_of_block(hole, grid, one, rng()) for one in (quiet, moved))
    assert np.abs(blurred - still).max() > 0.01


def test_a_block_moves_as_the_whole_image_does():
    # Slow enough that the lines of both, which lie at other places of k-space, see one motion.
    waves = np.array([[0.0, 1.1, 0.4, 0.15], [1.0, 0.7, 2.0, 0.20]])
    scan = scan_of(spacing_mm=(0.25, 0.25, 0.25), acquired=(0.6, 0.6, 0.6), taper=0.5)
    scan = replace(scan, motion=Motion(waves, np.empty((0, 3))))

    def hole(x, y, z):
        return np.exp(-0.5 * (x**2 + (y - 0.3) ** 2 + z**2) / 0.35**2)

    grid = grid_around((0.0, 0.0, 0.0), (6.0, 6.0, 6.0), scan.spacing_mm)
    points = lattice_lps(grid, np.indices(grid.array.shape).reshape(3, -1).T)
    whole = (marrow(scan) * (1.0 - hole(*points.T))).reshape(grid.array.shape).astype(np.float32)
    for readout in (1, 2):
        turned = replace(scan, readout_axis=readout)
        expected = acquire(whole, 0 * whole, turned, rng())
        still = acquire(whole, 0 * whole, replace(turned, motion=None), rng())
        seen = mr_of_block(block_of(hole), grid, turned, rng())
        assert np.abs(expected - still).max() > 0.06
        np.testing.assert_allclose(seen, expected, atol=0.01)


def test_a_turned_grid_sees_a_turned_block():
    quarter = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    scan = scan_of("bffe-0.22x0.75", taper=0.3, acquired=(0.8, 0.5, 0.7), fat_shift_px=0.7)
    block = block_of(lambda x, y, z: np.sin(3 * x + 1) * np.cos(4 * y) * np.cos(2 * z) > 0.2)
    turned = replace(block, array=np.rot90(block.array, axes=(1, 2)).copy())
    straight = grid_around((0.0, 0.0, 0.0), (4.0, 4.0, 3.0), scan.spacing_mm)
    about = grid_around((0.0, 0.0, 0.0), (4.0, 4.0, 3.0), scan.spacing_mm, quarter)
    np.testing.assert_allclose(
        mr_of_block(block, about, scan, rng()), mr_of_block(turned, straight, scan, rng()), atol=2e-3
    )


# Profiles and signals


def test_profiles_to_train_on_and_held_out_ones():
    train = [profile for profile in MR_PROFILES.values() if not profile.held_out]
    held_out = [profile for profile in MR_PROFILES.values() if profile.held_out]
    assert len(train) >= 5
    assert len(held_out) >= 3
    assert {profile.kind for profile in train} == {profile.kind for profile in held_out} == {"bffe", "dess", "pd"}
    assert all(name == profile.name for name, profile in MR_PROFILES.items())
    for profile in held_out:
        assert profile.spacing_mm not in {other.spacing_mm for other in train}
        assert profile.snr < min(other.snr for other in train if other.kind == profile.kind)
    for profile in MR_PROFILES.values():
        assert profile.three_d or 0.5 * profile.spacing_mm[0] < profile.slice_mm <= profile.spacing_mm[0]
        assert 0.3 < profile.fat_shift_px < 3.5


def test_marrow_is_dark_in_dess_and_bright_elsewhere_and_fluid_outshines_cartilage():
    for profile in MR_PROFILES.values():
        scan = profile.of_scan(np.random.default_rng(0), nuisance=0.0)
        assert set(scan.signals) == set(TISSUES)
        total = {name: sum(signal) for name, signal in scan.signals.items()}
        assert max(value for name, value in total.items() if name != "fluid") == pytest.approx(1.0)
        assert total["air"] == 0.0
        assert total["cortex"] < 0.03
        assert total["fluid"] > 1.15 * total["cartilage"]
        assert total["cartilage"] > 1.05 * total["muscle"] > 1.5 * total["meniscus"]
        if profile.kind == "dess":
            assert total["marrow"] < 0.5 * total["muscle"]
        else:
            assert total["marrow"] > 1.5 * total["cartilage"]
            assert scan.signals["marrow"][1] > 5 * scan.signals["marrow"][0]


def test_scans_differ_and_a_still_one_is_the_profile():
    profile = MR_PROFILES["bffe-0.22x0.75"]
    still = profile.of_scan(np.random.default_rng(0), nuisance=0.0)
    assert (still.snr, still.fat_shift_px, still.broadening_mm) == (
        profile.snr,
        profile.fat_shift_px,
        profile.broadening_mm,
    )
    assert still.motion is None
    draw = np.random.default_rng(1)
    scans = [profile.of_scan(draw) for _ in range(1500)]
    assert np.std(np.log([scan.snr for scan in scans])) == pytest.approx(0.25, rel=0.08)
    assert np.std(np.log([scan.signals["marrow"][1] for scan in scans])) == pytest.approx(0.08, rel=0.08)
    with pytest.raises(BadInput, match="nuisance of -2"):
        profile.of_scan(draw, nuisance=-2.0)


def test_the_voxel_as_a_box_is_what_fields_are_drawn_with():
    scan = scan_of(spacing_mm=(1.2, 0.6, 0.3))
    grid = grid_around((0.0, 0.0, 0.0), (4.0, 4.0, 4.0), scan.spacing_mm)
    np.testing.assert_allclose(scan.sd_along(np.eye(3), grid), np.array([0.3, 0.6, 1.2]) / np.sqrt(12.0))
    thick = scan_of("pd-0.31x3.0", spacing_mm=(3.0, 0.3, 0.3), slice_mm=2.4)
    assert thick.sd_along(np.array([[0.0, 0.0, 1.0]]), grid)[0] == pytest.approx(2.4 / np.sqrt(12.0))
    np.testing.assert_allclose(scan.edge(np.array([-9.0, 0.0, 9.0]), 0.3), [0.0, 0.5, 1.0], atol=1e-9)


def steady_state(tr: float, flip_deg: float, t1: float, t2: float, balanced: bool) -> tuple[float, float]:
    """Transverse magnetisation just after and just before a pulse, by turning and relaxing isochromats pulse by pulse.

    The gradients of an unbalanced sequence spread them evenly over a whole turn; a balanced one alternates its pulses.
    """
    off = np.array([np.pi]) if balanced else np.linspace(0.0, 2 * np.pi, 257)[:-1]
    flip = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    transverse, along = np.zeros(len(off), complex), np.ones(len(off))
    for _ in range(int(12 * t1 / tr)):
        before = transverse
        # A pulse about x.
        real, imag = transverse.real, transverse.imag
        transverse = real + 1j * (imag * np.cos(flip) + along * np.sin(flip))
        along = along * np.cos(flip) - imag * np.sin(flip)
        after = transverse
        transverse = transverse * e2 * np.exp(1j * off)
        along = 1.0 + (along - 1.0) * e1
    return float(np.abs(after.mean())), float(np.abs(before.mean()))


@pytest.mark.parametrize(("t1", "t2"), [(1150.0, 38.0), (370.0, 130.0), (1400.0, 32.0)])
def test_signals_are_those_of_spins_that_are_turned_and_relax(t1, t2):
    tr, te, flip = 16.3, 4.7, 25.0
    after, before = steady_state(tr, flip, t1, t2, balanced=False)
    expected = np.hypot(after * np.exp(-te / t2), before * np.exp(te / t2))
    assert signals._both_echoes(tr, te, np.deg2rad(flip), t1, t2) == pytest.approx(expected, rel=0.01)
    after, _ = steady_state(7.0, 40.0, t1, t2, balanced=True)
    found = signals._balanced(7.0, 3.5, np.deg2rad(40.0), t1, t2)
    assert found == pytest.approx(after * np.exp(-3.5 / t2), rel=0.01)
    assert signals._spin_echo(3000.0, 30.0, 0.0, t1, t2) == pytest.approx(
        (1 - np.exp(-3000.0 / t1)) * np.exp(-30.0 / t2)
    )


def test_suppressed_fat_is_dark_and_at_low_field_water_recovers_faster():
    whole, left = (tissue_signals("pd", 3000.0, 30.0, 90.0, part)["fat"] for part in (1.0, 0.05))
    assert left[1] / left[0] == pytest.approx(0.05 * whole[1] / whole[0])
    high, low = (tissue_signals("pd", 1000.0, 20.0, 90.0, tesla=tesla)["muscle"] for tesla in (3.0, 1.5))
    assert low[0] > 1.1 * high[0]
