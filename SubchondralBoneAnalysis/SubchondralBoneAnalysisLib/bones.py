"""The bones of one knee in a CT: femur, tibia, patella and fibula, each filled and apart from the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from SubchondralBoneAnalysisLib.bone_finding.bone_contact import contact_settled, parted_by_ways
from SubchondralBoneAnalysisLib.bone_finding.bone_edge import peeled
from SubchondralBoneAnalysisLib.bone_finding.bone_filling import filled, filled_sections
from SubchondralBoneAnalysisLib.bone_finding.bone_shells import parted_by_brightness, parted_by_thickness, pieces
from SubchondralBoneAnalysisLib.bone_finding.knee_grid import on_grid_of, upright
from SubchondralBoneAnalysisLib.bone_finding.thin_shell import with_thin_shells
from SubchondralBoneAnalysisLib.volume import Volume

FEMUR, TIBIA, PATELLA, FIBULA = 1, 2, 3, 4
# The outermost slices of an upright volume [k, j, i], and the one that the shaft of a bone runs through.
FACES = {
    "inferior": np.s_[0],
    "superior": np.s_[-1],
    "anterior": np.s_[:, 0],
    "posterior": np.s_[:, -1],
    "right": np.s_[:, :, 0],
    "left": np.s_[:, :, -1],
}
SHAFT_FACE = {FEMUR: "superior", TIBIA: "inferior", FIBULA: "inferior"}
NAMES = {FEMUR: "femur", TIBIA: "tibia", PATELLA: "patella", FIBULA: "fibula"}

VOXEL_MM = 0.7  # of the grid on which bones are taken apart
SMOOTHING_MM = 0.6
FINE_MM = 0.4  # for thin shells
SHELL_HU = 160.0  # well above muscle and contrast-free blood, below the thinnest cortex after smoothing
LOWER_SHELLS_HU = (135.0, 110.0)  # where a bone falls to pieces at that: thin cortex in a smooth CT
WHOLE = 0.2  # of the larger one of femur and tibia; less of the other is a part of it
SOFT_HU = 90.0  # below it lies soft tissue, or marrow without bone in it
METAL_AS_HU = 120  # neither bone nor soft tissue
SHAFT_HU = 300.0
END_MM = 6.0  # at the top and the bottom of the volume, where the shafts are told apart
LEAST_SHELL_MM3 = 300.0
LEAST_SHAFT_MM3 = 100.0
LEAST_PATELLA_MM3 = 1500.0
CORTEX_GAP_MM = 2.5  # in the cortex of a femur, as thin as it is in a smooth image
MOST_OVERLAP_MM = 25.0  # in height, of femur and tibia
FRONT = 0.1  # of the femur lies farther in front than the middle of the patella at the most
PATELLA_STEP_HU = 28.0  # from one brightness at which it is looked for to the next
LEAST_CUT_MM2 = 25.0  # of a section at the border of the volume: less is a tip that nearly ends there
LEAST_HEIGHT_MM = 30.0  # of femur and tibia: less is no bone end with its shaft
CORTEX_WITHIN_MM = 1.4
NEAR_MM = 5.0  # to where femur and tibia meet, across which their sections are compared
ONE_BONE = 0.6  # of the smaller section; touching condyles meet in up to a third of it
CLEAR_CORTEX_HU = 250.0
LEAST_VOXELS = 4  # along each axis, to be smoothed
REPLACEMENT_MM3 = 15e3  # of metal: screws, plates and nails of a knee are less, the parts of a knee replacement more
REPLACED = (
    "are as much as in a knee replacement, whose surfaces are no bone: nothing of this knee can be measured in a CT"
)
NO_KNEE = (
    "no shaft of a femur at the top or of a tibia at the bottom of the volume goes on to a joint: give the CT of a "
    "knee, with the end of the thigh bone and the beginning of the shin bone, upright as its orientation says"
)
CLEAR_HU = 320.0  # bones that are parted by brightness up to this are; beyond it they touch, and their shape decides


@dataclass(frozen=True)
class FoundBone:
    """One bone as it was found.

    :param confidence: the share of its surface, 0 to 1, where there is bright cortex and the volume goes on.
    :param cut_by_view: the faces of the volume that cut it, but for the one that its shaft runs through.
    :param reason: what is wrong with it; empty where nothing is.
    """

    name: str
    found: bool
    confidence: float
    cut_by_view: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class KneeBones:
    """The bones on the grid of the CT.

    :param labels: uint8 [k, j, i]: 1 femur, 2 tibia, 3 patella, 4 fibula, 0 elsewhere.
    :param side: "left" or "right" by where the fibula lies, None without one.
    """

    labels: Volume
    side: str | None
    bones: dict[str, FoundBone]
    warnings: list[str]


def find_bones(ct: Volume, metal: np.ndarray | None = None) -> KneeBones:
    """Find the bones of one knee.

    Nothing is raised for what is no knee: then no bone is found, and `warnings` say so. The same holds for a knee
    replacement, whose joint surfaces are no bone.

    :param ct: HU [k, j, i], in any orientation, of one leg, the knee somewhere between its ends.
    :param metal: [k, j, i] bool, metal itself (`KneeCt.implants`), which is not taken for bone: a screw inside of a
        bone is part of it because the bone is filled. With the zone of its streaks, bone that lies in the zone is lost.
    """
    if min(ct.array.shape) < LEAST_VOXELS:
        return _nothing(ct, NO_KNEE)
    if metal is not None and np.count_nonzero(metal) * ct.voxel_mm3 > REPLACEMENT_MM3:
        return _nothing(ct, f"{np.count_nonzero(metal) * ct.voxel_mm3 / 1000:.0f} cm³ of metal {REPLACED}")
    plain = (
        ct
        if metal is None
        else Volume(np.where(metal, METAL_AS_HU, ct.array), ct.spacing_mm, ct.origin_lps, ct.direction_lps)
    )
    grid = upright(plain, VOXEL_MM, SMOOTHING_MM)
    solids = bone_solids(grid.array, VOXEL_MM, upright(plain, VOXEL_MM, FINE_MM).array)
    if not {FEMUR, TIBIA} & set(solids):
        return _nothing(ct, NO_KNEE)
    labels = np.zeros(ct.array.shape, np.uint8)
    best = np.full(ct.array.shape, 0.5, np.float32)
    for number, solid in solids.items():
        share = _inside(solid, grid, ct)
        larger = share > best
        labels[larger], best[larger] = number, share[larger]
    del best, share, larger  # as large as the CT
    for one, other in ((FEMUR, TIBIA), (TIBIA, FIBULA)):
        labels = contact_settled(labels, plain.array, ct.spacing_mm, one, other)
    labels = largest_pieces(peeled(labels, plain.array, ct.spacing_mm))
    bones = {name: _described(name, number, solids.get(number), grid.array, VOXEL_MM) for number, name in NAMES.items()}
    side = side_of(solids)
    warnings = [f"The {bone.name}: {bone.reason}." for bone in bones.values() if bone.reason]
    return KneeBones(Volume(labels, ct.spacing_mm, ct.origin_lps, ct.direction_lps, ct.path), side, bones, warnings)


def bone_solids(hu: np.ndarray, voxel_mm: float, fine: np.ndarray) -> dict[int, np.ndarray]:
    """The filled bones, as `solids_of_shells`, of shells that are as bright as can be without falling to pieces."""
    first = solids_of_shells(hu, voxel_mm, fine, SHELL_HU)
    if are_whole(first):
        return first
    lower = (solids_of_shells(hu, voxel_mm, fine, shell_hu) for shell_hu in LOWER_SHELLS_HU)
    return next((solids for solids in lower if are_whole(solids)), first)


def are_whole(solids: dict[int, np.ndarray]) -> bool:
    """Whether femur and tibia are both more than a part of themselves; of one bone alone nothing can be said."""
    if not {FEMUR, TIBIA} <= set(solids):
        return True
    sizes = [np.count_nonzero(solids[number]) for number in (FEMUR, TIBIA)]
    return min(sizes) >= WHOLE * max(sizes)


def solids_of_shells(hu: np.ndarray, voxel_mm: float, fine: np.ndarray, shell_hu: float) -> dict[int, np.ndarray]:
    """The filled bones, bool [k, j, i], of a smoothed CT on upright cubic voxels, by their numbers.

    The shafts in the top and the bottom slices are seeds: the femur above, tibia and fibula below. What is bright and
    connected with several of them is taken apart where it is darkest (femur from tibia, by the joint space) or thinnest
    (where bones touch). The patella is the largest bright piece in front that belongs to no shaft.

    :param fine: the same with less smoothing, in which thin shells are seen.
    :param shell_hu: above which a voxel is of a shell.
    """
    shell = pieces(hu > shell_hu, LEAST_SHELL_MM3, voxel_mm)
    seeds, fibula_seed = shaft_seeds(hu, voxel_mm)
    seeds[patella_seed(hu, seeds, voxel_mm)] = PATELLA
    owner = np.zeros(hu.shape, np.int32)
    for number, box in enumerate(ndimage.find_objects(shell), 1):
        piece = shell[box] == number
        inside = [int(n) for n in np.unique(seeds[box][piece]) if n]
        if len(inside) > 1:
            owner[box][piece] = apart(hu[box], piece, seeds[box], voxel_mm, shell_hu)[piece]
        elif inside:
            owner[box][piece] = inside[0]
    owner = with_thin_shells(owner, fine, voxel_mm)
    soft = hu < SOFT_HU
    solids = {n: filled(owner == n, voxel_mm, soft) for n in (FEMUR, TIBIA, PATELLA) if (owner == n).any()}
    only = only_bone(solids, voxel_mm)
    if only is not None:
        owner[np.isin(owner, (FEMUR, TIBIA))] = only
        solids = {n: filled(owner == n, voxel_mm, soft) for n in (only, PATELLA) if (owner == n).any()}
    if TIBIA in solids and fibula_seed is not None:
        parts = tibia_and_fibula(hu, owner == TIBIA, solids[TIBIA], fibula_seed, voxel_mm)
        if parts[1].any():
            solids |= dict(zip((TIBIA, FIBULA), parts, strict=True))
    return solids


def tibia_and_fibula(
    hu: np.ndarray, shell: np.ndarray, solid: np.ndarray, seeds: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool [k, j, i], from their common shell and the solid that it encloses.

    Where they touch the solid is parted: the wall between them is thin, and each shell alone would be open there.
    """
    parts, threshold = parted_by_brightness(hu, shell, seeds, SHELL_HU)
    if threshold <= CLEAR_HU:
        soft = hu < SOFT_HU
        return filled(parts == 1, voxel_mm, soft), filled(parts == 2, voxel_mm, soft)
    parts = parted_by_ways(hu, solid, np.where(shell, seeds, 0), voxel_mm)
    return parts == 1, parts == 2


