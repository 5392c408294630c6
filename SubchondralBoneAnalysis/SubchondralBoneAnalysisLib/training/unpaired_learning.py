"""Learning from MR and CT of different knees: there and back again, with the structure of the MR kept.

Two generators and two discriminators (Zhu et al., ICCV 2017). That alone may move an edge there and back; that the
synthetic CT is built as its MR is asked for by neighbourhood descriptors (`synthesis_losses.structure_loss`).
"""

from __future__ import annotations

from typing import Any

import torch
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import PatchDiscriminator
from torch.nn import functional

from SubchondralBoneAnalysisLib.ct_synthesis.generator import SLICES_IN, Generator
from SubchondralBoneAnalysisLib.training.learning_network import LearningNetwork, share_of_rate, step_together
from SubchondralBoneAnalysisLib.training.mr_variation import Batch, moved, varied
from SubchondralBoneAnalysisLib.training.slice_samples import Drawing, Pieces
from SubchondralBoneAnalysisLib.training.synthesis_losses import structure_loss

BATCH, EDGE = 2, 128
RATE = 5e-4
HELD_FROM = 0.1  # of the training: the statistics of the generators' normalisation
CYCLE, STRUCTURE, ADVERSARIAL = 5.0, 2.0, 0.5
MIDDLE = SLICES_IN // 2
NETWORKS = ("generator", "back", "ct_judge", "mr_judge")

Losses = dict[str, float]


class UnpairedLearning:
    """The generator, the one that goes back (one slice of CT to one of MR), and a discriminator for each kind."""

    def __init__(self, mr: Drawing, ct: Drawing, device: str, batch: int = BATCH) -> None:
        self.mr, self.ct, self.device, self.batch = mr, ct, device, batch
        self.generator = LearningNetwork(Generator(), RATE, device, betas=(0.5, 0.999))
        self.back = LearningNetwork(Generator(slices=1), RATE, device, betas=(0.5, 0.999))
        self.ct_judge, self.mr_judge = (_judge(device) for _ in range(2))
        self.adversarial = PatchAdversarialLoss(criterion="least_squares")

    def step(self, done: float) -> Losses:
        """Learn from one batch of MR and one of CT; `done` is the share of the training that is over."""
        if done >= HELD_FROM:
            self.generator.hold_statistics()
            self.back.hold_statistics()
        mr = varied(moved(_batch(self.mr, self.batch, self.device)))
        ct = moved(_batch(self.ct, self.batch, self.device)).stack
        mr_middle, ct_middle = (stack[:, MIDDLE, None] for stack in (mr, ct))
        made_ct = self._made(self.generator, mr)
        made_mr = self._made(self.back, ct.flatten(0, 1)[:, None]).reshape(ct.shape)
        made_mr_middle = made_mr[:, MIDDLE, None]
        losses = {
            "cycle": CYCLE * functional.l1_loss(self._made(self.back, made_ct), mr_middle),
            "cycle of CT": CYCLE * functional.l1_loss(self._made(self.generator, made_mr), ct_middle),
            "structure": STRUCTURE * structure_loss(made_ct, mr_middle),
            "structure of MR": STRUCTURE * structure_loss(made_mr_middle, ct_middle),
            "adversarial": ADVERSARIAL * self._judged(self.ct_judge, made_ct, True, False),
            "adversarial of MR": ADVERSARIAL * self._judged(self.mr_judge, made_mr_middle, True, False),
        }
        step_together((self.generator, self.back), sum(losses.values()), share_of_rate(done))
        losses["discriminators"] = sum(
            self._learned(judge, true, made, share_of_rate(done))
            for judge, true, made in (
                (self.ct_judge, ct_middle, made_ct.detach()),
                (self.mr_judge, mr_middle, made_mr_middle.detach()),
            )
        )
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def check(self, pieces: Pieces) -> Losses:
        """How differently the CT that the kept generator makes of pieces of MR is built."""
        stack = torch.from_numpy(pieces.stack).float().to(self.device)
        with torch.inference_mode():
            made = torch.cat([self.generator.kept(part) for part in stack.split(self.batch)])
            return {"loss": float(structure_loss(made, stack[:, MIDDLE, None]))}

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {name: getattr(self, name).state() for name in NETWORKS}

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Be as `state` was taken."""
        for name in NETWORKS:
            getattr(self, name).go_on_from(state[name])

    def _made(self, learner: LearningNetwork, given: torch.Tensor) -> torch.Tensor:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return learner.network(given.contiguous(memory_format=torch.channels_last))

    def _judged(self, judge: LearningNetwork, image: torch.Tensor, wanted: bool, for_judge: bool) -> torch.Tensor:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            said = judge.network(image)[-1]
        return self.adversarial(said.float(), target_is_real=wanted, for_discriminator=for_judge)

    def _learned(self, judge: LearningNetwork, true: torch.Tensor, made: torch.Tensor, share: float) -> torch.Tensor:
        loss = (self._judged(judge, true, True, True) + self._judged(judge, made, False, True)) / 2
        judge.step(loss, share)
        return loss


def _judge(device: str) -> LearningNetwork:
    network = PatchDiscriminator(2, 32, in_channels=1, out_channels=1, num_layers_d=2, norm="BATCH")
    return LearningNetwork(network, RATE, device, betas=(0.5, 0.999))


def _batch(drawing: Drawing, count: int, device: str) -> Batch:
    return Batch(torch.from_numpy(drawing.pieces(count).stack).float().to(device))
