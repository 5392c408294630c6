"""An MR beside the CT of the same knee: aligned bone by bone, and measured at the CT's places."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from JointQuantLib import devices
from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.weights import NoWeights
from SubchondralBoneAnalysisLib.bone_registration.blended_motion import bone_motions, ct_on_mr_grid
from SubchondralBoneAnalysisLib.bone_registration.soft_tissue import SoftTissueMotion, soft_tissue_motion
from SubchondralBoneAnalysisLib.bones import NAMES
from SubchondralBoneAnalysisLib.ct_reading import KneeCt
from SubchondralBoneAnalysisLib.knee_findings import KneeFindings
from SubchondralBoneAnalysisLib.knee_request import KneeRequest
from SubchondralBoneAnalysisLib.mr_comparison import compare
from SubchondralBoneAnalysisLib.mr_findings import MrFindings, OnMr
from SubchondralBoneAnalysisLib.mr_patches import REGISTERED, patches_in_mr, regions_in_mr
from SubchondralBoneAnalysisLib.mr_reading import KneeMr, check_mr_side
from SubchondralBoneAnalysisLib.registration import KneeRegistration, register_knee
from SubchondralBoneAnalysisLib.synthesis import SyntheticCt, synthesize_ct
from SubchondralBoneAnalysisLib.volume import Volume

# Of the two ways to register the better one on simulated pairs is taken (KNEE.md): the MR itself.
LED_BY_SYNTHETIC_CT = False
NOT_ASKED = "it was not asked for (--no-synthesis)"
NO_TORCH = "PyTorch and MONAI are not installed here"
SHOWN_MM = 0.4  # voxels at least, of what is laid on the MR to be looked at
NO_MODEL = "there are no weights for it here"


def examine_mr(
    mr: KneeMr, ct: KneeCt, knees: Sequence[KneeFindings], request: KneeRequest, progress: Progress
) -> MrFindings:
    """Align the MR with the knee of the CT that it shows, and measure it at the places of that knee's patches.

    :param knees: those that were found in the CT, at least one.
    :raises BadInput: the MR shows none of these knees.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "synthetic CT"):
        synthetic, why_no_synthesis = synthetic_ct(mr, request, progress.part(0.0, 0.35))
    with _timed(seconds, "registration"):
        knee, registration = fitting_knee(mr, ct, knees, synthetic, request, progress.part(0.35, 0.75))
    transforms = {name: bone.transform for name, bone in registration.bones.items()}
    verdicts = {name: bone.quality.verdict for name, bone in registration.bones.items()}

    own = ct_of(knee, ct)
    with _timed(seconds, "patches"):
        progress.step(0.75, "Measuring the patches in the MR")
        patches = patches_in_mr(mr, knee.patches, transforms, verdicts, own, knee.labels)
        registered = {name: motion for name, motion in transforms.items() if verdicts[name] == REGISTERED}
        from_bone = [region for region in knee.regions.regions if region.from_surface == "bone"]
        regions = regions_in_mr(mr.volume, knee.regions.labels, from_bone, registered, patches)
    progress.step(0.9, "Laying the CT on the MR, to be looked at")
    with _timed(seconds, "CT on MR"):
        on_mr = laid_on_mr(own, knee.labels, mr.volume, registration)
    soft_tissue = None
    if request.deform:
        progress.step(0.95, "Aligning the soft tissue")
        with _timed(seconds, "soft tissue"):
            on_mr, soft_tissue = with_soft_tissue(on_mr, mr.volume, synthetic)
    warnings = [*registration.warnings, *(synthetic.warnings if synthetic else ())]
    if why_no_synthesis and request.synthesis:
        warnings.append(f"there is no synthetic CT, because {why_no_synthesis}")
    return MrFindings(
        mr=mr,
        side=knee.side,
        registration=registration,
        synthetic=synthetic,
        why_no_synthesis=why_no_synthesis,
        on_mr=on_mr,
        patches=patches,
        regions=regions,
        comparisons=compare(knee.patches, patches.patches, request.seed),
        warnings=warnings,
        seconds=seconds,
        soft_tissue=soft_tissue,
    )


def synthetic_ct(mr: KneeMr, request: KneeRequest, progress: Progress) -> tuple[SyntheticCt | None, str | None]:
    """The synthetic CT, or why there is none."""
    if not request.synthesis:
        return None, NOT_ASKED
    if not devices.torch_available() or importlib.util.find_spec("monai") is None:
        return None, NO_TORCH
    progress.step(0.0, "Making a synthetic CT of the MR")
    try:
        return synthesize_ct(mr.volume, request.device, progress), None
    except NoWeights:
        return None, NO_MODEL


