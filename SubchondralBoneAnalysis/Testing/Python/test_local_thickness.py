"""Local thickness, voxel for voxel against its definition; on the CPU in tiles, and as the torch form."""

from __future__ import annotations

import numpy as np
import pytest
from brute_force import squared_radius_by_openings
from hypothesis import given, settings
from hypothesis import strategies as st
from microstructures import difficult, trabecular

from SubchondralBoneAnalysisLib.local_thickness import local_thickness
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

CUBIC = (1.0, 1.0, 1.0)


def codes_of(structure: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    codes = structure.astype(np.uint8)
    if known is not None:
        codes[~known] = 2
    return codes


def measured(
    codes: np.ndarray, phase: int, spacing: tuple = CUBIC, threads: int = 2, **where: object
) -> tuple[np.ndarray, np.ndarray]:
    with Workers(threads) as workers:
        found = local_thickness(codes, phase, Lattice.of(spacing, codes.shape), workers, **where)
    return found.squared_radius, found.squared_distance


def assert_is_the_definition(codes: np.ndarray, phase: int, spacing: tuple = CUBIC) -> None:
    weights = Lattice.of(spacing, codes.shape).weights
    expected = squared_radius_by_openings(codes == phase, codes == 1 - phase, weights)
    for ours, definition in zip(measured(codes, phase, spacing), expected, strict=True):
        np.testing.assert_array_equal(ours, definition)


@st.composite
def volumes(draw) -> tuple[np.ndarray, int]:
    shape = draw(st.tuples(*[st.integers(1, 14)] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.random(shape)
    for axis in range(3):  # from single voxels to clumps
        for _ in range(draw(st.integers(0, 3))):
            values = (values + np.roll(values, 1, axis)) / 2
    codes = codes_of(values > np.quantile(values, draw(st.floats(0.02, 0.98))))
    codes[random.random(shape) < draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))] = 2
    codes[tuple(random.integers(0, n) for n in shape)] = 0
    return codes, 1


@given(volumes(), st.sampled_from([CUBIC, (1, 1, 2), (2, 1, 1), (0.4, 0.568, 0.568), (1.5, 0.3125, 0.3125), (3, 2, 7)]))
@settings(max_examples=150)
def test_every_random_volume_is_measured_as_defined(volume, spacing):
    codes, phase = volume
    assert_is_the_definition(codes, phase, spacing)


@given(volumes(), st.tuples(*[st.floats(0.01, 2.0)] * 3))
@settings(max_examples=40)
def test_any_spacing_is_measured_as_defined(volume, spacing):
    codes, phase = volume
    assert_is_the_definition(codes, phase, spacing)


@pytest.mark.parametrize("phase", [1, 0])
def test_a_trabecular_volume_of_96_voxels_is_measured_as_defined(phase):
    assert_is_the_definition(codes_of(trabecular(96, seed=3, period=24)), phase)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.5), (0.0607, 0.0607, 0.082)])
def test_a_trabecular_volume_of_voxels_that_are_no_cubes_is_measured_as_defined(spacing):
    assert_is_the_definition(codes_of(trabecular(70, seed=4)), 1, spacing)


def test_a_trabecular_volume_in_an_unknown_surrounding_is_measured_as_defined():
    k, j, i = np.mgrid[:72, :72, :72] - 36
    codes = codes_of(trabecular(72, seed=5), known=k**2 + 2 * j**2 + i**2 < 33**2)
    for phase in (0, 1):
        assert_is_the_definition(codes, phase)


@pytest.mark.parametrize("name", difficult(4))
@pytest.mark.parametrize("size", [33, 68])
def test_a_difficult_volume_is_measured_as_defined(name, size):
    structure = difficult(size)[name]
    if name in ("one voxel of the other phase", "hole in the corner") and size > 40:
        pytest.skip("thousands of distances occur, and the definition takes one opening for each")
    assert_is_the_definition(codes_of(structure), 1)


def test_a_wide_phase_overflows_no_number():
    """One voxel of the other phase in a corner: the squared distances go beyond 16 bits."""
    codes = np.ones((3, 4, 300), np.uint8)
    codes[0, 0, 0] = 0
    radius, distance = measured(codes, 1)
    assert distance[0, 0, 299] == 299**2
    assert distance[2, 3, 299] == 299**2 + 4 + 9
    assert (radius[codes == 1] == 299**2 + 4 + 9).sum() > 890  # all but those as far from the last voxel as the hole
    assert radius.dtype == np.int32


