"""SimpleITK and elastix, called for one bone with a mask and a similarity transform."""

from __future__ import annotations

from functools import cache

import numpy as np
import SimpleITK as sitk
from peer_task import PeerSettings, PeerTask
from scipy import ndimage

from JSNRegistrationLib.motion import compose, motion_about

ITERATIONS = 120  # more do not change what they answer
HISTOGRAM_BINS = 32
ELASTIX_SAMPLES = 3000


def simpleitk_mutual_information(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """Similarity transform, Mattes mutual information inside the bone; ``detail`` is the longest step in pixels."""
    return _simpleitk(task, settings, lambda method: method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS))


def simpleitk_correlation(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """Similarity transform, correlation inside the bone; ``detail`` is the longest step in pixels."""
    return _simpleitk(task, settings, lambda method: method.SetMetricAsCorrelation())


def elastix_similarity(task: PeerTask, settings: PeerSettings) -> np.ndarray:
    """elastix, similarity transform; ``detail``: 0 Mattes mutual information, 1 normalised correlation."""
    import itk

    fixed, moving = (
        itk.image_view_from_array(np.ascontiguousarray(p, np.float32)) for p in (task.template, task.brought())
    )
    found, result = itk.elastix_registration_method(
        fixed,
        moving,
        fixed_mask=itk.image_view_from_array(np.ascontiguousarray(task.region, np.uint8)),
        parameter_object=_elastix_parameters(int(settings.detail)),
        log_to_console=False,
    )
    del found
    transform = result.GetParameterMap(0)
    scale, angle, *shift = (float(value) for value in transform["TransformParameters"])
    centre = np.array([float(value) for value in transform["CenterOfRotationPoint"]])
    return compose(task.start, motion_about(centre, angle, scale, np.array(shift)))


@cache
def _elastix_parameters(metric: int):
    import itk

    parameters = itk.ParameterObject.New()
    chosen = parameters.GetDefaultParameterMap("rigid")
    chosen["Transform"] = ["SimilarityTransform"]
    chosen["Metric"] = [("AdvancedMattesMutualInformation", "AdvancedNormalizedCorrelation")[metric]]
    chosen["NumberOfResolutions"] = ["2"]
    chosen["Interpolator"] = ["BSplineInterpolator"]
    chosen["BSplineInterpolationOrder"] = ["3"]
    chosen["MaximumNumberOfIterations"] = [str(ITERATIONS)]
    chosen["NumberOfSpatialSamples"] = [str(ELASTIX_SAMPLES)]
    chosen["AutomaticTransformInitialization"] = ["false"]
    chosen["WriteResultImage"] = ["false"]
    parameters.AddParameterMap(chosen)
    return parameters


def _simpleitk(task: PeerTask, settings: PeerSettings, set_metric) -> np.ndarray:
    fixed, moving = (sitk.GetImageFromArray(picture) for picture in (task.template, task.picture))
    transform = sitk.Similarity2DTransform()
    transform.SetCenter(ndimage.center_of_mass(task.region)[::-1])
    transform.SetMatrix(task.start[:, :2].ravel().tolist(), 1e-6)
    centre = np.array(transform.GetCenter())
    transform.SetTranslation((task.start[:, :2] @ centre + task.start[:, 2] - centre).tolist())
    method = sitk.ImageRegistrationMethod()
    set_metric(method)
    method.SetMetricFixedMask(sitk.GetImageFromArray(task.region.astype(np.uint8)))
    method.SetInterpolator(sitk.sitkBSpline)
    method.SetOptimizerAsRegularStepGradientDescent(settings.detail, 1e-5, ITERATIONS, gradientMagnitudeTolerance=1e-8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([3, 0])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    linear = np.array(transform.GetMatrix()).reshape(2, 2)
    return np.column_stack([linear, np.array(transform.GetTranslation()) + centre - linear @ centre])
