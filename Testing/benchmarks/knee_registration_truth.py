"""Where places of the subchondral bone of a simulated knee truly lie in its MR, and how far a registration is off.

Rigid motions are matrices [4, 4] that take a place (x, y, z, 1) in mm of LPS to another place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.region_finding.articular_surface import facing, settled
from SubchondralBoneAnalysisLib.region_finding.bone_surface import bone_surface
from SubchondralBoneAnalysisLib.subchondral import BONES, find_regions
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import to_lps

NUMBERS = {"femur": 1, "tibia": 2, "patella": 3}
PLACES = 300  # of each bone
DEEPEST_MM = 10.0
PLACES_STEP_MM = 0.9  # about, between neighbouring places that may be drawn
FARTHEST_MM, LARGEST_DEG = 30.0, 30.0  # of a start error
SEED = 20261122


@dataclass(frozen=True, eq=False)
class KneeTruth:
    """What is known of a pair.

    :param places_lps: [n, 3] mm of every bone, in the CT, spread evenly over its subchondral bone.
    :param ct_to_mr: motion of every bone.
    """

    places_lps: Mapping[str, np.ndarray]
    ct_to_mr: Mapping[str, np.ndarray]

    def errors_mm(self, bone: str, found: np.ndarray) -> np.ndarray:
        """Target registration error [n]: how far `found` [4, 4] takes the bone's places from where they truly lie."""
        places = self.places_lps[bone]
        return np.linalg.norm(carried(places, found) - carried(places, self.ct_to_mr[bone]), axis=1)

    def joint_in_mr(self) -> np.ndarray:
        """[3] mm: the middle of the places of the tibia, or of the first bone there is, in the MR."""
        bone = "tibia" if "tibia" in self.places_lps else next(iter(self.places_lps))
        return carried(self.places_lps[bone].mean(axis=0)[None], self.ct_to_mr[bone])[0]

    def after(self, motion: np.ndarray) -> KneeTruth:
        """The truth when the MR lies elsewhere in space."""
        return replace(self, ct_to_mr={bone: motion @ before for bone, before in self.ct_to_mr.items()})


def subchondral_places(labels: Volume, side: str, number: int = PLACES, seed: int = SEED) -> dict[str, np.ndarray]:
    """Places [n, 3] mm of LPS in every bone, 0 to 10 mm under its articular surface: centres of voxels, thinned out.

    Those of femur and tibia lie in the regions of the knee job, which leave the rim of the surface out; those of the
    patella as deep under where it faces the femur.

    :param labels: uint8 [k, j, i], 1 femur, 2 tibia, 3 patella: the true ones.
    :param side: "left" or "right".
    """
    rng = np.random.default_rng(seed)
    labels = _coarser(labels)
    regions = find_regions(labels, side)
    found = {}
    for bone in BONES:
        numbers = [region.number for region in regions.regions if region.bone == bone]
        found[bone] = np.argwhere(np.isin(regions.labels.array, numbers))
    found["patella"] = under_the_patella(labels)
    return {
        bone: to_lps(index[np.sort(rng.choice(len(index), min(number, len(index)), replace=False))], labels)
        for bone, index in found.items()
        if len(index)
    }


def start_error(rng: np.random.Generator, about_lps: np.ndarray) -> np.ndarray:
    """A motion [4, 4] about a place: its shift and its turn have uniform sizes and any direction."""
    shift, axis = (direction(rng) for _ in range(2))
    turn = Rotation.from_rotvec(axis * np.radians(rng.uniform(0, LARGEST_DEG)))
    return turned_about(turn, about_lps, shift * rng.uniform(0, FARTHEST_MM))


def turned_about(turn: Rotation, about_lps: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """The motion [4, 4] that turns about a place and then shifts."""
    motion = np.eye(4)
    motion[:3, :3] = turn.as_matrix()
    motion[:3, 3] = about_lps - motion[:3, :3] @ about_lps + shift_mm
    return motion


def direction(rng: np.random.Generator) -> np.ndarray:
    """A unit vector [3], all directions alike."""
    drawn = rng.standard_normal(3)
    return drawn / np.linalg.norm(drawn)


def moved(volume: Volume, motion: np.ndarray) -> Volume:
    """The same voxels elsewhere in space: only the header changes."""
    axes = motion[:3, :3] @ np.reshape(volume.direction_lps, (3, 3))
    origin = carried(np.array(volume.origin_lps)[None], motion)[0]
    return replace(volume, origin_lps=tuple(origin.tolist()), direction_lps=tuple(axes.ravel().tolist()))


def mirrored(volume: Volume) -> Volume:
    """What the other knee would look like: the voxels in reverse along the axis nearest to left-right, header kept."""
    across = int(np.argmax(np.abs(np.reshape(volume.direction_lps, (3, 3))[0])[::-1]))
    return replace(volume, array=np.ascontiguousarray(np.flip(volume.array, across)))


def carried(places_lps: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Places [n, 3] after a motion [4, 4]."""
    return places_lps @ motion[:3, :3].T + motion[:3, 3]


def size_of(motion: np.ndarray, about_lps: np.ndarray) -> tuple[float, float]:
    """How far a motion shifts a place, mm, and by how much it turns, degrees."""
    away = carried(about_lps[None], motion)[0] - about_lps
    return float(np.linalg.norm(away)), float(np.degrees(Rotation.from_matrix(motion[:3, :3]).magnitude()))


def motion_of(transform: sitk.Transform) -> np.ndarray:
    """The matrix [4, 4] of any transform that is affine."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    motion = np.eye(4)
    motion[:3, 3] = origin
    for axis, unit in enumerate(np.eye(3)):
        motion[:3, axis] = np.array(transform.TransformPoint(unit.tolist())) - origin
    return motion


def read_motion(path: Path) -> np.ndarray:
    """The matrix [4, 4] of a transform file."""
    return motion_of(sitk.ReadTransform(str(path)))


def _coarser(labels: Volume) -> Volume:
    """Every so many voxels of a label map, so that they are about `PLACES_STEP_MM` apart."""
    steps = [max(1, round(PLACES_STEP_MM / mm)) for mm in labels.spacing_mm]
    return replace(
        labels,
        array=np.ascontiguousarray(labels.array[tuple(slice(None, None, step) for step in steps)]),
        spacing_mm=tuple(mm * step for mm, step in zip(labels.spacing_mm, steps, strict=True)),
    )


def under_the_patella(labels: Volume) -> np.ndarray:
    """Indices [n, 3] (k, j, i) of the voxels of the patella within reach of where it faces the femur."""
    patella, femur = (bone_surface(labels, NUMBERS[bone]) for bone in ("patella", "femur"))
    if patella is None or femur is None:
        return np.empty((0, 3), int)
    on = settled(patella, facing(patella, femur)) > 0
    index = np.argwhere(labels.array == NUMBERS["patella"])
    if not on.any():
        return np.empty((0, 3), int)
    away, _ = cKDTree(patella.points_lps[on]).query(to_lps(index, labels), distance_upper_bound=DEEPEST_MM)
    return index[np.isfinite(away)]
