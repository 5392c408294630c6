"""What the registration network is taught: a step that ends at the truth, and to know how far from it. Needs torch."""

from __future__ import annotations

import torch

from JSNRegistrationLib.gauss_newton import Step, gauss_newton_step
from JSNRegistrationLib.halfway_pictures import FINE, FINE_BLUR_MM
from JSNRegistrationLib.network import Guidance, RegistrationNetwork
from JSNRegistrationLib.network_registration import log_se
from JSNRegistrationLib.registration import MAGNIFICATION_SD
from JSNRegistrationLib.training.fitting import Losses

CHANGE_MM, SHIFT_MM, TURN_RAD = 0.01, 0.03, 0.005  # errors up to these count by their square, larger ones as they are
MOTION_SHARE, SURE_SHARE = 0.3, 0.1
TAIL = 4.0  # degrees of freedom of Student's distribution: now and then an error is large


def loss_of(
    network: RegistrationNetwork,
    guidance: Guidance,
    pictures: torch.Tensor,
    left: torch.Tensor,
    excess_log_scale: torch.Tensor,
) -> Losses:
    """Losses of a batch (``RegistrationBatch``) with the network's guidance."""
    deviation = torch.full_like(excess_log_scale, MAGNIFICATION_SD)
    step = gauss_newton_step(guidance, pictures, FINE, FINE_BLUR_MM, excess_log_scale, deviation)
    error = torch.stack([step.parameters[:, 0:3], step.parameters[:, 3:6]], dim=1) - left[..., :3]
    change = error[:, 0, 1] - error[:, 1, 1]
    motion = _robust(error[..., :2], SHIFT_MM).mean() + _robust(error[..., 2], TURN_RAD).mean()
    return {
        "change": _robust(change, CHANGE_MM).mean(),
        "motion": MOTION_SHARE * motion,
        "sure": SURE_SHARE * _surprise(network, guidance, step, change.detach()).mean(),
    }


def _surprise(network: RegistrationNetwork, guidance: Guidance, step: Step, error: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of the errors, by the standard errors that the network says."""
    joints = len(error)
    stated = log_se(step.fit.covariance.detach())
    factor = network.factor(
        guidance.summary.reshape(joints, 2, -1), stated, step.fit.similarity.detach().reshape(joints, 2)
    )
    deviation = torch.exp(stated) * factor
    return torch.log(deviation) + 0.5 * (TAIL + 1) * torch.log1p((error / deviation) ** 2 / TAIL)


def _robust(error: torch.Tensor, usual: float) -> torch.Tensor:
    return torch.sqrt(1.0 + (error / usual) ** 2) - 1.0
