"""Colour scales as nodes, and the legends of the maps that are shown in them."""

from __future__ import annotations

import numpy as np

from JointQuantLib.loss_colors import FULL_LOSS_MM, loss_ramp
from JointQuantLib.scene.volumes import UNKNOWN_SPACING

LOSS_TITLE = f"loss (1: films differ as if {FULL_LOSS_MM:g} mm off or more)"


def add_loss_colors(scene):
    """The colour node that all loss maps share."""
    return add_color_scale(scene, "JointQuant loss", loss_ramp())


def add_color_scale(scene, name: str, ramp: np.ndarray):
    """A colour node of a ramp (n, 3) of RGB colours, for values from 0 to 1 or any other range of a display."""
    colors = scene.AddNewNodeByClass("vtkMRMLProceduralColorNode", name)
    colors.SetAttribute("Category", "JointQuant")
    colors.SetHideFromEditors(False)  # a hidden colour node is not saved
    function = colors.GetColorTransferFunction()
    function.RemoveAllPoints()
    for value, rgb in zip(np.linspace(0.0, 1.0, len(ramp)), ramp, strict=True):
        function.AddRGBPoint(float(value), *(float(c) for c in rgb))
    return colors


def add_loss_legend(scene, loss_map, spacing_known: bool):
    """The colour legend of a loss map."""
    return add_legend(scene, loss_map, LOSS_TITLE if spacing_known else f"{LOSS_TITLE}; {UNKNOWN_SPACING}", "%.1f", 11)


def add_legend(scene, volume, title: str, number_format: str, numbers: int):
    """A colour legend for a volume, drawn in every slice view that shows it, with so many numbers beside it."""
    legend = scene.AddNewNodeByClass("vtkMRMLColorLegendDisplayNode", f"{volume.GetName()} legend")
    legend.SetAndObservePrimaryDisplayNode(volume.GetDisplayNode())
    volume.AddAndObserveDisplayNodeID(legend.GetID())
    legend.SetTitleText(title)
    legend.SetLabelFormat(number_format)
    legend.SetNumberOfLabels(numbers)  # the height of the text follows: the legend's height over the number of labels
    legend.SetSize(0.12, 0.22)
    legend.SetPosition(0.98, 0.04)
    legend.SetMaxNumberOfColors(256)
    for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        text.SetFontFamilyToArial()
        text.SetColor(1.0, 1.0, 1.0)
        text.SetBold(False)
        text.SetItalic(False)
        text.SetShadow(True)
    return legend
