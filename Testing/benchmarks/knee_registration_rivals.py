"""Mutual information as the free libraries give it: the whole knee first, then each bone with a mask of its own.

The CT is fixed, so that the transform takes its places to those of the MR; masks are the bones that the knee job finds
in the CT, made wider. Settings were chosen on cohorts of validation, not on the pairs that are reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from knee_registration_truth import NUMBERS, carried, motion_of
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.knee_grid import image_of
from SubchondralBoneAnalysisLib.volume import Volume

HU_WINDOW = (-200.0, 1200.0)  # more bins for what MR shows too
WIDER_MM = 8.0  # of a mask: the edge of the bone from both sides
LEAST_VOXELS = 500  # of a bone in the CT
COARSE_MM = 1.2  # of voxels for the whole knee
BEYOND_MM = 15.0  # of a bone, as far as the step after the whole knee may move it
SEED = 121212

Motions = dict[str, np.ndarray]


@dataclass(frozen=True)
class SimpleItkSettings:
    """Mattes mutual information: along its gradient for the whole knee, by Powell's method for a bone.

    Gradient steps ended at 0.02 to 0.04 less mutual information than Powell's method finds for a bone.
    """

    bins: int = 32
    knee_shrink: tuple[int, ...] = (3, 2)
    knee_smooth_mm: tuple[float, ...] = (4.0, 2.0)
    knee_samples: float = 0.15
    knee_step_mm: float = 4.0
    knee_least_step_mm: float = 0.002
    knee_relaxation: float = 0.7
    knee_iterations: int = 200
    bone_shrink: tuple[int, ...] = (4, 2)
    bone_smooth_mm: tuple[float, ...] = (1.0, 0.5)  # wider ones lose bones of thick slices
    bone_samples: tuple[float, ...] = (0.2, 0.08)
    bone_rounds: int = 4
    bone_line_steps: int = 20
    bone_step_mm: float = 1.0
    bone_tolerance_mm: float = 0.02
    mm_per_radian: float = 50.0  # how far a turn moves the ends of a bone


def simpleitk_motions(
    ct: Volume, labels: Volume, mr: Volume, settings: SimpleItkSettings | None = None
) -> tuple[np.ndarray, Motions]:
    """Motion of the whole knee and of each bone, [4, 4], by SimpleITK's Mattes mutual information."""
    settings = settings or SimpleItkSettings()
    fixed, moving = _prepared(ct), sitk.Cast(image_of(mr), sitk.sitkFloat32)
    knee = _simpleitk_knee(_coarse(fixed), _coarse(moving), settings)
    bones = {}
    for bone, part, mask in bone_parts(fixed, labels):
        start = sitk.Euler3DTransform()
        start.SetCenter(_middle(mask))
        _set(start, knee)
        method = _method(settings)
        method.SetOptimizerAsPowell(
            settings.bone_rounds,
            settings.bone_line_steps,
            settings.bone_step_mm,
            settings.bone_tolerance_mm,
            valueTolerance=1e-4,
        )
        method.SetOptimizerScales([settings.mm_per_radian] * 3 + [1.0] * 3)
        method.SetMetricFixedMask(mask)
        method.SetMetricSamplingPercentagePerLevel(list(settings.bone_samples), SEED)
        method.SetShrinkFactorsPerLevel(list(settings.bone_shrink))
        method.SetSmoothingSigmasPerLevel(list(settings.bone_smooth_mm))
        method.SetInitialTransform(start, inPlace=True)
        method.Execute(part, _near(moving, mask, knee))
        bones[bone] = motion_of(start)
    return knee, bones


