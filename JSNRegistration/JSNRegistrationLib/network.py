"""The rigid registration network: in which feature to compare two films of a bone, and how sure to be of the answer.

It does not answer with a motion. It guides a Gauss-Newton step (``gauss_newton``), which does. It looks at each film by
itself: what depended on how two films differ would close loops of three films worse, and would take what it does not
know for what has changed. Weights of single pixels were tried and left out: they gained nothing on simulated joints and
lost on real bones, which look unlike those that it learned from. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional

FEATURES = 2  # compared: the film, and one that is learned
TRUST = (1.0, 0.4)  # weights of both: set, not learned
WIDTHS = (16, 24, 32)  # channels at 1/2, 1/4 and 1/8 of the pictures
EVENED_PX = 17  # neighbourhood whose mean and contrast are taken off the films
FAINTEST = 0.05  # contrast, of that of the bones
MOST_UNSURE = 2.5  # log factor of the standard error
USUAL_LOG_SE, USUAL_LOG_UNLIKENESS = -4.5, -3.5  # of mm; of 1 - similarity


@dataclass(frozen=True)
class Guidance:
    """What the network says on n bones in two films, for pictures of rows x columns.

    ``first`` and ``second`` (n, FEATURES, rows, columns): features of the films, the films themselves first.
    ``summary`` (n, WIDTHS[-1]): for ``factor``.
    """

    first: torch.Tensor
    second: torch.Tensor
    summary: torch.Tensor


class RegistrationNetwork(nn.Module):
    """Guides the registration of bones (``forward``) and says how sure the answer is (``factor``)."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.learned = nn.Sequential(
            nn.Conv2d(1, 8, 5, 1, 2), nn.ReLU(inplace=True), nn.Conv2d(8, FEATURES - 1, 3, 1, 1)
        )
        self.seen = nn.Sequential(
            *(_layer(4, a, 5, 2), _layer(a, a)),
            *(_layer(a, b, 3, 2), _layer(b, b)),
            *(_layer(b, c, 3, 2), _layer(c, c)),
        )
        self.sure = nn.Sequential(nn.Linear(2 * c + 3, 32), nn.ReLU(), nn.Linear(32, 1))
        nn.init.zeros_(self.sure[-1].weight)
        nn.init.constant_(self.sure[-1].bias, 0.7)

    def forward(self, pictures: torch.Tensor) -> Guidance:
        """Guidance for bones (n, 4, rows, columns), as in ``HalfwayPictures``: upper and lower bone in turn."""
        first, second, own, other = pictures.unbind(1)
        which = torch.tensor([0.5, -0.5], device=pictures.device).repeat(len(pictures) // 2)
        which = which[:, None, None].expand_as(first)
        films = torch.cat([_evened(first, own), _evened(second, own)])
        around = torch.stack([own, other, which], dim=1)
        seen = self.seen(torch.cat([films[:, None], around.repeat(2, 1, 1, 1)], dim=1))
        seen = sum(seen.chunk(2)) / 2
        region = functional.avg_pool2d(own[:, None], 8)
        summary = ((seen * region).sum(dim=(2, 3)) / (region.sum(dim=(2, 3)) + 1.0)).float()
        return Guidance(self._features(first), self._features(second), summary)

    def again(self, pictures: torch.Tensor, guidance: Guidance) -> Guidance:
        """The guidance for the same bones after a small step, with the features of the pictures as they are now."""
        return replace(guidance, first=self._features(pictures[:, 0]), second=self._features(pictures[:, 1]))

    def factor(self, summary: torch.Tensor, log_se: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """What the standard error of n joints is to be multiplied with (n).

        ``summary`` (n, 2, WIDTHS[-1]) and ``similarity`` (n, 2) of both bones, ``log_se`` (n) of mm.
        """
        unlike = torch.log((1.0 - similarity).clamp_min(1e-4)) - USUAL_LOG_UNLIKENESS
        known = torch.cat([summary.flatten(1), (log_se - USUAL_LOG_SE)[:, None], unlike], dim=1)
        return torch.exp(MOST_UNSURE * torch.tanh(self.sure(known)[:, 0] / MOST_UNSURE))

    def _features(self, film: torch.Tensor) -> torch.Tensor:
        return torch.cat([film[:, None], self.learned(film[:, None]).float()], dim=1)


def _evened(film: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """A film free of exposure and shading: minus the mean, over the deviation, of the bone in the neighbourhood."""
    weight = _blurred(own) + 1e-3
    mean = _blurred(own * film) / weight
    variance = _blurred(own * (film - mean) ** 2) / weight
    return ((film - mean) * torch.rsqrt(variance + FAINTEST**2) * (own > 0)).clamp(-4.0, 4.0)


def _blurred(maps: torch.Tensor) -> torch.Tensor:
    """Mean over a square of EVENED_PX; beyond the border is 0."""
    return _band(maps.shape[1], maps.device) @ maps @ _band(maps.shape[2], maps.device)


@lru_cache
@torch.inference_mode(mode=False)  # what is kept is used in training too
def _band(size: int, device: torch.device) -> torch.Tensor:
    at = torch.arange(size, device=device)
    return ((at[:, None] - at[None, :]).abs() <= EVENED_PX // 2).float() / EVENED_PX


def _layer(into: int, out: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)
    )
