"""How far the regions and patches of a knee stay the same when it is scanned in another way.

Of simulated knees the bones are known at any voxel size and in any position; what is compared is the same knee at
another voxel size, on a turned grid, tilted in the scanner, and mirrored. None of these knees (seeds 11 to 14) was
looked at while the method was made. Real bones are found once, and their label map is resampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.bones import find_bones
from SubchondralBoneAnalysisLib.ct_reading import read_ct
from SubchondralBoneAnalysisLib.patch_cutting.patch_bones import patch_bone
from SubchondralBoneAnalysisLib.patches import place_patches
from SubchondralBoneAnalysisLib.pose import Pose
from SubchondralBoneAnalysisLib.region_finding.compartments import names_of
from SubchondralBoneAnalysisLib.simulation.simulated_knee_ct import SimulatedKnee
from SubchondralBoneAnalysisLib.simulation.voxel_grid import grid_around
from SubchondralBoneAnalysisLib.subchondral import JointBone, SubchondralRegions, find_regions
from SubchondralBoneAnalysisLib.volume import Volume, read_volume
from SubchondralBoneAnalysisLib.voxel_index import to_index, to_lps

SEEDS = (11, 12, 13, 14)
FINEST_MM = 0.3
VOXELS_MM = (0.5, 0.8, 1.0)
TURN_DEG = 20.0
UPRIGHT = (0.0, 0.0, 0.0)
# What is special, about which axis the grid is turned, by how many degrees about L, P and S the leg is tilted.
POSITIONS = (
    ("upright", None, UPRIGHT),
    ("grid turned about L", "x", UPRIGHT),
    ("grid turned about P", "y", UPRIGHT),
    ("grid turned about S", "z", UPRIGHT),
    ("knee tilted about L", None, (TURN_DEG, 0.0, 0.0)),
    ("knee tilted about P", None, (0.0, TURN_DEG, 0.0)),
)
BOX_MM = (100.0, 92.0, 112.0)  # left-right, front-back, up-down; of one that is turned
WIDER_MM = 14.0
MIDDLE_MM = (0.0, 8.0, 26.0)  # of the box, in the frame of the knee
SAME_PLACE_MM = 0.5
ASKED = 4000  # voxels of each bone, of which the exact depth is computed
# Largest change of a volume at a voxel size, percent.
ALLOWED = {0.5: 3.0, 0.8: 6.0, 1.0: 6.0}
UNDER_CARTILAGE_MM = 1.2  # from a point of the bone to the middle of the nearest voxel of cartilage
MR_BONES = {"femur": (5, (1,)), "tibia": (6, (2, 3))}  # numbers of the bone and of its cartilage


@dataclass(frozen=True, eq=False)
class Knee:
    """The regions and patches of a knee as it was seen once.

    :param places_mm: of the centre of each patch, in the frame that the knee has in every image.
    """

    regions: SubchondralRegions
    places_mm: dict[str, np.ndarray]

    @classmethod
    def seen(cls, labels: Volume, side: str, pose: Pose | None = None) -> Knee:
        regions = find_regions(labels, side)
        patches = [patch for bone in regions.bones.values() for patch in place_patches(patch_bone(bone))]
        places = {patch.name: patch.centre_lps_mm for patch in patches}
        if pose is not None:
            places = {name: pose.into(place[None])[0] for name, place in places.items()}
        return cls(regions, places)

    @property
    def volumes_mm3(self) -> np.ndarray:
        return np.array([region.volume_mm3 for region in self.regions.regions])

    def beside(self, other: Knee) -> Change:
        """What changed from `other` to this one."""
        names = sorted(set(self.places_mm) & set(other.places_mm))
        away = np.array([np.linalg.norm(self.places_mm[name] - other.places_mm[name]) for name in names])
        volume = 100 * (self.volumes_mm3 / other.volumes_mm3 - 1)
        return Change(volume, away, len(names) / max(len(self.places_mm), len(other.places_mm)))


@dataclass(frozen=True, eq=False)
class Change:
    """Of the same knee from one image to another.

    :param volume_percent: [regions].
    :param away_mm: [patches] that both have: distance of the two of the same name.
    :param in_common: share of the names of patches that both have.
    """

    volume_percent: np.ndarray
    away_mm: np.ndarray
    in_common: float


def tables(shared_data: Path | None) -> Iterator[tuple[str, str, list[dict]]]:
    """All tables: name, title, rows. Those of real bones only where `shared_data` is given."""
    yield "knee_regions", "Regions and patches against those of the same knee at 0.3 mm, upright", simulated()
    yield "knee_regions_mirrored", "Regions and patches of the mirrored knee", mirrored()
    if shared_data is not None:
        yield "knee_regions_real", "A real CT's bones, resampled, against themselves", resampled(shared_data)
        yield "knee_regions_cartilage", "Regions under the cartilage that was drawn in an MR", cartilage(shared_data)


def simulated() -> list[dict]:
    """A row for every voxel size and position: the worst of all knees, and the depths against the exact ones."""
    changes: dict[tuple[float, str], list[Change]] = {}
    depths: dict[tuple[float, str], list[np.ndarray]] = {}
    for seed in SEEDS:
        finest = SimulatedKnee(seed)
        reference = Knee.seen(simulated_labels(finest, FINEST_MM), finest.side, finest.pose)
        depths.setdefault((FINEST_MM, "upright"), []).append(depth_error(finest, reference.regions))
        for voxel_mm in VOXELS_MM:
            for position, turned_about, tilt_deg in POSITIONS:
                knee = SimulatedKnee(seed, tilt_deg=tilt_deg)
                seen = Knee.seen(simulated_labels(knee, voxel_mm, turned_about), knee.side, knee.pose)
                changes.setdefault((voxel_mm, position), []).append(seen.beside(reference))
                depths.setdefault((voxel_mm, position), []).append(depth_error(knee, seen.regions))
    rows = []
    for (voxel_mm, position), errors in sorted(depths.items(), key=lambda row: row[0][0]):
        row = {"voxel mm": voxel_mm, "position": position}
        row |= _changed(changes.get((voxel_mm, position), ()), ALLOWED.get(voxel_mm))
        error = np.abs(np.concatenate(errors))
        row |= {"depth error mean mm": f"{error.mean():.3f}", "95 % mm": f"{np.percentile(error, 95):.2f}"}
        rows.append(row)
    return rows


def mirrored() -> list[dict]:
    """A row for every voxel size: each knee's mirror image against the knee itself."""
    rows = []
    for voxel_mm in VOXELS_MM[:2]:
        changes = []
        for seed in SEEDS:
            knee, other = SimulatedKnee(seed), SimulatedKnee(seed).mirrored()
            seen = [Knee.seen(simulated_labels(one, voxel_mm), one.side, one.pose) for one in (knee, other)]
            changes.append(seen[1].beside(seen[0]))
        rows.append({"voxel mm": voxel_mm} | _changed(changes, ALLOWED[voxel_mm]))
    return rows


