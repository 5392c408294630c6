"""The parameters of trabecular bone: the field's names, units, meanings and sources, in the order they are shown."""

from __future__ import annotations

from dataclasses import dataclass

HILDEBRAND = "Hildebrand and Rüegsegger 1997, J Microsc 185:67"
PARFITT = "Parfitt et al. 1987, J Bone Miner Res 2:595"
HILDEBRAND_SMI = "Hildebrand and Rüegsegger 1997b, Comput Methods Biomech Biomed Engin 1:15"
OHSER = "Ohser et al. 2009, Image Anal Stereol 28:179"
DIRECT = "Hildebrand et al. 1999, J Bone Miner Res 14:1167"
ODGAARD = "Odgaard and Gundersen 1993, Bone 14:173"
MIL = "Whitehouse 1974, J Microsc 101:153; Harrigan and Mann 1984, J Mater Sci 19:761"


@dataclass(frozen=True)
class Parameter:
    """One parameter: `key` is its name in `result.json`; the other keys are None where it has no such number."""

    name: str
    words: str
    key: str
    unit: str  # empty for a pure number
    meaning: str
    source: str
    formula: str = ""
    raw_key: str | None = None
    sd_key: str | None = None
    largest_key: str | None = None
    on_request: bool = False  # then it is left out where it is not given


@dataclass(frozen=True)
class ParameterGroup:
    title: str
    parameters: tuple[Parameter, ...]


GROUPS = (
    ParameterGroup(
        "Volume",
        (
            Parameter("BV/TV", "bone volume fraction", "bv_tv", "", "Share of the region that is bone.", PARFITT),
            Parameter("BV", "bone volume", "bv_mm3", "mm³", "Volume of the bone voxels in the region.", PARFITT),
            Parameter("TV", "total volume", "tv_mm3", "mm³", "Volume of the region.", PARFITT),
        ),
    ),
    ParameterGroup(
        "Thickness",
        (
            Parameter(
                "Tb.Th",
                "trabecular thickness",
                "tb_th_mm",
                "mm",
                "Mean over the bone of the diameter of the largest sphere that fits into the bone and holds the point.",
                HILDEBRAND,
                raw_key="tb_th_raw_mm",
                sd_key="tb_th_sd_mm",
                largest_key="tb_th_max_mm",
            ),
            Parameter(
                "Tb.Th (fine)",
                "trabecular thickness",
                "tb_th_fine_mm",
                "mm",
                "The same with spheres that may lie half way between voxels, less one voxel: for thin trabeculae.",
                HILDEBRAND,
                on_request=True,
            ),
        ),
    ),
    ParameterGroup(
        "Separation",
        (
            Parameter(
                "Tb.Sp",
                "trabecular separation",
                "tb_sp_mm",
                "mm",
                "The same of the space between the trabeculae: how wide the marrow is.",
                HILDEBRAND,
                raw_key="tb_sp_raw_mm",
                sd_key="tb_sp_sd_mm",
                largest_key="tb_sp_max_mm",
            ),
        ),
    ),
    ParameterGroup(
        "Number: three definitions, which differ by 15 % and more and are never to be mixed",
        (
            Parameter(
                "Tb.N (Parfitt)",
                "trabecular number",
                "tb_n_parfitt_per_mm",
                "1/mm",
                "Number of plates per length that would have this volume and this thickness.",
                PARFITT,
                formula="(BV/TV) / Tb.Th",
            ),
            Parameter(
                "Tb.N (plate)",
                "trabecular number",
                "tb_n_plate_per_mm",
                "1/mm",
                "Number of parallel plates per length with this thickness and this separation.",
                PARFITT,
                formula="1 / (Tb.Th + Tb.Sp)",
            ),
            Parameter(
                "Tb.N (direct)",
                "trabecular number",
                "tb_n_direct_per_mm",
                "1/mm",
                "Measured without a model: one over the mean distance of the mid-axes of the trabeculae.",
                DIRECT,
                formula="1 / mean mid-axis distance",
            ),
        ),
    ),
    ParameterGroup(
        "Surface and shape",
        (
            Parameter(
                "BS", "bone surface", "bs_mm2", "mm²", "Surface between bone and marrow, without the border.", PARFITT
            ),
            Parameter("BS/BV", "specific bone surface", "bs_bv_per_mm", "1/mm", "Surface per volume of bone.", PARFITT),
            Parameter(
                "Tb.Th (plate model)",
                "thickness, cross-check",
                "tb_th_plate_mm",
                "mm",
                "Thickness if all bone were plates: near Tb.Th where it is, near half of it where it is rods.",
                PARFITT,
                formula="2 BV / BS",
            ),
            Parameter(
                "Tb.Th (plate model, mesh)",
                "thickness, cross-check",
                "tb_th_mesh_plate_mm",
                "mm",
                "The same with the area of a surface mesh, which follows the voxels' steps: about 8 % smaller.",
                PARFITT,
                formula="2 BV / area of the mesh",
            ),
            Parameter(
                "SMI",
                "structure model index",
                "smi",
                "",
                "0 for plates, 3 for rods, 4 for spheres; below 0 where concave surface prevails. Moves with BV/TV.",
                f"{HILDEBRAND_SMI}; {OHSER}",
            ),
        ),
    ),
    ParameterGroup(
        "Connections and direction",
        (
            Parameter(
                "Conn.D",
                "connectivity density",
                "conn_d_per_mm3",
                "1/mm³",
                "Trabeculae per volume that could be cut before the network falls apart.",
                ODGAARD,
            ),
            Parameter(
                "χ",
                "Euler number",
                "euler_number",
                "",
                "Pieces less loops plus closed cavities of the bone: what Conn.D comes from.",
                ODGAARD,
            ),
            Parameter(
                "DA",
                "degree of anisotropy",
                "degree_of_anisotropy",
                "",
                "How much the structure has a direction: 1 if none.",
                MIL,
                formula="longest / shortest mean intercept length",
            ),
            Parameter(
                "DA (0 to 1)",
                "degree of anisotropy",
                "degree_of_anisotropy_0_to_1",
                "",
                "The same on the scale of BoneJ: 0 if it has no direction, 1 at most.",
                MIL,
                formula="1 − (shortest / longest)²",
            ),
        ),
    ),
)


def given(group: ParameterGroup, measures: dict) -> list[Parameter]:
    """The parameters of a group that a result shows: those that were measured, or should have been."""
    return [p for p in group.parameters if not p.on_request or measures.get(p.key) is not None]
