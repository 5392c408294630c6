"""The part of the knee page about an MR: how it was aligned, how well, and what it says beside the CT."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import agreement_ramp
from JointQuantLib.knee_folder import PATCH_TABLE, KneeFolder

from .agreement_plot import AgreementPlot, agreement_plot
from .knee_mr_slices import MrSlices
from .knee_pictures import PictureRow, css
from .knee_schematic import even_scale
from .knee_wording import DASH, measured, percent
from .morphometry_wording import size_words, voxel_words
from .wording import plain

PARAMETERS = {
    "bv_tv": ("Apparent BV/TV", 3),
    "tb_th_mm": ("Apparent Tb.Th, mm", 3),
    "tb_sp_mm": ("Apparent Tb.Sp, mm", 3),
    "tb_n_per_mm": ("Apparent Tb.N, per mm", 2),
}
VERDICTS = {
    "registered": "aligned",
    "doubtful": "doubtful: look at the outlines",
    "mismatch": "does not fit",
    "outside": "outside the MR",
}
METHODS = {
    "synthetic CT": "bone by bone on a synthetic CT made of the MR",
    "synthetic CT, then MR": "bone by bone on a synthetic CT made of the MR, and then on the MR itself",
    "MR alone": "bone by bone on the MR itself, without a synthetic CT",
}


@dataclass(frozen=True)
class Row:
    """One bone: how well it is aligned, in words."""

    name: str
    verdict: str
    good: bool
    cells: list[str]
    reason: str


@dataclass(frozen=True)
class Agreement:
    """One parameter from CT and MR."""

    title: str
    plot: AgreementPlot
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class MrView:
    """What the page says of an MR."""

    side: str
    name: str
    facts: list[tuple[str, str]]
    bones: list[Row]
    stages: list[list[str]]
    not_given: list[tuple[str, str]]
    pictures: list[PictureRow]
    summary: list[list[str]]
    agreements: list[Agreement]
    bone_swatches: list[tuple[str, str]]
    definition: str
    seconds: str


def describe_mr(result: KneeFolder) -> MrView | None:
    """All that the page says of the MR; None where there was none."""
    mr = result.mr
    if mr is None:
        return None
    pairs = patches_of(result)
    return MrView(
        mr["side"],
        result.mr_name,
        facts_of(result),
        [bone_row(bone, mr["transforms"][bone["name"]]) for bone in mr["bones"]],
        [stage_row("all", stage) for stage in mr["knee_stages"]]
        + [stage_row(bone["name"], stage) for bone in mr["bones"] for stage in bone["stages"]],
        not_given(mr),
        pictures_of_mr(result),
        summary_rows(pairs["mr"]),
        [agreement_of(comparison, pairs) for comparison in mr["comparison"]],
        [(css(BONE_COLORS[bone["name"]]), bone["name"]) for bone in mr["bones"]],
        mr["definition"],
        "; ".join(f"{what} {seconds:.0f} s" for what, seconds in mr["seconds"].items()),
    )


def facts_of(result: KneeFolder) -> list[tuple[str, str]]:
    """What the MR is and how it was aligned, as rows."""
    mr = result.mr
    image, synthetic = mr["image"], mr["synthetic_ct"]
    rows = [("MR", size_words(tuple(image["size_kji"]))), ("Voxel", voxel_words(tuple(image["spacing_mm_kji"])))]
    rows.append(("Aligned", METHODS.get(mr["method"], mr["method"])))
    if synthetic is not None:
        rows.append(("Synthetic CT", f"by a network {synthetic['model']}; {synthetic['note']}"))
    else:
        rows.append(("Synthetic CT", f"none: {mr['why_no_synthetic_ct']}"))
    if mr["fat_shift_mm"] is not None:
        i, j = mr["fat_shift_mm"]
        rows.append(("Shift of fat", f"{plain(i, 2)} mm along i, {plain(j, 2)} mm along j"))
    if mr["soft_tissue"] is not None:
        moved = plain(mr["soft_tissue"]["largest_mm"], 1)
        rows.append(("Soft tissue", f"deformed by up to {moved} mm, to look at; bones are left as they are"))
    total = sum(mr["patches"].values())
    words = ", ".join(f"{count} of the {bone}" for bone, count in mr["patches"].items()) or "none"
    left = "; ".join(f"{count}: {reason}" for reason, count in mr["patches_left_out"].items())
    rows.append(("Patches in it", f"{total} ({words})" + (f"; left out {left}" if left else "")))
    return rows


def bone_row(bone: dict, motion: dict) -> Row:
    """The quality of one bone in words."""
    return Row(
        bone["name"],
        VERDICTS.get(bone["verdict"], bone["verdict"]),
        bone["verdict"] == "registered",
        [
            measured(bone["surface_median_mm"]),
            measured(bone["surface_p95_mm"]),
            percent(bone["covered"]),
            measured(bone["agreement"]),
            measured(motion["turn_deg"], 1),
        ],
        bone["reason"],
    )


def stage_row(bone: str, stage: dict) -> list[str]:
    return [
        bone,
        stage["name"],
        measured(stage["similarity_before"], 3),
        measured(stage["similarity_after"], 3),
        measured(stage["shift_mm"], 2),
        measured(stage["turn_deg"], 2),
        measured(stage["seconds"], 1),
    ]


def not_given(mr: dict) -> list[tuple[str, str]]:
    """What is not measured in the MR, each reason once with all that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in mr["not_measured"].items():
        words = PARAMETERS.get(name, (name, 0))[0].removeprefix("Apparent ").partition(",")[0]
        by_reason.setdefault(reason, []).append(words)
    return [(f"Apparent {', '.join(names)}", reason) for reason, names in by_reason.items()]


