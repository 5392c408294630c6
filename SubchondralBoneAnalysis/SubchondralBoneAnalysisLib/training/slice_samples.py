"""Pieces of slices to learn from, drawn by chance: five neighbouring MR slices, the CT of the middle one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.ct_synthesis.slices import NEIGHBOURS_MM
from SubchondralBoneAnalysisLib.training.knee_slices import UNKNOWN, KneeSlices

THICKEST_MM = 4.5
THICKER = 0.4  # share of pieces whose slices are made thicker than they were scanned
HU_OF_ONE = np.float32(1000)
TRIES = 4  # to find a piece with bone, or where that is not known one that is not mostly air
LEAST_BONE, LEAST_TISSUE = 0.08, 0.4  # of a piece


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces to learn from, float32; of unpaired MR and CT the stack alone.

    :param stack: [n, 5, row, column], relative signal of the MR; of a CT alone thousands of HU.
    :param target: [n, 1, row, column], thousands of HU of the middle slice.
    :param known: likewise, 1 where the CT shows something.
    :param bone: likewise, the share of bone.
    """

    stack: np.ndarray
    target: np.ndarray | None = None
    known: np.ndarray | None = None
    bone: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Drawing:
    """From which knees pieces are drawn, how many pixels wide they are, and by which dice."""

    knees: Sequence[KneeSlices]
    edge: int
    rng: np.random.Generator

    def pieces(self, count: int) -> Pieces:
        """`count` pieces, each of a knee, a slice and a place of its own."""
        return Pieces(*(np.stack(part) for part in zip(*(self._one() for _ in range(count)), strict=True)))

    def coarse_pieces(self, count: int, pixels: int) -> Pieces:
        """The same with the mean of each `pixels` x `pixels` for one."""
        made = self.pieces(count)
        stack, target, known, bone = (_pooled(part, pixels) for part in vars(made).values())
        # Where a part is not known the mean HU is not either.
        return Pieces(stack, target, (known > 0.999).astype(np.float32), bone)

    def _one(self) -> tuple[np.ndarray, ...]:
        knee = self.knees[self.rng.integers(len(self.knees))]
        together = self._slices_together(knee)
        middle = int(self.rng.choice(knee.slices_with_leg))
        for _ in range(TRIES):
            window = self._window(knee.image.shape[1:])
            if _is_worth_it(knee, middle, window):
                break
        stack = [_at(knee.image, middle, mm, together, knee.step_mm, window) for mm in NEIGHBOURS_MM]
        if knee.mr is None:
            return (self._padded(np.stack(stack) / HU_OF_ONE, "edge"),)
        if knee.hu is None:
            return (self._padded(np.stack(stack), "edge"),)
        there = (_block(middle, together, len(knee.hu)), *window)
        hu, bone = knee.hu[there], knee.bone[there].astype(np.float32).mean(0)
        known = (hu != UNKNOWN).all(0)
        target = np.where(known, hu.astype(np.float32).mean(0) / HU_OF_ONE, -1)
        parts = (self._padded(part[None].astype(np.float32), "constant") for part in (target, known, bone))
        return (self._padded(np.stack(stack), "edge"), *parts)

    def _slices_together(self, knee: KneeSlices) -> int:
        most = max(1, min(int(THICKEST_MM / knee.step_mm), len(knee.image) // 3))
        return int(self.rng.integers(1, most + 1)) if self.rng.random() < THICKER else 1

    def _window(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        first = [int(self.rng.integers(max(n - self.edge, 0) + 1)) for n in shape]
        return tuple(slice(start, start + self.edge) for start in first)

    def _padded(self, piece: np.ndarray, mode: str) -> np.ndarray:
        missing = [(0, self.edge - n) for n in piece.shape[1:]]
        return np.pad(piece, [(0, 0), *missing], mode=mode) if np.any(missing) else piece


def _pooled(array: np.ndarray, pixels: int) -> np.ndarray:
    n, channels, rows, columns = array.shape
    return array.reshape(n, channels, rows // pixels, pixels, columns // pixels, pixels).mean((3, 5), dtype=np.float32)


def _is_worth_it(knee: KneeSlices, index: int, window: tuple[slice, slice]) -> bool:
    if knee.bone is not None:
        return bool(knee.bone[index][window].mean() > LEAST_BONE)
    return knee.shows_leg(knee.image[index][window]) > LEAST_TISSUE


def _block(first: int, together: int, count: int) -> slice:
    """`together` slices around a slice, shifted inwards at the ends."""
    start = min(max(first - (together - 1) // 2, 0), count - together)
    return slice(start, start + together)


def _at(
    image: np.ndarray, middle: int, mm: float, together: int, step_mm: float, window: tuple[slice, slice]
) -> np.ndarray:
    """What a scan of thick slices shows at a distance from one of them: linear between that slice and the next."""
    thick = together * step_mm
    whole, share = divmod(mm / thick, 1.0)
    low, high = (
        image[_block(middle + int(n) * together, together, len(image))][(slice(None), *window)]
        for n in (whole, whole + (share > 0))
    )
    low, high = (part.astype(np.float32).mean(0) for part in (low, high))
    return low + np.float32(share) * (high - low)
