"""The pictures of a morphometry: each map over the structure in three slices, drawn by slice views from the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.morphometry_folder import REGION, MorphometryFolder, read_morphometry
from JointQuantLib.scene.headless import headless_application
from JointQuantLib.scene.morphometry_nodes import MorphometryNodes, build_scene
from JointQuantLib.scene.slice_planes import ras_from_ijk, slice_to_ras
from JointQuantLib.scene.view import SliceView
from JointQuantLib.volume_planes import AXIS_NAMES, PLANES, Plane, axis_letters, middle_of

FILES = {"Tb.Th": "view_tb_th.png", "Tb.Sp": "view_tb_sp.png"}
WORDS = {"Tb.Th": "trabecular thickness, raw", "Tb.Sp": "trabecular separation, raw"}
LARGEST = 520  # pixels of the picture, of the longest side of the volume
LEAST_WIDTH = 350  # of one slice with the black beside it: its title must fit
GAP = 14  # black pixels between two slices
HEADER = 52  # pixels above the slices, for two lines of text
LEGEND = 130  # pixels beside the last slice, for the colour legend
LEGEND_SIZE = (84, 310)
FONT_SIZE = 16


def write_views(folder: Path, after_each: Callable[[], None] = lambda: None) -> list[Path]:
    """Draw both maps into the result folder, `after_each` is called after each; their paths in the order drawn."""
    result = read_morphometry(folder)
    application = headless_application()
    view = SliceView(application, "Red")  # first: a view takes no notice of older legends
    view.title.GetTextProperty().SetLineSpacing(1.3)
    nodes = build_scene(folder, application.scene)
    middle = middle_of(result.size, result.array(REGION))
    written = []
    for name in nodes.maps:
        path = folder / FILES[name]
        Image.fromarray(draw_map(view, result, nodes, name, middle)).save(path, compress_level=6)
        written.append(path)
        after_each()
    return written


def draw_map(
    view: SliceView, result: MorphometryFolder, nodes: MorphometryNodes, name: str, middle: tuple[int, int, int]
) -> np.ndarray:
    """One map in three slices through `middle` [k, j, i] side by side, all at one scale, its legend at the right."""
    extent = [n * s for n, s in zip(result.size, result.spacing_mm, strict=True)]
    mm_per_pixel = max(extent) / LARGEST
    heights = [round(extent[plane.vertical] / mm_per_pixel) for plane in PLANES]
    whole_height = HEADER + max(*heights, LEGEND_SIZE[1])
    matrix = ras_from_ijk(result.content["volume"])
    letters = axis_letters(result.direction_lps)
    panels = []
    for plane, height in zip(PLANES, heights, strict=True):
        last = plane is PLANES[-1]
        width = round(extent[plane.right] / mm_per_pixel)
        beside = max(LEGEND if last else GAP, LEAST_WIDTH - width)
        view.resize((width, height), right=beside, top=whole_height - height)
        view.show(nodes.structure, nodes.maps[name], opacity=1.0)
        view.look_along(slice_to_ras(matrix, plane, middle[plane.across], result.size), mm_per_pixel)
        place_legend(view, nodes, name, shown=last)
        first_line = f"{name}: {WORDS[name]}" if plane is PLANES[0] else ""
        view.set_title(f"{first_line}\n{slice_words(plane, middle[plane.across], letters)}", FONT_SIZE)
        panels.append(view.draw())
    return np.hstack(panels)


def slice_words(plane: Plane, index: int, letters: tuple[str, str, str] | None) -> str:
    """Which slice it is and how it lies: its axes, and where they point to in the body if that is known."""
    right, along = (
        AXIS_NAMES[axis] if letters is None else f"{AXIS_NAMES[axis]} ({letters[axis]})"
        for axis in (plane.right, plane.vertical)
    )
    return f"{plane.name} = {index}   {right} to the right, {along} {'upward' if plane.upward else 'downward'}"


def place_legend(view: SliceView, nodes: MorphometryNodes, name: str, shown: bool) -> None:
    """Put the legend of a map into the strip at the right of the picture."""
    for other, legend in nodes.legends.items():
        legend.SetVisibility(shown and other == name)
    width, height = view.picture_size
    legend = nodes.legends[name]
    legend.SetSize(LEGEND_SIZE[0] / width, LEGEND_SIZE[1] / height)
    legend.SetPosition(1.0 - 8 / width, 0.5)
