"""The whole morphometry job: a volume of trabecular bone in, result folder out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from JointQuantLib import devices
from JointQuantLib.errors import BadInput
from JointQuantLib.job import Progress
from JointQuantLib.morphometry_folder import REGION, STRUCTURE, TB_SP, TB_TH
from SubchondralBoneAnalysisLib.local_thickness.distance_map import types_for
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.storage import Storage
from SubchondralBoneAnalysisLib.morphometry import Maps, Morphometry, measure
from SubchondralBoneAnalysisLib.morphometry_request import UNKNOWN, MorphometryRequest
from SubchondralBoneAnalysisLib.morphometry_result import morphometry_result, write_morphometry_result
from SubchondralBoneAnalysisLib.region import check_measurable, read_region
from SubchondralBoneAnalysisLib.segmentation import BINARY, segment
from SubchondralBoneAnalysisLib.srrd_compatible import SrrdCompatible, srrd_compatible
from SubchondralBoneAnalysisLib.volume import Volume, grid_in, read_volume, write_volume

__all__ = ["MorphometryRequest", "analyse_morphometry"]


def analyse_morphometry(request: MorphometryRequest, folder: Path, progress: Progress) -> dict:
    """Measure the trabecular bone of a volume, or of a region of it, and write numbers and maps into `folder`.

    Returns the content of result.json (``morphometry_result.schema.json``; lengths in mm). Raises BadInput for a
    volume, region or threshold that cannot be used, Cancelled when the user stops the job.
    """
    progress.step(0.0, "Reading the volume")
    in_files = too_large_for_memory(request)
    with Storage(folder if in_files else None) as storage:
        volume = read_volume(request.volume, storage)
        region = read_region(request.region, volume, storage) if request.region else None
        inside = None if region is None else region.array
        known = inside if request.outside == UNKNOWN else None

        progress.step(0.1, "Segmenting the bone")
        segmentation = segment(
            volume,
            request.segmentation,
            request.threshold,
            window_mm=request.window_mm,
            offset=request.offset,
            keep_largest=request.keep_largest,
            known=known,
            storage=storage,
        )
        check_measurable(segmentation, inside, request.region or request.volume)

        progress.step(0.2, "Measuring the slices by the SRRD-compatible definitions")
        image = segmentation.structure if request.segmentation == BINARY else volume.array
        srrd = None if in_files else srrd_set(image, volume, inside, known, progress.part(0.2, 0.3))
        # From here on the volume is its structure: the grey values need no longer be in memory.
        volume = replace(volume, array=segmentation.structure)
        del image

        progress.step(0.3, "Measuring the trabeculae")
        scratch = folder if in_files else None
        (measured, maps), device = measured_on(request, volume, inside, known, scratch, progress.part(0.3, 0.85))

        progress.step(0.85, "Writing the maps")
        write_volumes(folder, volume, inside, maps, packed=not in_files)
        progress.step(0.98, "Writing the numbers")
        result = morphometry_result(request, volume, segmentation, region, measured, srrd, device, in_files)
        write_morphometry_result(folder, result)
    return result


def srrd_set(
    image: np.ndarray, volume: Volume, region: np.ndarray | None, known: np.ndarray | None, progress: Progress
) -> SrrdCompatible:
    """The SRRD-compatible set of an image on the grid of a volume."""
    return srrd_compatible(known_part(image, known), volume.spacing_mm, volume.direction_lps, region, progress)


def known_part(image: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """An image with 0 where nothing is known: nothing, by the definitions of the SRRD paper."""
    return image if known is None else np.where(known, image, image.dtype.type(0))


def too_large_for_memory(request: MorphometryRequest) -> bool:
    """Whether measuring takes more memory than the user allows, so that all arrays have to lie in files."""
    if request.memory_gb is None:
        return False
    shape, spacing_mm = grid_in(request.volume)
    return math.prod(shape) * bytes_a_voxel(shape, spacing_mm, request.fine) > request.memory_gb * 1e9


def bytes_a_voxel(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], fine: bool) -> float:
    """What measuring has in memory at its largest, as seen at 200 x 200 x 200: it goes by the type of the distances."""
    if math.prod(shape) == 0:
        return 0.0
    size = types_for(Lattice.of(spacing_mm, shape), shape)[0].itemsize
    return 6 + 4.5 * size + (8 * (1 + 2 * size) if fine else 0)


def measured_on(
    request: MorphometryRequest,
    bone: Volume,
    region: np.ndarray | None,
    known: np.ndarray | None,
    scratch: Path | None,
    progress: Progress,
) -> tuple[tuple[Morphometry, Maps], str]:
    """Numbers and maps of a structure, and the device they were computed on: the one asked for, or the CPU.

    Arrays in files are for the CPU. Of the devices only CUDA has all whole numbers that this takes.
    """
    chosen = "cpu" if scratch is not None else request.device
    if chosen == "mps":
        raise BadInput("--device mps has not the whole numbers that the morphometry needs: give cpu, or leave it out.")
    if chosen == "auto" and devices.choose().startswith("mps"):
        chosen = "cpu"

    def work(device: str) -> tuple[Morphometry, Maps]:
        return measure(
            bone.array,
            bone.spacing_mm,
            region,
            known,
            direction_lps=bone.direction_lps,
            device=device,
            threads=request.threads,
            scratch=scratch,
            fine=request.fine,
            progress=progress,
        )

    return devices.run_with_fallback(work, chosen)


def write_volumes(folder: Path, bone: Volume, region: np.ndarray | None, maps: Maps, packed: bool) -> None:
    """Write the structure, the region if there is one, and the maps of local thickness on the volume's grid."""
    write_volume(folder / STRUCTURE, bone.array, bone, packed)
    if region is not None:
        write_volume(folder / REGION, region, bone, packed)
    write_volume(folder / TB_TH, maps.tb_th, bone, packed)
    write_volume(folder / TB_SP, maps.tb_sp, bone, packed)
