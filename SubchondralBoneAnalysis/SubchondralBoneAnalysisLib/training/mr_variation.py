"""Pictures of MR varied as sequences, coils, resolutions and positions differ: what is learned must not hang on them.

Chemical shift moves marrow along a readout whose direction a file does not say; flips let the network see both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

TURNED, TURN_DEG, LARGER = 0.5, 10.0, 0.10  # share of pieces, SD, SD of the log
PLAIN = 0.35  # share of batches that stay as they are
FAT_VARIED, FAT_SD = 0.4, 0.6  # SD of the log of the factor on marrow and fat: suppressed or not
FAT_HU = (-0.20, -0.03)  # thousands
FAT_BESIDE = 1  # pixels, at most
COIL_SD, COIL_KNOTS = 0.15, 4
CURVED, CURVE_KNOTS, CURVE_SD, FOLDED = 0.6, 6, 0.4, 0.08
GAMMA_SD = 0.2
COARSER, COARSEST, ALONG_ONE, COARSEST_ALONG_ONE = 0.5, 0.6, 0.08, 0.2  # factors on the number of pixels
NOISY, NOISE = 0.5, 0.10  # of the mean signal, at most
SCALE_SD = 0.12  # of the log
BRIGHTEST = 20.0  # times the mean signal


@dataclass(frozen=True, eq=False)
class Batch:
    """`slice_samples.Pieces` as tensors."""

    stack: torch.Tensor
    target: torch.Tensor | None = None
    known: torch.Tensor | None = None
    bone: torch.Tensor | None = None


def moved(batch: Batch) -> Batch:
    """Pieces turned, stretched, flipped in both directions and with the order of their slices reversed, by chance."""
    stack = batch.stack
    back = _chance(len(stack), 0.5, stack)
    stack = torch.where(back, stack.flip(1), stack)
    parts = [stack, *(part for part in (batch.target, batch.known, batch.bone) if part is not None)]
    together = torch.cat(parts, 1)
    grid = functional.affine_grid(_matrices(len(stack)).to(stack), list(together.shape), align_corners=False)
    together = functional.grid_sample(together, grid, padding_mode="border", align_corners=False)
    if batch.target is None:
        return Batch(together)
    inside = (grid.abs() <= 1).all(-1)[:, None]
    stack, target, known, bone = together.split([stack.shape[1], 1, 1, 1], 1)
    return Batch(stack, target, ((known > 0.999) & inside).to(stack), bone)


def varied(batch: Batch, fat_beside: int = FAT_BESIDE) -> torch.Tensor:
    """The stack with another contrast, coil, resolution and noise; what is true of it stays where it is.

    :param fat_beside: pixels by which the factor on marrow may lie beside the bone.
    """
    if torch.rand(()) < PLAIN:
        return batch.stack
    stack = batch.stack.clamp(0, BRIGHTEST / (1 + BRIGHTEST))
    signal = stack / (1 - stack)
    if batch.target is not None:
        signal = signal * _fat_factor(batch, fat_beside)
    signal = _coil(signal)
    signal = signal ** torch.exp(GAMMA_SD * _normal(signal))
    signal = _curved(signal)
    signal = _coarser(signal)
    sd = NOISE * torch.rand(len(signal), 1, 1, 1).to(signal) * _chance(len(signal), NOISY, signal)
    signal = torch.hypot(signal + sd * torch.randn_like(signal), sd * torch.randn_like(signal))
    signal = signal * torch.exp(SCALE_SD * _normal(signal))
    return signal / (1 + signal)


def _chance(count: int, share: float, like: torch.Tensor) -> torch.Tensor:
    return (torch.rand(count, 1, 1, 1) < share).to(like.device)


def _normal(like: torch.Tensor) -> torch.Tensor:
    return torch.randn(len(like), 1, 1, 1).to(like)


def _matrices(count: int) -> torch.Tensor:
    """[n, 2, 3] of affine_grid."""
    turned = (torch.rand(count) < TURNED).float()
    angle = turned * torch.randn(count) * math.radians(TURN_DEG)
    scale = torch.exp(turned[:, None] * torch.randn(count, 2) * LARGER)
    flips = 1 - 2 * (torch.rand(count, 2) < 0.5).float()
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return torch.cat([rotation * (scale * flips)[:, None, :], torch.zeros(count, 2, 1)], 2)


def _fat_factor(batch: Batch, beside: int) -> torch.Tensor:
    """One factor for the marrow and the fat of a piece, as fat suppression has it; smaller changes of marrow alone."""
    count = len(batch.stack)
    varied_at_all = _chance(count, FAT_VARIED, batch.stack)
    both = FAT_SD * _normal(batch.stack) * varied_at_all
    marrow_alone = 0.3 * _normal(batch.stack) * varied_at_all
    smooth = functional.avg_pool2d(batch.target, 3, 1, 1)
    fat = ((smooth > FAT_HU[0]) & (smooth < FAT_HU[1])).to(smooth) * (1 - batch.bone)
    # The marrow lies beside the bone by its chemical shift. Exactly where the bone is, the factor would tell its edge.
    places = torch.randint(-beside, beside + 1, (2,)).tolist()
    both, marrow_alone = both * (fat + batch.bone), marrow_alone * batch.bone
    factor = (both + marrow_alone).roll(places, (2, 3))
    return torch.exp(functional.avg_pool2d(factor, 3, 1, 1) if beside else factor)


def _coil(signal: torch.Tensor) -> torch.Tensor:
    knots = COIL_SD * torch.randn(len(signal), 1, COIL_KNOTS, COIL_KNOTS).to(signal)
    field = functional.interpolate(knots, signal.shape[2:], mode="bicubic", align_corners=True)
    return signal * torch.exp(field)


def _curved(signal: torch.Tensor) -> torch.Tensor:
    """A smooth random curve of the grey values: mostly rising, of a few pieces folded in its upper part."""
    count = len(signal)
    rises = torch.exp(CURVE_SD * torch.randn(count, CURVE_KNOTS))
    folded = (torch.rand(count, 1) < FOLDED) & (torch.arange(CURVE_KNOTS) >= CURVE_KNOTS // 2)
    rises = torch.where(folded, -0.6 * rises, rises)
    rises = torch.where(torch.rand(count, 1) < CURVED, rises, torch.ones(1))
    curve = torch.cat([torch.zeros(count, 1), torch.cumsum(rises, 1) / rises.abs().sum(1, keepdim=True)], 1).to(signal)
    grey = signal / (1 + signal)
    mean = torch.full_like(grey[:, :1, :1, :1], 0.5)
    grey, mean = (_on_curve(curve, part).clamp(0.0, 0.95) for part in (grey, mean))
    # The mean signal stays 1, as the normalisation leaves it.
    return grey / (1 - grey) * ((1 - mean) / mean.clamp(min=0.1))


def _on_curve(curve: torch.Tensor, grey: torch.Tensor) -> torch.Tensor:
    """Grey values where the curve [n, knots + 1] takes them, linear between knots."""
    place = (grey * CURVE_KNOTS).clamp(0, CURVE_KNOTS - 1e-3)
    lower = place.long()
    ends = [curve.gather(1, (lower + n).flatten(1)).reshape(grey.shape) for n in (0, 1)]
    return ends[0] + (place - lower) * (ends[1] - ends[0])


def _coarser(signal: torch.Tensor) -> torch.Tensor:
    """As scanned with larger pixels; rarely with very long ones, as in slices of another plane."""
    if torch.rand(()) > COARSER:
        return signal
    share = 1 - (1 - COARSEST) * torch.rand(2)
    if torch.rand(()) < ALONG_ONE:
        share[torch.randint(2, ())] = COARSEST_ALONG_ONE
    size = [max(2, round(n * float(s))) for n, s in zip(signal.shape[2:], share, strict=True)]
    small = functional.interpolate(signal, size, mode="bilinear", antialias=True, align_corners=False)
    return functional.interpolate(small, signal.shape[2:], mode="bilinear", align_corners=False)
