"""Simulated trabecular bone: it has the traits that are asked for, and fills space without seams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial import cKDTree

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.morphometry import Morphometry, measure
from SubchondralBoneAnalysisLib.simulation.microstructure import network, voronoi
from SubchondralBoneAnalysisLib.simulation.microstructure.families import (
    FAMILIES,
    HELD_OUT_FAMILY,
    make_tile,
)
from SubchondralBoneAnalysisLib.simulation.microstructure.random_waves import random_waves
from SubchondralBoneAnalysisLib.simulation.microstructure.structure_tile import StructureTile
from SubchondralBoneAnalysisLib.simulation.microstructure.trabeculae import Trabeculae, make_trabeculae
from SubchondralBoneAnalysisLib.simulation.microstructure.traits import StructureTraits
from SubchondralBoneAnalysisLib.volume import Volume, write_volume

FINE_MM = 0.0625
EDGE, MARGIN = 112, 8
USUAL = StructureTraits(bv_tv=0.28, tb_th_mm=0.225, plate=0.5, anisotropy=1.35)


def made(family: str, traits: StructureTraits = USUAL, seed: int = 0) -> Trabeculae:
    return make_trabeculae(family, traits, np.random.default_rng([seed, 1]))


def block(family: str, traits: StructureTraits, seed: int = 0) -> np.ndarray:
    return made(family, traits, seed).solid_block((EDGE,) * 3, FINE_MM, (0.0, 0.0, 0.0), traits.bv_tv)


def measured(solid: np.ndarray) -> Morphometry:
    middle = np.zeros(solid.shape, bool)
    middle[(slice(MARGIN, -MARGIN),) * 3] = True
    return measure(solid, (FINE_MM,) * 3, middle, threads=1)[0]


def unturned(tile: StructureTile) -> Trabeculae:
    return Trabeculae(tile, np.eye(3), np.zeros(3))


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary volume of 5 mm, as a user might have it."""
    solid = made("voronoi").solid_block((100,) * 3, 0.05, (0, 0, 0), 0.3)
    path = tmp_path_factory.mktemp("micro-ct") / "specimen.nrrd"
    write_volume(path, solid, Volume(solid, (0.05,) * 3))
    return path


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    @pytest.mark.parametrize("bv_tv", [0.1, 0.3, 0.5])
    def test_a_tile_has_the_bone_volume_fraction_asked_for(self, family: str, bv_tv: float) -> None:
        traits = StructureTraits(bv_tv, 0.22, 0.6, 1.3)
        trabeculae = made(family, traits)
        places = np.random.default_rng(2).uniform(0, trabeculae.tile.size_mm, (200_000, 3))
        # A turned tile fills space as evenly as one that is not turned.
        assert (trabeculae.rank(places @ trabeculae.turn) < bv_tv).mean() == pytest.approx(bv_tv, abs=0.01)

    def test_it_repeats_without_a_seam(self, family: str) -> None:
        trabeculae = unturned(make_tile(family, USUAL, np.random.default_rng(3)))
        size = trabeculae.tile.size_mm
        places = np.random.default_rng(4).uniform(-size, size, (1000, 3))
        np.testing.assert_allclose(
            trabeculae.rank(places), trabeculae.rank(places + [size, -size, 2 * size]), atol=2e-3
        )
        # Across the seam it changes no more than elsewhere.
        rank = trabeculae.tile.rank
        seam, inside = np.abs(rank[:, :, 0] - rank[:, :, -1]).mean(), np.abs(np.diff(rank, axis=2)).mean((0, 1))
        assert seam < 1.3 * inside.max()

    @pytest.mark.parametrize("bv_tv", [0.15, 0.4])
    def test_trabeculae_are_as_thick_as_asked(self, family: str, bv_tv: float) -> None:
        found = [
            measured(block(family, StructureTraits(bv_tv, mm, plate, 1.3), seed)).tb_th_mm / mm
            for seed, (mm, plate) in enumerate([(0.18, 0.2), (0.2, 0.8), (0.25, 0.5)])
        ]
        assert np.mean(found) == pytest.approx(1.0, abs=0.06)
        assert all(0.85 < ratio < 1.15 for ratio in found)

    def test_plates_have_a_lower_structure_model_index_and_wider_spaces(self, family: str) -> None:
        rods, plates = (measured(block(family, StructureTraits(0.25, 0.22, plate, 1.3))) for plate in (0.0, 1.0))
        assert plates.smi < rods.smi - 0.5
        assert plates.tb_sp_mm > 1.08 * rods.tb_sp_mm

    def test_anisotropy_lengthens_it_along_z(self, family: str) -> None:
        even, long = (measured(block(family, StructureTraits(0.28, 0.2, 0.4, of))) for of in (1.0, 1.8))
        assert even.degree_of_anisotropy < 1.25
        assert long.degree_of_anisotropy > even.degree_of_anisotropy + 0.25
        assert abs(long.mil_axes_lps[0][2]) > np.cos(np.radians(35))

    def test_nearly_all_bone_is_one_piece(self, family: str) -> None:
        for seed, bv_tv in enumerate((0.15, 0.3)):
            solid = block(family, StructureTraits(bv_tv, 0.2, 0.5, 1.35), seed)
            pieces, _ = label(solid)
            assert np.bincount(pieces.ravel())[1:].max() > 0.97 * solid.sum()

    def test_the_same_seed_gives_the_same_bits(self, family: str) -> None:
        one, again, other = (block(family, USUAL, seed) for seed in (5, 5, 6))
        assert np.array_equal(one, again)
        assert (one != other).mean() > 0.2

    def test_more_bone_holds_less_bone(self, family: str) -> None:
        trabeculae = made(family)
        less, more = (trabeculae.solid_block((40,) * 3, 0.1, (0, 0, 0), bv_tv) for bv_tv in (0.2, 0.3))
        assert (more | ~less).all()
        assert more.mean() > less.mean()