def fitting_knee(
    mr: KneeMr,
    ct: KneeCt,
    knees: Sequence[KneeFindings],
    synthetic: SyntheticCt | None,
    request: KneeRequest,
    progress: Progress,
) -> tuple[KneeFindings, KneeRegistration]:
    """The knee of the CT that the MR shows, and how it lies in it; BadInput where it shows none.

    Of two knees the one that the MR's header names is tried alone; else the one with more bones registered is taken.
    """
    named = [knee for knee in knees if mr.side in (None, knee.side)]
    if not named:
        check_mr_side(mr, knees[0].side, request.mr, knees[0].side_from)
    found, refusals = [], []
    for number, knee in enumerate(named):
        part = progress.part(number / len(named), (number + 1) / len(named))
        part.step(0.0, f"Aligning the MR with the {knee.side} knee")
        volume = synthetic.volume if synthetic is not None and LED_BY_SYNTHETIC_CT else None
        try:
            here, displaced = ct_of(knee, ct), mr.fat_displacement_lps
            found.append((knee, register_knee(here, knee.labels, mr.volume, volume, part, knee.side, displaced)))
        except BadInput as error:
            if len(named) == 1:
                raise BadInput(f"{request.mr}: {error}") from error
            refusals.append(f"{knee.side} knee: {error}")
    if not found:
        raise BadInput(f"{request.mr} fits neither knee of the CT ({' '.join(refusals)}): give the MR of this patient.")
    return max(found, key=lambda pair: registered_bones(pair[1]))


def registered_bones(registration: KneeRegistration) -> tuple[int, float]:
    """How many bones are registered, and how well on the mean."""
    qualities = [bone.quality for bone in registration.bones.values()]
    good = [quality.agreement for quality in qualities if quality.verdict == REGISTERED]
    return len(good), float(np.mean(good)) if good else 0.0


def ct_of(knee: KneeFindings, ct: KneeCt) -> Volume:
    """The part of the CT that shows a knee, on the grid of its labels."""
    return replace(knee.labels, array=ct.volume.array[knee.box], path=ct.volume.path)


def laid_on_mr(ct: Volume, labels: Volume, mr: Volume, registration: KneeRegistration) -> OnMr:
    """CT and bones on the grid of the MR, every bone by its own motion; bones without one go with the knee.

    Of an MR with very small voxels every second or third is taken, which is enough to be looked at.
    """
    stride = tuple(max(1, round(SHOWN_MM / edge)) for edge in mr.spacing_mm)
    grid = replace(
        mr,
        array=mr.array[tuple(slice(None, None, step) for step in stride)],
        spacing_mm=tuple(edge * step for edge, step in zip(mr.spacing_mm, stride, strict=True)),
    )
    transforms = dict.fromkeys(NAMES.values(), registration.knee)
    transforms |= {name: bone.transform for name, bone in registration.bones.items()}
    if "tibia" in registration.bones:
        transforms["fibula"] = transforms["tibia"]
    motions = bone_motions(labels, transforms)
    values, known = ct_on_mr_grid(ct, labels, transforms, grid, motions=motions)
    bones, _ = ct_on_mr_grid(labels, labels, transforms, grid, 0, nearest=True, motions=motions)
    hounsfield = np.clip(np.rint(values.array), -1024, 3071).astype(np.int16)
    return OnMr(replace(values, array=hounsfield), known, replace(bones, array=bones.array.astype(np.uint8)), stride)


def with_soft_tissue(on_mr: OnMr, mr: Volume, synthetic: SyntheticCt | None) -> tuple[OnMr, SoftTissueMotion]:
    """The CT on the MR with its soft tissue deformed; bones stay where they are."""
    seen = mr if synthetic is None else synthetic.volume
    bones = replace(on_mr.bones, array=on_mr.bones.array > 0)
    motion = soft_tissue_motion(on_mr.ct, on_mr.known, bones, seen, synthetic is not None)
    deformed = np.clip(np.rint(motion.applied(on_mr.ct).array), -1024, 3071).astype(np.int16)
    return replace(on_mr, ct=replace(on_mr.ct, array=deformed)), motion


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[what] = round(time.perf_counter() - start, 1)
