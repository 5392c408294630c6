"""Exact distance to an implicit surface: the nearest point of the surface, found by projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

CHUNK = 32768  # points at a time: what is computed of them stays in the cache
STEP_MM = 1e-3  # of the differences that give the gradient
AT_REST_MM = 0.01  # of a foot along the surface
OFF_SURFACE_MM = 0.001
LONGEST_MOVE_MM = 2.0
CORNERS = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], float)

Implicit = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def values(shape: Implicit, points: np.ndarray) -> np.ndarray:
    """The implicit function at points [n, 3]."""
    result = np.empty(len(points))
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        result[start : start + CHUNK] = shape(*np.ascontiguousarray(part.T))
    return result


def value_and_gradient(shape: Implicit, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The implicit function [n] and its gradient [n, 3], from the corners of a small tetrahedron."""
    x, y, z = np.ascontiguousarray(points.T)
    at_corners = [shape(x + STEP_MM * a, y + STEP_MM * b, z + STEP_MM * c) for a, b, c in CORNERS]
    value = sum(at_corners) / 4.0
    gradient = sum(at[:, None] * corner for at, corner in zip(at_corners, CORNERS, strict=True)) / (4.0 * STEP_MM)
    return value, gradient


@dataclass(frozen=True)
class Nearest:
    """The nearest points of a surface.

    :param distance_mm: [n], negative inside.
    :param foot: [n, 3], the nearest point of the surface.
    :param normal: [n, 3], unit vector out of the shape there.
    """

    distance_mm: np.ndarray
    foot: np.ndarray
    normal: np.ndarray


def nearest(shape: Implicit, points: np.ndarray, seeds: cKDTree | None = None, steps: int = 8) -> Nearest:
    """Nearest point of the surface for points [n, 3].

    A foot is moved by what of the line to its point lies in the tangent plane, corrected for the bend of the surface,
    and put back on the surface until it rests. Without `seeds` it starts at the point itself: for points nearer than
    the radii of curvature.

    :param seeds: points of the surface; a point then begins at its nearest one, and no distance is longer than to it.
    """
    result = Nearest(np.empty(len(points)), np.empty((len(points), 3)), np.empty((len(points), 3)))
    for start in range(0, len(points), CHUNK):
        part = slice(start, start + CHUNK)
        d, foot, normal = _nearest_of_chunk(shape, points[part], seeds, steps)
        result.distance_mm[part], result.foot[part], result.normal[part] = d, foot, normal
    return result


def _nearest_of_chunk(
    shape: Implicit, points: np.ndarray, seeds: cKDTree | None, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(signed distance, foot, normal) of a few points."""
    foot = points.copy() if seeds is None else seeds.data[seeds.query(points)[1]]
    distance, best_foot = np.full(len(points), np.inf), foot.copy()
    normal, inside = np.zeros_like(points), None if seeds is None else values(shape, points) < 0
    moving = np.arange(len(points))  # the points whose foot is not yet at rest
    before, is_on_surface = None, np.zeros(len(points), bool)
    for step in range(steps + 2):
        value, gradient = value_and_gradient(shape, foot)
        if inside is None:
            inside = value < 0
        length = np.sqrt((gradient * gradient).sum(1)) + 1e-12
        direction = gradient / length[:, None]
        to_point = points[moving] - foot
        height = (to_point * direction).sum(1)
        tangential = to_point - height[:, None] * direction
        way = np.sqrt((tangential * tangential).sum(1))
        on_surface = np.abs(value) < OFF_SURFACE_MM * length
        if step > 0:
            # At rest the height is the distance, whose error is of higher order than that of the whole line.
            far = np.where(way < 10 * AT_REST_MM, np.abs(height), np.sqrt(height * height + way * way))
            better = on_surface & ((far < distance[moving]) | ~is_on_surface[moving]) | ~np.isfinite(distance[moving])
            now = moving[better]
            is_on_surface[now] = on_surface[better]
            distance[now], best_foot[now], normal[now] = far[better], foot[better], direction[better]
        go_on = (way >= AT_REST_MM) | ~on_surface | (step == 0)
        if not go_on.any():
            break
        bend = np.zeros(len(foot)) if before is None else _bend(foot - before[0], direction - before[1])
        # Newton's step along the surface: with its bend a move of 1 turns the normal and shifts its end by the height.
        tangential /= np.maximum(1.0 + height * bend, 0.3)[:, None]
        tangential *= np.minimum(1.0, LONGEST_MOVE_MM / (way + 1e-12))[:, None]
        before = (foot[go_on], direction[go_on])
        foot = (foot + tangential - (value / length)[:, None] * direction)[go_on]
        moving = moving[go_on]
    return np.where(inside, -distance, distance), best_foot, normal


def _bend(moves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Curvature [n] of a surface per mm along moves [n, 3] over which its normal changed by turns [n, 3]."""
    square = (moves * moves).sum(1)
    return np.where(square > 1e-8, (moves * turns).sum(1) / np.maximum(square, 1e-8), 0.0)


def surface_points(shape: Implicit, lower: np.ndarray, upper: np.ndarray, spacing_mm: float = 1.0) -> np.ndarray:
    """Points [n, 3] all over the surface inside a box, about `spacing_mm` apart."""
    axes = [np.arange(a, b, spacing_mm) for a, b in zip(lower, upper, strict=True)]
    found = []
    for z in axes[2]:
        x, y = np.meshgrid(axes[0], axes[1], indexing="ij")
        layer = np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], 1)
        found.append(layer[np.abs(values(shape, layer)) < 0.9 * spacing_mm])
    points = np.concatenate(found)
    for _ in range(3):
        value, gradient = value_and_gradient(shape, points)
        points = points - (value / (gradient * gradient).sum(1))[:, None] * gradient
    return points
