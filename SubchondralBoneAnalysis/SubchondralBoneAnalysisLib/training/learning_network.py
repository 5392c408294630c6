"""A network that learns: its optimiser and the running mean of its weights, which is what is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

DECAY = 0.01
LARGEST_GRADIENT = 5.0
MEMORY = 0.99
WARM_UP = 0.05  # share of a training
LEAST_RATE = 0.02  # of the highest


def share_of_rate(done: float) -> float:
    """Of the highest rate, for the share of a training that is over: a warm-up, then a half cosine."""
    if done < WARM_UP:
        return max(done / WARM_UP, LEAST_RATE)
    return max(0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))), LEAST_RATE)


class LearningNetwork:
    """Steps of AdamW with the gradient held in bounds; a step whose gradient is not finite is left out."""

    def __init__(self, network: nn.Module, rate: float, device: str, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.network = network.to(device, memory_format=torch.channels_last).train()
        self.kept = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.rate = rate
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=DECAY, betas=betas)
        self.steps = 0

    def step(self, loss: torch.Tensor, share: float = 1.0) -> None:
        """Go against the gradient of a loss of this network, at a share of its rate."""
        step_together((self,), loss, share)

    def hold_statistics(self) -> None:
        """From now on normalise by the running statistics, which stay as they are, and not by those of the batch.

        A batch of a few pieces says little of all: one of bone and one of air would come out alike.
        """
        for layer in self.network.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {
            "network": self.network.state_dict(),
            "kept": self.kept.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
        }

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Be as `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.kept.load_state_dict(state["kept"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = state["steps"]

    def _take(self, share: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * share
        length = nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        if torch.isfinite(length):
            self.optimiser.step()
        self._remember(min(MEMORY, self.steps / (self.steps + 10)))
        self.steps += 1

    def _remember(self, memory: float) -> None:
        with torch.no_grad():
            for mean, value in zip(self.kept.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, 1 - memory)
            for mean, value in zip(self.kept.buffers(), self.network.buffers(), strict=True):
                mean.copy_(value)


def step_together(learners: Sequence[LearningNetwork], loss: torch.Tensor, share: float) -> None:
    """One step of each of the networks that a loss is made of; of others the gradient is not used."""
    for learner in learners:
        learner.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for learner in learners:
        learner._take(share)
