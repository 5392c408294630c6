"""The two bones of a joint: the piece of a film around it, the regions of both bones, and the joint frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bone_finding.bone_regions import BoneRegions
from JSNRegistrationLib.bone_outline import find_outlines, region_of
from JSNRegistrationLib.joint_space import JointSpace, across, joint_frame, measure_space, unit

if TYPE_CHECKING:
    from JSNRegistrationLib.joints import Joint
    from JSNRegistrationLib.radiograph import Radiograph

HALF_WIDTH_MM = 11.2  # of the square cut around a joint
MARGIN_MM = 2.0  # around drawn regions

# Width of the bone across the joint, mm, of a typical adult: round figures, not taken from a published table. They
# guess a pixel spacing that is unknown and bound a width that is given; they only choose the sizes of windows and
# filters and are never used for a result in millimetres.
TYPICAL_WIDTH_MM = {"MCP": 16.0, "PIP": 14.5, "DIP": 11.5, "IP1": 15.0, "MCP1": 16.0, "JOINT": 16.0}

SINGLE_JOINT_MM = 24.0  # shorter side of a film of one joint, where nothing is known about it
LARGEST_SINGLE_JOINT_PX = 600
USUAL_SPACING_MM = 0.15  # of a film of a whole hand
BORDER_SHARE = 0.5  # of the half width: as much may be cut off by the border of the film
WIDTH_RANGE = (0.75, 1.3)  # of the typical width: what is believed of a width
NO_SPACE = 0.45  # confidence where no joint space is seen between the bones: they overlap, or are far apart
LEAST_ALIKE = 0.8  # Dice of the network's and the classical region of a bone that are taken for the same
LEAST_BONE_SHARE = 0.02  # of the crop: less of a bone is no bone
DRAWN, NETWORK, CLASSICAL = "person", "network", "classical"  # who outlined the bones
DOUBTFUL = 0.6  # confidence below which a reason is given


@dataclass(frozen=True)
class JointCrop:
    """The piece of a film in which one joint is registered.

    ``offset_px`` is the film pixel (x, y) of crop pixel (0, 0); ``pixels`` float32 [row, column]; ``upper`` and
    ``lower`` are the regions of the distal and of the proximal bone (same shape, bool; they may overlap where the
    bones project over each other). ``origin_px`` and ``axis`` are in crop pixels, x right, y down: the middle of the
    joint space, and the unit vector along the finger from the lower to the upper bone.
    ``nominal_spacing_mm`` is the spacing of the film, or a guess from the width of the bone: it chooses filter sizes
    and never turns a result into millimetres. ``confidence`` (0 to 1) and ``reason`` say how well the bones were seen.
    """

    name: str
    side: str | None
    offset_px: tuple[int, int]
    pixels: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    origin_px: tuple[float, float]
    axis: tuple[float, float]
    nominal_spacing_mm: float
    confidence: float = 1.0
    reason: str | None = None
    outlined_by: str = DRAWN  # or NETWORK, CLASSICAL


def cut_joint(film: Radiograph, joint: Joint, regions: BoneRegions | None = None) -> JointCrop:
    """The piece of a film around a joint, with the outlines of its two bones and the joint frame.

    The position may be off by 1.5 mm and the axis by 8 degrees: both are found again from the outlines. Outlines that
    the joint brings along (drawn by a person) are used as they are. Else outlines are found without a learned model;
    where the ``regions`` that the bone network saw are others, or show an epiphysis, these are used. Where the spacing
    of the film is unknown it is guessed from the width of the bone (``joint.width_px``), else from a usual film.

    Never fails for a joint that is hard to see: ``confidence`` and ``reason`` tell. Raises BadInput for a position
    outside the film and for a piece of film without any contrast.
    """
    rows, columns = film.pixels.shape
    x, y = joint.position_px
    if not (0 <= x <= columns - 1 and 0 <= y <= rows - 1):
        raise BadInput(
            f"{joint.name} lies at ({x:.0f}, {y:.0f}), outside of {film.path} ({_size(film.pixels)}); "
            "correct its position."
        )
    spacing = _spacing(film, joint)
    half = int(np.ceil(HALF_WIDTH_MM / spacing))
    left, top = round(x) - half, round(y) - half
    window = (slice(max(0, top), min(rows, top + 2 * half + 1)), slice(max(0, left), min(columns, left + 2 * half + 1)))
    offset = (window[1].start, window[0].start)
    pixels = np.ascontiguousarray(film.pixels[window], dtype=np.float32)
    if np.ptp(pixels) <= 0:
        raise BadInput(
            f"There is no bone at {joint.name} in {film.path}: the film is blank there; correct its position."
        )
    position = np.array([x, y], float) - offset
    axis = unit(joint.axis)
    usual, width = typical_width_mm(joint.name) / spacing, bone_width_px(film, joint)
    bones = _drawn(film, joint, offset, pixels.shape)
    if bones is None:
        network = _of_network(regions, offset, pixels.shape)
        bones, (origin, new_axis, space) = _outlined(pixels, position, axis, width, usual, spacing)
        if network is not None and not _finer(bones, network):
            bones = network
    if bones.by != CLASSICAL:
        origin, new_axis, _, space = joint_frame(pixels, bones.upper, bones.lower, position, axis, spacing)
    shift_mm = np.subtract(origin, position) * spacing
    confidence, reason = _judge(bones.seen, space, pixels.shape, half, shift_mm, np.dot(axis, new_axis))
    return JointCrop(
        joint.name,
        joint.side,
        offset,
        pixels,
        bones.upper,
        bones.lower,
        origin,
        new_axis,
        float(spacing),
        confidence,
        reason,
        bones.by,
    )


@dataclass(frozen=True, eq=False)
class _Bones:
    """Regions of both bones, who outlined them, and how well the upper, the lower and the line between them were seen
    (0 to 1), None where a person drew them."""

    upper: np.ndarray
    lower: np.ndarray
    by: str
    seen: tuple[float, float, float] | None


def _drawn(film: Radiograph, joint: Joint, offset, shape: tuple[int, int]) -> _Bones | None:
    if joint.upper is None or joint.lower is None:
        return None
    upper, lower = (region_of(np.asarray(p, float) - offset, shape) for p in (joint.upper, joint.lower))
    if not upper.any() or not lower.any():
        raise BadInput(f"An outline of {joint.name} in {film.path} lies outside of the joint; draw it again.")
    return _Bones(upper, lower, DRAWN, None)


def _of_network(regions: BoneRegions | None, offset, shape: tuple[int, int]) -> _Bones | None:
    if regions is None:
        return None
    upper, lower = regions.on_crop(offset, shape)
    if min(np.count_nonzero(upper), np.count_nonzero(lower)) < LEAST_BONE_SHARE * upper.size:
        return None
    return _Bones(upper, lower, NETWORK, (*regions.seen(), 1.0))


def _finer(classical: _Bones, network: _Bones) -> bool:
    """Whether the outlines without a learned model, which follow the edges of the film itself, are the better ones.

    They are where both mean the same bones (Dice of each), but for the epiphyses of a child, which they do not know.
    """
    if any(ndimage.label(region)[1] > 1 for region in (network.upper, network.lower)):
        return False
    pairs = ((classical.upper, network.upper), (classical.lower, network.lower))
    dice = (2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1) for a, b in pairs)
    return min(dice) >= LEAST_ALIKE


def _outlined(pixels: np.ndarray, position, axis, width: float, usual: float, spacing: float):
    """The bones without a learned model, and (origin, axis, joint space); looked for twice where they lie elsewhere."""

    def look(origin, axis, width):
        found = find_outlines(pixels, origin, axis, width, spacing)
        upper, lower = region_of(found.upper, pixels.shape), region_of(found.lower, pixels.shape)
        return found, upper, lower, joint_frame(pixels, upper, lower, origin, axis, spacing)

    found, upper, lower, (origin, new_axis, new_width, space) = look(position, axis, width)
    if _moved(position, axis, width, origin, new_axis, new_width, spacing):
        new_width = float(np.clip(new_width, WIDTH_RANGE[0] * usual, WIDTH_RANGE[1] * usual))
        again, *bones, frame = look(origin, new_axis, new_width)
        if again.cost < found.cost + 0.05:
            found, (upper, lower), (origin, new_axis, _, space) = again, bones, frame
    seen = (found.upper_seen, found.lower_seen, found.line_seen)
    return _Bones(upper, lower, CLASSICAL, seen), (origin, new_axis, space)


def _moved(position, axis, width, origin, new_axis, new_width, spacing) -> bool:
    """Whether the joint was found so far from where it was said to be that its outlines should be looked for again."""
    turned = abs(across(unit(axis)) @ np.asarray(new_axis))
    aside = abs(across(unit(axis)) @ np.subtract(origin, position)) * spacing
    along = abs(unit(axis) @ np.subtract(origin, position)) * spacing
    wider = np.isfinite(new_width) and abs(np.log(new_width / width)) > 0.08
    return bool(wider or turned > 0.06 or aside > 0.7 or along > 1.5)


def bone_width_px(film: Radiograph, joint: Joint) -> float:
    """Width of the bones across a joint in film pixels: as it was found, if it can be believed, else a usual one."""
    usual = typical_width_mm(joint.name) / _spacing(film, joint)
    return float(np.clip(joint.width_px or usual, WIDTH_RANGE[0] * usual, WIDTH_RANGE[1] * usual))


def _spacing(film: Radiograph, joint: Joint) -> float:
    """Millimetres a pixel: of the film, or a guess."""
    if film.spacing_mm is not None:
        return film.spacing_mm
    if joint.width_px:
        return typical_width_mm(joint.name) / joint.width_px
    if max(film.pixels.shape) <= LARGEST_SINGLE_JOINT_PX:
        return SINGLE_JOINT_MM / min(film.pixels.shape)
    return USUAL_SPACING_MM


def _judge(
    seen: tuple[float, float, float] | None, space: JointSpace, shape, half: int, shift_mm, turn_cosine: float
) -> tuple[float, str | None]:
    """Confidence (0 to 1) and the reason of the weakest point, if there is one."""
    doubts = [] if np.isfinite(space.width_px) else [(NO_SPACE, space.reason)]
    if min(shape) < 2 * half + 1 - BORDER_SHARE * half:
        doubts.append((0.5, "the joint lies at the border of the film"))
    if seen is not None:
        doubts.append((seen[0], "the outline of the upper bone is not clear"))
        doubts.append((seen[1], "the outline of the lower bone is not clear"))
        doubts.append((seen[2], "the joint space is hardly seen between the two bones"))
        far = float(np.hypot(*shift_mm))
        doubts.append((1.0 - (far - 2.0) / 3.0, "the joint was found far from its position"))
        turned = float(np.degrees(np.arccos(np.clip(turn_cosine, -1.0, 1.0))))
        doubts.append((1.0 - (turned - 12.0) / 15.0, "the bones were found turned away from the axis of the finger"))
    confidence, reason = min(doubts, key=lambda d: d[0], default=(1.0, None))
    confidence = float(np.clip(confidence, 0.0, 1.0))
    return confidence, reason if confidence < DOUBTFUL else None


def crop_from_masks(
    film: Radiograph, upper_mask: np.ndarray, lower_mask: np.ndarray, name: str = "JOINT", side: str | None = None
) -> JointCrop:
    """A joint from a film and the regions of its two bones, drawn by a person.

    The masks have the shape of the film; bool, or numbers where more than half of the largest value counts as bone
    (so both 0/1 and 0/255 pictures are read). The drawn regions are used as they are. Which bone is upper is what the
    masks say; the axis points from the lower to the upper one.

    Raises BadInput for a mask of the wrong shape, an empty mask, or two masks of the same bone.
    """
    upper = _as_region(upper_mask, film, "upper")
    lower = _as_region(lower_mask, film, "lower")
    shared = np.count_nonzero(upper & lower) / min(np.count_nonzero(upper), np.count_nonzero(lower))
    if shared > 0.5:
        raise BadInput(
            f"The upper and lower mask of {film.path} show the same bone ({100 * shared:.0f} % of the smaller mask "
            "lies in the other one); give one mask for each bone."
        )
    return _crop_around_regions(film, upper, lower, name, side)


def joint_space_width(crop: JointCrop) -> tuple[float, float]:
    """Width of the joint space at the origin along the axis, and its standard error, in pixels; NaN if not seen."""
    space = joint_space(crop)
    return space.width_px, space.se_px


def joint_space(crop: JointCrop) -> JointSpace:
    """The joint space of a crop with its margins, and the reason where it cannot be measured."""
    return measure_space(crop.pixels, crop.upper, crop.lower, crop.origin_px, crop.axis, crop.nominal_spacing_mm)


def typical_width_mm(name: str) -> float:
    """Width of the bone across a joint of this name in a typical adult, in millimetres."""
    return TYPICAL_WIDTH_MM.get(name) or TYPICAL_WIDTH_MM.get(name.rstrip("12345"), TYPICAL_WIDTH_MM["JOINT"])


def _as_region(mask: np.ndarray, film: Radiograph, which: str) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.shape != film.pixels.shape:
        raise BadInput(
            f"The {which} mask of {film.path} is {_size(mask)}, the film is {_size(film.pixels)}; "
            "draw the mask on the film itself."
        )
    largest = mask.max() if mask.size else 0
    if not largest:
        raise BadInput(f"The {which} mask of {film.path} is empty; mark the bone with values above zero.")
    return mask if mask.dtype == bool else mask > largest / 2


def _size(array: np.ndarray) -> str:
    return " x ".join(str(n) for n in array.shape[::-1]) + " pixels"


def _crop_around_regions(film: Radiograph, upper: np.ndarray, lower: np.ndarray, name: str, side) -> JointCrop:
    centres = [np.array(np.nonzero(region)[::-1], float).mean(axis=1) for region in (upper, lower)]
    axis = centres[0] - centres[1]
    length = np.hypot(*axis)
    if length < 1.0:
        raise BadInput(f"The two bones of {name} in {film.path} lie on the same place; mark two neighbouring bones.")
    axis /= length
    spacing = film.spacing_mm or typical_width_mm(name) / _width_near_joint(upper, lower, axis)
    box = _bounding_box(upper | lower, MARGIN_MM / spacing)
    offset = (box[1].start, box[0].start)
    pixels = np.ascontiguousarray(film.pixels[box], dtype=np.float32)
    rough = _between(upper[box], lower[box], axis)
    origin, axis, width, space = joint_frame(pixels, upper[box], lower[box], rough, axis, spacing)
    if film.spacing_mm is None and np.isfinite(width):
        spacing = typical_width_mm(name) / width
    return JointCrop(
        name,
        side,
        offset,
        pixels,
        upper[box].copy(),
        lower[box].copy(),
        origin,
        axis,
        float(spacing),
        1.0,
        space.reason,
    )


def _bounding_box(region: np.ndarray, margin: float) -> tuple[slice, slice]:
    slices = []
    for along, length in ((1, region.shape[0]), (0, region.shape[1])):
        used = np.flatnonzero(region.any(axis=along))
        slices.append(slice(max(0, int(used[0] - margin)), min(length, int(used[-1] + margin) + 1)))
    return slices[0], slices[1]


def _width_near_joint(upper: np.ndarray, lower: np.ndarray, axis: np.ndarray) -> float:
    """Width across the axis of the wider bone, in pixels, without regard to how much of the shafts was drawn."""
    side = across(axis)
    widths = []
    for region in (upper, lower):
        y, x = np.nonzero(region)
        u = x * side[0] + y * side[1]
        widths.append(np.ptp(u) + 1.0)
    return float(max(widths))


def _between(upper: np.ndarray, lower: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """A point between the two regions: on the line of their centres, between the ends that face each other."""
    ends, middles = [], []
    for region, end in ((upper, np.min), (lower, np.max)):
        y, x = np.nonzero(region)
        v = x * axis[0] + y * axis[1]
        ends.append(end(v))
        middles.append(np.array([x.mean(), y.mean()]))
    start, direction = middles[1], middles[0] - middles[1]
    share = (0.5 * (ends[0] + ends[1]) - start @ axis) / (direction @ axis)
    return start + share * direction
