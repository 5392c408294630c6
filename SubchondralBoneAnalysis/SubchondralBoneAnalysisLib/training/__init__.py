"""Fits the networks of the knee."""
