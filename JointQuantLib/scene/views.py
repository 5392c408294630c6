"""The pictures of a result folder, each drawn by a slice view from the nodes of the scene."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from JointQuantLib.scene.build import KINDS, HandNodes, PairNodes, build_scene, change_text, show_only
from JointQuantLib.scene.headless import headless_application
from JointQuantLib.scene.result import HandResult, outlines_of, pair_of, read_result
from JointQuantLib.scene.view import SliceView

FILM_HEIGHT = 900  # of a whole film, in pixels of the picture
JOINT_SIZE = 450
LINE = 18  # of the reading, below the title
READING_WIDTH = 80  # characters of a line of it
HEADER = 32  # pixels above the film, for the title
LEGEND = 146  # pixels beside the film, for the colour legend
LEGEND_SIZE = (84, 260)
OPACITY = 0.45


def write_views(folder: Path, after_each: Callable[[], None] = lambda: None) -> list[Path]:
    """Draw all pictures into the result folder, `after_each` is called after each; their paths in the order drawn."""
    result = read_result(folder)
    application = headless_application()
    view = SliceView(application, "Red")  # first: a view takes no notice of older legends
    nodes = build_scene(folder, application.scene)
    written = []

    def write(name: str, picture: np.ndarray) -> None:
        Image.fromarray(picture).save(folder / name, optimize=False, compress_level=6)
        written.append(folder / name)
        after_each()

    for visit in range(len(result.visits)):
        write(f"view_visit_{visit}.png", draw_visit(view, result, nodes, visit))
    for pair, drawn in nodes.pairs.items():
        for kind in drawn.loss:
            write(f"view_{pair[0]}_{pair[1]}_{kind}.png", draw_pair(view, result, nodes, pair, kind))
        for joint in result.joints:
            entry = pair_of(joint, *pair)  # one that is not measurable is drawn too: its maps show why
            title = result.title(joint)
            if drawn.loss and entry and entry["origin_px"] and (title, pair[0]) in nodes.joints:
                name = f"view_{title.replace(' ', '_')}_{pair[0]}_{pair[1]}.png"
                write(name, draw_joint(view, result, nodes, pair, joint))
    return written


def draw_visit(view: SliceView, result: HandResult, nodes: HandNodes, visit: int) -> np.ndarray:
    """A whole film with the bones and names of its joints."""
    names = [nodes.names[visit]] if nodes.names[visit] is not None else []
    show_only(nodes, outlines(nodes, visit) + names)
    view.show(nodes.films[visit])
    look_at_film(view, result, visit, legend=0)
    view.set_title(f"{result.visit_title(visit).capitalize()}   {spacing_text(result, visit)}", 15)
    return view.draw()


def draw_pair(view: SliceView, result: HandResult, nodes: HandNodes, pair: tuple[int, int], kind: str) -> np.ndarray:
    """A whole film with the loss map of a pair over it, its legend beside it."""
    drawn = nodes.pairs[pair]
    show_only(nodes, outlines(nodes, pair[0]) + drawn.names)
    view.show(nodes.films[pair[0]], drawn.loss[kind], OPACITY)
    look_at_film(view, result, pair[0], legend=LEGEND)
    place_legend(view, drawn, kind)
    view.set_title(
        f"Visit {pair[0] + 1} and visit {pair[1] + 1}, {kind} registration   (? doubtful, x not measurable)", 15
    )
    return view.draw()


def draw_joint(view: SliceView, result: HandResult, nodes: HandNodes, pair: tuple[int, int], joint: dict) -> np.ndarray:
    """One joint before and after registration, side by side, with its bones, axis and origin."""
    drawn, own = nodes.pairs[pair], nodes.joints[result.title(joint), pair[0]]
    entry = pair_of(joint, *pair)
    show_only(nodes, [*own.outlines.values(), own.axis, own.origin])
    kinds = [kind for kind in KINDS if kind in drawn.loss]
    reading = textwrap.wrap(entry.get("reading") or "", READING_WIDTH)
    panels = []
    for kind in kinds:
        legend = LEGEND if kind == kinds[-1] else 0
        view.resize((JOINT_SIZE, JOINT_SIZE), right=legend, top=HEADER + LINE * len(reading))
        view.show(nodes.films[pair[0]], drawn.loss[kind], OPACITY)
        centre, extent = joint_frame(joint, pair[0], entry)
        view.look_at(centre, result.spacing(pair[0]), extent / JOINT_SIZE)
        place_legend(view, drawn, kind, shown=legend > 0)
        number = "" if kind == "before" else f": {change_text(entry)}"
        lines = reading if kind == "after" else []
        view.set_title("\n".join([f"{result.title(joint)} {kind} registration{number}", *lines]), 14)
        panels.append(view.draw())
    return np.hstack(panels)


def look_at_film(view: SliceView, result: HandResult, visit: int, legend: int) -> None:
    """Fill the picture with a film, with a header above and room for the legend beside it."""
    rows, columns = result.visits[visit]["shape"]
    pixels_per_view = rows / FILM_HEIGHT
    view.resize((round(columns / pixels_per_view), FILM_HEIGHT), right=legend, top=HEADER)
    view.look_at(((columns - 1) / 2, (rows - 1) / 2), result.spacing(visit), pixels_per_view)


def joint_frame(joint: dict, visit: int, entry: dict) -> tuple[np.ndarray, float]:
    """Centre and extent in film pixels of the picture of a joint: its two bones, with a little around them."""
    points = np.concatenate([*outlines_of(joint, visit).values(), [entry["origin_px"]]])
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float(max(high - low)) * 1.15 if len(points) > 1 else 160.0


def place_legend(view: SliceView, drawn: PairNodes, kind: str, shown: bool = True) -> None:
    """Put the legend of a map into the strip at the right of the picture, its title on several lines."""
    for legend in drawn.legends.values():
        legend.SetVisibility(False)
    legend = drawn.legends[kind]
    legend.SetVisibility(shown)
    width, height = view.picture_size
    legend.SetSize(LEGEND_SIZE[0] / width, LEGEND_SIZE[1] / height)
    legend.SetPosition(1.0 - 10 / width, 0.5)
    legend.SetTitleText(
        legend.GetTitleText()
        .replace(" (", "\n(")
        .replace("differ ", "differ\n")
        .replace("if ", "if\n")
        .replace("off or", "off\nor")
        .replace("; ", "\n")
        .replace("spacing ", "\nspacing\n")
    )


def outlines(nodes: HandNodes, visit: int) -> list:
    """The outlines of all joints of a visit."""
    return [node for (_, own), joint in nodes.joints.items() if own == visit for node in joint.outlines.values()]


def spacing_text(result: HandResult, visit: int) -> str:
    """The spacing of a film and where it comes from."""
    info = result.visits[visit]
    if info["spacing_mm"] is None:
        return "pixel spacing unknown"
    return f"{info['spacing_mm']:.3g} mm per pixel ({info['spacing_source']})"
