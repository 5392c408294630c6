"""The network that turns neighbouring MR slices into one slice of CT: coarse, then fine. Needs torch and MONAI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai.networks.blocks import ResidualUnit
from torch import nn
from torch.nn import functional

COARSER = 4  # pixels of 0.5 mm along one of the coarse network
COARSE_WIDTHS, FINE_WIDTHS = (32, 64, 96, 128), (24, 48, 64)  # channels, each level on half as many pixels
SLICES_IN = 5
HU_OF_ONE = 1000.0  # the network answers in thousands of HU
LOWEST_HU, HIGHEST_HU = -1000.0, 2000.0


class Generator(nn.Module):
    """From (n, slices, rows, columns), relative signal of neighbouring slices, to (n, 1, rows, columns), HU / 1000.

    Marrow and fat, or marrow and air, have one signal: only the whole knee tells them apart. A coarse network, which
    sees much of it at once, says HU and where bone is; a fine one with its answer beside the slices sets the edges.
    Rows and columns are multiples of 32.
    """

    def __init__(self, slices: int = SLICES_IN) -> None:
        super().__init__()
        self.coarse = ResidualUNet(slices, 2, COARSE_WIDTHS)
        self.fine = ResidualUNet(slices + 2, 1, FINE_WIDTHS)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        said = self.coarse(functional.avg_pool2d(slices, COARSER))
        return self.refined(slices, said)

    def refined(self, slices: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """The answer, given what the coarse network said: thousands of HU and the logit of bone."""
        said = torch.cat([said[:, :1], torch.sigmoid(said[:, 1:])], 1)
        said = functional.interpolate(said, scale_factor=COARSER, mode="bilinear", align_corners=False)
        return said[:, :1] + self.fine(torch.cat([slices, said], 1))


class ResidualUNet(nn.Module):
    """Residual units of MONAI on ever fewer pixels and back, the finer level joined on the way up."""

    def __init__(self, channels: int, answers: int, widths: Sequence[int]) -> None:
        super().__init__()
        before = (channels, *widths[:-1])
        self.down = nn.ModuleList(
            _unit(shallow, deep, stride=1 if level == 0 else 2)
            for level, (shallow, deep) in enumerate(zip(before, widths, strict=True))
        )
        self.up = nn.ModuleList(
            _unit(deep + shallow, shallow)
            for shallow, deep in zip(reversed(widths[:-1]), reversed(widths[1:]), strict=True)
        )
        self.answer = nn.Conv2d(widths[0], answers, 1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        levels = []
        found = given
        for unit in self.down:
            found = unit(found)
            levels.append(found)
        for unit, finer in zip(self.up, reversed(levels[:-1]), strict=True):
            coarser = functional.interpolate(found, scale_factor=2, mode="nearest")
            found = unit(torch.cat([coarser, finer], 1))
        # In half precision a HU value would be rounded to steps of 8.
        with torch.autocast(found.device.type, enabled=False):
            return self.answer(found.float())


def arrays_of(generator: Generator) -> dict[str, np.ndarray]:
    """Its weights as they are stored, float16 by parameter name."""
    state = generator.state_dict()
    return {key: value.cpu().numpy().astype(np.float16) for key, value in state.items() if value.is_floating_point()}


def filled(generator: Generator, arrays: Mapping[str, np.ndarray]) -> Generator:
    """The generator with stored weights. Raises ValueError where they are not those of this network."""
    counts = {key: value for key, value in generator.state_dict().items() if not value.is_floating_point()}
    try:
        generator.load_state_dict(counts | {key: torch.from_numpy(array) for key, array in arrays.items()}, strict=True)
    except RuntimeError as error:
        raise ValueError("the weights are of another network") from error
    return generator


def _unit(channels: int, wider: int, stride: int = 1) -> nn.Module:
    return ResidualUnit(2, channels, wider, strides=stride, subunits=2, act="LEAKYRELU", norm="BATCH", bias=False)
