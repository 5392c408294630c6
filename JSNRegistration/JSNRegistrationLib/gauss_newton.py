"""One Gauss-Newton step for both bones of many joints at once, differentiable. Needs torch.

As in ``refinement``: a shift and a turn for each bone and one scale that they share; exposure and processing are solved
for in the same step; residuals beyond a few robust standard deviations do not count; what lies near the joint counts
more. Here both films are seen half way between them, and a network may guide the step (``network.Guidance``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from JSNRegistrationLib.features import FAINTEST_CONTRAST, NEIGHBOURHOOD_MM
from JSNRegistrationLib.halfway_pictures import BoneGrid
from JSNRegistrationLib.network import Guidance
from JSNRegistrationLib.refinement import (
    BLOCK_MM,
    LOG_SCALE,
    NEAR_MM,
    POLYNOMIAL_REACH_MM,
    SHADING_ORDER,
    TUKEY,
    UNKNOWNS,
)

RIDGE = 1e-7
UNKNOWN = 7  # of a joint: as in ``Refinement``
UPSIDE_DOWN = (-1.0, -1.0, 1.0, 1.0)  # shift x, y, turn, log scale of a bone that is looked at upside down


@dataclass(frozen=True)
class Step:
    """The step of n joints, in millimetres, radians and log scale about the joint origin half way between the films.

    ``parameters`` (n, 7) and ``covariance`` (n, 7, 7) in the order of ``Refinement``; ``similarity`` (2 n) the
    correlation of the films inside each bone before the step; ``cover`` (2 n) the weight of what is seen of the bone.
    """

    parameters: torch.Tensor
    covariance: torch.Tensor
    similarity: torch.Tensor


def gauss_newton_step(
    guidance: Guidance | None,
    pictures: torch.Tensor,
    grid: BoneGrid,
    blur_mm: float,
    excess_log_scale: torch.Tensor,
    log_scale_sd: torch.Tensor,
) -> Step:
    """A step from pictures (2 n, 4, rows, columns) as ``halfway_pictures`` makes them, ``blur_mm`` that of the films.

    ``excess_log_scale`` and ``log_scale_sd`` (n) say how far the log scale lies from the expected one already, and how
    far it usually does.
    """
    base = pictures[:, 2] * _near(grid, pictures.device)
    first, second = (_standardised(pictures[:, film], base) for film in (0, 1))
    if guidance is None:
        channels, weights = [(first, second)], [base]
    else:
        channels = [(first, second)] + [
            (_standardised(guidance.first[:, k], base), _standardised(guidance.second[:, k], base))
            for k in range(1, guidance.first.shape[1])
        ]
        weights = [base * guidance.trust[:, k] for k in range(len(channels))]
    sharing = max(2.0 * np.pi * (blur_mm / grid.step_mm) ** 2, 1.0)
    normal, slope, scores = 0.0, 0.0, 0.0
    for (one, two), weight in zip(channels, weights, strict=True):
        part = _equations(one, two, base, weight, grid, sharing)
        normal, slope, scores = normal + part[0], slope + part[1], scores + part[2]
        if one is first:
            similarity = part[3]
    return Step(*_solved(normal, slope, scores, excess_log_scale, log_scale_sd), similarity)


def _equations(one, two, base, weight, grid, sharing):
    """Normal matrix (m, 4, 4), slope (m, 4), scores of the blocks (m, blocks, 4) and similarity (m) of one channel."""
    mean = 0.5 * (one + two)
    variance = _local_variance(mean, base, grid)
    weight = weight / variance
    right, down = _gradient(mean, grid.step_mm)
    residual = two - one
    x, y = _coordinates(grid, mean.device)
    effect = torch.stack([right, down, down * x - right * y, right * x + down * y], dim=-1).flatten(1, 2)
    look = _look(mean, grid)
    looks = look.shape[-1]
    residual = residual.flatten(1)
    flat = weight.flatten(1)
    with torch.no_grad():
        misfit = residual - _explained(look, residual, flat)
        trust = _trust(misfit * torch.rsqrt(variance).flatten(1), base.flatten(1))
    flat = flat * trust
    everything = torch.cat([look, effect, residual[..., None]], dim=-1)
    products = (everything.transpose(1, 2) @ (everything * flat[..., None])).double()
    looking = products[:, :looks, :looks] + _ridge(products[:, :looks, :looks])
    solved = torch.linalg.solve(looking, products[:, :looks, looks:])
    free = products[:, looks:, looks:] - products[:, looks:, :looks] @ solved
    noise = free[:, -1, -1] / (flat.sum(1) + 1e-9) + 1e-9
    precision = 1.0 / (noise * sharing)
    normal, slope = free[:, :-1, :-1] * precision[:, None, None], free[:, :-1, -1] * precision[:, None]
    left = everything[..., looks:] - look @ solved.float()
    scores = left[..., :-1] * (flat * left[..., -1] * precision.float()[:, None])[..., None]
    return normal, slope, _by_block(scores, grid).double(), _similarity(look, one, two, flat)


def _solved(normal, slope, scores, excess_log_scale, log_scale_sd):
    """Parameters (n, 7) and block-sandwich covariance (n, 7, 7) of the joints."""
    flip = torch.tensor(UPSIDE_DOWN, dtype=normal.dtype, device=normal.device)
    joints = len(normal) // 2
    whole = normal.new_zeros(joints, UNKNOWN, UNKNOWN)
    right = normal.new_zeros(joints, UNKNOWN)
    scatter = torch.zeros_like(whole)
    prior = log_scale_sd.double() ** -2
    for bone, places in enumerate(UNKNOWNS):
        turned = torch.ones_like(flip) if bone == 0 else flip
        own, pull, blocks = normal[bone::2], slope[bone::2], scores[bone::2]
        spread = blocks.transpose(1, 2) @ blocks
        index = torch.tensor(places, device=normal.device)
        grown = torch.zeros(len(places), UNKNOWN, dtype=normal.dtype, device=normal.device)
        grown[torch.arange(len(places)), index] = turned
        whole = whole + grown.T @ own @ grown
        scatter = scatter + grown.T @ spread @ grown
        right = right + pull @ grown
    corner = torch.zeros(UNKNOWN, dtype=normal.dtype, device=normal.device)
    corner[LOG_SCALE] = 1.0
    whole = whole + prior[:, None, None] * torch.outer(corner, corner)
    scatter = scatter + prior[:, None, None] * torch.outer(corner, corner)
    right = right + (prior * excess_log_scale.double())[:, None] * corner
    whole = whole + _ridge(whole)
    inverse = torch.linalg.inv(whole)
    return -(inverse @ right[..., None])[..., 0].float(), (inverse @ scatter @ inverse).float()


def _trust(misfit: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """Tukey's biweight of misfits (m, pixels), by the robust deviation inside the region."""
    inside = torch.where(base > 0.02, misfit.abs(), torch.nan)
    spread = 1.4826 * torch.nanmedian(inside, dim=1, keepdim=True).values.nan_to_num(1.0)
    far = (misfit / (TUKEY * spread + 1e-9)).clamp(-1, 1)
    return (1 - far**2) ** 2


