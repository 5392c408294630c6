"""A series of CT slices in DICOM: which planes belong to it, what it is, and why it would not do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from SubchondralBoneAnalysisLib.ct_reading.dicom_planes import Plane, Source
from SubchondralBoneAnalysisLib.ct_reading.kernels import kernel_class
from SubchondralBoneAnalysisLib.ct_reading.slice_positions import SlicePositions, slice_positions
from SubchondralBoneAnalysisLib.ct_reading.voxel_size import unfit_voxels

FEWEST_SLICES = 16
LOCALIZER, DERIVED = "LOCALIZER", "DERIVED"
NO_DENSITY = ("MIP", "MINIP", "PROJECTION IMAGE", "VOLUME_RENDERING", "VRT", "IODINE", "Z_EFFECTIVE", "SCREEN SAVE")
MODALITIES = ("CT", "MR", "US", "NM", "PT", "XA", "RF", "SR", "PR", "SEG", "OT", "SC", "CR", "DX")
AXIAL = 0.7  # least cosine between the normal of axial slices, also tilted ones, and the long axis of the patient


@dataclass(frozen=True, eq=False)
class CtSeries:
    """Planes of one series that are parallel and alike, by ascending height; none twice.

    :param source: what the files say of all of them.
    :param planes: at least one.
    """

    source: Source
    planes: tuple[Plane, ...]

    @cached_property
    def places(self) -> SlicePositions:
        return slice_positions(np.array([plane.position for plane in self.planes]), self.axes, self.pixel_mm)

    @property
    def axes(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.planes[0].axes

    @property
    def pixel_mm(self) -> tuple[float, float]:
        return self.planes[0].pixel_mm

    @property
    def finest_mm(self) -> float:
        """The longest edge of its voxels, which limits what can be seen in it."""
        return max(*self.pixel_mm, float(np.median(self.places.steps_mm)))

    @property
    def kernel(self) -> str:
        return kernel_class(self.source.kernel)

    @property
    def is_reformatted(self) -> bool:
        """Computed from other slices, or not axial: a second choice beside the axial slices themselves."""
        return DERIVED in self.source.kind or abs(np.cross(*self.axes)[2]) < AXIAL

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest LPS coordinates of its pixels."""
        rows, columns = self.planes[0].size
        across = np.array(self.axes[0]) * self.pixel_mm[1] * (columns - 1)
        down = np.array(self.axes[1]) * self.pixel_mm[0] * (rows - 1)
        ends = [np.array(plane.position) for plane in (self.planes[0], self.planes[-1])]
        corners = np.array([end + i * across + j * down for end in ends for i in (0, 1) for j in (0, 1)])
        return corners.min(axis=0), corners.max(axis=0)

    def __str__(self) -> str:
        """As "series 4 (320 slices of 0.5 mm, kernel Br64, first file IM0001.dcm)"; no text about the patient."""
        number = "a series without a number" if self.source.number is None else f"series {self.source.number}"
        count = len(self.planes)
        slices = f"{count} slice{'s' * (count > 1)}"
        if self.is_placed and count > 1:
            slices += f" {float(np.median(self.places.steps_mm)):.2g} mm apart"
        kernel = f", kernel {self.source.kernel}" if self.source.kernel else ""
        return f"{number} ({slices}{kernel}, first file {min(plane.file for plane in self.planes).name})"

    @property
    def is_placed(self) -> bool:
        """Whether its files say where their pixels lie."""
        return all(plane.position and plane.axes and plane.pixel_mm for plane in self.planes)

    @cached_property
    def unfit(self) -> str | None:
        """Why it cannot be measured, to be put behind its name; None if it can."""
        if self.source.modality != "CT":
            known = self.source.modality in MODALITIES
            return f"is {self.source.modality}, not CT" if known else "does not say that it is CT"
        if LOCALIZER in self.source.kind:
            return "is a localizer"
        other = next((word for word in NO_DENSITY if word in self.source.kind), None)
        if other:
            return f"holds no density (its image type is {other})"
        if not self.planes[0].grey:
            return "is in colour"
        if not self.is_placed:
            return "does not say where its slices lie"
        if len(self.planes) < FEWEST_SLICES:
            return f"has fewer than {FEWEST_SLICES} slices"
        return self._unfit_places() or unfit_voxels((float(self.places.steps_mm.max()), *self.pixel_mm))

    def _unfit_places(self) -> str | None:
        doubled = self.places.doubled_after()
        if doubled:
            return f"has doubled slices (two or more at the same place, {len(doubled)} times)"
        missing = self.places.missing_after([plane.number for plane in self.planes])
        if missing:
            after, last = self.planes[missing[0]], self.planes[missing[0] + 1]
            where = after.file.name if after.frame is None else f"frame {after.frame + 1}"
            to = last.file.name if last.frame is None else f"frame {last.frame + 1}"
            gaps = "slices missing" if len(missing) == 1 else f"slices missing at {len(missing)} places"
            return f"has {gaps} (between {where} and {to})"
        return None


def series_of(planes: list[Plane]) -> list[CtSeries]:
    """Planes by the series they belong to; planes of another size or direction in the same series are one of its own.

    Copies of a plane are left out. Series come by number, the most slices first.
    """
    alike: dict[tuple, dict[str, Plane]] = defaultdict(dict)
    for plane in planes:
        axes = plane.axes and tuple(np.round(plane.axes, 3).ravel().tolist())
        pixel = plane.pixel_mm and tuple(np.round(plane.pixel_mm, 4).tolist())
        alike[plane.source, plane.size, pixel, axes].setdefault(plane.instance, plane)
    found = [CtSeries(key[0], _by_height(list(group.values()))) for key, group in alike.items()]
    return sorted(found, key=lambda series: (series.source.number or 0, -len(series.planes), series.source.series))


def _by_height(planes: list[Plane]) -> tuple[Plane, ...]:
    if not all(plane.position and plane.axes for plane in planes):
        return tuple(planes)
    normal = np.cross(*planes[0].axes)
    return tuple(sorted(planes, key=lambda plane: (round(float(np.dot(plane.position, normal)), 3), plane.instance)))
