"""Bones, axes and widths of the joints as locked markups over a film."""

from __future__ import annotations

import numpy as np

from JointQuantLib.scene.frames import ras_points
from JointQuantLib.scene.result import HandResult, outlines_of

UPPER_COLOR = (0.34, 0.78, 1.0)
LOWER_COLOR = (0.35, 0.95, 0.65)
AXIS_COLOR = (1.0, 1.0, 1.0)
WIDTH_COLOR = (1.0, 0.85, 0.30)
VERDICT_COLORS = {"measured": (1.0, 1.0, 1.0), "doubtful": (1.0, 0.80, 0.35), "not_measurable": (1.0, 0.60, 0.80)}
VERDICT_MARKS = {"measured": "", "doubtful": " ?", "not_measurable": " x"}


def add_outlines(scene, result: HandResult, joint: dict, visit: int) -> dict[str, object]:
    """Closed curves around the two bones of a joint: "upper", "lower" -> node; none where the result has no outline."""
    curves = {}
    for bone, polygon in outlines_of(joint, visit).items():
        curve = scene.AddNewNodeByClass(
            "vtkMRMLMarkupsClosedCurveNode", f"{result.title(joint)} {bone} {result.visit_title(visit)}"
        )
        curve.SetCurveTypeToLinear()
        _set_points(curve, ras_points(polygon, result.spacing(visit)))
        display = _lock(curve, UPPER_COLOR if bone == "upper" else LOWER_COLOR)
        display.SetPropertiesLabelVisibility(False)
        display.SetGlyphScale(1.0)
        display.SetLineThickness(0.45)
        _hide_points(curve)
        _no_length(curve)
        curves[bone] = curve
    return curves


def add_axis(scene, result: HandResult, joint: dict, visit: int):
    """The joint axis as a line from the lower to the upper bone, through the joint origin at its middle point."""
    here = joint["visits"][visit]
    origin, axis = np.array(here["position_px"]), np.array(here["axis"])
    reach = axis_reach(joint, visit)
    line = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", f"{result.title(joint)} axis {result.visit_title(visit)}")
    line.SetDescription("Joint axis, from the lower (proximal) to the upper (distal) bone")
    _set_points(line, ras_points([origin - reach * axis, origin + reach * axis], result.spacing(visit)))
    display = _lock(line, AXIS_COLOR)
    display.SetPropertiesLabelVisibility(False)
    display.SetGlyphScale(1.0)
    display.SetLineThickness(0.3)
    _hide_points(line)
    _no_length(line)
    return line


def add_width(scene, result: HandResult, joint: dict, visit: int):
    """The joint space width as a line along the axis, centred on the origin; its name holds the number and its unit."""
    here = joint["visits"][visit]
    if here.get("width_px") is None:
        return None
    origin, axis, width = np.array(here["position_px"]), np.array(here["axis"]), here["width_px"]
    known = here.get("width_mm") is not None and result.spacing_is_known(visit)
    text = f"{here['width_mm']:.2f} mm" if known else f"{width:.1f} px"
    line = scene.AddNewNodeByClass(
        "vtkMRMLMarkupsLineNode", f"{result.title(joint)} width {text} {result.visit_title(visit)}"
    )
    _set_points(line, ras_points([origin - width / 2 * axis, origin + width / 2 * axis], result.spacing(visit)))
    display = _lock(line, WIDTH_COLOR)
    display.SetGlyphScale(1.0)
    display.SetPropertiesLabelVisibility(True)
    _no_length(line)  # the name holds the width with its own unit
    return line


def add_origin(scene, result: HandResult, joint: dict, visit: int):
    """The joint origin: the middle of the joint space, on the axis."""
    here = joint["visits"][visit]
    point = scene.AddNewNodeByClass(
        "vtkMRMLMarkupsFiducialNode", f"{result.title(joint)} origin {result.visit_title(visit)}"
    )
    _set_points(point, ras_points([here["position_px"]], result.spacing(visit)))
    display = _lock(point, AXIS_COLOR)
    display.SetGlyphTypeFromString("Cross2D")
    display.SetGlyphScale(3.0)
    display.SetPointLabelsVisibility(False)
    return point


def add_names(scene, name: str, texts: list[str], places: np.ndarray, spacing: float, verdict: str = "measured"):
    """Texts beside joints, at (n, 2) pixel positions of their left lower corners; None where there are no texts."""
    if not texts:
        return None
    names = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for position, text in zip(ras_points(places, spacing), texts, strict=True):
        names.AddControlPoint(*(float(c) for c in position), text)
    display = _lock(names, VERDICT_COLORS[verdict])
    display.SetGlyphScale(0.1)
    display.SetTextScale(2.6)
    display.SetPointLabelsVisibility(True)
    text_property = display.GetTextProperty()
    text_property.SetBold(True)
    text_property.SetItalic(False)
    text_property.SetBackgroundColor(0.0, 0.0, 0.0)
    text_property.SetBackgroundOpacity(0.45)  # readable on bright bone too
    return names


def axis_reach(joint: dict, visit: int) -> float:
    """Half length in pixels at which the axis is drawn: about as far as the outlines reach."""
    here = joint["visits"][visit]
    origin, axis = np.array(here["position_px"]), np.array(here["axis"])
    along = [abs((polygon - origin) @ axis).max() for polygon in outlines_of(joint, visit).values()]
    return float(max(along, default=40.0))


def _set_points(markup, positions: np.ndarray) -> None:
    import slicer.util

    slicer.util.updateMarkupsControlPointsFromArray(markup, positions)
    markup.SetFixedNumberOfControlPoints(True)


def _lock(markup, color):
    """Lock a markup against the mouse and give it one colour; returns its display node."""
    markup.SetLocked(True)
    markup.CreateDefaultDisplayNodes()
    display = markup.GetDisplayNode()
    for set_color in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
        set_color(*color)
    display.SetHandlesInteractive(False)
    display.SetOccludedVisibility(False)
    display.SetSnapMode(display.SnapModeUnconstrained)
    return display


def _hide_points(markup) -> None:
    """Draw the line without the glyphs of its control points."""
    for k in range(markup.GetNumberOfControlPoints()):
        markup.SetNthControlPointVisibility(k, False)


def _no_length(markup) -> None:
    """Switch the built-in length off: it would say mm also where the spacing is unknown."""
    for k in range(markup.GetNumberOfMeasurements()):
        markup.GetNthMeasurement(k).SetEnabled(False)
