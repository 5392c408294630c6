"""The colours of the loss maps: one fixed scale from 0 to 1 for every map of every pair, and its legend."""

from __future__ import annotations

import numpy as np

from JointQuantLib.loss_colors import FULL_LOSS_MM, STEPS, loss_ramp
from JointQuantLib.scene.volumes import UNKNOWN_SPACING

LOSS_TITLE = f"loss (1: films differ as if {FULL_LOSS_MM:g} mm off or more)"


def add_loss_colors(scene):
    """The colour node that all loss maps share."""
    colors = scene.AddNewNodeByClass("vtkMRMLProceduralColorNode", "JointQuant loss")
    colors.SetAttribute("Category", "JointQuant")
    colors.SetHideFromEditors(False)  # a hidden colour node is not saved
    function = colors.GetColorTransferFunction()
    function.RemoveAllPoints()
    for value, rgb in zip(np.linspace(0.0, 1.0, STEPS + 1), loss_ramp(), strict=True):
        function.AddRGBPoint(float(value), *(float(c) for c in rgb))
    return colors


def add_legend(scene, loss_map, spacing_known: bool):
    """A colour legend for a loss map, drawn in every slice view that shows the map."""
    legend = scene.AddNewNodeByClass("vtkMRMLColorLegendDisplayNode", f"{loss_map.GetName()} legend")
    legend.SetAndObservePrimaryDisplayNode(loss_map.GetDisplayNode())
    loss_map.AddAndObserveDisplayNodeID(legend.GetID())
    legend.SetTitleText(LOSS_TITLE if spacing_known else f"{LOSS_TITLE}; {UNKNOWN_SPACING}")
    legend.SetLabelFormat("%.1f")
    legend.SetNumberOfLabels(11)  # the height of the text follows: the legend's height over the number of labels
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
