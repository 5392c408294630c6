"""Which dark gaps along the midlines are the joints of which finger.

Lengths of the bones are in ratio to the proximal phalanx of the middle finger: mean lengths from Buryanov and Kotiuk,
"Proportions of hand segments", Int. J. Morphol. 28(3):755-758, 2010 (66 adults, radiographs).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import ndimage

# Fine pixels per palm radius: about 0.2 mm on an adult hand.
FINE = 200
_UNIT_MM = 44.63
_BONES_MM = {  # from the tip: distal, middle and proximal phalanx, metacarpal
    1: (21.67, 31.57, 46.22),
    2: (15.82, 22.38, 39.78, 68.12),
    3: (17.40, 26.33, 44.63, 64.60),
    4: (17.30, 25.65, 41.37, 58.00),
    5: (15.96, 18.11, 32.74, 53.69),
}
JOINTS_OF_FINGER = {1: ("IP1", "MCP1")} | {f: (f"DIP{f}", f"PIP{f}", f"MCP{f}") for f in (2, 3, 4, 5)}
_LENGTH_SD = 0.10  # of the logarithm of a bone's length about its proportion
_TIP_SD = 0.30  # where the bone of the tip begins is known poorly
_SCALES = np.geomspace(0.5, 1.3, 25)  # proximal phalanx of the middle finger, in palm radii
_CLIMB = 0.05  # cost of a step up or down of the dark line, log brightness
_GAP_WIDTHS = (9, 45)  # fine pixels: adult joint spaces; children's, where cartilage is not yet bone
_HALF_LINE = 20.0  # fine pixels to either side of the midline that the dark line must cross
_NO_GAP = 0.03  # log brightness of the shallowest gap that counts fully


@dataclass(frozen=True)
class Gaps:
    """Candidate joint spaces along one midline: where (fine pixels from its start), how dark against their flanks."""

    at: np.ndarray
    depth: np.ndarray
    seen: np.ndarray  # the same without the help of the bone ends: 0 where no gap is visible
    wide: np.ndarray  # bool: a wide, empty gap rather than a dark line
    length: float


@dataclass(frozen=True)
class Finger:
    number: int
    line: int  # which midline
    joints: tuple[float, ...]  # fine pixels along the midline, distal first
    seen: tuple[float, ...]  # how visible the gaps are, as in Gaps
    wide: tuple[bool, ...]  # a wide, empty gap (`Gaps.wide`)
    misfit: tuple[float, ...]  # departure of each joint's distal bone from its proportion, in standard deviations


def line_response(strip: np.ndarray, t: np.ndarray, half_width: float = _HALF_LINE) -> np.ndarray:
    """How much each row of the strip [along, across], tip first, looks like an adult's joint (in log brightness).

    A narrow dark line of whatever course runs across the bone (`seam_depth`), between two bone ends, which are bright.
    Where the ends overlap and no gap is left (a subluxed knuckle), they are still wide and bright to the sides.
    """

    def bump(across: np.ndarray, sigma: float) -> np.ndarray:
        return -ndimage.gaussian_filter1d(strip[:, across].mean(axis=1), sigma, order=2) * sigma**2

    out = np.abs(t)
    ends, flare = bump(out <= 10, 8), bump((out > 24) & (out < 36), 16)
    return seam_depth(strip[:, out <= half_width]) + 0.3 * np.clip(ends, 0, 0.15) + 0.6 * np.clip(flare - 0.05, 0, 0.15)


def wide_gap(strip: np.ndarray, t: np.ndarray) -> np.ndarray:
    """For each row of the strip: how far it lies in a wide and empty gap, as between the bones of a child.

    Marrow between the bright ends of an adult's bone is up to 0.15 darker than they are; only more than that counts.
    """
    core = ndimage.gaussian_filter1d(strip[:, np.abs(t) <= 10].mean(axis=1), 1.5)
    depth = ndimage.grey_closing(core, _GAP_WIDTHS[1]) - core
    return 3.0 * np.clip(depth - 0.15, 0, 0.2) * emptiness(strip, t)


def seam_depth(strip: np.ndarray, width: int = _GAP_WIDTHS[0]) -> np.ndarray:
    """Mean depth (log brightness) of the deepest dark line from side to side that crosses the middle at each row.

    Depth is the black top-hat along the finger (closing minus image), so the foot of a bright bone plate has none. The
    line may climb a row per column (found by dynamic programming from both sides to the middle), which follows
    the bow of a metacarpal head as well as the wave of a phalangeal joint.
    """
    smooth = ndimage.gaussian_filter(strip, (0.6, 2.0))
    depth = np.minimum(ndimage.grey_closing(smooth, (width, 1)) - smooth, 0.2)
    middle = strip.shape[1] // 2
    halves = depth[:, :middle], depth[:, :middle:-1]
    total = depth[:, middle].copy()
    for half in halves:
        best = half[:, 0]
        for column in half.T[1:]:
            stay = np.pad(best, 1, constant_values=-1.0)
            best = column + np.maximum(stay[1:-1], np.maximum(stay[:-2], stay[2:]) - _CLIMB)
        edge = np.pad(best, 1, constant_values=-1.0)
        total += np.maximum(edge[1:-1], np.maximum(edge[:-2], edge[2:]) - _CLIMB)
    return total / strip.shape[1]


def emptiness(strip: np.ndarray, t: np.ndarray) -> np.ndarray:
    """For each row of the strip: 1 where the profile across is smooth soft tissue, 0 where a bone has edges in it.

    A wide gap counts as a joint only where it is empty: the dark marrow between the bright ends of a bone is not.
    """
    inside = np.abs(t) <= 28
    rows = ndimage.gaussian_filter(strip, (2.0, 1.0))[:, inside]
    # A finger without bone is a smooth hump: what a parabola leaves over is bone.
    basis = np.linalg.qr(np.vander(t[inside] / 28.0, 3))[0]
    edges = np.sqrt(np.mean((rows - (rows @ basis) @ basis.T) ** 2, axis=1))
    usual = ndimage.percentile_filter(edges, 60, size=151, mode="nearest")
    return np.clip(1.6 - 2.0 * edges / np.maximum(usual, 1e-3), 0, 1)


def find_gaps(strip: np.ndarray, t: np.ndarray) -> Gaps:
    """The candidate joint spaces of a straightened finger [along, across], tip first."""
    wide, line, seam = wide_gap(strip, t), line_response(strip, t), seam_depth(strip[:, np.abs(t) <= _HALF_LINE])
    # Trabeculae alone make dark lines everywhere; what they make in the shafts of this finger counts as nothing.
    shafts = slice(20, max(len(strip) // 2, 21))
    response = np.maximum(line - np.median(line[shafts]), np.maximum(wide, 0))
    smooth = ndimage.gaussian_filter1d(response, 1.5)
    at = 1 + np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]))
    seen = np.maximum(seam - np.median(seam[shafts]), np.maximum(wide, 0))
    return Gaps(at.astype(float), response[at], seen[at], (wide > line)[at], float(len(strip)))


def name_fingers(gaps: list[Gaps], lines: list[np.ndarray]) -> tuple[list[Finger], float]:
    """The fingers and their score: proportions, gaps and the order of the fingers must agree.

    gaps[i] belong to the midline lines[i] (fine pixels, tip first); lines go round the carpus in order.
    Both orders (thumb first, thumb last) are tried.
    """
    if not gaps:
        return [], -np.inf
    strongest = np.concatenate([np.sort(g.depth)[-4:] for g in gaps])
    full = max(float(np.median(strongest)), _NO_GAP)
    best, best_score = [], -np.inf
    for scale in _SCALES:
        chains = {(i, f): _best_chain(g, f, scale, full) for i, g in enumerate(gaps) for f in _BONES_MM}
        prior = -0.5 * (np.log(scale / 0.85) / 0.25) ** 2
        for picked in _assignments(chains, len(lines)):
            # A finger that explains nothing is worth less than none.
            score = prior + sum(chain_score - 1.0 for _, _, _, chain_score in picked)
            if score <= best_score:
                continue
            fingers = [replace(chain, line=i) for i, _, chain, _ in picked]
            score += _spacing_score(fingers, lines, scale)
            if score > best_score:
                best, best_score = fingers, score
    return best, best_score


def _best_chain(gaps: Gaps, finger: int, scale: float, full: float) -> tuple[Finger, float] | None:
    """Dynamic programming from the tip to the palm over the candidate gaps."""
    bones = np.array(_BONES_MM[finger]) / _UNIT_MM * scale * FINE
    at, depth = gaps.at, np.clip(gaps.depth / full, 0, 1)
    if len(at) < len(bones) - 1:
        return None
    tip = 20.0  # the midline begins about this far before the bone of the tip
    misfit = np.log(np.maximum(at - tip, 1) / bones[0]) / _TIP_SD
    total = 3 * depth - 0.5 * misfit**2
    back, misfits = [], [misfit]
    for bone in bones[1:-1]:
        ratio = np.log(np.maximum(at[None, :] - at[:, None], 1) / bone) / _LENGTH_SD
        step = total[:, None] - 0.5 * ratio**2
        step[at[None, :] <= at[:, None]] = -1e6
        before = step.argmax(axis=0)
        back.append(before)
        misfits.append(ratio[before, np.arange(len(at))])
        total = step[before, np.arange(len(at))] + 3 * depth
    # Room for the metacarpal between the last joint and the carpus.
    room = np.maximum(gaps.length - at, 1) / bones[-1]
    total = total - 0.5 * (np.log(room / 1.1) / 0.25) ** 2
    last = int(total.argmax())
    score, chosen = float(total[last]), [last]
    for before in reversed(back):
        chosen.insert(0, int(before[chosen[0]]))
    found = Finger(
        finger,
        -1,
        tuple(at[chosen]),
        tuple(gaps.seen[chosen]),
        tuple(gaps.wide[chosen]),
        tuple(float(m[c]) for m, c in zip(misfits, chosen, strict=True)),
    )
    return found, score


def _assignments(chains: dict, count: int):
    """Every way to call lines, in their order round the carpus or against it, by increasing finger numbers."""
    for size in range(min(5, count), 2, -1):
        for chosen in combinations(range(count), size):
            for numbers in combinations(_BONES_MM, size):
                for order in (chosen, chosen[::-1]):
                    picked = [(i, f, *(chains[i, f] or (None, -np.inf))) for i, f in zip(order, numbers, strict=True)]
                    if all(chain is not None for _, _, chain, _ in picked):
                        yield picked


def _spacing_score(fingers: list[Finger], lines: list[np.ndarray], scale: float) -> float:
    """Neighbouring knuckles are about 20 mm apart, those of thumb and index finger 55 mm."""
    unit = scale * FINE / _UNIT_MM
    knuckles = {f.number: lines[f.line][min(int(f.joints[-1]), len(lines[f.line]) - 1)] for f in fingers}
    score = 0.0
    for number, point in knuckles.items():
        if number + 1 in knuckles:
            expected = (55.0 if number == 1 else 20.0) * unit
            distance = np.hypot(*(knuckles[number + 1] - point))
            score -= 0.5 * (np.log(max(distance, 1.0) / expected) / 0.3) ** 2
    return score
