"""Pictures of joints varied while the bone network learns, and how far its answer is from the truth. Needs torch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from JSNRegistrationLib.bone_finding.joint_picture import SIDE_PX
from JSNRegistrationLib.training.grey_variation import regraded

MOST_TURN_DEG, MOST_SHIFT_PX, MOST_SCALE = 14.0, 7.0, 1.2


def varied_joints(
    pixels: torch.Tensor, bones: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (n, 1, 96, 96) in 0..1 and the share of each pixel that each bone covers (n, 2, 96, 96).

    Of pictures (n, 128, 128) and bones (n, 2, 128, 128), both uint8: turned, shifted and scaled as far as the joint
    finder may be off, and mirrored.
    """
    count = len(pixels)

    def spread(most: float) -> torch.Tensor:
        return most * (2 * torch.rand(count, generator=random) - 1)

    turn, scale = torch.deg2rad(spread(MOST_TURN_DEG)), torch.exp(spread(math.log(MOST_SCALE)))
    mirror = torch.where(torch.rand(count, generator=random) < 0.5, 1.0, -1.0)
    share = SIDE_PX / pixels.shape[-1] / scale
    shift = 2.0 / pixels.shape[-1]
    cos, sin = torch.cos(turn) * share, torch.sin(turn) * share
    rows = [
        torch.stack([cos * mirror, -sin, shift * spread(MOST_SHIFT_PX)], 1),
        torch.stack([sin * mirror, cos, shift * spread(MOST_SHIFT_PX)], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), [count, 3, SIDE_PX, SIDE_PX], align_corners=False)
    layers = torch.cat([pixels[:, None], bones], 1).float() / 255
    layers = functional.grid_sample(layers, grid, padding_mode="border", align_corners=False)
    return stretched(regraded(layers[:, :1], random)), layers[:, 1:]


def stretched(pictures: torch.Tensor) -> torch.Tensor:
    """Grey values from 0 to 1 in every picture, as the finder makes them."""
    low, high = pictures.flatten(1).quantile(torch.tensor([0.01, 0.99]), dim=1)[:, :, None, None, None]
    return ((pictures - low) / (high - low).clamp_min(1e-3)).clamp(0, 1)


def loss_of(answer: torch.Tensor, bones: torch.Tensor) -> dict[str, torch.Tensor]:
    """Cross entropy, and one minus the soft Dice of each bone."""
    answer = answer.float()
    entropy = functional.binary_cross_entropy_with_logits(answer, bones)
    chance = torch.sigmoid(answer)
    both = (chance * bones).sum((2, 3))
    dice = (2 * both + 1) / (chance.sum((2, 3)) + bones.sum((2, 3)) + 1)
    return {"entropy": entropy, "dice": (1 - dice).mean()}
