"""Where patches are cut, and their voxels."""