def resampled(shared_data: Path) -> list[dict]:
    """A row for every voxel size and position of the label map that was found once in a real CT."""
    ct = read_ct(shared_data / "knee-ct" / "knee_ct_right_image_side.nrrd").volume
    bones = find_bones(ct)
    reference = Knee.seen(bones.labels, bones.side)
    rows = []
    for voxel_mm in VOXELS_MM[1:]:
        for position, turned_about, _ in POSITIONS[:4]:
            seen = Knee.seen(nearest_labels(bones.labels, voxel_mm, turned_about), bones.side)
            row = {"found at mm": _voxel(bones.labels), "voxel mm": voxel_mm, "position": position}
            rows.append(row | _changed([seen.beside(reference)], ALLOWED[voxel_mm]))
    return rows


def cartilage(shared_data: Path) -> list[dict]:
    """A row for each bone: the share of the area of its regions that lies under the cartilage of the bone."""
    labels = read_volume(shared_data / "knee-mr" / "right_knee_bone_cartilage_labels.nrrd")
    regions = find_regions(replace(labels, array=mr_bones(labels)), "right")
    rows = []
    for name, (_, numbers) in MR_BONES.items():
        bone = regions.bones[name]
        under = under_cartilage(bone, labels, numbers)
        on = bone.subregion > 0
        row = {"bone": name, "area mm2": round(float(bone.surface.areas_mm2[on].sum()))}
        row["under cartilage"] = _share(bone, on, under)
        for number in range(1, 7):
            row[" ".join(names_of(number))] = _share(bone, bone.subregion == number, under)
        rows.append(row)
    return rows


