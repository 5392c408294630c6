"""The whole result as nodes, in the order in which a reader meets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from JointQuantLib.scene.colors import add_loss_colors, add_loss_legend
from JointQuantLib.scene.folders import Folders
from JointQuantLib.scene.labels import place_names
from JointQuantLib.scene.markups import VERDICT_MARKS, add_axis, add_names, add_origin, add_outlines, add_width
from JointQuantLib.scene.motions import add_motion
from JointQuantLib.scene.result import HandResult, is_measured, outlines_of, pair_of, read_result
from JointQuantLib.scene.tables import add_hands_table, add_joints_table, add_result_text
from JointQuantLib.scene.volumes import add_film, add_loss_map, add_warped_film

KINDS = ("before", "after")


@dataclass
class JointNodes:
    """What is drawn of one joint over the film of one visit."""

    outlines: dict[str, object]  # "upper", "lower"
    axis: object
    origin: object
    width: object | None

    def all(self) -> list:
        return [node for node in (*self.outlines.values(), self.axis, self.origin, self.width) if node is not None]


@dataclass
class PairNodes:
    """What belongs to one pair of visits; a map that the result folder does not hold is not in its dictionary."""

    loss: dict[str, object] = field(default_factory=dict)  # "before", "after"
    legends: dict[str, object] = field(default_factory=dict)
    warped: dict[str, object] = field(default_factory=dict)
    names: list = field(default_factory=list)  # one node a verdict
    motions: dict[tuple[str, str], object] = field(default_factory=dict)  # (title of the joint, bone)


@dataclass
class HandNodes:
    """The nodes of a hand result."""

    films: list = field(default_factory=list)  # by visit
    names: list = field(default_factory=list)  # by visit; None where no joint was found
    joints: dict[tuple[str, int], JointNodes] = field(default_factory=dict)  # (title of the joint, visit)
    pairs: dict[tuple[int, int], PairNodes] = field(default_factory=dict)
    colors: object = None
    table: object = None
    hands_table: object = None  # None where the folder holds no means of hands
    text: object = None

    def markups(self) -> list:
        """All markups: of the joints, and the names of visits and pairs."""
        of_joints = [node for joint in self.joints.values() for node in joint.all()]
        names = [node for node in self.names if node is not None]
        return of_joints + names + [node for pair in self.pairs.values() for node in pair.names]


def build_scene(folder: Path, scene) -> HandNodes:
    """Add the result folder to a scene.

    The bones and names of the first visit are shown; axes, origins, widths and the markups of later visits are hidden.
    """
    result = read_result(folder)
    folders = Folders(scene, hand_title(result))
    nodes = HandNodes(colors=add_loss_colors(scene))
    for visit in range(len(result.visits)):
        add_visit(scene, result, visit, nodes, folders)
    for pair in result.pairs:
        add_pair(scene, result, pair, nodes, folders)
    nodes.table = add_joints_table(scene, result)
    nodes.hands_table = add_hands_table(scene, result)
    nodes.text = add_result_text(scene, result.folder)
    for node in (nodes.table, nodes.hands_table, nodes.text, nodes.colors):
        if node is not None:
            folders.put(node)
    show_only(nodes, [node for node in first_look(nodes) if node is not None])
    return nodes


def hand_title(result: HandResult) -> str:
    dates = [visit["date"] for visit in result.visits if visit["date"]]
    if len(dates) < len(result.visits):
        return f"JointQuant hand: measured {result.data['created'][:10]}"
    return f"JointQuant hand: {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "")


def add_visit(scene, result: HandResult, visit: int, nodes: HandNodes, folders: Folders) -> None:
    """The film of a visit and the joints that were found in it."""
    here = result.visit_title(visit).capitalize()
    film = add_film(scene, result, visit)
    nodes.films.append(film)
    folders.put(film, here)
    found = [joint for joint in result.joints if joint["visits"][visit]["found"]]
    texts = [result.short_title(joint) for joint in found]
    names = add_names(
        scene, f"Joints {result.visit_title(visit)}", texts, _places(result, found, texts, visit), result.spacing(visit)
    )
    nodes.names.append(names)
    folders.put(names, here)
    for joint in found:
        drawn = JointNodes(
            outlines=add_outlines(scene, result, joint, visit),
            axis=add_axis(scene, result, joint, visit),
            origin=add_origin(scene, result, joint, visit),
            width=add_width(scene, result, joint, visit),
        )
        nodes.joints[result.title(joint), visit] = drawn
        for node in drawn.all():
            folders.put(node, here, result.title(joint))


def add_pair(scene, result: HandResult, pair: tuple[int, int], nodes: HandNodes, folders: Folders) -> None:
    """The maps, names and motions of one pair of visits."""
    here = f"Visit {pair[0] + 1} to visit {pair[1] + 1}"
    own = nodes.pairs[pair] = PairNodes()
    for kind in KINDS:
        loss = add_loss_map(scene, result, kind, pair, nodes.colors)
        if loss is not None:
            own.loss[kind] = loss
            own.legends[kind] = add_loss_legend(scene, loss, result.spacing_is_known(pair[0]))
        warped = add_warped_film(scene, result, kind, pair)
        if warped is not None:
            own.warped[kind] = warped
    own.names = add_verdict_names(scene, result, pair)
    for node in (*own.loss.values(), *own.warped.values(), *own.names):
        folders.put(node, here)
    for joint in result.joints:
        entry = pair_of(joint, *pair)
        if not is_measured(entry):
            continue
        for bone in ("upper", "lower"):
            title = result.title(joint)
            motion = add_motion(scene, result, title, bone, entry, nodes.films)
            own.motions[title, bone] = motion
            folders.put(motion, here, title)


def add_verdict_names(scene, result: HandResult, pair: tuple[int, int]) -> list:
    """The names of the joints over film i, a node for each verdict; the description of a point holds its number."""
    found = [joint for joint in result.joints if joint["visits"][pair[0]]["found"] and pair_of(joint, *pair)]
    verdicts = [pair_of(joint, *pair)["verdict"] for joint in found]
    texts = [result.short_title(joint) + VERDICT_MARKS[verdict] for joint, verdict in zip(found, verdicts, strict=True)]
    places = _places(result, found, texts, pair[0])
    added = []
    for verdict in VERDICT_MARKS:
        chosen = [k for k, own in enumerate(verdicts) if own == verdict]
        title = f"{verdict.replace('_', ' ').capitalize()}, visit {pair[0] + 1} to visit {pair[1] + 1}"
        spacing = result.spacing(pair[0])
        names = add_names(scene, title, [texts[k] for k in chosen], places[chosen], spacing, verdict)
        if names is None:
            continue
        for point, k in enumerate(chosen):
            names.SetNthControlPointDescription(point, change_text(pair_of(found[k], *pair), with_reason=True))
        added.append(names)
    return added


def change_text(pair: dict, with_reason: bool = False) -> str:
    """One line that says what was measured: the change with its interval, and the verdict unless it is "measured"."""
    reason = f": {pair['reason']}" if with_reason and pair["reason"] else ""
    if not is_measured(pair):
        return f"not measurable{reason}"
    unit, digits = ("mm", 2) if pair["change_mm"] is not None else ("px", 1)
    low, high = pair[f"interval_{unit}"]
    text = f"change {pair[f'change_{unit}']:+.{digits}f} {unit} ({low:+.{digits}f} to {high:+.{digits}f})"
    return text if pair["verdict"] == "measured" else f"{text}, doubtful{reason}"


def show_only(nodes: HandNodes, shown: list) -> None:
    """Show these markups and hide all others of the result."""
    for markup in nodes.markups():
        markup.GetDisplayNode().SetVisibility(any(markup is node for node in shown))


def first_look(nodes: HandNodes) -> list:
    """The markups that are shown when a scene is opened: bones and names over the first film."""
    outlines = [node for (_, visit), joint in nodes.joints.items() if visit == 0 for node in joint.outlines.values()]
    names = nodes.pairs[first_pair(nodes)].names if nodes.pairs else nodes.names[:1]
    return outlines + list(names)


def first_pair(nodes: HandNodes) -> tuple[int, int]:
    """The pair that a scene opens with: from the first visit to the last."""
    return max((pair for pair in nodes.pairs if pair[0] == min(nodes.pairs)[0]), key=lambda pair: pair[1])


def _places(result: HandResult, joints: list[dict], texts: list[str], visit: int) -> np.ndarray:
    """Where the names of joints are written over the film of a visit, (n, 2) pixels."""
    polygons = [
        [*outlines_of(joint, visit).values(), np.array([joint["visits"][visit]["position_px"]])] for joint in joints
    ]
    return place_names(texts, polygons, tuple(result.visits[visit]["shape"]))
