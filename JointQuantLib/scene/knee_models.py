"""The surfaces of the bones as models: coloured by sub-region, and copies coloured by plate and joint space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.knee_colors import BARE_BONE, SUBREGIONS, joint_space_ramp, plate_ramp
from JointQuantLib.knee_folder import FIRST_COMPARTMENT, SUBREGION_NAMES, KneeFolder
from JointQuantLib.scene.colors import add_legend
from JointQuantLib.scene.knee_labels import sided
from JointQuantLib.scene.knee_volumes import LEGEND_NUMBERS, LEGEND_TITLES

BONE = "bone"  # what every model is drawn for; "plate" and "joint space" are drawn for some
VALUES = {"plate": "plate_thickness_mm", "joint space": "joint_space_mm"}  # at the points of a surface
NAMES = {"plate": "subchondral plate thickness (mm)", "joint space": "joint space width (mm)"}


def add_subregion_colors(scene):
    """A colour table of the sub-regions, 0 is bone that is in none."""
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "JointQuant sub-regions")
    colors.SetTypeToUser()
    colors.SetAttribute("Category", "JointQuant")
    colors.SetHideFromEditors(False)  # a hidden colour node is not saved
    colors.SetNumberOfColors(1 + len(FIRST_COMPARTMENT) * len(SUBREGION_NAMES))
    colors.SetColor(0, "no sub-region", *BARE_BONE, 1.0)
    for bone, first in FIRST_COMPARTMENT.items():
        for k, name in enumerate(SUBREGION_NAMES):
            colors.SetColor(first + k, f"{bone} {name}", *SUBREGIONS[name], 1.0)
    return colors


def add_value_colors(scene, what: str):
    """The colours of a map on a model; bone without a value has the colour of bare bone."""
    ramp = {"plate": plate_ramp, "joint space": joint_space_ramp}[what]()
    colors = scene.AddNewNodeByClass("vtkMRMLProceduralColorNode", f"JointQuant {what} on bone")
    colors.SetAttribute("Category", "JointQuant")
    colors.SetHideFromEditors(False)
    function = colors.GetColorTransferFunction()
    function.RemoveAllPoints()
    function.AddRGBPoint(0.0, *BARE_BONE)
    at = np.linspace(0.0, 1.0, len(ramp))
    at[0] = 1e-3
    for value, rgb in zip(at, ramp, strict=True):
        function.AddRGBPoint(float(value), *(float(c) for c in rgb))
    return colors


def add_bone_model(scene, result: KneeFolder, knee: dict, bone: dict, colors):
    """The surface of a bone, coloured by sub-region; None where the bone has no surface."""
    if not bone.get("model"):
        return None
    path = result.file(bone["model"])
    if path is None:
        raise BadInput(f"{result.path / bone['model']} is missing: run `jointquant knee` again.")
    model = _read_model(scene, path, sided(knee, bone["name"]).capitalize())
    compartments = model.GetPolyData().GetPointData().GetArray("compartment")
    if compartments is not None and compartments.GetRange()[1] > 0:
        _show_values(model, "compartment", colors, (0.0, float(colors.GetNumberOfColors() - 1)))
    return model


def add_value_model(scene, of, what: str, colors, top_mm: float):
    """The model again, hidden and coloured by a map, and its legend; both None where its points do not have the map."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    given = of.GetPolyData().GetPointData().GetArray(VALUES[what])
    if given is None:
        return None, None
    values = np.nan_to_num(vtk_to_numpy(given).astype(np.float32))
    if not values.any():
        return None, None
    surface = vtk.vtkPolyData()
    surface.CopyStructure(of.GetPolyData())
    surface.GetPointData().SetNormals(of.GetPolyData().GetPointData().GetNormals())
    array = numpy_to_vtk(values, deep=True)
    array.SetName(VALUES[what])
    surface.GetPointData().AddArray(array)
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", f"{of.GetName()} {NAMES[what]}")
    model.SetAndObservePolyData(surface)
    model.CreateDefaultDisplayNodes()
    _show_values(model, VALUES[what], colors, (0.0, top_mm))
    model.GetDisplayNode().SetVisibility(False)
    return model, add_legend(scene, model, LEGEND_TITLES[what], "%.3g", LEGEND_NUMBERS[what])


def _read_model(scene, path: Path, name: str):
    """A surface of legacy VTK, turned to RAS by the storage node, which reads in the file that it is in LPS."""
    storage = scene.AddNewNodeByClass("vtkMRMLModelStorageNode")
    storage.SetFileName(str(path.resolve()))
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", name)
    if not storage.ReadData(model) or model.GetPolyData() is None or not model.GetPolyData().GetNumberOfCells():
        raise BadInput(f"{path} cannot be read as a surface: run `jointquant knee` again.")
    model.SetAndObserveStorageNodeID(storage.GetID())
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetColor(*BARE_BONE)
    display.SetVisibility2D(False)
    display.SetScalarVisibility(False)
    return model


def _show_values(model, array: str, colors, range_mm: tuple[float, float]) -> None:
    display = model.GetDisplayNode()
    display.SetActiveScalarName(array)
    display.SetAndObserveColorNodeID(colors.GetID())
    display.SetScalarRangeFlag(display.UseManualScalarRange)
    display.SetScalarRange(*range_mm)
    display.SetScalarVisibility(True)
