"""Whether the loss maps mean the same everywhere, and what their reading finds: simulated joints with known mismatches.

One bone of a joint is misplaced by a known shift, or turned so that one side of it is; or the lower bone of the second
film is eaten into at its margin. Motions are the true ones, so all that the map shows is the known mismatch, noise,
another exposure, and for `hard` joints the finger that was turned out of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from mcp_series import in_parallel
from registration_joints import film_of

from JointQuantLib.loss_colors import FULL_LOSS_MM
from JSNRegistrationLib.bones import JointCrop, crop_from_masks, typical_width_mm
from JSNRegistrationLib.loss_reading import ALIGNED, CHANGED, NOT_ALIGNED, SURFACE_MM, LossReading, read_loss
from JSNRegistrationLib.misalignment import MisalignmentMap, film_spline, misalignment
from JSNRegistrationLib.motion import apply, between_pieces, compose, motion_about
from JSNRegistrationLib.simulation.joint import DIFFICULTIES, simulate_joint

SPACINGS_MM = (0.1, 0.15)
PHOTONS = (16000, 4000, 1000)
JOINTS_EACH = 2
FIRST_SEED = 60_000  # none of them set a threshold
MASK_JITTER_MM = 0.15
MISPLACED_MM = (0.0, 0.1, 0.2, 0.4, 0.8)
READ_FROM_MM = 0.2  # the least misplacement that the reading is asked for
BITE_MM = 1.2  # radius of an erosion
BITE_DEPTH = 0.6  # of what the bone stands out by
FROM_JOINT_MM = 6.0
BONES = ("upper", "lower")


@dataclass(frozen=True)
class Case:
    """What was done to a joint (``aligned``, ``shift``, ``turn``, ``erosion``, by how many mm) and what was seen."""

    what: str
    mm: float
    difficulty: str
    photons: int
    mean_mm: float
    found: bool  # the bone, and nothing wrong with the other one
    side_found: bool


@dataclass(frozen=True)
class Pair:
    """Two films of a joint, the crop of the first, and the true motions in film pixels (upper, lower)."""

    crop: JointCrop
    film: np.ndarray
    motions: tuple[np.ndarray, np.ndarray]

    def map(self, motions) -> MisalignmentMap:
        offset = (-self.crop.offset_px[0], -self.crop.offset_px[1])
        return misalignment(self.crop, film_spline(self.film), *(between_pieces(m, offset, (0, 0)) for m in motions))

    def with_error(self, bone: int, error: np.ndarray) -> list[np.ndarray]:
        """The motions, one bone moved by an error first."""
        return [compose(motion, error) if k == bone else motion for k, motion in enumerate(self.motions)]

    def point(self, bone: int, across_mm: float, along_mm: float) -> np.ndarray:
        """A point of a bone in film pixels: across the joint, and along the bone from the middle of the joint space."""
        axis = np.asarray(self.crop.axis)
        mm = across_mm * np.array([-axis[1], axis[0]]) + (1 - 2 * bone) * along_mm * axis
        return np.add(self.crop.origin_px, self.crop.offset_px) + mm / self.crop.nominal_spacing_mm


def measure() -> tuple[list[dict], list[dict]]:
    """Mean loss over a misplaced bone in mm by its misplacement; and how often the reading names bone and side."""
    kinds = product(DIFFICULTIES, SPACINGS_MM, PHOTONS, range(JOINTS_EACH))
    tasks = [(FIRST_SEED + number, *kind[:3]) for number, kind in enumerate(kinds)]
    cases = [case for found in in_parallel(cases_of, tasks) for case in found]
    groups = (("easy and medium", ("easy", "medium")), ("hard", ("hard",)))
    colours = [_colour_row(name, mm, _of(cases, kinds, mm)) for name, kinds in groups for mm in MISPLACED_MM]
    readings = [
        _reading_row(name, what, mm, [c for c in cases if c.difficulty in kinds and (c.what, c.mm) == (what, mm)])
        for name, kinds in groups
        for what, mm in sorted({(c.what, c.mm) for c in cases if c.mm == 0.0 or c.mm >= READ_FROM_MM})
    ]
    return colours, readings


def cases_of(task: tuple[int, str, float, int]) -> list[Case]:
    """All that is done to one joint."""
    seed, difficulty, spacing, photons = task
    random = np.random.default_rng(task[0])
    joint = simulate_joint(
        seed, spacing_mm=spacing, difficulty=difficulty, photons=photons, mask_jitter_mm=MASK_JITTER_MM
    )
    crop = crop_from_masks(film_of(joint.films[0], spacing), joint.upper_masks[0], joint.lower_masks[0], "MCP2")
    pair = Pair(crop, joint.films[1], (joint.upper_motion[1], joint.lower_motion[1]))
    right = 0.3 * typical_width_mm(crop.name)
    cases = []
    for mm in MISPLACED_MM:
        bone, angle = int(random.integers(2)), random.uniform(0, 2 * np.pi)
        shift = mm / spacing * np.array([np.cos(angle), np.sin(angle)])
        seen = pair.map(pair.with_error(bone, motion_about(np.zeros(2), 0.0, 1.0, shift)))
        mean = float(np.nanmean(seen.bones[bone].loss)) * FULL_LOSS_MM
        read = read_loss(crop, seen, None)
        what = "shift" if mm else "aligned"
        cases.append(Case(what, mm, difficulty, photons, mean, *_judged(read, bone, None, mm)))
        if mm:
            side = int(random.choice([-1, 1]))
            error = motion_about(pair.point(bone, -side * right, SURFACE_MM), mm / (2 * right), 1.0, np.zeros(2))
            read = read_loss(crop, pair.map(pair.with_error(bone, error)), None)
            cases.append(Case("turn", mm, difficulty, photons, np.nan, *_judged(read, bone, _name(side), mm)))
    side = int(random.choice([-1, 1]))
    eaten = Pair(crop, _eroded(pair, joint.lower_masks[0], side), pair.motions)
    read = read_loss(crop, eaten.map(eaten.motions), None)
    found = read.lower.kind == CHANGED and read.upper.kind == ALIGNED
    return [*cases, Case("erosion", BITE_MM, difficulty, photons, np.nan, found, read.lower.side == _name(side))]


def _judged(read: LossReading, bone: int, side: str | None, mm: float) -> tuple[bool, bool]:
    own, other = (getattr(read, BONES[k]) for k in (bone, 1 - bone))
    if mm == 0.0:
        return read.sentence == "both bones aligned", NOT_ALIGNED not in (own.kind, other.kind)
    return own.kind == NOT_ALIGNED and other.kind != NOT_ALIGNED, own.side == side


def _name(side: int) -> str:
    return "right" if side > 0 else "left"


def _eroded(pair: Pair, lower_mask: np.ndarray, side: int) -> np.ndarray:
    """The second film with a bite out of the margin of the lower bone."""
    spacing = pair.crop.nominal_spacing_mm
    steps = np.arange(0.0, 12.0, 0.1)
    line = np.round([pair.point(1, side * mm, FROM_JOINT_MM) for mm in steps]).astype(int)
    columns, rows = np.clip(line, 0, np.array(lower_mask.shape[::-1]) - 1).T
    half_width = steps[lower_mask[rows, columns]].max()
    x, y = apply(pair.motions[1], pair.point(1, side * (half_width - 0.4 * BITE_MM), FROM_JOINT_MM))
    rows, columns = np.mgrid[: pair.film.shape[0], : pair.film.shape[1]]
    bite = np.exp(-((np.hypot(columns - x, rows - y) * spacing / BITE_MM) ** 4))
    ground = float(np.median(pair.film[bite > 1e-3])) - 2 * float(np.std(pair.film[bite > 1e-3]))
    return (pair.film - BITE_DEPTH * bite * np.maximum(pair.film - ground, 0.0)).astype(np.float32)


def _of(cases: list[Case], kinds: tuple[str, ...], mm: float) -> list[Case]:
    return [case for case in cases if case.difficulty in kinds and case.mm == mm and case.what in ("aligned", "shift")]


def _colour_row(name: str, mm: float, cases: list[Case]) -> dict:
    row = {"joints": name, "misplaced, mm": mm, "N": len(cases)}
    means = np.array([case.mean_mm for case in cases])
    row |= {"mean loss, mm": round(means.mean(), 3), "SD between joints, mm": round(means.std(), 3)}
    for photons in PHOTONS:
        row[f"{photons} photons, mm"] = round(float(np.mean([c.mean_mm for c in cases if c.photons == photons])), 3)
    return row


def _reading_row(name: str, what: str, mm: float, cases: list[Case]) -> dict:
    return {
        "joints": name,
        "what was done": what,
        "mm": mm,
        "N": len(cases),
        "bone named, %": round(100 * np.mean([case.found for case in cases]), 1),
        "side right, %": round(100 * np.mean([case.side_found for case in cases]), 1),
    }
