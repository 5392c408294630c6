"""The simulated bone beside what is published of human knees: distributions and correlations, by family.

Every block is a patch of 6 mm below the plate of any region of the knee of a patient of a cohort, its truth measured by
the exact morphometry on voxels of 0.0625 mm. Published figures are those that were found in the publications' own
abstracts; they were measured with other scanners, voxels and definitions, so they are ranges to lie in, not values to
match. None was found for Tb.Sp, SMI and DA of subchondral bone of the knee: beside those stand the real specimens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np
from scipy import ndimage
from simulation_bones import drawn_region

from SubchondralBoneAnalysisLib.simulation.bone_block import VOXEL_MM, bone_block
from SubchondralBoneAnalysisLib.simulation.microstructure.families import FAMILIES
from SubchondralBoneAnalysisLib.simulation.structure_truth import StructureTruth

PATCHES = 80  # of each family
QUANTITIES = {
    "BV/TV": lambda t: t.bv_tv,
    "Tb.Th, mm": lambda t: t.tb_th_mm,
    "Tb.Sp, mm": lambda t: t.tb_sp_mm,
    "Tb.N, 1/mm": lambda t: t.tb_n_per_mm,
    "SMI": lambda t: t.smi,
    "DA": lambda t: t.degree_of_anisotropy,
    "CV of the thickness": lambda t: t.tb_th_sd_mm / (t.tb_th_mm + 0.5 * VOXEL_MM),
    "Conn.D, 1/mm3": lambda t: t.conn_d_per_mm3,
}
PAIRS = (
    ("BV/TV", "Tb.Th, mm"),
    ("BV/TV", "Tb.Sp, mm"),
    ("BV/TV", "Tb.N, 1/mm"),
    ("Tb.Th, mm", "Tb.Sp, mm"),
    ("Tb.Th, mm", "Tb.N, 1/mm"),
    ("Tb.Sp, mm", "Tb.N, 1/mm"),
    ("BV/TV", "SMI"),
)


@dataclass(frozen=True)
class Published:
    """Figures as they were published; mean ± SD, or a range of means."""

    bone: str
    bv_tv: str = ""
    tb_th: str = ""
    tb_sp: str = ""
    tb_n: str = ""
    smi: str = ""
    da: str = ""
    cv: str = ""
    conn_d: str = ""
    source: str = ""


PUBLISHED = (
    Published(
        "tibia, 15 controls, micro-CT 17 µm, means of four sub-regions",
        bv_tv="0.18 to 0.37",
        source="Rapagna et al., J Orthop Res 2021;39:1988-1999",
    ),
    Published(
        "tibia, varus osteoarthritis, medial; valgus, lateral",
        bv_tv="0.37 to 0.44; 0.32 to 0.37",
        source="Rapagna et al., J Orthop Res 2021;39:1988-1999",
    ),
    Published(
        "tibia, 50 patients at knee replacement, HR-pQCT",
        tb_th="0.181 ± 0.03 (0.111 to 0.268)",
        tb_n="1.45 ± 0.32 (1.01 to 2.37)",
        source="International Surgery 101(1-2):64, abstract",
    ),
)


def tables(patches: int = PATCHES) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows."""
    found = {family: truths(family, patches) for family in FAMILIES}
    rows = [_published(figures) for figures in PUBLISHED]
    rows += [_spread(family, of) for family, (of, _) in found.items()]
    rows.append(_spread("all families", [truth for of, _ in found.values() for truth in of]))
    yield "simulation_structures", "Trabecular parameters of simulated knees, mean ± SD (5 to 95 %)", rows
    rows = [{"bone": family} | correlations(of) for family, (of, _) in found.items()]
    rows.append({"bone": "all families"} | correlations([truth for of, _ in found.values() for truth in of]))
    yield "simulation_correlations", "Correlations of the parameters from patch to patch", rows
    rows = [_asked(family, of, asked) for family, (of, asked) in found.items()]
    yield "simulation_asked", "What the families make of what they are asked for", rows


def truths(family: str, patches: int) -> tuple[list[StructureTruth], list[tuple[float, ...]]]:
    """Truth of the patches, and for each (Tb.Th asked for, plate, anisotropy, share of the largest piece)."""
    found, asked = [], []
    for number in range(patches):
        rng = np.random.default_rng([41, number])
        traits = drawn_region(rng)
        block = bone_block(traits, family, rng)
        found.append(block.truth)
        _, tb_th, plate, anisotropy = astuple(traits.structure)
        asked.append((tb_th, plate, anisotropy, largest_piece(block.structure)))
    return found, asked


def largest_piece(structure: np.ndarray) -> float:
    """Share of the bone that hangs together, over faces."""
    labels, _ = ndimage.label(structure)
    sizes = np.bincount(labels.ravel())[1:]
    return float(sizes.max() / sizes.sum())


def correlations(of: list[StructureTruth]) -> dict[str, float]:
    """Pearson's r of pairs of parameters."""
    row = {}
    for one, other in PAIRS:
        values = np.array([(QUANTITIES[one](truth), QUANTITIES[other](truth)) for truth in of], float)
        row[f"{one.split(',')[0]} and {other.split(',')[0]}"] = round(float(np.corrcoef(values.T)[0, 1]), 2)
    return row


def _published(figures: Published) -> dict:
    bone, *values, source = astuple(figures)
    return {"bone": bone} | dict(zip(QUANTITIES, values, strict=True)) | {"source": source}


def _spread(name: str, of: list[StructureTruth]) -> dict:
    row = {"bone": f"{name}, {len(of)} patches"}
    for quantity, get in QUANTITIES.items():
        values = np.array([get(truth) for truth in of], float)
        low, high = np.nanpercentile(values, [5, 95])
        row[quantity] = f"{np.nanmean(values):.3g} ± {np.nanstd(values):.2g} ({low:.3g} to {high:.3g})"
    return row | {"source": "simulated"}


def _asked(family: str, of: list[StructureTruth], asked: list[tuple[float, ...]]) -> dict:
    got = np.array([(t.tb_th_mm, t.smi, t.tb_sp_mm, t.degree_of_anisotropy, t.bv_tv) for t in of], float)
    wanted = np.array(asked)
    ratio = got[:, 0] / wanted[:, 0]
    return {
        "family": family,
        "Tb.Th over what is asked": f"{ratio.mean():.3f} ± {ratio.std():.3f}",
        "r of plate and SMI, given BV/TV": round(_partial(wanted[:, 1], got[:, 1], got[:, 4]), 2),
        "r of plate and Tb.Sp, given BV/TV": round(_partial(wanted[:, 1], got[:, 2], got[:, 4]), 2),
        "r of anisotropy and DA": round(float(np.corrcoef(wanted[:, 2], got[:, 3])[0, 1]), 2),
        "largest piece: least, median": f"{wanted[:, 3].min():.3f}, {np.median(wanted[:, 3]):.4f}",
    }


def _partial(one: np.ndarray, other: np.ndarray, given: np.ndarray) -> float:
    """Correlation of what a straight line in `given` leaves of both."""
    left = [values - np.polyval(np.polyfit(given, values, 1), given) for values in (one, other)]
    return float(np.corrcoef(left)[0, 1])
