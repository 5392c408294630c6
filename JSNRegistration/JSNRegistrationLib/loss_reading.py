"""The loss map of a joint in words: which bone is not laid on itself and on which side, or where a bone has changed.

A bone that is misplaced as a whole, by a shift, a turn, or a turn out of the plane, differs everywhere by what one
smooth shift (linear over the bone) explains. That shift is fitted robustly to the differences near the joint and read
on either side. What it does not explain and is still bright in one place is a change of the bone, or something that
lies over it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from JointQuantLib.loss_colors import FULL_LOSS_MM
from JSNRegistrationLib.bones import JointCrop, typical_width_mm
from JSNRegistrationLib.film_difference import FilmDifference
from JSNRegistrationLib.misalignment import BoneLoss, MisalignmentMap, apart_mm

ALIGNED, NOT_ALIGNED, CHANGED, DIFFERS, NOT_SHOWN = "aligned", "not aligned", "changed", "differs", "not shown"
SIDES = {
    "right": ("radial", "ulnar"),  # palm down, the thumb of a right hand lies to the left of the film
    "left": ("ulnar", "radial"),
    None: ("left", "right"),
}
MIDDLE, SURFACE, SHAFT = "middle", "joint surface", "shaft"

# Set on simulated joints with known misplacements and known erosions; hit rates in the README.
OFF_MM = 0.14  # a bone is not aligned where it lies at least this far off itself
ONE_SIDED = 0.4  # the other side lies off by less than this share: only one side is named
BRIGHT_MM = 0.25  # a place has changed where the films differ as if misplaced by this
STANDS_OUT = 2.5  # and by so many times what they do in half of the bone
PATCH_MM2 = 2.0  # and at least over this area
DIFFERS_MM = 0.25  # half of a bone beyond this: it differs all over
LOST_MM = 0.4  # or even beyond this: the bone does not fit at all

MIDDLE_SHARE = 0.17  # of the bone's width on either side of the joint's middle
SIDE_SHARE = 0.3  # where the shift of a side is read, as in the profile of the change
SURFACE_MM = 4.0  # from the middle of the joint space
RIM_MM = 1.2  # from the contour of the bone
NEAR_MM = 6.0  # sigma of the weight along the axis
FARTHEST_MM = 9.0  # along the axis: beyond, the bone is not read
LEAST_PIXELS = 400
TUKEY = 4.0


@dataclass(frozen=True)
class Sector:
    """One piece of a bone: ``side`` across the joint, ``along`` joint surface or shaft, at the contour (``rim``) or
    inside; ``mean_loss`` (0 to 1) and the ``bright_share`` of it that is as bright as a change.
    """

    side: str
    along: str
    rim: bool
    mean_loss: float
    bright_share: float


@dataclass(frozen=True)
class BoneReading:
    """What the loss says about one bone (``upper`` or ``lower``).

    ``kind`` is aligned, not aligned, changed (in one place), differs (all over) or not shown; ``side``, ``along`` and
    ``rim`` say where (None: all of it, or nowhere), ``off_px`` how far the bone lies off itself at most, as far as one
    smooth shift explains.
    """

    bone: str
    kind: str
    side: str | None
    along: str | None
    rim: bool | None
    off_px: float | None
    sectors: tuple[Sector, ...]

    @property
    def phrase(self) -> str:
        """The bone in words; empty where there is nothing to say."""
        if self.kind == NOT_SHOWN:
            return f"{self.bone} bone not shown by both films"
        if self.kind == NOT_ALIGNED:
            return f"{self.bone} bone not aligned" + (f" {_on_side(self.side)}" if self.side else "")
        if self.kind == CHANGED:
            return _change_phrase(self)
        if self.kind == DIFFERS:
            return f"{self.bone} bone differs all over: finger turned, or film taken otherwise?"
        return ""


@dataclass(frozen=True)
class LossReading:
    """What the loss map after registration says about both bones of a joint."""

    upper: BoneReading
    lower: BoneReading

    @property
    def sentence(self) -> str:
        """One sentence for the reader of the map."""
        bones = (self.upper, self.lower)
        off = [bone.phrase for bone in bones if bone.kind in (NOT_ALIGNED, NOT_SHOWN)]
        changed = [bone.phrase for bone in bones if bone.kind in (CHANGED, DIFFERS)]
        if not off and not changed:
            return "both bones aligned"
        return "; ".join([*off, *([] if off else ["aligned"]), *changed])


@dataclass(frozen=True)
class JointLoss:
    """Mean loss of a joint before and after registration (0 to 1; NaN where there is none), and what it says."""

    before: float
    after: float
    reading: LossReading | None


def read_loss(crop: JointCrop, after: MisalignmentMap, side: str | None) -> LossReading:
    """The reading of a map after registration; ``side`` of the hand, filmed palm down, or None where unknown."""
    upper, lower = (
        _read_bone(name, crop, bone, getattr(crop, name), SIDES[side])
        for name, bone in zip(("upper", "lower"), after.bones, strict=True)
    )
    return LossReading(upper, lower)


@dataclass(frozen=True)
class _Places:
    """Where the pixels of a crop lie, (row, column): mm across (to the right where the axis points up) and along the
    bone from the middle of the joint space, and from the bone's contour; ``sides`` names the ends of ``across``.
    """

    across: np.ndarray
    along: np.ndarray
    from_contour: np.ndarray
    breadth: float
    sides: tuple[str, str]

    @classmethod
    def of(cls, crop: JointCrop, bone: np.ndarray, away: float, sides: tuple[str, str]) -> _Places:
        mm = crop.nominal_spacing_mm
        rows, columns = np.mgrid[0 : bone.shape[0], 0 : bone.shape[1]]
        x, y = columns - crop.origin_px[0], rows - crop.origin_px[1]
        up = away * np.asarray(crop.axis, float)
        right = np.array([-crop.axis[1], crop.axis[0]])
        if sides == SIDES[None] and right[0] < 0:
            sides = sides[::-1]
        contour = ndimage.distance_transform_edt(bone) + ndimage.distance_transform_edt(~bone)
        across, along = (mm * (x * d[0] + y * d[1]) for d in (right, up))
        return cls(across, along, mm * contour, typical_width_mm(crop.name), sides)

    def side(self, across_mm: float) -> str:
        if abs(across_mm) <= MIDDLE_SHARE * self.breadth:
            return MIDDLE
        return self.sides[int(across_mm > 0)]


def _read_bone(name: str, crop: JointCrop, loss: BoneLoss, bone: np.ndarray, sides: tuple[str, str]) -> BoneReading:
    mm = crop.nominal_spacing_mm
    places = _Places.of(crop, bone, 1.0 if name == "upper" else -1.0, sides)
    near = loss.region & (places.along < FARTHEST_MM)
    sectors = _sectors(places, near, loss.loss)
    if np.count_nonzero(near) < LEAST_PIXELS:
        return BoneReading(name, NOT_SHOWN, None, None, None, None, sectors)
    if loss.difference is None:
        return BoneReading(name, NOT_ALIGNED, None, None, None, None, sectors)
    drift = _smooth_shift(places, near, loss.difference)
    ends = [drift.at(share * places.breadth, SURFACE_MM) for share in (-SIDE_SHARE, SIDE_SHARE)]
    off = [float(np.hypot(*end)) * mm for end in ends]
    rest = apart_mm(drift.taken_off(places, loss.difference), mm)
    usual = float(np.median(rest[near]))
    if max(off) >= OFF_MM or usual >= LOST_MM:
        one_sided = max(off) >= OFF_MM and min(off) < ONE_SIDED * max(off)
        side = places.sides[int(np.argmax(off))] if one_sided else None
        return BoneReading(name, NOT_ALIGNED, side, None, None, max(off) / mm, sectors)
    patch = _largest_patch(near & (rest >= max(BRIGHT_MM, STANDS_OUT * usual)))
    if np.count_nonzero(patch) * mm**2 < PATCH_MM2:
        kind = ALIGNED if usual < DIFFERS_MM else DIFFERS
        return BoneReading(name, kind, None, None, None, max(off) / mm, sectors)
    side = places.side(float(np.median(places.across[patch])))
    along = SURFACE if np.median(places.along[patch]) < SURFACE_MM else SHAFT
    rim = bool(np.percentile(places.from_contour[patch], 25) < RIM_MM)
    return BoneReading(name, CHANGED, side, along, rim, max(off) / mm, sectors)


def _sectors(places: _Places, near: np.ndarray, loss: np.ndarray) -> tuple[Sector, ...]:
    """Twelve pieces of a bone, those that have no pixel left out."""
    middle = MIDDLE_SHARE * places.breadth
    across = {
        places.sides[0]: places.across < -middle,
        MIDDLE: np.abs(places.across) <= middle,
        places.sides[1]: places.across > middle,
    }
    found = []
    for side, of_side in across.items():
        for along, of_along in ((SURFACE, places.along < SURFACE_MM), (SHAFT, places.along >= SURFACE_MM)):
            for rim in (True, False):
                piece = near & of_side & of_along & ((places.from_contour < RIM_MM) == rim) & np.isfinite(loss)
                if piece.any():
                    bright = np.mean(loss[piece] * FULL_LOSS_MM >= BRIGHT_MM)
                    found.append(Sector(side, along, rim, float(loss[piece].mean()), float(bright)))
    return tuple(found)


@dataclass(frozen=True)
class _SmoothShift:
    """A shift in pixels that is linear over the bone: ``terms`` (2, 3) of x and y for 1, across and along in mm."""

    terms: np.ndarray

    def at(self, across_mm, along_mm):
        """Shift (x, y) in pixels."""
        return self.terms @ np.stack([np.ones_like(across_mm), across_mm, along_mm])

    def taken_off(self, places: _Places, difference: FilmDifference) -> FilmDifference:
        """The difference that is left when the second film is moved back."""
        x, y = self.at(places.across.ravel(), places.along.ravel()).reshape(2, *places.across.shape)
        return replace(difference, residual=difference.residual + difference.right * x + difference.down * y)


def _smooth_shift(places: _Places, near: np.ndarray, difference: FilmDifference) -> _SmoothShift:
    """The shift that explains most of the difference near the joint (Gauss-Newton step, Tukey weights)."""
    one = np.ones(np.count_nonzero(near))
    where = np.column_stack([one, places.across[near], places.along[near]])
    slopes = np.column_stack([difference.right[near, None] * where, difference.down[near, None] * where])
    target, weight = -difference.residual[near], np.exp(-0.5 * (places.along[near] / NEAR_MM) ** 2)
    trust = weight
    for _ in range(5):
        weighted = slopes * trust[:, None]
        normal = weighted.T @ slopes
        normal += 1e-6 * (np.trace(normal) + np.finfo(float).tiny) * np.eye(6)
        terms = np.linalg.solve(normal, weighted.T @ target)
        left = target - slopes @ terms
        spread = 1.4826 * np.median(np.abs(left)) + np.finfo(np.float32).tiny
        trust = weight * np.clip(1.0 - (left / (TUKEY * spread)) ** 2, 0.0, 1.0) ** 2
    return _SmoothShift(terms.reshape(2, 3))


def _largest_patch(bright: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(bright)
    if not count:
        return np.zeros(bright.shape, bool)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def _change_phrase(bone: BoneReading) -> str:
    where = "in the middle" if bone.side == MIDDLE else _on_side(bone.side)
    if not bone.rim:
        return f"change inside the {bone.bone} bone {where}: bone itself, or finger turned?"
    at = "near the joint surface" if bone.along == SURFACE and bone.side == MIDDLE else "near the margin"
    return f"change inside the {bone.bone} bone {at} {where}: erosion or overlap?"


def _on_side(side: str) -> str:
    return f"on the {side} side" if side not in SIDES[None] else f"on the {side} of the picture"
