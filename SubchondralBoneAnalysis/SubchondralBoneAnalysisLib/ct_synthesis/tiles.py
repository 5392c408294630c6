"""All slices through the generator: whole, or in overlapping tiles where memory is short. Needs torch when asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from JointQuantLib import devices
from JointQuantLib.job import Progress
from SubchondralBoneAnalysisLib.ct_synthesis.slices import neighbours

LARGEST_TILE, SMALLEST_TILE = 512, 128  # pixels along an edge
EDGE_OF = 32  # what the generator wants edges to be multiples of
OVERLAP = 0.25  # of a tile, blended by a Gaussian
PIXELS_AT_ONCE = 8 * 320 * 320  # on a GPU; the CPU gains nothing by more than one slice


def synthetic_slices(
    generator: Any, relative: np.ndarray, step_mm: float, device: str, progress: Progress
) -> tuple[np.ndarray, int]:
    """Thousands of HU, float32 [slice, row, column], for the relative signal of slices `step_mm` apart.

    With them the edge of the tiles: where memory runs out, the slices that follow go in smaller ones.

    :raises RuntimeError: memory ran out with the smallest tiles too.
    :raises Cancelled: the job was stopped.
    """
    found = np.empty(relative.shape, np.float32)
    at_once = 1 if device == devices.CPU else max(1, PIXELS_AT_ONCE // relative[0].size)
    tile = min(LARGEST_TILE, _rounded_up(max(relative.shape[1:])))
    done = 0
    while done < len(found):
        progress.step(done / len(found), f"Synthetic CT, slice {done + 1} of {len(found)}")
        end = min(done + at_once, len(found))
        stacks = np.stack([neighbours(relative, step_mm, index) for index in range(done, end)])
        answer = _answer_or_none(generator, stacks, tile, device, last_try=tile <= SMALLEST_TILE)
        if answer is None:
            # Only here, past the except block, does nothing hold on to what the failed try had.
            devices.free_memory()
            tile, at_once = max(SMALLEST_TILE, _rounded_up(tile // 2)), max(1, at_once // 4)
            continue
        found[done:end] = answer
        done = end
    return found, tile


def _answer_or_none(generator: Any, stacks: np.ndarray, tile: int, device: str, last_try: bool) -> np.ndarray | None:
    """None where memory ran out, and smaller tiles may be tried."""
    try:
        return _answer(generator, stacks, tile, device)
    except (RuntimeError, MemoryError) as error:
        if last_try or not devices.out_of_memory(error):
            raise
        return None


def _answer(generator: Any, stacks: np.ndarray, tile: int, device: str) -> np.ndarray:
    """[n, row, column] for stacks [n, slice, row, column], in tiles of that edge or of the slice, whichever is less."""
    import torch
    from monai.inferers import sliding_window_inference

    edges = [min(tile, _rounded_up(n)) for n in stacks.shape[2:]]
    with torch.inference_mode(), _half_precision_on_gpu(device):
        given = torch.from_numpy(stacks).to(device, memory_format=torch.channels_last)
        answer = sliding_window_inference(
            given, edges, len(stacks), generator, overlap=OVERLAP, mode="gaussian", padding_mode="replicate"
        )
        return answer[:, 0].float().cpu().numpy()


def _half_precision_on_gpu(device: str) -> Any:
    import torch

    kind = torch.device(device).type
    half = torch.bfloat16 if kind == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast(kind, half, enabled=kind == "cuda")


def _rounded_up(edge: int) -> int:
    return -(-edge // EDGE_OF) * EDGE_OF
