"""A result folder as MRML nodes: a scene for 3D Slicer, and pictures drawn by Slicer's own slice views.

Reads only the result folder and knows nothing of how the result was computed. It is the only part of `JointQuantLib`
that imports `slicer` and `vtk`, and it does so inside its functions: importing this package needs neither.

    available, reason = rendering_available()
    if available:
        write_views(folder)     # view_*.png
        write_scene(folder)     # scene.mrb
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from JointQuantLib.result_kind import KNEE, MORPHOMETRY, kind_of
from JointQuantLib.scene.availability import rendering_available, slicer_available

if TYPE_CHECKING:
    from JointQuantLib.scene.build import HandNodes
    from JointQuantLib.scene.knee_nodes import KneeNodes
    from JointQuantLib.scene.morphometry_nodes import MorphometryNodes

__all__ = ["build_scene", "rendering_available", "slicer_available", "write_scene", "write_views"]


def write_views(folder: Path, after_each: Callable[[], None] = lambda: None) -> list[Path]:
    """Draw `view_*.png` into the result folder and return their paths; call `rendering_available` before.

    The pictures of a hand are every film with its joints, for every pair of visits the loss map before and after
    registration over the film, and for every joint and pair the two maps side by side; of a knee its bones, regions
    and maps over the CT in slices through the joint, and its bones in 3-D; of a morphometry the thickness and the
    separation map over the structure. `after_each` is called after each picture; what it raises ends the
    drawing.
    """
    kind = kind_of(folder)
    if kind == KNEE:
        from JointQuantLib.scene.knee_views import write_views as write
    elif kind == MORPHOMETRY:
        from JointQuantLib.scene.morphometry_views import write_views as write
    else:
        from JointQuantLib.scene.views import write_views as write

    return write(Path(folder), after_each)


def write_scene(folder: Path) -> Path:
    """Write `scene.mrb` into the result folder and return its path; needs slicer-core, but no rendering."""
    from JointQuantLib.scene.bundle import write_scene as write

    kind = kind_of(folder)
    if kind == KNEE:
        from JointQuantLib.scene.knee_layout import fill_scene
    elif kind == MORPHOMETRY:
        from JointQuantLib.scene.morphometry_layout import fill_scene
    else:
        from JointQuantLib.scene.layout import fill_scene

    return write(Path(folder), fill_scene)


def build_scene(folder: Path, scene) -> HandNodes | KneeNodes | MorphometryNodes:
    """Add the result as nodes to a `vtkMRMLScene` (that of Slicer or another) and return the nodes by what they are."""
    kind = kind_of(folder)
    if kind == KNEE:
        from JointQuantLib.scene.knee_nodes import build_scene as build
    elif kind == MORPHOMETRY:
        from JointQuantLib.scene.morphometry_nodes import build_scene as build
    else:
        from JointQuantLib.scene.build import build_scene as build

    return build(Path(folder), scene)
