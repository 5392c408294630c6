"""A small block of microstructure on a fine lattice, filtered in space as a scanner does and sampled at its voxels.

The block is mirrored at its borders, so that what is outside resembles what is inside. Two fine voxels along each axis
are averaged first: a scanner does not see them apart, and what the averaging takes from the frequencies that it does
see is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.fft import fftfreq, irfftn, next_fast_len, rfftfreq, rfftn
from scipy.ndimage import map_coordinates

from SubchondralBoneAnalysisLib.volume import Volume

Frequencies = tuple[np.ndarray, np.ndarray, np.ndarray]
FINEST_SEEN = 2.5  # coarse voxels in the width of the sharpest detail that a scanner shows


@dataclass(frozen=True, eq=False)
class FineBlock:
    """A block, mirrored at its borders and periodic.

    :param array: float32 [k, j, i].
    :param step_mm: of its lattice, (k, j, i).
    :param before: lattice points along (k, j, i) that were put before the first one of the block.
    :param halved: by which fine steps two voxels were averaged, in mm along (k, j, i); 0 where they were not.
    """

    block: Volume
    array: np.ndarray
    step_mm: tuple[float, float, float]
    before: tuple[int, int, int]
    halved: tuple[float, float, float]

    @classmethod
    def mirrored(cls, block: Volume, margin_mm: float, detail_mm: float) -> FineBlock:
        """A block with what is mirrored at its borders, as far as `margin_mm`.

        :param detail_mm: width of the sharpest detail that will be asked for: the finer it is, the finer the lattice.
        """
        array, steps, halved = np.asarray(block.array), list(block.spacing_mm), [0.0, 0.0, 0.0]
        if array.dtype != np.float32:
            array = array.astype(np.float32)
        for axis in range(3):
            if array.shape[axis] % 2 == 0 and 2.0 * steps[axis] * FINEST_SEEN <= detail_mm:
                parts = np.moveaxis(array, axis, 0)
                array = np.moveaxis(0.5 * (parts[0::2] + parts[1::2]), 0, axis)
                halved[axis], steps[axis] = steps[axis], 2.0 * steps[axis]
        padding = []
        for size, step in zip(array.shape, steps, strict=True):
            margin = min(int(np.ceil(margin_mm / step)), size)
            padding.append((margin, next_fast_len(size + 2 * margin, real=True) - size - margin))
        before = tuple(first for first, _ in padding)
        return cls(block, np.pad(array, padding, mode="symmetric"), tuple(steps), before, tuple(halved))

    def frequencies(self, grid: Volume) -> Frequencies:
        """Along the (k, j, i) axes of the grid, per mm, that broadcast to the half spectrum of the array."""
        (nk, nj, ni), (dk, dj, di) = self.array.shape, self.step_mm
        own = np.ix_(*(f.astype(np.float32) for f in (fftfreq(nk, dk), fftfreq(nj, dj), rfftfreq(ni, di))))
        turn = np.round(_axes(grid).T @ _axes(self.block), 9).astype(np.float32)
        along = []
        for row in turn:
            parts = [part * f for part, f in zip(row, own, strict=True) if part != 0.0]
            along.append(sum(parts[1:], parts[0]))
        return tuple(along)

    def spectrum(self) -> np.ndarray:
        """Half spectrum of the array, free of what the averaging took away."""
        spectrum = rfftn(self.array)
        for axis, (step, fine) in enumerate(zip(self.step_mm, self.halved, strict=True)):
            if fine > 0.0:
                spectrum *= _along(1.0 / np.cos(np.pi * fine * self._own(axis, step)), axis)
        return spectrum

    def filtered(self, transfer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The array after a round filter, whose transfer function of the squared frequency is given; float32."""
        square = 0.0
        for axis, step in enumerate(self.step_mm):
            square = square + _along(self._own(axis, step) ** 2, axis)
        return irfftn(rfftn(self.array) * transfer(square), self.array.shape)

    def sampled(self, spectrum: np.ndarray, grid: Volume) -> np.ndarray:
        """What has the half spectrum, at the voxels of the grid, float32 [k, j, i]: interpolated by cubic splines."""
        for axis, step in enumerate(self.step_mm):
            spectrum = spectrum * _along(3.0 / (2.0 + np.cos(2.0 * np.pi * step * self._own(axis, step))), axis)
        knots = irfftn(spectrum, self.array.shape)
        along = _axes(self.block).T @ _axes(grid)
        shift = _axes(self.block).T @ (np.asarray(grid.origin_lps) - np.asarray(self.block.origin_lps))
        indices = np.ix_(
            *(np.arange(size) * step for size, step in zip(grid.array.shape, grid.spacing_mm, strict=True))
        )
        at = np.empty((3, *grid.array.shape))
        for axis in range(3):
            mm = shift[axis] + sum(part * index for part, index in zip(along[axis], indices, strict=True))
            # The middle of two averaged voxels is half a fine step after the first one.
            at[axis] = (mm - 0.5 * self.halved[axis]) / self.step_mm[axis] + self.before[axis]
        return map_coordinates(knots, at, order=3, mode="grid-wrap", prefilter=False, output=np.float32)

    def _own(self, axis: int, step: float) -> np.ndarray:
        size = self.array.shape[axis]
        return (rfftfreq(size, step) if axis == 2 else fftfreq(size, step)).astype(np.float32)


def _axes(volume: Volume) -> np.ndarray:
    """The directions of the k, j and i axis as columns."""
    return np.reshape(volume.direction_lps, (3, 3))[:, ::-1]


def _along(values: np.ndarray, axis: int) -> np.ndarray:
    return np.expand_dims(values, [other for other in range(3) if other != axis])
