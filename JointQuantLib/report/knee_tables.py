"""The tables of the knee page: bones, articular surfaces, regions. Cells are written, in the order of reading."""

from __future__ import annotations

from dataclasses import dataclass

from .knee_wording import DASH, band_words, borders_words, confidence_words, in_table_order, measured, percent

TEXTURE = (
    ("texture_sd_hu", "Texture SD, HU", 0),
    ("texture_skewness", "Skewness", 2),
    ("texture_grain_mm", "Grain, mm", 2),
)
WIDTHS = (("mean", "mean"), ("sd", "SD"), ("median", "median"), ("smallest", "smallest"))


@dataclass(frozen=True)
class Table:
    """Column titles, and groups of rows under a title; the first `words` columns are words, the others numbers."""

    columns: list[str]
    words: int
    groups: list[tuple[str, list[list[str]]]]

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, rows in self.groups)


def bone_rows(knee: dict) -> list[dict]:
    """Every bone with its facts in words."""
    return [
        {
            "name": bone["name"],
            "found": "yes" if bone["found"] else "no",
            "volume": measured(bone["volume_mm3"] / 1000, 1) if bone["found"] else DASH,
            "confidence": confidence_words(bone["confidence"]) if bone["found"] else DASH,
            "cut": borders_words(bone["cut_by_view"]) if bone["found"] else DASH,
            "reason": bone["reason"] or knee["missing"].get(bone["name"], ""),
        }
        for bone in knee["bones"]
    ]


def width_table(knee: dict) -> Table:
    """Plate and joint space of every sub-region, in mm."""
    columns = ["Compartment", "Sub-region", "Area, mm²", *(f"Plate {words}" for _, words in WIDTHS), "not resolved"]
    columns += [*(f"Joint space {words}" for _, words in WIDTHS), "not resolved"]
    groups = []
    for bone in ("femur", "tibia"):
        rows = in_table_order([row for row in knee["surfaces"] if row["bone"] == bone])
        cells = [
            [row["compartment"], row["subregion"], measured(row["area_mm2"], 0)]
            + [
                cell
                for what in ("plate", "joint_space")
                for cell in (
                    *(measured(row[f"{what}_{name}_mm"]) for name, _ in WIDTHS),
                    percent(row[f"{what}_unresolved"]),
                )
            ]
            for row in rows
        ]
        if cells:
            groups.append((f"{bone.title()}, widths in mm", cells))
    return Table(columns, 2, groups)


def density_table(knee: dict) -> Table:
    """Every region; the columns of the texture only where any region has one."""
    texture = [column for column in TEXTURE if any(row[column[0]] is not None for row in knee["regions"])]
    columns = ["Compartment", "Sub-region", "Depth", "No.", "Volume, mm³", "Voxels", "Mean HU", "SD HU"]
    columns += ["BV/TV", "low to high", *(title for _, title, _ in texture)]
    groups = []
    for bone in ("femur", "tibia"):
        for start, words in (("bone", "below the surface of the bone"), ("plate", "below the subchondral plate")):
            chosen = [row for row in knee["regions"] if (row["bone"], row["from_surface"]) == (bone, start)]
            rows = [
                [
                    row["compartment"],
                    row["subregion"],
                    band_words(row["depth_from_mm"], row["depth_to_mm"]),
                    str(row["number"]),
                    measured(row["volume_mm3"], 0),
                    str(row["voxels"]),
                    measured(row["hu_mean"], 0),
                    measured(row["hu_sd"], 0),
                    measured(row["bv_tv"], 3),
                    DASH if row["bv_tv"] is None else f"{row['bv_tv_low']:.3f} to {row['bv_tv_high']:.3f}",
                    *(measured(row[key], decimals) for key, _, decimals in texture),
                ]
                for row in in_table_order(chosen)
            ]
            if rows:
                groups.append((f"{bone.title()}, {words}", rows))
    return Table(columns, 3, groups)
