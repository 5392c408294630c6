"""Rigid motions of the bones as transform nodes."""

from __future__ import annotations

from JointQuantLib.scene.frames import ras_matrix_to_fixed
from JointQuantLib.scene.result import HandResult


def add_motion(scene, result: HandResult, joint_title: str, bone: str, pair: dict, films: list):
    """The transform that lays a bone of the later film onto that of the earlier one, with both films as references.

    "MCP2 upper visit 2 to visit 1": put the film of visit 2 under it, and this bone comes to lie on that of visit 1.
    """
    import slicer.util

    i, j = pair["from_visit"], pair["to_visit"]
    transform = scene.AddNewNodeByClass(
        "vtkMRMLLinearTransformNode", f"{joint_title} {bone} visit {j + 1} to visit {i + 1}"
    )
    matrix = ras_matrix_to_fixed(pair[f"{bone}_motion"], result.spacing(i), result.spacing(j))
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    transform.AddNodeReferenceID(transform.GetMovingNodeReferenceRole(), films[j].GetID())
    transform.AddNodeReferenceID(transform.GetFixedNodeReferenceRole(), films[i].GetID())
    return transform
