"""A bone as a cloud of small masses that can be turned in space and projected: for films of moderate resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .solid import BoneSolid, slice_solid


@dataclass(frozen=True)
class BonePoints:
    """Points (n, 3) of a bone in its own frame (u along, v across, w to the palm, mm), and what each stands for in mm3:
    mineral, and bone with its marrow."""

    places_mm: np.ndarray
    mineral_mm3: np.ndarray
    outer_mm3: np.ndarray

    def moved(self, shift_mm: Sequence[float]) -> BonePoints:
        """The same bone shifted in its own frame."""
        return BonePoints(self.places_mm + np.asarray(shift_mm, np.float32), self.mineral_mm3, self.outer_mm3)


def together(parts: Sequence[BonePoints]) -> BonePoints:
    """Several parts of one bone (a shaft and its epiphysis) as one."""
    return BonePoints(
        np.concatenate([part.places_mm for part in parts]),
        np.concatenate([part.mineral_mm3 for part in parts]),
        np.concatenate([part.outer_mm3 for part in parts]),
    )


def bone_points(
    solid: BoneSolid, rng: np.random.Generator, pitch_mm: float, density: float = 1.0, grain: float = 0.3
) -> BonePoints:
    """Points about `pitch_mm` apart. density scales spongy bone and, less, the cortex; grain roughens the spongy."""
    layers = max(4, int(np.ceil(2 * solid.extent_mm()[4] / pitch_mm)))
    u, v, slabs = slice_solid(solid, pitch_mm, layers, depth_pitch_mm=pitch_mm)
    shell = np.stack([slab.shell for slab in slabs])
    spongy = np.stack([slab.cancellous for slab in slabs])
    outer = np.stack([slab.outer for slab in slabs])
    used = np.nonzero(outer > 0)
    places = np.column_stack([u[used[1]], v[used[2]], np.array([slab.depth_mm for slab in slabs])[used[0]]])
    places = places + rng.uniform(-0.5, 0.5, places.shape) * pitch_mm  # no grid is to be seen in the film
    rough = np.exp(grain * rng.standard_normal(len(places)) - 0.5 * grain**2)
    mineral = shell[used] * (0.5 + 0.5 * density) + spongy[used] * density * rough
    area = pitch_mm**2
    return BonePoints(
        places.astype(np.float32), (mineral * area).astype(np.float32), (outer[used] * area).astype(np.float32)
    )


def project(places_px: np.ndarray, mass: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Masses at places (n, 2) (x, y) shared among the four nearest pixels of an image of `shape` (rows, columns)."""
    rows, columns = shape
    x, y = places_px[:, 0], places_px[:, 1]
    inside = (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
    x, y, mass = x[inside], y[inside], mass[inside]
    i, j = x.astype(np.int64), y.astype(np.int64)
    fx, fy = x - i, y - j
    first = j * columns + i
    image = np.zeros(rows * columns)
    for step, share in ((0, (1 - fx) * (1 - fy)), (1, fx * (1 - fy)), (columns, (1 - fx) * fy), (columns + 1, fx * fy)):
        image += np.bincount(first + step, share * mass, rows * columns)
    return image.reshape(shape)