def _explained(look, values, weight):
    weighted = look * weight[..., None]
    normal = (weighted.transpose(1, 2) @ look).double()
    right = (weighted.transpose(1, 2) @ values[..., None]).double()
    return (look @ torch.linalg.solve(normal + _ridge(normal), right).float())[..., 0]


def _ridge(matrix: torch.Tensor) -> torch.Tensor:
    """A little on the diagonal: a bone that is hardly seen must not stop the others."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    return torch.diag_embed(RIDGE * diagonal + 1e-12 * diagonal.mean(-1, keepdim=True) + 1e-12)


def _look(mean: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """All that exposure and processing may do (m, pixels, 20): shading, sharpness, gains and a bend of the greys."""
    shading = _shading(grid, mean.device)
    flat = mean.flatten(1)[..., None]
    padded = functional.pad(mean[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    laplacian = (
        padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:] - 4.0 * mean
    ).flatten(1)[..., None]
    return torch.cat([shading.expand(len(mean), -1, -1), laplacian, shading[..., :3] * flat, flat**2], dim=-1)


def _similarity(look, one, two, weight):
    shading = look[..., : len(_powers())]
    left = [part.flatten(1) - _explained(shading, part.flatten(1), weight) for part in (one, two)]
    product, *squares = (torch.sum(weight * a * b, 1) for a, b in ((left[0], left[1]), (left[0],) * 2, (left[1],) * 2))
    return product / torch.sqrt(squares[0] * squares[1] + 1e-12)


def _standardised(picture: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    total = weight.sum((1, 2), keepdim=True) + 1e-6
    mean = (weight * picture).sum((1, 2), keepdim=True) / total
    spread = (weight * (picture - mean) ** 2).sum((1, 2), keepdim=True) / total
    return (picture - mean) * torch.rsqrt(spread + 1e-6)


def _local_variance(picture: torch.Tensor, region: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """Variance of a picture in the neighbourhood of every pixel, inside the region, over ``NEIGHBOURHOOD_MM``."""
    rows, columns = _blurs(grid, picture.device)

    def blurred(values):
        return rows @ values @ columns

    inside = blurred(region) + 1e-6
    mean = blurred(region * picture) / inside
    return (blurred(region * (picture - mean) ** 2) / inside).clamp_min(0) + FAINTEST_CONTRAST**2


def _gradient(picture: torch.Tensor, step_mm: float) -> tuple[torch.Tensor, torch.Tensor]:
    padded = functional.pad(picture[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return (
        (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / (2 * step_mm),
        (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / (2 * step_mm),
    )


def _by_block(scores: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """Sums (m, blocks, 4) over blocks of about ``BLOCK_MM``."""
    size = 2 ** int(np.log2(BLOCK_MM / grid.step_mm))
    parts = scores.reshape(len(scores), grid.rows // size, size, grid.columns // size, size, -1)
    return parts.sum((2, 4)).flatten(1, 2)


def _powers() -> list[tuple[int, int]]:
    return [(order - k, k) for order in range(SHADING_ORDER + 1) for k in range(order + 1)]


@lru_cache
def _coordinates(grid: BoneGrid, device) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.from_numpy(grid.points)
    return points.real.float().to(device), points.imag.float().to(device)


@lru_cache
def _near(grid: BoneGrid, device) -> torch.Tensor:
    _, y = _coordinates(grid, device)
    return torch.exp(-0.5 * (y / NEAR_MM) ** 2)


@lru_cache
def _shading(grid: BoneGrid, device) -> torch.Tensor:
    """Polynomials (pixels, 15) up to ``SHADING_ORDER``."""
    x, y = (part / POLYNOMIAL_REACH_MM for part in _coordinates(grid, device))
    return torch.stack([x**i * y**k for i, k in _powers()], dim=-1).flatten(0, 1)


@lru_cache
def _blurs(grid: BoneGrid, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices that blur rows and columns by a Gaussian of ``NEIGHBOURHOOD_MM``."""

    def matrix(count: int) -> torch.Tensor:
        at = torch.arange(count, dtype=torch.float32, device=device) * grid.step_mm
        return torch.exp(-0.5 * ((at[:, None] - at[None, :]) / NEIGHBOURHOOD_MM) ** 2)

    return matrix(grid.rows), matrix(grid.columns)
