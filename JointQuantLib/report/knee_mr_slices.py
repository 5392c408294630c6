"""Slices through an MR with what lies on it: the bones of the CT, the CT itself in a checkerboard, a synthetic CT.

All of it lies on the MR's own grid, so the MR is seen as it is. Slices are drawn along its own axes nearest to the
body's, in the middle of each compartment of the tibia as the CT has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from JointQuantLib.even_colors import mixed
from JointQuantLib.knee_colors import BONES as BONE_COLORS
from JointQuantLib.knee_colors import CT_TINT, MR_TINT, SYNTHETIC_TINT, agreement_ramp
from JointQuantLib.knee_folder import (
    AGREEMENT,
    BONE_NUMBERS,
    BONES_ON_MR,
    COMPARTMENTS,
    CT_ON_MR,
    FIRST_COMPARTMENT,
    MR,
    SUBREGION_NAMES,
    SYNTHETIC_CT,
    WHOLE_KNEE,
    KneeFolder,
)
from JointQuantLib.volume_planes import PLANES, Plane, middle_of

from .knee_slices import WINDOW_HU, Picture, around, nearest_axes, turned
from .map_pictures import edge_letters, round_length
from .pictures import jpeg

CORONAL, SAGITTAL = PLANES[1], PLANES[2]
WIDEST_PX = 330.0  # of a picture on the page: three stand in a row
PIXELS = 620  # of its longest edge, so that it is sharp on screens with two pixels to one
SQUARE_MM = 12.0  # of a checkerboard
REACH_MM = 60.0  # above and below the joint that is shown
AGREEMENT_SHARE = 0.5  # of its colour over the MR, which stays to be seen
BRIGHTEST = 99.7  # percentile of the MR that is white


@dataclass(frozen=True)
class MrSlices:
    """An MR and what lies on it, arrays whose k, j, i run nearest to S, P, L.

    :param order: the axes of the volumes by the axes of the slices, with the signs in which they run.
    :param chosen: plane, index and words of each slice.
    """

    result: KneeFolder
    order: tuple[tuple[int, int], ...]
    letters: tuple[str, str, str]
    spacing_mm: tuple[float, ...]
    mr: np.ndarray
    bones: np.ndarray
    chosen: tuple[tuple[Plane, int, str], ...]

    @classmethod
    def of(cls, result: KneeFolder) -> MrSlices | None:
        """None where the folder holds no MR, or no bones on it."""
        mr, bones = result.shown_on_mr(MR), result.shown_on_mr(BONES_ON_MR)
        if mr is None or bones is None:
            return None
        image = result.mr["shown"]
        order, letters = nearest_axes(image["direction_lps"])
        spacing = tuple(image["spacing_mm_kji"][axis] for axis, _ in order)
        places = {side: turned_index(place, mr.shape, order) for side, place in compartments_in_mr(result).items()}
        mr, bones = turned(mr, order), turned(bones, order)
        places = {
            side: place for side, place in places.items() if (place >= 0).all() and (place < np.array(mr.shape)).all()
        }
        chosen = [
            (SAGITTAL, int(place[SAGITTAL.across]), f"sagittal, {side} compartment") for side, place in places.items()
        ]
        middle = np.mean(list(places.values()), axis=0) if places else middle_of(mr.shape, bones > 0)
        chosen.append((CORONAL, int(middle[CORONAL.across]), "coronal"))
        return cls(result, order, letters, spacing, mr, bones, tuple(chosen))

    def layer(self, name: str) -> np.ndarray | None:
        """A volume on the grid of the MR, turned as the slices are."""
        array = self.result.shown_on_mr(name)
        return None if array is None else turned(array, self.order)

    @cached_property
    def shown(self) -> tuple[slice, ...]:
        """The part that is shown: around the bones, near the joint."""
        box = list(around(self.bones > 0, self.spacing_mm))
        femur, tibia = (np.flatnonzero((self.bones == BONE_NUMBERS[b]).any(axis=(1, 2))) for b in ("femur", "tibia"))
        if len(femur) and len(tibia):
            reach = round(REACH_MM / self.spacing_mm[0])
            joint = (int(femur[0]) + int(tibia[-1])) // 2
            box[0] = slice(max(box[0].start, joint - reach), min(box[0].stop, joint + reach))
        return tuple(box)

    @cached_property
    def white(self) -> float:
        """The grey value of the MR that is drawn white."""
        return float(np.percentile(self.mr[self.shown], BRIGHTEST)) or 1.0

    @cached_property
    def mm_per_pixel(self) -> float:
        extents = [(part.stop - part.start) * s for part, s in zip(self.shown, self.spacing_mm, strict=True)]
        return max(extents) / PIXELS

    def with_bones(self) -> list[Picture]:
        """The MR with the outlines of the CT's bones."""
        found = []
        for plane, index, words in self.chosen:
            picture = self._mr(plane, index)
            for name, number in BONE_NUMBERS.items():
                inside = self._cut(self.bones == number, plane, index) > 0.5
                picture[inside & ~ndimage.binary_erosion(inside, iterations=2, border_value=1)] = BONE_COLORS[name]
            found.append(self._picture(plane, words, picture))
        return found

    def checkerboard(self) -> list[Picture]:
        """CT and MR in turn, each in its own tint."""
        ct = self.layer(CT_ON_MR)
        if ct is None:
            return []
        found = []
        for plane, index, words in self.chosen:
            mr, over = self._mr(plane, index, MR_TINT), self._hounsfield(ct, plane, index, CT_TINT)
            rows, columns = (np.arange(n) * self.mm_per_pixel // SQUARE_MM for n in mr.shape[:2])
            odd = (rows[:, None] + columns) % 2 > 0
            found.append(self._picture(plane, words, np.where(odd[..., None], mr, over)))
        return found

    def beside(self) -> list[Picture]:
        """MR, CT and synthetic CT of one sagittal slice."""
        plane, index, words = self.chosen[0]
        found = [self._picture(plane, f"MR, {words}", self._mr(plane, index, MR_TINT))]
        for name, said, tint in (
            (CT_ON_MR, "CT, laid on the MR", CT_TINT),
            (SYNTHETIC_CT, "synthetic CT (made of the MR)", SYNTHETIC_TINT),
        ):
            volume = self.layer(name)
            if volume is not None:
                found.append(self._picture(plane, said, self._hounsfield(volume, plane, index, tint)))
        return found

    def agreement(self) -> list[Picture]:
        """The map of local agreement over the MR."""
        values = self.layer(AGREEMENT)
        if values is None or not np.isfinite(values).any():
            return []
        found = []
        for plane, index, words in self.chosen:
            known = self._cut(np.isfinite(values), plane, index) > 0.5
            level = np.clip(self._cut(np.nan_to_num(values), plane, index), 0, 1)
            colour = mixed(agreement_ramp(), level.ravel()).reshape(*level.shape, 3)
            share = (AGREEMENT_SHARE * known)[..., None]
            found.append(self._picture(plane, words, (1 - share) * self._mr(plane, index) + share * colour))
        return found

    def _mr(self, plane: Plane, index: int, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
        grey = np.clip(self._cut(self.mr, plane, index) / self.white, 0, 1)
        return grey[..., None] * np.array(tint)

    def _hounsfield(self, ct: np.ndarray, plane: Plane, index: int, tint: tuple[float, float, float]) -> np.ndarray:
        grey = np.clip((self._cut(ct, plane, index) - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]), 0, 1)
        return grey[..., None] * np.array(tint)

    def _cut(self, array: np.ndarray, plane: Plane, index: int) -> np.ndarray:
        """A slice [row, column] with square pixels of `mm_per_pixel`, linear between voxels."""
        at = [*self.shown]
        at[plane.across] = slice(index, index + 1)
        cut = plane.cut(array[tuple(at)], 0).astype(np.float32)
        zoom = (self.spacing_mm[plane.vertical] / self.mm_per_pixel, self.spacing_mm[plane.right] / self.mm_per_pixel)
        return ndimage.zoom(cut, zoom, order=1, mode="nearest", grid_mode=True)

    def _picture(self, plane: Plane, words: str, picture: np.ndarray) -> Picture:
        height, width = picture.shape[:2]
        scale = WIDEST_PX / PIXELS
        bar_mm = round_length(0.3 * width * self.mm_per_pixel)
        return Picture(
            words,
            jpeg(np.clip(picture, 0, 1)),
            scale * width,
            scale * height,
            edge_letters(plane, self.letters),
            (100 * bar_mm / (width * self.mm_per_pixel), f"{bar_mm:g} mm"),
        )


def compartments_in_mr(result: KneeFolder) -> dict[str, np.ndarray]:
    """Where the middle of each compartment of the tibia lies: the index (k, j, i) in what is shown on the MR."""
    parts = result.array(COMPARTMENTS)
    transforms = result.mr["transforms"]
    motion = np.array(transforms.get("tibia", transforms[WHOLE_KNEE])["ct_to_mr"])
    to_ct, to_mr = grid_matrix(result.content["ct"]), np.linalg.inv(grid_matrix(result.mr["shown"]))
    found = {}
    side = next(knee for knee in result.knees if knee["side"] == result.mr["side"])
    box = tuple(slice(*ends) for ends in side["box_kji"])
    for compartment in ("medial", "lateral"):
        number = FIRST_COMPARTMENT["tibia"] + SUBREGION_NAMES.index(f"{compartment} central")
        index = np.argwhere(parts[box] == number) if parts is not None else []
        if len(index):
            middle = index.mean(axis=0) + [part.start for part in box]
            place = motion @ to_ct @ np.append(middle[::-1], 1.0)
            found[compartment] = (to_mr @ place)[2::-1]
    return found


def grid_matrix(grid: dict) -> np.ndarray:
    """The 4 x 4 matrix that takes (i, j, k, 1) to LPS in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(grid["direction_lps"], (3, 3)) * np.array(grid["spacing_mm_kji"][::-1])
    matrix[:3, 3] = grid["origin_lps"]
    return matrix


def turned_index(index: np.ndarray, shape: tuple[int, ...], order: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The index of a voxel in the array that `turned` makes."""
    return np.array([index[axis] if sign > 0 else shape[axis] - 1 - index[axis] for axis, sign in order])
