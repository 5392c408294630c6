"""Cartilage on femur, tibia and patella: how thick it is, and how it yields where two layers meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.simulation.knee_shapes import BoneShape, Bumps, KneeShapes

# Mean thickness of knees without damage, Eckstein et al. (J Rheumatol 2001, PMID 11237657), 27 men: 1.57 to 2.43 mm
# of the whole knee, 2.76 mm of the patella.
FEMUR_MM, TIBIA_MM, PATELLA_MM = 2.0, 2.1, 2.8
TROCHLEA_THICKER_MM = 0.5
SPREAD = 0.13  # SD of the mean thickness from person to person, what 1.57 to 2.43 mm in 27 men amounts to
UNEVEN_MM = 0.18  # SD of the thickness from place to place
NONE_MM = -3.0  # "thickness" where there is no cartilage: the surface of the layer lies deep in the bone
FILM_MM = 0.2  # of fluid between two layers
STRETCHED = 1.6  # by which layers are thicker where the joint space is a little wider than both together


@dataclass(frozen=True, eq=False)
class Cartilage:
    """The layers of one knee; `factor` times the thickness of the mean knee, with waves in (femur, tibia, patella)."""

    shapes: KneeShapes
    factor: float = 1.0
    waves: tuple[Bumps, ...] = ()

    @classmethod
    def drawn(cls, shapes: KneeShapes, rng: np.random.Generator) -> Cartilage:
        """The cartilage of a person."""
        factor = float(np.exp(SPREAD * np.clip(rng.normal(), -2.0, 2.0)))
        return cls(shapes, factor, tuple(Bumps.drawn(rng, UNEVEN_MM) for _ in range(3)))

    def thickness_mm(self, points: np.ndarray) -> np.ndarray:
        """Thickness [3, n] of an unloaded layer on femur, tibia and patella near points [n, 3] of the knee frame.

        Below 0 down to `NONE_MM` where a bone has none: beside its articular surface.
        """
        bones = self.shapes.femur, self.shapes.tibia, self.shapes.patella
        covers = _of_femur, _of_tibia, _of_patella
        layers = [cover(bone, bone.pose.into(points)) for bone, cover in zip(bones, covers, strict=True)]
        for i, wave in enumerate(self.waves):
            layers[i] = layers[i] + wave(*bones[i].pose.into(points).T)
        return np.stack([np.where(layer > 0, self.factor * layer, layer) for layer in layers])


def above_cartilage(
    femur: np.ndarray, tibia: np.ndarray, patella: np.ndarray, thickness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the cartilage of the femur and from that of tibia and patella, negative inside; mm, any shape.

    Where the space between two bones is narrower than both layers together, each gives way by the same share; where
    it is a little wider they are thicker and bear on each other.

    :param femur: distance from the bone; and `tibia`, `patella`.
    :param thickness: [3, ...] as of `Cartilage.thickness_mm`.
    """
    of_femur, of_tibia, of_patella = thickness
    below, before = _share(femur + tibia, of_femur, of_tibia), _share(femur + patella, of_femur, of_patella)
    at_femur = femur - _part(of_femur, np.where(femur + tibia < femur + patella, below, before))
    return at_femur, np.minimum(tibia - _part(of_tibia, below), patella - _part(of_patella, before))


def _share(space: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By which factor two layers are thinner or thicker in a space between their bones."""
    both = np.maximum(one, 0.0) + np.maximum(other, 0.0)
    meet = (space - FILM_MM) / np.maximum(both, 0.5)
    # Where the bones part again the layers go back to their own thickness.
    loose = np.clip((meet - STRETCHED) / 0.4, 0.0, 1.0)
    return np.clip(meet, 0.0, STRETCHED) * (1.0 - loose) + loose


def _part(thickness: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.where(thickness > 0, share * thickness, thickness)


def _of_femur(bone: BoneShape, own: np.ndarray) -> np.ndarray:
    x, y, z = (own / bone.size).T
    rolling = bone.form.form.rolling_surface(x, y, z)
    # The rolling surface is deep in the bone beside the condyles and in the notch.
    there = _rising(rolling, -3.0, -0.6)
    # From the top of the posterior condyles round to the upper end of the trochlea.
    there = there * _rising(np.where(y > 5.0, 37.0 - z, 53.0 - z - 0.12 * np.abs(x)), 0.0, 4.0)
    trochlea = np.clip((-y - 8.0) / 12.0, 0.0, 1.0)
    return NONE_MM + (FEMUR_MM + TROCHLEA_THICKER_MM * trochlea - NONE_MM) * there


def _of_tibia(bone: BoneShape, own: np.ndarray) -> np.ndarray:
    x, y, z = (own / bone.size).T
    form = bone.form.form
    inside = np.full(len(x), -np.inf)
    for x0, a, b in (
        (form.medial_x - 0.5, form.medial_half_width - 0.5, form.medial_half_depth - 2.0),
        (form.lateral_x + 0.5, form.lateral_half_width - 0.5, form.lateral_half_depth - 1.0),
    ):
        # Thickest in the middle of each plateau, thin at its rim.
        inside = np.maximum(inside, 1.0 - np.hypot((x - x0) / a, (y - 4.0) / b))
    there = _rising(form.above_plateau(x, y, z), -4.0, -1.5) * _rising(inside, 0.0, 0.1)
    there = there * _rising(np.abs(x), 3.5, 7.0)
    return NONE_MM + (TIBIA_MM * (0.75 + 0.6 * np.clip(inside, 0.0, 0.8)) - NONE_MM) * there


def _of_patella(bone: BoneShape, own: np.ndarray) -> np.ndarray:
    x, y, z = (own / bone.size).T
    form = bone.form.form
    there = _rising(form.facets(x, y), -4.0, -1.5) * _rising(z, -16.0, -11.0) * _rising(-z, -19.0, -16.0)
    there = there * _rising(form.half_width - np.abs(x), 2.5, 6.0)
    return NONE_MM + (PATELLA_MM * (1.2 - 0.45 * (x / form.half_width) ** 2) - NONE_MM) * there


def _rising(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 below `start` to 1 from `end` on."""
    return np.clip((value - start) / (end - start), 0.0, 1.0)
