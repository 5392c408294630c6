"""Where the names of the joints are written, so that they cover neither a joint nor each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

FILM_HEIGHT_IN_LINES = 48  # height of a film in lines of text, at the size at which a whole film is looked at
LETTER_WIDTH = 0.62  # of a bold letter, in heights of a line


def text_size(text: str, film_shape: tuple[int, int]) -> tuple[float, float]:
    """Width and height in film pixels that a text takes in a view of the whole film."""
    height = film_shape[0] / FILM_HEIGHT_IN_LINES
    return LETTER_WIDTH * height * len(text), height


def place_names(texts: list[str], polygons: list[list[np.ndarray]], film_shape: tuple[int, int]) -> np.ndarray:
    """(n, 2) film pixels (x, y) of the left lower corner of every text.

    :param polygons: for each joint the (m, 2) polygons that no text may cover; one may be a single point.
    :param film_shape: rows and columns of the film.

    Each text takes, of places around its joint, the nearest that covers no joint and no text before it and lies nearer
    to its own joint than to any other; where there is none, the one that offends least.
    """
    step = film_shape[0] / FILM_HEIGHT_IN_LINES / 4
    areas = [_points_inside(own, step) for own in polygons]
    taken: list[np.ndarray] = []
    for k, text in enumerate(texts):
        width, height = text_size(text, film_shape)
        candidates = list(_around(areas[k], width, height, film_shape))
        if not candidates:  # a film smaller than the text
            candidates = [np.array([0.0, 0.0, width, height])]
        costs = []
        for box in candidates:
            covered = sum(step**2 * _count_inside(box, area) for area in areas)
            covered += sum(_overlap(box, other) for other in taken)
            distances = [_distance(box, area) for area in areas]
            strange = any(distance < distances[k] for distance in distances)
            costs.append(covered + 0.5 * width * height * strange + 1e-3 * distances[k])
        taken.append(candidates[int(np.argmin(costs))])
    return np.array([[box[0], box[3]] for box in taken], dtype=float).reshape(-1, 2)


def _around(area: np.ndarray, width: float, height: float, film_shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Boxes (x from, y from, x to, y to) beside, below and above a joint that lie in the film."""
    low, high = area.min(axis=0), area.max(axis=0)
    middle = (low + high) / 2
    for gap in (0.3, 1.0, 1.8, 2.8):
        for dy in np.arange(-4, 4.5, 1.0):
            for x in (
                high[0] + gap * height,
                low[0] - gap * height - width,
                high[0] - 2 * height,
                low[0] - width + 2 * height,
            ):
                yield from _in_film(x, middle[1] + (dy - 0.5) * height, width, height, film_shape)
        for dx in (0.0, -0.5, 0.5, -1.0, 1.0):
            for y in (high[1] + gap * height, low[1] - gap * height - height):
                yield from _in_film(middle[0] + (dx - 0.5) * width, y, width, height, film_shape)


def _in_film(x: float, y: float, width: float, height: float, film_shape: tuple[int, int]) -> Iterator[np.ndarray]:
    if 0 <= x and x + width <= film_shape[1] and 0 <= y and y + height <= film_shape[0]:
        yield np.array([x, y, x + width, y + height])


def _points_inside(polygons: list[np.ndarray], step: float) -> np.ndarray:
    """Corners of the polygons and points of a grid inside them."""
    corners = np.concatenate([np.asarray(polygon, dtype=float).reshape(-1, 2) for polygon in polygons])
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = np.meshgrid(np.arange(low[0], high[0], step), np.arange(low[1], high[1], step))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = np.zeros(len(grid), dtype=bool)
    for polygon in polygons:
        inside |= _is_inside(grid, np.asarray(polygon, dtype=float).reshape(-1, 2))
    return np.concatenate([corners, grid[inside]])


def _is_inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Even-odd rule."""
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
            inside ^= crosses & (points[:, 0] < x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _count_inside(box: np.ndarray, points: np.ndarray) -> int:
    return int(((points >= box[:2]) & (points <= box[2:])).all(axis=1).sum())


def _distance(box: np.ndarray, points: np.ndarray) -> float:
    """From the middle of a box to the nearest of the points."""
    return float(np.linalg.norm(points - (box[:2] + box[2:]) / 2, axis=1).min())


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(width * height) if width > 0 and height > 0 else 0.0
