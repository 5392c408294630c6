"""Maps of one pair of visits on the grid of its first film, put together from those of the joints, and their files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.spatial.distance import cdist

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.misalignment import MisalignmentMap

OUTSIDE_LOSS = -1.0  # below the scale of the loss: drawn as transparent
NAMES = ("before", "after", "loss_before", "loss_after")


@dataclass
class FilmMaps:
    """Maps of a pair on the film of its first visit, [row, column] float32.

    ``before`` and ``after`` are the second film brought onto the first around every joint (joint frames laid on each
    other, or each bone by its own motion), NaN elsewhere; ``loss_before`` and ``loss_after`` the loss (0 to 1, as in
    ``misalignment``), -1 elsewhere.
    """

    before: np.ndarray
    after: np.ndarray
    loss_before: np.ndarray
    loss_after: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> FilmMaps:
        """Maps that show nothing."""
        films = [np.full(shape, np.nan, np.float32) for _ in range(2)]
        return cls(*films, *(np.full(shape, OUTSIDE_LOSS, np.float32) for _ in range(2)))

    @classmethod
    def read(cls, folder: Path, from_visit: int, to_visit: int) -> FilmMaps:
        """The maps of a pair in a result folder."""
        return cls(*(read_volume(folder / map_name(name, from_visit, to_visit)) for name in NAMES))

    def write(self, folder: Path, from_visit: int, to_visit: int, spacing_mm: float | None) -> None:
        """Write the four files of a pair."""
        for name in NAMES:
            write_volume(folder / map_name(name, from_visit, to_visit), getattr(self, name), spacing_mm)

    def paste(self, crop: JointCrop, own: np.ndarray, before: MisalignmentMap, after: MisalignmentMap | None) -> None:
        """Put in the maps of a joint where ``own`` (bool, like the crop) says that they are this joint's."""
        rows, columns = crop.pixels.shape
        window = np.s_[crop.offset_px[1] : crop.offset_px[1] + rows, crop.offset_px[0] : crop.offset_px[0] + columns]
        self.before[window][own] = before.film[own]
        self.loss_before[window][own] = np.where(np.isfinite(before.loss), before.loss, OUTSIDE_LOSS)[own]
        if after is None:
            self.after[window][own] = np.nan
            self.loss_after[window][own] = OUTSIDE_LOSS
            return
        self.after[window][own] = after.film[own]
        self.loss_after[window][own] = np.where(np.isfinite(after.loss), after.loss, OUTSIDE_LOSS)[own]

    def clear_losses(self) -> None:
        """Take the losses out and leave the films."""
        for loss in (self.loss_before, self.loss_after):
            loss[:] = OUTSIDE_LOSS

    def clear(self, gone: Collection[np.ndarray], kept: Collection[np.ndarray]) -> None:
        """Take out what lies nearer to one of the joints at the film positions ``gone`` than to those at ``kept``."""
        shown = np.argwhere(np.isfinite(self.before))
        if not gone or not len(shown):
            return
        nearest = [
            cdist(shown[:, ::-1], np.array(list(places))).min(axis=1) if places else np.full(len(shown), np.inf)
            for places in (gone, kept)
        ]
        rows, columns = shown[nearest[0] < nearest[1]].T
        for name in NAMES:
            getattr(self, name)[rows, columns] = OUTSIDE_LOSS if name.startswith("loss") else np.nan


def nearest_joint(crop: JointCrop, others: Iterable[np.ndarray]) -> np.ndarray:
    """Pixels of a crop (bool) that lie nearer to its joint than to the joints at these film positions (x, y)."""
    rows, columns = np.mgrid[0 : crop.pixels.shape[0], 0 : crop.pixels.shape[1]]
    at = np.stack([columns + crop.offset_px[0], rows + crop.offset_px[1]], axis=-1)
    own = np.linalg.norm(at - np.add(crop.origin_px, crop.offset_px), axis=-1)
    nearest = np.ones(crop.pixels.shape, bool)
    for other in others:
        nearest &= own <= np.linalg.norm(at - other, axis=-1)
    return nearest


def map_name(name: str, from_visit: int, to_visit: int) -> str:
    """Name of the file of a map."""
    return f"{name}_{from_visit}_{to_visit}.nrrd"


def write_volume(path: Path, pixels: np.ndarray, spacing_mm: float | None) -> None:
    """Write a film or map [row, column] as a volume of one slice: LPS, identity direction, origin 0.

    The spacing is 1 where it is unknown. Whole numbers are stored as such.
    """
    whole = np.isfinite(pixels).all() and (np.round(pixels) == pixels).all() and np.abs(pixels).max() < 2**31
    stored = pixels.astype(np.int16 if np.abs(pixels).max() < 2**15 else np.int32) if whole else pixels
    image = sitk.GetImageFromArray(stored[None])
    image.SetSpacing((spacing_mm or 1.0, spacing_mm or 1.0, 1.0))
    sitk.WriteImage(image, str(path), useCompression=True)


def read_volume(path: Path) -> np.ndarray:
    """A film or map [row, column] float32, from a volume of one slice."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0].astype(np.float32)
