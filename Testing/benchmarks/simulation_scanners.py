"""What the simulated scanners make of an edge and of nothing: resolution and noise, measured from their images.

Edge: a half space of bone, its face 5 degrees off the voxels, so that voxels lie at all distances from it. Distance
from 10 to 90 % of the step, and width at half the maximum of its derivative. Noise: a field of water.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy.interpolate import LSQUnivariateSpline

from SubchondralBoneAnalysisLib.simulation.bone_block import VOXEL_MM, VOXELS
from SubchondralBoneAnalysisLib.simulation.ct_scanner.block_ct import ct_of_block
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profile import CtProfile
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.ct_scanner.recording import recorded
from SubchondralBoneAnalysisLib.simulation.mr_scanner.block_mr import mr_of_block
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profile import MrProfile
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.voxel_grid import empty_grid
from SubchondralBoneAnalysisLib.volume import Volume

TILT = np.tan(np.radians(5.0))
REACH_MM = 2.8  # to either side of the edge
KNOT_MM = 0.08
SAMPLE_MM = 0.1  # voxels lie at least as densely along the edge, if need be by moving the grid
WINDOW_MM = 6.6
FLAT = (24, 256, 256)
NO_NOISE = 1e9
RING_PER_MM = 0.08  # width of the rings of the noise power


def tables() -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    rows = [ct_row(profile, np.random.default_rng(11)) for profile in CT_PROFILES.values()]
    yield "simulation_ct_scanners", "Edge response and noise of the CT profiles, measured and as given", rows
    rows = [mr_row(profile, np.random.default_rng(12)) for profile in MR_PROFILES.values()]
    yield "simulation_mr_scanners", "Resolution and noise of the MR profiles", rows


def ct_row(profile: CtProfile, rng: np.random.Generator) -> dict:
    """A CT profile without nuisances."""
    scan = profile.of_scan(rng, 0.0)
    row = {
        "profile": profile.name + (", held out" if profile.held_out else ""),
        "voxel, mm (slice)": f"{profile.spacing_mm[2]:g} ({profile.spacing_mm[0]:g})",
        "kVp": profile.kvp,
    }
    for name, axis, told in (("in plane", 2, 0), ("across slices", 0, 1)):
        block = half_space(axis)
        width, rise = edge_mm(axis, scan.spacing_mm, lambda grid, block=block: ct_of_block(block, grid, scan))
        depth = np.linspace(-REACH_MM, REACH_MM, 4001)
        known = scan.scanner.edge(depth, scan.scanner.sd_mm[told])
        fwhm, known_rise = _width_and_rise(depth, known)
        row[f"FWHM {name}, mm (given)"] = f"{width:.2f} ({fwhm:.2f})"
        row[f"10 to 90 % {name}, mm (given)"] = f"{rise:.2f} ({known_rise:.2f})"
    noise = noise_of(profile, rng)
    row["noise SD, HU (given)"] = f"{noise.array.std():.0f} ({scan.scanner.noise_hu:g})"
    peak, half = noise_power(noise)
    nyquist = 0.5 / scan.spacing_mm[2]
    told = min(scan.scanner.noise_peak_per_mm, nyquist)
    row["noise power: peak, 1/mm (given)"] = f"{peak:.2f} ({told:.2f})"
    row["mean frequency, 1/mm"] = round(half, 2)
    row["noise: correlation of next slices"] = round(_correlation(noise.array, 0), 2)
    return row


def mr_row(profile: MrProfile, rng: np.random.Generator) -> dict:
    """An MR profile without nuisances, in an even coil."""
    scan = profile.of_scan(rng, 0.0)
    quiet = replace(scan, snr=NO_NOISE, fat_shift_px=0.0)
    row = {
        "profile": profile.name + (", held out" if profile.held_out else ""),
        "kind": profile.kind,
        "voxel of the image (slice, row, column), mm": " x ".join(f"{s:g}" for s in profile.spacing_mm),
    }
    for name, axis in (("slice", 0), ("row", 1), ("column", 2)):
        block = half_space(axis, (1.0, 0.0))
        width, _ = edge_mm(axis, scan.spacing_mm, lambda grid, block=block: mr_of_block(block, grid, quiet, rng))
        step = scan.slice_mm if axis == 0 and not scan.three_d else scan.spacing_mm[axis]
        measured = step if axis == 0 and not scan.three_d else step / scan.acquired[axis]
        row[f"FWHM along {name}, mm (measured voxel)"] = f"{width:.2f} ({measured:.2f})"
    grid = grid_of(scan.spacing_mm)
    marrow = replace(half_space(0), array=np.zeros((VOXELS,) * 3, bool))
    twice = [mr_of_block(marrow, grid, scan, np.random.default_rng(seed)) for seed in (1, 2)]
    row["marrow over noise"] = round(float(np.mean(twice[0]) / (np.std(twice[0] - twice[1]) / np.sqrt(2))), 1)
    row["fat shift, voxels"] = round(scan.fat_shift_px, 2)
    row["surfaces moved out, mm"] = round(scan.broadening_mm, 3)
    return row


def grid_of(spacing_mm: tuple[float, float, float], shift_mm: tuple[float, float, float] = (0, 0, 0)) -> Volume:
    """The middle of a block as voxels along its axes; `shift_mm` along (k, j, i)."""
    shape = tuple(max(int(WINDOW_MM / s), 2) for s in spacing_mm)
    first = [-0.5 * (n - 1) * s + shift for n, s, shift in zip(shape, spacing_mm, shift_mm, strict=True)]
    return empty_grid(shape, spacing_mm, tuple(first[::-1]))


def half_space(axis: int, levels: tuple[float, float] = (0.0, 1000.0)) -> Volume:
    """A block float32 [k, j, i] of which the part above an inclined plane through its middle has the second level."""
    places = np.meshgrid(*((np.arange(VOXELS) + 0.5 - 0.5 * VOXELS,) * 3), indexing="ij", sparse=True)
    depth = _across(places, axis)
    part = np.clip(depth + 0.5, 0.0, 1.0).astype(np.float32)
    corner = (0.5 - 0.5 * VOXELS) * VOXEL_MM
    array = np.float32(levels[0]) + np.float32(levels[1] - levels[0]) * part
    return Volume(array, (VOXEL_MM,) * 3, (corner,) * 3)


def edge_mm(
    axis: int, spacing_mm: tuple[float, float, float], seen: Callable[[Volume], np.ndarray]
) -> tuple[float, float]:
    """Width at half the maximum of the derivative, and from 10 to 90 %, of what is seen of a half space on a grid."""
    depths, values = [], []
    for number in range(shifts := int(np.ceil(spacing_mm[axis] / SAMPLE_MM))):
        shift = [0.0, 0.0, 0.0]
        shift[axis] = (number / shifts - 0.5) * spacing_mm[axis]
        grid = grid_of(spacing_mm, tuple(shift))
        ends = [
            o + np.arange(n) * s
            for o, n, s in zip(grid.origin_lps[::-1], grid.array.shape, grid.spacing_mm, strict=True)
        ]
        depths.append(_across(np.meshgrid(*ends, indexing="ij"), axis).ravel())
        values.append(seen(grid).ravel().astype(float))
    depth, value = np.concatenate(depths), np.concatenate(values)
    near = np.abs(depth) < REACH_MM
    order = np.argsort(depth[near])
    x = depth[near][order] + np.arange(near.sum()) * 1e-12  # a spline wants them to rise
    fine = np.arange(-REACH_MM + 0.2, REACH_MM - 0.2, 0.002)
    spline = LSQUnivariateSpline(x, value[near][order], np.arange(fine[0], fine[-1], KNOT_MM))
    return _width_and_rise(fine, spline(fine))


def noise_of(profile: CtProfile, rng: np.random.Generator) -> Volume:
    """A field of water as the profile records it."""
    scan = profile.of_scan(rng, 0.0)
    grid = empty_grid(FLAT, scan.spacing_mm, (0.0, 0.0, 0.0))
    return replace(grid, array=recorded(np.zeros(FLAT, np.float32), grid, scan, rng).astype(np.float32))


def noise_power(noise: Volume) -> tuple[float, float]:
    """Frequency per mm of the greatest power in the slice, and the mean frequency of the power."""
    _, rows, columns = noise.array.shape
    power = np.mean(np.abs(np.fft.fft2(noise.array - noise.array.mean())) ** 2, axis=0)
    radius = np.hypot(
        np.fft.fftfreq(rows, noise.spacing_mm[1])[:, None], np.fft.fftfreq(columns, noise.spacing_mm[2])[None, :]
    )
    ring = (radius / RING_PER_MM).astype(int)
    whole = radius < 0.5 / noise.spacing_mm[2]
    mean = np.bincount(ring[whole], power[whole]) / np.maximum(np.bincount(ring[whole]), 1)
    at = (np.argmax(mean) + 0.5) * RING_PER_MM
    return float(at), float(np.average(radius[whole], weights=power[whole]))


def _across(places: list[np.ndarray], axis: int) -> np.ndarray:
    """Distance from the inclined plane, in the unit of the places."""
    others = [other for other in range(3) if other != axis]
    inclined = places[axis] + TILT * places[others[0]] + 0.6 * TILT * places[others[1]]
    return inclined / np.sqrt(1 + 1.36 * TILT**2)


def _width_and_rise(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Of an edge y(x): width of its derivative at half the maximum, and 10 to 90 % of the step between its ends."""
    y = y if y[-1] > y[0] else -y
    slope = np.gradient(y, x)
    low, high = np.mean(y[: len(y) // 12]), np.mean(y[-(len(y) // 12) :])
    top = int(np.argmax(slope))
    above = slope >= 0.5 * slope[top]
    first = top - int(np.argmin(above[top::-1])) + 1
    last = top + int(np.argmin(above[top:])) - 1
    part = (y - low) / (high - low)
    middle = int(np.argmin(np.abs(x)))
    rises = [_crossing(x, part, level, middle) for level in (0.1, 0.9)]
    return float(x[last] - x[first]), float(rises[1] - rises[0])


def _crossing(x: np.ndarray, part: np.ndarray, level: float, middle: int) -> float:
    """Where the edge passes a level, nearest to the middle."""
    passes = np.flatnonzero(np.diff(part >= level))
    return float(x[passes[np.argmin(np.abs(passes - middle))]])


def _correlation(values: np.ndarray, axis: int) -> float:
    moved = np.moveaxis(values - values.mean(), axis, 0)
    return float(np.mean(moved[1:] * moved[:-1]) / np.mean(moved**2))
