"""Trabecular bone made at random: families of structure, each given as a piece that repeats in space."""
