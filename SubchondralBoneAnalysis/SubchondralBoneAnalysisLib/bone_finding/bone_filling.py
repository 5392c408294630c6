"""From the shell of a bone to the whole of it: cortex, marrow, and nothing of what lies outside."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.distance import distance_to

BALLS_MM = (1.6, 2.4, 3.5, 5.0)  # that try to get in, from small to large
IN_SECTION = np.array([np.zeros((3, 3)), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3))], bool)
ENOUGH = 0.98  # of what the largest keeps out: then no hole was as wide as the ball
MOST_LOST_MM3 = 1500.0  # of it: more is marrow behind a hole, also where it is a small share of a large bone


def filled(shell: np.ndarray, voxel_mm: float, soft: np.ndarray | None = None) -> np.ndarray:
    """The bone [k, j, i] bool of a shell [k, j, i] bool that may have holes, on cubic voxels.

    A ball that rolls around the shell from outside cannot enter through a hole that is narrower than it. The smallest
    that stays outside is taken; hollows of the surface that it could not reach are emptied again. Where the shell ends
    at the border of the volume (a shaft that is cut) it is closed there. An empty shell stays empty.

    :param soft: bool [k, j, i], what may be soft tissue: only that is emptied, not trabecular bone behind a hole.
    """
    boxes = ndimage.find_objects(shell.astype(np.uint8))
    if not boxes:
        return np.zeros_like(shell)
    margin = int(np.ceil(2.5 * BALLS_MM[-1] / voxel_mm))
    box = tuple(
        slice(max(0, b.start - margin), min(n, b.stop + margin)) for b, n in zip(boxes[0], shell.shape, strict=True)
    )
    at_border = [(b.start == 0, b.stop == n) for b, n in zip(box, shell.shape, strict=True)]
    closed = capped(shell[box], at_border, voxel_mm)
    may_be_out = ~closed if soft is None else ~closed & soft[box]
    away = distance_to(closed, voxel_mm)
    chosen = kept_out(closed, away, BALLS_MM[-1], at_border, voxel_mm, may_be_out)
    largest = np.count_nonzero(chosen)
    enough = max(ENOUGH * largest, largest - MOST_LOST_MM3 / voxel_mm**3)
    for ball_mm in BALLS_MM[:-1]:
        bone = kept_out(closed, away, ball_mm, at_border, voxel_mm, may_be_out)
        if np.count_nonzero(bone) >= enough:
            chosen = bone
            break
    out = np.zeros_like(shell)
    out[box] = chosen
    return out


def capped(shell: np.ndarray, at_border: list[tuple[bool, bool]], voxel_mm: float) -> np.ndarray:
    """The shell with what it encloses in the outermost slices of the volume, where it is cut.

    :param at_border: for each axis, whether the first and the last slice are those of the volume.
    """
    closed = shell.copy()
    gap = max(1, int(round(BALLS_MM[0] / voxel_mm)))
    for axis in range(3):
        for side, ends_here in zip((0, -1), at_border[axis], strict=True):
            if not ends_here:
                continue
            cut = tuple(side if a == axis else slice(None) for a in range(3))
            if closed[cut].any():
                section = closed[cut]
                across = [ends for a, ends in enumerate(at_border) if a != axis]
                if across[0][0]:
                    section[0] |= between(section[0])
                if across[0][1]:
                    section[-1] |= between(section[-1])
                if across[1][0]:
                    section[:, 0] |= between(section[:, 0])
                if across[1][1]:
                    section[:, -1] |= between(section[:, -1])
                wide = ndimage.binary_closing(np.pad(section, gap + 1), iterations=gap)
                section |= ndimage.binary_fill_holes(wide)[gap + 1 : -gap - 1, gap + 1 : -gap - 1]
    return closed


def between(line: np.ndarray) -> np.ndarray:
    """What of a line lies between its first and its last voxel: an edge of the volume, where a bone is cut twice."""
    return np.logical_or.accumulate(line) & np.logical_or.accumulate(line[::-1])[::-1]


def kept_out(
    closed: np.ndarray,
    away: np.ndarray,
    ball_mm: float,
    at_border: list[tuple[bool, bool]],
    voxel_mm: float,
    may_be_out: np.ndarray,
) -> np.ndarray:
    """All that a ball of a radius cannot reach from outside, without the hollows of the surface.

    :param away: distance to the shell in mm.
    :param may_be_out: what is emptied of hollows.
    """
    # Outside is all around, except where the box ends with the volume: there a cut bone goes on.
    frame = [(0 if low else 1, 0 if high else 1) for low, high in at_border]
    room = np.pad(away > ball_mm, frame, constant_values=True)
    labels, _ = ndimage.label(room)
    outer = np.concatenate([np.unique(labels.take(side, axis)) for axis in range(3) for side in (0, -1)])
    reached = np.isin(labels, outer[outer > 0])
    reached = reached[tuple(slice(a, n - b) for (a, b), n in zip(frame, reached.shape, strict=True))]
    outside = (distance_to(reached, voxel_mm) <= ball_mm) & ~closed
    # A hollow is no deeper than the ball is wide. Marrow is: little of it is lost behind a hole that the ball plugs.
    steps = int(round(ball_mm / voxel_mm))
    hollow = ndimage.binary_dilation(outside, iterations=steps, mask=may_be_out)
    return enclosed(~(outside | hollow))


def enclosed(bone: np.ndarray) -> np.ndarray:
    """A bone with all that it encloses in slices of two of the three directions: marrow that a small hole let out."""
    votes = np.zeros(bone.shape, np.uint8)
    for axis in range(3):
        votes += filled_sections(bone, axis)
    return votes >= 2


def filled_sections(bone: np.ndarray, axis: int = 0) -> np.ndarray:
    """A bone with what each of its sections across an axis encloses, bool [k, j, i]."""
    # Padded within the sections, all that is outside of one hangs together.
    around = [(0, 0) if a == axis else (1, 1) for a in range(3)]
    empty = np.moveaxis(np.pad(~bone, around, constant_values=True), axis, 0)
    labels, _ = ndimage.label(empty, IN_SECTION)
    outside = np.zeros(labels.max() + 1, bool)
    outside[labels[:, 0, 0]] = True
    outside[0] = False
    return ~np.moveaxis(outside[labels[:, 1:-1, 1:-1]], 0, axis)
