"""A whole morphometry result as nodes: the structure, its maps with colours and legends, the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from JointQuantLib.morphometry_folder import TB_SP, TB_TH, MorphometryFolder, read_morphometry
from JointQuantLib.morphometry_parameters import GROUPS, given
from JointQuantLib.scene.colors import add_color_scale, add_legend
from JointQuantLib.scene.folders import Folders
from JointQuantLib.scene.morphometry_volumes import add_map, add_segmentation, add_structure
from JointQuantLib.scene.tables import add_result_text, add_table
from JointQuantLib.thickness_colors import tb_sp_ramp, tb_th_ramp

LEGEND_NUMBERS = 11  # 0 and ten equal steps of a round length
MAPS = (("Tb.Th", TB_TH, tb_th_ramp), ("Tb.Sp", TB_SP, tb_sp_ramp))


@dataclass
class MorphometryNodes:
    """The nodes of a morphometry result; a map that the folder does not hold is not in the dictionaries."""

    structure: object
    segmentation: object
    maps: dict[str, object] = field(default_factory=dict)  # "Tb.Th", "Tb.Sp"
    legends: dict[str, object] = field(default_factory=dict)
    table: object = None
    text: object = None


def build_scene(folder: Path, scene) -> MorphometryNodes:
    """Add the result folder to a scene."""
    result = read_morphometry(folder)
    folders = Folders(scene, f"JointQuant morphometry: {result.volume_name}")
    structure = add_structure(scene, result)
    nodes = MorphometryNodes(structure, add_segmentation(scene, result, structure))
    for name, file, ramp in MAPS:
        colors = add_color_scale(scene, f"JointQuant {name}", ramp())
        volume = add_map(scene, result, file, f"{name} (mm)", colors)
        if volume is None:
            scene.RemoveNode(colors)
            continue
        nodes.maps[name] = volume
        nodes.legends[name] = add_legend(scene, volume, f"{name}\n(mm)", "%.3g", LEGEND_NUMBERS)
    nodes.table = add_parameters_table(scene, result)
    nodes.text = add_result_text(scene, result.path)
    for node in (structure, nodes.segmentation, *nodes.maps.values(), nodes.table, nodes.text):
        folders.put(node)
    return nodes


def add_parameters_table(scene, result: MorphometryFolder):
    """A row for every parameter: its value, the raw one, spread and largest value, unit, definition and source."""
    rows = [parameter for group in GROUPS for parameter in given(group, result.measures)]

    def numbers(keys: list[str | None]) -> list[str]:
        given = [None if key is None else result.measures.get(key) for key in keys]
        return ["" if value is None else repr(value) for value in given]

    return add_table(
        scene,
        "Parameters",
        {
            "Parameter": [row.name for row in rows],
            "Value": numbers([row.key for row in rows]),
            "Unit": [row.unit for row in rows],
            "Raw value": numbers([row.raw_key for row in rows]),
            "SD": numbers([row.sd_key for row in rows]),
            "Largest": numbers([row.largest_key for row in rows]),
            "Definition": [f"{row.words}{f' = {row.formula}' if row.formula else ''}" for row in rows],
            "Source": [row.source for row in rows],
        },
    )
