"""Which voxels are bone: a step of its own, with a name and a sentence that goes into the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.volume import Volume

BINARY, FIXED, OTSU, LOCAL = "binary", "fixed", "otsu", "local"
METHODS = (BINARY, FIXED, OTSU, LOCAL)
DEFAULT_WINDOW_MM = 1.0  # several trabeculae of human bone, whose thickness is 0.1 to 0.3 mm
SMALLEST_WINDOW = 2.0  # voxels
SIGMA_OF_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))
TRUNCATE = 4.0  # sigmas after which the Gaussian is cut off
BINS = 256
ONE_BIN_A_VALUE = 1 << 16  # an integer image with up to so many grey values has a bin for each
SLAB_BYTES = 1 << 28
ROUNDING = 1e-6  # of the largest grey value: where the image is flat, rounding must not decide what is bone


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What is bone, and by which rule.

    :param structure: bool [k, j, i], true in bone.
    :param method: one of METHODS.
    :param threshold: grey value in the image's own unit (HU, mg HA/cm3): bone is above it; for the local method the
        floor, if there is one; None where there is none.
    :param description: the rule in a sentence or two.
    """

    structure: np.ndarray
    method: str
    threshold: float | None
    description: str


def segment(
    volume: Volume,
    method: str = BINARY,
    threshold: float | None = None,
    *,
    window_mm: float | None = None,
    offset: float | None = None,
    keep_largest: bool = False,
    known: np.ndarray | None = None,
    storage: Storage | None = None,
) -> Segmentation:
    """Find the bone in a volume.

    - ``binary``: the volume has two values, 0 and bone.
    - ``fixed``: bone is above ``threshold``.
    - ``otsu``: bone is above the threshold that parts the grey values best (Otsu 1979, as in scikit-image).
    - ``local``: bone is more than ``offset`` above the mean of its neighbourhood, weighted by a Gaussian whose full
      width at half maximum is ``window_mm``, and above ``threshold`` if that is given. A common adaptive threshold
      (``skimage.filters.threshold_local`` with a Gaussian), here in three dimensions and millimetres; beyond the border
      of the volume there is nothing that could count to the mean.

    :param keep_largest: keep the largest piece of bone only (26 neighbours); its cavities stay open.
    :param known: bool [k, j, i] where the grey values mean anything: no bone is found elsewhere, and grey values
        elsewhere count for nothing. Everywhere unless given.
    :param storage: where the structure is made; in memory unless given. To keep the largest piece takes four bytes of
        memory a voxel all the same.
    :raises BadInput: the volume is not binary, has one grey value only, or the threshold or window does not fit it.
    """
    storage = storage or Storage()
    if method == BINARY:
        found = _binary(volume, storage)
    elif method == FIXED:
        found = _fixed(volume, threshold, storage)
    elif method == OTSU:
        found = _otsu(volume, known, storage)
    elif method == LOCAL:
        found = _local(volume, window_mm or DEFAULT_WINDOW_MM, offset or 0.0, threshold, known, storage)
    else:
        raise ValueError(f"'{method}' is none of {', '.join(METHODS)}")
    structure, used, description = found
    if known is not None:
        structure = _each_slice(structure, lambda k, piece: piece & known[k], storage)
    if keep_largest:
        structure, left_out = largest_piece(structure)
        description += f" {left_out}"
    return Segmentation(structure, method, used, description)


def largest_piece(structure: np.ndarray) -> tuple[np.ndarray, str]:
    """The largest piece (26 neighbours) of a structure, bool [k, j, i], and a sentence on what was left out."""
    labels = np.empty(structure.shape, np.int32)
    count = ndimage.label(structure, np.ones((3, 3, 3)), output=labels)
    if count == 0:
        return structure, "There is no bone of which to keep the largest piece."
    sizes = np.zeros(count + 1, np.int64)
    for piece in labels:
        sizes += np.bincount(piece.ravel(), minlength=count + 1)
    kept = int(np.argmax(sizes[1:])) + 1
    share = 100.0 * (1.0 - sizes[kept] / sizes[1:].sum())
    pieces = f"{count - 1} smaller piece{'' if count == 2 else 's'}"
    return (
        labels == kept,
        f"Only the largest connected piece (26 neighbours) is kept: {pieces}, {share:.3g} % of the bone, left out.",
    )


def _binary(volume: Volume, storage: Storage) -> tuple[np.ndarray, None, str]:
    array = volume.array
    low, high = array.min(), array.max()
    other = f"or name a way to segment it with --segmentation ({', '.join(METHODS[1:])})"
    if low == high:
        holds = "no bone" if low == 0 else "bone only, no marrow"
        raise BadInput(
            f"{volume.path} holds {holds} (it is {_value(low)} everywhere): give a volume with both, {other}."
        )
    if 0 not in (low, high) or any(((piece != low) & (piece != high)).any() for piece in array):
        raise BadInput(
            f"{volume.path} is not binary (its values are {_value(low)} to {_value(high)}): give a volume with the "
            f"value 0 and one other value for bone, {other}."
        )
    bone = high if low == 0 else low
    if array.dtype == np.uint8 and bone == 1:
        structure = array.view(bool)  # one byte of 0 or 1 is what a bool is: no copy
    else:
        structure = _each_slice(array, lambda _, piece: piece != 0, storage)
    return structure, None, f"The volume is binary as given: {_value(bone)} is bone, 0 is not."


def _fixed(volume: Volume, threshold: float | None, storage: Storage) -> tuple[np.ndarray, float, str]:
    if threshold is None:
        raise ValueError("a fixed threshold needs its value")
    _check_in_range(volume, threshold)
    return (
        _each_slice(volume.array, lambda _, piece: piece > threshold, storage),
        threshold,
        f"Bone is every voxel above {threshold:g} (fixed threshold in the unit of the image).",
    )


