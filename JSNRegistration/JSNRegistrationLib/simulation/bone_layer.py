"""A bone as layers of mineral that can be read at any coordinate, so that a motion of the bone is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .solid import BoneSolid, slice_solid, upsampled
from .trabeculae import fanned, strut_texture


@dataclass(frozen=True)
class BoneLayer:
    """Cubic spline coefficients of the mineral path in mm, a map per slab of depth; rows along u, columns along v."""

    u0_mm: float
    v0_mm: float
    pitch_mm: float
    depths_mm: tuple[float, ...]
    mineral: tuple[np.ndarray, ...]
    outline: np.ndarray  # spline coefficients of the path through the outer outline

    def mineral_at(self, u: np.ndarray, v: np.ndarray, turn_rad: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Mineral path in mm at bone coordinates (u, v) of the film plane; zero outside the bone.

        turn_rad = (flexion, pronation): the bone is turned out of the film plane about the v and the u axis through
        the bone's origin (u = v = w = 0), which itself does not move. A slab at depth w then appears displaced by
        w sin(angle), and lengths are foreshortened by cos(angle).
        """
        flexion, pronation = turn_rad
        if flexion == 0.0 and pronation == 0.0:
            return self._read(_total(self.mineral), u, v)
        path = np.zeros(np.shape(u))
        for depth, slab in zip(self.depths_mm, self.mineral, strict=True):
            path += self._read(
                slab,
                (u - depth * np.sin(flexion)) / np.cos(flexion),
                (v - depth * np.sin(pronation)) / np.cos(pronation),
            )
        return path / (np.cos(flexion) * np.cos(pronation))

    def outline_at(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Path through the whole bone in mm (marrow included) at bone coordinates; zero outside."""
        return self._read(self.outline, u, v)

    def flattened(self) -> BoneLayer:
        """The same bone with all slabs added up: faster, for bones that only move in the film plane."""
        return BoneLayer(self.u0_mm, self.v0_mm, self.pitch_mm, (0.0,), (_total(self.mineral),), self.outline)

    def _read(self, coefficients: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        rows = (np.asarray(u) - self.u0_mm) / self.pitch_mm
        columns = (np.asarray(v) - self.v0_mm) / self.pitch_mm
        return ndimage.map_coordinates(
            coefficients, [rows, columns], order=3, mode="constant", cval=0.0, prefilter=False, output=np.float64
        )


def make_layer(
    solid: BoneSolid,
    rng: np.random.Generator,
    *,
    pitch_mm: float,
    slabs: int = 8,
    solid_pitch_mm: float = 0.1,
    texture_contrast: float = 1.0,
    strut_spacing_mm: float = 0.75,
    smoothing_mm: float = 0.06,
) -> BoneLayer:
    """Fill a solid with trabeculae and turn it into a layer with pixels of `pitch_mm`.

    smoothing_mm band-limits the layer, so that the cubic spline is faithful. texture_contrast 0 gives even spongiosa.
    """
    u, v, parts = slice_solid(solid, solid_pitch_mm, slabs)
    margin = 4 * smoothing_mm + 3 * pitch_mm
    u_fine = np.arange(u[0] - margin, u[-1] + margin, pitch_mm)
    v_fine = np.arange(v[0] - margin, v[-1] + margin, pitch_mm)
    half_width = np.interp(u_fine, solid.knots_mm, solid.half_width_mm.mean(axis=1))
    mineral = []
    outer = upsampled(np.sum([part.outer for part in parts], axis=0), u, v, u_fine, v_fine)
    for part in parts:
        shell = upsampled(part.shell, u, v, u_fine, v_fine)
        spongy = upsampled(part.cancellous, u, v, u_fine, v_fine)
        if texture_contrast > 0:
            texture = strut_texture(spongy.shape, pitch_mm, rng, spacing_mm=strut_spacing_mm)
            texture = fanned(texture, half_width, v_fine)
            spongy = spongy * np.maximum(1 + texture_contrast * (texture - 1), 0)
        mineral.append(_coefficients(shell + spongy, smoothing_mm / pitch_mm))
    return BoneLayer(
        float(u_fine[0]),
        float(v_fine[0]),
        pitch_mm,
        tuple(part.depth_mm for part in parts),
        tuple(mineral),
        _coefficients(outer, smoothing_mm / pitch_mm),
    )


def _coefficients(path: np.ndarray, sigma_px: float) -> np.ndarray:
    blurred = ndimage.gaussian_filter(path, sigma_px, mode="constant")
    return ndimage.spline_filter(blurred, order=3, mode="constant", output=np.float32)


def _total(maps: tuple[np.ndarray, ...]) -> np.ndarray:
    return maps[0] if len(maps) == 1 else np.sum(maps, axis=0)
