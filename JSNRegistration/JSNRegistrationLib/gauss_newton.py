"""One Gauss-Newton step for both bones of many joints at once, differentiable. Needs torch.

As in ``refinement``: a shift and a turn for each bone and one scale that they share; exposure and processing are solved
for in the same step; residuals beyond a few robust standard deviations do not count; what lies near the joint counts
more. Here both films are seen half way between them, and a network may guide the step (``network.Guidance``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from JSNRegistrationLib.features import FAINTEST_CONTRAST, NEIGHBOURHOOD_MM
from JSNRegistrationLib.halfway_pictures import BoneGrid
from JSNRegistrationLib.network import TRUST, Guidance
from JSNRegistrationLib.refinement import (
    BLOCK_MM,
    LOG_SCALE,
    NEAR_MM,
    POLYNOMIAL_REACH_MM,
    SHADING_ORDER,
    TUKEY,
    UNKNOWNS,
)

RIDGE = 1e-7

# A finger that is held more or less bent is seen longer or shorter: its bones are stretched about their joint surfaces,
# which a rigid motion would follow half way. How far is read from the films and believed by how sure it is. Set on
# joints of the development part.
SURFACE_MM = 0.75  # from the middle of the joint space to the joint surface of a bone
USUAL_STRETCH, STRETCHED_ALIKE = 0.008, 0.8  # deviation, and correlation of both bones of a joint
STRETCH_CAUTION = 3.0  # its standard error is counted as so many
UNKNOWN, MOVING = 7, 4  # unknowns of a joint, as in ``Refinement``, and of one bone
UPSIDE_DOWN = (-1.0, -1.0, 1.0, 1.0)  # shift x, y, turn, log scale of a bone that is looked at upside down


@dataclass(frozen=True)
class Fit:
    """How well the films of n joints fit before a step.

    ``covariance`` (n, 7, 7) of the step by the scatter of its equations, ``stretched`` (n, 7, 7) what stretches of the
    bones that the films leave open add to it; ``similarity`` (2 n) the correlation of the films inside each bone;
    ``stretch`` (2 n) by how much more than the motion says a bone is longer along the finger in the second film.
    """

    covariance: torch.Tensor
    stretched: torch.Tensor
    similarity: torch.Tensor
    stretch: torch.Tensor


@dataclass(frozen=True)
class Step:
    """The step (n, 7) of n joints, in millimetres, radians and log scale about the joint origin half way between the
    films, in the order of ``Refinement``; and the fit, where it was asked for."""

    parameters: torch.Tensor
    fit: Fit | None


@dataclass(frozen=True)
class _Stretch:
    """Of 2 n bones: the stretch that the films show, what is likely of it, and its covariance (n, 2, 2)."""

    found: torch.Tensor
    likely: torch.Tensor
    covariance: torch.Tensor


@dataclass(frozen=True)
class _Equations:
    """Of m bones in one channel: the normal matrix (m, 4, 4), the slope (m, 4), and where they come from."""

    normal: torch.Tensor
    slope: torch.Tensor
    look: torch.Tensor
    columns: torch.Tensor
    solved: torch.Tensor
    free: torch.Tensor
    precision: torch.Tensor
    weight: torch.Tensor


def gauss_newton_step(
    guidance: Guidance | None,
    pictures: torch.Tensor,
    grid: BoneGrid,
    blur_mm: float,
    excess_log_scale: torch.Tensor,
    log_scale_sd: torch.Tensor,
    stretching: bool = True,
    with_fit: bool = True,
) -> Step:
    """A step from pictures (2 n, 4, rows, columns) as ``halfway_pictures`` makes them, ``blur_mm`` that of the films.

    ``excess_log_scale`` and ``log_scale_sd`` (n) say how far the log scale lies from the expected one already, and how
    far it usually does. ``stretching`` lets the bones be stretched along the finger by what is likely.
    """
    base = pictures[:, 2] * _near(grid, pictures.device)
    first, second = (_standardised(pictures[:, film], base) for film in (0, 1))
    if guidance is None:
        channels, weights = [(first, second)], [base]
    else:
        channels = [(first, second)] + [
            (_standardised(guidance.first[:, k], base), _standardised(guidance.second[:, k], base))
            for k in range(1, guidance.first.shape[1])
        ]
        weights = [share * base for share in TRUST]
    sharing = max(2.0 * np.pi * (blur_mm / grid.step_mm) ** 2, 1.0)
    parts = [
        _equations(one, two, base, weight, grid, sharing) for (one, two), weight in zip(channels, weights, strict=True)
    ]
    stretch = _stretch(parts[0])
    whole, right = _put_together(parts, stretch.likely if stretching else None, excess_log_scale, log_scale_sd)
    inverse = torch.linalg.inv(whole)
    parameters = -(inverse @ right[..., None])[..., 0].float()
    if not with_fit:
        return Step(parameters, None)
    covariance = (inverse @ _scatter(parts, log_scale_sd, grid) @ inverse).float()
    with torch.no_grad():
        alike = _similarity(parts[0], first, second)
        return Step(parameters, Fit(covariance, _stretched(parts, stretch, inverse), alike, stretch.found.float()))


def _equations(one, two, base, weight, grid, sharing) -> _Equations:
    mean = 0.5 * (one + two)
    variance = _local_variance(mean, base, grid)
    weight = weight / variance
    right, down = _gradient(mean, grid.step_mm)
    x, y = _coordinates(grid, mean.device)
    effect = [right, down, down * x - right * y, right * x + down * y, down * (y + SURFACE_MM)]
    look = _look(mean, grid)
    looks = look.shape[-1]
    residual = (two - one).flatten(1)
    flat = weight.flatten(1)
    with torch.no_grad():
        misfit = residual - _explained(look, residual[..., None], flat)[..., 0]
        # How much a pixel counts is not learned through.
        flat = flat * _trust(misfit * torch.rsqrt(variance).flatten(1), base.flatten(1))
    columns = torch.cat([look, torch.stack([*effect, two - one], dim=-1).flatten(1, 2)], dim=-1)
    products = (columns.transpose(1, 2) @ (columns * flat[..., None])).double()
    looking = products[:, :looks, :looks] + _ridge(products[:, :looks, :looks])
    solved = torch.linalg.solve(looking, products[:, :looks, looks:])
    free = products[:, looks:, looks:] - products[:, looks:, :looks] @ solved
    noise = free[:, -1, -1] / (flat.sum(1) + 1e-9) + 1e-9
    precision = 1.0 / (noise * sharing)
    normal, slope = free[:, :MOVING, :MOVING] * precision[:, None, None], free[:, :MOVING, -1] * precision[:, None]
    return _Equations(normal, slope, look, columns, solved, free, precision, flat)


def _stretch(part: _Equations) -> _Stretch:
    """The stretch where the motion may be anything."""
    free = part.free
    inverse = torch.linalg.inv(free[:, :-1, :-1] + _ridge(free[:, :-1, :-1]))
    found = -(inverse[:, -1:] @ free[:, :-1, -1:])[:, 0, 0]
    se = torch.sqrt(inverse[:, -1, -1] / part.precision)
    before = USUAL_STRETCH**2 * found.new_tensor([[1.0, STRETCHED_ALIKE], [STRETCHED_ALIKE, 1.0]])
    unsure = torch.diag_embed((STRETCH_CAUTION * se.reshape(-1, 2)) ** 2)
    gain = before @ torch.linalg.inv(before + unsure)
    likely = (gain @ found.reshape(-1, 2, 1)).flatten()
    return _Stretch(found, likely, before - gain @ before)


def _stretched(parts: list[_Equations], stretch: _Stretch, inverse: torch.Tensor) -> torch.Tensor:
    """What the stretches do to the motion (n, 7), by their covariance."""
    pull = _pull(parts)
    moved = torch.stack([inverse @ (pull[bone::2] @ grown)[..., None] for bone, grown in enumerate(_places(pull))], -1)
    moved = moved[:, :, 0]
    return (moved @ stretch.covariance @ moved.transpose(1, 2)).float()


def _pull(parts: list[_Equations]) -> torch.Tensor:
    """What a stretch adds to the slope (m, 4) of its bone."""
    return sum(part.free[:, :MOVING, MOVING] * part.precision[:, None] for part in parts)


def _put_together(parts, stretch, excess_log_scale, log_scale_sd):
    """Normal matrix (n, 7, 7) and slope (n, 7) of the joints, where the bones are stretched by ``stretch`` (2 n)."""
    normal, slope = sum(part.normal for part in parts), sum(part.slope for part in parts)
    if stretch is not None:
        slope = slope + _pull(parts) * stretch[:, None]
    prior = log_scale_sd.double() ** -2
    corner = _corner(normal)
    whole = prior[:, None, None] * torch.outer(corner, corner)
    right = (prior * excess_log_scale.double())[:, None] * corner
    for bone, grown in enumerate(_places(normal)):
        whole = whole + grown.T @ normal[bone::2] @ grown
        right = right + slope[bone::2] @ grown
    return whole + _ridge(whole), right


def _scatter(parts, log_scale_sd, grid) -> torch.Tensor:
    """Scatter (n, 7, 7) of the slope: that of its sums over blocks, which are taken as independent."""
    scores = 0.0
    for part in parts:
        left = part.columns[..., part.look.shape[-1] :] - part.look @ part.solved.float()
        pull = part.weight * left[..., -1] * part.precision.float()[:, None]
        scores = scores + _by_block(left[..., :MOVING] * pull[..., None], grid).double()
    prior = log_scale_sd.double() ** -2
    corner = _corner(scores)
    scatter = prior[:, None, None] * torch.outer(corner, corner)
    for bone, grown in enumerate(_places(scores)):
        blocks = scores[bone::2]
        scatter = scatter + grown.T @ (blocks.transpose(1, 2) @ blocks) @ grown
    return scatter


def _places(like: torch.Tensor) -> list[torch.Tensor]:
    """Where the four unknowns of the upper and of the lower bone stand among the seven of a joint (4, 7 each)."""
    found = []
    for places, signs in zip(UNKNOWNS, ((1.0,) * 4, UPSIDE_DOWN), strict=True):
        grown = like.new_zeros(len(places), UNKNOWN)
        grown[torch.arange(len(places)), torch.tensor(places)] = like.new_tensor(signs)
        found.append(grown)
    return found


def _corner(like: torch.Tensor) -> torch.Tensor:
    corner = like.new_zeros(UNKNOWN)
    corner[LOG_SCALE] = 1.0
    return corner


def _trust(misfit: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """Tukey's biweight of misfits (m, pixels), by the robust deviation inside the region."""
    inside = torch.where(base > 0.02, misfit.abs(), torch.nan)
    spread = 1.4826 * torch.nanmedian(inside, dim=1, keepdim=True).values.nan_to_num(1.0)
    far = (misfit / (TUKEY * spread + 1e-9)).clamp(-1, 1)
    return (1 - far**2) ** 2


