"""What a synthetic CT is judged by, beside the discriminator."""

from __future__ import annotations

import torch
from torch.nn import functional

AIR, BODY, BONE, SURFACE = 1.0, 1.0, 0.5, 3.0  # weights of a pixel; those of bone and of its surface are added
AIR_HU = -0.5  # thousands
SURFACE_PIXELS = 5  # wide: a millimetre on either side
GRADIENT = 0.2  # weight beside the values
MIND_STEP, MIND_PATCH = 2, 5  # pixels


def pixel_weights(target: torch.Tensor, known: torch.Tensor, bone: torch.Tensor) -> torch.Tensor:
    """[n, 1, row, column]: what registration needs weighs most, 0 where nothing is known.

    :param target: thousands of HU; `known` and `bone` are shares.
    """
    reach = SURFACE_PIXELS // 2
    outer = functional.max_pool2d(bone, SURFACE_PIXELS, 1, reach)
    inner = -functional.max_pool2d(-bone, SURFACE_PIXELS, 1, reach)
    body = torch.where(target > AIR_HU, BODY, AIR)
    return known * (body + BONE * bone + SURFACE * (outer - inner))


def value_loss(made: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return (weights * (made - target).abs()).sum() / weights.sum().clamp(min=1)


def bone_loss(logit: torch.Tensor, bone: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of bone, with shares of bone as the truth at its surface."""
    wrong = functional.binary_cross_entropy_with_logits(logit, bone, reduction="none")
    return (known * wrong).sum() / known.sum().clamp(min=1)


def gradient_loss(made: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the steps from pixel to pixel: edges are as sharp as they are, and in place."""
    difference, total = made - target, torch.zeros((), device=made.device)
    for axis in (2, 3):
        pixels = weights.shape[axis] - 1
        both = torch.minimum(weights.narrow(axis, 0, pixels), weights.narrow(axis, 1, pixels))
        total = total + (both * difference.diff(dim=axis).abs()).sum() / both.sum().clamp(min=1)
    return total


def structure_loss(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """How differently two images [n, 1, row, column] are built, whatever their grey values mean.

    The mean difference of modality independent neighbourhood descriptors (Heinrich et al., Med Image Anal
    2012;16:1423-1435): how alike a patch is to those beside it.
    """
    return (_descriptor(one) - _descriptor(other)).abs().mean()


def _descriptor(image: torch.Tensor) -> torch.Tensor:
    shifts = [(0, MIND_STEP), (0, -MIND_STEP), (MIND_STEP, 0), (-MIND_STEP, 0)]
    differences = torch.cat([(image - image.roll(shift, (2, 3))) ** 2 for shift in shifts], 1)
    distances = functional.avg_pool2d(differences, MIND_PATCH, 1, MIND_PATCH // 2)
    spread = distances.mean(1, keepdim=True)
    # Where all is flat the descriptor would be that of the noise.
    spread = spread.clamp(min=1e-3 * float(image.detach().var()) + 1e-6)
    return torch.exp(-distances / spread)
