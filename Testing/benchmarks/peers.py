"""Other programs that register two pictures, called as well as we know for one bone each.

Every peer gets two joint crops with the regions of both bones and answers with two motions (2 x 3, crop pixels of the
first to the second film). Each starts from the same place as ours: the joint frames laid on each other. Each sees the
bone by a mask where it takes one, by a template cut out with a soft edge where it does not.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import SimpleITK as sitk
from pystackreg import StackReg
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import compose, motion_about
from JSNRegistrationLib.refinement import compared_regions
from JSNRegistrationLib.registration import prepare, register
from JSNRegistrationLib.starting_motion import frames_matched

Answer = tuple[np.ndarray, np.ndarray]


def ours(first: JointCrop, second: JointCrop) -> Answer:
    """JointQuant."""
    found = register(prepare(first, first.nominal_spacing_mm), prepare(second, second.nominal_spacing_mm))
    return found.upper.matrix, found.lower.matrix


def opencv_ecc(first: JointCrop, second: JointCrop) -> Answer:
    """OpenCV findTransformECC, Euclidean, with the bone as input mask (Evangelidis and Psarakis 2008)."""

    def one(region: np.ndarray, start: np.ndarray) -> np.ndarray:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
        template, picture = (crop.pixels.astype(np.float32) for crop in (first, second))
        # The mask lies on the picture that is warped; the bone is where the start puts it.
        mask = cv2.warpAffine(region.astype(np.uint8) * 255, start, picture.shape[::-1], flags=cv2.INTER_NEAREST)
        warp = start.astype(np.float32)
        _, warp = cv2.findTransformECC(template, picture, warp, cv2.MOTION_EUCLIDEAN, criteria, mask, 5)
        return warp.astype(float)

    return _bone_by_bone(first, second, one)


def simpleitk_mutual_information(first: JointCrop, second: JointCrop) -> Answer:
    """SimpleITK similarity transform, Mattes mutual information inside the bone."""
    return _simpleitk(first, second, lambda method: method.SetMetricAsMattesMutualInformation(32))


def simpleitk_correlation(first: JointCrop, second: JointCrop) -> Answer:
    """SimpleITK similarity transform, correlation inside the bone."""
    return _simpleitk(first, second, lambda method: method.SetMetricAsCorrelation())


def pystackreg_rigid(first: JointCrop, second: JointCrop) -> Answer:
    """pystackreg rigid body (Thevenaz 1998), on bones cut out with a soft edge."""

    def one(region: np.ndarray, start: np.ndarray) -> np.ndarray:
        template, picture = _cut_out(first, second, region, start)
        matrix = StackReg(StackReg.RIGID_BODY).register(template, picture)
        return compose(start, matrix[:2])

    return _bone_by_bone(first, second, one)


def phase_correlation(first: JointCrop, second: JointCrop) -> Answer:
    """Phase correlation to 1/100 pixel (Guizar-Sicairos 2008, scikit-image), on bones cut out: shift only."""

    def one(region: np.ndarray, start: np.ndarray) -> np.ndarray:
        template, picture = _cut_out(first, second, region, start)
        shift, _, _ = phase_cross_correlation(picture, template, upsample_factor=100)
        return compose(start, motion_about(np.zeros(2), 0.0, 1.0, shift[::-1]))

    return _bone_by_bone(first, second, one)


PEERS: dict[str, Callable[[JointCrop, JointCrop], Answer]] = {
    "JointQuant": ours,
    "SimpleITK similarity, Mattes MI": simpleitk_mutual_information,
    "SimpleITK similarity, correlation": simpleitk_correlation,
    "pystackreg rigid": pystackreg_rigid,
    "OpenCV ECC": opencv_ecc,
    "phase correlation": phase_correlation,
}


def _bone_by_bone(first: JointCrop, second: JointCrop, one: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer:
    start = frames_matched(first, second, 1.0)
    return tuple(one(region, start) for region in compared_regions(first))


def _simpleitk(first: JointCrop, second: JointCrop, set_metric: Callable) -> Answer:
    def one(region: np.ndarray, start: np.ndarray) -> np.ndarray:
        fixed, moving = (sitk.GetImageFromArray(crop.pixels.astype(np.float32)) for crop in (first, second))
        transform = sitk.Similarity2DTransform()
        transform.SetCenter(ndimage.center_of_mass(region)[::-1])
        transform.SetMatrix(start[:, :2].ravel().tolist(), 1e-6)
        centre = np.array(transform.GetCenter())
        transform.SetTranslation((start[:, :2] @ centre + start[:, 2] - centre).tolist())
        method = sitk.ImageRegistrationMethod()
        set_metric(method)
        method.SetMetricFixedMask(sitk.GetImageFromArray(region.astype(np.uint8)))
        method.SetInterpolator(sitk.sitkBSpline)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-5, 300, gradientMagnitudeTolerance=1e-8)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([2, 1])
        method.SetSmoothingSigmasPerLevel([3, 1])
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(fixed, moving)
        linear = np.array(transform.GetMatrix()).reshape(2, 2)
        return np.column_stack([linear, np.array(transform.GetTranslation()) + centre - linear @ centre])

    return _bone_by_bone(first, second, one)


def _cut_out(
    first: JointCrop, second: JointCrop, region: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The bone in both films on a grey ground, the second film brought back by the start."""
    edge = ndimage.gaussian_filter(region.astype(float), 3.0)
    rows, columns = np.mgrid[0 : region.shape[0], 0 : region.shape[1]]
    x = start[0, 0] * columns + start[0, 1] * rows + start[0, 2]
    y = start[1, 0] * columns + start[1, 1] * rows + start[1, 2]
    brought = ndimage.map_coordinates(second.pixels.astype(float), [y, x], order=3, mode="nearest")
    pictures = (first.pixels.astype(float), brought)
    return tuple(edge * (picture - np.average(picture, weights=edge)) for picture in pictures)
