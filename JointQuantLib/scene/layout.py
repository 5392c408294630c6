"""What a scene shows when it is opened: the first film with the loss before and after, side by side."""

from __future__ import annotations

from pathlib import Path

from JointQuantLib.scene.build import HandNodes, build_scene, first_pair
from JointQuantLib.scene.frames import ras_points
from JointQuantLib.scene.result import HandResult, read_result
from JointQuantLib.scene.singletons import add_singleton

OPACITY = 0.45
VIEW_SIZE = (600, 900)  # of one slice view, until the application gives it its own
VIEWS = (("Red", "before"), ("Yellow", "after"))
SIDE_BY_SIDE = (
    '<layout type="horizontal">'
    + "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">Axial</property></view></item>'
        for name, _ in VIEWS
    )
    + "</layout>"
)  # what Slicer knows under the number of its side-by-side layout


def fill_scene(folder: Path, scene) -> None:
    """Add a hand result to a scene, with what is shown when it is opened."""
    add_layout(scene, read_result(folder), build_scene(folder, scene))


def add_layout(scene, result: HandResult, nodes: HandNodes) -> None:
    """Slice views, their layers and the layout, as nodes of the scene: Red before, Yellow after registration."""
    pair = first_pair(nodes) if nodes.pairs else None
    drawn = nodes.pairs[pair].loss if pair else {}
    visit = pair[0] if pair else 0
    for name, kind in VIEWS:
        _add_slice(scene, result, visit, name)
        composite = add_singleton(scene, "vtkMRMLSliceCompositeNode", name)
        composite.SetBackgroundVolumeID(nodes.films[visit].GetID())
        if kind in drawn:
            composite.SetForegroundVolumeID(drawn[kind].GetID())
        composite.SetForegroundOpacity(OPACITY)
        composite.SetLinkedControl(False)  # linked, both views would show the same layers
    layout = add_singleton(scene, "vtkMRMLLayoutNode")
    layout.AddLayoutDescription(layout.SlicerLayoutSideBySideView, SIDE_BY_SIDE)
    layout.SetViewArrangement(layout.SlicerLayoutSideBySideView)
    selection = add_singleton(scene, "vtkMRMLSelectionNode")
    selection.SetActiveVolumeID(nodes.films[visit].GetID())
    selection.SetActiveTableID(nodes.table.GetID())


def _add_slice(scene, result: HandResult, visit: int, name: str) -> None:
    """An axial slice view (x to the right, y down) that a film fills."""
    node = add_singleton(scene, "vtkMRMLSliceNode", name)
    node.SetOrientation("Axial")
    rows, columns = result.visits[visit]["shape"]
    width, height = VIEW_SIZE
    scale = result.spacing(visit) * max(rows / height, columns / width)
    node.SetDimensions(width, height, 1)
    node.SetFieldOfView(width * scale, height * scale, 1.0)
    middle = ras_points([[(columns - 1) / 2, (rows - 1) / 2]], result.spacing(visit))[0]
    for k in range(3):
        node.GetSliceToRAS().SetElement(k, 3, float(middle[k]))
    node.UpdateMatrices()
