"""All parameters of a binary microstructure, in three dimensions and in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.anisotropy import InterceptEllipsoid, intercept_ellipsoid
from SubchondralBoneAnalysisLib.diameter_statistics import Diameters, diameters
from SubchondralBoneAnalysisLib.local_configurations import count_configurations
from SubchondralBoneAnalysisLib.local_thickness import local_thickness
from SubchondralBoneAnalysisLib.local_thickness.diameter_map import DiameterMap
from SubchondralBoneAnalysisLib.local_thickness.distance_map import UNKNOWN
from SubchondralBoneAnalysisLib.local_thickness.fine_centres import fine_thickness
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.mid_axis import mid_axis_codes
from SubchondralBoneAnalysisLib.near_border import near_border
from SubchondralBoneAnalysisLib.surface_measures import surface_measures

BONE, MARROW = 1, 0
NO_TURN = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SLICES = 16
LONGEST_FINE = 1.5  # longest edge of a voxel over its shortest: beyond, a centre between slices slips through a plate


@dataclass(frozen=True)
class Morphometry:
    """The parameters of a microstructure inside a region; the names are those of the field, with their units.

    Volume
        `bv_tv` bone volume fraction, `bv_mm3`, `tv_mm3`: counted voxels.
    Surface
        `bs_mm2`, `bs_bv_per_mm`: by lines in 13 directions (see surface_measures).
    Thickness and separation (Hildebrand and Ruegsegger 1997)
        `*_raw_mm`: mean diameter 2r, as other programs give it; `*_mm`: less `half_voxel_mm`, because 2r reaches from
        voxel centre to voxel centre and is half a voxel too large for plates and sheets on the mean (for thin rods it
        is a fifth of a voxel too small already); `*_sd_mm`, `*_max_mm` of 2r.
        `tb_th_fine_mm`: with spheres that may lie half way between voxels, 2r less a whole voxel; only where asked for.
        `tb_th_plate_mm` = 2 BV/BS, the plate model (Parfitt 1987), `tb_th_mesh_plate_mm` the same with the area of the
        marching-cubes mesh: cross-checks.
    Number
        `tb_n_parfitt_per_mm` = BV/TV over Tb.Th, `tb_n_plate_per_mm` = 1/(Tb.Th + Tb.Sp), both with the corrected
        values, `tb_n_direct_per_mm` = 1/mean distance of the mid-axes. Three numbers, not one: never mix them.
    Shape
        `euler_number` of what lies in whole cells of the region, `conn_d_per_mm3` connectivity density = (1 - Euler
        number) over the volume of these cells (Odgaard and Gundersen 1993), `smi` structure model index
        (0 plates, 3 rods, 4 spheres), `degree_of_anisotropy` = longest over shortest mean intercept length,
        `degree_of_anisotropy_0_to_1` = 1 - (shortest over longest)^2 (BoneJ), `mil_mm` the three mean intercept lengths
        and `mil_axes_lps` their directions, the longest first.
    Border
        `tb_th_near_border`, `tb_sp_near_border`: share of the measured voxels that are nearer to the border of what is
        known than their own thickness, so that their sphere may be cut by it.

    None stands for what cannot be given.
    """

    bv_tv: float
    bv_mm3: float
    tv_mm3: float
    bs_mm2: float
    bs_bv_per_mm: float | None
    tb_th_mm: float | None
    tb_th_raw_mm: float
    tb_th_sd_mm: float
    tb_th_max_mm: float
    tb_th_fine_mm: float | None
    tb_th_plate_mm: float | None
    tb_th_mesh_plate_mm: float | None
    tb_sp_mm: float | None
    tb_sp_raw_mm: float
    tb_sp_sd_mm: float
    tb_sp_max_mm: float
    tb_n_parfitt_per_mm: float | None
    tb_n_plate_per_mm: float | None
    tb_n_direct_per_mm: float | None
    conn_d_per_mm3: float
    euler_number: float
    smi: float | None
    degree_of_anisotropy: float | None
    degree_of_anisotropy_0_to_1: float | None
    mil_mm: tuple[float, float, float] | None
    mil_axes_lps: tuple[tuple[float, float, float], ...] | None
    half_voxel_mm: float
    tb_th_near_border: float
    tb_sp_near_border: float


@dataclass(frozen=True)
class Maps:
    """Local thickness 2r: of bone and of marrow, 0 elsewhere and outside the region."""

    tb_th: DiameterMap
    tb_sp: DiameterMap

    @property
    def tb_th_mm(self) -> np.ndarray:
        """The trabecular thickness in mm, float32 [k, j, i]."""
        return self.tb_th.whole()

    @property
    def tb_sp_mm(self) -> np.ndarray:
        """The trabecular separation in mm, float32 [k, j, i]."""
        return self.tb_sp.whole()


def measure(
    structure: np.ndarray,
    spacing_mm: tuple[float, float, float],
    region: np.ndarray | None = None,
    known: np.ndarray | None = None,
    *,
    direction_lps: Sequence[float] = NO_TURN,
    device: str = "cpu",
    threads: int | None = None,
    scratch: Path | None = None,
    fine: bool = False,
    direct_number: bool = True,
    progress: Progress | None = None,
) -> tuple[Morphometry, Maps]:
    """Measure a binary microstructure inside a region.

    Structure outside the region is context: it is seen, but not measured. Neither the border of the volume nor that of
    what is known is a surface: no distance is measured to them, so a sphere near them may reach over them. It counts
    inside as it is (`near_border` says how much of the answer that concerns). Voxels need not be cubes: distances are
    compared as whole numbers in the ratio of the spacings, never rounded.

    :param structure: [k, j, i] bool, bone.
    :param spacing_mm: of the voxels along k, j, i.
    :param region: [k, j, i] bool, where it is measured; the whole volume unless given.
    :param known: [k, j, i] bool, where the structure is known; everywhere unless given. Nothing outside is measured.
    :param direction_lps: direction cosines of the axes i, j, k, row by row as SimpleITK gives them.
    :param device: "cpu", or a device of PyTorch, which gives the same maps.
    :param threads: how many; one for each processor unless given.
    :param scratch: a folder for arrays that are too large for memory; in memory unless given.
    :param fine: give `tb_th_fine_mm` too, which takes eight times the time and memory of Tb.Th; None in voxels that are
        more than 1.5 times as long as wide, where it would be wrong.
    :param direct_number: give `tb_n_direct_per_mm`, which takes two fifths of the time; else it is None.
    :raises ValueError: for arrays that are not bool, not of three dimensions or of different shapes, and for a region
        that is one voxel thin, without bone or without marrow.
    """
    for name, mask in (("structure", structure), ("region", region), ("known", known)):
        if mask is None:
            continue
        if mask.dtype != bool or mask.ndim != 3:
            raise ValueError(f"{name} is {mask.dtype} in {mask.ndim} dimensions: three dimensions of bool are needed")
        if mask.shape != structure.shape:
            raise ValueError(f"{name} has the shape {mask.shape}, the structure {structure.shape}")
    progress = progress or Progress("none")
    lattice = Lattice.of(spacing_mm, structure.shape)
    half_voxel = 0.5 * float(np.prod(spacing_mm)) ** (1 / 3)
    with Workers(threads, progress.check) as workers, Storage(scratch) as storage:
        codes = codes_of(structure, known, workers, storage)
        inside = region if known is None or region is None else region & known
        bone_voxels, voxels = _voxels(codes, inside, workers)

        def begin(fraction: float, text: str) -> None:
            progress.step(fraction, text)
            storage.let_go_of_all()

        begin(0.0, "Counting local configurations")
        counts = count_configurations(codes, inside, workers)
        surface = surface_measures(counts, spacing_mm)
        ellipsoid = intercept_ellipsoid(counts, spacing_mm)

        begin(0.05, "Measuring the trabecular thickness")
        bone = local_thickness(codes, BONE, lattice, workers, storage, device)
        tb_th = diameters(bone, inside, workers)
        axes = None
        if direct_number:
            begin(0.3, "Finding the mid-axes")
            axes = mid_axis_codes(codes, bone, half_voxel, workers, storage)
        tb_th_near = near_border(bone, codes, spacing_mm, inside, workers, storage)
        tb_th_map = DiameterMap(bone.squared_radius, lattice, inside)
        del bone
        tb_th_fine = None
        if fine and max(spacing_mm) <= LONGEST_FINE * min(spacing_mm):
            begin(0.32, "Measuring the trabecular thickness with centres between voxels")
            between = fine_thickness(codes, BONE, spacing_mm, workers, storage, device)
            tb_th_fine = diameters(between, inside, workers).mean_mm - 2 * half_voxel
            del between

        begin(0.35, "Measuring the trabecular separation")
        marrow = local_thickness(codes, MARROW, lattice, workers, storage, device)
        tb_sp = diameters(marrow, inside, workers)
        tb_sp_near = near_border(marrow, codes, spacing_mm, inside, workers, storage)
        tb_sp_map = DiameterMap(marrow.squared_radius, lattice, inside)
        del marrow, codes

        between_axes = None
        if axes is not None:
            begin(0.65, "Measuring the distance of the mid-axes")
            between_axes = diameters(local_thickness(axes, MARROW, lattice, workers, storage, device), inside, workers)

    voxel_mm3 = float(np.prod(spacing_mm))
    tv, bv = voxels * voxel_mm3, bone_voxels * voxel_mm3
    thickness, separation = _corrected(tb_th, half_voxel), _corrected(tb_sp, half_voxel)
    found = Morphometry(
        bv_tv=bv / tv,
        bv_mm3=bv,
        tv_mm3=tv,
        bs_mm2=surface.surface_per_mm * surface.cells_mm3,
        bs_bv_per_mm=_ratio(surface.surface_per_mm, surface.volume_fraction),
        **_thickness(tb_th, "tb_th", half_voxel),
        tb_th_fine_mm=tb_th_fine,
        tb_th_plate_mm=_ratio(2 * surface.volume_fraction, surface.surface_per_mm),
        tb_th_mesh_plate_mm=_ratio(2 * surface.volume_fraction, surface.mesh_surface_per_mm),
        **_thickness(tb_sp, "tb_sp", half_voxel),
        tb_n_parfitt_per_mm=None if thickness is None else bv / tv / thickness,
        tb_n_plate_per_mm=None if None in (thickness, separation) else 1 / (thickness + separation),
        tb_n_direct_per_mm=None if between_axes is None else 1 / (between_axes.mean_mm + half_voxel),
        conn_d_per_mm3=1 / surface.cells_mm3 - surface.euler_per_mm3,
        euler_number=surface.euler_per_mm3 * surface.cells_mm3,
        smi=_ratio(12 * surface.volume_fraction * surface.mean_curvature_per_mm2, surface.surface_per_mm**2),
        **_anisotropy(ellipsoid, direction_lps),
        half_voxel_mm=half_voxel,
        tb_th_near_border=tb_th_near,
        tb_sp_near_border=tb_sp_near,
    )
    return found, Maps(tb_th_map, tb_sp_map)


def codes_of(structure: np.ndarray, known: np.ndarray | None, workers: Workers, storage: Storage) -> np.ndarray:
    """Codes [k, j, i] uint8: 0 marrow, 1 bone, 2 unknown."""
    codes = storage.empty(structure.shape, np.uint8)

    def fill(first: int, end: int) -> None:
        codes[first:end] = structure[first:end]
        if known is not None:
            codes[first:end][~known[first:end]] = UNKNOWN
        storage.let_go(codes, first, end)

    workers.share(len(codes), SLICES, fill)
    return codes


def _voxels(codes: np.ndarray, inside: np.ndarray | None, workers: Workers) -> tuple[int, int]:
    """How many voxels of the region are bone, and how many are known."""

    def count(first: int, end: int) -> np.ndarray:
        here = codes[first:end] if inside is None else codes[first:end][inside[first:end]]
        return np.array([np.count_nonzero(here == BONE), np.count_nonzero(here != UNKNOWN)])

    bone, voxels = np.sum(workers.share(len(codes), SLICES, count), axis=0)
    return int(bone), int(voxels)


def _ratio(above: float, below: float) -> float | None:
    """None where a few voxels of bone lie in the region, and none of them in a whole cell."""
    return above / below if below > 0 else None


def _corrected(found: Diameters, half_voxel: float) -> float | None:
    """None where the correction is no small part: voxels that are far longer than wide, and bone one of them thin."""
    return found.mean_mm - half_voxel if found.mean_mm > 2 * half_voxel else None


def _thickness(found: Diameters, name: str, half_voxel: float) -> dict[str, float | None]:
    return {
        f"{name}_mm": _corrected(found, half_voxel),
        f"{name}_raw_mm": found.mean_mm,
        f"{name}_sd_mm": found.sd_mm,
        f"{name}_max_mm": found.max_mm,
    }


def _anisotropy(ellipsoid: InterceptEllipsoid | None, direction_lps: Sequence[float]) -> dict:
    if ellipsoid is None:
        names = ("degree_of_anisotropy", "degree_of_anisotropy_0_to_1", "mil_mm", "mil_axes_lps")
        return dict.fromkeys(names)
    # An axis is along k, j, i; the columns of the matrix are the directions of i, j, k.
    axes = ellipsoid.axes[:, ::-1] @ np.reshape(direction_lps, (3, 3)).T
    return {
        "degree_of_anisotropy": ellipsoid.degree_of_anisotropy,
        "degree_of_anisotropy_0_to_1": ellipsoid.degree_of_anisotropy_0_to_1,
        "mil_mm": tuple(ellipsoid.lengths_mm.tolist()),
        "mil_axes_lps": tuple(tuple(axis) for axis in axes.tolist()),
    }
