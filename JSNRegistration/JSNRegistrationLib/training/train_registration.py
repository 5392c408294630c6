"""Fits the registration network on simulated joints, or goes on with a user's own films: read it top to bottom.

Supervised: films of simulated joints, whose motions are known. Self-supervised: a user's film against itself, each copy
with its own noise, grey scale, sharpness and spots; there the motion is known because it is made. Needs torch.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch

from JointQuantLib import devices
from JointQuantLib.job import Progress
from JointQuantLib.weights import TRAINED_ON_SIMULATED, ManifestEntry, write_weights
from JSNRegistrationLib.network import RegistrationNetwork
from JSNRegistrationLib.network_registration import guided_step, moved
from JSNRegistrationLib.registration import MAGNIFICATION_SD
from JSNRegistrationLib.registration_network import NETWORK
from JSNRegistrationLib.trained_network import arrays_of, fill
from JSNRegistrationLib.training.fitting import Fitted, fit
from JSNRegistrationLib.training.own_films import own_joints
from JSNRegistrationLib.training.registration_loss import loss_of
from JSNRegistrationLib.training.registration_pairs import TrueJoints, registration_batch
from JSNRegistrationLib.training.registration_set import registration_set
from JSNRegistrationLib.training.registration_training_request import RegistrationTrainingRequest

JOINTS, STEPS, BATCH = 600, 1500, 16
RATE = 2e-3
OWN_JOINTS, OWN_STEPS, OWN_RATE = 120, 1000, 3e-4  # going on with own films
IMPROVED_AFTER = 50  # steps: before, the network's own steps are no better starts
JOINTS_SEED, CHECKS_SEED = 1, 501  # always the same joints: the seed of a training chooses its start and its batches
CHECK_SHARE, CHECK_BATCHES = 0.1, 40


def train(request: RegistrationTrainingRequest, folder: Path, progress: Progress) -> None:
    """Write the weights of the network and their manifest into `folder`.

    The simulated joints, the same for every seed, go to `request.images`, else into a folder beside the weights; those
    already there are used again. Raises BadInput for a device that is not there, for a folder of own films that holds
    none in which a joint is found, and where there are no weights to go on from.
    """
    folder = Path(folder)
    with devices.full_precision():
        torch.manual_seed(request.seed)
        making, learning = progress.part(0.0, 0.3), progress.part(0.3, 1.0)
        network, own = RegistrationNetwork(), []
        if request.data is not None:
            fill(network, NETWORK.name, arrays_of(NETWORK.name))
            own = [own_joints(request.data, request.device)]
        made, check = _joints(request, request.images or folder / "simulated", making)
        joints = [made, *own]
        fitted = _fitted(network, joints, request, learning)
    _write(request, folder, fitted, joints, _checked(fitted, check))


def _joints(request, images: Path, progress: Progress) -> tuple[TrueJoints, TrueJoints]:
    """Simulated joints to learn from, and others to check what was learned."""
    count = request.joints or (JOINTS if request.data is None else OWN_JOINTS)
    made = registration_set(images, JOINTS_SEED, count, lambda done: progress.step(0.9 * done, "Simulating joints"))
    check = registration_set(images, CHECKS_SEED, math.ceil(CHECK_SHARE * count))
    return TrueJoints.of(made), TrueJoints.of(check)


def _fitted(network: RegistrationNetwork, joints: list[TrueJoints], request, progress: Progress) -> Fitted:
    """The network after learning from each set in turn."""
    rng = np.random.default_rng(request.seed)
    own = len(joints) > 1
    taken = 0

    def improve(pairs, motions):
        network.eval()
        step, _ = guided_step(pairs, motions, np.full(len(pairs), MAGNIFICATION_SD), network, request.device)
        network.train()
        return moved(motions, step)

    def batch():
        nonlocal taken
        taken += 1
        made = registration_batch(joints[taken % len(joints)], BATCH, rng, improve if taken > IMPROVED_AFTER else None)
        return made.pictures, made.pictures, made.left, made.excess_log_scale

    steps, rate = (OWN_STEPS, OWN_RATE) if own else (STEPS, RATE)
    losses = partial(loss_of, network)
    return fit(network, batch, losses, steps, request.device, progress, request.minutes, rate)


def _checked(fitted: Fitted, check: TrueJoints) -> dict[str, float]:
    """Mean parts of the loss on joints that were not learned from."""
    network = fitted.network.cpu()
    rng = np.random.default_rng(0)
    parts = []
    with torch.no_grad():
        for _ in range(CHECK_BATCHES):
            made = registration_batch(check, BATCH, rng)
            parts.append(loss_of(network, network(made.pictures), made.pictures, made.left, made.excess_log_scale))
    return {name: round(float(np.mean([part[name].item() for part in parts])), 4) for name in parts[0]}


def _write(request, folder: Path, fitted: Fitted, joints: list[TrueJoints], check: dict[str, float]) -> None:
    state = fitted.network.state_dict()
    arrays = {key: value.cpu().numpy().astype(np.float16) for key, value in state.items() if value.is_floating_point()}
    measured = {f"loss_{part}_on_simulated": value for part, value in check.items()} | {"steps": fitted.steps}
    what = f"{len(joints[0].films)} films of {joints[0].joint.max() + 1} simulated joints"
    label = TRAINED_ON_SIMULATED
    if len(joints) > 1:
        what += f", then {len(joints[1].films)} joints on the user's own films, each against itself"
        label += " and the user's own films"
    entry = ManifestEntry(request.command(), request.seed, what, label, measured)
    write_weights(folder, NETWORK.name, arrays, entry)
