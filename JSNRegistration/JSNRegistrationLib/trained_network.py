"""A network with its trained weights, loaded once, and its answers to pictures. Needs torch when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from JointQuantLib import devices
from JointQuantLib.errors import BadInput
from JointQuantLib.weights import NoWeights, read_weights
from JSNRegistrationLib.models import models_folder

BATCH = 32  # pictures at once: the memory of a small GPU holds them


@dataclass(frozen=True)
class TrainedNetwork:
    """The model `name` of the models' folder; `build` makes its torch module, without weights."""

    name: str
    build: Callable[[], Any]

    def available(self) -> bool:
        """Whether torch is installed and the weights are there."""
        if not devices.torch_available():
            return False
        try:
            arrays_of(self.name)
        except NoWeights:
            return False
        return True

    def answers(self, pictures: np.ndarray, device: str) -> np.ndarray:
        """The answers to pictures (n, rows, columns) float32: (n, channels, ...) float32.

        Raises BadInput for a device that is not there, and for weights that are damaged or not of this network.
        """
        return devices.run_with_fallback(lambda where: self._answers_on(pictures, where), device)[0]

    def network(self, device: str) -> Any:
        """The torch module with its weights, on a device; for networks that are not asked with pictures alone.

        Raises BadInput as ``answers``, NoWeights where there are none.
        """
        return _loaded(self, device)

    def _answers_on(self, pictures: np.ndarray, device: str) -> np.ndarray:
        import torch

        network = _loaded(self, device)
        with torch.inference_mode():
            batches = torch.from_numpy(pictures)[:, None].split(BATCH)
            return np.concatenate([network(batch.to(device)).float().cpu().numpy() for batch in batches])


def fill(network, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Give a torch module the weights of the model `name`, arrays by parameter name.

    Raises BadInput where they are not those of this network: one is missing, one too many, or of another shape.
    """
    import torch

    try:
        network.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()}, strict=True)
    except RuntimeError as error:
        raise BadInput(
            f"The weights {name} do not fit the network of this version of JointQuant: install JointQuant anew, or "
            "train them again (jointquant train)."
        ) from error


@lru_cache(maxsize=4)
def arrays_of(name: str) -> dict[str, np.ndarray]:
    """The weights of a model by parameter name. Raises NoWeights, or BadInput where they are damaged."""
    return read_weights(models_folder(), name).arrays


@lru_cache(maxsize=4)
def _loaded(trained: TrainedNetwork, device: str):
    network = trained.build()
    fill(network, trained.name, arrays_of(trained.name))
    return network.eval().to(device)