def _otsu(volume: Volume, known: np.ndarray | None, storage: Storage) -> tuple[np.ndarray, float, str]:
    counts, values = histogram(volume.array, known)
    if np.count_nonzero(counts) < 2:
        raise BadInput(f"{volume.path} has one grey value only: give a volume with bone and marrow.")
    threshold = float(threshold_otsu(hist=(counts, values)))
    which = "all grey values" if known is None else "the grey values inside the region"
    return (
        _each_slice(volume.array, lambda _, piece: piece > threshold, storage),
        threshold,
        f"Bone is every voxel above {threshold:.6g} (Otsu's threshold of {which}, in the unit of the image).",
    )


def histogram(array: np.ndarray, known: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Counts and grey values of the bins: one a value for integers, as in scikit-image, else 256. Copies no volume."""
    low, high = array.min(), array.max()
    one_a_value = array.dtype.kind in "iub" and int(high) - int(low) < ONE_BIN_A_VALUE
    bins = int(high) - int(low) + 1 if one_a_value else BINS
    counts = np.zeros(bins, np.int64)
    for k, piece in enumerate(array):
        values = piece.ravel() if known is None else piece[known[k]]
        if one_a_value:
            counts += np.bincount(values.astype(np.int64) - int(low), minlength=bins)
        else:
            counts += np.histogram(values, bins, (float(low), float(high)))[0]
    if one_a_value:
        return counts, np.arange(int(low), int(high) + 1)
    edges = np.linspace(float(low), float(high), bins + 1)
    return counts, 0.5 * (edges[1:] + edges[:-1])


def _local(
    volume: Volume, window_mm: float, offset: float, floor: float | None, known: np.ndarray | None, storage: Storage
) -> tuple[np.ndarray, float | None, str]:
    array, spacing = volume.array, np.array(volume.spacing_mm)
    if window_mm < SMALLEST_WINDOW * spacing.max():
        raise BadInput(
            f"--window {window_mm:g} is less than two voxels of {volume.path} (their longest edge is "
            f"{spacing.max():g} mm): give a wider one, of several trabeculae."
        )
    if window_mm > (spacing * array.shape).max():
        raise BadInput(
            f"--window {window_mm:g} is wider than {volume.path} itself ({(spacing * array.shape).max():g} mm): give "
            "a narrower one, or --segmentation otsu."
        )
    if floor is not None:
        _check_in_range(volume, floor)
    structure = storage.empty(array.shape, bool)
    tolerance = ROUNDING * max(abs(float(array.min())), abs(float(array.max())))
    for part, mean in local_means(array, window_mm * SIGMA_OF_FWHM / spacing, known):
        structure[part] = array[part] > mean + np.float32(offset + tolerance)
        if floor is not None:
            structure[part] &= array[part] > floor
    return (
        structure,
        floor,
        f"Bone is every voxel more than {offset:g} above the mean of its neighbourhood, weighted by a Gaussian of "
        f"{window_mm:g} mm full width at half maximum"
        + ("" if floor is None else f", and above {floor:g}")
        + " (local adaptive threshold, in the unit of the image).",
    )


def local_means(
    array: np.ndarray, sigma: np.ndarray, known: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Gaussian-weighted means, slab by slab along k: the slab, and its means as float32 [k, j, i].

    Only what lies in the volume, and is `known`, counts. The means do not depend on where slabs begin.

    :param array: grey values [k, j, i].
    :param sigma: of the Gaussian, in voxels along (k, j, i).
    """
    depth, *plane = array.shape
    margin = int(TRUNCATE * sigma[0] + 0.5)
    thickness = max(margin, SLAB_BYTES // (4 * int(np.prod(plane))), 1)
    for start in range(0, depth, thickness):
        stop = min(start + thickness, depth)
        low, high = max(start - margin, 0), min(stop + margin, depth)
        inner = slice(start - low, stop - low)
        grey = array[low:high].astype(np.float32)
        if known is None:
            weights = [_smoothed(np.ones(n, np.float32), s) for n, s in zip(array.shape, sigma, strict=True)]
            weight = weights[0][start:stop, None, None] * weights[1][None, :, None] * weights[2][None, None, :]
        else:
            mask = known[low:high].astype(np.float32)
            grey *= mask
            weight = _smoothed(mask, sigma)[inner]
        smooth = _smoothed(grey, sigma)[inner]
        np.divide(smooth, weight, out=smooth, where=weight > 0)
        yield slice(start, stop), smooth


def _each_slice(array: np.ndarray, rule: Callable[[int, np.ndarray], np.ndarray], storage: Storage) -> np.ndarray:
    """The structure bool [k, j, i] by a rule of the index and the values of a slice."""
    structure = storage.empty(array.shape, bool)
    for k, piece in enumerate(array):
        structure[k] = rule(k, piece)
        storage.let_go(array, 0, k)
        storage.let_go(structure, 0, k)
    return structure


def _smoothed(values: np.ndarray, sigma: object) -> np.ndarray:
    return ndimage.gaussian_filter(values, sigma, mode="constant", truncate=TRUNCATE)


def _check_in_range(volume: Volume, threshold: float) -> None:
    low, high = volume.array.min(), volume.array.max()
    if not low <= threshold < high:
        raise BadInput(
            f"--threshold {threshold:g} is outside the grey values of {volume.path}, which are {_value(low)} to "
            f"{_value(high)}: give one between them."
        )


def _value(value: object) -> str:
    return f"{float(value):.6g}"
