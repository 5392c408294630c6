"""The voxel sizes with which subchondral bone can be found in a knee CT."""

from __future__ import annotations

SMALLEST_MM, LARGEST_MM = 0.2, 1.5
# A field of 100 mm on 512 pixels is 0.195 mm, written so and meant as 0.2; positions round likewise.
ROUNDING_MM = 0.01


def unfit_voxels(spacing_mm: tuple[float, float, float]) -> str | None:
    """Why voxels of (k, j, i) mm cannot be used, to be put behind the name of the volume; None if they can."""
    size = " × ".join(f"{edge:.3g}" for edge in spacing_mm[::-1])
    if max(spacing_mm) > LARGEST_MM + ROUNDING_MM:
        return f"has voxels of {size} mm, more than {LARGEST_MM} mm"
    if min(spacing_mm) < SMALLEST_MM - ROUNDING_MM:
        return f"has voxels of {size} mm, less than {SMALLEST_MM} mm"
    return None
