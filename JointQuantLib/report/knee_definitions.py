"""What the words of the knee page mean, from whom the definitions are, and what the files of the folder hold."""

from __future__ import annotations

from JointQuantLib.knee_folder import (
    AGREEMENT,
    BANDS,
    BANDS_BELOW_PLATE,
    BONES,
    BONES_ON_MR,
    COMPARTMENTS,
    CT,
    CT_ON_MR,
    DEPTH,
    JOINT_SPACE,
    METAL,
    MR,
    PATCH_TABLE,
    PLATE,
    REGION_TABLE,
    REGIONS,
    REGIONS_BELOW_PLATE,
    SOFT_TISSUE,
    SURFACE_TABLE,
    SYNTHETIC_CT,
    KneeFolder,
)

GRID = "on the grid of the CT, 0 where there is none"
ON_MR = "on the grid of the MR"
FILES = {
    "result.json": "all numbers of this page with their reasons",
    REGION_TABLE: "a row per region: volume, HU, BV/TV, texture",
    SURFACE_TABLE: "a row per sub-region of an articular surface: plate and joint space",
    PATCH_TABLE: "a row per patch: place in LPS, axes, HU, BV/TV",
    CT: "the CT in HU as it was measured",
    METAL: "metal and what its streaks reach, which is not measured",
    BONES: f"1 femur, 2 tibia, 3 patella, 4 fibula, {GRID}",
    COMPARTMENTS: f"sub-regions, 1 to 6 of the femur and 7 to 12 of the tibia, {GRID}",
    REGIONS: f"numbers of the regions below the surface of the bone (No. in the table), {GRID}",
    REGIONS_BELOW_PLATE: f"numbers of the regions below the plate, {GRID}",
    BANDS: f"depth bands from 1 below the surface of the bone, {GRID}",
    BANDS_BELOW_PLATE: f"depth bands from 1 below the plate, {GRID}",
    DEPTH: f"depth below the surface of the bone in mm, {GRID}",
    PLATE: f"thickness of the subchondral plate in mm, {GRID}",
    JOINT_SPACE: f"joint space width in mm between the bones, {GRID}",
    MR: "the MR as it was measured",
    SYNTHETIC_CT: f"Synthetic CT (from MR, for alignment only; not measured), {ON_MR}",
    AGREEMENT: f"how well CT and MR agree around each place, 0 to 1, {ON_MR}, NaN where it is not known",
    CT_ON_MR: f"the CT laid on the MR bone by bone, to look at, {ON_MR}",
    BONES_ON_MR: f"the bones of the CT laid on the MR, to look at, {ON_MR}",
    SOFT_TISSUE: "deformation of the soft tissue, from the MR to the CT laid on it: displacements in mm (LPS)",
}
TRANSFORMS = "rigid motion of a bone or the whole knee that takes a place (LPS, mm) in the CT to the MR, or back (ITK)"
SURFACES = "surface of a bone in LPS, legacy VTK"


def definitions_of(content: dict) -> list[tuple[str, str, str]]:
    """Term, meaning and source of what is measured."""
    said = content["definitions"]
    return [
        (
            "Articular surface",
            (
                "of the tibia what looks up at the height of its plateau, of the femur the condyles and the trochlea "
                "near their silhouette from the side, however far the knee was bent; a rim of 3 mm and the inner tenth "
                "of the width on both sides of the midline (eminence and notch), and on the tibia the intercondylar "
                "areas before and behind the spines, are left out of the regions"
            ),
            "",
        ),
        (
            "Sub-regions of the tibia",
            said["subregions"]["tibia"],
            "Hunter et al., Osteoarthritis Cartilage 2011;19:990.",
        ),
        (
            "Sub-regions of the femur",
            f"anterior, central and posterior are {said['subregions']['femur']}",
            (
                "Eckstein et al., Osteoarthritis Cartilage 2006;14:974; Wirth and Eckstein, IEEE Trans Med Imaging "
                "2008;27:737."
            ),
        ),
        (
            "Depth bands",
            said["depth"],
            (
                "Bands of 0 to 2.5, 2.5 to 5 and 5 to 10 mm: Johnston et al., Skeletal Radiol 2010;39:867 (CT-TOMASD: "
                "Osteoarthritis Cartilage 2009;17:1319). Those below the plate leave the plate out, as its blur "
                "spreads into the first band."
            ),
        ),
        (
            "Subchondral plate",
            (
                "thickness of the layer of compact bone at the surface, by a model of how the scanner blurs it. One "
                f"attenuation is taken for all of it ({_attenuations(content)}): bone that is less dense counts as "
                "thinner. Where it is thinner than the image can tell, no number is given"
            ),
            "After Treece et al., Med Image Anal 2010;14:276.",
        ),
        (
            "Joint space",
            (
                "distance from the articular surface of the tibia to that of the femur; smallest is what 5 % of the "
                "area lie below, as a single point is noise. In a CT that is taken lying the knee is "
                "not loaded, which widens it against a standing radiograph"
            ),
            "",
        ),
        (
            "BV/TV by density",
            f"{said['density']} Low and high are the ends for what is assumed. It is no count of trabeculae",
            "",
        ),
        (
            "Texture",
            (
                "spread (SD) about the local mean and the mean by depth, less the noise of the image; skewness and the "
                "length over which values are alike (grain) of the same values, the noise included"
            ),
            "",
        ),
    ]


def _attenuations(content: dict) -> str:
    """The attenuation of compact bone that the plates were measured with."""
    found = [knee["plate"]["attenuation_hu"] for knee in content["knees"]]
    return ", ".join(f"{hu:.0f} HU" for hu in found if hu is not None) or "none was measured"


def files_of(result: KneeFolder) -> list[tuple[str, str]]:
    """The files that the folder holds, with what is in them."""
    found = [(name, words) for name, words in FILES.items() if result.file(name) is not None]
    surfaces = [bone["model"] for knee in result.knees for bone in knee["bones"] if bone["model"]]
    found += [(name, SURFACES) for name in surfaces if result.file(name) is not None]
    if any(result.path.glob("*_to_*.tfm")):
        found.append(("ct_to_mr_*.tfm, mr_to_ct_*.tfm", TRANSFORMS))
    if any(result.path.glob("view_*.png")):
        found.append(("view_*.png", "the slice views and surfaces of this page, larger"))
    return found
