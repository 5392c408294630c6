"""Sub-pixel registration of the two bones of a joint, one rigid motion each, and the covariance of what is found.

One Gauss-Newton run moves both bones at once: a shift and a turn for each, and one scale that they share, since both
lie in one plane before one X-ray tube. In every step the look of the second film is solved for as well: a shading of
fourth order over the bone, a gain that varies over it, a sharper or softer picture, and a bend of the grey scale. So
neither exposure nor processing nor soft tissue has to be evened out beforehand, which would let the other bone shine
in. Residuals beyond a few robust standard deviations do not count (Tukey), faint structure counts as much as strong,
and what lies near the joint counts more than the shaft far away: the joint space is read at the joint, and a finger
that is bent otherwise than before deforms its projection along the shaft.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.features import FeatureLevel, local_contrast
from JSNRegistrationLib.motion import BoneMotion, compose, motion_about, scale_of

MARGIN_MM = 0.7  # a bone's region is grown by this: its edge is its best landmark
STRIP_MM = 0.25  # and kept this far from the other bone
NEAR_MM = 3.5  # sigma of the weight along the axis
TUKEY = 6.0  # robust standard deviations beyond which a pixel does not count
ITERATIONS = (12, 40)
SETTLED_PX = 2e-4  # a step below this ends the finest level; ten times as much the coarser ones
LEAST_GAIN = 0.2  # of one film on the other: a faint match must not make steps explode
SHADING_ORDER = 4
POLYNOMIAL_REACH_MM = 8.0  # unit of the coordinates in the shading
BLOCK_MM = 1.5  # residuals within such a block are not independent
LEAST_PIXELS = 50
LOG_SCALE = 6  # place of the shared log scale among the seven unknowns
UNKNOWNS = ([0, 1, 2, LOG_SCALE], [3, 4, 5, LOG_SCALE])  # shift x, y and turn of the upper and of the lower bone


@dataclass(frozen=True)
class Refinement:
    """Motions of both bones and the covariance of their parameters.

    ``covariance`` is 7 x 7, for small motions about the joint origin made before the motions themselves: shift x, y
    (*from* pixels) and turn (rad) of the upper bone, the same of the lower bone, and the shared log scale.
    """

    upper: BoneMotion
    lower: BoneMotion
    covariance: np.ndarray


@dataclass(frozen=True)
class BoneRegion:
    """The pixels of one bone that take part on one level.

    ``points`` (n, 2) positions; ``values`` (n) grey values; ``effect`` (n, 4) of a small shift x, y, turn and log scale
    on them; ``shading`` (n, 15) polynomials over the bone; ``look`` (n, 20) all that exposure and processing may do to
    them: the shading, the Laplacian, gains, and the square of the grey value; ``weight`` (n) by the distance from the
    joint; ``contrast`` (n) of the neighbourhood, the unit of the residuals.
    """

    points: np.ndarray
    values: np.ndarray
    effect: np.ndarray
    shading: np.ndarray
    look: np.ndarray
    weight: np.ndarray
    contrast: np.ndarray
    blocks: np.ndarray

    def slope(self, gains: np.ndarray) -> np.ndarray:
        """How the second film's grey value follows the first's (n), for the coefficients of ``look``."""
        return self.shading[:, :3] @ gains[-4:-1] + 2.0 * gains[-1] * self.values


def compared_regions(crop: JointCrop) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (bool, like the crop) compared for the upper and the lower bone: bone and margin, not the other bone."""
    spacing = crop.nominal_spacing_mm
    from_upper = ndimage.distance_transform_edt(~crop.upper) * spacing
    from_lower = ndimage.distance_transform_edt(~crop.lower) * spacing
    upper = (from_upper <= MARGIN_MM) & (from_lower > STRIP_MM)
    lower = (from_lower <= MARGIN_MM) & (from_upper > STRIP_MM)
    return upper, lower


def refine(
    crop: JointCrop,
    levels: tuple[FeatureLevel, ...],
    other: JointCrop,
    other_levels: tuple[FeatureLevel, ...],
    start: tuple[np.ndarray, np.ndarray],
    log_scale: tuple[float, float],
    first_level: int = 0,
    last_level: int | None = None,
) -> Refinement:
    """Motions of the bones of `crop` to another film, from a start (2 x 3 each, upper and lower).

    ``log_scale`` is the expected log scale of the motions and its standard deviation. ``first_level`` and
    ``last_level`` choose levels of the pyramid. Raises ValueError where a bone has too few pixels to compare.
    """
    regions = compared_regions(crop)
    other_regions = [region.astype(np.float32) for region in compared_regions(other)]
    motions = start
    chosen = list(range(len(levels)))[first_level:last_level]
    for level in chosen:
        bones = [_region(crop, region, levels[level]) for region in regions]
        settled = SETTLED_PX * (1 if level == len(levels) - 1 else 10)
        run = _Descent(crop.origin_px, bones, levels[level], other_levels[level], other_regions, log_scale)
        motions = run.descend(motions, ITERATIONS[level], settled)
    return run.result(motions)