def simulated_labels(knee: SimulatedKnee, voxel_mm: float, turned_about: str | None = None) -> Volume:
    """Femur and tibia of a simulated knee on a grid that may be turned against it."""
    middle = knee.pose.out(np.array([MIDDLE_MM]))[0]
    wider = WIDER_MM if turned_about or any(knee.tilt_deg) else 0.0
    size = tuple(mm + wider for mm in BOX_MM)
    labels = knee.labels(grid_around(tuple(middle.tolist()), size, voxel_mm, _direction(turned_about)))
    labels.array[labels.array > 2] = 0
    return labels


def nearest_labels(labels: Volume, voxel_mm: float, turned_about: str | None) -> Volume:
    """A label map on another grid around the same middle, which holds all of it: the nearest voxel's label."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in labels.array.shape])).reshape(3, -1).T
    direction = _direction(turned_about)
    along = to_lps(corners, labels) @ np.reshape(direction, (3, 3))
    middle = np.reshape(direction, (3, 3)) @ (along.min(axis=0) + along.max(axis=0)) / 2
    grid = grid_around(tuple(middle.tolist()), tuple(np.ptp(along, axis=0).tolist()), voxel_mm, direction)
    array = np.zeros(grid.array.shape, np.uint8)
    shape = np.array(labels.array.shape)
    for k in range(len(array)):
        index = np.stack(np.meshgrid(k, *map(np.arange, array.shape[1:]), indexing="ij"), axis=-1).reshape(-1, 3)
        at = np.rint(to_index(to_lps(index, grid), labels)).astype(int)
        held = ((at >= 0) & (at < shape)).all(axis=1)
        array[k].reshape(-1)[held] = labels.array[tuple(at[held].T)]
    return replace(grid, array=array)


def depth_error(knee: SimulatedKnee, found: SubchondralRegions, asked: int = ASKED) -> np.ndarray:
    """Of `asked` voxels of the regions of each bone, mm."""
    errors = []
    for bone in found.bones:
        numbers = [region.number for region in found.regions if region.bone == bone]
        at = np.argwhere(np.isin(found.labels.array, numbers))
        at = at[np.random.default_rng(0).choice(len(at), min(asked, len(at)), replace=False)]
        places = knee.pose.into(to_lps(at, found.labels))
        errors.append(found.depth_mm.array[tuple(at.T)] + knee.shapes.bone(bone).nearest(places, deep=True).distance_mm)
    return np.concatenate(errors)


def mr_bones(labels: Volume) -> np.ndarray:
    """Femur 1 and tibia 2 of the label map of an MR."""
    bones = np.zeros(labels.array.shape, np.uint8)
    for number, (of_bone, _) in enumerate(MR_BONES.values(), start=1):
        bones[labels.array == of_bone] = number
    return bones


def under_cartilage(bone: JointBone, labels: Volume, numbers: tuple[int, ...]) -> np.ndarray:
    """Which of the points of the surface lie under cartilage, bool [n]."""
    places = to_lps(np.argwhere(np.isin(labels.array, numbers)), labels)
    return cKDTree(places).query(bone.surface.points_lps)[0] < UNDER_CARTILAGE_MM


def _changed(changes: Iterable[Change], allowed_percent: float | None) -> dict:
    """The columns of a table for the same change of several knees; empty for the reference."""
    changes = list(changes)
    if not changes:
        return dict.fromkeys(
            ("worst region %", "median %", "met", f"patches within {SAME_PLACE_MM:g} mm %", "farthest mm",
             "names in common %"), ""
        )  # fmt: skip
    volume = np.abs(np.concatenate([change.volume_percent for change in changes]))
    away = np.concatenate([change.away_mm for change in changes])
    return {
        "worst region %": f"{volume.max():.1f}",
        "median %": f"{np.median(volume):.2f}",
        "met": "yes" if volume.max() <= allowed_percent else "no",
        f"patches within {SAME_PLACE_MM:g} mm %": f"{100 * (away <= SAME_PLACE_MM).mean():.1f}",
        "farthest mm": f"{away.max():.2f}",
        "names in common %": f"{100 * min(change.in_common for change in changes):.0f}",
    }


def _direction(turned_about: str | None) -> tuple[float, ...]:
    turn = Rotation.from_euler(turned_about, TURN_DEG, degrees=True) if turned_about else Rotation.identity()
    return tuple(turn.as_matrix().ravel().tolist())


def _voxel(volume: Volume) -> str:
    return " x ".join(f"{mm:.2f}" for mm in volume.spacing_mm)


def _share(bone: JointBone, on: np.ndarray, under: np.ndarray) -> str:
    areas = bone.surface.areas_mm2
    return f"{areas[on & under].sum() / areas[on].sum():.2f}"
