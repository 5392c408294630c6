"""The labelled voxels of each knee with a name and a colour for every number: bones, sub-regions, bands, regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import SUBREGIONS as SUBREGION_COLORS
from JointQuantLib.knee_colors import Color, band_colors
from JointQuantLib.knee_folder import BONE_NUMBERS, FIRST_COMPARTMENT, SUBREGION_NAMES, KneeFolder


@dataclass(frozen=True)
class Label:
    """What one number of a label volume is."""

    number: int
    name: str
    color: Color


@dataclass(frozen=True, eq=False)
class Labels:
    """Numbers [k, j, i] on the grid of the CT, 0 where nothing is, and what they are."""

    title: str
    array: np.ndarray
    entries: tuple[Label, ...]


def sided(knee: dict, name: str) -> str:
    """The name with the side of the knee before it, if that is known."""
    return f"{knee['side']} {name}" if knee.get("side") else name


def knee_title(knee: dict) -> str:
    return sided(knee, "knee").capitalize()


def bone_labels(result: KneeFolder, number: int, bones: np.ndarray) -> Labels:
    """The bones of a knee, given by its `number` in the result."""
    own = np.zeros_like(bones)
    box = own_box(result, number)
    own[box] = bones[box]
    entries = [Label(label, bone, BONE_COLORS[bone]) for bone, label in BONE_NUMBERS.items()]
    return Labels(f"{knee_title(result.knees[number])} bones", own, tuple(entries))


def subregion_labels(result: KneeFolder, number: int, regions: np.ndarray) -> Labels:
    """The sub-regions of femur and tibia, all depths together; numbered as in COMPARTMENTS.

    :param regions: the numbers of all regions that count depth from the surface of a bone.
    """
    chosen = _regions(result, number, "bone")
    numbers = {
        region["number"]: FIRST_COMPARTMENT[region["bone"]] + SUBREGION_NAMES.index(_subregion(region))
        for region in chosen
    }
    entries = tuple(
        Label(first + k, f"{bone} {name}", SUBREGION_COLORS[name])
        for bone, first in FIRST_COMPARTMENT.items()
        for k, name in enumerate(SUBREGION_NAMES)
        if first + k in numbers.values()
    )
    title = f"{knee_title(result.knees[number])} compartments and sub-regions"
    return Labels(title, _renumbered(regions, numbers), entries)


def band_labels(result: KneeFolder, number: int, regions: np.ndarray, from_surface: str) -> Labels:
    """The depth bands, all sub-regions together, numbered from 1 at the surface.

    :param from_surface: what depth counts from, "bone" or "plate"; `regions` are the numbers of those regions.
    """
    chosen = _regions(result, number, from_surface)
    bands = sorted({(region["depth_from_mm"], region["depth_to_mm"]) for region in chosen})
    numbers = {region["number"]: bands.index((region["depth_from_mm"], region["depth_to_mm"])) + 1 for region in chosen}
    entries = tuple(
        Label(k, f"{low:g} to {high:g} mm deep", tuple(map(float, color)))
        for k, ((low, high), color) in enumerate(zip(bands, band_colors(len(bands)), strict=True), start=1)
    )
    title = f"{knee_title(result.knees[number])} depth bands {_counted_from(from_surface)}"
    return Labels(title, _renumbered(regions, numbers), entries)


def region_labels(result: KneeFolder, number: int, regions: np.ndarray, from_surface: str) -> Labels:
    """Every region, a sub-region in one depth band, with the number it has in `result.json`."""
    chosen = _regions(result, number, from_surface)
    deepest = max((region["depth_to_mm"] for region in chosen), default=1.0)
    entries = []
    for region in chosen:
        name = f"{region['bone']} {_subregion(region)} {region['depth_from_mm']:g}-{region['depth_to_mm']:g} mm"
        shade = 1.0 - 0.5 * region["depth_from_mm"] / deepest
        color = tuple(shade * channel for channel in SUBREGION_COLORS[_subregion(region)])
        entries.append(Label(region["number"], name, color))
    title = f"{knee_title(result.knees[number])} regions {_counted_from(from_surface)}"
    return Labels(title, _renumbered(regions, {entry.number: entry.number for entry in entries}), tuple(entries))


def own_box(result: KneeFolder, number: int) -> tuple[slice, slice, slice]:
    """The voxels [k, j, i] of the CT that belong to a knee: where two boxes overlap, each has its half of that."""
    boxes = [np.array(knee["box_kji"]) for knee in result.knees]
    own = boxes[number].copy()
    for other in boxes[:number] + boxes[number + 1 :]:
        apart = other.mean(axis=1) - boxes[number].mean(axis=1)
        axis = int(np.argmax(np.abs(apart)))
        if apart[axis] > 0:
            own[axis, 1] = min(own[axis, 1], (own[axis, 1] + other[axis, 0] + 1) // 2)
        else:
            own[axis, 0] = max(own[axis, 0], (own[axis, 0] + other[axis, 1] + 1) // 2)
    return tuple(slice(int(low), int(high)) for low, high in own)


def _regions(result: KneeFolder, number: int, from_surface: str) -> list[dict]:
    return [region for region in result.knees[number]["regions"] if region["from_surface"] == from_surface]


def _subregion(region: dict) -> str:
    return f"{region['compartment']} {region['subregion']}"


def _counted_from(from_surface: str) -> str:
    return "below the plate" if from_surface == "plate" else "from the bone surface"


def _renumbered(labels: np.ndarray, numbers: dict[int, int]) -> np.ndarray:
    kind = np.uint8 if max(numbers.values(), default=0) < 256 else np.uint16
    table = np.zeros(max(int(labels.max(initial=0)), max(numbers, default=0)) + 1, kind)
    for old, new in numbers.items():
        table[old] = new
    return table[labels]
