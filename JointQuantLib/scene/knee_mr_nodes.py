"""An MR as nodes: itself under the motion that lays it on the CT, what was made of it, and all motions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from JointQuantLib.knee_colors import agreement_ramp, synthetic_ramp
from JointQuantLib.knee_folder import AGREEMENT, CT_ON_MR, MR, SYNTHETIC_CT, WHOLE_KNEE, KneeFolder
from JointQuantLib.scene.colors import add_color_scale, add_legend
from JointQuantLib.scene.folders import Folders
from JointQuantLib.scene.frames import ras_from_lps_motion
from JointQuantLib.scene.knee_volumes import LEVEL_HU, WINDOW_HU, add_volume

FOLDER = "MR"
SYNTHETIC_NAME = "Synthetic CT (from MR, for alignment only; not measured)"
AGREEMENT_NAME = "Agreement of CT and MR (0 to 1)"
CHECKERBOARD_NAME = "Checkerboard of CT and MR (to look at; not measured)"
CHECKERBOARD_MM = 12.0
BRIGHTEST = 99.7  # percentile of the MR that is white
UNKNOWN = -1.0  # in place of NaN, which a slice view cannot show


@dataclass
class MrNodes:
    """The nodes of an MR; what the folder does not hold is None."""

    mr: object
    transforms: dict[str, object] = field(default_factory=dict)  # MR to CT, by bone and WHOLE_KNEE
    synthetic: object = None
    agreement: object = None
    checkerboard: object = None


def add_mr_nodes(scene, result: KneeFolder, ct, folders: Folders) -> MrNodes | None:
    """Add the MR of a result to a scene, laid on the CT by the motion of the whole knee; None where it has none.

    Transform nodes go from the MR to the CT: put the MR under that of a bone, and this bone lies exactly on the CT's.
    """
    values = result.mr_array(MR)
    if values is None:
        return None
    grid = result.mr["image"]
    nodes = MrNodes(add_volume(scene, result, values, f"MR {result.mr_name}", grid))
    display = nodes.mr.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.SetWindowLevelMinMax(0.0, float(np.percentile(values, BRIGHTEST)))
    folders.put(nodes.mr, FOLDER)
    for name, motion in result.mr["transforms"].items():
        nodes.transforms[name] = add_motion(scene, name, motion["mr_to_ct"], nodes.mr, ct)
        folders.put(nodes.transforms[name], FOLDER, "Motions")
    nodes.synthetic = add_synthetic(scene, result, grid)
    nodes.agreement = add_agreement(scene, result, grid)
    nodes.checkerboard = add_checkerboard(scene, result)
    for node in (nodes.mr, nodes.synthetic, nodes.agreement, nodes.checkerboard):
        if node is not None:
            node.SetAndObserveTransformNodeID(nodes.transforms[WHOLE_KNEE].GetID())
            folders.put(node, FOLDER)
    return nodes


def add_motion(scene, name: str, mr_to_ct: list, mr, ct):
    """The rigid motion of a bone or the whole knee from the MR to the CT, with both volumes as references."""
    import slicer.util

    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"MR to CT, {name.replace('knee', 'whole knee')}")
    slicer.util.updateTransformMatrixFromArray(transform, ras_from_lps_motion(np.array(mr_to_ct)))
    transform.AddNodeReferenceID(transform.GetMovingNodeReferenceRole(), mr.GetID())
    transform.AddNodeReferenceID(transform.GetFixedNodeReferenceRole(), ct.GetID())
    return transform


def add_synthetic(scene, result: KneeFolder, grid: dict):
    """The synthetic CT in a colour of its own, so that nobody takes it for a CT; None where there is none."""
    values = result.mr_array(SYNTHETIC_CT)
    if values is None:
        return None
    volume = add_volume(scene, result, values, SYNTHETIC_NAME, grid)
    volume.SetDescription(f"{result.mr['synthetic_ct']['model']}; {result.mr['synthetic_ct']['note']}")
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(add_color_scale(scene, "JointQuant synthetic CT", synthetic_ramp()).GetID())
    display.SetWindowLevel(WINDOW_HU, LEVEL_HU)
    return volume


def add_agreement(scene, result: KneeFolder, grid: dict):
    """The map of local agreement with its legend, transparent where it is not known; None where there is none."""
    values = result.mr_array(AGREEMENT)
    if values is None or not np.isfinite(values).any():
        return None
    volume = add_volume(scene, result, np.where(np.isfinite(values), values, UNKNOWN), AGREEMENT_NAME, grid)
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(add_color_scale(scene, "JointQuant agreement", agreement_ramp()).GetID())
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetThreshold(UNKNOWN / 2, 2.0)
    display.ApplyThresholdOn()
    display.SetInterpolate(False)  # between a value and UNKNOWN lie values that were never found
    add_legend(scene, volume, "agreement\nof CT, MR", "%.1f", 6)
    return volume


def add_checkerboard(scene, result: KneeFolder):
    """CT and MR in turn in cubes, each in its own window, as 0 to 255; None where the CT is not on the MR."""
    ct, mr = result.shown_on_mr(CT_ON_MR), result.shown_on_mr(MR)
    if ct is None or mr is None:
        return None
    grid = result.mr["shown"]
    size = [np.arange(n) * step // CHECKERBOARD_MM for n, step in zip(ct.shape, grid["spacing_mm_kji"], strict=True)]
    odd = (size[0][:, None, None] + size[1][:, None] + size[2]) % 2 > 0
    white = float(np.percentile(mr, BRIGHTEST)) or 1.0
    of_ct = np.clip((ct - (LEVEL_HU - WINDOW_HU / 2)) / WINDOW_HU, 0, 1)
    values = np.where(odd, np.clip(mr / white, 0, 1), of_ct)
    volume = add_volume(scene, result, np.round(255 * values).astype(np.uint8), CHECKERBOARD_NAME, grid)
    volume.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    volume.GetDisplayNode().SetWindowLevelMinMax(0.0, 255.0)
    return volume
