"""Real micro-CT of human trabecular bone, from ../shared/data: beside what others published and computed.

Two cubes: grey values with a published volume fraction, and a segmented specimen that fills only part of its box.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from morphometry_peers import localthickness_diameter, porespy_diameter
from scipy import ndimage
from skimage.filters import gaussian
from skimage.morphology import ball, closing

from SubchondralBoneAnalysisLib.morphometry import measure

THRESHOLD = 63
JSON_SIZES = 40  # of porespy, as the values in the JSON were computed
SPECIMEN_GAP_MM = 0.9  # wider than most gaps between trabeculae
SPECIMEN_MARGIN_MM = 0.25


def available(shared_data: Path) -> bool:
    return (shared_data / "trabecular-microct" / "lhdl_crop200.nrrd").exists()


def cube(shared_data: Path) -> list[dict]:
    """The human cube: volume fraction by the published recipe."""
    grey, _, reference = _cube(shared_data)
    smooth = ndimage.zoom(gaussian(grey, 1, preserve_range=True), 0.5, order=2) > THRESHOLD
    labels, _ = ndimage.label(closing(smooth, ball(3)))
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    published = reference["published_by_source"]
    return [
        {
            "quantity": "BV/TV, %",
            "recipe": published["recipe"],
            "published": published["BVTV_percent"],
            "reproduced before": published["reproduced_here"],
            "ours": round(100 * float(largest.mean()), 4),
        }
    ]


def cube_thickness(shared_data: Path) -> list[dict]:
    """Both published segmentations of the human cube: our values beside those of two other programs."""
    grey, spacing_mm, reference = _cube(shared_data)
    edge = spacing_mm[0]
    rows = []
    for name, values in (("raw>63", grey), ("gauss1>63", ndimage.gaussian_filter(grey, 1))):
        structure = values > THRESHOLD
        known = reference["computed_here_independent"][name]
        ours, maps = measure(structure, spacing_mm)
        pore = {
            "Tb.Th": porespy_diameter(structure) * edge,
            "Tb.Sp": porespy_diameter(~structure) * edge,
        }
        stencil = {
            "Tb.Th": localthickness_diameter(structure) * edge,
            "Tb.Sp": localthickness_diameter(~structure) * edge,
        }
        rows.append(_row(name, "BV/TV", ours.bv_tv) | {"in the JSON, porespy sizes=40": round(known["BVTV"], 4)})
        for quantity, phase, exact, raw, corrected in (
            ("Tb.Th", structure, maps.tb_th_mm, ours.tb_th_raw_mm, ours.tb_th_mm),
            ("Tb.Sp", ~structure, maps.tb_sp_mm, ours.tb_sp_raw_mm, ours.tb_sp_mm),
        ):
            short = quantity.replace(".", "")
            # Rounded down to whole radii, the way porespy has them.
            whole = 2 * edge * np.floor(exact[phase] / (2 * edge) + 1e-4).mean()
            rows.append(
                _row(name, f"{quantity}, mm", raw)
                | {
                    "ours, corrected": round(corrected, 4),
                    "ours in whole radii": round(float(whole), 4),
                    "porespy, default, now": round(float(pore[quantity][phase].mean()), 4),
                    "in the JSON, porespy sizes=40": round(known[f"{short}_porespy_diam_mm"], 4),
                    "in the JSON, ormir-xct": round(
                        known[f"{short}_ormir_oversampled_skeletonised_mean_sd_min_max_mm"][0], 4
                    ),
                    "localthickness, now": round(float(stencil[quantity][phase].mean()), 4),
                }
            )
        for quantity, value in (
            ("Tb.N, BV/TV over Tb.Th, 1/mm", ours.tb_n_parfitt_per_mm),
            ("Tb.N, 1/(Tb.Th + Tb.Sp), 1/mm", ours.tb_n_plate_per_mm),
            ("Tb.N, direct, 1/mm", ours.tb_n_direct_per_mm),
            ("Tb.Th, plate model by lines, mm", ours.tb_th_plate_mm),
            ("Tb.Th, plate model by mesh, mm", ours.tb_th_mesh_plate_mm),
            ("Conn.D, 1/mm3", ours.conn_d_per_mm3),
            ("SMI", ours.smi),
            ("degree of anisotropy", ours.degree_of_anisotropy),
            ("Tb.Sp: share near the border", ours.tb_sp_near_border),
        ):
            rows.append(_row(name, quantity, value))
    return rows


def specimen(shared_data: Path) -> list[dict]:
    """The specimen inside its own outline: what lies outside is unknown, or is taken for marrow.

    The outline is a closing of the bone by a sphere as wide as the gaps, with its holes filled; it is measured at a
    distance from the outline.
    """
    image = sitk.ReadImage(str(shared_data / "trabecular-microct" / "specimen_p6_mask.nii.gz"))
    structure = sitk.GetArrayFromImage(image) > 0
    spacing_mm = image.GetSpacing()[::-1]
    outline = _outline(structure, spacing_mm)
    region = ndimage.distance_transform_edt(np.pad(outline, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    region = region > SPECIMEN_MARGIN_MM
    rows = []
    for name, inside, known in (
        ("whole box", None, None),
        ("inside the outline; beyond it as in the picture (context)", region, None),
        ("inside the outline; beyond it unknown", region, outline),
    ):
        m, _ = measure(structure, spacing_mm, inside, known)
        rows.append(
            {
                "region": name,
                "TV, mm3": round(m.tv_mm3, 1),
                "BV/TV": round(m.bv_tv, 4),
                "Tb.Th raw, mm": round(m.tb_th_raw_mm, 4),
                "Tb.Th, mm": round(m.tb_th_mm, 4),
                "Tb.Sp raw, mm": round(m.tb_sp_raw_mm, 4),
                "Tb.Sp, mm": round(m.tb_sp_mm, 4),
                "Tb.Sp largest, mm": round(m.tb_sp_max_mm, 3),
                "Tb.Th near the border, %": round(100 * m.tb_th_near_border, 1),
                "Tb.Sp near the border, %": round(100 * m.tb_sp_near_border, 1),
            }
        )
    return rows


def _outline(structure: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Closing by a sphere of SPECIMEN_GAP_MM, by two distance maps, and holes filled."""
    radius = SPECIMEN_GAP_MM / 2
    frame = [int(np.ceil(radius / s)) + 1 for s in spacing_mm]
    framed = np.pad(structure, [(n, n) for n in frame])
    wide = ndimage.distance_transform_edt(~framed, sampling=spacing_mm) <= radius
    closed = ndimage.distance_transform_edt(wide, sampling=spacing_mm) > radius
    inner = tuple(slice(n, -n) for n in frame)
    return ndimage.binary_fill_holes(closed)[inner]


def _cube(shared_data: Path) -> tuple[np.ndarray, tuple[float, float, float], dict]:
    folder = shared_data / "trabecular-microct"
    image = sitk.ReadImage(str(folder / "lhdl_crop200.nrrd"))
    reference = json.loads((folder / "reference_morphometry.json").read_text(encoding="utf-8"))
    return sitk.GetArrayFromImage(image).astype(np.float64), image.GetSpacing()[::-1], reference


def _row(segmentation: str, quantity: str, value: float) -> dict:
    return {
        "segmentation": segmentation,
        "quantity": quantity,
        "ours, raw": round(value, 4),
        "ours, corrected": "",
        "ours in whole radii": "",
        "porespy, default, now": "",
        "in the JSON, porespy sizes=40": "",
        "in the JSON, ormir-xct": "",
        "localthickness, now": "",
    }
