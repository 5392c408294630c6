"""Real structures and simulated ones through the same scanners: where does the real one lie among the simulated?

Every patch is bare trabecular bone (no plate, no change with depth), seen by every scanner profile with the nuisances
of one scan; features are those of `simulation_features`, of the middle 3.75 mm, which is all specimen. A specimen is
seen in six orders of its axes, each scanned once: its feature is their median. It is compared with bone of the
population, and with bone of near its own BV/TV. A percentile is given for each profile; the table has the median of
the profiles and, in brackets, their range; an asterisk where it is below 2.5 or above 97.5 in more than half of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from simulation_bones import bare_block, drawn_region, simulated_block, traits_near
from simulation_features import ct_features, mr_features
from simulation_real_bone import RealBone, real_bones
from simulation_views import ct_view, mr_view

from SubchondralBoneAnalysisLib.simulation.bone_block import VOXEL_MM, VOXELS, BoneBlock
from SubchondralBoneAnalysisLib.simulation.ct_scanner.ct_profiles import CT_PROFILES
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES
from SubchondralBoneAnalysisLib.simulation.mr_scanner.mr_profiles import MR_PROFILES
from SubchondralBoneAnalysisLib.simulation.structure_truth import StructureTruth, structure_truth

WINDOW_MM = 3.75
CONTEXT_MM = 0.5 * (VOXELS * VOXEL_MM - WINDOW_MM)
KNOWN_MM = 1.0
PATCHES = 24  # of each family, population and matched
NEAR = 0.03  # in BV/TV
OUTSIDE = 2.5  # percentile
SHAPE = {
    "BV/TV": lambda t: t.bv_tv,
    "Tb.Th, mm": lambda t: t.tb_th_mm,
    "Tb.Sp, mm": lambda t: t.tb_sp_mm,
    "Tb.N, 1/mm": lambda t: t.tb_n_per_mm,
    "SMI": lambda t: t.smi,
    "degree of anisotropy": lambda t: t.degree_of_anisotropy,
    "SD over mean of the thickness": lambda t: t.tb_th_sd_mm / (t.tb_th_mm + 0.5 * VOXEL_MM),
    "Conn.D, 1/mm3": lambda t: t.conn_d_per_mm3,
}
Look = dict[str, dict[str, float]]  # by profile, by feature


@dataclass(frozen=True)
class Seen:
    """Blocks as they are and as every scanner shows them."""

    truth: list[StructureTruth]
    ct: list[Look]
    mr: list[Look]

    @classmethod
    def of(cls, blocks: Iterator[BoneBlock], seed: int) -> Seen:
        truth, ct, mr = [], [], []
        for number, block in enumerate(blocks):
            truth.append(structure_truth(block.structure, VOXEL_MM, CONTEXT_MM, KNOWN_MM))
            rng = np.random.default_rng([seed, number])
            ct.append({n: ct_features(ct_view(block, p.of_scan(rng), WINDOW_MM, rng)) for n, p in CT_PROFILES.items()})
            mr.append({n: mr_features(mr_view(block, p.of_scan(rng), WINDOW_MM, rng)) for n, p in MR_PROFILES.items()})
        return cls(truth, ct, mr)


def tables(shared_data: Path, patches: int = PATCHES) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    bones = real_bones(shared_data)
    real = {bone.name: Seen.of(map(bare_block, bone.blocks()), 1) for bone in bones}
    among: dict[tuple[str, str], dict[str, Seen]] = {(bones[0].name, "population"): {}}
    for family in FAMILIES:
        among[bones[0].name, "population"][family] = Seen.of(_population(family, patches), 2)
        for bone in bones:
            like = _near(family, float(bone.cube().mean()), patches)
            among.setdefault((bone.name, "near BV/TV"), {})[family] = Seen.of(like, 3)
    yield "simulation_real_bone", "The real specimens as they were scanned", [_specimen(bone) for bone in bones]
    yield "simulation_real_structure", "Real structures among simulated ones", structures(real, among)
    for kind in ("ct", "mr"):
        rows = looks(real, among, kind)
        title = f"Real structures among simulated ones in the {kind.upper()}: percentiles"
        yield f"simulation_real_{kind}", title, rows
    yield "simulation_real_inside", "Features of real structures inside the simulated distribution", inside(real, among)


def structures(real: dict[str, Seen], among: dict[tuple[str, str], dict[str, Seen]]) -> list[dict]:
    """Mean and 5th to 95th percentile of each parameter of each family beside that of the specimen."""
    rows = []
    for (name, which), families in among.items():
        for quantity, get in SHAPE.items():
            own = float(np.mean([get(truth) for truth in real[name].truth]))
            row = {"specimen": name, "among": which, "quantity": quantity, "real": f"{own:.2f}"}
            for family, seen in families.items():
                values = np.array([get(truth) for truth in seen.truth], float)
                low, high = np.nanpercentile(values, [5, 95])
                mark = _mark(percentile(values, own))
                row[family] = f"{np.nanmean(values):.2f} ({low:.2f} to {high:.2f}){mark}"
            rows.append(row)
    return rows


def looks(real: dict[str, Seen], among: dict[tuple[str, str], dict[str, Seen]], kind: str) -> list[dict]:
    """Percentiles of every feature of the images."""
    rows = []
    for (name, which), families in among.items():
        by_family = {
            family: places(getattr(real[name], kind), getattr(seen, kind)) for family, seen in families.items()
        }
        for feature in next(iter(by_family.values())):
            row = {"specimen": name, "among": which, "feature": feature}
            for family, found in by_family.items():
                of = found[feature]
                mark = "*" if is_outside(of) else ""
                row[family] = f"{np.median(of):.0f} ({of.min():.0f} to {of.max():.0f}){mark}"
            rows.append(row)
    return rows


def inside(real: dict[str, Seen], among: dict[tuple[str, str], dict[str, Seen]]) -> list[dict]:
    """How many features lie inside, each taken by itself."""
    rows = []
    for kind in ("ct", "mr"):
        for (name, which), families in among.items():
            row = {"image": kind.upper(), "specimen": name, "among": which}
            for family, seen in families.items():
                found = places(getattr(real[name], kind), getattr(seen, kind))
                out = [feature for feature, of in found.items() if is_outside(of)]
                row[family] = f"{len(found) - len(out)} of {len(found)}"
            rows.append(row)
    return rows


def places(real: list[Look], simulated: list[Look]) -> dict[str, np.ndarray]:
    """For each feature the percentile of the specimen in each profile [profiles]."""
    profiles = list(real[0])
    return {
        feature: np.array(
            [
                percentile(
                    np.array([look[profile][feature] for look in simulated]),
                    float(np.median([look[profile][feature] for look in real])),
                )
                for profile in profiles
            ]
        )
        for feature in real[0][profiles[0]]
    }


def percentile(values: np.ndarray, value: float) -> float:
    """Share of the values below a value, in %; ties count half."""
    values = values[np.isfinite(values)]
    return float(100 * (np.mean(values < value) + 0.5 * np.mean(values == value)))


def is_outside(percentiles: np.ndarray) -> bool:
    """Whether a feature lies outside in more than half of the profiles."""
    return bool(np.mean((percentiles < OUTSIDE) | (percentiles > 100 - OUTSIDE)) > 0.5)


def _mark(place: float) -> str:
    return "*" if is_outside(np.array([place])) else ""


def _population(family: str, patches: int) -> Iterator[BoneBlock]:
    for number in range(patches):
        rng = np.random.default_rng([21, number])
        yield simulated_block(family, drawn_region(rng).structure, rng)


def _near(family: str, bv_tv: float, patches: int) -> Iterator[BoneBlock]:
    for number in range(patches):
        rng = np.random.default_rng([22, number])
        yield simulated_block(family, traits_near(bv_tv + rng.uniform(-NEAR, NEAR), rng), rng)


def _specimen(bone: RealBone) -> dict:
    found, thickness = bone.morphometry()
    shares: Callable = lambda share: f"{np.percentile(thickness, share):.2f}"  # noqa: E731
    return {
        "specimen": bone.name,
        "voxel, mm": round(bone.spacing_mm[0], 4),
        "TV, mm3": round(found.tv_mm3, 1),
        "BV/TV": round(found.bv_tv, 3),
        "Tb.Th, mm": round(found.tb_th_mm, 3),
        "SD of the thickness, mm": round(found.tb_th_sd_mm, 3),
        "thickness 2r, mm: 5, 25, 50, 75, 95 %": ", ".join(shares(share) for share in (5, 25, 50, 75, 95)),
        "Tb.Sp, mm": round(found.tb_sp_mm, 3),
        "Tb.N, 1/mm": round(found.tb_n_plate_per_mm, 2),
        "SMI": round(found.smi, 2),
        "degree of anisotropy": round(found.degree_of_anisotropy, 2),
        "Conn.D, 1/mm3": round(found.conn_d_per_mm3, 2),
    }
