"""Fits a network to batches: AdamW, a warm-up and a half cosine, and the running mean of the weights. Needs torch."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from JointQuantLib.job import Progress

HIGHEST_RATE = 3e-3
WARM_UP = 0.06  # share of the steps
DECAY = 0.02
LARGEST_GRADIENT = 5.0
MEMORY = 0.995  # of the running mean of the weights, which is what is kept
LOG_EVERY = 50

Losses = dict[str, torch.Tensor]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """The network with the running mean of its weights, and how many steps it learned."""

    network: nn.Module
    steps: int


def fit(
    network: nn.Module,
    batch: Callable[[], tuple[torch.Tensor, ...]],
    loss_of: Callable[..., Losses],
    steps: int,
    device: str,
    progress: Progress,
    minutes: float | None = None,
    highest_rate: float = HIGHEST_RATE,
) -> Fitted:
    """Take `steps` steps, fewer where the minutes are over first (the rate then falls by the time).

    batch() gives pictures and what loss_of(answer, ...) takes besides the network's answer to them. A batch whose
    gradient is not finite is left out.
    """
    network = network.to(device, memory_format=torch.channels_last)
    kept = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=HIGHEST_RATE, weight_decay=DECAY)
    network.train()
    step, done, started = 0, 0.0, time.monotonic()
    while done < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = highest_rate * _share_of_rate(done)
        losses = _step(network, optimiser, batch(), loss_of, device)
        _remember(kept, network, min(MEMORY, step / (step + 10)))
        step += 1
        done = step / steps
        if minutes is not None:
            done = max(done, (time.monotonic() - started) / 60 / minutes)
        if step % LOG_EVERY == 0:
            said = ", ".join(f"{name} {part:.3f}" for name, part in losses.items())
            log.info("step %d: %s", step, said)
            progress.step(min(done, 1.0), f"Step {step}: {said}")
    return Fitted(kept.eval(), step)


def _step(network, optimiser, batch, loss_of, device: str) -> dict[str, float]:
    pictures, *wanted = (part.to(device) for part in batch)
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        answer = network(pictures.contiguous(memory_format=torch.channels_last))
    losses = loss_of(answer, *wanted)
    optimiser.zero_grad(set_to_none=True)
    sum(losses.values()).backward()
    length = nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
    if torch.isfinite(length):
        optimiser.step()
    return {name: loss.item() for name, loss in losses.items()}


def _share_of_rate(done: float) -> float:
    """Warm up, then fall along a half cosine."""
    if done < WARM_UP:
        return max(done / WARM_UP, 0.01)
    return max(0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))), 0.01)


def _remember(kept: nn.Module, network: nn.Module, memory: float) -> None:
    """Running mean of the weights; the statistics of the normalisation are taken as they are."""
    with torch.no_grad():
        for mean, value in zip(kept.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, 1 - memory)
        for mean, value in zip(kept.buffers(), network.buffers(), strict=True):
            mean.copy_(value)
