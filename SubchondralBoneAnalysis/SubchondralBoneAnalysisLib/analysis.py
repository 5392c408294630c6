"""The whole knee job: a CT of one or both knees in, with an MR or without; result folder out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.bone_finding.legs import Leg, legs_in
from SubchondralBoneAnalysisLib.bones import KneeBones, find_bones
from SubchondralBoneAnalysisLib.ct_reading import BoneLabels, KneeCt, read_bone_labels, read_ct
from SubchondralBoneAnalysisLib.ct_resolution import CtResolution, ct_resolution
from SubchondralBoneAnalysisLib.knee_findings import KneeFindings
from SubchondralBoneAnalysisLib.knee_image import KneeImage
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.knee_result import knee_result, write_knee_result
from SubchondralBoneAnalysisLib.knee_side import Side, side_of_bones, side_of_knee
from SubchondralBoneAnalysisLib.knee_volumes import write_models, write_volumes
from SubchondralBoneAnalysisLib.mr_examination import examine_mr
from SubchondralBoneAnalysisLib.mr_reading import read_mr
from SubchondralBoneAnalysisLib.mr_volumes import write_mr
from SubchondralBoneAnalysisLib.one_knee import bones_from_labels, check_joint, examine_knee
from SubchondralBoneAnalysisLib.volume import Volume

__all__ = ["KneeRequest", "analyse_knee"]


def analyse_knee(request: KneeRequest, folder: Path, progress: Progress) -> dict:
    """Find the bones and subchondral regions of the knees in a CT, measure them, and write all into `folder`.

    An MR of one of them is aligned to it bone by bone, and measured at the places of the CT's patches. Returns the
    content of result.json (``knee_result.schema.json``; lengths in mm, places in LPS). Raises BadInput for what is no
    CT of a knee, or bones or an MR that do not fit it; Cancelled when the user stops the job.
    """
    progress.step(0.0, "Reading the CT")
    ct = read_ct(request.ct)
    mr = read_mr(request.mr) if request.mr else None
    progress.step(0.05, "Estimating the noise and the blur of the CT")
    resolution = ct_resolution(ct.volume, ct.metal)
    drawn = read_bone_labels(request.bones, ct.volume, request.bone_names) if request.bones else None
    legs = wanted_legs(ct, request)

    knees, warnings = [], [*ct.warnings, *(drawn.warnings if drawn else ())]
    share = (0.3 if mr else 0.7) / len(legs)
    for number, leg in enumerate(legs):
        part = progress.part(0.1 + share * number, 0.1 + share * (number + 1))
        try:
            knees.append(knee_of_leg(ct, leg, drawn, resolution, request, part))
        except BadInput as error:
            # One knee that cannot be analysed does not take the other with it.
            if len(legs) == 1:
                raise
            warnings.append(
                f"the knee on the patient's {leg.side_in_image} is left out: {without_folders(error, request)}"
            )
    if not knees:
        raise BadInput(f"{request.ct} shows no knee that could be analysed: {' '.join(warnings)}")
    knees = in_order(knees, request)
    with_mr = examine_mr(mr, ct, knees, request, progress.part(0.4, 0.8)) if mr else None

    progress.step(0.8, "Writing the volumes")
    write_volumes(folder, ct, knees)
    write_models(folder, knees)
    if with_mr:
        write_mr(folder, with_mr)
    progress.step(0.98, "Writing the numbers")
    result = knee_result(request, ct, drawn, resolution, knees, warnings, with_mr)
    write_knee_result(folder, result, knees, with_mr)
    return result


def without_folders(error: BadInput, request: KneeRequest) -> str:
    """What an error says, with the names of the inputs alone: a folder may be named after a patient."""
    said = str(error)
    for path in (request.ct, request.bones, request.mr):
        if path is not None and len(Path(path).parts) > 1:
            said = said.replace(str(path), Path(path).name)
    return said


def wanted_legs(ct: KneeCt, request: KneeRequest) -> list[Leg]:
    """The legs of a CT; with `side`, of two legs the one that lies on that side of the image."""
    legs = legs_in(ct.volume)
    if request.side is None or len(legs) == 1:
        return legs
    return [leg for leg in legs if leg.side_in_image == request.side]


def knee_of_leg(
    ct: KneeCt, leg: Leg, drawn: BoneLabels | None, resolution: CtResolution, request: KneeRequest, progress: Progress
) -> KneeFindings:
    """What is found of the knee of one leg."""
    progress.step(0.0, "Finding the bones")
    if drawn is None:
        bones = find_bones(leg.volume, None if ct.implants is None else ct.implants[leg.box])
    else:
        bones = bones_from_labels(labels_of_leg(drawn.labels, ct.volume, leg))
    check_joint(bones, request.ct if drawn is None else request.bones, drawn is not None)
    side = known_side(bones, ct, leg, request)
    unusable = None if ct.metal is None else ct.metal[leg.box]
    image = KneeImage(leg.volume, unusable, leg.box, resolution)
    return examine_knee(image, bones, side, leg.warnings, request, progress.part(0.5, 1.0))


def labels_of_leg(labels: Volume, ct: Volume, leg: Leg) -> Volume:
    """The labels of a CT that are of one leg: in its box, and not where the other leg was taken out of it."""
    own = leg.volume.array == ct.array[leg.box]
    return replace(leg.volume, array=np.where(own, labels.array[leg.box], 0).astype(np.uint8), path=labels.path)


def known_side(bones: KneeBones, ct: KneeCt, leg: Leg, request: KneeRequest) -> Side:
    """Which knee of the body it is; BadInput where nothing tells."""
    side = side_of_knee(bones.side or side_of_bones(bones.labels), leg.side_in_image, ct.side, request.side)
    if side.side is None:
        raise BadInput(
            f"{request.ct} shows a knee without its fibula, so that nothing tells which knee it is: add --side left or "
            "--side right."
        )
    return side


def in_order(knees: list[KneeFindings], request: KneeRequest) -> list[KneeFindings]:
    """The knees, the right one first; BadInput where two are of the same side."""
    sides = [knee.side for knee in knees]
    if len(set(sides)) < len(sides):
        raise BadInput(
            f"{request.ct} shows two {sides[0]} knees by what tells their sides: give one of them alone, and check "
            "that the image is of one patient."
        )
    return sorted(knees, key=lambda knee: knee.side != "right")
