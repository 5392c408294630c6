"""The bones of a knee in 3-D: its sub-regions from the front and the back, and each joint surface seen straight on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from JointQuantLib.knee_colors import SUBREGIONS
from JointQuantLib.scene.knee_models import BONE
from JointQuantLib.scene.knee_nodes import KneeNodes, OneKneeNodes, show_models
from JointQuantLib.scene.knee_planes import KneePlanes
from JointQuantLib.scene.picture_frame import SIZE, PictureFrame

MARGIN = 1.12  # around the bones


@dataclass(frozen=True)
class Look:
    """A picture of models: what is shown of which bones, and the body axis (RAS) from which they are seen."""

    name: str
    what: str
    bones: tuple[str, ...]
    words: str
    right: tuple[float, float, float]
    up: tuple[float, float, float]


ALL = ("femur", "tibia", "patella", "fibula")
SUPERIOR, ANTERIOR, LEFT, RIGHT = (0, 0, 1), (0, 1, 0), (-1, 0, 0), (1, 0, 0)
LOOKS = (
    Look("anterior", BONE, ALL, "compartments and their sub-regions\nBones from the front", LEFT, SUPERIOR),
    Look("posterior", BONE, ALL, "compartments and their sub-regions\nBones from the back", RIGHT, SUPERIOR),
    Look(
        "compartments_tibia_from_above",
        BONE,
        ("tibia",),
        "compartments and their sub-regions\nTibia from above",
        RIGHT,
        ANTERIOR,
    ),
    Look(
        "compartments_femur_from_below",
        BONE,
        ("femur",),
        "compartments and their sub-regions\nFemur from below",
        LEFT,
        ANTERIOR,
    ),
    Look(
        "plate_tibia_from_above",
        "plate",
        ("tibia",),
        "thickness of the subchondral plate\nTibia from above",
        RIGHT,
        ANTERIOR,
    ),
    Look(
        "plate_femur_from_below",
        "plate",
        ("femur",),
        "thickness of the subchondral plate\nFemur from below",
        LEFT,
        ANTERIOR,
    ),
    Look(
        "joint_space_tibia_from_above",
        "joint space",
        ("tibia",),
        "joint space width\nTibia from above",
        RIGHT,
        ANTERIOR,
    ),
)


def draw_models(
    frame: PictureFrame, nodes: KneeNodes, own: OneKneeNodes, planes: KneePlanes
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture of every look whose models the result has; along the axes of the knee."""
    for look in LOOKS:
        shown = [own.models[look.what, bone] for bone in look.bones if (look.what, bone) in own.models]
        if any(node.GetDisplayNode().GetScalarVisibility() for node in shown):  # a bone without regions tells nothing
            yield look.name, draw_look(frame, nodes, own, planes, look, shown)


def draw_look(
    frame: PictureFrame, nodes: KneeNodes, own: OneKneeNodes, planes: KneePlanes, look: Look, shown: list
) -> np.ndarray:
    """One picture of these models."""
    show_models(nodes, shown)
    right, up = (planes.axes_ras @ np.array(direction, dtype=float) for direction in (look.right, look.up))
    centre, mm_per_pixel = _fit(shown, right, up)
    frame.view.look(right, up, centre, mm_per_pixel)
    frame.label(f"{own.title}: {look.words}", right, up, mm_per_pixel)
    legends = [legend for knee in nodes.knees for legend in knee.legends.values()]
    if look.what == BONE:
        frame.show_legend(None, legends)
        frame.show_colors(list(SUBREGIONS.items()))
    else:
        frame.show_legend(own.legends[look.what, look.bones[0]], legends)
    return frame.view.draw()


def _fit(shown: list, right: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle of models, and the mm that a pixel is so that they fill the view."""
    from vtk.util.numpy_support import vtk_to_numpy

    points = np.concatenate([vtk_to_numpy(node.GetPolyData().GetPoints().GetData()) for node in shown])
    axes = np.stack([right, up, np.cross(right, up)])
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    return axes.T @ ((low + high) / 2), float((high - low)[:2].max()) * MARGIN / SIZE
