"""The page of a morphometry result: the parameters of the bone, and the maps that they are the means of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from JointQuantLib.morphometry_folder import REGION, STRUCTURE, TB_SP, TB_TH, MorphometryFolder, read_morphometry
from JointQuantLib.morphometry_parameters import GROUPS, given
from JointQuantLib.thickness_colors import TICKS, scale_top, tb_sp_ramp, tb_th_ramp
from JointQuantLib.volume_planes import axis_letters, middle_of

from .histogram import Histogram, draw_histogram
from .map_pictures import Layers, SlicePicture, draw_slices
from .morphometry_wording import border_words, length, number, region_words, size_words, voxel_words
from .pictures import shrunk
from .template import flat, render_template

MAPS = (
    ("Tb.Th", "Trabecular thickness", TB_TH, tb_th_ramp, "tb_th_raw_mm"),
    ("Tb.Sp", "Trabecular separation", TB_SP, tb_sp_ramp, "tb_sp_raw_mm"),
)
VIEWS = (("view_tb_th.png", "Tb.Th in Slicer's slice views"), ("view_tb_sp.png", "Tb.Sp in Slicer's slice views"))


@dataclass(frozen=True)
class MapFigure:
    """A map in colour with its scale and its histogram; without a map the slices show the structure alone."""

    name: str
    title: str
    there: bool
    slices: list[SlicePicture]
    stops: list[tuple[float, str]]  # percent along the colour bar and the colour
    ticks: list[tuple[float, str]]
    histogram: Histogram | None


def render_morphometry(folder: Path) -> str:
    """The page of the result folder of a morphometry job. Raises BadInput where the folder is not one."""
    result = read_morphometry(folder)
    measures = result.measures
    return render_template(
        "morphometry.html.jinja",
        result=result.content,
        name=result.volume_name,
        size=size_words(result.size),
        voxel=voxel_words(result.spacing_mm),
        anisotropic=max(result.spacing_mm) > 1.001 * min(result.spacing_mm),
        region=region_words(result),
        segmentation=result.content["segmentation"],
        headlines=headlines(measures),
        measures=measures,
        groups=parameter_rows(measures),
        axes=intercept_rows(measures),
        border=border_words(measures, result.content["region"]["outside"]),
        letters=axis_letters(result.direction_lps),
        figures=describe_maps(result),
        views=slice_views(result),
        srrd=result.content.get("srrd_compatible"),
        half_voxel=None if measures.get("half_voxel_mm") is None else length(measures["half_voxel_mm"]),
        number=number,
        parameters=flat(result.content.get("parameters") or {}),
    )


def headlines(measures: dict) -> list[tuple[str, str, str]]:
    """What is seen first: name, number with unit, and its spread or its definition."""
    shown = []
    bv_tv = measures.get("bv_tv")
    shown.append(("BV/TV", "–" if bv_tv is None else f"{100 * bv_tv:.2f} %", "bone volume fraction"))
    for name, key in (("Tb.Th", "tb_th"), ("Tb.Sp", "tb_sp")):
        sd = measures.get(f"{key}_sd_mm")
        spread = "" if sd is None else f"SD {number(sd, like=measures.get(f'{key}_mm'))} mm, "
        shown.append((name, with_unit(measures.get(f"{key}_mm"), "mm"), f"{spread}half-voxel corrected"))
    shown.append(("Tb.N (direct)", with_unit(measures.get("tb_n_direct_per_mm"), "/mm"), "1 / mean mid-axis distance"))
    return shown


def beside(measures: dict, key: str | None, value_key: str) -> str:
    """A number with the decimals of the value it stands beside; empty where the parameter has no such number at all."""
    return "" if key is None else number(measures.get(key), like=measures.get(value_key))


def with_unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)} {unit}"


def parameter_rows(measures: dict) -> list[dict]:
    """The groups with their parameters, every number written."""
    return [
        {
            "title": group.title,
            "rows": [
                {
                    "about": parameter,
                    "value": number(measures.get(parameter.key)),
                    "raw": beside(measures, parameter.raw_key, parameter.key),
                    "sd": beside(measures, parameter.sd_key, parameter.key),
                    "largest": beside(measures, parameter.largest_key, parameter.key),
                }
                for parameter in given(group, measures)
            ],
        }
        for group in GROUPS
    ]


def intercept_rows(measures: dict) -> list[tuple[str, str, str]]:
    """The mean intercept lengths with their axes in LPS, longest first; none where the result has none."""
    lengths, axes = measures.get("mil_mm") or [], measures.get("mil_axes_lps") or []
    return [
        (which, f"{number(length)} mm", "(" + ", ".join(signless(part) for part in axis) + ")")
        for which, length, axis in zip(("longest", "middle", "shortest"), lengths, axes, strict=False)
        if length is not None
    ]


def signless(part: float) -> str:
    """A part of a unit vector; no minus before what is written as zero."""
    text = f"{part:.2f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def describe_maps(result: MorphometryFolder) -> list[MapFigure]:
    """Both maps over the structure; a map that the folder does not hold has no figure."""
    structure, region = result.array(STRUCTURE), result.array(REGION)
    middle, letters = middle_of(result.size, region), axis_letters(result.direction_lps)
    figures = []
    for name, title, file, ramp_of, mean_key in MAPS:
        values = result.array(file)
        if values is None:
            figures.append(MapFigure(name, title, False, [], [], [], None))
            continue
        ramp, top = ramp_of(), scale_top(values)
        layers = Layers(structure, region, values)
        mean = result.measures.get(mean_key)
        figures.append(
            MapFigure(
                name,
                title,
                True,
                draw_slices(layers, middle, result.spacing_mm, letters, ramp, top),
                colour_stops(ramp),
                scale_ticks(top, float(values.max(initial=0.0))),
                draw_histogram(values, mean, min(result.spacing_mm), ramp, top, f"{name} (raw)"),
            )
        )
    return figures


def colour_stops(ramp: np.ndarray) -> list[tuple[float, str]]:
    """Stops of the colour bar: percent along it and the colour."""
    colours = np.round(255 * ramp).astype(int)
    return [(100 * n / (len(ramp) - 1), "#{:02x}{:02x}{:02x}".format(*colour)) for n, colour in enumerate(colours)]


def scale_ticks(top_mm: float, largest_mm: float) -> list[tuple[float, str]]:
    """Percent along the colour bar and the length in mm there; the last with a sign where values lie beyond it."""
    ticks = [(100 * n / (TICKS - 1), f"{top_mm * n / (TICKS - 1):.4g}") for n in range(TICKS)]
    if largest_mm > top_mm * (1 + 1e-6):  # a map holds float32
        ticks[-1] = (100.0, f"≥ {ticks[-1][1]}")
    return ticks


def slice_views(result: MorphometryFolder) -> list[dict]:
    """The pictures of Slicer's slice views that the folder holds."""
    drawn = [(words, shrunk(result.path / name, longest=1400)) for name, words in VIEWS]
    return [
        {"caption": words, "address": view[0], "width": view[1], "height": view[2]}
        for words, view in drawn
        if view is not None
    ]
