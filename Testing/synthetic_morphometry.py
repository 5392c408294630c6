"""A small result folder of the morphometry job, for tests of what only reads such a folder (report, scene).

The structure is drawn from a formula: plates across k, and rods along k that join them, each with its known place and
thickness. The maps hold the thickness of the plate or rod at every bone voxel, and at marrow voxels the gap between the
plates, narrower beside a rod. Every number of `result.json` that the maps or the structure give is taken from them.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PLATE_PERIOD, PLATE_WIDTH = 16, 4  # voxels along k
ROD_PERIOD, ROD_RADIUS = 24, 3  # voxels along j and i
TILTED = (0.0, 0.0, 1.0, 0.8, 0.6, 0.0, -0.6, 0.8, 0.0)  # i and j run obliquely in the P-S plane, k runs to L


@dataclass(frozen=True)
class Sample:
    """Arrays [k, j, i] of a structure with its maps in mm and its region (None: the whole volume is measured)."""

    bone: np.ndarray
    tb_th: np.ndarray
    tb_sp: np.ndarray
    region: np.ndarray | None


def draw_sample(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], region: bool) -> Sample:
    """Plates and rods; the maps are zero outside the region, an ellipsoid off the middle of the volume."""
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    plate = ((k + PLATE_PERIOD // 2) % PLATE_PERIOD < PLATE_WIDTH) & (j >= 0) & (i >= 0)
    half = ROD_PERIOD // 2
    from_rod = np.hypot((j + half) % ROD_PERIOD - half, (i + half) % ROD_PERIOD - half) + 0.0 * k
    rod = from_rod < ROD_RADIUS
    bone = plate | rod
    plate_mm, rod_mm = PLATE_WIDTH * spacing_mm[0], 2 * ROD_RADIUS * spacing_mm[2]
    gap_mm = (PLATE_PERIOD - PLATE_WIDTH) * spacing_mm[0]
    tb_th = np.where(bone, np.where(rod, rod_mm, plate_mm), 0.0)
    tb_sp = np.where(bone, 0.0, gap_mm * np.clip(from_rod / 12.0, 0.4, 1.0))
    measured = np.ones(shape, bool)
    if region:
        centre, radius = np.array(shape) * (0.55, 0.45, 0.5), np.array(shape) * 0.34
        measured = sum(((x - c) / r) ** 2 for x, c, r in zip((k, j, i), centre, radius, strict=True)) < 1
    return Sample(
        bone.astype(np.uint8),
        (tb_th * measured).astype(np.float32),
        (tb_sp * measured).astype(np.float32),
        measured.astype(np.uint8) if region else None,
    )


def write_synthetic_morphometry(
    folder: Path,
    shape: tuple[int, int, int] = (96, 96, 96),
    spacing_mm: tuple[float, float, float] = (0.05, 0.05, 0.05),
    origin_lps: tuple[float, float, float] = (0.0, 0.0, 0.0),
    direction_lps: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    region: bool = False,
) -> Path:
    """Write the folder and return it.

    :param shape: voxels along k, j, i, with their `spacing_mm`; origin (x, y, z) and direction (nine numbers, row by
        row) are those of SimpleITK.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sample = draw_sample(shape, spacing_mm, region)
    arrays = {
        "structure.nrrd": sample.bone,
        "region.nrrd": sample.region,
        "tb_th_mm.nrrd": sample.tb_th,
        "tb_sp_mm.nrrd": sample.tb_sp,
    }
    for name, array in arrays.items():
        if array is not None:
            write_volume(folder / name, array, spacing_mm, origin_lps, direction_lps)
    measures = measured_numbers(sample, spacing_mm)
    result = {
        "schema": "jointquant-morphometry/1",
        "job": "morphometry",
        "created": "2026-03-05T10:00:00+00:00",
        "inputs": [{"role": "volume", "path": "specimen_07.nrrd", "sha256": hashlib.sha256(b"volume").hexdigest()}],
        "parameters": {"segmentation": "otsu", "outside": "context", "keep_largest": True},
        "versions": {"jointquant": "0.1.0", "python": "3.11.9", "numpy": np.__version__},
        "device": "cpu",
        "seed": 0,
        "warnings": [],
        "volume": {
            "size_kji": list(shape),
            "spacing_mm_kji": list(spacing_mm),
            "origin_lps": list(origin_lps),
            "direction_lps": list(direction_lps),
            "file": "structure.nrrd",
            "in_files": False,
        },
        "segmentation": {
            "method": "otsu",
            "threshold": 412.5,
            "unit": "of the image",
            "description": "Bone is what is brighter than 412.5, which Otsu's method chose from the grey values.",
            "keep_largest": True,
        },
        "region": {
            "source": "condyle.nrrd" if region else "whole volume",
            "outside": "context",
            "volume_mm3": measures["tv_mm3"],
            "voxels": int(sample.region.sum()) if region else int(np.prod(shape)),
        },
        "morphometry": measures,
        "srrd_compatible": {
            "bv_tv": 0.1876,
            "tb_th_mm": 0.1123,
            "tb_sp_mm": 0.4862,
            "tb_n_per_mm": 1.671,
            "slices": shape[2],
            "note": "Tb.Th is about half the thickness and Tb.Sp about one and a half times the separation.",
        },
    }
    if region:
        result["inputs"].append(
            {"role": "region", "path": "condyle.nrrd", "sha256": hashlib.sha256(b"region").hexdigest()}
        )
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    with (folder / "morphometry.csv").open("w", newline="", encoding="utf-8") as file:
        numbers = {key: value for key, value in measures.items() if not isinstance(value, list)}
        csv.writer(file).writerows([numbers.keys(), numbers.values()])
    return folder


