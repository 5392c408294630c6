"""What a scene of a knee shows when it is opened: four views of the first knee, its sub-regions over the CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from JointQuantLib.knee_folder import KneeFolder, read_knee
from JointQuantLib.scene.knee_nodes import SUBREGIONS_SHOWN, KneeNodes, build_scene
from JointQuantLib.scene.knee_planes import KneePlanes, knee_planes
from JointQuantLib.scene.singletons import add_singleton

VIEWS = {"Red": ("Axial", "axial"), "Green": ("Coronal", "coronal"), "Yellow": ("Sagittal", "sagittal")}
COLORS = {"Red": "#F34A33", "Green": "#6EB04B", "Yellow": "#EDD54C"}
VIEW_SIZE = (600, 500)  # of one view, until the application gives it its own
CAMERA_MM = 500.0  # in front of the knee
CAMERA_ANGLE_DEG = 30.0  # of the 3-D view, that of a new camera


def four_up() -> str:
    """What Slicer knows under the number of its four-up layout."""

    def slice_view(name: str) -> str:
        return (
            f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
            f'<property name="orientation" action="default">{VIEWS[name][0]}</property>'
            f'<property name="viewlabel" action="default">{name[0]}</property>'
            f'<property name="viewcolor" action="default">{COLORS[name]}</property></view></item>'
        )

    model_view = (
        '<item><view class="vtkMRMLViewNode" singletontag="1">'
        '<property name="viewlabel" action="default">1</property></view></item>'
    )
    rows = (slice_view("Red") + model_view, slice_view("Green") + slice_view("Yellow"))
    items = "".join(f'<item><layout type="horizontal">{row}</layout></item>' for row in rows)
    return f'<layout type="vertical">{items}</layout>'


def fill_scene(folder: Path, scene) -> None:
    """Add a knee result to a scene, with what is shown when it is opened."""
    add_layout(scene, read_knee(folder), build_scene(folder, scene))


def add_layout(scene, result: KneeFolder, nodes: KneeNodes) -> None:
    """Slice views along the patient's axes, a camera and the layout, as nodes of the scene."""
    planes = knee_planes(result, result.knees[0], nodes.knees[0].labels[SUBREGIONS_SHOWN].array)
    for name, (orientation, kind) in VIEWS.items():
        through = next(
            (plane.matrix[:3, 3] for plane in planes.planes if plane.name.startswith(kind)), planes.middle_ras
        )
        _aim(add_singleton(scene, "vtkMRMLSliceNode", name), orientation, through, planes)
        composite = add_singleton(scene, "vtkMRMLSliceCompositeNode", name)
        composite.SetBackgroundVolumeID(nodes.ct.GetID())
        if nodes.mr is not None:  # faded in by the slider of the view
            composite.SetForegroundVolumeID(nodes.mr.mr.GetID())
            composite.SetForegroundOpacity(0.0)
        composite.SetLinkedControl(True)  # a map that is chosen in one view is shown in all
    view = add_singleton(scene, "vtkMRMLViewNode", "1")
    view.SetBoxVisible(False)
    _add_camera(scene, view, planes)
    layout = add_singleton(scene, "vtkMRMLLayoutNode")
    layout.AddLayoutDescription(layout.SlicerLayoutFourUpView, four_up())
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    selection = add_singleton(scene, "vtkMRMLSelectionNode")
    selection.SetActiveVolumeID(nodes.ct.GetID())
    if nodes.tables:
        selection.SetActiveTableID(next(iter(nodes.tables.values())).GetID())


def _aim(view, orientation: str, through_ras: np.ndarray, planes: KneePlanes) -> None:
    """Turn a slice view to a slice of the patient through a place, which the regions fill."""
    width, height = VIEW_SIZE
    scale = planes.extent_mm / min(width, height)
    view.SetOrientation(orientation)
    view.SetDimensions(width, height, 1)
    view.SetFieldOfView(width * scale, height * scale, 1.0)
    for k in range(3):
        view.GetSliceToRAS().SetElement(k, 3, float(through_ras[k]))
    view.UpdateMatrices()


def _add_camera(scene, view, planes: KneePlanes) -> None:
    """Look at the knee from the front."""
    camera = scene.CreateNodeByClass("vtkMRMLCameraNode")
    camera.UnRegister(None)
    camera.SetLayoutName(view.GetLayoutName())
    camera.SetName("Camera in front of the knee")
    camera = scene.AddNode(camera)
    middle = planes.middle_ras
    camera.SetFocalPoint(*middle)
    camera.SetPosition(*(middle + (0.0, CAMERA_MM, 0.0)))
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.SetViewAngle(CAMERA_ANGLE_DEG)
    camera.SetParallelScale(0.75 * planes.extent_mm)
