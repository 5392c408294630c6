"""Who the simulated patients are: their bone, their osteoarthritis, and how well the one could tell of the other."""
