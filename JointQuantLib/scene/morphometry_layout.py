"""What a scene of a morphometry shows when it is opened: Tb.Th in three slices above, Tb.Sp in the same ones below."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from JointQuantLib.morphometry_folder import REGION, MorphometryFolder, read_morphometry
from JointQuantLib.scene.morphometry_nodes import MorphometryNodes, build_scene
from JointQuantLib.scene.singletons import add_singleton
from JointQuantLib.scene.slice_planes import ras_from_ijk, slice_to_ras
from JointQuantLib.volume_planes import PLANES, Plane, middle_of

VIEW_NAMES = ("Red", "Green", "Yellow")  # by plane: of identity they are axial, coronal and sagittal
ROWS = (("", "Tb.Th"), ("+", "Tb.Sp"))  # what the view names of a row end in, and the map it shows
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
VIEW_SIZE = (600, 500)  # of one slice view, until the application gives it its own
MARGIN = 1.05


def three_over_three() -> str:
    """What Slicer knows under the number of its three-over-three layout."""
    rows = []
    for group, (ending, _) in enumerate(ROWS):
        views = "".join(
            f'<item><view class="vtkMRMLSliceNode" singletontag="{name}{ending}">'
            f'<property name="orientation" action="default">{orientation}</property>'
            f'<property name="viewlabel" action="default">{name[0]}{ending}</property>'
            f'<property name="viewgroup" action="default">{group}</property></view></item>'
            for name, orientation in zip(VIEW_NAMES, ORIENTATIONS, strict=True)
        )
        rows.append(f'<item><layout type="horizontal">{views}</layout></item>')
    return f'<layout type="vertical">{"".join(rows)}</layout>'


def fill_scene(folder: Path, scene) -> None:
    """Add a morphometry result to a scene, with what is shown when it is opened."""
    add_layout(scene, read_morphometry(folder), build_scene(folder, scene))


def add_layout(scene, result: MorphometryFolder, nodes: MorphometryNodes) -> None:
    """Slice views through the middle of the region, their layers and the layout, as nodes of the scene."""
    middle = middle_of(result.size, result.array(REGION))
    matrix = ras_from_ijk(result.content["volume"])
    for group, (ending, map_name) in enumerate(ROWS):
        for plane, name in zip(PLANES, VIEW_NAMES, strict=True):
            view = add_singleton(scene, "vtkMRMLSliceNode", name + ending)
            view.SetViewGroup(group)
            _aim(view, result, plane, slice_to_ras(matrix, plane, middle[plane.across], result.size))
            composite = add_singleton(scene, "vtkMRMLSliceCompositeNode", name + ending)
            composite.SetBackgroundVolumeID(nodes.structure.GetID())
            if map_name in nodes.maps:
                composite.SetForegroundVolumeID(nodes.maps[map_name].GetID())
            composite.SetForegroundOpacity(1.0)  # a map is transparent where it has no value
            composite.SetLinkedControl(False)  # linked, all views would show the same map
    layout = add_singleton(scene, "vtkMRMLLayoutNode")
    layout.AddLayoutDescription(layout.SlicerLayoutThreeOverThreeView, three_over_three())
    layout.SetViewArrangement(layout.SlicerLayoutThreeOverThreeView)
    selection = add_singleton(scene, "vtkMRMLSelectionNode")
    selection.SetActiveVolumeID((nodes.maps.get("Tb.Th") or nodes.structure).GetID())
    selection.SetActiveLabelVolumeID(nodes.structure.GetID())
    selection.SetActiveTableID(nodes.table.GetID())


def _aim(view, result: MorphometryFolder, plane: Plane, matrix: np.ndarray) -> None:
    """Turn a slice view to a slice, which fills it."""
    width, height = VIEW_SIZE
    across = result.size[plane.right] * result.spacing_mm[plane.right]
    along = result.size[plane.vertical] * result.spacing_mm[plane.vertical]
    scale = MARGIN * max(across / width, along / height)
    view.SetDimensions(width, height, 1)
    view.SetFieldOfView(width * scale, height * scale, 1.0)
    view.GetSliceToRAS().DeepCopy([float(x) for x in matrix.ravel()])
    view.UpdateMatrices()