class TestTrabeculae:
    def test_a_block_is_what_the_rank_says_at_its_voxels(self) -> None:
        trabeculae, origin, spacing = made("ribbon"), np.array([1.0, -2.0, 3.0]), (0.2, 0.15, 0.1)
        solid = trabeculae.solid_block((9, 11, 13), spacing, origin, 0.3)
        k, j, i = np.indices(solid.shape).reshape(3, -1)
        places = origin + np.stack([i * spacing[2], j * spacing[1], k * spacing[0]], 1)
        assert np.array_equal(solid.ravel(), trabeculae.rank(places) < 0.3)

    def test_neighbouring_blocks_are_parts_of_one(self) -> None:
        trabeculae = made("voronoi")
        whole = trabeculae.solid_block((40, 30, 30), FINE_MM, (0, 0, 0), 0.3)
        upper = trabeculae.solid_block((20, 30, 30), FINE_MM, (0, 0, 20 * FINE_MM), 0.3)
        assert np.array_equal(whole[20:], upper)

    def test_bone_volume_fraction_may_change_from_slice_to_slice_or_voxel_to_voxel(self) -> None:
        trabeculae, shape = made("ribbon"), (96, 64, 64)
        along_k = np.linspace(0.0, 0.6, shape[0])
        by_slice = trabeculae.solid_block(shape, 0.1, (0, 0, 0), along_k)
        by_voxel = trabeculae.solid_block(shape, 0.1, (0, 0, 0), np.broadcast_to(along_k[:, None, None], shape))
        assert np.array_equal(by_slice, by_voxel)
        assert not by_slice[0].any()
        assert np.corrcoef(by_slice.mean((1, 2)), along_k)[0, 1] > 0.97

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="2 dimensions"):
            made("ribbon").solid_block((4, 4, 4), 0.1, (0, 0, 0), np.ones((4, 4)))

    def test_its_axis_is_tilted_by_ten_degrees_about_each_of_two_axes(self) -> None:
        tilts = [np.degrees(np.arccos(made("ribbon", USUAL, seed).turn[2, 2])) for seed in range(20)]
        # The length of two normal numbers of SD 10 has the mean 10 sqrt(pi / 2).
        assert np.mean(tilts) == pytest.approx(12.5, abs=3.0)

    def test_an_unknown_family_is_a_user_error(self) -> None:
        assert HELD_OUT_FAMILY in FAMILIES
        with pytest.raises(BadInput, match="sponge"):
            made("sponge")

    @pytest.mark.parametrize(
        "traits", [(0.7, 0.2, 0.5, 1.3), (0.3, 0.9, 0.5, 1.3), (0.3, 0.2, -0.1, 1.3), (0.3, 0.2, 0.5, 0.8)]
    )
    def test_traits_outside_their_range_are_refused(self, traits: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="it must be from"):
            StructureTraits(*traits)


