"""Reading the result folder of `jointquant morphometry`: `result.json` and the volumes beside it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.result_kind import MORPHOMETRY

STRUCTURE, REGION, TB_TH, TB_SP = "structure.nrrd", "region.nrrd", "tb_th_mm.nrrd", "tb_sp_mm.nrrd"


@dataclass(frozen=True)
class MorphometryFolder:
    """A result folder; `content` is `result.json` as written."""

    path: Path
    content: dict

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along k, j, i."""
        return tuple(self.content["volume"]["size_kji"])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along k, j, i."""
        return tuple(self.content["volume"]["spacing_mm_kji"])

    @property
    def direction_lps(self) -> list[float]:
        """Nine numbers, row by row; column c is the unit vector along index axis c of (i, j, k)."""
        return self.content["volume"]["direction_lps"]

    @property
    def measures(self) -> dict:
        return self.content["morphometry"]

    @property
    def volume_name(self) -> str:
        """The name of the file or folder that was measured."""
        given = [entry["path"] for entry in self.content["inputs"] if entry.get("role") == "volume"]
        return Path(given[0]).name if given else "volume"

    def file(self, name: str) -> Path | None:
        """A file of the folder, None where the job wrote no such file."""
        path = self.path / name
        return path if path.is_file() else None

    def array(self, name: str) -> np.ndarray | None:
        """A volume of the folder as [k, j, i], mapped from its file where that is not packed; None where there is none.

        Raises BadInput where it cannot be read or is not of the size that `result.json` gives.
        """
        path = self.file(name)
        if path is None:
            return None
        import SimpleITK as sitk

        mapped = mapped_nrrd(path)
        try:
            array = mapped if mapped is not None else sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        except RuntimeError as error:
            raise BadInput(f"{path} cannot be read as a volume: run `jointquant morphometry` again.") from error
        if array.shape != self.size:
            raise self.off_grid(path)
        return array

    def off_grid(self, path: Path) -> BadInput:
        """What is wrong with a volume of the folder that does not lie where `result.json` says."""
        return BadInput(
            f"{path} does not lie on the grid that result.json gives its volume: run `jointquant morphometry` again."
        )


def mapped_nrrd(path: Path) -> np.ndarray | None:
    """The voxels [k, j, i] of an NRRD that is not packed, as a map of the file; None for any other.

    So is a volume written that was larger than the memory, and only what is looked at of it is read.
    """
    with path.open("rb") as file:
        header = file.read(4096).partition(b"\n\n")[0].decode("ascii", "replace")
    fields = dict(line.split(": ", 1) for line in header.splitlines()[1:] if ": " in line)
    dtype = {"float": np.float32, "uint8": np.uint8}.get(fields.get("type", ""))
    if fields.get("encoding") != "raw" or fields.get("endian") != sys.byteorder or dtype is None:
        return None
    shape = tuple(int(n) for n in fields["sizes"].split())[::-1]
    return np.memmap(path, dtype, "r", len(header) + 2, shape)


def read_morphometry(folder: Path) -> MorphometryFolder:
    """Read the folder of a finished morphometry job; BadInput where `result.json` is missing or of another kind."""
    path = Path(folder) / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} cannot be read ({error}): give the folder that `jointquant morphometry` wrote."
        ) from error
    if not isinstance(content, dict) or content.get("schema") != MORPHOMETRY:
        raise BadInput(f"{path} is not of schema {MORPHOMETRY}: give the folder that `jointquant morphometry` wrote.")
    return MorphometryFolder(Path(folder), content)
