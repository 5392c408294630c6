"""Slices through the joint of one knee with its bones, regions or maps over the CT, drawn without Slicer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from JointQuantLib.even_colors import mixed
from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import (
    JOINT_SPACE_TOP_MM,
    PLATE_TOP_MM,
    SUBREGIONS,
    band_colors,
    joint_space_ramp,
    plate_ramp,
)
from JointQuantLib.knee_folder import (
    BONE_NUMBERS,
    BONES,
    COMPARTMENTS,
    CT,
    FIRST_COMPARTMENT,
    SUBREGION_NAMES,
    KneeFolder,
)
from JointQuantLib.volume_planes import PLANES, Plane, axis_letters, middle_of

from .map_pictures import edge_letters, round_length
from .pictures import jpeg

WINDOW_HU = (-250.0, 1150.0)  # black and white
MARGIN_MM = 18.0  # that is shown around the regions
LABEL_SHARE, MAP_SHARE = 0.5, 0.85  # of its colour over the CT
WIDEST_PX = 312.0  # of a drawn slice on the page: three stand in a row
NARROWEST_PX = 205.0  # of one that shows whole bones: four do
PLANE_NAMES = ("axial", "coronal", "sagittal")  # by `PLANES`


# Of a slice [row, column] of a layer its colours [row, column, 3] and their share over the CT [row, column].
Paint = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Picture:
    """One picture; `width` and `height` of a drawn slice are CSS pixels true to its millimetres.

    `edges` are the letters at the left, right, top and bottom and `bar` the length of a scale bar in percent of the
    width with its words; both None for a view, which has its own.
    """

    caption: str
    address: str
    width: float
    height: float
    edges: tuple[str, str, str, str] | None = None
    bar: tuple[float, str] | None = None


@dataclass(frozen=True)
class JointSlices:
    """Three slices through the joint of one knee, of arrays whose k, j, i run nearest to S, P, L.

    :param box: the part of the volumes that shows this knee.
    :param order: the axes of the volumes by the axes of the slices, with the signs in which they run.
    :param shown: the part of the turned arrays that is shown.
    """

    box: tuple[slice, ...]
    order: tuple[tuple[int, int], ...]
    shown: tuple[slice, ...]
    ct: np.ndarray
    bones: np.ndarray
    middles: tuple[int, int, int]  # of the slices: axial, coronal, sagittal
    spacing_mm: tuple[float, ...]
    letters: tuple[str, str, str]

    @classmethod
    def of(cls, result: KneeFolder, knee: dict) -> JointSlices | None:
        """None where the folder holds no CT or no bones."""
        box = tuple(slice(*ends) for ends in knee["box_kji"])
        order, letters = nearest_axes(result.direction_lps)
        ct, bones, parts = (result.array(name) for name in (CT, BONES, COMPARTMENTS))
        if ct is None or bones is None:
            return None
        ct, bones = (turned(array[box], order) for array in (ct, bones))
        parts = np.zeros(bones.shape, np.uint8) if parts is None else turned(parts[box], order)
        spacing = tuple(result.spacing_mm[axis] for axis, _ in order)
        shown = around(parts if parts.any() else bones, spacing)
        return cls(box, order, shown, ct, bones, middles_of(parts, bones), spacing, letters)

    def pictures(self, result: KneeFolder, what: str, file: str) -> list[Picture]:
        """The three slices with one layer over the CT; none where the folder has no such volume."""
        layer = result.array(file)
        if layer is None:
            return []
        layer = turned(layer[self.box], self.order)
        paint = painter(what, result)
        if what == "bones":
            return self.bone_pictures(layer, paint)
        axial = self.middles[0]
        if what in ("plate", "joint_space"):  # thin: the slice that shows most of it
            counts = ((layer > 0) & (self.bones != BONE_NUMBERS["femur"])).sum(axis=(1, 2))
            axial = int(counts.argmax()) if counts.any() else axial
        extents = [(part.stop - part.start) * s for part, s in zip(self.shown, self.spacing_mm, strict=True)]
        scale = WIDEST_PX / max(extents)
        names = ("axial, tibia", "coronal", "sagittal, medial compartment")
        if what == "joint_space":
            names = ("axial, through the joint", *names[1:])
        drawn = [
            self.picture(plane, at, words, layer, paint, scale)
            for plane, at, words in zip(PLANES, (axial, *self.middles[1:]), names, strict=True)
        ]
        return [drawn[1], drawn[2], drawn[0]]  # as the joint is read: from the front, from the side, across

    def bone_pictures(self, layer: np.ndarray, paint: Paint) -> list[Picture]:
        """Slices that show all four bones, of all that the volume holds of them."""
        whole = replace(self, shown=around(self.bones, self.spacing_mm))
        patella, fibula = (middle_of_bone(self.bones, name, self.middles) for name in ("patella", "fibula"))
        chosen = (
            (1, self.middles[1], "tibia"),
            (2, patella[2], "patella"),
            (0, patella[0], "patella"),
            (0, fibula[0], "fibula"),
        )
        extents = [(part.stop - part.start) * s for part, s in zip(whole.shown, self.spacing_mm, strict=True)]
        scale = NARROWEST_PX / min(extents)
        return [
            whole.picture(PLANES[n], at, f"{PLANE_NAMES[n]}, through the {bone}", layer, paint, scale)
            for n, at, bone in chosen
        ]

    def picture(self, plane: Plane, index: int, words: str, layer: np.ndarray, paint: Paint, scale: float) -> Picture:
        """One slice at `scale` CSS pixels per mm.

        :param layer: [k, j, i] on the grid of the CT.
        """
        at = [*self.shown]
        at[plane.across] = slice(index, index + 1)
        at = tuple(at)

        def cut(array: np.ndarray) -> np.ndarray:
            return plane.cut(array[at], 0)

        grey = np.clip((cut(self.ct) - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]), 0, 1)[..., None]
        colour, share = paint(cut(layer))
        picture = (1 - share[..., None]) * grey + share[..., None] * colour
        rows, columns = picture.shape[:2]
        width_mm, height_mm = columns * self.spacing_mm[plane.right], rows * self.spacing_mm[plane.vertical]
        bar_mm = round_length(0.3 * width_mm)
        return Picture(
            words,
            jpeg(picture),
            scale * width_mm,
            scale * height_mm,
            edge_letters(plane, self.letters),
            (100 * bar_mm / width_mm, f"{bar_mm:g} mm"),
        )


def painter(what: str, result: KneeFolder) -> Paint:
    """How slices of what is shown are coloured."""
    if what in ("plate", "joint_space"):
        ramp, top = (plate_ramp(), PLATE_TOP_MM) if what == "plate" else (joint_space_ramp(), JOINT_SPACE_TOP_MM)
        return lambda values: (mixed(ramp, np.clip(values / top, 0, 1)), MAP_SHARE * (values > 0))
    table = np.zeros((256, 3))
    if what == "bones":
        for name, number in BONE_NUMBERS.items():
            table[number] = BONE_COLORS[name]
    elif what == "compartments":
        for first in FIRST_COMPARTMENT.values():
            for number, name in enumerate(SUBREGION_NAMES, first):
                table[number] = SUBREGIONS[name]
    else:
        bands = band_colors(len(result.content["parameters"]["bands_mm"]))
        table[1 : len(bands) + 1] = bands
    return lambda labels: (table[labels], LABEL_SHARE * (labels > 0))


def nearest_axes(direction_lps: list[float]) -> tuple[tuple[tuple[int, int], ...], tuple[str, str, str]]:
    """For slices along S, P and L: the array axis nearest to each with the sign in which it runs; and their letters."""
    direction = np.asarray(direction_lps, float).reshape(3, 3)[:, ::-1]  # columns by array axis k, j, i
    rows = (2, 1, 0)  # S, P, L
    best = max(
        permutations(range(3)), key=lambda axes: sum(abs(direction[r, a]) for r, a in zip(rows, axes, strict=True))
    )
    order = tuple((axis, 1 if direction[row, axis] >= 0 else -1) for row, axis in zip(rows, best, strict=True))
    turned_direction = np.stack([sign * direction[:, axis] for axis, sign in order[::-1]], axis=1)
    # A CT always lies in a body: where its axes are those of the body, `axis_letters` takes it for a bare volume.
    return order, axis_letters(turned_direction.ravel().tolist()) or ("S", "P", "L")


def middle_of_bone(bones: np.ndarray, name: str, otherwise: tuple[int, int, int]) -> tuple[int, int, int]:
    inside = bones == BONE_NUMBERS[name]
    return middle_of(bones.shape, inside) if inside.any() else otherwise


def turned(array: np.ndarray, order: tuple[tuple[int, int], ...]) -> np.ndarray:
    return array.transpose([axis for axis, _ in order])[tuple(slice(None, None, sign) for _, sign in order)]


def around(inside: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[slice, ...]:
    """The box around what is not 0 with a margin."""
    box = []
    for axis, spacing in enumerate(spacing_mm):
        taken = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        more = round(MARGIN_MM / spacing)
        first, last = (taken[0], taken[-1]) if len(taken) else (0, inside.shape[axis] - 1)
        box.append(slice(max(0, int(first) - more), min(inside.shape[axis], int(last) + more + 1)))
    return tuple(box)


def middles_of(parts: np.ndarray, bones: np.ndarray) -> tuple[int, int, int]:
    """Where the slices are: axial with most of the tibial regions, coronal in their middle, sagittal medially."""
    tibial = parts >= FIRST_COMPARTMENT["tibia"]
    if not tibial.any():
        return middle_of(bones.shape, bones > 0)
    loaded = [parts == first + SUBREGION_NAMES.index("medial central") for first in FIRST_COMPARTMENT.values()]
    _, coronal, _ = middle_of(parts.shape, tibial)
    middles = [middle_of(parts.shape, chosen)[2] for chosen in loaded if chosen.any()]
    sagittal = round(sum(middles) / len(middles)) if middles else middle_of(parts.shape, tibial)[2]
    return int(tibial.sum(axis=(1, 2)).argmax()), coronal, sagittal
