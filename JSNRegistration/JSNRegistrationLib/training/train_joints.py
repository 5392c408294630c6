"""Fits the joint finder and the bone network on simulated images: read it top to bottom. Needs torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from JointQuantLib import devices
from JointQuantLib.job import Progress
from JointQuantLib.weights import ManifestEntry, write_weights
from JSNRegistrationLib.bone_finding.bone_network import BoneNetwork
from JSNRegistrationLib.joint_finding.joint_network import JointNetwork
from JSNRegistrationLib.joint_finding.network_maps import SIDE_PX
from JSNRegistrationLib.training import bone_pictures, joint_targets
from JSNRegistrationLib.training.film_augmentation import varied_films
from JSNRegistrationLib.training.film_set import FilmSet, film_set
from JSNRegistrationLib.training.fitting import fit
from JSNRegistrationLib.training.joint_picture_set import JointPictureSet, joint_picture_set
from JSNRegistrationLib.training.joint_training_request import TrainingRequest

FILMS, STEPS, BATCH = 2000, 2200, 24
HANDS_A_FILM = 0.25  # hands whose joints the bone network learns, against films of the joint finder
BONE_STEPS, BONE_BATCH = 1500, 48
CHECKS_AFTER = 500  # training seeds later: images that only check what was learned
CHECK_SHARE = 0.05  # of as many images as are learned from


def train(request: TrainingRequest, folder: Path, progress: Progress) -> None:
    """Write the weights of both networks and their manifest into `folder`.

    The simulated images go to `request.data`, else into a folder beside the weights; those already there are used
    again. Raises BadInput for a device that is not there.
    """
    folder = Path(folder)
    images = request.data or folder / "simulated"
    films = request.films or FILMS
    with devices.full_precision():
        torch.manual_seed(request.seed)
        _train_finder(request, folder, images, films, progress.part(0.0, 0.7))
        _train_bones(request, folder, images, math.ceil(HANDS_A_FILM * films), progress.part(0.7, 1.0))


def _train_finder(request, folder: Path, images: Path, count: int, progress: Progress) -> None:
    making = progress.part(0.0, 0.3)
    films = film_set(images, request.seed, count, lambda done: making.step(done, "Simulating hand films"))
    random = torch.Generator().manual_seed(request.seed)

    def batch():
        return _varied_films(films, torch.randint(0, len(films), (BATCH,), generator=random), random)

    network = JointNetwork()
    fitted = fit(network, batch, joint_targets.loss_of, STEPS, request.device, progress.part(0.3, 1.0), request.minutes)
    check = film_set(images, request.seed + CHECKS_AFTER, math.ceil(CHECK_SHARE * count))
    random = torch.Generator().manual_seed(0)
    batches = (_varied_films(check, chosen, random) for chosen in torch.arange(len(check)).split(BATCH))
    _write(
        request,
        folder,
        "hand-joints",
        fitted,
        f"{count} simulated hand films",
        _checked(fitted, batches, joint_targets.loss_of),
    )


def _train_bones(request, folder: Path, images: Path, count: int, progress: Progress) -> None:
    making = progress.part(0.0, 0.3)
    joints = joint_picture_set(images, request.seed, count, lambda done: making.step(done, "Simulating joints"))
    random = torch.Generator().manual_seed(request.seed)

    def batch():
        return _varied_joints(joints, torch.randint(0, len(joints), (BONE_BATCH,), generator=random), random)

    fitted = fit(
        BoneNetwork(),
        batch,
        bone_pictures.loss_of,
        BONE_STEPS,
        request.device,
        progress.part(0.3, 1.0),
        request.minutes,
    )
    check = joint_picture_set(images, request.seed + CHECKS_AFTER, math.ceil(CHECK_SHARE * count))
    random = torch.Generator().manual_seed(0)
    batches = (_varied_joints(check, chosen, random) for chosen in torch.arange(len(check)).split(BONE_BATCH))
    what = f"{len(joints)} simulated joints of {count} hands"
    _write(request, folder, "hand-bones", fitted, what, _checked(fitted, batches, bone_pictures.loss_of))


def _varied_films(films: FilmSet, chosen: torch.Tensor, random: torch.Generator):
    index = chosen.numpy()
    arrays = (torch.from_numpy(part[index]) for part in (films.films, films.shapes, films.joints))
    return *varied_films(*arrays, SIDE_PX, random), torch.from_numpy(films.oblique[index])


def _varied_joints(joints: JointPictureSet, chosen: torch.Tensor, random: torch.Generator):
    index = chosen.numpy()
    return bone_pictures.varied_joints(
        torch.from_numpy(joints.pixels[index]), torch.from_numpy(joints.bones[index]), random
    )


def _checked(fitted, batches, loss_of) -> dict[str, float]:
    """Mean parts of the loss on images that were not learned from."""
    network = fitted.network.cpu()
    with torch.no_grad():
        parts = [loss_of(network(pictures), *wanted) for pictures, *wanted in batches]
    return {name: round(float(np.mean([part[name].item() for part in parts])), 4) for name in parts[0]}


def _write(request: TrainingRequest, folder: Path, name: str, fitted, what: str, check: dict[str, float]) -> None:
    state = fitted.network.state_dict()
    arrays = {key: value.cpu().numpy().astype(np.float16) for key, value in state.items() if value.is_floating_point()}
    measured = {f"loss_{part}_on_simulated": value for part, value in check.items()} | {"steps": fitted.steps}
    write_weights(folder, name, arrays, ManifestEntry(request.command(), request.seed, what, measured=measured))
