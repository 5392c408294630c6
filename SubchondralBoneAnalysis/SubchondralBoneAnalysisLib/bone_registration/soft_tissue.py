"""A small smooth deformation of soft tissue on top of the motions of the bones, for looking at both images together.

What is measured lies in bone, which it leaves as it is: the deformation fades to nothing towards every bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to
from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of, on_grid_of, upright
from SubchondralBoneAnalysisLib.volume import Volume

STEP_MM = 2.0  # of the grid on which the images are compared
SMOOTH_MM = 6.0  # standard deviation, of the field
MOST_MM = 3.0  # of a displacement
FADES_MM = 8.0  # from a bone, up to which the deformation is held back
SOFT_HU = (-200.0, 300.0)  # what is beyond plays no part
BINS = 60
OFTEN = 30  # voxels, below which a HU value has no brightness of its own
ITERATIONS = 60
LEAST_VOXELS = 1000


@dataclass(frozen=True, eq=False)
class SoftTissueMotion:
    """The deformation, and what was gained by it.

    :param transform: takes a place of the MR to the place, near by, where the CT on the grid of the MR (bones moved,
        see `blended_motion`) shows what is there; LPS mm.
    :param similarity_before: correlation in soft tissue of what is seen with what the CT lets expect, as the motions of
        the bones alone have put it; `similarity_after` with the deformation.
    :param largest_mm: the longest displacement.
    """

    transform: sitk.DisplacementFieldTransform
    similarity_before: float
    similarity_after: float
    largest_mm: float

    @property
    def gain(self) -> float:
        """By how much the similarity rose; 0 where nothing helped, and the deformation is none."""
        return self.similarity_after - self.similarity_before

    def applied(self, carried: Volume, outside: float = -1000) -> Volume:
        """A CT on the grid of the MR with its soft tissue deformed, float32."""
        image = sitk.Cast(image_of(carried), sitk.sitkFloat32)
        array = sitk.GetArrayFromImage(sitk.Resample(image, self.transform, sitk.sitkLinear, outside))
        return Volume(array, carried.spacing_mm, carried.origin_lps, carried.direction_lps)


def soft_tissue_motion(carried: Volume, known: Volume, bones: Volume, seen: Volume, is_ct: bool) -> SoftTissueMotion:
    """Find the deformation of soft tissue: demons (Vercauteren et al., NeuroImage 2009;45:S61) with a smooth field.

    Without a synthetic CT each HU is given the mean brightness that it has in the MR first.

    :param carried: the CT on the grid of the MR, of `ct_on_mr_grid`, and where it is `known` (bool).
    :param bones: bool on the same grid, bones as carried.
    :param seen: the synthetic CT on the grid of the MR (`is_ct`), or the MR itself.
    """
    fixed, moving = (_upright(volume) for volume in (seen, carried))
    share_known, bone = (on_grid_of(_number(volume), fixed) for volume in (known, bones))
    soft = (share_known > 0.99) & (bone < 0.01)
    to_bone = distance_to(bone > 0.5, STEP_MM)
    ramp = np.clip((to_bone - 2 * STEP_MM) / FADES_MM, 0, 1)
    expected = np.clip(moving.array, *SOFT_HU)
    shown = np.clip(fixed.array, *SOFT_HU) if is_ct else fixed.array
    compared = soft & (ramp > 0)
    none = _transform(np.zeros((*fixed.array.shape, 3)), fixed)
    if compared.sum() < LEAST_VOXELS:
        return SoftTissueMotion(none, 0.0, 0.0, 0.0)
    if not is_ct:
        expected = _like_mr(expected, shown, compared)
    before = float(np.corrcoef(expected[compared], shown[compared])[0, 1])
    field = _demons(shown, expected, soft, fixed) * ramp[..., None]
    field *= np.minimum(1, MOST_MM / np.maximum(np.linalg.norm(field, axis=-1), 1e-6))[..., None]
    found = _transform(field, fixed)
    moved = sitk.Resample(_image(expected, fixed), found, sitk.sitkLinear, float(expected[compared].mean()))
    after = float(np.corrcoef(sitk.GetArrayViewFromImage(moved)[compared], shown[compared])[0, 1])
    if after <= before:
        return SoftTissueMotion(none, before, before, 0.0)
    return SoftTissueMotion(found, before, after, float(np.linalg.norm(field, axis=-1).max()))


def _upright(volume: Volume) -> Volume:
    return upright(volume, STEP_MM, smoothing_mm=STEP_MM / 2)


def _number(volume: Volume) -> Volume:
    return Volume(volume.array.astype(np.uint8), volume.spacing_mm, volume.origin_lps, volume.direction_lps)


def _image(array: np.ndarray, like: Volume) -> sitk.Image:
    return image_of(Volume(array.astype(np.float32), like.spacing_mm, like.origin_lps, like.direction_lps))


def _like_mr(hu: np.ndarray, mr: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """The CT with the brightness that the MR has, on average, where the CT has that HU."""
    level = np.linspace(*SOFT_HU, BINS)
    bin_of = np.rint((hu - SOFT_HU[0]) / (level[1] - level[0])).astype(int)
    count = np.bincount(bin_of[compared], minlength=BINS)
    total = np.bincount(bin_of[compared], mr[compared], BINS)
    often = count >= OFTEN
    return np.interp(hu, level[often], total[often] / count[often])


def _demons(shown: np.ndarray, expected: np.ndarray, soft: np.ndarray, grid: Volume) -> np.ndarray:
    """Displacements [k, j, i, 3] in mm; there are no forces but in soft tissue."""
    level = expected[soft].mean()
    fixed, moving = (_image(np.where(soft, part, level), grid) for part in (shown, expected))
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(ITERATIONS)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(SMOOTH_MM / STEP_MM)
    return sitk.GetArrayFromImage(demons.Execute(fixed, moving))


def _transform(displacement_mm: np.ndarray, like: Volume) -> sitk.DisplacementFieldTransform:
    image = sitk.GetImageFromArray(np.ascontiguousarray(displacement_mm, np.float64), isVector=True)
    image.CopyInformation(_image(np.zeros(displacement_mm.shape[:3]), like))
    return sitk.DisplacementFieldTransform(image)
