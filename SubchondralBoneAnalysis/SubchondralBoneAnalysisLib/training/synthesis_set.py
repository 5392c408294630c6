"""The participants of a cohort as slices to learn the synthetic CT from.

Paired: the CT is carried onto the slices of the MR, every bone by its own transform, and averaged over the thickness of
a slice, for the MR shows no more of it. Unpaired: MR and CT each on slices of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter1d

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.bone_registration.blended_motion import BoneMotions, bone_motions, ct_on_mr_grid
from SubchondralBoneAnalysisLib.cohort_folder import BONES, Participant
from SubchondralBoneAnalysisLib.ct_synthesis.normalisation import relative_signal
from SubchondralBoneAnalysisLib.ct_synthesis.slices import to_slices
from SubchondralBoneAnalysisLib.training.knee_slices import UNKNOWN, KneeSlices, read_slices, write_slices
from SubchondralBoneAnalysisLib.volume import Volume, grid_difference, read_volume

MOVED = ("femur", "tibia", "patella", "fibula")
WITHIN_SLICE_MM = 1.0  # between the places over which the CT is averaged across a slice
LOWEST_HU, HIGHEST_HU = -1000, 2000
CT_STEP_MM = 1.0  # of the slices of a CT that has no MR
CT_SPREAD_MM = 0.5  # standard deviation across them: thinner slices are noisier than what an MR is to become

Said = Callable[[float], None]


def paired_knees(participants: Sequence[Participant], keep: Path, said: Said) -> list[KneeSlices]:
    """MR and CT of each participant on the same slices, cut once into folders of `keep`.

    :raises BadInput: one lacks its MR, its bones or a transform, or they cannot be read; or there are none.
    """
    return _all(participants, keep / "paired", _paired, said)


def unpaired_knees(
    participants: Sequence[Participant], keep: Path, said: Said
) -> tuple[list[KneeSlices], list[KneeSlices]]:
    """The MR of those that have one and the CT of those that have one.

    :raises BadInput: there is no MR or no CT among them, or one cannot be read.
    """
    with_mr = [one for one in participants if one.mr is not None]
    with_ct = [one for one in participants if _has_ct(one)]
    if not (with_mr and with_ct):
        raise BadInput("the cohort has no MR or no CT to learn from: give participants of the split train both.")
    mr = _all(with_mr, keep / "mr", _mr_alone, lambda done: said(done / 2))
    return mr, _all(with_ct, keep / "ct", _ct_alone, lambda done: said((1 + done) / 2))


def _has_ct(one: Participant) -> bool:
    try:
        return bool(one.ct)
    except BadInput:
        return False


def _all(
    participants: Sequence[Participant], keep: Path, cut: Callable[[Participant], KneeSlices], said: Said
) -> list[KneeSlices]:
    knees = []
    for number, one in enumerate(participants):
        said(number / len(participants))
        folder = keep / one.name
        if not folder.is_dir():
            write_slices(folder, cut(one))
        knees.append(read_slices(folder))
    return knees


def _paired(one: Participant) -> KneeSlices:
    if one.mr is None:
        raise BadInput(f"{one.folder} holds no MR: name it mr.nrrd, or leave the participant out of participants.csv.")
    ct, labels = read_volume(one.ct), _bones(one)
    slices = to_slices(read_volume(one.mr))
    transforms = _transforms(one)
    motions = bone_motions(labels, transforms)
    bone, _ = ct_on_mr_grid(labels, labels, transforms, slices, outside=0, nearest=True, motions=motions)
    hu, known = _carried(ct, labels, transforms, slices, motions)
    hu = np.where(known, np.clip(np.round(hu), LOWEST_HU, HIGHEST_HU), UNKNOWN).astype(np.int16)
    relative = relative_signal(slices).astype(np.float16)
    return KneeSlices(relative, hu, (bone.array > 0).astype(np.uint8), slices.spacing_mm[0])


def _carried(
    ct: Volume, labels: Volume, transforms: Mapping[str, sitk.Transform], slices: Volume, motions: BoneMotions
) -> tuple[np.ndarray, np.ndarray]:
    """HU averaged over the thickness of each slice, and where all of that is known."""
    parts = max(1, round(slices.spacing_mm[0] / WITHIN_SLICE_MM))
    step = np.reshape(slices.direction_lps, (3, 3))[:, 2] * slices.spacing_mm[0] / parts
    origin = slices.origin_lps - step * (parts - 1) / 2
    shape = (len(slices.array) * parts, *slices.array.shape[1:])
    fine = replace(
        slices,
        array=np.broadcast_to(np.float32(0), shape),
        spacing_mm=(slices.spacing_mm[0] / parts, *slices.spacing_mm[1:]),
        origin_lps=tuple(origin.tolist()),
    )
    hu, known = ct_on_mr_grid(ct, labels, transforms, fine, motions=motions)
    grouped = (len(slices.array), parts, *slices.array.shape[1:])
    return hu.array.reshape(grouped).mean(1), known.array.reshape(grouped).all(1)


def _bones(one: Participant) -> Volume:
    path = one.folder / BONES
    if not path.is_file():
        raise BadInput(
            f"{path} is missing, and the bones do not move alike: put there the bones.nrrd of the knee job, or train "
            "with --unpaired."
        )
    labels, ct = read_volume(path), read_volume(one.ct)
    difference = grid_difference(labels, ct)
    if difference is not None:
        raise BadInput(f"{path} is not on the grid of the CT ({difference}): give the bones of this CT.")
    return labels


def _transforms(one: Participant) -> dict[str, sitk.Transform]:
    paths = {bone: one.transform(bone) for bone in MOVED}
    found = {bone: _read_transform(path) for bone, path in paths.items() if path is not None}
    if not found:
        raise BadInput(
            f"{one.folder} holds no transform from CT to MR (ct_to_mr_femur.tfm and so on, or ct_to_mr.tfm): register "
            "the knee first (jointquant knee CT --mr MR), or train with --unpaired."
        )
    return found


def _read_transform(path: Path) -> sitk.Transform:
    try:
        return sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise BadInput(f"{path} is no transform that can be read: write it anew.") from error


def _mr_alone(one: Participant) -> KneeSlices:
    slices = to_slices(read_volume(one.mr))
    return KneeSlices(relative_signal(slices).astype(np.float16), None, None, slices.spacing_mm[0])


def _ct_alone(one: Participant) -> KneeSlices:
    slices = to_slices(read_volume(one.ct))
    smooth = gaussian_filter1d(slices.array, CT_SPREAD_MM / slices.spacing_mm[0], axis=0)
    hu = np.clip(np.round(smooth), LOWEST_HU, HIGHEST_HU).astype(np.int16)
    return KneeSlices(None, hu, None, slices.spacing_mm[0])
