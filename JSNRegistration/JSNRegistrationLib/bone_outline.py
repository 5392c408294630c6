"""The outlines of the two bones of a joint in a film, without a learned model.

Everything here is in a small picture that is resampled around the rough joint: the finger axis points up, the grid step
is GRID_MM of the nominal spacing. First the dark line of the joint space is followed across the joint (dynamic
programming); then each bone's outline is the best closed line around a point in its end: on every ray from that point
the place where bone gives way to soft tissue, with neighbouring rays held together (dynamic programming over the
angle). The joint line is the far end of the rays towards the other bone, so a region never enters the other bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.joint_space import sample_frame

GRID_MM = 0.15
HALF_MM = 11.2  # of the square that is outlined: the crop
ANGLES = 144
LINE_STARTS_MM = (0.0, 1.2, -1.2)
LINE_WEIGHT = 0.5
START_WEIGHT = 0.02
LINE_REACH_MM = 3.5  # the joint line is looked for this far from the rough position
CENTRE_SHARE = 0.30  # of the bone width: distance of the centre of the rays from the joint line
WIDEST_SHARE = 0.68  # of the bone width: the outline stays this close to the finger axis
CORE = {  # distance from the joint line, and half the width that every bone has there; both of the bone width
    -1: ((0.12, 0.7), (0.33, 0.2)),  # upper bone: a base
    1: ((0.15, 0.3, 0.7), (0.12, 0.3, 0.2)),  # lower bone: a head
}
TYPICAL = {  # the same for the outline that is expected where the film does not say; only a gentle pull
    -1: ((0.15, 0.3, 0.7), (0.48, 0.48, 0.32)),
    1: ((0.15, 0.3, 0.7), (0.35, 0.46, 0.42)),
}
SHAPE_SHARE = 0.2
SHAPE_WEIGHT = 0.5
EDGE_MM = 0.22  # scale of the edges
OUTSIDE_MM = {-1: 2.5, 1: 1.2}  # soft tissue is expected for this distance outside the outline: upper, lower bone
THRESHOLD = 0.33  # between the levels of soft tissue (0) and bone (1)
EDGE_WEIGHT = 1.0
REGION_WEIGHT = 1.5  # per mm
UNDER_SHARE = 0.3  # weight of dark pixels inside: marrow may be as dark as soft tissue
BEND_WEIGHT = 0.02
SHAFT_ANGLE = np.radians(12)
FORBIDDEN = 5.0
LARGEST_STEP = 6  # grid steps from ray to ray


SEEN_UPPER = (-0.2, 0.3)
SEEN_LOWER = (-0.2, 0.3)
SEEN_LINE = (-0.05, 0.1)


@dataclass(frozen=True)
class Outlines:
    """Outlines (n, 2) of both bones in pixels x, y of the film they were found in, and how well each was seen."""

    upper: np.ndarray
    lower: np.ndarray
    upper_edge: float  # mean fall along the outline, of the difference between bone and soft tissue, per mm
    lower_edge: float
    upper_cost: float  # mean cost of the outline: how little it looks like one
    lower_cost: float
    valley: float  # mean darkness of the joint line against both bones, of the contrast of the joint

    @property
    def cost(self) -> float:
        """How little both outlines together look like outlines; to compare two attempts at one joint."""
        return self.upper_cost + self.lower_cost

    @property
    def upper_seen(self) -> float:
        """0 to 1: how well the outline of the upper bone follows edges."""
        return _ramp(-self.upper_cost, *SEEN_UPPER)

    @property
    def lower_seen(self) -> float:
        """0 to 1: how well the outline of the lower bone follows edges."""
        return _ramp(-self.lower_cost, *SEEN_LOWER)

    @property
    def line_seen(self) -> float:
        """0 to 1: how dark the joint space is against both bones."""
        return _ramp(self.valley, *SEEN_LINE)


def _ramp(value: float, nothing: float, everything: float) -> float:
    return float(np.clip((value - nothing) / (everything - nothing), 0.0, 1.0))


def find_outlines(pixels: np.ndarray, position, axis, width_px: float, spacing_mm: float) -> Outlines:
    """The outlines of the upper and the lower bone of the joint near ``position`` (pixels of ``pixels``, x y).

    ``width_px`` is the width of the bone across the joint.
    """
    n = int(round((HALF_MM + 1.5) / GRID_MM))
    grid = np.arange(-n, n + 1) * (GRID_MM / spacing_mm)
    smooth = ndimage.gaussian_filter(pixels, max(0.0, 0.5 * GRID_MM / spacing_mm - 0.3))
    picture = sample_frame(smooth, position, axis, grid, -grid)  # row 0 is the distal end
    known = np.isfinite(picture)
    picture = np.where(known, picture, np.nanmin(picture))
    width = width_px * spacing_mm / GRID_MM
    best, lines = None, []
    for start in LINE_STARTS_MM:
        line, valley = _joint_line(picture, n, width, start)
        if any(np.mean(np.abs(line - other)) * GRID_MM < 0.25 for other in lines):
            continue
        lines.append(line)
        found = [_outline(picture, known, line, n, width, sign) for sign in (-1, 1)]  # rows: upper bone, lower bone
        total = found[0][2] + found[1][2] - LINE_WEIGHT * valley + START_WEIGHT * (line[n] - n) ** 2 * GRID_MM**2
        if best is None or total < best[0]:
            best = (total, found, valley)
    _, found, valley = best
    back = [_to_film(p, n, position, axis, spacing_mm) for p, _, _ in found]
    return Outlines(back[0], back[1], found[0][1], found[1][1], found[0][2], found[1][2], valley)


def _contrast(picture: np.ndarray, n: int, width: float) -> float:
    """A scale of grey values: the range of the inner part of the picture."""
    half = int(0.7 * width)
    inner = picture[max(0, n - half) : n + half + 1, max(0, n - half) : n + half + 1]
    return float(max(np.percentile(inner, 95) - np.percentile(inner, 10), 1e-6))


def _joint_line(picture: np.ndarray, n: int, width: float, start_mm: float) -> tuple[np.ndarray, float]:
    """Row of the joint space for every column of the picture, and its mean darkness (share of the contrast).

    The line is looked for around ``start_mm``, a distance along the finger from the rough position (distal positive).
    """
    reach = int(round(LINE_REACH_MM / GRID_MM))
    half = int(0.45 * width)
    smooth = ndimage.gaussian_filter(picture, 0.2 / GRID_MM)
    rows = np.arange(n - reach, n + reach + 1)
    columns = np.arange(n - half, n + half + 1)
    dark = np.full((len(rows), len(columns)), -np.inf)
    for distance in (0.5, 0.8, 1.2):
        d = int(round(distance / GRID_MM))
        here = smooth[np.ix_(rows, columns)]
        beside = np.minimum(smooth[np.ix_(rows - d, columns)], smooth[np.ix_(rows + d, columns)])
        dark = np.maximum(dark, beside - here)
    dark /= _contrast(picture, n, width)
    prior = 0.08 * ((rows - n) * GRID_MM + start_mm) ** 2
    cost = -np.clip(dark, -0.2, 0.4) + prior[:, None]
    path = _path(cost.T, 1, 0.02)
    line = np.interp(np.arange(picture.shape[1]), columns, rows[path])
    return line, float(np.mean(dark[path, np.arange(len(columns))]))


def _outline(picture, known, line, n: int, width: float, sign: int) -> tuple[np.ndarray, float, float]:
    """Outline (n, 2) of one bone in grid coordinates (column, row), its mean edge contrast, and its mean cost."""
    centre = np.array([n, line[n] + sign * CENTRE_SHARE * width])
    # The rays begin and end beside the shaft, which leaves the picture: no outline is looked for across it.
    angles = np.pi / 2 * sign + np.linspace(SHAFT_ANGLE, 2 * np.pi - SHAFT_ANGLE, ANGLES)
    radii = np.arange(0, int(1.0 * width))
    x = centre[0] + np.cos(angles)[:, None] * radii
    y = centre[1] + np.sin(angles)[:, None] * radii
    bone, soft = _levels(picture, line, n, width, sign)
    relative = (ndimage.gaussian_filter(picture, EDGE_MM / GRID_MM) - soft) / (bone - soft)  # soft tissue 0, bone 1
    values = ndimage.map_coordinates(relative, [y, x], order=1, mode="nearest")
    last = int(round(HALF_MM / GRID_MM))
    inside = (np.abs(x - n) <= np.minimum(WIDEST_SHARE * width, last)) & (np.abs(y - n) <= last)
    inside &= ndimage.map_coordinates(known.astype(np.float32), [y, x], order=0, cval=0) > 0
    depth = sign * (y - np.interp(x, np.arange(len(line)), line))  # distance from the joint line
    own = depth >= 0
    narrowest = np.interp(depth / width, *CORE[sign], left=0.0) * width
    core = np.abs(x - n) < narrowest  # certainly bone, however dark its marrow
    allowed = np.logical_and.accumulate(inside & own, axis=1)
    allowed[:, : int(0.12 * width)] = True
    fall = -np.gradient(values, axis=1) / GRID_MM
    over = np.where(inside & own & ~core, np.clip(values - THRESHOLD, -0.4, 0.4), 0.0)
    under = np.cumsum(np.maximum(-over, 0), axis=1) * GRID_MM
    ahead = np.cumsum(np.maximum(over, 0), axis=1) * GRID_MM
    beyond = np.minimum(np.arange(len(radii)) + int(OUTSIDE_MM[sign] / GRID_MM), len(radii) - 1)
    cost = -EDGE_WEIGHT * np.clip(fall, -0.8, 0.8) + REGION_WEIGHT * (UNDER_SHARE * under + ahead[:, beyond] - ahead)
    typical = np.interp(depth / width, *TYPICAL[sign]) * width
    strange = np.minimum(((np.abs(x - n) - typical) / (SHAPE_SHARE * width)) ** 2, 1.0)
    cost += SHAPE_WEIGHT * np.where(depth > 0.15 * width, strange, 0.0)
    k = np.arange(ANGLES)
    farthest = allowed.shape[1] - 1 - np.argmax(allowed[:, ::-1], axis=1)
    end_cost = cost[k, farthest]
    cost[~allowed | core] = FORBIDDEN
    cost[k, farthest] = end_cost
    cost[[0, -1]] = FORBIDDEN
    cost[0, farthest[0]] = cost[-1, farthest[-1]] = 0.0
    radius = _path(cost, LARGEST_STEP, BEND_WEIGHT)
    mean_cost = float(np.mean(cost[k, radius]))
    fallen = fall[k, radius][allowed[k, np.minimum(radius + 1, len(radii) - 1)]]
    edge = float(np.mean(fallen)) if fallen.size else 0.0  # no edge anywhere: noise, or a blank piece of film
    points = np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], 1)
    return points, edge, mean_cost


def _levels(picture, line, n: int, width: float, sign: int) -> tuple[float, np.ndarray]:
    """Grey level of the bone, and of the soft tissue beside it for every pixel of the picture.

    The soft tissue is looked at in every row in a band to the left and to the right of the bone; what is much darker
    than the joint space is air beside the finger and does not count.
    """
    rows = np.arange(len(picture))
    along = sign * (rows - line[n]) * GRID_MM
    core = picture[(along > 0.5) & (along < 7.0), n - int(0.35 * width) : n + int(0.35 * width) + 1]
    bone = float(np.percentile(core, 65))
    scale = _contrast(picture, n, width)
    half = int(0.4 * width)
    columns = np.arange(n - half, n + half + 1)
    gap = float(np.percentile(picture[np.round(line[columns]).astype(int), columns], 20))
    air = gap - 0.6 * max(bone - gap, 0.35 * scale)
    band = (int(0.52 * width), min(n, int(WIDEST_SHARE * width) + 4))
    sides = []
    for first, last in ((n - band[1], n - band[0]), (n + band[0], n + band[1])):
        strip = picture[:, first : last + 1]
        strip = np.where(strip > air, strip, np.nan)
        seen = np.isfinite(strip).sum(axis=1) >= 3
        level = np.full(len(rows), np.nan)
        if seen.any():
            order = np.sort(strip[seen], axis=1)  # NaN last
            count = np.isfinite(order).sum(axis=1)
            level[seen] = order[np.arange(len(order)), (0.2 * (count - 1)).astype(int)]
            level = np.interp(rows, rows[seen], level[seen])
            level = ndimage.gaussian_filter1d(ndimage.median_filter(level, 15, mode="nearest"), 2.0 / GRID_MM)
        sides.append(level)
    left, right = sides
    if not np.isfinite(left).any() and not np.isfinite(right).any():
        left = right = np.full(len(rows), gap)
    left = right if not np.isfinite(left).any() else left
    right = left if not np.isfinite(right).any() else right
    share = np.clip((rows - (n - 0.6 * width)) / (1.2 * width), 0, 1)[None, :]
    soft = left[:, None] * (1 - share) + right[:, None] * share
    return bone, np.minimum(soft, bone - 0.15 * scale)


def _path(cost: np.ndarray, step: int, bend: float) -> np.ndarray:
    """The cheapest way through ``cost`` (stations, states), neighbours at most ``step`` states apart."""
    stations, states = cost.shape
    shifts = np.arange(-step, step + 1)
    padded = np.full(states + 2 * step, np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * step + 1)
    turn, index = bend * shifts**2, np.arange(states)
    came = np.zeros((stations, states), int)
    padded[step:-step] = cost[0]
    for k in range(1, stations):
        reached = windows + turn
        best = reached.argmin(axis=1)
        came[k] = index + best - step
        padded[step:-step] = reached[index, best] + cost[k]
    path = np.empty(stations, int)
    path[-1] = padded[step:-step].argmin()
    for k in range(stations - 1, 0, -1):
        path[k - 1] = came[k, path[k]]
    return path


def _to_film(points: np.ndarray, n: int, position, axis, spacing_mm: float) -> np.ndarray:
    """Grid points (column, row) as film pixels (x, y)."""
    axis = np.asarray(axis, float)
    side = np.array([-axis[1], axis[0]])
    u = (points[:, 0] - n) * GRID_MM / spacing_mm
    v = -(points[:, 1] - n) * GRID_MM / spacing_mm
    return np.asarray(position, float) + u[:, None] * side + v[:, None] * axis


def region_of(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie inside an outline (n, 2) of x, y (even-odd rule), as a bool array of this shape."""
    x0, y0 = np.asarray(outline, float).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    rows = np.arange(shape[0])[:, None]
    row, edge = np.nonzero((y0 <= rows) != (y1 <= rows))
    crossing = x0[edge] + (row - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    first = np.clip(np.ceil(crossing), 0, shape[1]).astype(int)  # the first pixel centre right of the crossing
    turns = np.zeros((shape[0], shape[1] + 1), int)
    np.add.at(turns, (row, first), 1)
    return (np.cumsum(turns, axis=1)[:, :-1] % 2).astype(bool)