class TestStructureTile:
    def test_a_plate_has_the_thickness_that_follows_from_its_share_of_space(self) -> None:
        edge, step, bv_tv = 64, 0.05, 0.25
        height = np.abs(np.arange(edge) - 31.3).astype(np.float32)
        height = np.minimum(height, edge - height)
        field = np.ascontiguousarray(np.broadcast_to(height[:, None, None], (edge,) * 3))
        tile = StructureTile.of_field(field, step)
        line = np.zeros((20_000, 3))
        line[:, 2] = np.arange(20_000) / 20_000 * tile.size_mm
        bone = unturned(tile).rank(line) < bv_tv
        assert bone.mean() == pytest.approx(bv_tv, abs=0.005)
        assert np.abs(np.diff(bone.astype(int))).sum() == 2  # one plate, with two faces

    def test_any_field_with_the_same_order_gives_the_same_bone(self) -> None:
        waves = random_waves(48, (12.0, 10.0, 8.0), 0.3, np.random.default_rng(0))
        one, other = StructureTile.of_field(waves, 0.1), StructureTile.of_field(np.exp(waves), 0.1)
        assert ((one.rank < 0.3) != (other.rank < 0.3)).mean() < 0.01

    def test_waves_have_the_wavelengths_asked_for(self) -> None:
        edge, lengths = 96, (24.0, 12.0, 8.0)
        waves = random_waves(edge, lengths, 0.1, np.random.default_rng(1))
        assert waves.std() == pytest.approx(1.0, abs=1e-3)
        # Of a thin ellipsoid of power the mean square frequency along an axis is a third of its half axis squared.
        power = np.abs(np.fft.fftn(waves)) ** 2
        for axis, length in enumerate(lengths):
            square = np.fft.fftfreq(edge) ** 2
            along = power.sum(tuple(a for a in range(3) if a != axis))
            assert (along * square).sum() / along.sum() == pytest.approx(1 / (3 * length**2), rel=0.15)


