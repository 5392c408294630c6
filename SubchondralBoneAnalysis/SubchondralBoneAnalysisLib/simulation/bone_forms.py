"""The four bones of the knee as implicit surfaces, each in its own frame.

Frames: x lateral, y posterior, z superior, mm; a left knee lies in LPS like this, a right one mirrored.
Sizes of the mean form follow published adults: transepicondylar width 80 mm, condyles 62 mm from front to back with
posterior radii near 20 mm, plateau 74 x 49 mm with 7 degrees of posterior slope, patella 45 x 43 x 22 mm.
Shafts go on without an end; a field of view cuts them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from SubchondralBoneAnalysisLib.simulation.implicit_shapes import bell, ellipse, ellipsoid, smooth_max, smooth_min


@dataclass(frozen=True)
class FemurForm:
    """Origin: between the condyles at the height of their lowest points. All in mm."""

    half_width: float = 39.0
    medial_x: float = -22.5
    lateral_x: float = 22.0
    crown_radius: float = 32.0
    medial_posterior_radius: float = 20.5
    lateral_posterior_radius: float = 19.5
    distal_radius: float = 30.5
    posterior_offset: float = 12.5
    notch_half_width: float = 10.0
    shaft_half_width: float = 14.0
    shaft_half_depth: float = 14.5

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        half_width = self.half_width - 10.0 * (1 - bell((y - 8.0) / 26.0)) - 7.0 * (1 - bell((z - 28.0) / 30.0))
        condyles = smooth_max(self.rolling_surface(x, y, z), np.abs(x) - half_width, 10.0)

        flare = np.maximum(z - 25.0, 0.0)
        a = self.shaft_half_width + (self.half_width - 4 - self.shaft_half_width) * bell(flare / 38.0)
        b = self.shaft_half_depth + 9.0 * bell(flare / 35.0)
        shaft = ellipse(x - 0.1 * (z - 30.0), y + 6.0 - 3.0 * bell(flare / 35.0), a, b)
        bone = smooth_min(condyles, smooth_max(shaft, 26.0 - z, 10.0), 8.0)
        bone = smooth_min(bone, ellipsoid(x + self.half_width - 4.0, y - 8.0, z - 30.0, 7.0, 9.0, 9.0), 6.0)
        bone = smooth_min(bone, ellipsoid(x - self.half_width + 5.0, y - 8.0, z - 28.0, 6.5, 8.0, 8.0), 6.0)

        # The roof of the notch is a plane that rises to the back, Blumensaat's line of the lateral radiograph.
        walls = np.abs(x - 0.5) - self.notch_half_width - 0.08 * y
        notch = smooth_max(walls, 0.653 * (z - 15.0) - 0.757 * (y + 5.0), 12.0)
        return smooth_max(bone, -notch, 4.0)

    def rolling_surface(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Near to the distance from the surface that bears on tibia and patella, as if it had no sides and no notch."""
        lateral = 0.5 + 0.5 * np.tanh(x / 6.0)
        posterior = self.medial_posterior_radius + lateral * (
            self.lateral_posterior_radius - self.medial_posterior_radius
        )
        profile = smooth_min(
            np.hypot(y - self.posterior_offset, z - posterior - 0.3) - posterior,
            np.hypot(y + 2.5 * lateral, z - self.distal_radius) - self.distal_radius,
            8.0,
        )
        crown = smooth_min(
            (x - self.medial_x) ** 2 / (2 * self.crown_radius), (x - self.lateral_x) ** 2 / (2 * self.crown_radius), 3.0
        )
        return profile + crown


