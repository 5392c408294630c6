"""The structure and its maps as volumes, the structure also as a segmentation."""

from __future__ import annotations

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.morphometry_folder import REGION, STRUCTURE, MorphometryFolder
from JointQuantLib.scene.slice_planes import ras_from_ijk
from JointQuantLib.thickness_colors import scale_top

BONE_COLOR, MARROW_COLOR = (0.86, 0.86, 0.86), (0.09, 0.09, 0.09)
REGION_COLOR = (1.0, 1.0, 1.0)


def add_structure(scene, result: MorphometryFolder):
    """The structure as a label map: bone light, marrow dark. BadInput where the folder does not hold it."""
    volume = _add_volume(scene, result, STRUCTURE, "vtkMRMLLabelMapVolumeNode", "Structure")
    if volume is None:
        raise BadInput(f"{result.path / STRUCTURE} is missing: run `jointquant morphometry` again.")
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "JointQuant structure")
    colors.SetTypeToUser()
    colors.SetAttribute("Category", "JointQuant")
    colors.SetHideFromEditors(False)  # a hidden colour node is not saved
    colors.SetNumberOfColors(2)
    colors.SetColor(0, "marrow", *MARROW_COLOR, 1.0)
    colors.SetColor(1, "bone", *BONE_COLOR, 1.0)
    volume.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    return volume


def add_map(scene, result: MorphometryFolder, file: str, name: str, colors):
    """A map in mm, coloured from 0 to a round length and transparent where it is 0; None where there is no such file.

    The voxels are shown as they are, not smoothed.
    """
    import slicer.util

    volume = _add_volume(scene, result, file, "vtkMRMLScalarVolumeNode", name)
    if volume is None:
        return None
    values = slicer.util.arrayFromVolume(volume)
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, scale_top(values))
    display.AutoThresholdOff()
    display.SetThreshold(1e-3 * min(result.spacing_mm), 2.0 * max(float(values.max()), 1.0))
    display.ApplyThresholdOn()
    display.SetInterpolate(False)
    volume.SetVoxelValueUnits(_unit_code("mm", "UCUM", "millimeter"))
    return volume


def add_segmentation(scene, result: MorphometryFolder, structure):
    """The bone as a segment, ready to be shown in 3-D and measured, and the outline of the region where there is one.

    The bone is hidden in slice views, where it would cover the maps.
    """
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(structure)
    _add_segment(segmentation, structure, "Bone", BONE_COLOR)
    display = segmentation.GetDisplayNode()
    display.SetSegmentVisibility2DFill("Bone", False)
    display.SetSegmentVisibility2DOutline("Bone", False)
    region = _add_volume(scene, result, REGION, "vtkMRMLLabelMapVolumeNode", "Region")
    if region is not None:
        _add_segment(segmentation, region, "Region", REGION_COLOR)
        display.SetSegmentVisibility2DFill("Region", False)
        display.SetSegmentVisibility3D("Region", False)
        storage = region.GetStorageNode()
        scene.RemoveNode(region)  # the segment holds it now
        if storage is not None and storage.GetScene() is scene:
            scene.RemoveNode(storage)
    return segmentation


def _add_segment(segmentation, labels, name: str, color: tuple[float, float, float]) -> None:
    import slicer
    import vtk

    image = slicer.vtkOrientedImageData()
    image.DeepCopy(labels.GetImageData())
    matrix = vtk.vtkMatrix4x4()
    labels.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    segmentation.AddSegmentFromBinaryLabelmapRepresentation(image, name, color, name)
    segmentation.GetSegmentation().GetSegment(name).SetName(name)


def _add_volume(scene, result: MorphometryFolder, file: str, class_name: str, name: str):
    """Read a volume of the result folder; None where it is not there. It must lie where `result.json` says."""
    path = result.file(file)
    if path is None:
        return None
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetSingleFile(True)
    storage.SetFileName(str(path.resolve()))
    volume = scene.AddNewNodeByClass(class_name, name)
    if not storage.ReadData(volume):
        raise BadInput(f"{path} cannot be read as a volume: run `jointquant morphometry` again.")
    volume.SetAndObserveStorageNodeID(storage.GetID())
    volume.CreateDefaultDisplayNodes()
    _check_grid(volume, result, path)
    return volume


def _check_grid(volume, result: MorphometryFolder, path) -> None:
    """`BadInput` where a volume is not on the grid of the result: what is drawn over it would be in the wrong place."""
    import slicer.util
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    expected = ras_from_ijk(result.content["volume"])
    here = slicer.util.arrayFromVTKMatrix(matrix)
    tolerance = 1e-3 * min(result.spacing_mm)
    far_end = np.array([*result.size[::-1], 1.0])
    same_place = np.allclose(here[:, 3], expected[:, 3], atol=tolerance)
    same_place = same_place and np.allclose(here @ far_end, expected @ far_end, atol=tolerance)
    same_place = same_place and np.allclose(here, expected, atol=tolerance)
    if volume.GetImageData().GetDimensions() != result.size[::-1] or not same_place:
        raise result.off_grid(path)


def _unit_code(value: str, scheme: str, meaning: str):
    import slicer

    code = slicer.vtkCodedEntry()
    code.SetValueSchemeMeaning(value, scheme, meaning)
    return code