class TestGeometry:
    def test_the_three_nearest_points_of_cells_are_those_of_a_search_tree(self) -> None:
        random, edge = np.random.default_rng(0), 6.3
        points, stretch = random.random((250, 3)) * edge, np.array([1.5, 0.8, 0.83])
        tree = cKDTree(points / stretch, boxsize=edge / stretch)
        around, around_numbers, squares = np.empty((250, 3)), np.empty(250, int), np.empty(250)
        places, numbers = np.empty((250, 3)), np.empty(250, int)
        near, square = np.empty(3, int), np.empty(3)
        for middle in random.random((50, 3)) * edge:
            # First a wider search in the cube that repeats, then one among what it found, as for blocks in a block.
            first = voronoi._points_near(
                points, np.arange(250), 250, edge, stretch, middle + 0.2, 1.0, around, around_numbers, squares
            )
            count = voronoi._points_near(
                around, around_numbers, first, np.inf, stretch, middle, 0.4, places, numbers, squares
            )
            assert count <= first
            away = random.standard_normal(3)
            at = middle + 0.39 * random.random() * away / np.linalg.norm(away) * stretch
            voronoi._three_nearest(places, count, stretch, at, near, square)
            far, expected = tree.query(at / stretch % (edge / stretch), 3)
            assert numbers[near].tolist() == expected.tolist()
            np.testing.assert_allclose(np.sqrt(square), far, rtol=1e-9)

    def test_every_voxel_is_in_one_block_and_blocks_of_a_superblock_follow_each_other(self) -> None:
        edge, block, outer = voronoi.EDGE, voronoi.BLOCK, voronoi.SUPERBLOCK
        corners = [voronoi._corner(number, edge) for number in range((edge // block) ** 3)]
        assert len(set(corners)) == len(corners)
        inner = (outer // block) ** 3
        for first in range(0, len(corners), inner):
            assert len({tuple(at // outer for at in corner) for corner in corners[first : first + inner]}) == 1

    def test_the_nearest_point_of_a_triangle_is_no_farther_than_any_other(self) -> None:
        random = np.random.default_rng(1)
        u, v = np.meshgrid(np.linspace(0, 1, 81), np.linspace(0, 1, 81))
        inside = u + v <= 1
        u, v = u[inside], v[inside]
        for _ in range(200):
            b, c, p = random.standard_normal((3, 3))
            best_u, best_v = network._nearest(b @ b, b @ c, c @ c, p @ b, p @ c)
            found = np.linalg.norm(p - best_u * b - best_v * c)
            expected = np.linalg.norm(p - u[:, None] * b - v[:, None] * c, axis=1).min()
            assert min(best_u, best_v) >= 0
            assert best_u + best_v <= 1 + 1e-12
            assert expected - 0.06 < found < expected + 1e-9


class TestMicroCt:
    @pytest.mark.parametrize("bv_tv", [0.2, 0.35])
    def test_a_specimen_gives_bone_of_the_thickness_and_volume_asked_for(self, specimen: Path, bv_tv: float) -> None:
        traits = StructureTraits(bv_tv, 0.2, 0.5, 1.3)
        trabeculae = made(f"micro-ct:{specimen}", traits)
        solid = trabeculae.solid_block((EDGE,) * 3, FINE_MM, (0, 0, 0), bv_tv)
        assert solid.mean() == pytest.approx(bv_tv, abs=0.03)
        assert measured(solid).tb_th_mm == pytest.approx(0.2, rel=0.25)

    def test_other_volumes_are_refused(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        grey, small = tmp_path / "grey.nrrd", tmp_path / "small.nrrd"
        values = random.integers(0, 200, (80, 80, 80), np.uint8)
        write_volume(grey, values, Volume(values, (0.05,) * 3))
        few = random.random((20, 20, 20)) < 0.3
        write_volume(small, few, Volume(few, (0.05,) * 3))
        with pytest.raises(BadInput, match="segmented"):
            made(f"micro-ct:{grey}")
        with pytest.raises(BadInput, match="smaller than"):
            made(f"micro-ct:{small}")
        with pytest.raises(BadInput, match="does not exist"):
            made(f"micro-ct:{tmp_path / 'none.nrrd'}")

    def test_a_real_specimen_keeps_its_character(self, shared_data: Path) -> None:
        path = shared_data / "trabecular-microct" / "specimen_p6_mask.nii.gz"
        traits = StructureTraits(0.5, 0.28, 0.5, 1.3)
        found = measured(made(f"micro-ct:{path}", traits).solid_block((EDGE,) * 3, FINE_MM, (0, 0, 0), 0.5))
        assert found.smi < 0  # dense plates with holes
        assert found.tb_th_mm == pytest.approx(0.28, rel=0.2)
