"""A network with its trained weights. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from JointQuantLib.errors import BadInput


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
            "train them again (jointquant train hand-joints)."
        ) from error
