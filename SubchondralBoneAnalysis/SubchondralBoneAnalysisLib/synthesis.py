"""A synthetic CT of a knee MR: HU on the MR's own grid, to lay it on a CT and to see surfaces, never to be measured."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from JointQuantLib import devices
from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.weights import NoWeights, Weights, read_weights
from SubchondralBoneAnalysisLib.ct_synthesis.mr_check import check_mr
from SubchondralBoneAnalysisLib.ct_synthesis.normalisation import relative_signal
from SubchondralBoneAnalysisLib.ct_synthesis.slices import from_slices, to_slices
from SubchondralBoneAnalysisLib.ct_synthesis.tiles import LARGEST_TILE, synthetic_slices
from SubchondralBoneAnalysisLib.models import models_folder
from SubchondralBoneAnalysisLib.volume import Volume

if TYPE_CHECKING:
    from SubchondralBoneAnalysisLib.ct_synthesis.generator import Generator

MODEL = "knee-synthesis"


@dataclass(frozen=True, eq=False)
class SyntheticCt:
    """A synthetic CT.

    :param volume: HU, float32, on the grid of the MR.
    :param device: the one it was computed on.
    :param model: on what the network was trained, to go beside the image.
    :param warnings: what to be careful with, as sentences.
    """

    volume: Volume
    device: str
    model: str
    warnings: tuple[str, ...] = ()


def synthesis_available() -> bool:
    """Whether PyTorch, MONAI and the weights are there."""
    if not _libraries_available():
        return False
    try:
        read_weights(models_folder(), MODEL)
    except NoWeights:
        return False
    return True


def synthesize_ct(
    mr: Volume, device: str = devices.AUTO, progress: Progress | None = None, weights: Path | None = None
) -> SyntheticCt:
    """HU for every voxel of a knee MR (any sequence, side and storage; voxels in mm, LPS).

    :param device: one of `devices.DEVICE_NAMES`; where its memory runs out, smaller tiles are taken, then the CPU.
    :param weights: a folder of models other than that of this module, as `jointquant train synthesis` writes it.
    :raises BadInput: the volume is no MR of a knee, the device is not there, PyTorch or MONAI is not installed, or the
        weights are damaged; NoWeights where there are none.
    :raises Cancelled: the job was stopped.
    """
    progress = progress or Progress("none")
    warnings = check_mr(mr)
    if not _libraries_available():
        raise BadInput(
            "a synthetic CT needs PyTorch and MONAI, which this Python does not have: install PyTorch by Slicer's "
            "PyTorch extension and MONAI by pip install monai."
        )
    stored = _stored(Path(weights) if weights is not None else models_folder())
    progress.step(0.0, "Cutting the MR into sagittal slices")
    slices = to_slices(mr)
    relative = relative_signal(slices)
    within = progress.part(0.03, 0.95)

    def on(where: str) -> tuple[np.ndarray, int]:
        return synthetic_slices(_generator(stored, where), relative, slices.spacing_mm[0], where, within)

    (thousands, tile), ran_on = devices.run_with_fallback(on, device)
    progress.step(0.95, "Putting the synthetic CT onto the grid of the MR")
    volume = _on_grid_of(mr, slices, thousands)
    return SyntheticCt(volume, ran_on, stored.entry.label, warnings + _memory_warnings(device, ran_on, tile, relative))


def _on_grid_of(mr: Volume, slices: Volume, thousands: np.ndarray) -> Volume:
    from SubchondralBoneAnalysisLib.ct_synthesis.generator import HIGHEST_HU, HU_OF_ONE, LOWEST_HU

    hu = np.clip(thousands * np.float32(HU_OF_ONE), LOWEST_HU, HIGHEST_HU)
    on_slices = Volume(hu, slices.spacing_mm, slices.origin_lps, slices.direction_lps)
    return Volume(from_slices(on_slices, mr), mr.spacing_mm, mr.origin_lps, mr.direction_lps)


def _memory_warnings(device: str, ran_on: str, tile: int, relative: np.ndarray) -> tuple[str, ...]:
    said = []
    if ran_on == devices.CPU and device not in (devices.AUTO, devices.CPU):
        said.append(f"The memory of {device} ran out: the synthetic CT was computed on the CPU.")
    if tile < min(LARGEST_TILE, max(relative.shape[1:])):
        said.append(f"Memory ran short: the synthetic CT was computed in tiles of {tile} x {tile} pixels.")
    return tuple(said)


def _libraries_available() -> bool:
    return devices.torch_available() and importlib.util.find_spec("monai") is not None


@lru_cache(maxsize=2)
def _stored(folder: Path) -> Weights:
    return read_weights(folder, MODEL)


@lru_cache(maxsize=2)
def _generator(stored: Weights, device: str) -> Generator:
    """The network with its weights on a device. Raises BadInput where they are not those of this network."""
    import torch

    from SubchondralBoneAnalysisLib.ct_synthesis.generator import Generator, filled

    try:
        generator = filled(Generator(), stored.arrays)
    except ValueError as error:
        raise BadInput(
            f"The weights {MODEL} do not fit the network of this version of JointQuant: install JointQuant anew, or "
            "train them again (jointquant train synthesis)."
        ) from error
    return generator.eval().to(device, memory_format=torch.channels_last)