def measured_numbers(sample: Sample, spacing_mm: tuple[float, float, float]) -> dict:
    """The `morphometry` of result.json: of the maps where they give it, else fixed numbers that are all different."""
    region = np.ones(sample.bone.shape, bool) if sample.region is None else sample.region.astype(bool)
    voxel_mm3 = float(np.prod(spacing_mm))
    tv, bv = region.sum() * voxel_mm3, (sample.bone.astype(bool) & region).sum() * voxel_mm3
    half = min(spacing_mm) / 2
    numbers = {"bv_tv": bv / tv, "bv_mm3": bv, "tv_mm3": tv, "bs_mm2": 812.3, "bs_bv_per_mm": 21.57}
    for name, values in (("tb_th", sample.tb_th), ("tb_sp", sample.tb_sp)):
        inside = values[values > 0].astype(float)
        numbers |= {
            f"{name}_mm": inside.mean() - half,
            f"{name}_raw_mm": inside.mean(),
            f"{name}_sd_mm": inside.std(),
            f"{name}_max_mm": inside.max(),
        }
    return {key: float(value) for key, value in numbers.items()} | {
        "tb_th_fine_mm": 0.2019,
        "tb_th_plate_mm": 0.2076,
        "tb_th_mesh_plate_mm": 0.1913,
        "tb_n_parfitt_per_mm": float(bv / tv / numbers["tb_th_mm"]),
        "tb_n_plate_per_mm": float(1 / (numbers["tb_th_mm"] + numbers["tb_sp_mm"])),
        "tb_n_direct_per_mm": 1.347,
        "conn_d_per_mm3": 2.719,
        "euler_number": -301,
        "smi": 0.8431,
        "degree_of_anisotropy": 1.762,
        "degree_of_anisotropy_0_to_1": 0.6779,
        "mil_axes_lps": [[0.02, 0.0, 0.9998], [0.0, 1.0, 0.0], [0.9998, 0.0, -0.02]],
        "mil_mm": [0.9214, 0.7143, 0.5229],
        "half_voxel_mm": half,
        "tb_th_near_border": 0.0312,
        "tb_sp_near_border": 0.2281,
    }


def write_volume(path: Path, array: np.ndarray, spacing_mm, origin_lps, direction_lps) -> None:
    """An NRRD file of an array [k, j, i] whose spacing is given along k, j, i."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing_mm[::-1]])
    image.SetOrigin([float(x) for x in origin_lps])
    image.SetDirection([float(x) for x in direction_lps])
    sitk.WriteImage(image, str(path), useCompression=True)
