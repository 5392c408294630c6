"""Real human trabecular bone as blocks on the fine lattice of the simulator.

Two specimens of ../shared/data/trabecular-microct: a cube of 3.9 mm, thresholded as it was published, and the largest
cube about the middle of a segmented specimen. Both are smaller than a block of 8 mm, so they are mirrored at their
faces: the middle half of the block is the specimen itself, what is around it is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from morphometry_real import _outline as outline
from scipy import ndimage

from SubchondralBoneAnalysisLib.morphometry import Morphometry, measure
from SubchondralBoneAnalysisLib.simulation.bone_block import VOXEL_MM, VOXELS

THRESHOLD = 63  # of the cube, after a Gaussian of one voxel, as in its published recipe
RIM_MM = 0.5  # below the outline of the specimen, where it was cut
SPECIMENS = ("human cube", "specimen P6")


@dataclass(frozen=True, eq=False)
class RealBone:
    """A specimen.

    :param structure: as it was scanned, bool [k, j, i].
    :param spacing_mm: of it, (k, j, i).
    :param region: where it is bone tissue of the specimen, bool [k, j, i].
    """

    name: str
    structure: np.ndarray
    spacing_mm: tuple[float, float, float]
    region: np.ndarray

    def morphometry(self) -> tuple[Morphometry, np.ndarray]:
        """As it was scanned; with the thickness 2r in mm of each voxel of its bone [n]."""
        found, maps = measure(self.structure, self.spacing_mm, self.region)
        return found, maps.tb_th_mm[self.structure & self.region]

    def cube(self) -> np.ndarray:
        """The largest cube about the middle of the region, on the fine lattice, of the same BV/TV: bool [n, n, n]."""
        depth = ndimage.distance_transform_cdt(np.pad(self.region, 1), "chessboard")[1:-1, 1:-1, 1:-1]
        middle = np.unravel_index(depth.argmax(), depth.shape)
        half = int(depth.max()) - 1
        cut = tuple(slice(m - half, m + half + 1) for m in middle)
        sharp = self.structure[cut].astype(np.float32)
        factor = self.spacing_mm[0] / VOXEL_MM
        # A voxel of the fine lattice is bone where half of what lies in it is.
        smooth = ndimage.gaussian_filter(sharp, 0.35 / factor) if factor < 1 else sharp
        fine = ndimage.zoom(smooth, factor, order=1)
        return fine > np.quantile(fine, 1.0 - sharp.mean())

    def blocks(self) -> list[np.ndarray]:
        """The mirrored block in its six orders of axes, bool [128, 128, 128]."""
        cube = self.cube()
        before = [(VOXELS - n) // 2 for n in cube.shape]
        after = [VOXELS - n - b for n, b in zip(cube.shape, before, strict=True)]
        whole = np.pad(cube, list(zip(before, after, strict=True)), "symmetric")
        return [np.ascontiguousarray(whole.transpose(order)) for order in permutations(range(3))]


def available(shared_data: Path) -> bool:
    """Whether the specimens are there."""
    return (shared_data / "trabecular-microct" / "lhdl_crop200.nrrd").is_file()


def real_bones(shared_data: Path) -> list[RealBone]:
    """Both specimens."""
    folder = shared_data / "trabecular-microct"
    image = sitk.ReadImage(str(folder / "lhdl_crop200.nrrd"))
    grey = sitk.GetArrayFromImage(image).astype(np.float32)
    cube = ndimage.gaussian_filter(grey, 1) > THRESHOLD
    mask = sitk.ReadImage(str(folder / "specimen_p6_mask.nii.gz"))
    specimen = sitk.GetArrayFromImage(mask) > 0
    spacing_mm = mask.GetSpacing()[::-1]
    deep = ndimage.distance_transform_edt(np.pad(outline(specimen, spacing_mm), 1), sampling=spacing_mm)
    return [
        RealBone(SPECIMENS[0], cube, image.GetSpacing()[::-1], np.ones(cube.shape, bool)),
        RealBone(SPECIMENS[1], specimen, spacing_mm, deep[1:-1, 1:-1, 1:-1] > RIM_MM),
    ]
