"""The subchondral plate, depth zero and the joint space of simulated knees, of which the truth is known.

The shell of a simulated bone has an attenuation of its own (1250 HU), which the measurement is not told: it finds one
for itself, as in a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from knee_regions import depth_error

from SubchondralBoneAnalysisLib.ct_resolution import BlurEstimate, CtResolution, ct_resolution
from SubchondralBoneAnalysisLib.region_finding.articular_surface import facing, settled
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.region_finding.subchondral_plate import Plate, PlateSite, subchondral_plates
from SubchondralBoneAnalysisLib.simulation import bone_tissue
from SubchondralBoneAnalysisLib.simulation.ct_scanner.scanner import Scanner
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume

SEEDS = (11,)
PLATES_MM = (0.4, 0.6, 0.8, 1.0, 1.5, 2.0)
BLURS_MM = (0.5, 0.8, 1.2)
SPACES_MM = ((0.0, 1.0), (2.0, 4.0), (6.0, 6.0))
JOINT_MM = (110.0, 90.0, 60.0)  # left-right, front-back, up-down: the ends of femur and tibia
KNEE_MM = (120.0, 115.0, 140.0)
RIM_MM = 2.0
ASKED = 15000  # voxels, of which the exact depth is computed


@dataclass(frozen=True)
class Ends:
    """The joint's ends of a simulated knee: what was scanned, and what is true at the points of the surfaces."""

    ct: Volume
    sites: dict[str, PlateSite]
    plate_mm: dict[str, np.ndarray]
    outside_mm: dict[str, np.ndarray]

    @classmethod
    def scanned(cls, knee: SimulatedKnee, blur_mm: float, voxel_mm: float, shell_hu: float | None = None) -> Ends:
        grid = knee.grid(voxel_mm, JOINT_MM)
        labels = knee.labels(grid)
        with patch.object(bone_tissue, "PLATE_HU", shell_hu or bone_tissue.PLATE_HU):
            ct = knee.ct(grid, Scanner(blur_mm, blur_mm))
        surfaces = {name: bone_surface(labels, label) for name, label in (("femur", 1), ("tibia", 2))}
        sites, plates, outside = {}, {}, {}
        for name, other in (("femur", "tibia"), ("tibia", "femur")):
            surface, shape = surfaces[name], knee.shapes.bone(name)
            rim = settled(surface, facing(surface, surfaces[other]))
            gap, _ = surfaces[other].tree.query(surface.points_lps, distance_upper_bound=20)
            sites[name] = PlateSite(surface, rim, gap)
            found = shape.nearest(knee.pose.into(surface.points_lps))
            plates[name], outside[name] = knee.tissue(shape).shell_mm(found.foot), found.distance_mm
        return cls(ct, sites, plates, outside)

    def errors_mm(self, found: dict[str, Plate]) -> tuple[np.ndarray, np.ndarray]:
        """Of the thickness and of the outer edge, of both bones."""
        thickness, edge = [], []
        for name, plate in found.items():
            on = self.sites[name].rim_mm > RIM_MM
            thickness.append((plate.thickness_mm - self.plate_mm[name])[on])
            edge.append((plate.shift_mm - self.outside_mm[name])[on])
        return np.concatenate(thickness), np.concatenate(edge)


def tables() -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    yield "knee_plate", "Thickness of the subchondral plate against the blur", thickness()
    yield "knee_plate_assumptions", "What a plate of 1 mm hangs on", assumptions()
    yield "knee_depth", "Depth below the outer surface in the bands", depth()
    yield "knee_joint_space", "Joint space width", space()


def thickness() -> list[dict]:
    """Bias and SD of the thickness over the points of the articular surfaces, with the blur as estimated."""
    rows = []
    for blur, voxel in [(blur, 0.5) for blur in BLURS_MM] + [(1.2, 0.8)]:
        for plate in PLATES_MM:
            knees = [SimulatedKnee(seed, plate_mm=plate, plate_spread=0.2) for seed in SEEDS]
            ends = [Ends.scanned(knee, blur, voxel) for knee in knees]
            seen = [ct_resolution(one.ct) for one in ends]
            found = [subchondral_plates(one.sites, one.ct, of) for one, of in zip(ends, seen, strict=True)]
            told = [subchondral_plates(one.sites, one.ct, known(blur, voxel)) for one in ends]
            rows.append(
                {
                    "voxel mm": voxel,
                    "blur FWHM mm": blur,
                    "plate mm": plate,
                    "error mm": _spread([one.errors_mm(of)[0] for one, of in zip(ends, found, strict=True)]),
                    "blur known: error mm": _spread([one.errors_mm(of)[0] for one, of in zip(ends, told, strict=True)]),
                    "blur found mm": ", ".join(f"{of.in_plane.fwhm_mm:.2f}" for of in seen if of.in_plane),
                    "attenuation found HU": ", ".join(f"{of['tibia'].plate_hu:.0f}" for of in found),
                    "edge mm": _spread([one.errors_mm(of)[1] for one, of in zip(ends, found, strict=True)]),
                }
            )
    return rows


