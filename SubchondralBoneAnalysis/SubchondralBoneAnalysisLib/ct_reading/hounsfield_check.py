"""Whether grey values are Hounsfield units of a limb, by the peaks of air, fat and muscle in their histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from JointQuantLib.errors import BadInput
from SubchondralBoneAnalysisLib.volume import Volume

# Ranges of the peaks in HU. Fat -100 (-150 to -50), muscle 50 (20 to 90), air -1000.
FAT, MUSCLE, AIR = (-150.0, -50.0), (20.0, 90.0), (-1100.0, -880.0)
BLOCK_MM = 2.0  # blocks whose mean takes the noise of a bone kernel out of the peaks
BIN_HU, SMOOTHING_BINS = 5.0, 3.0
LEAST_AIR = 0.01  # share of all blocks, for the air to be looked at
# Of a peak: its height as a share of the highest one, and how far it stands out, as a share of its own height.
LEAST_HEIGHT, LEAST_PROMINENCE = 0.05, 0.1
NO_AIR_HU = -400.0
SOFT_TISSUE = (-300.0, 300.0)
BONE_HU, LEAST_BONE = 250.0, 0.002  # the latter a share of all blocks
LABELS = 64  # most values of a label map
SHIFTS = (1024.0, 1000.0)  # of values that are stored without their rescale intercept
DO = "give the CT in Hounsfield units, as DICOM or as saved from it without changing its grey values"


@dataclass(frozen=True)
class TissuePeaks:
    """Where fat and muscle have their peaks, in HU."""

    fat_hu: float
    muscle_hu: float


def check_hounsfield(volume: Volume) -> TissuePeaks:
    """Find fat and muscle where they have to be in a CT.

    :param volume: grey values [k, j, i] that should be HU, air at -1000.
    :raises BadInput: it is a label map, an MR, a CT in other units, or shows no bone; `volume.path` is named.
    """
    array, path = volume.array, volume.path
    lowest = float(array.min())
    if lowest >= 0:
        different = len(np.unique(array[:: max(1, len(array) // 16)]))
        if different <= LABELS:
            raise BadInput(f"{path} is a label map or a mask ({different} values, none below 0), not a CT: {DO}.")
    blocks = _blocks(volume)
    peaks = _peaks(blocks)
    if isinstance(peaks, TissuePeaks):
        if (blocks > BONE_HU).mean() < LEAST_BONE:
            raise BadInput(f"{path} shows no bone (nothing above {BONE_HU:.0f} HU): give the CT of a knee.")
        return peaks
    if lowest >= 0:
        if any(isinstance(_peaks(blocks - shift), TissuePeaks) for shift in SHIFTS):
            raise BadInput(
                f"{path} has grey values that lie about 1000 above Hounsfield units: subtract what was added to them "
                "(mostly 1024), or give the CT as DICOM."
            )
        raise BadInput(f"{path} has no grey value below 0, so it is an MR or another image than a CT: {DO}.")
    raise BadInput(f"{path} is not in Hounsfield units, or is no CT of a limb ({peaks}): {DO}.")


def _blocks(volume: Volume) -> np.ndarray:
    """Means of blocks of about `BLOCK_MM`, float32."""
    sizes = [
        int(np.clip(round(BLOCK_MM / edge), 1, n))
        for edge, n in zip(volume.spacing_mm, volume.array.shape, strict=True)
    ]
    image = sitk.BinShrink(sitk.GetImageFromArray(volume.array), sizes[::-1])
    return sitk.GetArrayFromImage(image).astype(np.float32)


def _peaks(blocks: np.ndarray) -> TissuePeaks | str:
    """The peaks, or what is wrong with them."""
    air = blocks[blocks < NO_AIR_HU]
    if air.size > LEAST_AIR * blocks.size:
        peak = _peak(air, (float(air.min()) - BIN_HU, NO_AIR_HU))
        if peak is None or not AIR[0] <= peak <= AIR[1]:
            return "its air is not at -1000"
    soft = blocks[(blocks > SOFT_TISSUE[0]) & (blocks < SOFT_TISSUE[1])]
    fat, muscle = _peak(soft, SOFT_TISSUE, *FAT), _peak(soft, SOFT_TISSUE, *MUSCLE)
    for name, peak, (low, high) in (("fat", fat, FAT), ("muscle", muscle, MUSCLE)):
        if peak is None:
            return f"there is no peak of {name} between {low:.0f} and {high:.0f}"
    highest = _peak(soft, SOFT_TISSUE)
    if highest not in (fat, muscle):
        return f"most of its soft tissue is at {highest:.0f}, where neither fat nor muscle is"
    return TissuePeaks(fat, muscle)


def _peak(values: np.ndarray, span: tuple[float, float], low: float = -np.inf, high: float = np.inf) -> float | None:
    """The highest peak of the histogram over `span` that lies between `low` and `high`."""
    if not values.size:
        return None
    edges = np.arange(span[0], span[1] + BIN_HU, BIN_HU)
    counts = gaussian_filter1d(np.histogram(values, edges)[0].astype(float), SMOOTHING_BINS, mode="constant")
    middle = (edges[1:] + edges[:-1]) / 2
    tops, found = find_peaks(np.pad(counts, 1), height=LEAST_HEIGHT * counts.max(), prominence=0.0)
    tops = tops[found["prominences"] >= LEAST_PROMINENCE * found["peak_heights"]] - 1
    tops = tops[(middle[tops] >= low) & (middle[tops] <= high)]
    return float(middle[tops[np.argmax(counts[tops])]]) if len(tops) else None
