"""The surfaces of bones as files of legacy VTK, which Slicer opens as models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface

HEADER = "# vtk DataFile Version 3.0\n{title};SPACE=LPS\nBINARY\nDATASET POLYDATA\n"
LONGEST_TITLE = 240  # the format allows 256 characters in all


def write_bone_model(
    path: Path, surface: BoneSurface, title: str, values: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write a surface in mm of LPS with its normals and values.

    Legacy VTK, version 3.0 (VTK File Formats, Kitware): big-endian, so that all programs read it. `SPACE=LPS` in the
    title is how Slicer is told the frame.

    :param values: [n] of the points, by name; NaN where there is none.
    """
    points, triangles = surface.points_lps, surface.triangles
    with path.open("wb") as file:

        def text(line: str) -> None:
            file.write(line.encode("ascii"))

        def numbers(array: np.ndarray, kind: str) -> None:
            file.write(np.ascontiguousarray(array, kind).tobytes() + b"\n")

        text(HEADER.format(title=title[:LONGEST_TITLE]))
        text(f"POINTS {len(points)} float\n")
        numbers(points, ">f4")
        text(f"POLYGONS {len(triangles)} {4 * len(triangles)}\n")
        numbers(np.column_stack([np.full(len(triangles), 3), triangles]), ">i4")
        text(f"POINT_DATA {len(points)}\n")
        text("NORMALS normals float\n")
        numbers(surface.normals, ">f4")
        for name, value in (values or {}).items():
            text(f"SCALARS {name} float 1\nLOOKUP_TABLE default\n")
            numbers(value, ">f4")
