"""The registration network with its trained weights, where torch and the weights are there."""

from __future__ import annotations

from JSNRegistrationLib.trained_network import TrainedNetwork


def _registration_network():
    from JSNRegistrationLib.network import RegistrationNetwork

    return RegistrationNetwork()


NETWORK = TrainedNetwork("hand-registration", _registration_network)