def assumptions(plates_mm: tuple[float, ...] = (0.6, 1.0), blur: float = 0.8) -> list[dict]:
    """The error when the shell is denser or less dense, and when blur or attenuation are taken too large or small."""
    rows = []
    for plate in plates_mm:
        knee = SimulatedKnee(SEEDS[0], plate_mm=plate, plate_spread=0.2)
        for share in (0.9, 1.0, 1.1):
            hu = share * bone_tissue.PLATE_HU
            ends = Ends.scanned(knee, blur, 0.5, hu)
            tried = {f"shell of {hu:.0f} HU": subchondral_plates(ends.sites, ends.ct, known(blur, 0.5))}
            if share == 1.0:
                for wrong in (0.9, 1.1):
                    tried[f"blur taken as {wrong:.0%}"] = subchondral_plates(
                        ends.sites, ends.ct, known(wrong * blur, 0.5)
                    )
                    tried[f"attenuation taken as {wrong:.0%}"] = subchondral_plates(
                        ends.sites, ends.ct, known(blur, 0.5), wrong * hu
                    )
            for what, found in tried.items():
                error, _ = ends.errors_mm(found)
                hu_found = f"{found['tibia'].plate_hu:.0f}"
                rows.append({"plate mm": plate, "what": what, "HU": hu_found, "error mm": _spread([error])})
    return rows


def depth() -> list[dict]:
    """Error of the depth of the voxels in the bands, from labels alone and with the edge found in the CT."""
    rows = []
    for blur, spaces in [(blur, SPACES_MM[1]) for blur in BLURS_MM] + [(0.8, SPACES_MM[0]), (0.8, SPACES_MM[2])]:
        knee = SimulatedKnee(SEEDS[0], joint_space_mm=spaces, plate_mm=1.0, plate_spread=0.2)
        labels, ct = _whole(knee, 0.5, blur)
        errors = {"labels": depth_error(knee, find_regions(labels, knee.side), ASKED)}
        errors["CT"] = depth_error(knee, find_regions(labels, knee.side, ct), ASKED)
        row = {"blur FWHM mm": blur, "joint space mm": f"{spaces[0]:g}, {spaces[1]:g}"}
        for name, error in errors.items():
            row[f"{name}: mean absolute mm"] = f"{np.abs(error).mean():.3f}"
            row[f"{name}: 95 % mm"] = f"{np.percentile(np.abs(error), 95):.2f}"
        rows.append(row)
    return rows


def space() -> list[dict]:
    """Smallest and mean width of each compartment; exact: at the same points of the tibia."""
    rows = []
    for width in (0.0, 1.0, 2.0, 4.0, 6.0):
        for voxel in (0.5, 0.8):
            knee = SimulatedKnee(SEEDS[0], joint_space_mm=(width, width))
            labels, ct = _whole(knee, voxel, 0.9)
            for edge, found in (
                ("labels", find_regions(labels, knee.side)),
                ("CT", find_regions(labels, knee.side, ct)),
            ):
                rows.append({"least mm": width, "voxel mm": voxel, "edge": edge} | _widths(knee, found))
    return rows


def known(blur_mm: float, voxel_mm: float) -> CtResolution:
    """A resolution without error."""
    blur = BlurEstimate(blur_mm, 0.0, 500, "cortex")
    return CtResolution((voxel_mm,) * 3, None, blur, blur, ())


def _whole(knee: SimulatedKnee, voxel_mm: float, blur_mm: float) -> tuple[Volume, Volume]:
    middle = knee.pose.out(np.array([[0.0, 8.0, 12.0]]))[0]
    grid = grid_around(tuple(middle), KNEE_MM, voxel_mm)
    return knee.labels(grid), knee.ct(grid, Scanner(blur_mm, blur_mm))


def _widths(knee: SimulatedKnee, found: SubchondralRegions) -> dict:
    tibia, at_tibia = found.bones["tibia"], found.joint_space.at_tibia_mm
    known_there = np.isfinite(at_tibia)
    foot = knee.shapes.tibia.nearest(knee.pose.into(tibia.surface.points_lps[known_there])).foot
    exact = knee.shapes.femur.nearest(foot, deep=True).distance_mm
    number = tibia.compartments.number_at(tibia.surface.points_lps[known_there])
    area = tibia.surface.areas_mm2[known_there]
    row = {}
    for compartment, numbers in (("medial", (1, 2, 3)), ("lateral", (4, 5, 6))):
        width = next(w for w in found.joint_space.widths if w.compartment == compartment and w.subregion is None)
        on = np.isin(number, numbers)
        order = np.argsort(exact[on])
        share = np.cumsum(area[on][order]) / area[on].sum()
        smallest = np.interp(0.05, share, exact[on][order])
        row[f"{compartment} smallest (exact)"] = f"{width.smallest_mm:.2f} ({smallest:.2f})"
        mean = np.average(exact[on], weights=area[on])
        row[f"{compartment} mean (exact)"] = f"{width.mean_mm:.2f} ({mean:.2f})"
    error = at_tibia[known_there] - exact
    row["error mm"] = _spread([error[number > 0]])
    return row


def _spread(errors: list[np.ndarray]) -> str:
    values = np.concatenate(errors)
    values = values[np.isfinite(values)]
    return f"{values.mean():+.2f} ± {values.std():.2f}"
