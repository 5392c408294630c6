"""Grey values as other detectors, programs and exposures give them. Needs torch."""

from __future__ import annotations

import torch
from torch.nn import functional


def regraded(pictures: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Pictures (n, 1, rows, columns) in 0..1, blurred or sharpened, with another gamma, shading, contrast and noise."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(pictures), 1, 1, 1, generator=random)

    def some(share: float) -> torch.Tensor:
        return torch.rand(len(pictures), 1, 1, 1, generator=random) < share

    blurred = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    pictures = torch.where(some(0.3), blurred, pictures)
    sharper = pictures + uniform(0.0, 1.5) * (pictures - blurred)
    pictures = torch.where(some(0.3), sharper, pictures).clamp(0, 1)
    pictures = pictures ** torch.exp(uniform(-0.6, 0.6))
    coarse = torch.randn(len(pictures), 1, 4, 4, generator=random)
    shade = functional.interpolate(coarse, pictures.shape[-2:], mode="bicubic", align_corners=False)
    pictures = torch.where(some(0.4), pictures * (1 + 0.12 * shade), pictures)
    contrast = uniform(0.5, 1.1)
    pictures = contrast * pictures + (1 - contrast).clamp_min(0) * uniform(0.0, 1.0)
    return pictures + uniform(0.0, 0.05) * torch.randn(pictures.shape, generator=random)
