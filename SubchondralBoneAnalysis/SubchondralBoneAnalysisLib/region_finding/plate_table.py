"""How thick a blurred plate is, from profiles across it: the best of a table of plates.

A profile goes from soft tissue over the plate into trabecular bone, which gets sparser with depth. Blurred by a
Gaussian that is known, this is a sum of two error functions (Treece et al., Med Image Anal 2010;14:276). For each place
of the outer edge and each thickness in the table the levels of both sides and the slope of the inner one follow by
least squares, and the misfit is a parabola of the plate's attenuation: one pass over the table serves all attenuations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

EDGES_MM = np.arange(-7, 8) * 0.1  # where the outer edge may lie; profiles are aligned to it roughly
THICKNESSES_MM = np.geomspace(0.1, 4.0, 49)
ATTENUATIONS_HU = (400.0, 2800.0)  # between which that of one profile by itself is looked for


@dataclass(frozen=True, eq=False)
class PlateFit:
    """Of each of n profiles: thickness and depth of the outer edge in mm, attenuation in HU, sum of squared misfits.

    An edge at an end of the table was not found: there thickness and edge are NaN.
    """

    thickness_mm: np.ndarray
    edge_mm: np.ndarray
    plate_hu: np.ndarray
    misfit: np.ndarray


@dataclass(frozen=True, eq=False)
class PlateTable:
    """Misfit of n profiles with every plate of the table: without + hu * (hu * square - 2 * shared).

    :param without: [n, edges, thicknesses], of what is left without a plate.
    :param shared: [n, edges, thicknesses], product of what is left with a plate of 1 HU.
    :param square: [edges, thicknesses], of that plate.
    """

    without: np.ndarray
    shared: np.ndarray
    square: np.ndarray

    def fit(self, plate_hu: float) -> PlateFit:
        """The best plate of that attenuation."""
        misfit = self.without + plate_hu * (plate_hu * self.square - 2 * self.shared)
        best = misfit.reshape(len(misfit), -1).argmin(axis=1)
        return _between_entries(misfit, best, np.full(len(misfit), plate_hu))

    def fit_each(self) -> PlateFit:
        """The best plate of the attenuation that fits each profile best by itself."""
        hu = np.clip(self.shared / self.square, *ATTENUATIONS_HU)
        misfit = self.without + hu * (hu * self.square - 2 * self.shared)
        best = misfit.reshape(len(misfit), -1).argmin(axis=1)
        return _between_entries(misfit, best, hu.reshape(len(hu), -1)[np.arange(len(hu)), best])


def plate_table(depth_mm: np.ndarray, profiles_hu: np.ndarray, sd_mm: float) -> PlateTable:
    """The table of profiles [n, x] at depths [x], blurred with one standard deviation."""
    edge, thickness = np.meshgrid(EDGES_MM, THICKNESSES_MM, indexing="ij")
    above = (depth_mm - edge[..., None]) / sd_mm
    below = (depth_mm - (edge + thickness)[..., None]) / sd_mm
    outer, inner = ndtr(above), ndtr(below)
    # A ramp that begins at the inner edge, blurred: the bone that gets sparser with depth.
    ramp = below * inner + np.exp(-0.5 * below**2) / np.sqrt(2 * np.pi)
    basis, _ = np.linalg.qr(np.stack([1 - outer, inner, ramp], axis=-1))
    plate = outer - inner
    plate = plate - np.einsum("etxc,etc->etx", basis, np.einsum("etxc,etx->etc", basis, plate))
    n, (edges, thicknesses) = len(profiles_hu), edge.shape
    values = profiles_hu.astype(np.float32)
    columns = np.moveaxis(basis, 2, 0).reshape(len(depth_mm), -1).astype(np.float32)
    explained = ((values @ columns).reshape(n, edges, thicknesses, 3) ** 2).sum(axis=-1)
    shared = values @ plate.reshape(-1, len(depth_mm)).T.astype(np.float32)
    return PlateTable(
        without=(values**2).sum(axis=1)[:, None, None] - explained,
        shared=shared.reshape(n, edges, thicknesses),
        square=(plate**2).sum(axis=-1).astype(np.float32),
    )


def _between_entries(misfit: np.ndarray, best: np.ndarray, plate_hu: np.ndarray) -> PlateFit:
    """The lowest point of the paraboloid through the best entry and its eight neighbours.

    Both ways at once: a plate that begins deeper and is thinner fits nearly as well, so that neither way by itself
    finds the valley's bottom.
    """
    row, (edges, thicknesses) = np.arange(len(misfit)), misfit.shape[1:]
    e, t = np.unravel_index(best, (edges, thicknesses))
    inner_e, inner_t = np.clip(e, 1, edges - 2), np.clip(t, 1, thicknesses - 2)

    def at(up: int, right: int) -> np.ndarray:
        return misfit[row, inner_e + up, inner_t + right].astype(float)

    here = at(0, 0)
    slope_e, slope_t = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    bend_e, bend_t = at(1, 0) - 2 * here + at(-1, 0), at(0, 1) - 2 * here + at(0, -1)
    twist = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    bowl = bend_e * bend_t - twist**2
    sound = (bend_e > 0) & (bend_t > 0) & (bowl > 1e-6 * bend_e * bend_t) & (e == inner_e) & (t == inner_t)
    bowl = np.where(sound, bowl, 1)
    step_e = np.where(sound, (twist * slope_t - bend_t * slope_e) / bowl, 0)
    step_t = np.where(sound, (twist * slope_e - bend_e * slope_t) / bowl, 0)
    too_far = np.maximum(np.maximum(np.abs(step_e), np.abs(step_t)), 1)
    step_e, step_t = step_e / too_far, step_t / too_far
    found = misfit[row, e, t]
    lowest = np.where(sound, here + 0.5 * (slope_e * step_e + slope_t * step_t), found)
    known = e == inner_e
    return PlateFit(
        thickness_mm=np.where(
            known, np.exp(np.interp(t + step_t, np.arange(thicknesses), np.log(THICKNESSES_MM))), np.nan
        ),
        edge_mm=np.where(known, np.interp(e + step_e, np.arange(edges), EDGES_MM), np.nan),
        plate_hu=plate_hu,
        misfit=np.clip(lowest, 0, found),
    )
