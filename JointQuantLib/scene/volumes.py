"""Films, warped films and loss maps as scalar volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.scene.frames import ras_from_pixels
from JointQuantLib.scene.result import HandResult

OUTSIDE_ATTRIBUTE = "JointQuant.outside"
SPACING_ATTRIBUTE = "JointQuant.spacing"
UNKNOWN_SPACING = "pixels, spacing unknown"


def add_film(scene, result: HandResult, visit: int):
    """The film of a visit: grey, with the display range of the result."""
    info = result.visits[visit]
    volume = _add_volume(scene, result, info["film"], f"Film {result.visit_title(visit)}", visit)
    if volume is None:
        raise BadInput(f"{result.folder / info['film']} is missing: run `jointquant hand` again.")
    volume.SetAttribute("JointQuant.date", info["date"] or "unknown")
    volume.SetAttribute("JointQuant.source", info["source"])
    _show_grey(volume, info["display_range"])
    return volume


def add_warped_film(scene, result: HandResult, kind: str, pair: tuple[int, int]):
    """Film j on the grid of film i, transparent where there is nothing; None where the result has no such file.

    :param kind: "before" or "after" registration.
    """
    i, j = pair
    name = f"Film visit {j + 1} on visit {i + 1}, {kind} registration"
    volume = _add_volume(scene, result, f"{kind}_{i}_{j}.nrrd", name, i)
    if volume is None:
        return None
    lowest = _replace_nan(volume)
    _show_grey(volume, result.visits[j]["display_range"])
    display = volume.GetDisplayNode()
    display.SetThreshold(lowest - 0.5, 1e9)
    display.ApplyThresholdOn()
    return volume


def add_loss_map(scene, result: HandResult, kind: str, pair: tuple[int, int], colors):
    """A loss map on the grid of film i, 0 to 1 in fixed colours; transparent outside the joint regions (-1)."""
    i, j = pair
    name = f"Loss visit {i + 1} to {j + 1}, {kind} registration"
    volume = _add_volume(scene, result, f"loss_{kind}_{i}_{j}.nrrd", name, i)
    if volume is None:
        return None
    _replace_nan(volume, outside=-1.0)
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.AutoThresholdOff()
    display.SetThreshold(-0.5, 2.0)
    display.ApplyThresholdOn()
    display.SetInterpolate(False)  # the pixels of the map, not a smoother one
    return volume


def _add_volume(scene, result: HandResult, file_name: str, name: str, visit: int):
    """Read a file of the result folder; None where it is not there. It must lie on the grid of the film of `visit`."""
    path = result.folder / file_name
    if not path.is_file():
        return None
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetSingleFile(True)  # visit_0 and visit_1 are not slices of one volume
    storage.SetFileName(str(path.resolve()))
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    if not storage.ReadData(volume):
        raise BadInput(f"{path} cannot be read as a volume: run `jointquant hand` again.")
    volume.SetAndObserveStorageNodeID(storage.GetID())
    volume.CreateDefaultDisplayNodes()
    _check_grid(volume, result, visit, path)
    unit = "mm" if result.spacing_is_known(visit) else UNKNOWN_SPACING
    volume.SetAttribute(SPACING_ATTRIBUTE, unit)
    if not result.spacing_is_known(visit):
        volume.SetDescription("Spacing unknown: 1 mm in this scene stands for 1 pixel.")
    return volume


def _check_grid(volume, result: HandResult, visit: int, path: Path) -> None:
    """`BadInput` where a map does not lie on its film: everything drawn over the film would be in the wrong place."""
    import slicer.util
    import vtk

    rows, columns = result.visits[visit]["shape"]
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    same_place = np.allclose(slicer.util.arrayFromVTKMatrix(matrix), ras_from_pixels(result.spacing(visit)), atol=1e-6)
    if volume.GetImageData().GetDimensions() != (columns, rows, 1) or not same_place:
        raise BadInput(f"{path} does not lie on the grid that result.json gives its film: run `jointquant hand` again.")


def _replace_nan(volume, outside: float | None = None) -> float:
    """Put a value below all others where there is none (a slice view cannot show NaN); return the lowest other."""
    import slicer.util

    pixels = slicer.util.arrayFromVolume(volume)
    inside = np.isfinite(pixels)
    lowest = float(pixels[inside].min()) if inside.any() else 0.0
    outside = np.floor(lowest) - 1.0 if outside is None else outside
    pixels[~inside] = outside
    slicer.util.arrayFromVolumeModified(volume)
    volume.SetAttribute(OUTSIDE_ATTRIBUTE, f"{outside:g}")
    return lowest


def _show_grey(volume, display_range) -> None:
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*display_range)