def pictures_of_mr(result: KneeFolder) -> list[PictureRow]:
    """The rows of pictures; none where the folder no longer holds the volumes."""
    slices = MrSlices.of(result)
    if slices is None:
        return []
    bones = [(css(color), f"{name} of the CT") for name, color in BONE_COLORS.items()]
    tints = [("#fff0d6", "CT"), ("#d6efff", "MR")]
    title = "MR, CT and synthetic CT" if result.mr["synthetic_ct"] else "MR and CT"
    if result.mr["synthetic_ct"]:
        tints_beside = [*tints, ("#d9b8ff", f"synthetic CT, {result.mr['synthetic_ct']['model']}")]
    else:
        tints_beside = tints
    scale = even_scale("Local agreement of CT and MR", "mr-agreement", agreement_ramp(), 1.0)
    rows = [
        PictureRow("MR with the outlines of the CT's bones", slices.with_bones(), bones),
        PictureRow("Checkerboard of CT and MR", slices.checkerboard(), tints),
        PictureRow(title, slices.beside(), tints_beside),
        PictureRow("Local agreement of CT and MR", slices.agreement(), [], scale),
    ]
    return [row for row in rows if row.pictures]


def patches_of(result: KneeFolder) -> dict[str, dict[str, dict]]:
    """The rows of the patches by source ("ct", "mr") and name."""
    found: dict[str, dict[str, dict]] = {"ct": {}, "mr": {}}
    path = result.file(PATCH_TABLE)
    if path is not None:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["side"] == result.mr["side"]:
                    found.setdefault(row["source"], {})[row["name"]] = row
    return found


def summary_rows(patches: dict[str, dict]) -> list[list[str]]:
    """Mean and SD over the patches of each compartment, for the parameters that any patch has."""
    rows = []
    kinds = dict.fromkeys((row["bone"], row["compartment"]) for row in patches.values())
    for bone, compartment in sorted(kinds):
        own = [row for row in patches.values() if (row["bone"], row["compartment"]) == (bone, compartment)]
        cells = [bone, compartment, str(len(own))]
        for key, (_, decimals) in PARAMETERS.items():
            values = [float(row[key]) for row in own if row.get(key)]
            cells.append(_mean_sd(values, decimals))
        if any(cell != DASH for cell in cells[3:]):
            rows.append(cells)
    return rows


def agreement_of(comparison: dict, patches: dict[str, dict[str, dict]]) -> Agreement:
    """The plot and the numbers of one parameter in the patches that have it from both."""
    key = comparison["parameter"]
    title, decimals = PARAMETERS[key]
    names = [name for name in patches["mr"] if patches["mr"][name][key] and patches["ct"].get(name, {}).get(key)]
    first, second = ([float(patches[source][name][key]) for name in names] for source in ("ct", "mr"))
    colours = [css(BONE_COLORS[patches["mr"][name]["bone"]]) for name in names]
    name = title.removeprefix("Apparent ").partition(",")[0]
    said = f"{name}: CT by {comparison['ct_estimator']} minus MR, apparent"
    return Agreement(
        title.removeprefix("Apparent "),
        agreement_plot(said, comparison, first, second, colours),
        [
            ("Patches", str(comparison["patches"])),
            ("Mean, CT and MR", " and ".join(plain(comparison[key], decimals) for key in ("ct_mean", "mr_mean"))),
            ("Mean difference", _with_interval(comparison["bias"], comparison["bias_interval"], decimals)),
            ("Limits of agreement", " to ".join(plain(end, decimals) for end in comparison["limits"])),
            ("ICC(2,1), agreement", _with_interval(comparison["icc_2_1"], comparison["icc_2_1_interval"], 2)),
            ("ICC(3,1), consistency", _with_interval(comparison["icc_3_1"], comparison["icc_3_1_interval"], 2)),
        ],
    )


def _with_interval(value: float | None, interval: list[float] | None, decimals: int) -> str:
    if value is None:
        return DASH
    if interval is None:
        return plain(value, decimals)
    low, high = (plain(end, decimals) for end in interval)
    return f"{plain(value, decimals)} (95 % interval {low} to {high})"


def _mean_sd(values: list[float], decimals: int) -> str:
    if not values:
        return DASH
    mean = sum(values) / len(values)
    sd = (sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)) ** 0.5
    return f"{plain(mean, decimals)} ± {plain(sd, decimals)}"
