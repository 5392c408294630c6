"""What an MR scanner makes of a knee: signals by tissue, k-space, chemical shift, coil, noise, motion."""
