"""Whether a bone shows the same trabeculae in both films: another bone may fit by its outline alone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.motion import apply

FINEST_MM, COARSEST_MM = 0.2, 0.8  # sigmas of the two blurs between which the trabeculae show
BELOW_EDGE_MM = 1.2  # pixels nearer to the edge of the bone show its cortex
NEAR_MM = 8.0  # pixels farther from the joint are left out
LEAST_PIXELS = 100


def texture_likeness(first: JointCrop, second: JointCrop, region: np.ndarray, motion: np.ndarray) -> float:
    """Correlation of the trabecular texture inside one bone of two films, between -1 and 1; NaN where too little shows.

    ``region`` is the bone in the first crop (bool), ``motion`` (2 x 3) takes its pixels to those of the second.
    """
    spacing = first.nominal_spacing_mm
    rows, columns = np.nonzero(ndimage.distance_transform_edt(region) * spacing > BELOW_EDGE_MM)
    points = np.column_stack([columns, rows]).astype(float)
    there = apply(motion, points)
    near = np.linalg.norm(points - first.origin_px, axis=1) * spacing < NEAR_MM
    shown = np.all((there > 1) & (there < np.array(second.pixels.shape[::-1]) - 2), axis=1)
    points, there = points[near & shown], there[near & shown]
    if len(points) < LEAST_PIXELS:
        return np.nan
    pair = [_sampled(_texture(first), points), _sampled(_texture(second), there)]
    return float(np.corrcoef(pair)[0, 1])


def _texture(crop: JointCrop) -> np.ndarray:
    film = crop.pixels.astype(float)
    fine, coarse = (ndimage.gaussian_filter(film, mm / crop.nominal_spacing_mm) for mm in (FINEST_MM, COARSEST_MM))
    return fine - coarse


def _sampled(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(picture, [points[:, 1], points[:, 0]], order=1)
