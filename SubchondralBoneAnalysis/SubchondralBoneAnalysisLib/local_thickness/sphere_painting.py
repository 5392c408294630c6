"""The largest sphere that holds each voxel: all needed spheres are painted, the largest first, tile by tile.

Once a voxel is painted it keeps its sphere. What is still bare in a row of a tile is one word of bits, so a row of a
sphere costs one comparison where nothing is left to paint. Tiles are independent of each other: each paints its part of
every sphere that reaches into it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from SubchondralBoneAnalysisLib.local_thickness.sphere_centres import BLOCK, NeededCentres, SphereCentres
from SubchondralBoneAnalysisLib.local_thickness.spheres import SphereTables, half_length
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers

TILE = 64  # voxels along each edge: the bits of a word
WIDE = 10  # voxels; spheres that reach farther look at groups of eight columns before they look at rows
ALL = np.uint64(2**64 - 1)
ONE = np.uint64(1)


def paint(
    squared: np.ndarray,
    centres: NeededCentres,
    tables: SphereTables,
    largest: int,
    out: np.ndarray,
    workers: Workers,
    after_layer: Callable[[int], None] = lambda _end: None,
) -> None:
    """Set `out` to the squared radius of the largest sphere that holds each voxel, [k, j, i], 0 outside the structure.

    :param squared: squared radii [k, j, i], 0 outside the structure; `largest` is the largest of them.
    :param out: of the shape and type of `squared`.
    :param after_layer: is called with the number of slices that are done.
    """
    depth, height, width = squared.shape
    reach = np.maximum(tables.reach_of(largest), 0)
    sorts_by_counting = largest < tables.reach.shape[1]
    for layer in range(0, depth, TILE):
        layer_end = min(layer + TILE, depth)
        near = centres.within(max(0, layer - reach[0]), min(depth, layer_end + reach[0]))

        def paint_tile(corner: tuple[int, int], layer: int = layer, near: SphereCentres = near) -> None:
            first = np.array((layer, *corner), np.int64)
            end = np.minimum(first + TILE, squared.shape)
            lowest, highest = np.maximum(first - reach, 0), np.minimum(end + reach, squared.shape)
            row_starts = near.first[lowest[0] - near.slices[0] :]
            radii, places = _reaching(squared, near.column, row_starts, first, end, lowest, highest, tables.weights)
            order = _largest_first(radii, largest if sorts_by_counting else 0)
            _paint(squared, radii, places, order, first, end, tables.weights, tables.reach, reach[1] >= WIDE, out)

        workers.each(paint_tile, [(j, i) for j in range(0, height, TILE) for i in range(0, width, TILE)])
        after_layer(layer_end)


def _largest_first(radii: np.ndarray, largest: int) -> np.ndarray:
    return _counted(radii, largest) if largest else np.argsort(-radii.astype(np.int64), kind="stable")


@njit(nogil=True, cache=True)
def _counted(radii, largest):
    """Indices that sort whole numbers up to `largest`, the largest first."""
    place = np.zeros(largest + 2, np.int64)
    for n in range(radii.size):
        place[largest - radii[n] + 1] += 1
    for value in range(largest + 1):
        place[value + 1] += place[value]
    order = np.empty(radii.size, np.int32)
    for n in range(radii.size):
        order[place[largest - radii[n]]] = n
        place[largest - radii[n]] += 1
    return order


@njit(nogil=True, cache=True)
def _reaching(squared, column, first, start, end, lowest, highest, weights):
    """Squared radius and place (k, j, i), counted from the tile's corner, of all centres whose sphere reaches it."""
    blocks = (lowest[2] // BLOCK, (highest[2] - 1) // BLOCK + 1)
    room = 0
    for k in range(lowest[0], highest[0]):
        for j in range(lowest[1], highest[1]):
            room += first[k - lowest[0], j, blocks[1]] - first[k - lowest[0], j, blocks[0]]
    radii = np.empty(room, squared.dtype)
    places = np.empty((room, 3), np.int16)
    count = 0
    for k in range(lowest[0], highest[0]):
        gap_k = max(0, start[0] - k, k - end[0] + 1)
        for j in range(lowest[1], highest[1]):
            gap_j = max(0, start[1] - j, j - end[1] + 1)
            near = gap_k * gap_k * weights[0] + gap_j * gap_j * weights[1]
            for n in range(first[k - lowest[0], j, blocks[0]], first[k - lowest[0], j, blocks[1]]):
                i = np.int64(column[n])
                gap_i = max(0, start[2] - i, i - end[2] + 1)
                radius = squared[k, j, i]
                if np.int64(radius) > near + gap_i * gap_i * weights[2]:
                    radii[count] = radius
                    places[count, 0] = k - start[0]
                    places[count, 1] = j - start[1]
                    places[count, 2] = i - start[2]
                    count += 1
    return radii[:count], places[:count]


@intrinsic
def lowest_bit(_typing, _word):
    """The number of the lowest bit that is set in a word."""

    def generate(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@njit(nogil=True, cache=True)
def bits(first, last):
    """A word with the bits from `first` to `last` set, cut to 0 ... 63; 0 where there are none."""
    a, b = max(first, 0), min(last, 63)
    if a > b:
        return np.uint64(0)
    return (ALL >> np.uint64(63 - (b - a))) << np.uint64(a)


@njit(nogil=True, cache=True)
def _paint(squared, radii, places, order, start, end, weights, reach, by_columns, out):
    size_k, size_j, size_i = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    weight_k, weight_j, weight_i = weights[0], weights[1], weights[2]
    table_k, table_j, table_i = reach[0], reach[1], reach[2]
    bare = np.zeros((TILE, TILE), np.uint64)  # of a row (k, j): a bit for each voxel that is not painted yet
    rows = np.zeros(TILE, np.uint64)  # of a slice: a bit for each row that has a bare voxel
    groups = np.zeros((TILE, 8), np.uint64)  # of a slice and eight columns: the same
    slices = 0  # that have a bare voxel
    for k in range(size_k):
        for j in range(size_j):
            row = squared[start[0] + k, start[1] + j]
            to = out[start[0] + k, start[1] + j]
            word = np.uint64(0)
            for i in range(size_i):
                to[start[2] + i] = 0
                if row[start[2] + i] > 0:
                    word |= ONE << np.uint64(i)
            bare[k, j] = word
            if word:
                rows[k] |= ONE << np.uint64(j)
                for group in range(8):
                    if (word >> np.uint64(8 * group)) & np.uint64(255):
                        groups[k, group] |= ONE << np.uint64(j)
        if rows[k]:
            slices += 1
    for n in range(order.size):
        if slices == 0:
            break
        own = order[n]
        radius = radii[own]
        square = np.int64(radius)
        at_k, at_j, at_i = np.int64(places[own, 0]), np.int64(places[own, 1]), np.int64(places[own, 2])
        reach_k = half_length(square, weight_k, table_k)
        for k in range(max(0, at_k - reach_k), min(size_k, at_k + reach_k + 1)):
            if rows[k] == 0:
                continue
            in_slice = square - (k - at_k) * (k - at_k) * weight_k
            reach_j = half_length(in_slice, weight_j, table_j)
            if by_columns and reach_j >= 4:
                reach_i = half_length(in_slice, weight_i, table_i)
                todo = np.uint64(0)
                for group in range(max(0, (at_i - reach_i) >> 3), min(7, (at_i + reach_i) >> 3) + 1):
                    if groups[k, group]:
                        gap = max(0, 8 * group - at_i, at_i - 8 * group - 7)
                        tall = half_length(in_slice - gap * gap * weight_i, weight_j, table_j)
                        todo |= groups[k, group] & bits(at_j - tall, at_j + tall)
            else:
                todo = rows[k] & bits(at_j - reach_j, at_j + reach_j)
            while todo:
                j = np.int64(lowest_bit(todo))
                todo &= todo - ONE
                reach_i = half_length(in_slice - (j - at_j) * (j - at_j) * weight_j, weight_i, table_i)
                hit = bare[k, j] & bits(at_i - reach_i, at_i + reach_i)
                if hit == 0:
                    continue
                left = bare[k, j] ^ hit
                bare[k, j] = left
                if left == 0:
                    rows[k] &= ~(ONE << np.uint64(j))
                    slices -= rows[k] == 0
                if by_columns:
                    for group in range(max(0, at_i - reach_i) >> 3, (min(63, at_i + reach_i) >> 3) + 1):
                        if (left >> np.uint64(8 * group)) & np.uint64(255) == 0:
                            groups[k, group] &= ~(ONE << np.uint64(j))
                to = out[start[0] + k, start[1] + j]
                while hit:
                    to[start[2] + np.int64(lowest_bit(hit))] = radius
                    hit &= hit - ONE
