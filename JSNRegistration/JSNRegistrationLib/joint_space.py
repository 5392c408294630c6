"""The joint frame (origin and axis) and the width of the joint space, from a picture and the two bone regions.

Frame of this file: pixel (x, y), x right, y down. ``axis`` is a unit vector from the lower (proximal) to the upper
(distal) bone; ``across`` is the axis turned by a quarter so that it points to the right of the picture for an axis that
points up. A point of the joint frame is origin + u across + v axis, u and v in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# All lengths are millimetres of the (nominal) pixel spacing; none of them is a result, they only choose windows.
MARGIN_SMOOTHING_MM = 0.13  # along the axis, before the gradient is taken
HALF_BREADTH_MM = 1.0  # the width is a mean over +-1 mm across the joint
SEARCH_MM = 3.0  # margins are looked for within this distance of the rough middle of the joint space
NARROWEST_MM = 0.3
WIDEST_MM = 4.0
USUALLY_BELOW_MM = 2.5  # wider readings count less
END_TOLERANCE_MM = 1.2  # a margin and the end of its region are the same thing, drawn or found less well
END_SD_MM = 0.6
CUP_DEPTH_MM = 3.0  # the subchondral plate of a concave base lies this far behind its projected rim, at most
PLATE_MM = 0.6  # thickness over which the brightness of the subchondral plate is taken
PLATE_POWER = 1.5  # how much more the edge of a bright plate counts than an equally steep edge of a faint rim
LEAST_DEPTH = 0.1  # of the contrast: darkness of the joint space against both bones
ROWS_MM = (0.8, 10.0)  # distance from the joint of the rows in which the middle of a bone is looked for
NEAR_ROWS_MM = 3.0  # nearer rows give the position of the origin across the joint, farther ones the mid-line
BASE_SHARE = 0.4  # of the width of the bone, to either side: the base whose normal counts for the axis
AXIS_WEIGHTS = (3.0, 1.0, 2.0)  # mid-line of the upper bone, of the lower bone, normal of the base
MOST_TURN = 0.36  # tangent of the largest angle to the rough axis that is believed: 20 degrees
FOLLOW_MM = 0.35  # a column may leave the mean margin by this much
LEAST_SCORE = 0.2  # clear joints score 1 to 4
RIVAL = 0.9  # of the best score: another pair of edges that scores as much makes the reading doubtful
SE_FLOOR_MM = 0.05  # what positioning and exposure add, from the spread over films of the same joints


@dataclass(frozen=True)
class JointSpace:
    """The joint space at the origin of a joint: width and margins along the axis, all in pixels.

    ``upper_px`` and ``lower_px`` are signed distances of the two subchondral margins from the origin, along the axis
    (upper positive). Width and margins are NaN, with a reason, where the joint space cannot be seen.
    """

    width_px: float
    se_px: float
    upper_px: float
    lower_px: float
    reason: str | None = None


def across(axis: np.ndarray) -> np.ndarray:
    """The unit vector across the joint: ``axis`` turned by a quarter, (1, 0) for an axis (0, -1) that points up."""
    return np.array([-axis[1], axis[0]], dtype=float)


def sample_frame(
    image: np.ndarray, origin, axis, u: np.ndarray, v: np.ndarray, order: int = 1, cval=np.nan, slope: float = 0.0
) -> np.ndarray:
    """The image on the grid u (columns, across) by v (rows, along the axis) of a joint frame, shape (len(v), len(u)).

    With a ``slope`` the rows follow the tilted lines v + slope u instead of v.
    """
    side = across(axis)
    along = v[:, None] + slope * u[None, :]
    x = origin[0] + u[None, :] * side[0] + along * axis[0]
    y = origin[1] + u[None, :] * side[1] + along * axis[1]
    return ndimage.map_coordinates(image, [y, x], order=order, mode="constant", cval=cval)


def joint_frame(
    pixels: np.ndarray, upper: np.ndarray, lower: np.ndarray, origin, axis, spacing_mm: float
) -> tuple[tuple[float, float], tuple[float, float], float, JointSpace]:
    """Origin and axis of a joint, refined from a rough origin and axis.

    The **axis** is the weighted mean of three directions: the mid-line of the upper bone, the mid-line of the lower
    bone (lines through the middles of the bone's width, row by row, 3 to 10 mm from the joint, where flared and worn
    ends no longer bend them), and the normal of the base of the upper bone (a line through its proximal border). The
    weights (AXIS_WEIGHTS) follow how well two visits find each of them again: about 1, 3 and 1.5 degrees. The
    **origin** lies, across the joint, on the mean of the middles of the two bones next to it, and along the axis in
    the middle between the two subchondral margins seen in the picture; where those cannot be told apart (bones that
    project over each other), in the middle between the two regions.

    Returns (origin, axis, bone width across the joint in pixels, joint space). Nothing is raised: a direction that
    cannot be seen is left out, and with none of them the rough axis stays.
    """
    origin, axis = np.asarray(origin, float), unit(axis)
    rough = axis
    width = np.nan
    for _ in range(2):
        rows = [_middles(region, origin, axis, sign, spacing_mm) for region, sign in ((upper, 1), (lower, -1))]
        near = [np.abs(r[0]) < NEAR_ROWS_MM / spacing_mm for r in rows]
        centres = [np.median(r[1][k]) for r, k in zip(rows, near, strict=True) if k.any()]
        widths = [np.max(r[2][k]) for r, k in zip(rows, near, strict=True) if k.any()]
        side = across(axis)
        slopes = [_midline_slope(*r[:2], spacing_mm) for r in rows]
        if centres:
            origin = origin + np.mean(centres) * side
            width = max(widths)
            slopes.append(-_base_slope(upper, origin, axis, BASE_SHARE * width, spacing_mm))
        else:
            slopes.append(np.nan)
        turns = np.arctan(slopes)
        weights = np.where(np.abs(slopes) < MOST_TURN, AXIS_WEIGHTS, 0.0)  # a slope that is NaN was not seen
        if weights.any():
            turn = np.sum(weights * np.nan_to_num(turns)) / weights.sum()
            axis = _near(rough, axis + np.tan(turn) * side)
        origin = origin + _middle_between(upper, lower, origin, axis, spacing_mm) * axis
    space = measure_space(pixels, upper, lower, origin, axis, spacing_mm)
    if np.isfinite(space.width_px):
        shift = 0.5 * (space.upper_px + space.lower_px)
        origin = origin + shift * axis
        space = JointSpace(space.width_px, space.se_px, space.upper_px - shift, space.lower_px - shift)
    return (float(origin[0]), float(origin[1])), (float(axis[0]), float(axis[1])), float(width), space


def measure_space(
    pixels: np.ndarray, upper: np.ndarray, lower: np.ndarray, origin, axis, spacing_mm: float
) -> JointSpace:
    """The joint space at ``origin``: from the end of the lower bone to the subchondral plate of the upper one.

    The picture is averaged over +-1 mm across the joint. The lower margin is a steep fall near the end of the lower
    region; the upper margin is the steepest rise beyond it (in a metacarpophalangeal joint that is the border of
    the dense subchondral plate; the thin rims of the cup, which project over the joint space, are fainter), and the
    space between them has to be darker than both bones. Each margin is then followed column by column to a fraction
    of a pixel; the width is the mean, its standard error the spread over the columns by the number of independent
    ones, with half the difference to a second reading that looks almost as good, and with a floor of SE_FLOOR_MM for
    what one film cannot tell (positioning, exposure).
    """
    origin, axis = np.asarray(origin, float), unit(axis)
    step = 0.25
    reach = (SEARCH_MM + 1.5) / spacing_mm
    v = np.arange(-reach, reach + step, step)
    u = np.arange(-HALF_BREADTH_MM / spacing_mm, HALF_BREADTH_MM / spacing_mm + 0.5, 0.5)
    ends = _region_ends(upper, lower, origin, axis, u[::4], v)
    if ends is None:
        return _not_seen("the two bones do not face each other along the axis of the joint")
    sides = [_Side(pixels, origin, axis, u, v, tilt, spacing_mm) for tilt in ends[2:]]
    seen = sides[0].seen & sides[1].seen
    if seen.sum() < 0.5 * len(v):
        return _not_seen("the joint lies at the border of the film")
    high, low = sides
    pair = _best_pair(high, low, v, np.where(seen)[0], ends, spacing_mm)
    if pair is None:
        return _not_seen("no joint space is seen between the two bones (they project over each other)")
    low_edge = _follow(-low.columns, v, pair[0], FOLLOW_MM / spacing_mm)
    high_edge = _follow(high.columns, v, pair[1], FOLLOW_MM / spacing_mm)
    width = high_edge - low_edge
    independent = max(1.0, 2.0 * HALF_BREADTH_MM / 0.4)
    spread = 1.4826 * np.median(np.abs(width - np.median(width)))
    se = float(np.sqrt(spread**2 / independent + pair[2] ** 2 + (SE_FLOOR_MM / spacing_mm) ** 2))
    return JointSpace(float(width.mean()), se, float(high_edge.mean()), float(low_edge.mean()))


class _Side:
    """The picture along the axis as one bone sees it: rows parallel to the end of that bone."""

    def __init__(self, pixels, origin, axis, u, v, tilt: float, spacing_mm: float) -> None:
        patch = sample_frame(pixels, origin, axis, u, v, order=3, slope=tilt)
        self.seen = np.isfinite(patch).all(axis=1)
        step = v[1] - v[0]
        smooth = ndimage.gaussian_filter1d(np.nan_to_num(patch), MARGIN_SMOOTHING_MM / spacing_mm / step, axis=0)
        slope = np.gradient(smooth, step, axis=0)
        self.profile, self.slope = smooth.mean(axis=1), slope.mean(axis=1)
        self.columns = ndimage.gaussian_filter1d(slope, 0.15 / spacing_mm / (u[1] - u[0]), axis=1, mode="nearest")


def _best_pair(high: _Side, low: _Side, v, rows, ends, spacing_mm) -> tuple[float, float, float] | None:
    """Positions (lower, upper) of the two margins in the mean profiles along the axis, and their doubt, or None.

    The doubt is half the difference in width to any other pair of edges that looks almost as good.

    ``rows``: the rows that lie on the film; ``ends``: where the upper and the lower region end, in the coordinate v.
    """
    contrast = np.percentile(high.profile[rows], 90) - np.percentile(high.profile[rows], 5)
    if contrast <= 0:
        return None
    fall, rise = -low.slope / spacing_mm / contrast, high.slope / spacing_mm / contrast  # of the contrast, per mm
    thick = round(PLATE_MM / spacing_mm / (v[1] - v[0]))
    first, last = rows[0], rows[-1] + 1
    searched = (v >= ends[1] - END_TOLERANCE_MM / spacing_mm) & (v <= ends[0] + CUP_DEPTH_MM / spacing_mm)
    darkest = high.profile[searched].min() if searched.any() else high.profile[rows].min()
    found = []
    for i in _peaks(fall):
        off = (v[i] - ends[1]) * spacing_mm
        if abs(off) > END_TOLERANCE_MM or not first < i < last:
            continue
        below = low.profile[max(first, i - thick) : i].max()
        for j in _peaks(rise):
            gap = (v[j] - v[i]) * spacing_mm
            beyond = (v[j] - ends[0]) * spacing_mm
            if not NARROWEST_MM <= gap <= WIDEST_MM or not -END_TOLERANCE_MM <= beyond <= CUP_DEPTH_MM or j + 1 >= last:
                continue
            plate = high.profile[j + 1 : min(last, j + 1 + thick)]
            if min(below, plate.max()) - high.profile[i : j + 1].min() < LEAST_DEPTH * contrast:
                continue
            plate = max(0.0, (plate.mean() - darkest) / contrast)
            score = fall[i] * np.exp(-0.5 * (off / END_SD_MM) ** 2) + 2.0 * rise[j] * plate**PLATE_POWER
            score *= np.exp(-(max(0.0, gap - USUALLY_BELOW_MM) ** 2) / 0.36)
            found.append((float(score), float(v[i]), float(v[j])))
    score, low_v, high_v = max(found, default=(0.0, 0.0, 0.0))
    if score < LEAST_SCORE:
        return None
    rivals = [abs((b - a) - (high_v - low_v)) for s, a, b in found if s > RIVAL * score]
    return low_v, high_v, 0.5 * max(rivals)


def _peaks(values: np.ndarray) -> np.ndarray:
    inner = (values[1:-1] > 0) & (values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])
    return np.flatnonzero(inner) + 1


def _follow(slope: np.ndarray, v: np.ndarray, at: float, reach: float) -> np.ndarray:
    """The steepest place of every column within ``reach`` of ``at``, by a parabola through three samples."""
    rows = np.flatnonzero(np.abs(v - at) <= reach)
    rows = rows[(rows > 0) & (rows < len(v) - 1)]
    best = rows[0] + np.argmax(slope[rows], axis=0)
    column = np.arange(slope.shape[1])
    before, middle, after = slope[best - 1, column], slope[best, column], slope[best + 1, column]
    bend = before - 2 * middle + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return v[best] + np.clip(shift, -0.5, 0.5) * (v[1] - v[0])


def _not_seen(reason: str) -> JointSpace:
    return JointSpace(np.nan, np.nan, np.nan, np.nan, reason)


def _middles(region: np.ndarray, origin, axis, sign: int, spacing_mm: float):
    """Rows of a bone next to the joint: (v, middle u, width), in pixels; rows cut by the border are left out."""
    step = 0.2 / spacing_mm
    v = sign * np.arange(ROWS_MM[0] / spacing_mm, ROWS_MM[1] / spacing_mm, step)
    u = np.arange(-14.0 / spacing_mm, 14.0 / spacing_mm, step)
    values = sample_frame(region.astype(np.float32), origin, axis, u, v)
    found_v, middle, width = [], [], []
    for row, at in zip(values, v, strict=True):
        crossings = _extent(row, u)
        if crossings is not None:
            found_v.append(at)
            middle.append(0.5 * (crossings[0] + crossings[1]))
            width.append(crossings[1] - crossings[0])
    return np.array(found_v), np.array(middle), np.array(width)


def _extent(row: np.ndarray, u: np.ndarray) -> tuple[float, float] | None:
    """Where a row enters and leaves the bone (value 0.5), or None if it does not or touches the border of the crop."""
    inside = np.flatnonzero(row > 0.5)  # NaN compares as outside
    if len(inside) < 3:
        return None
    first, last = inside[0], inside[-1]
    if first == 0 or last == len(row) - 1 or not np.isfinite(row[first - 1]) or not np.isfinite(row[last + 1]):
        return None
    step = u[1] - u[0]
    left = u[first] - step * (row[first] - 0.5) / (row[first] - row[first - 1])
    right = u[last] + step * (row[last] - 0.5) / (row[last] - row[last + 1])
    return left, right


def _midline_slope(v: np.ndarray, middle: np.ndarray, spacing_mm: float) -> float:
    """Slope of the mid-line, pixels across per pixel along; NaN if fewer than 2 mm of it can be seen."""
    far = np.abs(v) * spacing_mm >= NEAR_ROWS_MM
    if far.sum() < 10:
        return np.nan
    return float(np.polyfit(v[far], middle[far], 1)[0])


def _base_slope(upper: np.ndarray, origin, axis, half_width: float, spacing_mm: float) -> float:
    """Slope of the line through the proximal border of the upper bone, pixels along per pixel across; NaN if unseen."""
    u = np.arange(-half_width, half_width + 1e-9, half_width / 16)
    v = np.arange(-5.0, 5.0, 0.05) / spacing_mm
    inside = sample_frame(upper.astype(np.float32), origin, axis, u, v, cval=0.0) > 0.5
    seen = inside.any(axis=0) & ~inside[0]
    if seen.sum() < 20:
        return np.nan
    return float(np.polyfit(u[seen], v[np.argmax(inside, axis=0)[seen]], 1)[0])


def _region_ends(upper, lower, origin, axis, u: np.ndarray, v: np.ndarray) -> tuple[float, float, float, float] | None:
    """Where the upper region begins and the lower one ends along the axis at u = 0, and the tilt of both ends.

    Returns (upper v, lower v, upper slope, lower slope), slopes in pixels along per pixel across.
    """
    up = sample_frame(upper.astype(np.float32), origin, axis, u, v, cval=0.0) > 0.5
    low = sample_frame(lower.astype(np.float32), origin, axis, u, v, cval=0.0) > 0.5
    both = up.any(axis=0) & low.any(axis=0)
    if both.sum() < 3:
        return None
    begin = v[np.argmax(up, axis=0)][both]
    end = v[len(v) - 1 - np.argmax(low[::-1], axis=0)][both]
    tilts = [float(np.clip(np.polyfit(u[both], e, 1)[0], -MOST_TURN, MOST_TURN)) for e in (begin, end)]
    return float(np.median(begin)), float(np.median(end)), tilts[0], tilts[1]


def _middle_between(upper: np.ndarray, lower: np.ndarray, origin, axis, spacing_mm: float) -> float:
    """Signed distance along the axis from ``origin`` to the middle between the two regions."""
    v = np.arange(-9.0 / spacing_mm, 9.0 / spacing_mm, 0.5)
    u = np.linspace(-HALF_BREADTH_MM, HALF_BREADTH_MM, 5) / spacing_mm
    ends = _region_ends(upper, lower, origin, axis, u, v)
    return 0.0 if ends is None else 0.5 * (ends[0] + ends[1])


def _near(rough: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The axis as a unit vector, turned back where it is more than MOST_TURN away from the rough axis."""
    side = across(rough)
    slope = (axis @ side) / max(axis @ rough, 1e-6)
    return unit(rough + np.clip(slope, -MOST_TURN, MOST_TURN) * side)


def unit(vector) -> np.ndarray:
    """The vector as a float array of length one."""
    vector = np.asarray(vector, float)
    return vector / np.hypot(*vector)


def space_line(upper: np.ndarray, lower: np.ndarray, origin, axis, half_width: float) -> np.ndarray:
    """The line (n, 2) through the joint space, pixels x y, from one side of the joint to the other.

    Midway between the end of the lower and the beginning of the upper region along the axis, at every pixel across the
    joint up to ``half_width`` pixels from the origin where both are met; where they overlap, the middle of the overlap.
    """
    u = np.arange(-np.floor(half_width), half_width + 0.5)
    v = np.arange(-half_width, half_width, 0.25)
    up = sample_frame(upper.astype(np.float32), origin, axis, u, v, cval=0.0) > 0.5
    low = sample_frame(lower.astype(np.float32), origin, axis, u, v, cval=0.0) > 0.5
    both = up.any(axis=0) & low.any(axis=0)
    begin, end = v[np.argmax(up, axis=0)], v[len(v) - 1 - np.argmax(low[::-1], axis=0)]
    middle = 0.5 * (begin + end)[both]
    return np.asarray(origin, float) + u[both, None] * across(axis) + middle[:, None] * np.asarray(axis, float)
