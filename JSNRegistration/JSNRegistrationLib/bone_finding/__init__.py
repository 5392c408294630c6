"""Finds the regions of the two bones of a joint by a trained network."""
