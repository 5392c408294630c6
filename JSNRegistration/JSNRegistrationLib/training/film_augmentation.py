"""Simulated films varied while the network learns: turned, mirrored, cropped, regraded, inverted. Needs torch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from JSNRegistrationLib.training.grey_variation import regraded

SMALLEST, LARGEST = 0.8, 1.7  # size of what is shown against the film fitted to the picture
MARGIN_PX = 1.5  # a joint nearer to the border of the picture is not asked for


def varied_films(
    films: torch.Tensor, shapes: torch.Tensor, joints: torch.Tensor, side_px: int, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (n, 1, side, side) in 0..1 of films (n, rows, columns) uint8, and the joints (n, hand, joint, 5) there.

    shapes (n, 2): rows and columns of each film that are in use. Joints outside of the picture become NaN.
    """
    turn, scale, mirror, middle = _draw_views(shapes, joints, side_px, random)
    cos, sin = torch.cos(turn) / scale, torch.sin(turn) / scale
    # picture pixel (from its middle) -> film pixel: a turn, a size, a mirror
    linear = torch.stack([torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1)
    pictures, inside = _cut(films, shapes, linear, middle, side_px)
    back = torch.linalg.inv(linear)
    places = torch.einsum("nij,nhkj->nhki", back, joints[..., :2] - middle[:, None, None]) + (side_px - 1) / 2
    axes = torch.einsum("nij,nhkj->nhki", back, joints[..., 2:4])
    axes = axes / axes.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    seen = torch.cat([places, axes, joints[..., 4:] * scale[:, None, None, None]], -1)
    gone = ((places < MARGIN_PX) | (places > side_px - 1 - MARGIN_PX)).any(-1, keepdim=True)
    seen = seen.masked_fill(gone, math.nan)
    return _filled(regraded(pictures, random), inside, random), seen


def _draw_views(shapes, joints, side_px: int, random):
    """Turn (rad), size, mirror (+-1) and the film pixel shown in the middle, for every film."""
    count = len(shapes)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    upright = torch.rand(count, generator=random) < 0.55
    quarter = torch.randint(0, 4, (count,), generator=random) * (math.pi / 2)
    near = torch.randn(count, generator=random) * math.radians(10)
    turn = torch.where(upright, quarter + near, uniform(-math.pi, math.pi))
    fitted = side_px / shapes.max(1).values.float()
    scale = fitted * torch.exp(uniform(math.log(SMALLEST), math.log(LARGEST)))
    as_it_is = torch.rand(count, generator=random) < 0.4
    scale = torch.where(as_it_is, fitted * uniform(0.9, 1.05), scale)
    mirror = torch.where(torch.rand(count, generator=random) < 0.5, 1.0, -1.0)
    film_middle = (shapes.flip(1).float() - 1) / 2
    known = torch.isfinite(joints[..., :1])
    hand = torch.where(known, joints[..., :2], torch.zeros(())).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)
    hand = torch.where(known.any(2).any(1), hand, film_middle)
    share = torch.rand(count, 1, generator=random)
    away = torch.randn(count, 2, generator=random) * 0.06 * side_px / scale[:, None]
    middle = torch.where(as_it_is[:, None], film_middle + 0.4 * away, share * film_middle + (1 - share) * hand + away)
    return turn, scale, mirror, middle


def _cut(films, shapes, linear, middle, side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = films.shape[1:]
    steps = torch.arange(side_px, dtype=torch.float32) - (side_px - 1) / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    where = torch.einsum("nij,yxj->nyxi", linear, torch.stack([x, y], -1)) + middle[:, None, None]
    inside = ((where >= 0) & (where <= shapes.flip(1)[:, None, None] - 1)).all(-1)[:, None]
    limits = torch.tensor([columns, rows])
    grid = (2 * where + 1) / limits - 1
    pictures = functional.grid_sample(films[:, None].float() / 255, grid, padding_mode="border", align_corners=False)
    return pictures, inside


def _filled(pictures: torch.Tensor, inside: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """What lies beyond the film painted over, and some films inverted."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(pictures), 1, 1, 1, generator=random)

    def some(share: float) -> torch.Tensor:
        return torch.rand(len(pictures), 1, 1, 1, generator=random) < share

    pictures = torch.where(inside, pictures, torch.where(some(0.6), uniform(0.0, 0.1), uniform(0.0, 1.0)))
    return torch.where(some(0.3), 1 - pictures, pictures).clamp(0, 1)
