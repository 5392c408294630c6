"""What a hand film shows besides the hand: collimation, letters, labels, rings, a plaster cast, a wiped background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

LEAD_MM = 40.0  # as much bone as stops the beam like lead
GOLD_MM = 18.0


@dataclass(frozen=True)
class Clutter:
    """Drawn once a film. Arrays [row, column]; open_field 0..1."""

    open_field: np.ndarray
    letters: np.ndarray  # lead letters, 0..1
    labels: np.ndarray  # printed on afterwards: NaN where the film is free
    plaster_mm: np.ndarray | float
    rings: tuple[tuple[int, str], ...]  # hand, phalanx
    background: str  # "as it is", "wiped" (black), "white" (outside the field)

    @staticmethod
    def draw(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> Clutter:
        plaster: np.ndarray | float = 0.0
        if rng.random() < 0.06:
            plaster = rng.uniform(4, 14) * np.exp(0.3 * ndimage.gaussian_filter(rng.standard_normal(shape), 2) * 4)
        phalanx = [f"PP{f}" for f in range(1, 6)] + ["MP3", "MP4"]
        rings = tuple((int(rng.integers(0, 2)), str(rng.choice(phalanx))) for _ in range(int(rng.random() < 0.12)))
        return Clutter(
            _open_field(rng, shape),
            _letters(rng, shape, pixel_mm),
            _labels(rng, shape),
            plaster,
            rings,
            str(rng.choice(["as it is", "wiped", "white"], p=[0.5, 0.3, 0.2])),
        )

    def metal_mm(self, hands, views, pixel_mm: float) -> np.ndarray:
        """Metal on the film, as mm of bone."""
        metal = self.letters * LEAD_MM
        for number, name in self.rings:
            if number >= len(hands) or name not in hands[number].bones:
                continue
            bone, view = hands[number].bones[name], views[number]
            start, end = (view @ np.append(p, 1.0) for p in (bone.start_mm, bone.end_mm))
            middle, along = 0.45 * end + 0.55 * start, (end - start) / max(np.hypot(*(end - start)), 1e-6)
            across = np.array([-along[1], along[0]]) * 9.5 * hands[number].size / pixel_mm
            picture = Image.new("L", metal.shape[::-1])
            ends = [tuple(middle - across), tuple(middle + across)]
            ImageDraw.Draw(picture).line(ends, fill=255, width=max(2, round(3 * hands[number].size / pixel_mm)))
            metal = metal + np.asarray(picture, float) / 255 * GOLD_MM
        return metal

    def finished(self, rng, grey: np.ndarray, soft_mm: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The film as it is stored: background and labels, uint8."""
        if self.background == "wiped":  # by some program, along a ragged outline of the skin
            ragged = ndimage.gaussian_filter(rng.standard_normal(grey.shape), 3) * 3
            grey = np.where(soft_mm > 1.0 + np.abs(ragged), grey, rng.choice([0, 0, 12]))
        elif self.background == "white":
            grey = np.where(inside, grey, rng.uniform(180, 255))
        else:
            grey = np.where(inside, grey, rng.uniform(0, 30))
        grey = np.where(np.isnan(self.labels), grey, self.labels)
        return np.clip(np.round(grey), 0, 255).astype(np.uint8)


def _open_field(rng, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = shape
    if rng.random() < 0.45:
        return np.ones(shape)
    y, x = np.mgrid[:rows, :columns].astype(float)
    angle = np.radians(rng.normal(0, 3))
    x, y = x - columns / 2, y - rows / 2
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    half_x, half_y = columns / 2 * rng.uniform(0.88, 1.0), rows / 2 * rng.uniform(0.9, 1.0)
    distance = np.minimum(half_x - np.abs(x), half_y - np.abs(y))
    return np.clip(distance + 0.5, 0, 1)


def _letters(rng, shape: tuple[int, int], pixel_mm: float) -> np.ndarray:
    """A lead letter or two near the border."""
    rows, columns = shape
    picture = Image.new("L", (columns, rows))
    for _ in range(int(rng.integers(0, 3))):
        mark = Image.new("L", (40, 24))
        ImageDraw.Draw(mark).text((4, 4), str(rng.choice(["L", "R", "LT", "RA", "12", "PA"])), fill=255)
        high = max(8, round(rng.uniform(8, 22) / pixel_mm))
        mark = mark.resize((round(high * 40 / 24), high)).rotate(rng.choice([0, 0, 90, 180, 13]), expand=True)
        mark = mark.point(lambda value: 255 if value > 90 else 0)
        x, y = _near_border(rng, columns, rows)
        picture.paste(mark, (x, y), mark)
    return np.asarray(picture, float) / 255


def _labels(rng, shape: tuple[int, int]) -> np.ndarray:
    """Text and white or black boxes burnt into the picture; NaN elsewhere."""
    rows, columns = shape
    labels = np.full(shape, np.nan)
    for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
        x, y = _near_border(rng, columns, rows)
        wide, high = int(rng.integers(20, 110)), int(rng.integers(8, 30))
        if rng.random() < 0.5:
            labels[y : y + high, x : x + wide] = rng.choice([0, 255])
        text = Image.new("L", (columns, rows))
        words = "".join(rng.choice(list("0123456789./: ABCDEF"), size=14))
        ImageDraw.Draw(text).text((x, y), words, fill=255)
        labels[np.asarray(text) > 128] = rng.choice([0, 255])
    return labels


def _near_border(rng, columns: int, rows: int) -> tuple[int, int]:
    x, y = rng.uniform(0, 0.85) * columns, rng.uniform(0, 0.9) * rows
    side = rng.integers(0, 4)
    if side < 2:
        x = (0.02 if side == 0 else 0.82) * columns
    else:
        y = (0.02 if side == 2 else 0.9) * rows
    return int(x), int(y)