def _region(crop: JointCrop, region: np.ndarray, level: FeatureLevel) -> BoneRegion:
    rows, columns = np.nonzero(region)
    kept = (rows % level.stride == 0) & (columns % level.stride == 0)
    rows, columns = rows[kept], columns[kept]
    if len(rows) < LEAST_PIXELS / level.stride:
        raise ValueError("too little of the bone lies in the picture")
    x, y = columns - crop.origin_px[0], rows - crop.origin_px[1]
    reach = POLYNOMIAL_REACH_MM / crop.nominal_spacing_mm
    shading = _polynomials(x / reach, y / reach)
    _, deviation = local_contrast(level.picture, region, crop.nominal_spacing_mm)
    values = level.picture[rows, columns] - level.picture[rows, columns].mean()
    right, down = (component[rows, columns] for component in level.gradient)
    sharpness = ndimage.laplace(level.picture, mode="nearest")[rows, columns]
    along = (x * crop.axis[0] + y * crop.axis[1]) * crop.nominal_spacing_mm
    block = BLOCK_MM / crop.nominal_spacing_mm
    return BoneRegion(
        points=np.column_stack([columns, rows]).astype(float),
        values=values,
        effect=np.column_stack([right, down, down * x - right * y, right * x + down * y]),
        shading=shading,
        look=np.column_stack([shading, sharpness, shading[:, :3] * values[:, None], values**2]),
        weight=np.exp(-0.5 * (along / NEAR_MM) ** 2),
        contrast=deviation[rows, columns],
        blocks=(columns // block).astype(int) * 10000 + (rows // block).astype(int),
    )


def _polynomials(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """All products of powers of two coordinates up to ``SHADING_ORDER``, the constant and the linear ones first."""
    powers = [(order - k, k) for order in range(SHADING_ORDER + 1) for k in range(order + 1)]
    return np.column_stack([u**i * v**k for i, k in powers])


class _Descent:
    """Gauss-Newton on one level: both bones against the other film."""

    def __init__(
        self, origin, bones: list[BoneRegion], own: FeatureLevel, other: FeatureLevel, other_regions, log_scale
    ):
        self.origin = np.asarray(origin, float)
        self.bones = bones
        self.other = other
        self.other_regions = other_regions
        self.expected_log_scale, self.log_scale_sd = log_scale
        self.farthest = 3.0 * own.blur_px  # of one step
        self.sharing = max(2.0 * np.pi * (own.blur_px / own.stride) ** 2, 1.0)  # pixels that share the blur's noise
        self.trust = [np.ones(len(bone.values)) for bone in bones]

    def descend(self, motions: tuple[np.ndarray, np.ndarray], iterations: int, settled: float):
        """The motions after Gauss-Newton steps, until a step is shorter than `settled` pixels."""
        for _ in range(iterations):
            normal, slope = self._prior(motions)
            for bone, motion in enumerate(motions):
                misfit = self._misfit(bone, motion)
                own_normal, own_slope = misfit.normal_equations()
                normal[np.ix_(UNKNOWNS[bone], UNKNOWNS[bone])] += own_normal
                slope[UNKNOWNS[bone]] += own_slope
            step = -np.linalg.solve(normal, slope)
            length = max(np.hypot(*step[0:2]), np.hypot(*step[3:5]))
            if length > self.farthest:
                step *= self.farthest / length
            motions = tuple(
                compose(motion, motion_about(self.origin, part[2], np.exp(step[LOG_SCALE]), part[:2]))
                for motion, part in zip(motions, (step[0:3], step[3:6]), strict=True)
            )
            if length < settled:
                break
        return motions

    def result(self, motions: tuple[np.ndarray, np.ndarray]) -> Refinement:
        """The motions with their likeness, and the covariance by the block sandwich (film registration guide, 5)."""
        normal, _ = self._prior(motions)
        scatter = np.zeros_like(normal)
        scatter[LOG_SCALE, LOG_SCALE] = self.log_scale_sd**-2
        moved = []
        for bone, motion in enumerate(motions):
            region, misfit = self.bones[bone], self._misfit(bone, motion)
            own = np.ix_(UNKNOWNS[bone], UNKNOWNS[bone])
            normal[own] += misfit.normal_equations()[0]
            blocks = _sum_by(region.blocks, misfit.scores())
            scatter[own] += blocks.T @ blocks
            similarity = _correlation(region, misfit.seen, region.weight * misfit.shown / region.contrast**2)
            moved.append(BoneMotion(motion, similarity, float(np.mean(misfit.inside))))
        inverse = np.linalg.inv(normal)
        return Refinement(moved[0], moved[1], inverse @ scatter @ inverse)

    def _prior(self, motions) -> tuple[np.ndarray, np.ndarray]:
        normal, slope = np.zeros((LOG_SCALE + 1, LOG_SCALE + 1)), np.zeros(LOG_SCALE + 1)
        excess = np.log(scale_of(motions[0])) - self.expected_log_scale
        normal[LOG_SCALE, LOG_SCALE] = self.log_scale_sd**-2
        slope[LOG_SCALE] = excess * self.log_scale_sd**-2
        return normal, slope

    def _misfit(self, bone: int, motion: np.ndarray) -> _Misfit:
        """What is left between the films inside one bone, after gain and shading; updates the trust in its pixels."""
        region = self.bones[bone]
        x, y = motion[:, :2] @ region.points.T + motion[:, 2:]
        rows, columns = self.other.picture.shape
        inside = (x > 1) & (x < columns - 2) & (y > 1) & (y < rows - 2)
        seen = self.other.at(x, y)
        shown = ndimage.map_coordinates(self.other_regions[bone], [y, x], order=1, mode="constant") * inside
        weight = region.weight * shown
        gains = _weighted_fit(region.look, seen, weight * self.trust[bone] / region.contrast**2)
        residual = seen - region.look @ gains
        misfit = residual / region.contrast
        spread = 1.4826 * np.median(np.abs(misfit[shown > 0])) if shown.any() else 1.0
        far = misfit / (TUKEY * spread + np.finfo(float).tiny)
        self.trust[bone] = np.where(np.abs(far) < 1.0, (1.0 - far**2) ** 2, 0.0)
        weight = weight * self.trust[bone]
        variance = np.sum(weight * misfit**2) / (np.sum(weight) + np.finfo(float).tiny) + np.finfo(float).tiny
        weight = weight / region.contrast**2 / (variance * self.sharing)
        slope = np.maximum(region.slope(gains), LEAST_GAIN)
        effect = slope[:, None] * region.effect
        return _Misfit(seen, inside, shown, region.look, effect, residual, weight)


@dataclass(frozen=True)
class _Misfit:
    """Residuals of one bone and how its four unknowns change them; ``weight`` is one over their variance."""

    seen: np.ndarray
    inside: np.ndarray
    shown: np.ndarray
    look: np.ndarray
    effect: np.ndarray
    residual: np.ndarray
    weight: np.ndarray

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Normal matrix and slope of the unknowns, with gain and shading solved for at the same time."""
        looks = self.look.shape[1]
        everything = np.column_stack([self.look, self.effect, self.residual])
        products = everything.T @ (everything * self.weight[:, None])
        looking = products[:looks, :looks] + 1e-9 * np.trace(products[:looks, :looks]) * np.eye(looks)
        free = products[looks:, looks:] - products[looks:, :looks] @ np.linalg.solve(looking, products[:looks, looks:])
        return free[:-1, :-1], free[:-1, -1]

    def scores(self) -> np.ndarray:
        """Part of every pixel in the slope, shape (n, 4)."""
        effect = self.effect - self.look @ _weighted_fit(self.look, self.effect, self.weight)
        return effect * (self.weight * self.residual)[:, None]


def _weighted_fit(basis: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weighted = basis * weight[:, None]
    normal = weighted.T @ basis
    normal += 1e-9 * (np.trace(normal) + np.finfo(float).tiny) * np.eye(len(normal))
    return np.linalg.solve(normal, weighted.T @ target)


def _correlation(region: BoneRegion, seen: np.ndarray, weight: np.ndarray) -> float:
    """Weighted correlation of both films inside the bone, after the slow shading is taken off each."""
    pair = np.column_stack([region.values, seen])
    pair = pair - region.shading @ _weighted_fit(region.shading, pair, weight)
    products = pair.T @ (pair * weight[:, None])
    return float(products[0, 1] / (np.sqrt(products[0, 0] * products[1, 1]) + np.finfo(float).tiny))


def _sum_by(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    _, index = np.unique(labels, return_inverse=True)
    sums = np.zeros((index.max() + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums
