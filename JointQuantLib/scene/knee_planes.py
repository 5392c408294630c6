"""The slices through a knee that are drawn: along the axes of its own tibia and femur, through its regions.

Laid out as slices of a knee are read: the patient's right at the left of axial and coronal slices, anterior at the top
of axial and at the left of sagittal ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from JointQuantLib.errors import BadInput
from JointQuantLib.knee_folder import BONE_NUMBERS, FIRST_COMPARTMENT, SUBREGION_NAMES, KneeFolder
from JointQuantLib.scene.frames import RAS_FROM_LPS
from JointQuantLib.scene.knee_labels import sided
from JointQuantLib.scene.slice_planes import ras_from_ijk

MARGIN_MM = 14.0  # around the regions
BIN_MM = 0.5  # in which the height of an axial slice is sought
ABOVE_TIBIA_MM = 6.0  # above the plateaus lies the joint space
CORONAL, SAGITTAL, AXIAL = (0, 2, 1), (1, 2, 0), (0, 1, 2)  # axes of (left, posterior, superior): right, up, across


@dataclass(frozen=True, eq=False)
class KneePlane:
    """A slice: `matrix` is that of a slice view (to the right, upward, across, middle; RAS and mm)."""

    name: str
    words: str
    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class KneePlanes:
    """The slices of one knee through its regions, each to be drawn `extent_mm` wide and high.

    `axes_lps` (3, 3) has as its columns the left, posterior and superior axis of the bone that they lie `along`, and
    `middle_lps` is the middle of the regions.
    """

    planes: tuple[KneePlane, ...]
    extent_mm: float
    along: str
    axes_lps: np.ndarray
    middle_lps: np.ndarray

    @property
    def axes_ras(self) -> np.ndarray:
        """(3, 3): columns are the right, anterior and superior axis, in RAS."""
        return RAS_FROM_LPS[:3, :3] @ self.axes_lps @ RAS_FROM_LPS[:3, :3]

    @property
    def middle_ras(self) -> np.ndarray:
        return RAS_FROM_LPS[:3, :3] @ self.middle_lps

    @property
    def upright(self) -> tuple[KneePlane, ...]:
        """The coronal and sagittal ones."""
        return tuple(plane for plane in self.planes if not plane.name.startswith("axial"))


def knee_planes(result: KneeFolder, knee: dict, subregions: np.ndarray) -> KneePlanes:
    """The slices of a knee: coronal and sagittal ones along the axes of the tibia, axial ones of tibia and femur.

    Where the tibia has no regions, all lie along the axes of the femur.

    :param subregions: numbers [k, j, i] of its sub-regions, as in COMPARTMENTS. BadInput where there are none.
    """
    points, numbers = _labelled_points(result, subregions)
    frames = {bone: _body_axes(frame) for bone, frame in knee["frames"].items()}
    bone = "tibia" if "tibia" in frames else "femur"
    if bone not in frames or not len(points):
        words = sided(knee, "knee")
        raise BadInput(f"{result.path} holds no regions of the {words}: run `jointquant knee` again.")
    axes = frames[bone]
    middle, extent = _box(points, axes)
    planes = []

    def add(name: str, words: str, axes: np.ndarray, screen: tuple[int, int, int], place: float) -> None:
        planes.append(KneePlane(name, words, _slice_matrix(axes, screen, middle, place)))

    central = _is_one_of(numbers, bone, ("medial central", "lateral central"))
    if central.any():
        place = float((points[central] @ axes[:, 1]).mean())
        add(
            "coronal",
            f"Coronal, along the axes of the {bone}, through the middle of its compartments",
            axes,
            CORONAL,
            place,
        )
    for side in ("medial", "lateral"):
        # In the middle of what both bones bear load with: the trochlea lies nearer to the midline.
        loaded = [_is_one_of(numbers, own, (f"{side} central", f"{side} posterior")) for own in FIRST_COMPARTMENT]
        places = [float((points[chosen] @ axes[:, 0]).mean()) for chosen in loaded if chosen.any()]
        if places:
            words = f"Sagittal, along the axes of the {bone}, through the {side} compartment"
            add(f"sagittal_{side}", words, axes, SAGITTAL, sum(places) / len(places))
    for own, where, names in (
        ("tibia", "below the plateaus", SUBREGION_NAMES),
        ("femur", "through the posterior condyles", ("medial posterior", "lateral posterior")),
    ):
        chosen = _is_one_of(numbers, own, names)
        if own in frames and chosen.any():
            place = _fullest(points[chosen] @ frames[own][:, 2])
            add(f"axial_{own}", f"Axial, along the axes of the {own}, {where}", frames[own], AXIAL, place)
    return KneePlanes(tuple(planes), extent + 2 * MARGIN_MM, bone, axes, middle)


def axial_bone_planes(result: KneeFolder, planes: KneePlanes, bones: np.ndarray) -> tuple[KneePlane, ...]:
    """Axial slices where patella and fibula are largest, of those that are there.

    :param bones: the numbers [k, j, i] of the bones of this knee.
    """
    found = []
    for bone in ("patella", "fibula"):
        points, _ = _labelled_points(result, bones == BONE_NUMBERS[bone])
        if len(points):
            words = f"Axial, along the axes of the {planes.along}, through the {bone}"
            matrix = _slice_matrix(planes.axes_lps, AXIAL, planes.middle_lps, _fullest(points @ planes.axes_lps[:, 2]))
            found.append(KneePlane(f"axial_{bone}", words, matrix))
    return tuple(found)


def axial_map_plane(
    result: KneeFolder, knee: dict, planes: KneePlanes, subregions: np.ndarray, values: np.ndarray, where: str
) -> tuple[KneePlane, ...]:
    """The axial slice in which a map has most values in or just above the sub-regions of the tibia; none without any.

    :param values: the map [k, j, i], 0 where it has no value.
    :param where: what the slice goes through, in words.
    """
    if planes.along != "tibia":
        return ()
    points, numbers = _labelled_points(result, subregions)
    tibia = points[numbers >= FIRST_COMPARTMENT["tibia"]] @ planes.axes_lps
    if not len(tibia):
        return ()
    low, high = tibia.min(axis=0), tibia.max(axis=0)
    high[2] += ABOVE_TIBIA_MM
    inside = np.zeros(values.shape, bool)
    box = tuple(slice(*bounds) for bounds in knee["box_kji"])
    inside[box] = values[box] > 0
    along = _labelled_points(result, inside)[0] @ planes.axes_lps
    along = along[((along >= low) & (along <= high)).all(axis=1)]
    if not len(along):
        return ()
    words = f"Axial, along the axes of the tibia, through the {where}"
    return (KneePlane("axial", words, _slice_matrix(planes.axes_lps, AXIAL, planes.middle_lps, _fullest(along[:, 2]))),)


def _labelled_points(result: KneeFolder, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) places in LPS and (n,) numbers of the labelled voxels."""
    kji = np.nonzero(labels)
    lps_from_ijk = RAS_FROM_LPS @ ras_from_ijk(result.content["ct"])
    points = np.column_stack(kji[::-1]) @ lps_from_ijk[:3, :3].T + lps_from_ijk[:3, 3]
    return points, labels[kji]


