"""Learning from pairs: HU and their edges where they are known; later also that a discriminator finds no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import PatchDiscriminator
from torch.nn import functional

from SubchondralBoneAnalysisLib.ct_synthesis.generator import COARSER, SLICES_IN, Generator
from SubchondralBoneAnalysisLib.training.learning_network import LearningNetwork, share_of_rate
from SubchondralBoneAnalysisLib.training.mr_variation import Batch, moved, varied
from SubchondralBoneAnalysisLib.training.slice_samples import LEAST_BONE, TRIES, Drawing, Pieces
from SubchondralBoneAnalysisLib.training.synthesis_losses import (
    GRADIENT,
    bone_loss,
    gradient_loss,
    pixel_weights,
    value_loss,
)

BATCH, EDGE, WHOLE_BATCH = 6, 128, 3  # pieces, their pixels along an edge, and the whole slices they are cut of
COARSE_BATCH, COARSE_EDGE = 12, 320  # whole slices
RATE, JUDGE_RATE = 2e-3, 2e-4
FINE_RATE = 0.75  # of the rate
COARSE_UNTIL = 0.36  # of the training; then the coarse network stays as it is
HELD_FROM = 0.1  # of the fine part: the statistics of its normalisation
ADVERSARIAL_FROM = 0.85  # before, the discriminator would have an easy time
ADVERSARIAL = 0.01  # weight beside the values: more of it, and noise of the CT is made up
BONE_LOGIT = 0.2  # weight, beside thousands of HU, of saying where bone is
MIDDLE = SLICES_IN // 2

Losses = dict[str, float]


class PairedLearning:
    """The generator, the discriminator that sees MR and CT together, and the pieces they learn from."""

    def __init__(self, drawing: Drawing, device: str, batch: int = BATCH) -> None:
        self.drawing, self.device, self.batch = drawing, device, batch
        self.generator = LearningNetwork(Generator(), RATE, device)
        judge = PatchDiscriminator(2, 32, in_channels=2, out_channels=1, num_layers_d=2, norm="BATCH")
        self.judge = LearningNetwork(judge, JUDGE_RATE, device, betas=(0.5, 0.999))
        self.adversarial = PatchAdversarialLoss(criterion="least_squares")

    def step(self, done: float) -> Losses:
        """Learn from one batch; `done` is the share of the training that is over: first coarse, then fine."""
        if done < COARSE_UNTIL:
            return self._coarse_step(share_of_rate(done / COARSE_UNTIL))
        done_of_fine = (done - COARSE_UNTIL) / (1 - COARSE_UNTIL)
        if done_of_fine >= HELD_FROM:
            self.generator.hold_statistics()
        return self._fine_step(FINE_RATE * share_of_rate(done_of_fine), adversarial=done >= ADVERSARIAL_FROM)

    def _coarse_step(self, share: float) -> Losses:
        pieces = self.drawing.coarse_pieces(COARSE_BATCH, COARSER)
        batch = moved(_batch(pieces, self.device))
        stack = varied(batch, fat_beside=0).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            said = self.generator.network.coarse(stack)
        losses = {
            "coarse values": value_loss(said[:, :1], batch.target, batch.known * (1 + batch.bone)),
            "coarse bone": BONE_LOGIT * bone_loss(said[:, 1:], batch.bone, batch.known),
        }
        self.generator.step(sum(losses.values()), share)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _fine_step(self, share: float, adversarial: bool) -> Losses:
        network = self.generator.network
        network.coarse.eval()
        whole = moved(_batch(self.drawing.pieces(WHOLE_BATCH), self.device))
        seen_whole = varied(whole)
        with torch.no_grad(), torch.autocast(torch.device(self.device).type, torch.bfloat16):
            # Of a piece alone the coarse network says less than of the whole slice, which it will have.
            said = network.coarse(functional.avg_pool2d(seen_whole, COARSER))
        batch, said = self._cut(replace(whole, stack=seen_whole), said)
        stack = batch.stack.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            made = network.refined(stack, said)
        weights = pixel_weights(batch.target, batch.known, batch.bone)
        losses = {
            "values": value_loss(made, batch.target, weights),
            "edges": GRADIENT * gradient_loss(made, batch.target, weights),
        }
        if adversarial:
            seen = stack[:, MIDDLE, None]
            made_seen = torch.where(batch.known > 0, made, batch.target)
            losses["adversarial"] = ADVERSARIAL * self._judged(seen, made_seen, True, False)
        self.generator.step(sum(losses.values()), share)
        if adversarial:
            true, false = (
                self._judged(seen, batch.target, True, True),
                self._judged(seen, made_seen.detach(), False, True),
            )
            losses["discriminator"] = (true + false) / 2
            self.judge.step(losses["discriminator"])
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _cut(self, whole: Batch, said: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """Pieces of whole slices, with bone where there is some, and what the coarse network said there."""
        rng, cut = self.drawing.rng, []
        for number in range(self.batch):
            one = number % len(whole.stack)
            for _ in range(TRIES):
                row, column = (int(rng.integers((n - EDGE) // COARSER + 1)) for n in whole.stack.shape[2:])
                rows, columns = (slice(COARSER * n, COARSER * n + EDGE) for n in (row, column))
                if whole.bone[one, :, rows, columns].mean() > LEAST_BONE:
                    break
            coarse = (slice(row, row + EDGE // COARSER), slice(column, column + EDGE // COARSER))
            parts = [part[one, :, rows, columns] for part in (whole.stack, whole.target, whole.known, whole.bone)]
            cut.append([*parts, said[one, :, *coarse]])
        *parts, said = (torch.stack(part) for part in zip(*cut, strict=True))
        return Batch(*parts), said

    def check(self, pieces: Pieces) -> Losses:
        """Mean absolute errors of the kept generator in HU: of all that is known, of bone; and the loss of `step`."""
        batch = _batch(pieces, self.device)
        with torch.inference_mode():
            made = torch.cat([self.generator.kept(part) for part in batch.stack.split(self.batch)])
        weights = pixel_weights(batch.target, batch.known, batch.bone)
        both = value_loss(made, batch.target, weights) + GRADIENT * gradient_loss(made, batch.target, weights)
        return {
            "loss": float(both),
            "mae_hu": 1000 * float(value_loss(made, batch.target, batch.known)),
            "mae_bone_hu": 1000 * float(value_loss(made, batch.target, batch.known * (batch.bone > 0.5))),
        }

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"generator": self.generator.state(), "judge": self.judge.state()}

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Be as `state` was taken."""
        self.generator.go_on_from(state["generator"])
        self.judge.go_on_from(state["judge"])

    def _judged(self, mr: torch.Tensor, ct: torch.Tensor, wanted: bool, for_judge: bool) -> torch.Tensor:
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            judged = self.judge.network(torch.cat([mr, ct], 1))[-1]
        return self.adversarial(judged.float(), target_is_real=wanted, for_discriminator=for_judge)


def _batch(pieces: Pieces, device: str) -> Batch:
    parts = (pieces.stack, pieces.target, pieces.known, pieces.bone)
    return Batch(*(None if part is None else torch.from_numpy(part).float().to(device) for part in parts))
