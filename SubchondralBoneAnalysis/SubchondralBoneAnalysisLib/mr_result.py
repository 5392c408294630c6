"""The findings of an MR as the part `mr` of result.json says them, and as rows of the tables beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import SimpleITK as sitk

from JointQuantLib.job import plain
from JointQuantLib.knee_folder import (
    AGREEMENT,
    BONES_ON_MR,
    CT_ON_MR,
    MR,
    SOFT_TISSUE,
    SYNTHETIC_CT,
    transform_file,
)
from SubchondralBoneAnalysisLib.bone_registration.soft_tissue import SoftTissueMotion
from SubchondralBoneAnalysisLib.mr_findings import Comparison, MrFindings, MrPatch, MrRegion
from SubchondralBoneAnalysisLib.mr_structure import STRUCTURE
from SubchondralBoneAnalysisLib.mr_volumes import motions_of
from SubchondralBoneAnalysisLib.registration import RegisteredBone
from SubchondralBoneAnalysisLib.volume import Volume

SOURCE = "mr"
APPARENT = "apparent, dual reference"  # the estimator of what is measured in an MR
FROM_PATCHES = "it is measured patch by patch"
NOTE = "for alignment only; not measured"
APPARENT_DEFINITION = (
    "BV/TV is (marrow - signal) / (marrow - bone), of each patch with the 90th percentile of its own signal as marrow "
    "and the signal of thick cortex as bone; Tb.Th, Tb.Sp and Tb.N = 1/(Tb.Th + Tb.Sp) are those of the darkest voxels "
    "that make up this share."
)


def mr_result(found: MrFindings) -> dict[str, Any]:
    """The part `mr` of result.json; every number has its unit in its name, what is not known is None."""
    volume, synthetic = found.mr.volume, found.synthetic
    bones = Counter(of.patch.bone for of in found.patches.patches)
    return {
        "side": found.side,
        "image": _grid(volume)
        | {
            "series": found.mr.series,
            "file": MR,
            "pixel_mm": found.mr.in_plane_mm,
            "slice_mm": found.mr.slice_mm,
        },
        "method": found.registration.method,
        "synthetic_ct": None
        if synthetic is None
        else {"file": SYNTHETIC_CT, "model": synthetic.model, "device": synthetic.device, "note": NOTE},
        "why_no_synthetic_ct": found.why_no_synthesis,
        "transforms": {name: _motion(name, transform) for name, transform in motions_of(found).items()},
        "knee_stages": [asdict(stage) for stage in found.registration.knee_stages],
        "bones": [_bone(bone) for bone in found.registration.bones.values()],
        "fat_shift_mm": found.registration.fat_shift_mm,
        "agreement_file": AGREEMENT,
        "shown": _grid(found.on_mr.ct)
        | {"stride_kji": found.on_mr.stride, "ct_file": CT_ON_MR, "bones_file": BONES_ON_MR},
        "patches": dict(bones),
        "patches_left_out": dict(found.patches.left_out),
        "bone_signal": found.patches.bone_signal,
        "not_measured": dict(found.patches.not_measured),
        "definition": APPARENT_DEFINITION,
        "regions": [_region(of) for of in found.regions],
        "comparison": [_comparison(of) for of in found.comparisons],
        "soft_tissue": None if found.soft_tissue is None else _soft_tissue(found.soft_tissue),
        "seconds": dict(found.seconds),
        "warnings": list(found.warnings),
    }


def region_rows(found: MrFindings, numbers: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of the MR for the table of the regions, with the keys of the CT's rows that apply.

    :param numbers: of the regions in the volumes.
    """
    rows = []
    for of in found.regions:
        row = _region(of) | {"side": found.side, "source": SOURCE, "number": numbers[of.region.number]}
        row["estimator"] = None if of.bv_tv is None else APPARENT
        row |= {"volume_mm3": of.region.volume_mm3, "voxels": of.region.voxels}
        rows.append(plain({key: value for key, value in row.items() if key != "not_measured"}))
    return rows


def patch_rows(found: MrFindings) -> list[dict[str, Any]]:
    """Rows of the MR for the table of the patches: what was measured, and where the patch lies in the MR."""
    return [_patch(of) for of in found.patches.patches]


def _patch(of: MrPatch) -> dict[str, Any]:
    structure = of.structure
    row = {
        "name": of.patch.name,
        "source": SOURCE,
        "bv_tv": structure.bv_tv,
        **{name: getattr(structure, name) for name in STRUCTURE},
        "estimator": None if structure.bv_tv is None else APPARENT,
        "marrow_signal": structure.marrow,
    }
    row |= {f"centre_mr_lps_mm_{letter}": x for letter, x in zip("lps", of.centre_lps_mm, strict=True)}
    row |= {
        f"axis_{axis}_mr_lps_{letter}": x
        for axis, vector in zip("ijk", of.axes_lps, strict=True)
        for letter, x in zip("lps", vector, strict=True)
    }
    return plain(row)


def matrix_of(transform: sitk.Transform) -> np.ndarray:
    """The 4 x 4 matrix of a rigid transform, LPS and mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for column, axis in enumerate(np.eye(3).tolist()):
        matrix[:3, column] = np.subtract(transform.TransformPoint(axis), matrix[:3, 3])
    return matrix


def _grid(volume: Volume) -> dict[str, Any]:
    return {
        "size_kji": volume.array.shape,
        "spacing_mm_kji": volume.spacing_mm,
        "origin_lps": volume.origin_lps,
        "direction_lps": volume.direction_lps,
    }


def _motion(name: str, transform: sitk.Transform) -> dict[str, Any]:
    matrix = matrix_of(transform)
    turn = np.rad2deg(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    return {
        "ct_to_mr": matrix,
        "mr_to_ct": np.linalg.inv(matrix),
        "ct_to_mr_file": transform_file(name, "ct_to_mr"),
        "mr_to_ct_file": transform_file(name, "mr_to_ct"),
        "turn_deg": float(turn),
    }


def _soft_tissue(motion: SoftTissueMotion) -> dict[str, Any]:
    return {
        "file": SOFT_TISSUE,
        "similarity_before": motion.similarity_before,
        "similarity_after": motion.similarity_after,
        "largest_mm": motion.largest_mm,
    }


def _bone(bone: RegisteredBone) -> dict[str, Any]:
    return {"name": bone.name} | asdict(bone.quality) | {"stages": [asdict(stage) for stage in bone.stages]}


def _region(of: MrRegion) -> dict[str, Any]:
    return of.region.identity() | {
        "bv_tv": of.bv_tv,
        "not_measured": ({"bv_tv": of.not_measured} if of.not_measured else {})
        | dict.fromkeys(STRUCTURE, of.not_measured or FROM_PATCHES),
    }


def _comparison(of: Comparison) -> dict[str, Any]:
    difference, correlation = of.difference, of.correlation
    return {
        "parameter": of.parameter,
        "ct_estimator": of.ct_estimator,
        "mr_estimator": APPARENT,
        "patches": len(of.names),
        "ct_mean": float(of.ct.mean()),
        "mr_mean": float(of.mr.mean()),
        "bias": difference.bias,
        "bias_interval": difference.bias_interval,
        "limits": difference.limits,
        "lower_limit_interval": difference.lower_limit_interval,
        "upper_limit_interval": difference.upper_limit_interval,
        "icc_2_1": correlation.agreement,
        "icc_2_1_interval": correlation.agreement_interval,
        "icc_3_1": correlation.consistency,
        "icc_3_1_interval": correlation.consistency_interval,
    }
