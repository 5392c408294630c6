"""The pictures of a knee: bones, regions and maps over the CT in slices through the joint, and its models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.knee_colors import METAL
from JointQuantLib.knee_folder import read_knee
from JointQuantLib.scene.headless import headless_application
from JointQuantLib.scene.knee_labels import Labels
from JointQuantLib.scene.knee_model_views import draw_models
from JointQuantLib.scene.knee_nodes import (
    BANDS_SHOWN,
    BONES_SHOWN,
    SUBREGIONS_SHOWN,
    KneeNodes,
    OneKneeNodes,
    build_scene,
    show_segmentations,
)
from JointQuantLib.scene.knee_planes import KneePlane, axial_bone_planes, axial_map_plane, knee_planes
from JointQuantLib.scene.knee_volumes import LEVEL_HU, WINDOW_HU
from JointQuantLib.scene.model_view import ModelView
from JointQuantLib.scene.picture_frame import SIZE, PictureFrame
from JointQuantLib.scene.view import SliceView

WORDS = {
    BONES_SHOWN: "bones",
    SUBREGIONS_SHOWN: "compartments and their sub-regions",
    BANDS_SHOWN: "depth bands from the bone surface",
    "plate": "thickness of the subchondral plate",
    "joint space": "joint space width",
}
MAPS = {"plate": "plateaus", "joint space": "joint space"}  # and what their own axial slice goes through
BONES_FIELD = 1.3  # of a picture of bones, by that of a picture of regions
NOTE = f"W {WINDOW_HU:g}, L {LEVEL_HU:g} HU"


def write_views(folder: Path, after_each: Callable[[], None] = lambda: None) -> list[Path]:
    """Draw all pictures into the result folder, `after_each` is called after each; their paths in the order drawn."""
    result = read_knee(folder)
    application = headless_application()
    slices = KneeSlices(SliceView(application, "Red"))  # first: a view takes no notice of older legends
    models = PictureFrame(ModelView(application, "1"))
    nodes = build_scene(folder, application.scene)
    written = []

    def write(name: str, picture: np.ndarray) -> None:
        path = folder / f"view_{name.replace(' ', '_')}.png"
        Image.fromarray(picture).save(path, compress_level=6)
        written.append(path)
        after_each()

    for knee, own in zip(result.knees, nodes.knees, strict=True):
        ending = f"_{knee['side']}" if knee.get("side") else ""
        subregions = own.labels[SUBREGIONS_SHOWN].array
        planes = knee_planes(result, knee, subregions)
        slices.mm_per_pixel = BONES_FIELD * planes.extent_mm / SIZE
        for plane in (*planes.upright, *axial_bone_planes(result, planes, own.labels[BONES_SHOWN].array)):
            write(f"bones_{plane.name}{ending}", slices.draw_labels(nodes, own, BONES_SHOWN, plane))
        slices.mm_per_pixel = planes.extent_mm / SIZE
        for what in (SUBREGIONS_SHOWN, BANDS_SHOWN):
            for plane in planes.planes:
                write(f"{what}_{plane.name}{ending}", slices.draw_labels(nodes, own, what, plane))
        for what, where in MAPS.items():
            if what in nodes.maps:
                values = slices.values(nodes.maps[what])
                axial = axial_map_plane(result, knee, planes, subregions, values, where)
                for plane in (*planes.upright, *axial):
                    write(f"{what}_{plane.name}{ending}", slices.draw_map(nodes, own, what, plane))
        for name, picture in draw_models(models, nodes, own, planes):
            write(f"models_{name}{ending}", picture)
    return written


class KneeSlices:
    """Draws slices with what belongs to them over the CT."""

    def __init__(self, view: SliceView):
        self.view = view
        self.frame = PictureFrame(view)
        self.mm_per_pixel = 1.0

    def draw_labels(self, nodes: KneeNodes, own: OneKneeNodes, what: str, plane: KneePlane) -> np.ndarray:
        """Bones, sub-regions or bands over the CT in one slice."""
        self.view.show(nodes.ct)
        show_segmentations(nodes, [own.segmentations.get(what), nodes.metal])
        self._aim(nodes, own, what, plane)
        metal = [] if nodes.metal is None else [("metal", METAL)]
        self.frame.show_colors(key_entries(own.labels[what], what) + metal)
        return self.view.draw()

    def draw_map(self, nodes: KneeNodes, own: OneKneeNodes, what: str, plane: KneePlane) -> np.ndarray:
        """A map over the CT in one slice, its legend beside it."""
        self.view.show(nodes.ct, nodes.maps[what], opacity=1.0)  # a map is transparent where it has no value
        show_segmentations(nodes, [])
        self._aim(nodes, own, what, plane)  # last: a legend is drawn with what is shown when it changes
        return self.view.draw()

    @staticmethod
    def values(volume) -> np.ndarray:
        """The voxels [k, j, i] of a volume node."""
        import slicer.util

        return slicer.util.arrayFromVolume(volume)

    def _aim(self, nodes: KneeNodes, own: OneKneeNodes, what: str, plane: KneePlane) -> None:
        self.view.look_along(plane.matrix, self.mm_per_pixel)
        title = f"{own.title}: {WORDS[what]}\n{plane.words}"
        self.frame.label(title, plane.matrix[:3, 0], plane.matrix[:3, 1], self.mm_per_pixel, NOTE)
        self.frame.show_legend(nodes.legends.get(what), list(nodes.legends.values()))


def key_entries(labels: Labels, what: str) -> list[tuple[str, tuple[float, float, float]]]:
    """Names and colours; sub-regions, which have the same colours in femur and tibia, once and without the bone."""
    if what != SUBREGIONS_SHOWN:
        return [(label.name, label.color) for label in labels.entries]
    seen = {}
    for label in labels.entries:
        seen.setdefault(" ".join(label.name.split()[-2:]), label.color)
    return list(seen.items())
