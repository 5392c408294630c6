"""The parameters of structures of which they are known."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from brute_force import squared_radius_by_openings
from microstructures import gyroid_sheet, sheets, trabecular

from JointQuantLib.errors import Cancelled
from SubchondralBoneAnalysisLib.morphometry import Morphometry, measure

CUBIC = (1.0, 1.0, 1.0)


def inner(size: int, margin: int) -> np.ndarray:
    region = np.zeros((size,) * 3, bool)
    region[margin:-margin, margin:-margin, margin:-margin] = True
    return region


def mean_of(found: list[Morphometry], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


@pytest.mark.parametrize(("thickness", "error"), [(3, 0.2), (4, 0.1), (6, 0.1)])
def test_gyroid_sheets_are_right_to_a_part_of_a_voxel(thickness, error):
    """Three voxels are the least: there the few radii that occur leave 0.15 (Testing/benchmarks/results.md)."""
    found = [measure(gyroid_sheet(80, thickness, 40, seed), CUBIC, inner(80, 16))[0] for seed in (1, 2)]
    assert mean_of(found, "tb_th_mm") == pytest.approx(thickness, abs=error)
    assert all(one.tb_th_raw_mm == one.tb_th_mm + 0.5 for one in found)
    # By Steiner's formula, from the area 3.0915 and the Euler number -8 of a gyroid in a cube of one period.
    half = thickness / 2 / 40
    volume = 2 * half * 3.0915 - 32 / 3 * np.pi * half**3
    area, curvature = 2 * (3.0915 - 16 * np.pi * half**2), -32 * np.pi * half
    assert mean_of(found, "bv_tv") == pytest.approx(volume, rel=0.02)
    assert mean_of(found, "bs_bv_per_mm") == pytest.approx(area / volume / 40, rel=0.03)
    assert mean_of(found, "smi") == pytest.approx(12 * volume * curvature / area**2, rel=0.1)
    assert mean_of(found, "euler_number") == pytest.approx(-8 * 47**3 / 40**3, rel=0.1)


@pytest.mark.parametrize("thickness", [3, 3.5, 4, 5, 6])
def test_finer_spheres_are_right_within_a_tenth_of_a_voxel(thickness):
    structure, region = gyroid_sheet(70, thickness, 40, 3), inner(70, 14)
    found, _ = measure(structure, CUBIC, region, fine=True)
    assert found.tb_th_fine_mm == pytest.approx(thickness, abs=0.1)


def test_the_finer_spheres_are_the_definition_on_the_finer_grid():
    structure = trabecular(20, seed=9)[:, :18, :16]
    finer = np.zeros([2 * n - 1 for n in structure.shape], bool)
    finer[::2, ::2, ::2] = ~structure  # the surface: centres of marrow voxels
    inside = structure
    for axis in range(3):  # between two, four or eight voxels that all are bone
        ahead, behind = (np.delete(inside, end, axis) for end in (0, -1))
        inside = np.insert(inside, np.arange(1, inside.shape[axis]), ahead & behind, axis)
    squared, _ = squared_radius_by_openings(inside, finer, (1, 1, 1))
    expected = np.sqrt(squared[::2, ::2, ::2][structure]).mean() - 1  # in half voxels: 2r less one voxel
    assert measure(structure, CUBIC, fine=True)[0].tb_th_fine_mm == pytest.approx(expected)
    assert measure(structure, CUBIC)[0].tb_th_fine_mm is None


def test_oblique_plates_are_right_on_the_mean():
    random = np.random.default_rng(4)
    found = [measure(sheets(70, 5, 16, random.standard_normal(3)), CUBIC, inner(70, 18))[0] for _ in range(6)]
    assert mean_of(found, "tb_th_mm") == pytest.approx(5, abs=0.35)
    assert mean_of(found, "tb_sp_mm") == pytest.approx(11, abs=0.35)
    assert mean_of(found, "bv_tv") == pytest.approx(5 / 16, abs=0.005)
    assert mean_of(found, "tb_th_plate_mm") == pytest.approx(5, rel=0.03)
    assert mean_of(found, "tb_n_parfitt_per_mm") == pytest.approx(1 / 16, rel=0.08)
    assert mean_of(found, "tb_n_plate_per_mm") == pytest.approx(1 / 16, rel=0.03)
    assert mean_of(found, "tb_n_direct_per_mm") == pytest.approx(1 / 16, rel=0.04)


def test_the_numbers_follow_the_size_of_the_voxels():
    structure, region = trabecular(48, seed=1), inner(48, 8)
    small, large = (measure(structure, (s, s, s), region, fine=True)[0] for s in (0.02, 0.06))
    powers = {"bv_mm3": 3, "tv_mm3": 3, "bs_mm2": 2, "bs_bv_per_mm": -1, "conn_d_per_mm3": -3}
    same = ("bv_tv", "smi", "euler_number", "degree_of_anisotropy", "degree_of_anisotropy_0_to_1", "mil_axes_lps")
    for name, value in asdict(small).items():
        power = powers.get(name, 0 if name in same or "border" in name else -1 if "per_mm" in name else 1)
        assert np.array(asdict(large)[name]) == pytest.approx(np.array(value) * 3.0**power, rel=1e-6), name


def test_long_voxels_measure_the_same_structure_alike():
    """Every second slice of a structure, as voxels twice as high."""
    fine = np.repeat(np.repeat(trabecular(56, seed=2, period=20), 2, 1), 2, 2)
    cubic, _ = measure(
        np.repeat(fine, 2, 0), (0.5,) * 3, np.repeat(np.repeat(np.repeat(inner(56, 12), 2, 0), 2, 1), 2, 2)
    )
    long, _ = measure(fine, (1.0, 0.5, 0.5), np.repeat(np.repeat(inner(56, 12), 2, 1), 2, 2))
    for name in ("bv_tv", "tb_th_raw_mm", "tb_sp_raw_mm", "degree_of_anisotropy"):
        assert getattr(long, name) == pytest.approx(getattr(cubic, name), rel=0.06), name


def test_the_maps_are_the_definition_in_mm_inside_the_region_only():
    structure, region = trabecular(40, seed=3), inner(40, 9)
    _, maps = measure(structure, (0.05,) * 3, region)
    for phase, found in ((structure, maps.tb_th_mm), (~structure, maps.tb_sp_mm)):
        squared, _ = squared_radius_by_openings(phase, ~phase, (1, 1, 1))
        assert found[region & phase] == pytest.approx(2 * 0.05 * np.sqrt(squared[region & phase]), rel=1e-6)
        assert (found[~(region & phase)] == 0).all()
        assert found.dtype == np.float32


def test_the_structure_around_a_region_is_context():
    """A region in a larger volume gives what the volume gives there, not what the region alone would give."""
    structure, region = trabecular(64, seed=5), inner(64, 24)
    with_context, maps = measure(structure, CUBIC, region)
    assert with_context.tb_th_raw_mm == pytest.approx(maps.tb_th_mm[region & structure].mean(), rel=1e-5)
    whole = measure(structure, CUBIC)[1]
    np.testing.assert_array_equal(whole.tb_sp_mm[region], maps.tb_sp_mm[region])
    alone, _ = measure(structure[24:-24, 24:-24, 24:-24], CUBIC)
    assert alone.bv_tv == pytest.approx(with_context.bv_tv)
    assert abs(alone.tb_sp_raw_mm - with_context.tb_sp_raw_mm) > 0.05
    assert with_context.tb_sp_near_border == 0 < alone.tb_sp_near_border


def test_air_around_a_specimen_is_no_marrow_when_it_is_said_to_be_unknown():
    structure = trabecular(60, seed=6)
    ball = (np.stack(np.mgrid[:60, :60, :60]) - 29.5) ** 2
    specimen = ball.sum(axis=0) < 24**2
    structure &= specimen
    as_context, _ = measure(structure, CUBIC, specimen)
    unknown, maps = measure(structure, CUBIC, specimen, specimen)
    assert as_context.tb_sp_raw_mm > unknown.tb_sp_raw_mm + 1
    assert as_context.bv_tv == unknown.bv_tv
    assert unknown.tv_mm3 == specimen.sum()
    assert (maps.tb_sp_mm[~specimen] == 0).all()
    assert unknown.tb_sp_near_border > 0.1


def test_what_is_unknown_has_the_same_border_as_the_volume():
    """A volume that is cut, and the same with all beyond the cut unknown."""
    structure = trabecular(48, seed=10)
    known = np.zeros(structure.shape, bool)
    known[:24] = True
    cut, _ = measure(structure[:24], CUBIC)
    unknown, _ = measure(structure, CUBIC, known=known)
    for name in ("tb_th_raw_mm", "tb_sp_raw_mm", "smi", "tb_n_direct_per_mm", "tb_th_near_border", "tb_sp_near_border"):
        assert getattr(unknown, name) == pytest.approx(getattr(cut, name)), name


def test_a_thickness_that_the_correction_would_make_nothing_of_is_not_given():
    structure = np.zeros((12, 12, 12), bool)
    structure[:, 3] = structure[:, 8] = True
    found, _ = measure(structure, (40.0, 0.1, 0.1))
    assert found.tb_th_raw_mm == pytest.approx(0.2)
    assert (found.tb_th_mm, found.tb_n_parfitt_per_mm, found.tb_n_plate_per_mm) == (None, None, None)


def test_the_border_of_the_volume_is_no_surface():
    """A slab of marrow between two plates that the volume cuts in the middle keeps its separation."""
    structure = np.zeros((30, 20, 20), bool)
    structure[4:8] = structure[18:22] = True
    found, maps = measure(structure, CUBIC)
    assert (maps.tb_th_mm[structure] == 4).all()
    assert (maps.tb_sp_mm[8:18] == 10).all()
    assert (maps.tb_sp_mm[0:4] == 8).all()  # from the border's voxel to the plate it is 4, to either side
    assert found.tb_sp_near_border > 0.3


def test_threads_files_and_devices_change_nothing(tmp_path):
    pytest.importorskip("torch")
    structure, region = trabecular(44, seed=7), inner(44, 4)
    expected, maps = measure(structure, (0.1,) * 3, region, threads=1)
    for how in ({"threads": 3}, {"scratch": tmp_path}, {"device": "cpu:0"}):
        found, same = measure(structure, (0.1,) * 3, region, **how)
        assert found == expected
        np.testing.assert_array_equal(same.tb_th_mm, maps.tb_th_mm)
        np.testing.assert_array_equal(same.tb_sp_mm, maps.tb_sp_mm)


def test_the_axes_of_anisotropy_follow_the_direction_of_the_volume():
    structure = np.repeat(trabecular(40, seed=8), 2, axis=0)  # long along k
    plain, _ = measure(structure, CUBIC)
    assert abs(plain.mil_axes_lps[0][2]) > 0.99  # k is z
    turned, _ = measure(structure, CUBIC, direction_lps=(0, 0, 1, 1, 0, 0, 0, 1, 0))  # k is x
    assert abs(turned.mil_axes_lps[0][0]) > 0.99
    assert plain.mil_mm[0] / plain.mil_mm[2] == plain.degree_of_anisotropy


@pytest.mark.parametrize(
    ("structure", "region", "words"),
    [
        (np.zeros((9, 9, 9), bool), None, "no surface|no voxel"),
        (np.ones((9, 9, 9), bool), None, "no surface|no voxel"),
        (trabecular(9)[:1], None, "one voxel thin"),
        (trabecular(9), np.zeros((9, 9, 9), bool), "one voxel thin"),
        (trabecular(9), np.ones((9, 9, 8), bool), "the shape"),
        (trabecular(9).astype(float), None, "bool are needed"),
        (trabecular(9), np.full((9, 9, 9), 255, np.uint8), "bool are needed"),
        (trabecular(9)[0], None, "three dimensions"),
    ],
)
def test_what_cannot_be_measured_is_refused(structure, region, words):
    with pytest.raises(ValueError, match=words):
        measure(structure, CUBIC, region)


def test_a_ball_and_a_ring_have_no_and_one_loop():
    place = np.stack(np.mgrid[:40, :40, :40], axis=-1) - 19.5
    ball = (place**2).sum(axis=-1) < 12**2
    ring = (np.hypot(place[..., 1], place[..., 2]) - 11) ** 2 + place[..., 0] ** 2 < 4**2
    assert [measure(body, CUBIC)[0].euler_number for body in (ball, ring)] == pytest.approx([1, 0], abs=1e-9)
    assert measure(ball, (0.5,) * 3)[0].bs_mm2 == pytest.approx(4 * np.pi * 6**2, rel=0.01)
    found = [measure(body, (0.5,) * 3)[0].conn_d_per_mm3 * (39 * 0.5) ** 3 for body in (ball, ring)]
    assert found == pytest.approx([0, 1], abs=1e-9)


def test_what_no_whole_cell_shows_is_none():
    structure, region = np.zeros((8, 8, 8), bool), np.zeros((8, 8, 8), bool)
    region[:4, :4, :4] = region[6, 6, 6] = True
    structure[6, 6, 6] = True
    found, _ = measure(structure, CUBIC, region)
    assert (found.bs_bv_per_mm, found.tb_th_plate_mm, found.smi, found.mil_mm) == (None,) * 4
    assert found.tb_th_raw_mm == 2


def test_a_measurement_can_be_stopped():
    class Stopped:
        def step(self, _fraction: float, text: str) -> None:
            if "separation" in text:
                raise Cancelled("the job was cancelled")

        def check(self) -> None:
            pass

    with pytest.raises(Cancelled):
        measure(trabecular(30), CUBIC, progress=Stopped())


def test_without_the_direct_number_all_else_is_the_same():
    structure = gyroid_sheet(40, 4, 20, 3)
    whole, _ = measure(structure, CUBIC, inner(40, 8))
    less, _ = measure(structure, CUBIC, inner(40, 8), direct_number=False)
    assert whole.tb_n_direct_per_mm > 0
    assert less.tb_n_direct_per_mm is None
    assert asdict(less) | {"tb_n_direct_per_mm": whole.tb_n_direct_per_mm} == asdict(whole)
