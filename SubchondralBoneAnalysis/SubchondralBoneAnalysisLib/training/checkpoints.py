"""The checkpoint of a training: tensors and plain values only, so that reading one runs nothing that it holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from JointQuantLib.errors import BadInput

CHECKPOINT = "checkpoint.pt"


def write_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """At once: whoever stops the program finds the earlier checkpoint or this one."""
    partial = folder / f"{CHECKPOINT}.partial"
    torch.save(state, partial)
    partial.replace(folder / CHECKPOINT)


def read_checkpoint(folder: Path, device: str) -> dict[str, Any]:
    """What `write_checkpoint` wrote.

    :raises BadInput: there is none, or it is damaged or holds more than a checkpoint does.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise BadInput(f"{path} is missing, so there is nothing to go on from: train without --resume.")
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise BadInput(f"{path} is no checkpoint, or damaged: train without --resume.") from error
