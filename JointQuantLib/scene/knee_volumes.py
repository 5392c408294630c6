"""The CT and the maps of a knee result as scalar volumes."""

from __future__ import annotations

import numpy as np

from JointQuantLib.knee_colors import JOINT_SPACE_TOP_MM, PLATE_TOP_MM, depth_ramp, joint_space_ramp, plate_ramp
from JointQuantLib.knee_folder import CT, DEPTH, JOINT_SPACE, PLATE, KneeFolder
from JointQuantLib.scene.colors import add_color_scale, add_legend
from JointQuantLib.scene.slice_planes import ras_from_ijk
from JointQuantLib.thickness_colors import scale_top

WINDOW_HU, LEVEL_HU = 1800.0, 400.0  # bone
LEGEND_NUMBERS = {"plate": 11, "joint space": 13, "depth": 11}  # 0 and equal steps of a round length
MAPS = {
    "plate": (PLATE, "Subchondral plate thickness (mm)", plate_ramp),
    "joint space": (JOINT_SPACE, "Joint space width (mm)", joint_space_ramp),
    "depth": (DEPTH, "Depth below the bone surface (mm)", depth_ramp),
}  # file, name of the node and colours, by what it is called in code
LEGEND_TITLES = {"plate": "plate\n(mm)", "joint space": "joint space\n(mm)", "depth": "depth\n(mm)"}


def add_ct(scene, result: KneeFolder):
    """The CT in the window for bone."""
    volume = add_volume(scene, result, result.needed_array(CT), "CT (HU)")
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)
    volume.SetVoxelValueQuantity(_code("112031", "DCM", "Attenuation Coefficient"))
    volume.SetVoxelValueUnits(_code("[hnsf'U]", "UCUM", "Hounsfield unit"))
    return volume


def add_map(scene, result: KneeFolder, what: str):
    """A map in mm and its legend, transparent where it is 0; both None where the folder has no values of it."""
    file, name, ramp = MAPS[what]
    values = result.array(file)
    if values is None:
        return None, None
    values[np.isnan(values)] = 0.0
    if not values.any():
        return None, None
    volume = add_volume(scene, result, values, name)
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(add_color_scale(scene, f"JointQuant {what}", ramp()).GetID())
    display.SetWindowLevelMinMax(0.0, map_top(what, values))
    display.SetThreshold(1e-3, 2.0 * max(float(values.max(initial=0.0)), 1.0))
    display.ApplyThresholdOn()
    display.SetInterpolate(False)  # the voxels of the map, not a smoother one
    volume.SetVoxelValueUnits(_code("mm", "UCUM", "millimeter"))
    return volume, add_legend(scene, volume, LEGEND_TITLES[what], "%.3g", LEGEND_NUMBERS[what])


def map_top(what: str, values: np.ndarray) -> float:
    """The length in mm at which the colours of a map end."""
    return {"joint space": JOINT_SPACE_TOP_MM, "plate": PLATE_TOP_MM}.get(what) or scale_top(values)


def add_volume(scene, result: KneeFolder, array: np.ndarray, name: str, grid: dict | None = None):
    """A scalar volume of values [k, j, i] on the grid of the CT, or another one of result.json."""
    import slicer.util

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ras_from_ijk(grid or result.content["ct"])))
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()  # before there are voxels, or their histogram is made for a window that is not used
    display.AutoThresholdOff()
    slicer.util.updateVolumeFromArray(volume, array)
    return volume


def _code(value: str, scheme: str, meaning: str):
    import slicer

    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(value, scheme, meaning)
    return code
