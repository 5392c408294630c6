"""The volumes and transforms of an MR in the result folder of the knee job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from JointQuantLib.knee_folder import (
    AGREEMENT,
    BONES_ON_MR,
    CT_ON_MR,
    MR,
    SOFT_TISSUE,
    SYNTHETIC_CT,
    WHOLE_KNEE,
    transform_file,
)
from SubchondralBoneAnalysisLib.mr_findings import MrFindings
from SubchondralBoneAnalysisLib.volume import write_volume


def write_mr(folder: Path, found: MrFindings) -> None:
    """Write the MR as it was measured, what was laid on it or made of it, and the motions in both directions."""
    grid = found.mr.volume
    write_volume(folder / MR, found.mr.stored, grid)
    write_volume(folder / AGREEMENT, found.registration.agreement.array.astype(np.float32), grid)
    for name, shown in ((CT_ON_MR, found.on_mr.ct), (BONES_ON_MR, found.on_mr.bones)):
        write_volume(folder / name, shown.array, shown)
    if found.synthetic is not None:
        hounsfield = np.clip(np.rint(found.synthetic.volume.array), -1024, 3071).astype(np.int16)
        write_volume(folder / SYNTHETIC_CT, hounsfield, grid)
    if found.soft_tissue is not None:
        field = found.soft_tissue.transform.GetDisplacementField()
        sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), str(folder / SOFT_TISSUE), useCompression=True)
    for name, transform in motions_of(found).items():
        sitk.WriteTransform(transform, str(folder / transform_file(name, "ct_to_mr")))
        sitk.WriteTransform(transform.GetInverse(), str(folder / transform_file(name, "mr_to_ct")))


def motions_of(found: MrFindings) -> dict[str, sitk.Transform]:
    """From CT to MR: of the whole knee, and of each bone."""
    bones = {name: bone.transform for name, bone in found.registration.bones.items()}
    return {WHOLE_KNEE: found.registration.knee} | bones
