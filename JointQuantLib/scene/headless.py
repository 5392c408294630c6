"""MRML without the Slicer application: a scene with the logics that its nodes and views ask for, drawn off screen."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HeadlessApplication:
    """A scene with its logics; it must live as long as any view of the scene."""

    scene: object
    logic: object
    modules: dict[str, object]  # the application logic holds them only weakly
    share: tempfile.TemporaryDirectory  # stands for the share folder of an installed Slicer, which has colour files


def headless_application() -> HeadlessApplication:
    """A fresh scene that knows all node classes, default colours and slice orientations."""
    import slicer
    import vtk

    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    colors = slicer.vtkSlicerColorLogic()
    share = tempfile.TemporaryDirectory(prefix="jointquant-share-")
    (Path(share.name) / "ColorFiles").mkdir()  # the colour logic looks here, also after the scene was closed
    logic.SetHomeDirectory(share.name)
    logic.SetShareDirectory(".")
    colors.SetMRMLApplicationLogic(logic)
    logic.SetColorLogic(colors)
    logic.SetMRMLScene(scene)
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    modules = {"Colors": colors, "Markups": slicer.vtkSlicerMarkupsLogic(), **_node_registering_logics()}
    for name, module in modules.items():
        module.SetMRMLApplicationLogic(logic)
        module.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    return HeadlessApplication(scene, logic, modules, share)


def _node_registering_logics() -> dict[str, object]:
    """Logics that are here only because they make the scene know their node classes."""
    import slicer

    return {
        "Segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
        "Tables": slicer.vtkSlicerTablesLogic(),
        "Texts": slicer.vtkSlicerTextsLogic(),
        "Transforms": slicer.vtkSlicerTransformLogic(),
        "Volumes": slicer.vtkSlicerVolumesLogic(),
    }


def render_window():
    """An off-screen `vtkRenderWindow`; on Linux always EGL, which needs no X server and no DISPLAY."""
    if sys.platform.startswith("linux"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import vtk

    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(4)
    return window