def _explained(look: torch.Tensor, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Values (m, pixels, k) as far as the look (m, pixels, looks) explains them, by weighted least squares."""
    weighted = look * weight[..., None]
    normal = (weighted.transpose(1, 2) @ look).double()
    right = (weighted.transpose(1, 2) @ values).double()
    return look @ torch.linalg.solve(normal + _ridge(normal), right).float()


def _ridge(matrix: torch.Tensor) -> torch.Tensor:
    """A little on the diagonal: a bone that is hardly seen must not stop the others."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    return torch.diag_embed(RIDGE * diagonal + 1e-12 * diagonal.mean(-1, keepdim=True) + 1e-12)


def _look(mean: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """All that exposure and processing may do (m, pixels, 21): shading, sharpness, gains and bends of the greys."""
    shading = _shading(grid, mean.device)
    flat = mean.flatten(1)[..., None]
    padded = functional.pad(mean[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    laplacian = (
        padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:] - 4.0 * mean
    ).flatten(1)[..., None]
    bends = [flat**2, flat**3]
    return torch.cat([shading.expand(len(mean), -1, -1), laplacian, shading[..., :3] * flat, *bends], dim=-1)


def _similarity(part: _Equations, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """Correlation (m) of the films inside the bones, where they are trusted and without what varies slowly."""
    films = torch.stack([one.flatten(1), two.flatten(1)], dim=-1)
    a, b = (films - _explained(part.look[..., : len(_powers())], films, part.weight)).unbind(-1)
    product, *squares = (torch.sum(part.weight * p * q, 1) for p, q in ((a, b), (a, a), (b, b)))
    return product / torch.sqrt(squares[0] * squares[1] + 1e-12)


def _standardised(picture: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    total = weight.sum((1, 2), keepdim=True) + 1e-6
    mean = (weight * picture).sum((1, 2), keepdim=True) / total
    spread = (weight * (picture - mean) ** 2).sum((1, 2), keepdim=True) / total
    return (picture - mean) * torch.rsqrt(spread + 1e-6)


def _local_variance(picture: torch.Tensor, region: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """Variance of a picture in the neighbourhood of every pixel, inside the region, over ``NEIGHBOURHOOD_MM``."""
    rows, columns = _blurs(grid, picture.device)

    def blurred(values):
        return rows @ values @ columns

    inside = blurred(region) + 1e-6
    mean = blurred(region * picture) / inside
    return (blurred(region * (picture - mean) ** 2) / inside).clamp_min(0) + FAINTEST_CONTRAST**2


def _gradient(picture: torch.Tensor, step_mm: float) -> tuple[torch.Tensor, torch.Tensor]:
    padded = functional.pad(picture[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return (
        (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / (2 * step_mm),
        (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / (2 * step_mm),
    )


def _by_block(scores: torch.Tensor, grid: BoneGrid) -> torch.Tensor:
    """Sums (m, blocks, 4) over blocks of about ``BLOCK_MM``."""
    size = 2 ** int(np.log2(BLOCK_MM / grid.step_mm))
    parts = scores.reshape(len(scores), grid.rows // size, size, grid.columns // size, size, -1)
    return parts.sum((2, 4)).flatten(1, 2)


def _powers() -> list[tuple[int, int]]:
    return [(order - k, k) for order in range(SHADING_ORDER + 1) for k in range(order + 1)]


@lru_cache
@torch.inference_mode(mode=False)  # what is kept is used in training too
def _coordinates(grid: BoneGrid, device) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.from_numpy(grid.points)
    return points.real.float().to(device), points.imag.float().to(device)


@lru_cache
@torch.inference_mode(mode=False)  # what is kept is used in training too
def _near(grid: BoneGrid, device) -> torch.Tensor:
    _, y = _coordinates(grid, device)
    return torch.exp(-0.5 * (y / NEAR_MM) ** 2)


@lru_cache
@torch.inference_mode(mode=False)  # what is kept is used in training too
def _shading(grid: BoneGrid, device) -> torch.Tensor:
    """Polynomials (pixels, 15) up to ``SHADING_ORDER``."""
    x, y = (part / POLYNOMIAL_REACH_MM for part in _coordinates(grid, device))
    return torch.stack([x**i * y**k for i, k in _powers()], dim=-1).flatten(0, 1)


@lru_cache
@torch.inference_mode(mode=False)  # what is kept is used in training too
def _blurs(grid: BoneGrid, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices that blur rows and columns by a Gaussian of ``NEIGHBOURHOOD_MM``."""

    def matrix(count: int) -> torch.Tensor:
        at = torch.arange(count, dtype=torch.float32, device=device) * grid.step_mm
        return torch.exp(-0.5 * ((at[:, None] - at[None, :]) / NEIGHBOURHOOD_MM) ** 2)

    return matrix(grid.rows), matrix(grid.columns)
