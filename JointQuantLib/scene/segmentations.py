"""Label volumes as segmentations: all segments of one share one layer of voxels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

FILL, OUTLINE = 0.35, 1.0  # opacity in slice views: what lies below must stay visible


def add_segmentation(
    scene,
    name: str,
    labels: np.ndarray,
    ijk_to_ras: np.ndarray,
    entries: Iterable[tuple[int, str, tuple[float, float, float]]],
    reference,
):
    """A segmentation of the voxels [k, j, i] of a label volume; None where no voxel is labelled.

    :param entries: number, name and colour of every segment; those without a voxel are left out.
    :param reference: the volume whose grid it is.
    """
    import slicer

    box = _box(labels)
    if box is None:
        return None
    entries = [entry for entry in entries if (labels[box] == entry[0]).any()]
    image = _oriented_image(labels, box, ijk_to_ras)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    segmentation = node.GetSegmentation()
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segmentation.SetSourceRepresentationName(binary)
    for number, title, color in entries:
        segment = slicer.vtkSegment()
        segment.SetName(title)
        segment.SetColor(*color)
        segment.SetLabelValue(int(number))
        segment.AddRepresentation(binary, image)
        segmentation.AddSegment(segment, title)
    display = node.GetDisplayNode()
    display.SetPreferredDisplayRepresentationName2D(binary)
    display.SetAllSegmentsOpacity2DFill(FILL)
    display.SetAllSegmentsOpacity2DOutline(OUTLINE)
    display.SetAllSegmentsVisibility3D(False)
    return node


def _box(labels: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The box [k, j, i] around the labelled voxels; None where there is none."""
    box = []
    for axis in range(3):
        taken = np.flatnonzero(labels.any(axis=tuple(a for a in range(3) if a != axis)))
        if not taken.size:
            return None
        box.append(slice(int(taken[0]), int(taken[-1]) + 1))
    return tuple(box)


def _oriented_image(labels: np.ndarray, box: tuple[slice, slice, slice], ijk_to_ras: np.ndarray):
    """The labels in a box, in their place in RAS."""
    import slicer
    import slicer.util
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    part = labels[box]
    small = part.max() < 256
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(edge for axis in box[::-1] for edge in (axis.start, axis.stop - 1)))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR if small else vtk.VTK_UNSIGNED_SHORT, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = part.ravel()
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return image