def only_bone(solids: dict[int, np.ndarray], voxel_mm: float) -> int | None:
    """FEMUR or TIBIA where both are parts of that one bone, which no joint parts; None where there is a joint.

    Bones touch in spots. Parts of one bone meet in the whole of its section.
    """
    if not {FEMUR, TIBIA} <= set(solids):
        return None
    femur, tibia = solids[FEMUR], solids[TIBIA]
    meeting = np.count_nonzero(femur & ndimage.binary_dilation(tibia))
    near = max(1, int(NEAR_MM / voxel_mm))
    heights = np.nonzero((femur & ndimage.binary_dilation(tibia, iterations=2)).any(axis=(1, 2)))[0]
    if not len(heights):
        return None
    place = slice(max(0, heights[0] - near), heights[-1] + near + 1)
    if meeting < ONE_BONE * min(np.count_nonzero(bone[place].any(axis=0)) for bone in (femur, tibia)):
        return None
    sections = (femur | tibia).sum(axis=(1, 2))
    ends = max(1, int(END_MM / voxel_mm))
    # The end at the joint is the wide one.
    return TIBIA if sections[-ends:].mean() > sections[:ends].mean() else FEMUR


def shaft_seeds(hu: np.ndarray, voxel_mm: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Seeds [k, j, i]: FEMUR above, TIBIA below (with the fibula); and labels 1 tibia, 2 fibula, None without one."""
    slices = max(1, int(END_MM / voxel_mm))
    seeds = np.zeros(hu.shape, np.int32)
    seeds[-slices:][femur_seed(hu[-slices:], voxel_mm)] = FEMUR
    below = pieces(hu[:slices] > SHAFT_HU, LEAST_SHAFT_MM3, voxel_mm)
    order = np.argsort(-np.bincount(below.ravel())[1:]) + 1
    seeds[:slices][np.isin(below, order[:2])] = TIBIA
    if len(order) < 2:
        return seeds, None
    fibula = np.zeros(hu.shape, np.int32)
    fibula[:slices][below == order[0]] = 1
    fibula[:slices][below == order[1]] = 2
    return seeds, fibula


def femur_seed(above: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Bright voxels, bool [k, j, i], of the femur in the top slices: of its shaft or condyles, not of a patella.

    The femur has the largest section there, and the patella lies before its middle. Where a smooth image leaves little
    of a thin cortex, less bright voxels are taken.
    """
    femur = np.zeros(above.shape, bool)
    # All slices together, and gaps closed: a thin cortex is broken in each of them.
    gap = int(np.ceil(CORTEX_GAP_MM / voxel_mm))
    outline = np.pad((above > SHELL_HU).any(axis=0), gap)
    outline = ndimage.binary_fill_holes(ndimage.binary_closing(outline, iterations=gap))[gap:-gap, gap:-gap]
    sections, count = ndimage.label(outline)
    if not count:
        return femur
    largest = np.broadcast_to(sections == np.argmax(np.bincount(sections.ravel())[1:]) + 1, above.shape)
    middle = np.nonzero(largest)[1].mean()
    for level in (SHAFT_HU, SHELL_HU):
        bright = pieces(largest & (above > level), LEAST_SHAFT_MM3, voxel_mm)
        behind = np.unique(bright[:, int(np.ceil(middle)) :])
        femur = np.isin(bright, behind[behind > 0])
        if femur.any():
            break
    return femur


def patella_seed(hu: np.ndarray, seeds: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Where the patella is, bool [k, j, i]: the largest piece of bone before the femur that no shaft is part of.

    It is looked for where it is whole, and in brighter and brighter voxels as long as it hangs on to the femur.
    """
    for level in np.arange(SHELL_HU, SHAFT_HU + 1, PATELLA_STEP_HU):
        bright = pieces(hu > level, LEAST_PATELLA_MM3, voxel_mm)
        femur = np.isin(bright, np.unique(bright[seeds == FEMUR])) & (bright > 0)
        if not femur.any():
            break
        front = np.quantile(np.nonzero(femur)[1], FRONT)
        shafts = np.unique(bright[seeds > 0])
        sizes = np.bincount(bright.ravel())
        for number in np.argsort(-sizes[1:]) + 1:
            own = bright == number
            if number not in shafts and sizes[number] and np.nonzero(own)[1].mean() < front:
                return own
    return np.zeros(hu.shape, bool)


def apart(hu: np.ndarray, shell: np.ndarray, seeds: np.ndarray, voxel_mm: float, shell_hu: float) -> np.ndarray:
    """A piece of shell as labels of the seeds in it: parted at the dark line between the bones, else at their neck."""
    parts, threshold = parted_by_brightness(hu, shell, seeds, shell_hu)
    whole = are_whole({number: parts == number for number in (FEMUR, TIBIA) if (parts == number).any()})
    if threshold <= CLEAR_HU and whole and not in_each_other(parts, voxel_mm):
        return parts
    # Filled slice by slice across the leg: in other directions, bones that touch enclose what lies between them.
    by_shape = parted_by_thickness(filled_sections(shell), np.where(shell, seeds, 0), voxel_mm)
    return parts if by_shape is None else np.where(shell, by_shape, 0)


def in_each_other(parts: np.ndarray, voxel_mm: float) -> bool:
    """Whether femur and tibia overlap in height by more than condyles and eminence do: part of one is of the other.

    So it comes out where a thin cortex above the condyles is darker than what is between condyles and tibia.
    """
    bottom, top = (np.nonzero((parts == number).any(axis=(1, 2)))[0] for number in (FEMUR, TIBIA))
    return bool(len(bottom) and len(top) and (top[-1] - bottom[0]) * voxel_mm > MOST_OVERLAP_MM)


def side_of(solids: dict[int, np.ndarray]) -> str | None:
    """The side of the body: the fibula is lateral, and i grows to the left of the body."""
    if not {TIBIA, FIBULA} <= set(solids) or not solids[FIBULA].any():
        return None
    at = {number: np.nonzero(solids[number].any(axis=(0, 1)))[0].mean() for number in (TIBIA, FIBULA)}
    return "left" if at[FIBULA] > at[TIBIA] else "right"


def largest_pieces(labels: np.ndarray) -> np.ndarray:
    """Labels with the largest connected piece of each only."""
    out = np.zeros_like(labels)
    for number in NAMES:
        parts, count = ndimage.label(labels == number)
        if count:
            out[parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1] = number
    return out


def _nothing(ct: Volume, why: str) -> KneeBones:
    """No bone at all, and one sentence why."""
    labels = replace(ct, array=np.zeros(ct.array.shape, np.uint8))
    bones = {name: FoundBone(name, False, 0.0, (), "not found in this volume") for name in NAMES.values()}
    return KneeBones(labels, None, bones, [why[0].upper() + why[1:] + "."])


def _inside(solid: np.ndarray, grid: Volume, ct: Volume) -> np.ndarray:
    """How much of each voxel of the CT lies in a bone, 0 to 1 float32; smoothed, so no steps of the grid are left."""
    # The outermost voxels of the CT may lie beyond the middle of the last ones of the grid: bone goes on to them.
    soft = np.pad(ndimage.gaussian_filter(solid.astype(np.float32), 0.7), 1, mode="edge")
    origin = tuple(at - mm for at, mm in zip(grid.origin_lps, grid.spacing_mm, strict=True))
    return on_grid_of(Volume(soft, grid.spacing_mm, origin, grid.direction_lps), ct)


def _described(name: str, number: int, solid: np.ndarray | None, hu: np.ndarray, voxel_mm: float) -> FoundBone:
    if solid is None or not solid.any():
        return FoundBone(name, False, 0.0, (), "not found in this volume")
    height = np.ptp(np.nonzero(solid.any(axis=(1, 2)))[0]) * voxel_mm
    short = number in (FEMUR, TIBIA) and height < LEAST_HEIGHT_MM
    through = None if short else SHAFT_FACE.get(number)
    cut = tuple(
        face
        for face, place in FACES.items()
        if face != through and np.count_nonzero(solid[place]) * voxel_mm**2 > LEAST_CUT_MM2
    )
    reasons = [f"only {height:.0f} mm of it are in the volume"] if short else []
    reasons += [f"cut by the {' and '.join(cut)} border of the volume"] if cut and not short else []
    return FoundBone(name, True, _share_of_clear_surface(solid, hu, through, voxel_mm), cut, ", ".join(reasons))


def _share_of_clear_surface(solid: np.ndarray, hu: np.ndarray, through: str | None, voxel_mm: float) -> float:
    surface = solid & ~ndimage.binary_erosion(solid)
    if through is not None:
        surface[FACES[through]] = False
    clear = ndimage.maximum_filter(hu, size=2 * int(np.ceil(CORTEX_WITHIN_MM / voxel_mm)) + 1) > CLEAR_CORTEX_HU
    for face, place in FACES.items():
        if face != through:
            clear[place] = False
    return float(np.count_nonzero(surface & clear) / np.count_nonzero(surface))
