"""A scene bundle opened in an application of its own, and what its nodes hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from JointQuantLib.scene import write_scene


def opened_bundle(folder: Path, elsewhere: Path):
    """An application with the scene of a result folder, moved elsewhere and opened there."""
    from JointQuantLib.scene.headless import headless_application

    bundle = shutil.move(write_scene(folder), elsewhere / "scene.mrb")
    application = headless_application()
    (elsewhere / "unpacked").mkdir()
    application.scene.SetURL(application.scene.UnpackSlicerDataBundle(str(bundle), str(elsewhere / "unpacked")))
    assert application.scene.Import()
    return application


def node(application, name: str):
    """The first node of that name, which has to be there."""
    found = application.scene.GetFirstNodeByName(name)
    assert found is not None, f"no node is named {name}"
    return found


def ijk_to_ras(volume) -> np.ndarray:
    """The 4 x 4 matrix of a volume node."""
    import slicer.util
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