def _body_axes(frame: dict) -> np.ndarray:
    """(3, 3): columns are the bone's own left, posterior and superior, in LPS."""
    lateral, posterior, proximal = np.array(frame["lateral_posterior_proximal_lps"], dtype=float)
    return np.column_stack([lateral if lateral[0] > 0 else -lateral, posterior, proximal])


def _is_one_of(numbers: np.ndarray, bone: str, names: Iterable[str]) -> np.ndarray:
    return np.isin(numbers, [FIRST_COMPARTMENT[bone] + SUBREGION_NAMES.index(name) for name in names])


def _fullest(heights_mm: np.ndarray) -> float:
    """The height at which most voxels lie."""
    edges = np.arange(heights_mm.min(), heights_mm.max() + 2 * BIN_MM, BIN_MM)
    counts, edges = np.histogram(heights_mm, edges)
    return float(edges[np.argmax(counts)] + BIN_MM / 2)


def _box(points: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle of the box along these axes around points (n, 3), and its longest edge."""
    low, high = (points @ axes).min(axis=0), (points @ axes).max(axis=0)
    return axes @ ((low + high) / 2), float((high - low).max())


def _slice_matrix(
    axes_lps: np.ndarray, screen: tuple[int, int, int], middle_lps: np.ndarray, place: float
) -> np.ndarray:
    """What Slicer's own axial, coronal and sagittal slices are where the axes are those of the patient.

    :param middle_lps: is moved across the slice until it lies at `place` on that axis.
    """
    right, up, across = screen
    matrix = np.eye(4)
    matrix[:3, 0] = axes_lps[:, right]
    matrix[:3, 1] = axes_lps[:, up] * (-1 if up == 1 else 1)  # anterior is up
    matrix[:3, 2] = axes_lps[:, across] * (-1 if across == 1 else 1)  # toward anterior, left or superior
    matrix[:3, 3] = middle_lps + axes_lps[:, across] * (place - axes_lps[:, across] @ middle_lps)
    return RAS_FROM_LPS @ matrix
