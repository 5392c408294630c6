"""Thickness of the subchondral plate, where the blur of the CT is wider than the plate itself.

Along the normal of each point of the articular surface the grey values are fitted with a plate between soft tissue and
trabecular bone, blurred as the CT is in that direction (`ct_resolution`). A thin plate only looks thicker and less
dense when blurred: height and width of its image tell how much bone there is, and only their product where it is
thinner than about half of the blur. Treece et al. (Med Image Anal 2010;14:276) therefore give all cortex of a scan one
attenuation. So it is here for the plate of both bones, but not that of the shaft: the plate is calcified cartilage and
bone with vessels, less dense than compact bone. It is what fits all profiles best, and the thinner they are the more
it is drawn to the usual share of the shaft's. Where a plate is less dense than that it counts as a thinner one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.ct_resolution.resolution import FWHM, CtResolution
from SubchondralBoneAnalysisLib.ct_resolution.resolution_gate import UNKNOWN
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface
from SubchondralBoneAnalysisLib.region_finding.plate_profiles import (
    DEPTH_MM,
    LEAST_OUTSIDE_MM,
    PlateProfiles,
    blur_sd_mm,
    filled,
    plate_profiles,
)
from SubchondralBoneAnalysisLib.region_finding.plate_table import PlateFit, PlateTable, plate_table
from SubchondralBoneAnalysisLib.volume import Volume

USUAL_MM = 1.0  # what lies below the plate begins there where its thickness is not known
BELOW_SURFACE_MM = 2.0  # thickness and edge are averaged with this standard deviation for the bands
BESIDE_MM = 4.0  # around the articular surface, where profiles are read off to be averaged with those on it
BLUR_STEP_MM = 0.01  # the standard deviations of the blur are rounded to: one table for each
BEGINS_MM = np.array([-2.0, -1.4, -0.8, -LEAST_OUTSIDE_MM])  # where profiles may begin: one table for each
SHAFT_MM = 15.0  # from the articular surface, beyond which cortex is looked for
THICK_CORTEX = 2.0  # FWHM: its attenuation can be told from the blur
LEAST_CORTEX_HU = 1300.0  # less is not compact bone
LEAST_CORTEX = 50  # profiles
COMPACT_HU = 1750.0  # of compact bone at about 120 kVp, where there is no thick cortex in the image
PLATE_SHARE = 0.75  # of the attenuation of compact bone, that a plate is expected to have
SHARES = np.arange(0.45, 1.01, 0.0125)  # that are tried
PULL = 2.0  # to what is expected: a misfit that is 10 % larger counts as much as an attenuation wrong by a quarter
CLOSE = 30.0  # HU, root of the summed squares of a profile: a misfit below it says nothing
DENSE_WITHIN_MM = 4.0  # below the edge
DENSE_SHARE = (
    0.65  # of the attenuation: blurred, half a FWHM of plate reaches 0.44 of it, and 0.2 is of sparse bone below
)
HARDLY = 0.5  # FWHM: a plate that is thinner changes the height of its blurred image and hardly the width
ENOUGH = 1500  # profiles of a bone, to find one attenuation for all


@dataclass(frozen=True, eq=False)
class PlateSite:
    """Where the plate of a bone is looked for.

    :param rim_mm: [n] of the points of the surface, positive on the articular surface.
    :param gap_mm: [n], distance of the nearest other bone; its plate must not be taken for this one.
    """

    surface: BoneSurface
    rim_mm: np.ndarray
    gap_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class Plate:
    """The plate under the articular surface of a bone.

    :param thickness_mm: [n] of the points of the surface; NaN where it was not measured.
    :param filled_mm: [n] the same smoothed, with the median where there is none.
    :param edge_mm: [n] depth of the plate's outer edge below the surface of the labels; NaN where not measured, as
        where bones touch.
    :param shift_mm: [n] `edge_mm` smoothed and filled in: how far the surface of the labels lies outside of the bone's.
    :param blur_sd_mm: [n] standard deviation of the blur across the surface; None where it is not known.
    :param plate_hu: attenuation of the plate, of both bones.
    :param cortex_hu: attenuation of the thick cortex of the shafts; None where there is none in the image.
    :param why_not: why no thickness was measured.
    """

    thickness_mm: np.ndarray
    filled_mm: np.ndarray
    edge_mm: np.ndarray
    shift_mm: np.ndarray
    blur_sd_mm: np.ndarray | None = None
    plate_hu: float | None = None
    cortex_hu: float | None = None
    why_not: str | None = None


def subchondral_plates(
    sites: Mapping[str, PlateSite], ct: Volume, resolution: CtResolution, plate_hu: float | None = None
) -> dict[str, Plate]:
    """Measure the plates of the bones of a joint.

    :param ct: HU.
    :param resolution: of the CT; without its blur only the edge is given, where the profile has half of its height.
    :param plate_hu: attenuation of the plate, where known.
    """
    profiles = {name: _profiles(site, ct, site.rim_mm > -BESIDE_MM) for name, site in sites.items()}
    blurs = {name: blur_sd_mm(site.surface, ct, resolution) for name, site in sites.items()}
    if resolution.in_plane is None:
        return {name: _edge_only(site, profiles[name]) for name, site in sites.items()}
    tables = {name: _tables(profiles[name], blurs[name], site.rim_mm > 0) for name, site in sites.items()}
    cortex_hu = None
    if plate_hu is None:
        cortex_hu = _cortex_hu(sites, ct, blurs)
        plate_hu = _plate_hu([part for of_bone in tables.values() for part in of_bone], cortex_hu or COMPACT_HU)
    plates = {}
    for name, site in sites.items():
        thickness, edge = (np.full(len(site.rim_mm), np.nan) for _ in range(2))
        for chosen, table in tables[name]:
            found = table.fit(plate_hu)
            thickness[chosen] = found.thickness_mm
            edge[chosen] = found.edge_mm + profiles[name].shift_mm[chosen]
        thickness[on_dense_bone(thickness, profiles[name].hu, blurs[name], plate_hu)] = np.nan
        shift = filled(site.surface, edge, BELOW_SURFACE_MM)
        under = filled(site.surface, thickness, BELOW_SURFACE_MM)
        plates[name] = Plate(thickness, under, edge, shift, blurs[name], plate_hu, cortex_hu)
    return plates


def on_dense_bone(
    thickness_mm: np.ndarray, profiles_hu: np.ndarray, blur_sd: np.ndarray, plate_hu: float
) -> np.ndarray:
    """Where the bone under the plate is as dense as the plate itself, bool [n]: there is no plate to be told from it.

    The fit then finds hardly a plate, though the profile reaches the plate's attenuation, which a plate that is so thin
    cannot when it is blurred.

    :param profiles_hu: [n, len(DEPTH_MM)].
    """
    under = profiles_hu[:, (DEPTH_MM >= 0) & (DEPTH_MM <= DENSE_WITHIN_MM)]
    reached = np.where(np.isfinite(under), under, -np.inf).max(axis=1)
    with np.errstate(invalid="ignore"):
        return (thickness_mm < HARDLY * FWHM * blur_sd) & (reached > DENSE_SHARE * plate_hu)


def _profiles(site: PlateSite, ct: Volume, wanted: np.ndarray) -> PlateProfiles:
    return plate_profiles(site.surface, ct, site.gap_mm, wanted)


def _edge_only(site: PlateSite, profiles: PlateProfiles) -> Plate:
    on = (site.rim_mm > 0) & (profiles.begins_mm <= -LEAST_OUTSIDE_MM)
    edge = np.where(on, profiles.shift_mm, np.nan)
    unknown, usual = np.full(len(on), np.nan), np.full(len(on), USUAL_MM)
    return Plate(unknown, usual, edge, filled(site.surface, edge, BELOW_SURFACE_MM), why_not=UNKNOWN)


def _tables(
    profiles: PlateProfiles, sd_mm: np.ndarray, wanted: np.ndarray, most: int | None = None
) -> list[tuple[np.ndarray, PlateTable]]:
    """Numbers of the wanted points whose profile is whole, and the table of their profiles; one for each blur."""
    begins = np.searchsorted(BEGINS_MM, profiles.begins_mm)  # the first that is not outside of what is its own
    blur = np.rint(sd_mm / BLUR_STEP_MM).astype(int)
    parts = []
    chosen = np.flatnonzero(wanted & (begins < len(BEGINS_MM)))
    if most is not None and len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).astype(int)]
    for first, sd in np.unique(np.stack([begins[chosen], blur[chosen]]), axis=1).T:
        depth = DEPTH_MM >= BEGINS_MM[first] - 1e-6
        of_kind = chosen[(begins[chosen] == first) & (blur[chosen] == sd)]
        values = profiles.hu[of_kind][:, depth]
        whole = np.isfinite(values).all(axis=1)
        if whole.any():
            parts.append((of_kind[whole], plate_table(DEPTH_MM[depth], values[whole], max(sd, 1) * BLUR_STEP_MM)))
    return parts


def _cortex_hu(sites: Mapping[str, PlateSite], ct: Volume, blurs: Mapping[str, np.ndarray]) -> float | None:
    """Attenuation of cortex that is thick against the blur, away from the joint."""
    found = []
    for name, site in sites.items():
        shaft = site.rim_mm < -SHAFT_MM
        if shaft.any():
            for chosen, table in _tables(_profiles(site, ct, shaft), blurs[name], shaft, ENOUGH):
                fit: PlateFit = table.fit_each()
                cortex = (fit.thickness_mm > THICK_CORTEX * FWHM * blurs[name][chosen]) & (
                    fit.plate_hu > LEAST_CORTEX_HU
                )
                found.append(fit.plate_hu[cortex])
    values = np.concatenate(found) if found else np.empty(0)
    return float(np.median(values)) if len(values) >= LEAST_CORTEX else None


def _plate_hu(tables: list[tuple[np.ndarray, PlateTable]], compact_hu: float) -> float:
    """The attenuation that fits all profiles best, drawn to what is expected of a plate."""
    few = [_thinned(table, max(1, sum(len(chosen) for chosen, _ in tables) // ENOUGH)) for _, table in tables]
    lack = []
    for share in SHARES:
        misfit = np.concatenate([table.fit(share * compact_hu).misfit for table in few]) if few else np.ones(1)
        lack.append(np.log(np.sqrt(misfit).mean() + CLOSE) + PULL * np.log(share / PLATE_SHARE) ** 2)
    return float(SHARES[int(np.argmin(lack))] * compact_hu)


def _thinned(table: PlateTable, step: int) -> PlateTable:
    return PlateTable(table.without[::step], table.shared[::step], table.square)
