"""A whole knee result as nodes: the CT, bones and regions as segments, the maps, the surfaces and the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from JointQuantLib.knee_colors import METAL as METAL_COLOR
from JointQuantLib.knee_folder import (
    BONES,
    METAL,
    PATCH_TABLE,
    REGION_TABLE,
    REGIONS,
    REGIONS_BELOW_PLATE,
    SURFACE_TABLE,
    KneeFolder,
    read_knee,
)
from JointQuantLib.scene.folders import Folders
from JointQuantLib.scene.knee_labels import (
    Labels,
    band_labels,
    bone_labels,
    knee_title,
    region_labels,
    sided,
    subregion_labels,
)
from JointQuantLib.scene.knee_models import (
    BONE,
    VALUES,
    add_bone_model,
    add_subregion_colors,
    add_value_colors,
    add_value_model,
)
from JointQuantLib.scene.knee_mr_nodes import MrNodes, add_mr_nodes
from JointQuantLib.scene.knee_volumes import MAPS, add_ct, add_map
from JointQuantLib.scene.segmentations import add_segmentation
from JointQuantLib.scene.slice_planes import ras_from_ijk
from JointQuantLib.scene.tables import add_csv_table, add_result_text

TABLES = {"Regions": REGION_TABLE, "Articular surfaces": SURFACE_TABLE, "Patches": PATCH_TABLE}
BONES_SHOWN, SUBREGIONS_SHOWN, BANDS_SHOWN = "bones", "compartments", "bands"


@dataclass
class OneKneeNodes:
    """The nodes of one knee."""

    title: str
    labels: dict[str, Labels] = field(default_factory=dict)  # "bones", "compartments", "bands"
    segmentations: dict[str, object] = field(default_factory=dict)  # by the same keys, and more that are hidden
    models: dict[tuple[str, str], object] = field(default_factory=dict)  # ("bone", "plate" or "joint space", bone)
    legends: dict[tuple[str, str], object] = field(default_factory=dict)  # of models that show a map


@dataclass
class KneeNodes:
    """The nodes of a knee result; what the folder does not hold is not in the dictionaries."""

    ct: object
    maps: dict[str, object] = field(default_factory=dict)  # by the keys of `knee_volumes.MAPS`
    legends: dict[str, object] = field(default_factory=dict)
    knees: list[OneKneeNodes] = field(default_factory=list)
    metal: object = None
    tables: dict[str, object] = field(default_factory=dict)
    text: object = None
    mr: MrNodes | None = None

    def all_segmentations(self) -> list:
        own = [node for knee in self.knees for node in knee.segmentations.values()]
        return own if self.metal is None else [*own, self.metal]

    def all_models(self) -> list:
        return [node for knee in self.knees for node in knee.models.values()]


def build_scene(folder: Path, scene) -> KneeNodes:
    """Add the result folder to a scene: the sub-regions are shown over the CT, and the bones in 3-D."""
    result = read_knee(folder)
    folders = Folders(scene, f"JointQuant knee: {result.ct_name}")
    nodes = KneeNodes(add_ct(scene, result))
    folders.put(nodes.ct)
    add_maps(scene, result, nodes, folders)
    nodes.metal = add_metal(scene, result, nodes.ct)
    folders.put(nodes.metal)
    nodes.mr = add_mr_nodes(scene, result, nodes.ct, folders)
    nodes.knees = [OneKneeNodes(knee_title(knee)) for knee in result.knees]
    add_segments(scene, result, nodes, folders)
    add_models(scene, result, nodes, folders)
    for name, file in TABLES.items():
        path = result.file(file)
        if path is not None and path.stat().st_size > 0:  # a table without rows has no titles either
            nodes.tables[name] = add_csv_table(scene, name, path)
            folders.put(nodes.tables[name], "Tables")
    nodes.text = add_result_text(scene, result.path)
    folders.put(nodes.text, "Tables")
    show_segmentations(nodes, [knee.segmentations.get(SUBREGIONS_SHOWN) for knee in nodes.knees])
    return nodes


def add_maps(scene, result: KneeFolder, nodes: KneeNodes, folders: Folders) -> None:
    for what in MAPS:
        volume, legend = add_map(scene, result, what)
        if volume is not None:
            nodes.maps[what], nodes.legends[what] = volume, legend
            folders.put(volume, "Maps")


def add_metal(scene, result: KneeFolder, ct):
    """Metal as a segment; None where there is none."""
    metal = result.array(METAL)
    if metal is None:
        return None
    matrix = ras_from_ijk(result.content["ct"])
    return add_segmentation(scene, "Metal", (metal > 0).astype("uint8"), matrix, [(1, "metal", METAL_COLOR)], ct)


def add_segments(scene, result: KneeFolder, nodes: KneeNodes, folders: Folders) -> None:
    """Bones, sub-regions, depth bands and regions of every knee."""
    bones, regions = result.needed_array(BONES), result.needed_array(REGIONS)
    below = result.array(REGIONS_BELOW_PLATE)
    matrix = ras_from_ijk(result.content["ct"])
    for number, (knee, own) in enumerate(zip(result.knees, nodes.knees, strict=True)):
        own.labels = {
            BONES_SHOWN: bone_labels(result, number, bones),
            SUBREGIONS_SHOWN: subregion_labels(result, number, regions),
            BANDS_SHOWN: band_labels(result, number, regions, "bone"),
        }
        hidden = {"regions": region_labels(result, number, regions, "bone")}
        if below is not None:
            hidden["bands below the plate"] = band_labels(result, number, below, "plate")
            hidden["regions below the plate"] = region_labels(result, number, below, "plate")
        for key, labels in (own.labels | hidden).items():
            entries = [
                (label.number, sided(knee, label.name) if len(nodes.knees) > 1 else label.name, label.color)
                for label in labels.entries
            ]
            node = add_segmentation(scene, labels.title, labels.array, matrix, entries, nodes.ct)
            if node is not None:
                own.segmentations[key] = node
                folders.put(node, own.title)


def add_models(scene, result: KneeFolder, nodes: KneeNodes, folders: Folders) -> None:
    """The surface of every bone, and those that show a map, in colours that all knees share."""
    colors = add_subregion_colors(scene)
    value_colors = {what: add_value_colors(scene, what) for what in VALUES if what in nodes.maps}
    for knee, own in zip(result.knees, nodes.knees, strict=True):
        for bone in knee["bones"]:
            model = add_bone_model(scene, result, knee, bone, colors)
            if model is None:
                continue
            own.models[BONE, bone["name"]] = model
            folders.put(model, own.title, "Bone surfaces")
            for what, scale in value_colors.items():
                top = nodes.maps[what].GetDisplayNode().GetWindowLevelMax()
                coloured, legend = add_value_model(scene, model, what, scale, top)
                if coloured is not None:
                    own.models[what, bone["name"]] = coloured
                    own.legends[what, bone["name"]] = legend
                    folders.put(coloured, own.title, "Bone surfaces")


def show_segmentations(nodes: KneeNodes, shown: list) -> None:
    """Show these segmentations (None is passed over) and hide all others."""
    for node in nodes.all_segmentations():
        node.GetDisplayNode().SetVisibility(any(node is one for one in shown))


def show_models(nodes: KneeNodes, shown: list) -> None:
    """Show these models and hide all others."""
    for node in nodes.all_models():
        node.GetDisplayNode().SetVisibility(any(node is one for one in shown))
