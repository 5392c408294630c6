"""The colours of the loss maps: one fixed scale from 0 to 1 for every map of every pair, and its legend."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.volumes import UNKNOWN_SPACING

LOSS_TITLE = "loss (1 - local correlation)"
STEPS = 16


def loss_ramp(steps: int = STEPS) -> np.ndarray:
    """(steps + 1, 3) RGB colours, 0..1, from blue over purple and orange to yellow.

    Lightness rises evenly and neighbours are equally far apart in Oklab (B. Ottosson, 2020), so equal differences of
    loss look equal; blue to yellow with rising lightness also reads with a red-green colour deficiency.
    """
    fine = np.linspace(0.0, 1.0, 2001)
    lightness = 0.42 + 0.50 * fine
    hue = np.deg2rad(275 + 190 * fine)  # blue, purple, red, orange, yellow
    chroma = 0.16 + 0.03 * np.cos(2 * np.pi * (fine - 0.3))  # stays within what a screen can show
    path = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.interp(np.linspace(0.0, length[-1], steps + 1), length, fine)
    return srgb_from_oklab(np.stack([np.interp(even, fine, column) for column in path.T], axis=1))


def srgb_from_oklab(oklab: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB colours, clipped to 0..1, of (n, 3) Oklab colours (matrices of B. Ottosson, 2020)."""
    cone_roots = (
        oklab
        @ np.array(
            [
                [1.0, 0.3963377774, 0.2158037573],
                [1.0, -0.1055613458, -0.0638541728],
                [1.0, -0.0894841775, -1.2914855480],
            ]
        ).T
    )
    linear = (
        cone_roots**3
        @ np.array(
            [
                [4.0767416621, -3.3077115913, 0.2309699292],
                [-1.2684380046, 2.6097574011, -0.3413193965],
                [-0.0041960863, -0.7034186147, 1.7076147010],
            ]
        ).T
    )
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


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
