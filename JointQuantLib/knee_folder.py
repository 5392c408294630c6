"""Reading the result folder of `jointquant knee`: `result.json`, and the volumes, surfaces and tables beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.result_kind import KNEE as KNEE_SCHEMA

CT, BONES, METAL = "ct.nrrd", "bones.nrrd", "metal.nrrd"
REGIONS, REGIONS_BELOW_PLATE = "regions.nrrd", "regions_below_plate.nrrd"
BANDS, BANDS_BELOW_PLATE = "bands.nrrd", "bands_below_plate.nrrd"
COMPARTMENTS = "compartments.nrrd"
DEPTH, PLATE, JOINT_SPACE = "depth_mm.nrrd", "plate_thickness_mm.nrrd", "joint_space_mm.nrrd"
REGION_TABLE, SURFACE_TABLE, PATCH_TABLE = "regions.csv", "surfaces.csv", "patches.csv"
# On the grid of the MR; those of the CT lie on it, or on every second or third voxel of it, only to be looked at.
MR, SYNTHETIC_CT, AGREEMENT = "mr.nrrd", "synthetic_ct.nrrd", "mr_agreement.nrrd"
CT_ON_MR, BONES_ON_MR = "ct_on_mr.nrrd", "bones_on_mr.nrrd"
WHOLE_KNEE = "knee"  # whose motion is that of all bones together
SOFT_TISSUE = "soft_tissue_mm.nrrd"  # displacements (LPS) from the MR to the CT that is laid on it

BONE_NUMBERS = {"femur": 1, "tibia": 2, "patella": 3, "fibula": 4}
SUBREGION_NAMES = tuple(
    f"{compartment} {subregion}"
    for compartment in ("medial", "lateral")
    for subregion in ("anterior", "central", "posterior")
)
FIRST_COMPARTMENT = {"femur": 1, "tibia": 7}  # in COMPARTMENTS: six numbers a bone, in the order of SUBREGION_NAMES


def surface_file(side: str | None, bone: str) -> str:
    """The file of the surface of a bone, legacy VTK in LPS."""
    return f"surface_{side}_{bone}.vtk" if side else f"surface_{bone}.vtk"


def transform_file(bone: str, direction: str = "ct_to_mr") -> str:
    """The file of a rigid motion, of a bone or of WHOLE_KNEE: takes a place (LPS, mm) of the first image to the second.

    :param direction: "ct_to_mr" or "mr_to_ct".
    """
    return f"{direction}_{bone}.tfm"


@dataclass(frozen=True)
class KneeFolder:
    """A result folder; `content` is `result.json` as written."""

    path: Path
    content: dict

    @property
    def knees(self) -> list[dict]:
        """What was found of each knee, the right one first."""
        return self.content["knees"]

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along k, j, i."""
        return tuple(self.content["ct"]["size_kji"])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along k, j, i."""
        return tuple(self.content["ct"]["spacing_mm_kji"])

    @property
    def origin_lps(self) -> list[float]:
        """Centre of voxel [0, 0, 0] in mm, (x, y, z) in LPS."""
        return self.content["ct"]["origin_lps"]

    @property
    def direction_lps(self) -> list[float]:
        """Nine numbers, row by row; column c is the unit vector along index axis c of (i, j, k)."""
        return self.content["ct"]["direction_lps"]

    @property
    def ct_name(self) -> str:
        """The name of the file or folder of the CT."""
        return self._name_of("ct") or "CT"

    @property
    def mr(self) -> dict | None:
        """What was found with an MR, None where there was none."""
        return self.content.get("mr")

    @property
    def mr_name(self) -> str:
        """The name of the file or folder of the MR."""
        return self._name_of("mr") or "MR"

    def file(self, name: str) -> Path | None:
        """A file of the folder, None where the job wrote no such file."""
        path = self.path / name
        return path if path.is_file() else None

    def array(self, name: str) -> np.ndarray | None:
        """A volume of the folder as [k, j, i]; None where there is none.

        Raises BadInput where it cannot be read or does not lie where `result.json` puts the CT.
        """
        return self._array(name, self.content["ct"], "CT")

    def mr_array(self, name: str) -> np.ndarray | None:
        """The same of a volume on the grid of the MR; None where the job had no MR, too."""
        return None if self.mr is None else self._array(name, self.mr["image"], "MR")

    def shown_on_mr(self, name: str) -> np.ndarray | None:
        """The same of what is shown on the MR, on every `stride_kji`-th of its voxels, as result.json says."""
        if self.mr is None:
            return None
        if name in (CT_ON_MR, BONES_ON_MR):
            return self._array(name, self.mr["shown"], "CT on the MR")
        array, steps = self.mr_array(name), self.mr["shown"]["stride_kji"]
        return None if array is None else array[tuple(slice(None, None, step) for step in steps)]

    def _array(self, name: str, grid: dict, of: str) -> np.ndarray | None:
        path = self.file(name)
        if path is None:
            return None
        import SimpleITK as sitk

        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise BadInput(f"{path} cannot be read as a volume: run `jointquant knee` again.") from error
        if not _is_on_grid(image, grid):
            raise BadInput(
                f"{path} does not lie on the grid that result.json gives the {of}: run `jointquant knee` again."
            )
        return sitk.GetArrayFromImage(image)

    def needed_array(self, name: str) -> np.ndarray:
        """A volume that every result has; BadInput where it is missing, too."""
        array = self.array(name)
        if array is None:
            raise BadInput(f"{self.path / name} is missing: run `jointquant knee` again.")
        return array

    def _name_of(self, role: str) -> str | None:
        given = [entry["path"] for entry in self.content["inputs"] if entry.get("role") == role]
        return Path(given[0]).name if given else None


def _is_on_grid(image, grid: dict) -> bool:
    size, spacing = tuple(grid["size_kji"]), grid["spacing_mm_kji"]
    tolerance_mm = 1e-3 * min(spacing)
    return (
        image.GetSize()[::-1] == size
        and np.allclose(image.GetSpacing()[::-1], spacing, atol=tolerance_mm / max(size))
        and np.allclose(image.GetOrigin(), grid["origin_lps"], atol=tolerance_mm)
        and np.allclose(image.GetDirection(), grid["direction_lps"], atol=1e-5)
    )


def read_knee(folder: Path) -> KneeFolder:
    """Read the folder of a finished knee job; BadInput where `result.json` is missing or of another kind."""
    path = Path(folder) / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}): give the folder that `jointquant knee` wrote.") from error
    if not isinstance(content, dict) or content.get("schema") != KNEE_SCHEMA:
        raise BadInput(f"{path} is not of schema {KNEE_SCHEMA}: give the folder that `jointquant knee` wrote.")
    lacking = [key for key in ("inputs", "ct", "knees") if not content.get(key)]
    if lacking:
        raise BadInput(f"{path} says nothing of {' and '.join(lacking)}: run `jointquant knee` again.")
    return KneeFolder(Path(folder), content)
