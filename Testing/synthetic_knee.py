"""A small result folder of the knee job, for tests of what only reads such a folder (report, scene).

The bones are drawn from formulas: a tibia with a flat plateau, a femur with two round condyles, a patella in front, a
fibula on the lateral side. All volumes have the one grid, and every number of `result.json` that the volumes give is
taken from them; the others are fixed and all different, so that one that stands in the wrong place is seen.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import marching_cubes
from synthetic_morphometry import write_volume

from JointQuantLib.knee_folder import (
    BANDS,
    BANDS_BELOW_PLATE,
    BONE_NUMBERS,
    BONES,
    COMPARTMENTS,
    CT,
    DEPTH,
    FIRST_COMPARTMENT,
    JOINT_SPACE,
    METAL,
    PATCH_TABLE,
    PLATE,
    REGION_TABLE,
    REGIONS,
    REGIONS_BELOW_PLATE,
    SUBREGION_NAMES,
    SURFACE_TABLE,
    surface_file,
)
from SubchondralBoneAnalysisLib.bone_models import write_bone_model

SHAPE = (40, 40, 48)  # of one knee [k, j, i]
SPACING_MM = (1.8, 1.8, 1.6)  # along k, j, i
JOINT_MM, GAP_MM = 33.3, 4.0  # the plateau, half way between two slices, and the space above it at its narrowest
CONDYLES_MM, CONDYLE_MM = 17.0, 15.0  # from the midline to the middle of a condyle, and its radius
BANDS_MM = ((0.0, 2.5), (2.5, 5.0), (5.0, 10.0))
NUMBERS = 2 * len(SUBREGION_NAMES) * len(BANDS_MM)  # of the regions of one knee; those of a second go on there
PLATE_MM = 1.5
MARROW_HU, BONE_HU, NOISE_HU = -40.0, 1750.0, 20.0
BAND_HU = (900.0, 420.0, 180.0)
COARSE = "voxels of 1.8 mm do not sample trabeculae, which takes 0.625 mm or less"
THIN = "62 % of the area is thinner than the 0.90 mm that the image resolves"
AROUND_METAL = "100 % of the region lie around metal"
CUT_FEMUR = (
    "only 14 mm of the femur are in the image, and at least 38 mm are needed to find its articular surface the same in "
    "every knee"
)


@dataclass(frozen=True)
class Knee:
    """The volumes of one knee, arrays [k, j, i]; regions are numbered as in a folder with this knee alone.

    :param subregion: 1 to 6 of femur or tibia, in the order of `SUBREGION_NAMES`, as deep as `depth_mm` goes.
    """

    side: str
    bones: np.ndarray
    ct: np.ndarray
    depth_mm: np.ndarray
    subregion: np.ndarray
    plate_mm: np.ndarray
    joint_space_mm: np.ndarray
    metal: np.ndarray | None

    def bands(self, from_plate: bool) -> np.ndarray:
        """Number of the depth band from 1, 0 outside the regions."""
        depth = self.depth_mm - PLATE_MM * from_plate
        bands = np.zeros(depth.shape, np.uint8)
        for number, (low, high) in enumerate(BANDS_MM, 1):
            bands[(self.subregion > 0) & (depth > low) & (depth <= high)] = number
        return bands

    def regions(self, from_plate: bool) -> np.ndarray:
        """Number of the region: femur first, of each sub-region the bands one after the other."""
        bands = self.bands(from_plate)
        before = NUMBERS // 2 * (self.bones == BONE_NUMBERS["tibia"])
        return np.where(bands > 0, before + (self.subregion - 1) * len(BANDS_MM) + bands, 0).astype(np.uint16)

    def compartments(self) -> np.ndarray:
        numbers = np.zeros(self.bones.shape, np.uint8)
        for bone, first in FIRST_COMPARTMENT.items():
            inside = (self.bones == BONE_NUMBERS[bone]) & (self.bands(False) > 0)
            numbers[inside] = first + self.subregion[inside] - 1
        return numbers


def draw_knee(side: str, femur: bool = True, metal: bool = False) -> Knee:
    """One knee in a volume whose i, j, k run along L, P, S; without its femur 14 mm of it are left, and no regions."""
    k, j, i = (np.arange(n) * s for n, s in zip(SHAPE, SPACING_MM, strict=True))
    z, y, x = np.meshgrid(k - JOINT_MM, j - j[-1] / 2 - 3, i - i[-1] / 2, indexing="ij")
    lateral = x if side == "left" else -x
    tibia = (z <= 0) & ((x / 33) ** 2 + (y / 22) ** 2 < (1 + np.clip(z + 20, -18, 0) / 30) ** 2)
    middle = GAP_MM + CONDYLE_MM
    condyles = np.hypot(np.hypot((np.abs(x) - CONDYLES_MM), y / 1.35), z - middle) < CONDYLE_MM
    block = (z > middle - 3) & (np.hypot(x / 30, (y + 2) / 18) < 1)
    whole = condyles | block
    shown = whole & (z < GAP_MM + (99 if femur else 14))
    patella = np.hypot(np.hypot(x / 15, (y + 29) / 5), (z - 20) / 13) < 1
    fibula = (np.hypot(lateral - 27, y - 17) < 5) & (z < -16)
    bones = np.zeros(SHAPE, np.uint8)
    for name, inside in (("femur", shown), ("tibia", tibia), ("patella", patella & ~whole), ("fibula", fibula)):
        bones[inside & (bones == 0)] = BONE_NUMBERS[name]

    depth, subregion = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    third = np.digitize(y, (-8, 8))
    plateaus = (np.abs(x) > 4) & (np.abs(x) < 29) & (np.abs(y) < 18)
    for name, near in (("femur", (z < middle + 4) & plateaus), ("tibia", plateaus)):
        if name == "femur" and not femur:
            continue
        bone = bones == BONE_NUMBERS[name]
        # Distances are to the next centre outside, half a voxel beyond the surface.
        from_side = ndimage.distance_transform_edt(bone, SPACING_MM) - 0.9
        below = np.where(bone, -z if name == "tibia" else from_side, 0)
        reached = bone & near & (below > 0) & (below <= BANDS_MM[-1][1] + PLATE_MM)
        depth[reached] = below[reached]
        subregion[reached] = 1 + 3 * (lateral > 0)[reached] + third[reached]

    gap = np.hypot(np.abs(x) - CONDYLES_MM, y / 1.35)
    space = middle - np.sqrt(np.clip(CONDYLE_MM**2 - gap**2, 0, None))
    between = (bones == 0) & (z > 0) & (z < space) & (gap < 0.8 * CONDYLE_MM) & plateaus
    ct = np.where(np.hypot(x, y) < 37, 50.0, -1000.0)
    ct[bones > 0] = MARROW_HU
    ct[(bones > 0) & (ndimage.distance_transform_edt(bones > 0, SPACING_MM) < 2)] = BAND_HU[0]
    banded = Knee(side, bones, ct, depth, subregion, np.zeros(0), np.zeros(0), None).bands(False)
    for number, hu in enumerate(BAND_HU, 1):
        ct[banded == number] = (hu + 15 * subregion + 40 * (bones == BONE_NUMBERS["femur"]))[banded == number]
    ct += NOISE_HU * np.random.default_rng(7).standard_normal(SHAPE) * (ct > -900)
    around = None
    if metal:
        screw = (np.hypot(lateral + CONDYLES_MM, z + 3) < 3) & (bones == BONE_NUMBERS["tibia"])
        ct[screw] = 3500
        around = ndimage.binary_dilation(screw, iterations=2).astype(np.uint8)
    return Knee(
        side,
        bones,
        np.round(ct).astype(np.int16),
        depth,
        subregion,
        np.where((depth > 0) & (depth <= PLATE_MM), PLATE_MM, 0).astype(np.float32),
        np.where(between, space, 0).astype(np.float32),
        around,
    )


def write_synthetic_knee(
    folder: Path,
    sides: tuple[str, ...] = ("right",),
    femur: bool = True,
    metal: bool = False,
    ct_name: str = "knee_07.nrrd",
    origin_lps: tuple[float, float, float] = (-40.0, -30.0, 200.0),
) -> Path:
    """Write the folder and return it.

    :param sides: ("right",), ("left",) or ("right", "left"), which lie side by side in one volume.
    :param femur: whether the femur is whole; else it is cut, and has no regions.
    :param metal: a screw in the medial tibia.
    :param ct_name: of the file that was given; it may hold whatever a name can.
    :param origin_lps: of the volume, whose i, j, k run along L, P, S.
    """
    folder.mkdir(parents=True, exist_ok=True)
    knees = [draw_knee(side, femur, metal) for side in sides]

    def write(name: str, parts: list[np.ndarray]) -> None:
        array = np.concatenate(parts, axis=2)
        write_volume(folder / name, array, SPACING_MM, origin_lps, np.eye(3).ravel())

    def regions(from_plate: bool) -> list[np.ndarray]:
        found = [knee.regions(from_plate) for knee in knees]
        return [np.where(part > 0, part + n * NUMBERS, 0).astype(np.uint16) for n, part in enumerate(found)]

    write(CT, [knee.ct for knee in knees])
    write(BONES, [knee.bones for knee in knees])
    write(REGIONS, regions(False))
    write(REGIONS_BELOW_PLATE, regions(True))
    write(BANDS, [knee.bands(False) for knee in knees])
    write(BANDS_BELOW_PLATE, [knee.bands(True) for knee in knees])
    write(COMPARTMENTS, [knee.compartments() for knee in knees])
    write(DEPTH, [knee.depth_mm for knee in knees])
    write(PLATE, [knee.plate_mm for knee in knees])
    write(JOINT_SPACE, [knee.joint_space_mm for knee in knees])
    if metal:
        write(METAL, [knee.metal for knee in knees])
    for n, knee in enumerate(knees):
        first = np.array(origin_lps) + (n * SHAPE[2] * SPACING_MM[2], 0, 0)
        for name in BONE_NUMBERS:
            write_surface(folder, knee, name, first)
    result = result_of(knees, femur, ct_name, origin_lps)
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    write_tables(folder, result)
    return folder


def write_surface(folder: Path, knee: Knee, name: str, first_lps: np.ndarray) -> None:
    """The surface of a bone; femur and tibia have their sub-region, plate and joint space at each point."""
    inside = np.pad(knee.bones == BONE_NUMBERS[name], 1)
    points, triangles, normals, _ = marching_cubes(inside.astype(np.float32), 0.5, spacing=SPACING_MM)
    at = np.clip(np.round(points / SPACING_MM).astype(int) - 1, 0, np.array(SHAPE) - 1)
    values = {}
    if name in FIRST_COMPARTMENT:
        own = knee.bones == BONE_NUMBERS[name]
        values["compartment"] = ndimage.maximum_filter(knee.compartments() * own, 3)[tuple(at.T)]
        plate = ndimage.maximum_filter(knee.plate_mm * own, 3)[tuple(at.T)]
        values["plate_thickness_mm"] = np.where(plate > 0, plate, np.nan)
    if name == "tibia":
        space = ndimage.maximum_filter(knee.joint_space_mm, 3)[tuple(at.T)]
        values["joint_space_mm"] = np.where(space > 0, space, np.nan)
    surface = SimpleNamespace(
        points_lps=(points - SPACING_MM)[:, ::-1] + first_lps, triangles=triangles[:, ::-1], normals=-normals[:, ::-1]
    )
    write_bone_model(folder / surface_file(knee.side, name), surface, f"{knee.side} {name}", values)


def result_of(knees: list[Knee], femur: bool, ct_name: str, origin_lps: tuple[float, float, float]) -> dict:
    """The content of result.json."""
    shape = (*SHAPE[:2], SHAPE[2] * len(knees))
    warnings = [] if knees[0].metal is None else ["It holds metal: the 4.2 cm³ up to 10 mm around it are not measured."]
    described = [describe_knee(knee, femur, n) for n, knee in enumerate(knees)]
    for knee in described:
        before = "" if len(knees) == 1 else f"{knee['side'].title()} knee: "
        warnings += [before + warning for warning in knee["warnings"]]
    return {
        "schema": "jointquant-knee/1",
        "job": "knee",
        "created": "2026-03-05T10:00:00+00:00",
        "inputs": [{"role": "ct", "path": ct_name, "sha256": hashlib.sha256(b"ct").hexdigest()}],
        "parameters": {
            "ct": ct_name,
            "bones": None,
            "bone_names": None,
            "side": None,
            "bands_mm": [list(band) for band in BANDS_MM],
            "patch_rule": {
                "edge_mm": 6.0,
                "band_mm": [1.5, 11.5],
                "overlap": 0.5,
                "least_inside": 0.9,
                "normal_mm": 8.0,
                "tolerance_mm": 0.5,
            },
            "patch_grid_mm": 0.4,
            "device": "auto",
            "seed": 0,
        },
        "versions": {"jointquant": "0.1.0", "python": "3.11.9", "numpy": np.__version__},
        "device": "cpu",
        "seed": 0,
        "warnings": warnings,
        "ct": {
            "size_kji": list(shape),
            "spacing_mm_kji": list(SPACING_MM),
            "origin_lps": list(origin_lps),
            "direction_lps": np.eye(3).ravel().tolist(),
            "series": ct_name,
            "file": CT,
            "noise_sd_hu": NOISE_HU,
            "blur_in_plane": {"fwhm_mm": 1.63, "error_mm": 0.02, "profiles": 688, "edges": "skin"},
            "blur_axial": {"fwhm_mm": 1.8, "error_mm": 0.05, "profiles": 164, "edges": "cortex"},
        },
        "definitions": {
            "density": "BV/TV by density is (HU - marrow) / (bone - marrow): marrow is assumed to have -40 ± 40 HU and "
            "bone 1750 ± 175 HU; no phantom was scanned.",
            "subregions": {
                "tibia": "thirds of each plateau from front to back (MOAKS, Hunter 2011)",
                "femur": "trochlea, weight-bearing to 60 % of the way from notch to posterior end, posterior "
                "(Eckstein 2006)",
            },
            "depth": "mm below the outer surface of the bone, or below the subchondral plate (from_surface)",
        },
        "knees": described,
    }


def describe_knee(knee: Knee, femur: bool, place: int) -> dict:
    """What result.json says of one knee, the `place`-th of the image."""
    with_regions = ["tibia", "femur"] if femur else ["tibia"]
    bones = []
    for name, number in BONE_NUMBERS.items():
        cut = name == "femur" and not femur
        bones.append(
            {
                "name": name,
                "found": True,
                "confidence": 0.62 if cut else 0.97,
                "cut_by_view": ["superior"] if cut else [],
                "reason": "only 14 mm of it are in the volume" if cut else "",
                "volume_mm3": float((knee.bones == number).sum() * np.prod(SPACING_MM)),
                "model": surface_file(knee.side, name),
            }
        )
    warnings = (
        [] if femur else ["The femur: only 14 mm of it are in the volume.", f"No regions of the femur: {CUT_FEMUR}."]
    )
    out = 1 if knee.side == "left" else -1
    return {
        "side": knee.side,
        "side_from": "the fibula, which is lateral",
        "box_kji": [[0, SHAPE[0]], [0, SHAPE[1]], [place * SHAPE[2], (place + 1) * SHAPE[2]]],
        "bones": bones,
        "frames": {
            name: {
                "origin_lps": [0.0, 0.0, JOINT_MM],
                "lateral_posterior_proximal_lps": [[out, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            }
            for name in with_regions
        },
        "plate": {"attenuation_hu": 1201.0, "shaft_cortex_hu": 1814.0, "not_measured": None},
        "articular_mm2": {name: 2051.5 if name == "tibia" else 3790.8 for name in with_regions},
        "missing": {} if femur else {"femur": CUT_FEMUR},
        "surfaces": [describe_surface(knee, name, number) for name in with_regions for number in range(1, 7)],
        "regions": [
            describe_region(knee, name, number, band, from_plate, place)
            for name in with_regions
            for from_plate in (False, True)
            for number in range(1, 7)
            for band in range(1, len(BANDS_MM) + 1)
        ],
        "patches": {name: 12 + 7 * (name == "femur") for name in with_regions},
        "warnings": warnings,
    }


def describe_surface(knee: Knee, bone: str, number: int) -> dict:
    """Plate and joint space of a sub-region; the plate of the last one is too thin to be measured."""
    compartment, subregion = SUBREGION_NAMES[number - 1].split()
    widths = ("mean_mm", "sd_mm", "median_mm", "smallest_mm")
    thin = number == len(SUBREGION_NAMES)
    plate = 1.2 + 0.11 * number + 0.07 * (bone == "femur")
    space = 4.0 + 0.23 * number + 0.05 * (knee.side == "left") if bone == "tibia" else None
    row = {"bone": bone, "compartment": compartment, "subregion": subregion, "area_mm2": 150.5 + 10 * number}
    for what, value, limit in (("plate", plate, 0.9), ("joint_space", space, 1.8)):
        spread = (value, 0.31, value + 0.02, value - 0.6) if value else (None,) * 4
        unknown = what == "plate" and thin
        row |= {f"{what}_{width}": None if unknown else of for width, of in zip(widths, spread, strict=True)}
        row |= {f"{what}_unresolved": (0.62 if unknown else 0.01) if value else None}
        row |= {f"{what}_limit_mm": limit if value else None, f"{what}_area_mm2": 120.0 if value else None}
    return row | {"not_measured": {f"plate_{width}": THIN for width in widths} if thin else {}}


def describe_region(knee: Knee, bone: str, number: int, band: int, from_plate: bool, place: int) -> dict:
    """What the volumes hold of a region; where metal covers it, nothing is measured."""
    compartment, subregion = SUBREGION_NAMES[number - 1].split()
    inside = (knee.bones == BONE_NUMBERS[bone]) & (knee.subregion == number) & (knee.bands(from_plate) == band)
    low, high = BANDS_MM[band - 1]
    region = int(knee.regions(from_plate)[inside].max())
    measured, why_not = {}, {}
    texture = ("texture_sd_hu", "texture_skewness", "texture_grain_mm")
    density = ("hu_mean", "hu_sd", "bv_tv", "bv_tv_low", "bv_tv_high")
    if knee.metal is not None and (bone, compartment) == ("tibia", "medial"):
        why_not = dict.fromkeys((*density, *texture), AROUND_METAL)
    else:
        values = knee.ct[inside].astype(float)
        share = (values.mean() - MARROW_HU) / (BONE_HU - MARROW_HU)
        measured = dict(
            zip(density, (values.mean(), values.std(ddof=1), share, share - 0.03, share + 0.04), strict=True)
        )
        why_not = dict.fromkeys(texture, COARSE)
    given = {key: float(measured[key]) if key in measured else None for key in (*density, *texture)}
    return {
        "name": f"{bone}_{compartment}_{subregion}_{low:g}-{high:g}" + ("_below_plate" if from_plate else ""),
        "bone": bone,
        "compartment": compartment,
        "subregion": subregion,
        "depth_from_mm": low,
        "depth_to_mm": high,
        "from_surface": "plate" if from_plate else "bone",
        "number": region + place * NUMBERS,
        "source": "ct",
        "voxels": int(inside.sum()),
        "volume_mm3": float(inside.sum() * np.prod(SPACING_MM)),
        **{key: given[key] for key in density},
        "bv_tv_se": None if given["bv_tv"] is None else 0.02,
        **{f"{key}{end}": None for key in ("tb_th_mm", "tb_sp_mm", "tb_n_per_mm") for end in ("", "_se")},
        "estimator": None if given["bv_tv"] is None else "density",
        "out_of_range": None if given["hu_mean"] is None else False,
        **{key: given[key] for key in texture},
        "not_measured": why_not,
    }


def write_tables(folder: Path, result: dict) -> None:
    """The tables beside result.json; of the patches two rows of the tibia of each knee."""
    tables = {
        REGION_TABLE: [{"side": knee["side"]} | row for knee in result["knees"] for row in knee["regions"]],
        SURFACE_TABLE: [{"side": knee["side"]} | row for knee in result["knees"] for row in knee["surfaces"]],
        PATCH_TABLE: [
            {
                "name": f"tibia-proximal-{side}04P+00-D1",
                "side": knee["side"],
                "bone": "tibia",
                "compartment": "lateral" if side == "L+" else "medial",
                "subregion": "central",
                "depth_mm": 4.5,
                "edge_mm": 6.0,
                "inside_share": 0.97,
                "source": "ct",
                "hu_mean": 231.0,
                "hu_sd": 35.0,
                "bv_tv": 0.151,
                "estimator": "density",
            }
            for knee in result["knees"]
            for side in ("L+", "L-")
        ],
    }
    for name, rows in tables.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            columns = [key for key in rows[0] if key != "not_measured"]
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def volume_of(folder: Path, name: str) -> np.ndarray:
    """A volume of the folder as [k, j, i]."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
