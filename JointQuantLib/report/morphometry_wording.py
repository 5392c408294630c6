"""How the numbers and facts of a morphometry result are written."""

from __future__ import annotations

import math

from JointQuantLib.morphometry_folder import MorphometryFolder

from .wording import MINUS, plain

DIGITS = 4  # that count, of every measured number


def number(value: float | int | None, like: float | None = None) -> str:
    """A measured number with four digits that count and no exponent; a dash where there is none.

    :param like: a number whose decimals it takes, so that both can be read as one pair.
    """
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value).replace("-", MINUS)
    size = abs(like or value)
    return "0" if size == 0 else plain(value, max(0, DIGITS - 1 - math.floor(math.log10(size))))


def length(mm: float) -> str:
    """A voxel side or a part of one: in µm below 0.1 mm."""
    return f"{1000 * mm:.4g} µm" if mm < 0.1 else f"{mm:.4g} mm"


def voxel_words(spacing_mm: tuple[float, float, float]) -> str:
    """The size of a voxel: one length where its sides are equal, else along i, j and k."""
    k, j, i = spacing_mm
    if max(spacing_mm) - min(spacing_mm) <= 1e-6 * max(spacing_mm):
        return f"{length(i)} in all directions"
    if max(spacing_mm) < 0.1:
        return f"{1000 * i:.4g} × {1000 * j:.4g} × {1000 * k:.4g} µm along i, j, k"
    return f"{i:.4g} × {j:.4g} × {k:.4g} mm along i, j, k"


def size_words(size: tuple[int, int, int]) -> str:
    k, j, i = size
    return f"{i} × {j} × {k} voxels along i, j, k"


def region_words(result: MorphometryFolder) -> str:
    """What was measured, how large it is, and what the structure outside it was taken for."""
    region = result.content["region"]
    whole = region["source"] == "whole volume"
    what = "The whole volume" if whole else f"The region in {region['source']}"
    size = f"{number(region['volume_mm3'])} mm³, {region['voxels']} voxels"
    outside = {
        "context": "" if whole else " The structure around it was used as context and is not measured.",
        "unknown": " What lies outside was taken as unknown.",
    }[region["outside"]]
    return f"{what} ({size}).{outside}"


def border_words(measures: dict, outside: str) -> list[str]:
    """How much of the maps may be cut by the border of what is known, a sentence each; `outside` as in the result."""
    words, border = [], "border of the region" if outside == "unknown" else "border of the volume"
    for name, what, key in (("Tb.Th", "bone", "tb_th_near_border"), ("Tb.Sp", "marrow", "tb_sp_near_border")):
        share = measures.get(key)
        if share is not None:
            words.append(
                f"{100 * share:.1f} % of the {what} that was measured lies nearer to the {border} than its "
                f"own {name}: spheres there may be cut."
            )
    return words
