"""Where the names of the joints stand on the hand picture, so that none hides another or a mark."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]
CHARACTER = 0.62  # width of a character in font sizes


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Shared area."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0

    def outside(self, width: float, height: float) -> float:
        """Area beyond a picture of this size."""
        area = (self.right - self.left) * (self.bottom - self.top)
        return area - self.overlap(Box(0, 0, width, height))


def place_labels(marks: list[Point], texts: list[str], radius: float, font: float, size: Point) -> list[Point]:
    """Left end of the base line of every text: right, left, below or above its mark, wherever it hides least.

    :param marks: centres of the marks (x, y) in picture pixels; `radius` is theirs and `font` the letter size.
    :param size: width and height of the picture.
    """
    rings = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in marks]
    taken: list[Box] = []
    for number, ((x, y), text) in enumerate(zip(marks, texts, strict=True)):
        width, gap = CHARACTER * font * len(text), 0.25 * font
        away = radius + gap
        choices = [
            Box(x + away, y - font / 2, x + away + width, y + font / 2),
            Box(x - away - width, y - font / 2, x - away, y + font / 2),
            Box(x - width / 2, y + away, x + width / 2, y + away + font),
            Box(x - width / 2, y - away - font, x + width / 2, y - away),
        ]
        others = rings[:number] + rings[number + 1 :] + taken
        taken.append(min(choices, key=lambda box: sum(map(box.overlap, others)) + 4 * box.outside(*size)))
    return [(box.left, box.bottom - 0.2 * font) for box in taken]
