"""What an MR is expected to show across the surface of a bone, by what the CT shows there.

Every tissue (by its HU, in bone and outside of it) has a brightness, the same all over the bone, found by least squares
from the MR itself. Marrow and fat are seen displaced along the readout (chemical shift); where that lets the MR be told
better, they are expected there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

KNOTS_HU = np.array([-120.0, -40.0, 10.0, 50.0, 110.0, 250.0, 500.0, 900.0])  # between them a tissue is a mixture
FATS = 2  # of the knots outside of bone, whose signal may be that of fat
DISPLACED_MM = np.arange(-1.2, 1.21, 0.3)
DISPLACED_SD_MM = 0.5  # expected before anything is seen
INDEPENDENT = 60.0  # values of profiles that count as one, against that expectation
ROUNDS = 4
FEW = 5  # one profile in so many tells the displacement
RIDGE = 1e-4


def expected_in_mr(
    hu: np.ndarray,
    share: np.ndarray,
    found: np.ndarray,
    weights: np.ndarray,
    in_plane: np.ndarray,
    step_mm: float,
    moved: Callable[[np.ndarray], np.ndarray],
    fat_shift_mm: tuple[float, float] | None = None,
) -> np.ndarray:
    """Profiles [n, x] as the MR is expected to show them, in its own units.

    :param hu: [n, x] of the CT, and `share` [n, x] of the bone, both without noise.
    :param found: [n, x + 2 m] of the MR, longer by m at both ends.
    :param weights: [n, x].
    :param in_plane: [n, 2] parts of the outward normals along the two axes of a slice of the MR.
    :param moved: tells from expected profiles how far [n] in mm each lies outwards in the MR.
    :param fat_shift_mm: of fat along the two axes of a slice, where it is known; else it is found.
    """
    at, displaced = np.zeros(len(hu)), np.array(fat_shift_mm or (0.0, 0.0))
    few = slice(None, None, FEW)
    expected = hu
    for turn in range(ROUNDS):
        seen = _moved(found, at / step_mm, hu.shape[1])
        # A displacement can stand for a motion of the bone: that is looked for first.
        for axis in (0, 1) if turn > 0 and fat_shift_mm is None else ():
            tried = np.tile(displaced, (len(DISPLACED_MM), 1))
            tried[:, axis] = DISPLACED_MM
            cost = [_cost(hu[few], share[few], seen[few], weights[few], in_plane[few], one, step_mm) for one in tried]
            displaced = tried[int(np.argmin(cost))]
        tissues = _tissues(hu, share, in_plane @ displaced / step_mm)
        expected = tissues @ _brightness(tissues, seen, weights)
        at = moved(expected)
    return expected


def _cost(
    hu: np.ndarray,
    share: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    in_plane: np.ndarray,
    displaced: np.ndarray,
    step_mm: float,
) -> float:
    """Twice the negative logarithm of the probability of a displacement, but for a constant."""
    tissues = _tissues(hu, share, in_plane @ displaced / step_mm)
    left = seen - tissues @ _brightness(tissues, seen, weights)
    count = weights.sum() / INDEPENDENT
    return float(count * np.log((weights * left**2).sum()) + (displaced**2).sum() / DISPLACED_SD_MM**2)


def _tissues(hu: np.ndarray, share: np.ndarray, fat_at: np.ndarray) -> np.ndarray:
    """[n, x, tissue] how much of each tissue a profile shows, those with fat farther out by `fat_at` [n] steps."""
    fat_hu, fat_share = (_shifted(part, -fat_at) for part in (hu, share))
    marrow, fat, water = _hats(fat_hu), _hats(fat_hu)[..., :FATS], _hats(hu)
    parts = (marrow * fat_share[..., None], fat * (1 - fat_share)[..., None], water * (1 - share)[..., None])
    return np.concatenate(parts, axis=-1)


def _hats(hu: np.ndarray) -> np.ndarray:
    place = np.interp(hu, KNOTS_HU, np.arange(len(KNOTS_HU)))
    return np.maximum(0, 1 - np.abs(place[..., None] - np.arange(len(KNOTS_HU))))


def _shifted(profiles: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Profiles [n, x] read `steps` [n] farther on; held at their ends."""
    width = profiles.shape[1]
    place = np.clip(np.arange(width) + steps[:, None], 0, width - 1.001)
    first = place.astype(int)
    part = place - first
    low = np.take_along_axis(profiles, first, axis=1)
    return low + part * (np.take_along_axis(profiles, first + 1, axis=1) - low)


def _moved(found: np.ndarray, steps: np.ndarray, width: int) -> np.ndarray:
    """The `width` values of each of the longer profiles that lie `steps` [n] beyond their middle ones."""
    margin = (found.shape[1] - width) // 2
    return _shifted(found, np.clip(steps, -margin, margin))[:, margin : margin + width]


def _brightness(tissues: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows, values = tissues.reshape(-1, tissues.shape[-1]), seen.ravel()
    weighted = rows * weights.reshape(-1, 1)
    square = weighted.T @ rows
    mean = np.average(values, weights=weights.ravel() + 1e-12)
    # A tissue that hardly occurs looks like the mean; shares add up to 1 only without displacement.
    square += RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    return mean + np.linalg.solve(square, weighted.T @ (values - mean * rows.sum(axis=1)))