def _simpleitk_knee(fixed: sitk.Image, moving: sitk.Image, settings: SimpleItkSettings) -> np.ndarray:
    """The better by mutual information of two starts: middles of the images, and of their grey values, together."""
    tried = []
    for start_at in (
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
        sitk.CenteredTransformInitializerFilter.MOMENTS,
    ):
        start = sitk.Euler3DTransform(
            sitk.CenteredTransformInitializer(_positive(fixed), moving, sitk.Euler3DTransform(), start_at)
        )
        method = _method(settings)
        method.SetOptimizerAsRegularStepGradientDescent(
            settings.knee_step_mm,
            settings.knee_least_step_mm,
            settings.knee_iterations,
            settings.knee_relaxation,
            gradientMagnitudeTolerance=1e-7,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetMetricSamplingPercentage(settings.knee_samples, SEED)
        method.SetShrinkFactorsPerLevel(list(settings.knee_shrink))
        method.SetSmoothingSigmasPerLevel(list(settings.knee_smooth_mm))
        method.SetInitialTransform(start, inPlace=True)
        method.Execute(fixed, moving)
        tried.append((method.GetMetricValue(), motion_of(start)))
    return min(tried, key=lambda found: found[0])[1]


def _method(settings: SimpleItkSettings) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(settings.bins)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetInterpolator(sitk.sitkLinear)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


@dataclass(frozen=True)
class ElastixSettings:
    """Of the whole knee and of a bone: adaptive stochastic gradient descent on Mattes mutual information."""

    bins: int = 32
    samples: int = 3000
    knee_iterations: int = 256
    knee_resolutions: int = 4
    bone_iterations: int = 350
    bone_resolutions: int = 2  # more lose bones of thick slices
    interpolator: str = "LinearInterpolator"


def elastix_motions(
    ct: Volume, labels: Volume, mr: Volume, settings: ElastixSettings | None = None
) -> tuple[np.ndarray, Motions]:
    """Motion of the whole knee and of each bone, [4, 4], by elastix."""
    settings = settings or ElastixSettings()
    fixed, moving = _prepared(ct), sitk.Cast(image_of(mr), sitk.sitkFloat32)
    knee = _elastix(_coarse(fixed), None, _coarse(moving), settings)
    bones = {}
    for bone, part, mask in bone_parts(fixed, labels):
        # The MR is laid onto the CT by its header: elastix starts from there.
        brought = _moved(_near(moving, mask, knee), np.linalg.inv(knee))
        bones[bone] = knee @ _elastix(part, mask, brought, settings)
    return knee, bones


def _elastix(fixed: sitk.Image, mask: sitk.Image | None, moving: sitk.Image, settings: ElastixSettings) -> np.ndarray:
    """From the start that the headers give to a bone, from the middles of the images to the whole knee."""
    import itk

    knee = mask is None

    parameters = itk.ParameterObject.New()
    resolutions, iterations = (
        (settings.knee_resolutions, settings.knee_iterations)
        if knee
        else (settings.bone_resolutions, settings.bone_iterations)
    )
    chosen = parameters.GetDefaultParameterMap("rigid", resolutions)
    chosen["Transform"] = ["EulerTransform"]
    chosen["Metric"] = ["AdvancedMattesMutualInformation"]
    chosen["NumberOfHistogramBins"] = [str(settings.bins)]
    chosen["Interpolator"] = [settings.interpolator]
    chosen["ImageSampler"] = ["RandomCoordinate"]
    chosen["NewSamplesEveryIteration"] = ["true"]
    chosen["NumberOfSpatialSamples"] = [str(settings.samples)]
    chosen["MaximumNumberOfIterations"] = [str(iterations)]
    chosen["AutomaticTransformInitialization"] = ["true" if knee else "false"]
    chosen["AutomaticTransformInitializationMethod"] = ["GeometricalCenter"]
    chosen["AutomaticScalesEstimation"] = ["true"]
    chosen["RandomSeed"] = [str(SEED)]
    chosen["WriteResultImage"] = ["false"]
    parameters.AddParameterMap(chosen)
    more = {} if mask is None else {"fixed_mask": _itk(mask)}
    _, result = itk.elastix_registration_method(
        _itk(fixed), _itk(moving), parameter_object=parameters, log_to_console=False, **more
    )
    found = result.GetParameterMap(0)
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(value) for value in found["CenterOfRotationPoint"]])
    transform.SetComputeZYX(found["ComputeZYX"][0] == "true")
    transform.SetParameters([float(value) for value in found["TransformParameters"]])
    return motion_of(transform)


