"""How finely a CT resolves, estimated from the image itself: its noise, and how far it blurs an edge.

A flat edge with normal n, blurred by a Gaussian point spread function with covariance S, is blurred with variance
n'Sn: for a blur that is sigma_xy along the slices and sigma_z across them, sigma_xy² (1 - c²) + sigma_z² c² where c is
the cosine between n and the slice axis. Edges of the skin have been used so by Sanders et al. (Med Phys 43:5330, 2016);
edges of thick cortex are used beside them.
The image's own estimate holds what the voxels and a resampling add. It holds for a Gaussian blur: a kernel that
enhances edges has none, and its half width is what is reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.ct_resolution.ct_edges import CORTEX, SKIN, EdgeImage, EdgeKind, edge_profiles
from SubchondralBoneAnalysisLib.ct_resolution.ct_noise import CtNoise, ct_noise
from SubchondralBoneAnalysisLib.ct_resolution.layered_edge import LayeredEdges, fit_layered_edges
from SubchondralBoneAnalysisLib.volume import Volume

FWHM = 2.3548  # of a Gaussian, in standard deviations
LEAST_PROFILES = 40
UPRIGHT, ACROSS = 0.3, 0.5  # squared cosine: an edge that tells the blur along the slices, and across them
LARGEST_REST = 0.06  # of the rise, that the model may leave beside the noise
LEAST_LAYERS = 1.3  # FWHM: a thinner layer cannot be told from the blur
FLAT = 0.15  # of the rise: a step from layer to inside that does not matter
ROUNDS = 20


@dataclass(frozen=True)
class BlurEstimate:
    """FWHM of the blur in mm with its standard error, and how many profiles across which edges tell it."""

    fwhm_mm: float
    error_mm: float
    profiles: int
    edges: str


@dataclass(frozen=True)
class CtResolution:
    """What is known of the resolution of a CT.

    :param voxel_mm: (k, j, i).
    :param noise: in soft tissue, None where it cannot be told.
    :param in_plane: blur along the slices.
    :param axial: blur across the slices.
    :param reasons: a sentence for each thing that is None.
    """

    voxel_mm: tuple[float, float, float]
    noise: CtNoise | None
    in_plane: BlurEstimate | None
    axial: BlurEstimate | None
    reasons: tuple[str, ...]

    @property
    def worst_fwhm_mm(self) -> float | None:
        """The largest blur in any direction: what is not known counts as one slice at least."""
        if self.in_plane is None:
            return None
        across = self.axial.fwhm_mm if self.axial else max(self.in_plane.fwhm_mm, self.voxel_mm[0])
        return max(self.in_plane.fwhm_mm, across)


def ct_resolution(ct: Volume, unusable: np.ndarray | None = None) -> CtResolution:
    """Noise and blur of a CT in HU whose slices are along j and i.

    :param unusable: bool [k, j, i], true around metal and where there is no image.
    """
    noise = ct_noise(ct, unusable)
    reasons = [] if noise else ["Noise: there is too little even soft tissue in the image."]
    image = EdgeImage.of(ct)
    estimates = [_along_and_across(*_blur_of_edges(image, kind, noise, unusable), kind.name) for kind in (CORTEX, SKIN)]
    # A rough surface, a thin layer, a wrong normal all widen an edge and none of them narrows it.
    in_plane, axial = (_sharper(*of_kinds) for of_kinds in zip(*estimates, strict=True))
    if not in_plane:
        reasons.append("Blur along the slices: there are too few clear edges of cortex or skin in the image.")
    if not axial:
        reasons.append("Blur across the slices: there are too few clear edges that face along the slice axis.")
    return CtResolution(tuple(ct.spacing_mm), noise, in_plane, axial, tuple(reasons))


def _blur_of_edges(
    image: EdgeImage, kind: EdgeKind, noise: CtNoise | None, unusable: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Of each edge that is clear: its squared cosine with the slice axis, and the variance of its blur in mm²."""
    edges = edge_profiles(image, kind, unusable)
    if not len(edges.profiles):
        return np.empty(0), np.empty(0)
    fits = fit_layered_edges(edges.along_mm, edges.profiles)
    clear = _clear(fits, kind, noise)
    return edges.towards_slices[clear], fits.sigma_mm[clear] ** 2


def _clear(fits: LayeredEdges, kind: EdgeKind, noise: CtNoise | None) -> np.ndarray:
    rise = fits.layer_hu - fits.outside_hu
    allowed = np.hypot(LARGEST_REST * rise, noise.sd_hu if noise else 0)
    thick = fits.thickness_mm > LEAST_LAYERS * FWHM * fits.sigma_mm
    flat = np.abs(fits.inside_hu - fits.layer_hu) < FLAT * rise
    within = (np.abs(fits.place_mm) < 1.5) & (fits.sigma_mm > 0.06) & (fits.sigma_mm < 2)
    return within & (rise > kind.least_rise_hu) & (fits.rest_hu < allowed) & (thick | flat)


def _sharper(*estimates: BlurEstimate | None) -> BlurEstimate | None:
    return min((found for found in estimates if found), key=lambda found: found.fwhm_mm, default=None)


def _along_and_across(
    towards: np.ndarray, squares: np.ndarray, edges: str
) -> tuple[BlurEstimate | None, BlurEstimate | None]:
    """The two blurs from a straight line through the variances, by absolute deviations, as outliers are many."""
    upright, across = towards < UPRIGHT, towards > ACROSS
    if np.count_nonzero(upright) < LEAST_PROFILES:
        return None, None
    if np.count_nonzero(across) < LEAST_PROFILES:
        towards, squares = towards[upright], squares[upright]
        # Little is known of what lies across: it is taken as equal, which at most a third of the variance holds.
        design = np.ones((len(squares), 1))
    else:
        design = np.column_stack((1 - towards, towards))
    values, errors = _least_absolute(design, squares)
    if (values <= 0).any():
        return None, None
    counts = (np.count_nonzero(upright), np.count_nonzero(across))
    found = [
        BlurEstimate(float(FWHM * np.sqrt(value)), float(FWHM * error / (2 * np.sqrt(value))), int(count), edges)
        for value, error, count in zip(values, errors, counts, strict=False)
    ]
    return found[0], found[1] if len(found) > 1 else None


def _least_absolute(design: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the least absolute deviations and their standard errors, by reweighted least squares."""
    weights = np.ones(len(values))
    for _ in range(ROUNDS):
        square = (design * weights[:, None]).T @ design
        at = np.linalg.solve(square, design.T @ (weights * values))
        rest = np.abs(values - design @ at)
        spread = 1.4826 * np.median(rest)
        weights = 1 / np.maximum(rest, max(0.1 * spread, 1e-9))
    # The SE of a median is sqrt(pi / 2) that of a mean.
    return at, np.sqrt(np.pi / 2) * spread * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