@dataclass(frozen=True)
class TibiaForm:
    """Origin: in the middle of the plateau at its height. All in mm; the slope in degrees.

    The medial plateau is a dish, the lateral one nearly flat.
    """

    medial_x: float = -17.0
    lateral_x: float = 18.0
    medial_half_width: float = 20.0
    lateral_half_width: float = 19.5
    medial_half_depth: float = 25.0
    lateral_half_depth: float = 22.5
    slope_deg: float = 7.0
    medial_dish: float = 2.2
    lateral_dish: float = 0.3
    medial_spine: float = 7.5
    lateral_spine: float = 6.5
    shaft_half_width: float = 13.0
    shaft_half_depth: float = 13.0

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        flare = np.minimum(z + 5.0, 0.0)
        wide = bell(flare / 30.0)
        back = -2.0 + 6.0 * wide
        medial = ellipse(
            x - self.medial_x * wide,
            y - back - wide,
            self.shaft_half_width + (self.medial_half_width - self.shaft_half_width) * wide,
            self.shaft_half_depth + (self.medial_half_depth - self.shaft_half_depth) * wide,
        )
        lateral = ellipse(
            x - self.lateral_x * wide,
            y - back + wide,
            self.shaft_half_width + (self.lateral_half_width - self.shaft_half_width) * wide,
            self.shaft_half_depth + (self.lateral_half_depth - self.shaft_half_depth) * wide,
        )
        # The shaft has three sides: an edge in front, the crest.
        crest = ellipse(x - 1.5, y - back + 5.0 * (1.0 - wide), 6.0 + 20.0 * wide, 14.0)
        outline = smooth_min(smooth_min(medial, lateral, 10.0), crest, 8.0)
        bone = smooth_max(self.above_plateau(x, y, z), outline, 5.0)
        return smooth_min(bone, ellipsoid(x - 2.0, y + 11.0, z + 38.0, 9.0, 9.0, 17.0), 9.0)

    def above_plateau(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Distance from the height field of the plateau, to first order."""
        slope = np.tan(np.deg2rad(self.slope_deg))
        height, along_x, along_y = -slope * (y - 3.0), np.zeros_like(x), np.full_like(x, -slope)
        for x0, y0, wide, deep, high in (
            (self.medial_x - 4.0, 2.0, 15.0, 18.0, -self.medial_dish),
            (self.lateral_x + 3.0, 1.0, 16.0, 18.0, -self.lateral_dish),
            (-4.0, 4.0, 3.2, 9.0, self.medial_spine),
            (4.5, 2.0, 3.2, 8.0, self.lateral_spine),
            (0.0, 3.0, 5.5, 20.0, 2.0),
        ):
            u, v = (x - x0) / wide, (y - y0) / deep
            bump = high * np.exp(-u * u - v * v)
            height = height + bump
            along_x = along_x - 2 * u / wide * bump
            along_y = along_y - 2 * v / deep * bump
        return (z - height) / np.sqrt(1.0 + along_x * along_x + along_y * along_y)


@dataclass(frozen=True)
class PatellaForm:
    """Origin: its middle. All in mm."""

    half_width: float = 22.5
    half_depth: float = 12.0
    half_height: float = 22.0
    ridge: float = 7.0
    medial_facet: float = 0.5
    lateral_facet: float = 0.34

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        # Its lower end is the narrow one, the apex.
        wide = self.half_width * (1.0 + 0.22 * np.tanh(z / 20.0))
        body = ellipsoid(x * (self.half_width / wide), y, z, self.half_width, self.half_depth, self.half_height)
        return smooth_max(body, self.facets(x, y), 3.0)

    def facets(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance from the two planes that glide on the femur, negative in front of them."""
        slope = self.medial_facet + (self.lateral_facet - self.medial_facet) * (0.5 + 0.5 * np.tanh(x / 3.0))
        return (y - self.ridge + slope * (np.sqrt(x * x + 4.0) - 2.0)) / np.sqrt(1.0 + slope * slope)


@dataclass(frozen=True)
class FibulaForm:
    """Origin: in the middle of its head. All in mm."""

    head_half_width: float = 10.5
    head_half_depth: float = 11.5
    head_half_height: float = 14.0
    shaft_radius: float = 6.5

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        head = ellipsoid(x, y, z, self.head_half_width, self.head_half_depth, self.head_half_height)
        neck = self.shaft_radius * (1.0 - 0.2 * bell((z + 28.0) / 14.0))
        shaft = ellipse(x - 0.06 * z, y - 0.03 * z, neck, neck * 1.15)
        return smooth_min(head, smooth_max(shaft, z + 4.0, 4.0), 8.0)


Form = FemurForm | TibiaForm | PatellaForm | FibulaForm


def varied(form: Form, rng: np.random.Generator, spread: float = 0.05) -> Form:
    """The form of another person: every measure times a normal deviate of mean 1, cut at 2.5 SD.

    What the medial and the lateral half have both varies together, and a third as much by itself: knees stay level.
    """
    together: dict[str, float] = {}
    measures = {}
    for one in fields(form):
        shared = together.setdefault(one.name.removeprefix("medial_").removeprefix("lateral_"), _deviate(rng))
        alone = _deviate(rng) if one.name.startswith(("medial_", "lateral_")) else 0.0
        measures[one.name] = getattr(form, one.name) * (1.0 + spread * (shared + alone / 3.0))
    return replace(form, **measures)


def _deviate(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(), -2.5, 2.5))
