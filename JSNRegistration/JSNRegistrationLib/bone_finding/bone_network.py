"""The network that tells the two bones of a joint from each other and from all else. Needs torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (12, 24, 40, 56)  # feature channels at 1/1, 1/2, 1/4 and 1/8 of the picture
BONES = 2  # upper, lower


class BoneNetwork(nn.Module):
    """Pictures (n, 1, 96, 96) in 0..1 of joints, finger upwards, to logits (n, 2, 96, 96): upper bone, lower bone.

    Each bone has its own answer, so that they may overlap.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.level_a, self.level_b, self.level_c, self.level_d = _level(2, a), _level(a, b), _level(b, c), _level(c, d)
        self.up_c, self.up_b, self.up_a = _level(d + c, c), _level(c + b, b), _level(b + a, a)
        self.answer = nn.Conv2d(a, BONES, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        mean = functional.avg_pool2d(pictures, 25, 1, 12, count_include_pad=False)
        a = self.level_a(torch.cat([2 * pictures - 1, 4 * (pictures - mean)], dim=1))
        b = self.level_b(functional.max_pool2d(a, 2))
        c = self.level_c(functional.max_pool2d(b, 2))
        d = self.level_d(functional.max_pool2d(c, 2))
        c = self.up_c(torch.cat([_twice(d), c], dim=1))
        b = self.up_b(torch.cat([_twice(c), b], dim=1))
        return self.answer(self.up_a(torch.cat([_twice(b), a], dim=1)))


def _twice(maps: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def _level(into: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (into, out):
        layers += [nn.Conv2d(channels, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