def test_a_row_of_any_length_is_measured():
    codes = np.ones((1, 1, 40_000), np.uint8)
    codes[0, 0, 0] = 0
    radius, distance = measured(codes, 1)
    assert distance[0, 0, -1] == 39_999**2
    assert radius[0, 0, 1] == 39_999**2


def test_a_phase_without_a_surface_is_refused():
    with pytest.raises(ValueError, match="no surface"):
        measured(np.ones((5, 5, 5), np.uint8), 1)


def test_the_number_of_threads_changes_nothing():
    codes = codes_of(trabecular(100, seed=6))
    for one, three in zip(measured(codes, 0, threads=1), measured(codes, 0, threads=3), strict=True):
        np.testing.assert_array_equal(one, three)


def test_the_volume_may_be_turned_and_mirrored():
    codes = codes_of(trabecular(66, seed=7)[:, :50, :70])
    spacing = (0.5, 0.7, 0.9)
    turned = np.ascontiguousarray(codes.transpose(2, 0, 1)[:, ::-1])
    expected = measured(codes, 1, spacing)[0].transpose(2, 0, 1)[:, ::-1]
    np.testing.assert_array_equal(measured(turned, 1, (0.9, 0.5, 0.7))[0], expected)


def test_distances_are_in_mm():
    lattice = Lattice.of((1.5, 0.3125, 0.3125), (10, 100, 100))
    assert lattice.weights == (576, 25, 25)
    assert lattice.to_mm(np.array([576, 25, 576 + 4 * 25])) == pytest.approx([1.5, 0.3125, np.hypot(1.5, 0.625)])
    assert Lattice.of((0.0195,) * 3, (9, 9, 9)).weights == (1, 1, 1)


@pytest.mark.parametrize("spacing", [(0.0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(ValueError, match="three positive numbers"):
        Lattice.of(spacing, (3, 3, 3))


# ------------------------------------------------------------------------------------------------- too large for memory


def test_arrays_in_files_change_nothing(tmp_path):
    codes = codes_of(trabecular(130, seed=8)[:, :70, :80])
    with Storage(tmp_path) as storage:
        in_files = measured(codes, 0, storage=storage)
        for ours, in_memory in zip(in_files, measured(codes, 0), strict=True):
            np.testing.assert_array_equal(ours, in_memory)
            assert ours.dtype == in_memory.dtype
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- the torch form


@given(volumes(), st.sampled_from([CUBIC, (2, 1, 1), (1.5, 0.3125, 0.3125)]))
@settings(max_examples=60)
def test_the_torch_form_gives_the_same_numbers(volume, spacing):
    pytest.importorskip("torch")
    codes, phase = volume
    for torch_form, ours in zip(measured_by_torch(codes, phase, spacing), measured(codes, phase, spacing), strict=True):
        np.testing.assert_array_equal(torch_form, ours)
        assert torch_form.dtype == ours.dtype


@pytest.mark.parametrize("spacing", [CUBIC, (1.0, 1.0, 1.5)])
def test_the_torch_form_gives_the_same_numbers_for_trabeculae(spacing):
    pytest.importorskip("torch")
    codes = codes_of(trabecular(80, seed=9))
    for torch_form, ours in zip(measured_by_torch(codes, 1, spacing), measured(codes, 1, spacing), strict=True):
        np.testing.assert_array_equal(torch_form, ours)


def test_the_torch_form_gives_the_same_numbers_on_a_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    codes = codes_of(trabecular(160, seed=10))
    for phase in (0, 1):
        for on_gpu, ours in zip(measured(codes, phase, device="cuda"), measured(codes, phase), strict=True):
            np.testing.assert_array_equal(on_gpu, ours)


def test_the_torch_form_refuses_a_phase_without_a_surface():
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match="no surface"):
        measured_by_torch(np.ones((5, 5, 5), np.uint8), 1, CUBIC)


def measured_by_torch(codes: np.ndarray, phase: int, spacing: tuple) -> tuple[np.ndarray, np.ndarray]:
    from SubchondralBoneAnalysisLib.local_thickness.torch_form import thickness_by_torch

    return thickness_by_torch(codes, phase, Lattice.of(spacing, codes.shape), "cpu")
