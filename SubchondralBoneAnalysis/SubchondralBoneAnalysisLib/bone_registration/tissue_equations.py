"""The normal equations of a bone in the MR: what is predicted at every point, and how it changes with every unknown.

With x' where a point of the MR came from in the window, and x'' where its fat came from, the MR is

    coil(x) * [ (1 - b(x')) W(t(x')) + (1 - b(x'')) F(t(x'')) + b(x'') B(h(x'')) ],

b the share of the bone, t the HU of the soft tissue around it, h the HU of the bone; W (water), F (fat) and B (bone
with marrow) are piecewise linear in HU with free values at their knots; coil = 1 + linear and quadratic terms in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

KNOTS_HU = np.array([-400.0, -120.0, -70.0, -20.0, 25.0, 60.0, 110.0, 200.0, 350.0, 600.0, 1000.0, 1600.0])
KNOTS = len(KNOTS_HU)
FAT_KNOTS = 4  # the first of those, which fat reaches
SHAPES = 2 * KNOTS + FAT_KNOTS
COIL = 9
TURN = SHAPES + COIL
SHIFT, FAT = TURN + 3, TURN + 6
UNKNOWNS = FAT + 2
DIMMEST = 0.2  # of the coil


@dataclass(frozen=True, eq=False)
class Equations:
    """What one pass over all points gives.

    :param hessian: and `gradient`: of half the weighted sum of squares over all unknowns, [n, n] and [n].
    :param residuals: what is not predicted, and `weights` what it counts, [points] each.
    """

    hessian: np.ndarray
    gradient: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray


@njit(nogil=True, cache=True)
def _at(field, at, low, step, out):
    """Value of a field [k, j, i] and its gradient per mm along (i, j, k); beyond the grid that of its border."""
    nz, ny, nx = field.shape
    x, y, z = (at[0] - low[0]) / step, (at[1] - low[1]) / step, (at[2] - low[2]) / step
    z, y, x = min(max(z, 0.0), nz - 1.001), min(max(y, 0.0), ny - 1.001), min(max(x, 0.0), nx - 1.001)
    k, j, i = int(z), int(y), int(x)
    c, b, a = z - k, y - j, x - i
    f000, f001, f010, f011 = field[k, j, i], field[k, j, i + 1], field[k, j + 1, i], field[k, j + 1, i + 1]
    k += 1
    f100, f101, f110, f111 = field[k, j, i], field[k, j, i + 1], field[k, j + 1, i], field[k, j + 1, i + 1]
    f00, f01 = f000 + a * (f001 - f000), f010 + a * (f011 - f010)
    f10, f11 = f100 + a * (f101 - f100), f110 + a * (f111 - f110)
    f0, f1 = f00 + b * (f01 - f00), f10 + b * (f11 - f10)
    out[0] = f0 + c * (f1 - f0)
    d0 = (f001 - f000) + b * ((f011 - f010) - (f001 - f000))
    d1 = (f101 - f100) + b * ((f111 - f110) - (f101 - f100))
    out[1] = (d0 + c * (d1 - d0)) / step
    out[2] = ((f01 - f00) + c * ((f11 - f10) - (f01 - f00))) / step
    out[3] = (f1 - f0) / step


@njit(nogil=True, cache=True)
def _between(value, knots):
    """The knot at or before a value, the part of the way to the next, and 1 / their distance (0 beyond the ends)."""
    inside = knots[0] < value < knots[-1]
    value = min(max(value, knots[0]), knots[-1] - 1e-3)
    k = 0
    while knots[k + 1] <= value:
        k += 1
    gap = knots[k + 1] - knots[k]
    return k, (value - knots[k]) / gap, 1.0 / gap if inside else 0.0


@njit(nogil=True, cache=True)
def _add_tissue(level_of, count, first, hu, share, sign, share_slope, knots, brightness, which, row, used, grad):
    """Add one tissue to a point: its signal is returned, its unknowns go to `which` and `row`, its slope to `grad`.

    :param level_of: values of all shapes; those of this tissue begin at `first` and are `count` knots.
    :param hu: value and gradient of what tells its brightness; `share` of the voxel that it fills, whose gradient is
        `sign` times that of `share_slope`.
    """
    k, f, slope_of_f = _between(hu[0], knots)
    here = level_of[first + k] if k < count else 0.0
    there = level_of[first + k + 1] if k + 1 < count else 0.0
    level = here * (1.0 - f) + there * f
    if k < count:
        which[used], row[used] = first + k, brightness * share * (1.0 - f)
        used += 1
    if k + 1 < count:
        which[used], row[used] = first + k + 1, brightness * share * f
        used += 1
    slope = (there - here) * slope_of_f
    for a in range(3):
        grad[a] += brightness * (share * slope * hu[1 + a] + sign * level * share_slope[1 + a])
    return share * level, used


@njit(nogil=True, cache=True)
def _accumulate(
    hu, inside, around, low, step, points, values, coil_points, centre, matrix, shift, fat, shapes, coil, outlier, knots
):  # fmt: skip
    hessian, gradient = np.zeros((UNKNOWNS, UNKNOWNS)), np.zeros(UNKNOWNS)
    residuals, weights = np.empty(len(points)), np.empty(len(points))
    which, row = np.empty(6 + COIL + 8, np.int64), np.empty(6 + COIL + 8)
    h, b, bs, t, ts = np.empty(4), np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    at, at_fat, grad, grad_fat, terms = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(COIL)
    for n in range(len(points)):
        for a in range(3):
            at[a] = at_fat[a] = shift[a]
            grad[a] = grad_fat[a] = 0.0
            for c in range(3):
                at[a] += matrix[a, c] * points[n, c]
                at_fat[a] += matrix[a, c] * (points[n, c] - (fat[c] if c < 2 else 0.0))
        _at(inside, at, low, step, b)
        _at(around, at, low, step, t)
        _at(inside, at_fat, low, step, bs)
        _at(around, at_fat, low, step, ts)
        _at(hu, at_fat, low, step, h)

        o = 3
        brightness = 1.0
        for a in range(3):
            terms[a] = coil_points[n, a]
            for c in range(a, 3):
                terms[o] = coil_points[n, a] * coil_points[n, c]
                o += 1
        for o in range(COIL):
            brightness += coil[o] * terms[o]
        brightness = max(brightness, DIMMEST)

        water, used = _add_tissue(shapes, KNOTS, 0, t, 1.0 - b[0], -1.0, b, knots, brightness, which, row, 0, grad)
        fatty, used = _add_tissue(
            shapes, FAT_KNOTS, KNOTS, ts, 1.0 - bs[0], -1.0, bs, knots, brightness, which, row, used, grad_fat
        )
        bone, used = _add_tissue(
            shapes, KNOTS, KNOTS + FAT_KNOTS, h, bs[0], 1.0, bs, knots, brightness, which, row, used, grad_fat
        )
        signal = water + fatty + bone
        for o in range(COIL):
            which[used], row[used] = SHAPES + o, signal * terms[o]
            used += 1
        # The motion of where a point came from: fat comes along with it.
        x, y, z = at[0] - centre[0], at[1] - centre[1], at[2] - centre[2]
        gx, gy, gz = grad[0] + grad_fat[0], grad[1] + grad_fat[1], grad[2] + grad_fat[2]
        which[used], row[used] = TURN, y * gz - z * gy
        which[used + 1], row[used + 1] = TURN + 1, z * gx - x * gz
        which[used + 2], row[used + 2] = TURN + 2, x * gy - y * gx
        which[used + 3], row[used + 3] = SHIFT, gx
        which[used + 4], row[used + 4] = SHIFT + 1, gy
        which[used + 5], row[used + 5] = SHIFT + 2, gz
        for c in range(2):
            which[used + 6 + c] = FAT + c
            row[used + 6 + c] = -(matrix[0, c] * grad_fat[0] + matrix[1, c] * grad_fat[1] + matrix[2, c] * grad_fat[2])
        used += 8

        residuals[n] = values[n] - brightness * signal
        weights[n] = 1.0 / (1.0 + (residuals[n] / outlier) ** 2) ** 2
        for p in range(used):
            weighted = weights[n] * row[p]
            gradient[which[p]] += weighted * residuals[n]
            for q in range(p + 1):
                hessian[which[p], which[q]] += weighted * row[q]
    for p in range(UNKNOWNS):
        for q in range(p):
            hessian[p, q] += hessian[q, p]
            hessian[q, p] = hessian[p, q]
    return hessian, gradient, residuals, weights


def equations(window, points, values, coil_points, motion, fat, shapes, coil, outlier) -> Equations:
    """One pass over all points.

    :param window: a `BoneWindow`.
    :param points: [n, 3] mm along (i, j, k) of the MR, `values` [n]; `coil_points` [n, 3] the places scaled to -1 to 1.
    :param motion: a `Pose`, of the bone from the window to the MR; `fat` its displacement along (i, j) in mm.
    :param outlier: residual whose weight is a quarter.
    """
    back = -motion.matrix.T @ motion.translation
    found = _accumulate(
        window.hu, window.inside, window.around, window.low, window.step_mm, points, values, coil_points, window.centre,
        np.ascontiguousarray(motion.matrix.T), back, fat, shapes, coil, outlier, KNOTS_HU,
    )  # fmt: skip
    return Equations(*found)
