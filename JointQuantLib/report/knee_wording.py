"""How the numbers and facts of a knee result are written. A result that is not known is a dash, never a zero."""

from __future__ import annotations

from JointQuantLib.knee_folder import SUBREGION_NAMES

from .wording import plain

DASH = "–"
HIGH, FAIR = 0.9, 0.75  # of the surface of a bone with clear cortex


def measured(value: float | None, decimals: int = 2) -> str:
    """A measured number, a dash where there is none."""
    return DASH if value is None else plain(value, decimals)


def percent(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.0f} %"


def width_words(row: dict, what: str, name: str) -> str:
    """A mean, median or smallest width of a part of a surface, as "0.62" in mm.

    Where the image does not resolve it, the order of the widths still holds: "< 0.43" for a median when half of the
    area is thinner than that, and for a smallest width (that 5 % of the area lie below) when 5 % are.
    """
    value = row[f"{what}_{name}_mm"]
    if value is not None:
        return plain(value, 2)
    share, limit = row[f"{what}_unresolved"], row[f"{what}_limit_mm"]
    least = {"median": 0.5, "smallest": 0.05}.get(name)
    if None in (share, limit, least) or share < least:
        return DASH
    return f"< {plain(limit, 2)}"


def band_words(low_mm: float, high_mm: float) -> str:
    return f"{low_mm:g}\N{EN DASH}{high_mm:g} mm"


def knees_words(sides: list[str]) -> str:
    """ "Right knee", or "Right and left knee"."""
    words = " and ".join(sides)
    return f"{words[0].upper()}{words[1:]} knee"


def confidence_words(confidence: float | None) -> str:
    """How sure a bone is, in words and with the share that they rest on."""
    if confidence is None:
        return "drawn elsewhere"
    words = "high" if confidence >= HIGH else "fair" if confidence >= FAIR else "low"
    return f"{words} ({100 * confidence:.0f} %)"


def borders_words(faces: list[str]) -> str:
    return f"by the {' and '.join(faces)} border" if faces else "no"


def blur_words(blur: dict | None) -> str:
    """The width of a blur with its 95 % interval, and what told it."""
    if blur is None:
        return "not known"
    half = 1.96 * blur["error_mm"]
    return (
        f"{blur['fwhm_mm']:.2f} mm (FWHM; 95 % interval {blur['fwhm_mm'] - half:.2f} to {blur['fwhm_mm'] + half:.2f} "
        f"mm), from {blur['profiles']} profiles across {blur['edges']}"
    )


def patch_words(rule: dict, grid_mm: float) -> list[str]:
    """By which rule patches were placed and sampled, a sentence each."""
    top, bottom = rule["band_mm"]
    edge = rule["edge_mm"]
    steps = round(edge / grid_mm)
    side_by_side = "side by side" if rule["overlap"] == 0 else f"overlapping by {percent(rule['overlap'])} of an edge"
    return [
        (
            f"Cubes of {edge:g} mm under the articular surface, between {top:g} and {bottom:g} mm below it, their "
            f"upper face parallel to the surface there (its direction averaged over {rule['normal_mm']:g} mm)."
        ),
        (
            f"They lie on a lattice in the bone's own frame, {side_by_side}, so that a patch has the same name and "
            "place in every image of the bone."
        ),
        (
            f"At least {percent(rule['least_inside'])} of a cube lies in that depth, in the bone and under its "
            "articular surface."
        ),
        (
            f"Each is sampled at {grid_mm:g} mm ({steps} × {steps} × {steps} values); where that is coarser than the "
            "voxels, the CT is smoothed first."
        ),
    ]


def narrowest(rows: list[dict], what: str) -> tuple[str, str] | None:
    """The smallest width of all parts of a surface as written, and the name of the part; None where none is known.

    A width below what the image resolves is smaller than any that is resolved.
    """
    known = [(row, width_words(row, what, "smallest")) for row in rows]
    known = [(row, words) for row, words in known if words != DASH]
    if not known:
        return None
    row, words = min(known, key=lambda of: of[0][f"{what}_smallest_mm"] or 0.0)
    return words, row["subregion"]


def range_words(values: list[float], decimals: int) -> str:
    """ "0.59 to 0.80", or one number where both ends are written alike; a dash where there is none."""
    if not values:
        return DASH
    low, high = plain(min(values), decimals), plain(max(values), decimals)
    return low if low == high else f"{low} to {high}"


def in_table_order(rows: list[dict]) -> list[dict]:
    """Rows of regions or surfaces: medial before lateral, from front to back, from the surface of the bone down."""
    return sorted(
        rows,
        key=lambda row: (
            SUBREGION_NAMES.index(f"{row['compartment']} {row['subregion']}"),
            row.get("depth_from_mm", 0.0),
        ),
    )
