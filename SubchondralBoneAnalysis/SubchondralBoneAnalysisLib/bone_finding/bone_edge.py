"""The outer edge of a bone, where its cortex is half as bright as at its peak: the blur of a CT leaves it there."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.bone_filling import enclosed
from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to

SOFT_HU = 40.0  # around a bone: muscle, cartilage, joint fluid
PEAK_WITHIN_MM = 1.8
DEEPEST_MM = 1.4  # that a first outline may lie outside of the edge
HALF_HU = (130.0, 450.0)  # what half of a peak may be: noise below, the trabeculae of a dense plate above
SMOOTHING_MM = 0.35
MARGIN_MM = 3.0  # around the bones, up to where grey values count
PIT_MM = 2.0  # what is peeled in there is marrow behind a thin cortex


def peeled(labels: np.ndarray, hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Labels [k, j, i] of bones without the layer around them that is darker than half of the cortex near it.

    :param labels: whole numbers, 0 outside; outlines that lie a little outside of the bones.
    """
    spacing = np.asarray(spacing_mm)
    boxes = ndimage.find_objects((labels > 0).astype(np.uint8))
    kept = labels.copy()
    for box in boxes:
        margin = np.ceil(MARGIN_MM / spacing).astype(int)
        box = tuple(slice(max(0, b.start - m), b.stop + m) for b, m in zip(box, margin, strict=True))
        kept[box] = _peeled(labels[box], hu[box], spacing)
    return kept


def _peeled(labels: np.ndarray, hu: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), SMOOTHING_MM / spacing)
    reach = np.maximum(1, np.round(PEAK_WITHIN_MM / spacing)).astype(int)
    peak = ndimage.maximum_filter(np.where(labels > 0, smooth, SOFT_HU), size=tuple(2 * reach + 1))
    half = np.clip((peak + SOFT_HU) / 2, *HALF_HU)
    dark = (labels > 0) & (smooth < half)
    kept = _without_dark_edge(labels, dark, int(np.ceil(DEEPEST_MM / spacing.min())))
    # Where the cortex is thin, marrow behind it was peeled, too: what the rest of the bone goes around stays.
    for number, box in enumerate(ndimage.find_objects(kept), 1):
        if box is not None:
            whole = enclosed(_closed(kept[box] == number, spacing))
            kept[box][whole & (labels[box] == number)] = number
    return kept


def _closed(bone: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A bone with the pits that are narrower than twice `PIT_MM`."""
    rim = np.ceil(PIT_MM / spacing).astype(int) + 1
    around = np.pad(bone, [(n, n) for n in rim])
    grown = distance_to(around, spacing) <= PIT_MM
    closed = distance_to(~grown, spacing) > PIT_MM
    return closed[tuple(slice(n, -n) for n in rim)] | bone


def _without_dark_edge(labels: np.ndarray, dark: np.ndarray, layers: int) -> np.ndarray:
    """Labels without as many layers of dark voxels at their edges; the border of the volume is no edge."""
    kept = np.pad(labels, 1, mode="edge")
    places = np.flatnonzero(np.pad(dark, 1))
    flat = kept.reshape(-1)
    steps = [step * sign for step in (1, kept.shape[2], kept.shape[1] * kept.shape[2]) for sign in (1, -1)]
    for _ in range(layers):
        own = flat[places]
        edge = np.zeros(len(places), bool)
        for step in steps:
            edge |= flat[places + step] != own
        if not edge.any():
            break
        flat[places[edge]] = 0
        places = places[~edge]
    return kept[1:-1, 1:-1, 1:-1].copy()
