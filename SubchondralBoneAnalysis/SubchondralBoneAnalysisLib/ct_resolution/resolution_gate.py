"""What can be measured at the voxel size and the blur of a CT, and what cannot: a sentence for each refusal.

A value that the image cannot hold is not reported, not even with a warning, for a number once printed is used.
"""

from __future__ import annotations

import math

from SubchondralBoneAnalysisLib.ct_resolution.resolution import CtResolution

TRABECULAE_PER_MM = 0.8  # how often they are taken to follow each other; finer bone needs a finer image
LEAST_CONTRAST = 0.1  # of theirs that must be left after the blur; 10 % is the usual limit of resolution
LEAST_PLATE = 0.5  # FWHM: thinner, a plate changes the height of its blurred image and hardly the width
LEAST_SPACE = 1.0  # FWHM: two edges that are nearer than that are one
LEAST_VOXELS = 100
LEAST_STRUCTURE = 0.5  # of the variance of the noise
UNKNOWN = "the blur of the image could not be estimated"


def against_density(thickness_mm: float, voxels: int, resolution: CtResolution) -> str | None:
    """Why the values of a region tell no density of its own; None where they do.

    :param thickness_mm: the least extent of the region, as the depth of a band.
    """
    if voxels < LEAST_VOXELS:
        return f"the region has {voxels} voxels, and at least {LEAST_VOXELS} are needed"
    why_not = against_thickness(thickness_mm, resolution)
    return why_not and f"the region {why_not}"


def against_thickness(thickness_mm: float, resolution: CtResolution) -> str | None:
    """Why what is so thick has no values of its own, as "is 1 mm thick, less than ..."; None where it has."""
    coarsest = max(resolution.voxel_mm)
    if coarsest > thickness_mm:
        return f"is {thickness_mm:g} mm thick, less than a voxel of {coarsest:.2g} mm"
    blur = resolution.worst_fwhm_mm
    if blur is not None and blur > thickness_mm:
        return f"is {thickness_mm:g} mm thick, less than the blur of {blur:.2f} mm (FWHM)"
    return None


def against_texture(resolution: CtResolution) -> str | None:
    """Why the texture of the image says nothing of trabeculae; None where it does."""
    coarsest, longest = max(resolution.voxel_mm), 0.5 / TRABECULAE_PER_MM
    if coarsest > longest + 1e-6:
        return f"voxels of {coarsest:.2g} mm do not sample trabeculae, which takes {longest:.3g} mm or less"
    blur = resolution.worst_fwhm_mm
    if blur is None:
        return UNKNOWN
    left = contrast_left(blur, TRABECULAE_PER_MM)
    if left < LEAST_CONTRAST:
        return (
            f"the blur of {blur:.2f} mm (FWHM) leaves {100 * left:.1f} % of the contrast of trabeculae, "
            f"and {100 * LEAST_CONTRAST:.0f} % is the limit of resolution"
        )
    return None


def against_structure(variance: float, resolution: CtResolution) -> str | None:
    """Why the spread of the values, of that variance in HU², cannot be told from noise; None where it can."""
    if resolution.noise is None:
        return "the noise of the image could not be estimated"
    noise = resolution.noise.sd_hu
    if variance - noise**2 < LEAST_STRUCTURE * noise**2:
        return f"its spread of {math.sqrt(variance):.0f} HU cannot be told from the noise of {noise:.0f} HU"
    return None


def least_plate_mm(resolution: CtResolution) -> float | None:
    """The thinnest plate that can be measured by a model of its blur; None where the blur is not known."""
    return None if resolution.worst_fwhm_mm is None else LEAST_PLATE * resolution.worst_fwhm_mm


def least_space_mm(resolution: CtResolution) -> float:
    """The narrowest joint space that can be measured: the blur, and at least one voxel."""
    return max(LEAST_SPACE * (resolution.worst_fwhm_mm or 0), *resolution.voxel_mm)


def contrast_left(fwhm_mm: float, per_mm: float) -> float:
    """The share of the contrast of a wave that a Gaussian blur leaves."""
    return math.exp(-((math.pi * fwhm_mm * per_mm) ** 2) / (4 * math.log(2)))
