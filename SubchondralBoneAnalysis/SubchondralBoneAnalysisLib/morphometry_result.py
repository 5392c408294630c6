"""The numbers of the morphometry job as result.json and morphometry.csv say them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from JointQuantLib.job import plain, versions
from JointQuantLib.morphometry_folder import STRUCTURE
from SubchondralBoneAnalysisLib.file_digest import digest_of
from SubchondralBoneAnalysisLib.morphometry import Morphometry
from SubchondralBoneAnalysisLib.morphometry_request import MorphometryRequest
from SubchondralBoneAnalysisLib.segmentation import Segmentation
from SubchondralBoneAnalysisLib.srrd_compatible import SrrdCompatible
from SubchondralBoneAnalysisLib.volume import Volume

SCHEMA = "jointquant-morphometry/1"
WHOLE_VOLUME = "whole volume"
FEWEST_VOXELS = 2.0  # across a trabecula, for its thickness to mean something (Bouxsein et al. 2010)
LARGEST_SHARE_AT_BORDER = 0.25
MOST_UNEQUAL_EDGES = 1.5
LARGEST_VOXEL_MM = 1.5
NO_SRRD = "The SRRD-compatible set is not given: the volume is larger than the memory that the job was allowed."


def morphometry_result(
    request: MorphometryRequest,
    bone: Volume,
    segmentation: Segmentation,
    region: Volume | None,
    measured: Morphometry,
    srrd: SrrdCompatible | None,
    device: str,
    in_files: bool,
) -> dict[str, Any]:
    """The content of result.json; every number has its unit in its name, what is not known is None.

    :param bone: the structure on the grid of the volume.
    :param region: true inside, None for the whole volume.
    :param in_files: whether the volume is larger than the memory that was allowed.
    """
    voxels = int(bone.array.size if region is None else np.count_nonzero(region.array))
    numbers = asdict(measured)
    return plain(
        {
            "schema": SCHEMA,
            "job": "morphometry",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": [
                {"role": role, "path": volume.path.name, "sha256": digest_of(volume.files)}
                for role, volume in (("volume", bone), ("region", region))
                if volume is not None
            ],
            "parameters": request.parameters(),
            "versions": versions(),
            "device": device,
            "seed": request.seed,
            "warnings": _warnings(numbers, bone.spacing_mm, request.fine) + ([NO_SRRD] if in_files else []),
            "volume": {
                "size_kji": bone.array.shape,
                "spacing_mm_kji": bone.spacing_mm,
                "origin_lps": bone.origin_lps,
                "direction_lps": bone.direction_lps,
                "file": STRUCTURE,
                "in_files": in_files,
            },
            "segmentation": {
                "method": segmentation.method,
                "threshold": segmentation.threshold,
                "unit": None if segmentation.threshold is None else "of the image",
                "description": segmentation.description,
                "keep_largest": request.keep_largest,
            },
            "region": {
                "source": WHOLE_VOLUME if region is None else region.path.name,
                "outside": request.outside,
                "volume_mm3": voxels * bone.voxel_mm3,
                "voxels": voxels,
            },
            "morphometry": numbers,
            "srrd_compatible": None if srrd is None else asdict(srrd),
        }
    )


def write_morphometry_result(folder: Path, result: dict[str, Any]) -> None:
    """Write result.json and morphometry.csv, one row with the unit of every measure in its title."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    row = _row(result)
    with (folder / "morphometry.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerow(row)


def _warnings(numbers: dict[str, Any], spacing_mm: tuple[float, float, float], fine: bool) -> list[str]:
    found = []
    thickness, coarsest = numbers["tb_th_mm"], max(spacing_mm)
    if thickness is not None and thickness < FEWEST_VOXELS * coarsest:
        found.append(
            f"The trabeculae are {thickness:.3g} mm thick, less than {FEWEST_VOXELS:g} of the longest voxel edge, "
            f"{coarsest:.3g} mm: their thickness depends on the voxels more than on the bone."
        )
    if thickness is None:
        found.append("The trabeculae are so thin beside the voxels that their thickness is given raw only.")
    if coarsest > LARGEST_VOXEL_MM:
        found.append(f"The voxels are {coarsest:.3g} mm long: is the voxel size of the file in millimetres?")
    if fine and numbers["tb_th_fine_mm"] is None:
        found.append("Tb.Th by finer spheres is not given: the voxels are more than 1.5 times as long as wide.")
    if numbers["degree_of_anisotropy"] is None:
        found.append("The degree of anisotropy is not given: lines of some direction meet hardly a surface.")
    if coarsest > MOST_UNEQUAL_EDGES * min(spacing_mm):
        found.append(
            f"The voxels are {coarsest / min(spacing_mm):.3g} times as long as they are wide, so that structure along "
            "their long edge is measured less exactly than across it."
        )
    for name, what in (("tb_th", "bone"), ("tb_sp", "marrow")):
        share = numbers[f"{name}_near_border"]
        if share is not None and share > LARGEST_SHARE_AT_BORDER:
            found.append(
                f"{100 * share:.0f} % of the {what} lies nearer to the border of what is known than its own size, "
                f"which makes {name.title().replace('_', '.')} uncertain: a larger volume, or a region inside it, "
                "would show it whole."
            )
    return found


def _row(result: dict[str, Any]) -> dict[str, Any]:
    """The one row of morphometry.csv."""
    row = {"volume": result["inputs"][0]["path"], "region": result["region"]["source"]}
    row |= {"outside": result["region"]["outside"], "region_volume_mm3": result["region"]["volume_mm3"]}
    row |= {f"voxel_{axis}_mm": edge for axis, edge in zip("kji", result["volume"]["spacing_mm_kji"], strict=True)}
    segmentation = result["segmentation"]
    row |= {"segmentation": segmentation["method"], "threshold_in_image_unit": segmentation["threshold"]}
    row |= {"segmentation_description": segmentation["description"]}
    for key, value in result["morphometry"].items():
        row |= _columns(key, value)
    srrd = result["srrd_compatible"] or dict.fromkeys(field.name for field in fields(SrrdCompatible))
    return row | {f"srrd_compatible_{key}": value for key, value in srrd.items()}


def _columns(key: str, value: Any) -> dict[str, Any]:
    """One measure as columns: a vector or a list of them has a column for each of its numbers."""
    if key == "mil_axes_lps":
        axes = value or [[None] * 3] * 3
        return {
            f"mil_axis_{order}_{letter}": part
            for order, axis in enumerate(axes, 1)
            for letter, part in zip("lps", axis, strict=True)
        }
    if key == "mil_mm":
        return {f"mil_{order}_mm": length for order, length in enumerate(value or [None] * 3, 1)}
    if key in ("tb_th_near_border", "tb_sp_near_border"):
        return {f"{key}_share": value}
    return {key: value}
