"""The numbers: `joints.csv` and `hands.csv` as tables with a unit for every column, and `result.json` as text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from JointQuantLib.scene.result import HandResult, read_table

UNIT_ENDINGS = {
    "mm_per_year": "mm/year",
    "per_year_mm": "mm/year",
    "px_per_year": "px/year",
    "mm": "mm",
    "mm2": "mm^2",
    "mm3": "mm^3",
    "hu": "HU",
    "px": "px",
    "deg": "deg",
    "years": "year",
}


def add_joints_table(scene, result: HandResult):
    """`joints.csv` as a table node."""
    return _add_table(scene, result, "Joints", "joints.csv")


def add_hands_table(scene, result: HandResult):
    """`hands.csv` as a table node; None where the folder holds none (one joint, or a result of an earlier version)."""
    if not result.data.get("hands") or not result.has_file("hands.csv"):
        return None
    return _add_table(scene, result, "Hands", "hands.csv")


def _add_table(scene, result: HandResult, name: str, file: str):
    """A table of the result folder."""
    return add_csv_table(scene, name, result.folder / file)


def add_csv_table(scene, name: str, path: Path):
    """A table of a result folder as a node."""
    titles, rows = read_table(path)
    return add_table(scene, name, {title: [row[k] for row in rows] for k, title in enumerate(titles)})


def add_table(scene, name: str, columns: dict[str, list[str]]):
    """Columns of texts by their titles as a locked node; columns of numbers hold numbers, NaN where a text is empty."""
    import vtk

    table = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    for title, cells in columns.items():
        column = column_values(cells)
        array = vtk.vtkStringArray() if isinstance(column, list) else vtk.vtkDoubleArray()
        array.SetName(title)
        for value in column:
            array.InsertNextValue(value)
        table.AddColumn(array)
        table.SetColumnUnitLabel(title, unit_of(title))
    table.SetUseColumnTitleAsColumnHeader(True)
    table.SetLocked(True)
    return table


def unit_of(title: str) -> str:
    """The unit that a column title names: "change_mm" -> "mm", "tilt (deg)" -> "deg"; "" where it names none."""
    in_brackets = re.search(r"[\[(]([^\])]+)[\])]\s*$", title)
    if in_brackets:
        return in_brackets.group(1)
    for ending, unit in UNIT_ENDINGS.items():
        if re.search(rf"(^|_){ending}(_\d+|_from|_to|_low|_high|_lower|_upper|_mean|_sd|_[lps])?$", title):
            return unit
    return ""


def column_values(cells: list[str]) -> np.ndarray | list[str]:
    """Numbers, with NaN for an empty cell, where every filled cell is one; else the texts."""
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return cells
    return numbers if np.isfinite(numbers).any() else cells


def add_result_text(scene, folder: Path):
    """`result.json` as it stands, so that the scene carries every number, parameter and version."""
    text = scene.AddNewNodeByClass("vtkMRMLTextNode", "result.json")
    text.SetText((folder / "result.json").read_text(encoding="utf-8"))
    text.SetForceCreateStorageNode(text.CreateStorageNodeAlways)
    return text