def _itk(image: sitk.Image):
    """The same image for ITK's own Python."""
    import itk

    same = itk.image_from_array(sitk.GetArrayFromImage(image))
    same.SetSpacing(image.GetSpacing())
    same.SetOrigin(image.GetOrigin())
    same.SetDirection(itk.matrix_from_array(np.reshape(image.GetDirection(), (3, 3))))
    return same


def _prepared(ct: Volume) -> sitk.Image:
    return sitk.Clamp(sitk.Cast(image_of(ct), sitk.sitkFloat32), sitk.sitkFloat32, *HU_WINDOW)


def _coarse(image: sitk.Image) -> sitk.Image:
    """Blocks of voxels averaged to about `COARSE_MM`, for the whole knee."""
    return sitk.BinShrink(image, [max(1, int(COARSE_MM / step)) for step in image.GetSpacing()])


def _near(moving: sitk.Image, mask: sitk.Image, motion: np.ndarray) -> sitk.Image:
    """The part of the MR where the mask comes to lie, and `BEYOND_MM` more."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in mask.GetSize()])).reshape(3, -1).T
    places = carried(np.array([mask.TransformIndexToPhysicalPoint(end.tolist()) for end in ends]), motion)
    index = np.array([moving.TransformPhysicalPointToContinuousIndex(place.tolist()) for place in places])
    beyond = BEYOND_MM / np.array(moving.GetSpacing())
    first = np.clip(np.floor(index.min(axis=0) - beyond), 0, None).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0) + beyond), np.array(moving.GetSize()) - 1).astype(int)
    if (last - first < 3).any():
        return moving
    return sitk.RegionOfInterest(moving, (last - first + 1).tolist(), first.tolist())


def _moved(image: sitk.Image, motion: np.ndarray) -> sitk.Image:
    """The same voxels elsewhere in space."""
    there = sitk.Image(image)
    there.SetOrigin(carried(np.array([image.GetOrigin()]), motion)[0].tolist())
    there.SetDirection((motion[:3, :3] @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    return there


def _positive(fixed: sitk.Image) -> sitk.Image:
    """A CT whose air weighs nothing, to find its middle."""
    return fixed - HU_WINDOW[0]


def bone_parts(fixed: sitk.Image, labels: Volume) -> Iterator[tuple[str, sitk.Image, sitk.Image]]:
    """Name, the part of the CT around it, and the mask on that part, of every bone that was found."""
    for bone, number in NUMBERS.items():
        own = labels.array == number
        if np.count_nonzero(own) < LEAST_VOXELS:
            continue
        reach = [int(np.ceil((WIDER_MM + 2) / step)) for step in labels.spacing_mm]
        box = ndimage.find_objects(own.view(np.uint8))[0]
        box = [slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach, strict=True)]
        own = own[tuple(box)]
        near = ndimage.distance_transform_edt(~own, sampling=labels.spacing_mm) <= WIDER_MM
        first = [part.start for part in box]
        part = sitk.RegionOfInterest(fixed, near.shape[::-1], [int(n) for n in first[::-1]])
        mask = sitk.GetImageFromArray(near.view(np.uint8))
        mask.CopyInformation(part)
        yield bone, part, mask


def _middle(mask: sitk.Image) -> tuple[float, ...]:
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    return statistics.GetCentroid(1)


def _set(transform: sitk.Euler3DTransform, motion: np.ndarray) -> None:
    """Give a transform a motion, its centre kept."""
    centre = np.array(transform.GetCenter())
    transform.SetMatrix(motion[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((motion[:3, :3] @ centre + motion[:3, 3] - centre).tolist())
