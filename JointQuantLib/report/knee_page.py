"""The page of a knee result: what the image allows, and of each knee its joint space, its plate and its density."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.even_colors import even_ramp
from JointQuantLib.knee_colors import DENSITY_TOP_HU, PLATE_TOP_MM, plate_ramp
from JointQuantLib.knee_folder import KneeFolder, read_knee

from .knee_definitions import definitions_of, files_of
from .knee_mr import describe_mr
from .knee_pictures import PictureRow, pictures_of
from .knee_refusals import refusals_of
from .knee_schematic import OUTLINES, Scale, Schematic, draw_schematic, even_scale, joint_space_scale
from .knee_tables import Table, bone_rows, density_table, width_table
from .knee_wording import (
    DASH,
    band_words,
    blur_words,
    knees_words,
    measured,
    narrowest,
    patch_words,
    percent,
    range_words,
    width_words,
)
from .morphometry_wording import size_words, voxel_words
from .template import HERE, flat, render_template

SHOWN_SHARE = (
    0.05  # of an area that is too thin to resolve: from there on it stands in the map, and a mean is not given
)
BELOW = {"bone": "below the surface of the bone", "plate": "below the subchondral plate"}


@dataclass(frozen=True)
class DensityMaps:
    """The maps of all depth bands that count from one surface, bone by bone."""

    title: str
    bands: list[str]
    bones: list[tuple[str, list[Schematic]]]


@dataclass(frozen=True)
class KneeView:
    """One knee as the page shows it. `missing`: sentences about bones without regions."""

    side: str
    side_from: str
    anchor: str
    headlines: list[tuple[str, str, str]]
    joint_space: Schematic | None
    plates: list[Schematic]
    density: list[DensityMaps]
    missing: list[tuple[str, str]]
    bones: list[dict]
    pictures: list[PictureRow]
    surface_table: Table
    region_table: Table
    patches: dict[str, int]


def render_knee(folder: Path) -> str:
    """The page of the result folder of a knee job. Raises BadInput where the folder is not one."""
    result = read_knee(folder)
    content, ct = result.content, result.content["ct"]
    parameters = content["parameters"]
    scales = scales_of()
    return render_template(
        "knee.html.jinja",
        result=content,
        knee_css=(HERE / "knee.css").read_text(encoding="utf-8"),
        title=knees_words([knee["side"] for knee in result.knees]),
        name=result.ct_name,
        series="" if ct["series"] == result.ct_name else ct["series"],
        size=size_words(result.size),
        voxel=voxel_words(result.spacing_mm),
        noise="not known" if ct["noise_sd_hu"] is None else f"SD {ct['noise_sd_hu']:.0f} HU in soft tissue",
        blurs=(
            ("Blur in the slices", blur_words(ct["blur_in_plane"])),
            ("Blur across them", blur_words(ct["blur_axial"])),
        ),
        refusals=refusals_of(result.knees),
        no_trabeculae=all(
            row[key] is None
            for knee in result.knees
            for row in knee["regions"]
            for key in ("tb_th_mm", "tb_sp_mm", "tb_n_per_mm")
        ),
        scales=scales,
        outlines=OUTLINES,
        knees=[describe_knee(result, knee, scales) for knee in result.knees],
        mr=describe_mr(result),
        patch_rule=patch_words(parameters["patch_rule"], parameters["patch_grid_mm"]),
        definitions=definitions_of(content),
        files=files_of(result),
        parameters=flat(parameters),
    )


def describe_knee(result: KneeFolder, knee: dict, scales: dict[str, Scale]) -> KneeView:
    """All that the page says of one knee."""
    bones = [name for name in ("femur", "tibia") if any(row["bone"] == name for row in knee["regions"])]
    surfaces = {name: [row for row in knee["surfaces"] if row["bone"] == name] for name in bones}
    spaces = [row for row in surfaces.get("tibia", []) if row["joint_space_limit_mm"] is not None]
    return KneeView(
        knee["side"],
        knee["side_from"],
        f"knee-{knee['side']}",
        headlines(knee, spaces, surfaces.get("tibia", [])),
        space_map(knee["side"], spaces, scales["joint_space"]) if spaces else None,
        [plate_map(name, knee["side"], rows, scales["plate"]) for name, rows in surfaces.items()],
        [maps for start in BELOW if (maps := density_maps(knee, bones, start, scales["density"])).bands],
        list(knee["missing"].items()),
        bone_rows(knee),
        pictures_of(result, knee),
        width_table(knee),
        density_table(knee),
        knee["patches"],
    )


def scales_of() -> dict[str, Scale]:
    """The scales of the maps: the same for all knees, bones and depths."""
    return {
        "density": even_scale("Mean HU", "density", density_ramp(), DENSITY_TOP_HU),
        "plate": even_scale("Plate, median, mm", "plate-median", plate_ramp(), PLATE_TOP_MM, 4),
        "joint_space": joint_space_scale("Joint space, mean, mm", "space-mean"),
    }


def density_ramp() -> np.ndarray:
    """(n, 3) RGB colours of a density: from near white over ochre to dark brown, the denser the darker."""
    fine = np.linspace(0.0, 1.0, 2001)
    return even_ramp(
        16, 0.975 - 0.53 * fine, 0.02 + 0.10 * np.sin(np.pi * np.minimum(fine, 0.75) / 1.5), 85 - 35 * fine
    )


def space_map(side: str, rows: list[dict], scale: Scale) -> Schematic:
    def words(row: dict) -> tuple[str, str]:
        mean = width_words(row, "joint_space", "mean")
        if mean == DASH and (median := width_words(row, "joint_space", "median")) != DASH:
            mean = f"{median}*"
        return mean, f"min {width_words(row, 'joint_space', 'smallest')}"

    def value(row: dict) -> float | None:
        return row["joint_space_mean_mm"] if row["joint_space_mean_mm"] is not None else row["joint_space_median_mm"]

    return draw_schematic("tibia", side, "joint space width over the tibia", rows, scale, value, words, "mm")


def plate_map(bone: str, side: str, rows: list[dict], scale: Scale) -> Schematic:
    def words(row: dict) -> tuple[str, str]:
        median = width_words(row, "plate", "median")
        unresolved = row["plate_unresolved"] or 0.0
        return median, "" if unresolved < SHOWN_SHARE else f"{percent(unresolved)} thin"

    title = f"plate thickness, {bone}"
    return draw_schematic(bone, side, title, rows, scale, lambda row: row["plate_median_mm"], words, "mm")


def density_maps(knee: dict, bones: list[str], start: str, scale: Scale) -> DensityMaps:
    """The maps of mean HU and BV/TV of the bands that count from `start`."""
    rows = [row for row in knee["regions"] if row["from_surface"] == start]
    bands = sorted({(row["depth_from_mm"], row["depth_to_mm"]) for row in rows})

    def words(row: dict) -> tuple[str, str]:
        return measured(row["hu_mean"], 0), "" if row["bv_tv"] is None else f"{100 * row['bv_tv']:.0f} %"

    def of(bone: str, band: tuple[float, float]) -> Schematic:
        chosen = [r for r in rows if r["bone"] == bone and (r["depth_from_mm"], r["depth_to_mm"]) == band]
        title = f"{band_words(*band)} {BELOW[start]}"
        return draw_schematic(bone, knee["side"], title, chosen, scale, lambda row: row["hu_mean"], words, "HU")

    named = [band_words(*band) for band in bands]
    return DensityMaps(f"Density {BELOW[start]}", named, [(bone, [of(bone, band) for band in bands]) for bone in bones])


def headlines(knee: dict, spaces: list[dict], plate: list[dict]) -> list[tuple[str, str, str]]:
    """What is seen first: joint space of both compartments, plate and density of the tibia."""
    shown = []
    for compartment in ("medial", "lateral"):
        rows = [row for row in spaces if row["compartment"] == compartment]
        least = narrowest(rows, "joint_space")
        means = [width_words(row, "joint_space", "mean") for row in rows]
        shown.append(
            (
                f"Joint space, {compartment}",
                DASH if least is None else f"{least[0]} mm",
                "not measured"
                if least is None
                else f"narrowest, {least[1]}; means from front to back {', '.join(means)} mm",
            )
        )
    medians = [row["plate_median_mm"] for row in plate if row["plate_median_mm"] is not None]
    thin = len(plate) - len(medians)
    note = "medians of the sub-regions" + (f"; {thin} of {len(plate)} not measured" if thin else "")
    shown.append(("Plate of the tibia", with_unit(range_words(medians, 2), "mm"), note if plate else "no regions"))
    first = [row for row in knee["regions"] if row["bone"] == "tibia" and row["from_surface"] == "bone"]
    first = [row for row in first if row["depth_from_mm"] == min(r["depth_from_mm"] for r in first)]
    hu = [row["hu_mean"] for row in first if row["hu_mean"] is not None]
    band = f", {band_words(first[0]['depth_from_mm'], first[0]['depth_to_mm'])}" if first else ""
    share = [100 * row["bv_tv"] for row in first if row["bv_tv"] is not None]
    note = f"means of the sub-regions; BV/TV by density {range_words(share, 0)} %" if share else "not measured"
    shown.append((f"Density of the tibia{band}", with_unit(range_words(hu, 0), "HU"), note))
    return shown


def with_unit(words: str, unit: str) -> str:
    return words if words == DASH else f"{words} {unit}"
