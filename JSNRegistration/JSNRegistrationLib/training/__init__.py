"""Trains the networks of the hand. Only what trains needs PyTorch."""
