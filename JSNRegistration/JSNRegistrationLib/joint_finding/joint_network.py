"""The network of the joint finder: one film in, maps of the joints out. Needs torch.

A residual U-shaped network that says for every cell of 4 x 4 pixels whether the centre of a joint lies in it, which
one, where exactly, how the finger runs there, how wide the bones are, and where the palm of the same hand is (after
"Objects as points", Zhou et al. 2019, and the part-to-body votes of "PersonLab", Papandreou et al. 2018).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from JSNRegistrationLib.joint_finding.network_maps import CHANNELS, JOINTS

WIDTHS = (40, 80, 104, 136)  # feature channels at 1/4, 1/8, 1/16 and 1/32 of the picture
LOCAL_PX = 17  # window of the local contrast
LEAST_SPREAD = 0.02


class JointNetwork(nn.Module):
    """Pictures (n, 1, 320, 320) of grey values from 0 to 1 to maps (n, CHANNELS, 80, 80); heat is a logit."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = nn.Sequential(_conv(2, 20, stride=2), _conv(20, a, stride=2), _Residual(a))
        self.down_b = nn.Sequential(_conv(a, b, stride=2), _Residual(b), _Residual(b))
        self.down_c = nn.Sequential(_conv(b, c, stride=2), _Residual(c), _Residual(c))
        self.down_d = nn.Sequential(_conv(c, d, stride=2), _Residual(d), _Residual(d))
        self.lateral_c, self.lateral_b, self.lateral_a = nn.Conv2d(d, c, 1), nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.up_c, self.up_b, self.up_a = _Residual(c), _Residual(b), nn.Sequential(_Residual(a), _conv(a, 64))
        self.answer = nn.Conv2d(64, CHANNELS, 1)
        nn.init.constant_(self.answer.bias[: JOINTS + 1], -4.0)  # joints are rare

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        a = self.stem(with_local_contrast(pictures))
        b = self.down_b(a)
        c = self.down_c(b)
        c = self.up_c(c + self.lateral_c(_twice(self.down_d(c))))
        b = self.up_b(b + self.lateral_b(_twice(c)))
        a = self.up_a(a + self.lateral_a(_twice(b)))
        return self.answer(a)


def with_local_contrast(pictures: torch.Tensor) -> torch.Tensor:
    """The picture, and the same with its local mean and spread taken away (n, 2, rows, columns)."""
    mean = _smooth(pictures)
    spread = (_smooth(pictures**2) - mean**2).clamp_min(0).sqrt()
    return torch.cat([2 * pictures - 1, ((pictures - mean) / (spread + LEAST_SPREAD)).clamp(-3, 3)], dim=1)


def _smooth(pictures: torch.Tensor) -> torch.Tensor:
    half = LOCAL_PX // 2
    rows = functional.avg_pool2d(pictures, (LOCAL_PX, 1), 1, (half, 0), count_include_pad=False)
    return functional.avg_pool2d(rows, (1, LOCAL_PX), 1, (0, half), count_include_pad=False)


def _twice(maps: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def _conv(into: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(maps + self.body(maps))
