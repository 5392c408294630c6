"""The scene as one file: a Slicer bundle (.mrb) that holds every node and every file it needs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from JointQuantLib.scene.headless import headless_application


def write_scene(folder: Path, fill: Callable[[Path, object], None]) -> Path:
    """Write `scene.mrb` into the result folder; `OSError` where the bundle cannot be written.

    :param fill: adds the nodes of the result folder to a scene, with its layout.
    """
    application = headless_application()
    fill(folder, application.scene)
    add_storage(application.scene)
    path = folder / "scene.mrb"
    with tempfile.TemporaryDirectory(prefix="jointquant-scene-") as scratch:
        # the files are laid out beside the archive before they are packed: not in the result folder
        packed = Path(scratch) / path.name
        if not application.scene.WriteToMRB(str(packed)):
            raise OSError(f"{path} could not be written.")
        shutil.move(packed, path)
    return path


def add_storage(scene) -> None:
    """Give every node that keeps data in a file a storage node, so that the bundle holds its file."""
    for k in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(k, "vtkMRMLStorableNode")
        if node.GetSaveWithScene() and not node.GetHideFromEditors() and node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
