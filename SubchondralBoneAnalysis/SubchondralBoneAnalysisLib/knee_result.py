"""The findings of the knee job as result.json and the tables beside it say them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from JointQuantLib.job import plain, versions
from JointQuantLib.knee_folder import BONE_NUMBERS, CT, PATCH_TABLE, REGION_TABLE, SURFACE_TABLE, surface_file
from JointQuantLib.result_kind import KNEE
from SubchondralBoneAnalysisLib.ct_measures import RegionMeasures, WidthSummary
from SubchondralBoneAnalysisLib.ct_reading import BoneLabels, KneeCt
from SubchondralBoneAnalysisLib.ct_resolution import BlurEstimate, CtResolution
from SubchondralBoneAnalysisLib.file_digest import digest_of
from SubchondralBoneAnalysisLib.knee_findings import KneeFindings, MeasuredRegion, MeasuredSurface
from SubchondralBoneAnalysisLib.knee_request import KneeRequest, name_of
from SubchondralBoneAnalysisLib.knee_volumes import region_numbers
from SubchondralBoneAnalysisLib.mr_findings import MrFindings
from SubchondralBoneAnalysisLib.mr_readout import header_beside
from SubchondralBoneAnalysisLib.mr_result import mr_result, patch_rows, region_rows
from SubchondralBoneAnalysisLib.mr_structure import STRUCTURE
from SubchondralBoneAnalysisLib.one_knee import ASSUMPTION
from SubchondralBoneAnalysisLib.region_finding.compartments import DEFINITION

SOURCE = "ct"
DENSITY = "density"  # the estimator of BV/TV
# What a CT network will estimate: its columns are kept free.
NOT_YET = ("tb_th_mm", "tb_th_mm_se", "tb_sp_mm", "tb_sp_mm_se", "tb_n_per_mm", "tb_n_per_mm_se")
MEASURED = ("hu_", "bv_tv", "tb_", "estimator", "source")  # how columns of patches begin that say no place
WIDTHS = ("area_mm2", "mean_mm", "sd_mm", "median_mm", "smallest_mm", "unresolved", "limit_mm")


def knee_result(
    request: KneeRequest,
    ct: KneeCt,
    drawn: BoneLabels | None,
    resolution: CtResolution,
    knees: Sequence[KneeFindings],
    warnings: Sequence[str],
    with_mr: MrFindings | None = None,
) -> dict[str, Any]:
    """The content of result.json; every number has its unit in its name, what is not known is None.

    :param drawn: bones from elsewhere, None where they were found in the CT.
    :param warnings: about the whole CT; those about a knee stand with it too.
    :param with_mr: what was found in an MR of one of the knees; the part `mr` is left out where there is none.
    """
    inputs = [("ct", request.ct, ct.volume.files)]
    if drawn is not None:
        inputs.append(("bones", request.bones, drawn.labels.files))
    if with_mr is not None:
        inputs.append(("mr", request.mr, with_mr.mr.volume.files))
        header = header_beside(request.mr)
        if header is not None:
            inputs.append(("mr header", header, (header,)))
    synthetic = with_mr.synthetic if with_mr else None
    return plain(
        {
            "schema": KNEE,
            "job": "knee",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": [
                {"role": role, "path": name_of(path), "sha256": digest_of(files)} for role, path, files in inputs
            ],
            "parameters": request.parameters(),
            "versions": versions(),
            "device": "cpu" if synthetic is None else synthetic.device,
            "seed": request.seed,
            "warnings": [_sentence(text) for text in (*warnings, *resolution.reasons)]
            + [
                _sentence(text) if len(knees) == 1 else f"{knee.side.title()} knee: {text}"
                for knee in knees
                for text in knee.warnings
            ]
            + [_sentence(text) for text in (with_mr.warnings if with_mr else ())],
            "ct": {
                "size_kji": ct.volume.array.shape,
                "spacing_mm_kji": ct.volume.spacing_mm,
                "origin_lps": ct.volume.origin_lps,
                "direction_lps": ct.volume.direction_lps,
                "series": ct.series,
                "file": CT,
                "noise_sd_hu": None if resolution.noise is None else resolution.noise.sd_hu,
                "blur_in_plane": _blur(resolution.in_plane),
                "blur_axial": _blur(resolution.axial),
            },
            "definitions": {
                "density": ASSUMPTION.sentence,
                "subregions": DEFINITION,
                "depth": "mm below the outer surface of the bone, or below the subchondral plate (from_surface)",
            },
            "knees": [_knee(knee, region_numbers(knees, knee, "bone")) for knee in knees],
        }
        | ({"mr": mr_result(with_mr)} if with_mr else {})
    )


def write_knee_result(
    folder: Path, result: dict[str, Any], knees: Sequence[KneeFindings], with_mr: MrFindings | None = None
) -> None:
    """Write result.json, and a table each of the regions, the articular surfaces and the patches.

    Rows of the MR come after those of the CT; what only one of them has is empty in the rows of the other.
    """
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    tables = {
        name: [{"side": knee["side"]} | row for knee in result["knees"] for row in knee[key]]
        for name, key in ((REGION_TABLE, "regions"), (SURFACE_TABLE, "surfaces"))
    }
    tables[PATCH_TABLE] = [row for knee in knees for row in _patches(knee)]
    if with_mr is not None:
        (knee,) = (knee for knee in knees if knee.side == with_mr.side)
        tables[REGION_TABLE] += region_rows(with_mr, region_numbers(knees, knee, "bone"))
        of_ct = {row["name"]: row for row in _patches(knee)}
        place = [key for key in next(iter(of_ct.values()), {}) if not key.startswith(MEASURED)]
        for row in patch_rows(with_mr):
            tables[PATCH_TABLE].append({key: of_ct[row["name"]][key] for key in place} | row)
    for name, rows in tables.items():
        _write_table(folder / name, [{k: v for k, v in row.items() if k != "not_measured"} for row in rows])


def _knee(knee: KneeFindings, numbers: dict[int, int]) -> dict[str, Any]:
    return {
        "side": knee.side,
        "side_from": knee.side_from,
        "box_kji": [[part.start, part.stop] for part in knee.box],
        "bones": [
            asdict(bone)
            | {"volume_mm3": knee.bone_mm3(BONE_NUMBERS[name])}
            | {"model": surface_file(knee.side, name) if name in knee.surfaces else None}
            for name, bone in knee.bones.items()
        ],
        "frames": {
            name: {"origin_lps": bone.frame.origin_lps, "lateral_posterior_proximal_lps": bone.frame.axes}
            for name, bone in knee.regions.bones.items()
        },
        "articular_mm2": {name: bone.articular_mm2 for name, bone in knee.regions.bones.items()},
        "plate": _plate(knee),
        "missing": knee.regions.missing,
        "surfaces": [_surface(of) for of in knee.sub_regions],
        "regions": [_region(of, numbers) for of in knee.measured],
        "patches": {name: sum(of.patch.bone == name for of in knee.patches) for name in knee.regions.bones},
        "warnings": [_sentence(text) for text in knee.warnings],
    }


def _plate(knee: KneeFindings) -> dict[str, Any]:
    """What the thickness of the plate takes for granted: one attenuation for both bones."""
    plates = [bone.plate for bone in knee.regions.bones.values() if bone.plate is not None]
    return {
        "attenuation_hu": plates[0].plate_hu if plates else None,
        "shaft_cortex_hu": plates[0].cortex_hu if plates else None,
        "not_measured": plates[0].why_not or None if plates else None,
    }


def _region(of: MeasuredRegion, numbers: dict[int, int]) -> dict[str, Any]:
    region, measures = of.region, of.measures
    return region.identity() | {
        "number": numbers[region.number],
        "source": SOURCE,
        "voxels": region.voxels,
        "volume_mm3": region.volume_mm3,
        "hu_mean": measures.hu_mean,
        "hu_sd": measures.hu_sd,
        "bv_tv": measures.bv_tv,
        "bv_tv_se": _bv_tv_se(measures),
        "bv_tv_low": measures.bv_tv_low,
        "bv_tv_high": measures.bv_tv_high,
        **dict.fromkeys(NOT_YET),
        "estimator": None if measures.bv_tv is None else DENSITY,
        "out_of_range": None if measures.hu_mean is None else measures.bv_tv is None,
        "texture_sd_hu": measures.texture_sd_hu,
        "texture_skewness": measures.texture_skewness,
        "texture_grain_mm": measures.texture_grain_mm,
        "not_measured": measures.not_measured,
    }


def _bv_tv_se(measures: RegionMeasures) -> float | None:
    """Standard uncertainty of a value that lies anywhere in the range that is assumed (GUM, JCGM 100:2008, 4.3.7)."""
    return None if measures.bv_tv is None else (measures.bv_tv_high - measures.bv_tv_low) / math.sqrt(12)


def _surface(of: MeasuredSurface) -> dict[str, Any]:
    row = {"bone": of.bone, "compartment": of.compartment, "subregion": of.subregion, "area_mm2": of.area_mm2}
    row |= _width("plate", of.plate) | _width("joint_space", of.joint_space)
    not_measured = {f"plate_{name}": why for name, why in of.plate.not_measured.items()}
    if of.joint_space is not None:
        not_measured |= {f"joint_space_{name}": why for name, why in of.joint_space.not_measured.items()}
    return row | {"not_measured": not_measured}


def _width(what: str, summary: WidthSummary | None) -> dict[str, Any]:
    return {f"{what}_{name}": None if summary is None else getattr(summary, name) for name in WIDTHS}


def _patches(knee: KneeFindings) -> list[dict[str, Any]]:
    rows = []
    for of in knee.patches:
        patch = of.patch
        row = {
            "name": patch.name,
            "side": knee.side,
            "bone": patch.bone,
            "compartment": patch.compartment,
            "subregion": patch.sub_region,
            "depth_mm": patch.depth_mm,
            "edge_mm": patch.edge_mm,
            "inside_share": patch.inside,
            "source": SOURCE,
            "hu_mean": of.hu_mean,
            "hu_sd": of.hu_sd,
            "bv_tv": of.bv_tv,
            **dict.fromkeys(STRUCTURE),
            "estimator": None if of.bv_tv is None else DENSITY,
        }
        row |= {f"centre_lps_mm_{letter}": value for letter, value in zip("lps", patch.centre_lps_mm, strict=True)}
        row |= {
            f"axis_{axis}_lps_{letter}": value
            for axis, vector in zip("ijk", patch.axes_lps, strict=True)
            for letter, value in zip("lps", vector, strict=True)
        }
        rows.append(plain(row))
    return rows


def _blur(estimate: BlurEstimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        if not rows:
            return
        columns = dict.fromkeys(key for row in rows for key in row)
        writer = csv.DictWriter(file, fieldnames=list(columns))
        writer.writeheader()
        writer.writerows(rows)
