"""A thickness or separation map over the structure: three slices through the middle of the region, in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from JointQuantLib.volume_planes import AXIS_NAMES, PLANES, Plane, opposite

from .pictures import encoded

COLOURS = 240  # palette entries of the map; the last 16 are for what is not measured
MARROW, BONE, BONE_OUTSIDE = COLOURS, COLOURS + 1, COLOURS + 2
GREYS = {MARROW: 0.09, BONE: 0.86, BONE_OUTSIDE: 0.40}  # outside: of the region that was measured
LARGEST_PIXELS = 900  # of a side of a picture; every nth voxel is shown of a larger one
ROW_WIDTH, ROW_HEIGHT = 1140.0, 420.0  # of the three slices together, in CSS pixels
LETTERS_WIDTH = 155.0  # of which the letters beside them take so much


@dataclass(frozen=True)
class SlicePicture:
    """One slice; `width` and `height` in CSS pixels are true to the millimetres of the voxels.

    `outlines` are of the region, as polygon points with 0 to 100 across and down. `edges` are the letters at the left,
    right, top and bottom, None where the volume does not know the body. The scale bar is a share of the width.
    """

    title: str
    address: str
    width: float
    height: float
    right_axis: str
    vertical_axis: str
    upward: bool
    edges: tuple[str, str, str, str] | None
    outlines: list[str]
    bar_percent: float
    bar_words: str


@dataclass(frozen=True)
class Layers:
    """What is drawn: arrays [k, j, i] on one grid. A layer is None where the folder holds no such file."""

    structure: np.ndarray | None
    region: np.ndarray | None
    values_mm: np.ndarray | None


def palette(ramp: np.ndarray) -> np.ndarray:
    """256 RGB colours, uint8: COLOURS from the bottom to the top of a ramp (n, 3), then the greys."""
    at, steps = np.linspace(0, 1, len(ramp)), np.linspace(0, 1, COLOURS)
    colours = np.zeros((256, 3))
    colours[:COLOURS] = np.stack([np.interp(steps, at, ramp[:, channel]) for channel in range(3)], axis=1)
    for index, brightness in GREYS.items():
        colours[index] = brightness
    return np.round(255 * colours).astype(np.uint8)


def map_indices(values_mm: np.ndarray | None, bone: np.ndarray, inside: np.ndarray | None, top_mm: float) -> np.ndarray:
    """Palette index of every pixel [row, column]: the colour of its value where it has one, else bone or marrow."""
    base = np.where(bone > 0, BONE, MARROW)
    if inside is not None:
        base = np.where((bone > 0) & (inside == 0), BONE_OUTSIDE, base)
    if values_mm is None:
        return base.astype(np.uint8)
    colour = np.round(np.clip(values_mm / top_mm, 0, 1) * (COLOURS - 1))
    return np.where(values_mm > 0, colour, base).astype(np.uint8)


def draw_slices(
    layers: Layers,
    middle: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    letters: tuple[str, str, str] | None,
    ramp: np.ndarray,
    top_mm: float,
) -> list[SlicePicture]:
    """The three slices through `middle` [k, j, i], all at the same scale; none where there is nothing to draw.

    :param letters: where array axes 0, 1, 2 point to in the body, or None.
    :param ramp: colours (n, 3) of 0 to `top_mm`.
    """
    ground = layers.structure if layers.structure is not None else layers.values_mm
    if ground is None:
        return []
    extent = [n * s for n, s in zip(ground.shape, spacing_mm, strict=True)]
    scale = min(
        (ROW_WIDTH - (LETTERS_WIDTH if letters else 0.0)) / sum(extent[plane.right] for plane in PLANES),
        ROW_HEIGHT / max(extent[plane.vertical] for plane in PLANES),
    )
    return [
        draw_slice(layers, ground, plane, middle[plane.across], spacing_mm, letters, ramp, top_mm, scale)
        for plane in PLANES
    ]


def draw_slice(
    layers: Layers,
    ground: np.ndarray,
    plane: Plane,
    index: int,
    spacing_mm: tuple[float, float, float],
    letters: tuple[str, str, str] | None,
    ramp: np.ndarray,
    top_mm: float,
    scale: float,
) -> SlicePicture:
    """One slice at `scale` CSS pixels per mm."""
    bone, values, inside = (
        None if layer is None else plane.cut(layer, index) for layer in (ground, layers.values_mm, layers.region)
    )
    indices = map_indices(values, bone, inside, top_mm)
    step = max(1, -(-max(indices.shape) // LARGEST_PIXELS))
    image = Image.fromarray(np.ascontiguousarray(indices[::step, ::step]))
    image.putpalette(palette(ramp).tobytes(), "RGB")
    rows, columns = indices.shape
    width_mm, height_mm = columns * spacing_mm[plane.right], rows * spacing_mm[plane.vertical]
    bar_mm = round_length(0.3 * width_mm)
    return SlicePicture(
        f"Slice {plane.name} = {index}",
        encoded(image, "PNG"),
        scale * width_mm,
        scale * height_mm,
        AXIS_NAMES[plane.right],
        AXIS_NAMES[plane.vertical],
        plane.upward,
        edge_letters(plane, letters),
        [] if inside is None else outlines_of(inside),
        100 * bar_mm / width_mm,
        f"{bar_mm:g} mm" if bar_mm >= 0.1 else f"{1000 * bar_mm:g} µm",
    )


def edge_letters(plane: Plane, letters: tuple[str, str, str] | None) -> tuple[str, str, str, str] | None:
    """Letters at the left, right, top and bottom edge."""
    if letters is None:
        return None
    right, along = letters[plane.right], letters[plane.vertical]
    top, bottom = (along, opposite(along)) if plane.upward else (opposite(along), along)
    return opposite(right), right, top, bottom


def outlines_of(inside: np.ndarray) -> list[str]:
    """Outlines of a region [row, column] as polygon points, 0 to 100 across and down the slice."""
    rows, columns = inside.shape
    found = []
    for line in find_contours(np.pad(inside > 0, 1).astype(float), 0.5):
        points = approximate_polygon(line, 0.7) - 0.5  # the pad shifts by one, the corner of a pixel by half of one
        found.append(" ".join(f"{100 * x / columns:.2f},{100 * y / rows:.2f}" for y, x in points))
    return found


def round_length(length: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not longer."""
    unit = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (unit, 2 * unit, 5 * unit) if step <= length * (1 + 1e-9)))
