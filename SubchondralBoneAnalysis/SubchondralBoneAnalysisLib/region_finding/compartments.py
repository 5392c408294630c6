"""Medial and lateral compartments of an articular surface, each with an anterior, a central and a posterior sub-region.

Tibia: each plateau in three equal parts from front to back, as in MOAKS (Hunter et al., Osteoarthritis Cartilage
2011;19:990). Femur: as in the nomenclature of Eckstein et al., Osteoarthritis Cartilage 2006;14:974 (Wirth
and Eckstein, IEEE Trans Med Imaging 2008;27:737): what lies before the front edge of the intercondylar notch is the
trochlea
("anterior"), the weight-bearing condyle ("central") goes from there to 60 % of the way to the posterior end of the
condyle, and what remains is "posterior".

The inner tenth of the width of the bone on both sides of the midline (eminence and notch) and a rim are left out. On
the tibia that strip widens in front of the central sub-regions and behind them, as the intercondylar areas do, which
carry no cartilage: the anterior one is a wide triangle, the posterior one a narrow one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.region_finding.articular_surface import belonging
from SubchondralBoneAnalysisLib.region_finding.bone_frame import BoneFrame, sagittal_directions, silhouette
from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface

COMPARTMENTS = ("medial", "lateral")
SUBREGIONS = ("anterior", "central", "posterior")
DEFINITION = {
    "tibia": "thirds of each plateau from front to back (MOAKS, Hunter 2011)",
    "femur": "trochlea, weight-bearing to 60 % of the way from notch to posterior end, posterior (Eckstein 2006)",
}
NOTCH_SHARE = 0.10  # of the width of the bone, on each side of the midline
FRONT_WIDENS, BACK_WIDENS = 1.0, 0.5  # mm to each side per mm forward and backward: of the intercondylar areas
WEIGHT_BEARING_SHARE = 0.60
NOTCH_EDGE_DEG = np.arange(-15, 31, 5)  # (0 distal, 90 posterior) in which the front edge of the notch sticks out


@dataclass(frozen=True)
class Compartments:
    """The planes that divide an articular surface, in the frame of its bone (lateral, posterior, proximal), mm.

    :param frame: of the bone.
    :param notch_mm: half the width of the strip along the midline that is left out.
    :param cuts_mm: of each compartment, the posterior coordinate at which central and at which posterior begins.
    :param keeps_front: whether the strip is kept before the first cut: the groove of a femur, which has no notch there.
    :param widens: by how much the strip widens to each side per mm before the first and behind the second cut.
    """

    frame: BoneFrame
    notch_mm: float
    cuts_mm: dict[str, tuple[float, float]]
    keeps_front: bool
    widens: tuple[float, float] = (0.0, 0.0)

    def number_at(self, places_lps: np.ndarray) -> np.ndarray:
        """Number [n] of the sub-region in which places [n, 3] of the surface lie, uint8.

        0 in the notch, 1 to 3 medial anterior, central and posterior, 4 to 6 lateral.
        """
        lateral, posterior, _ = self.frame.coordinates(places_lps).T
        number, strip_mm = np.zeros(len(places_lps), np.uint8), np.full(len(places_lps), self.notch_mm)
        before, behind = self.widens
        for first, compartment, on_side in ((1, "medial", lateral < 0), (4, "lateral", lateral >= 0)):
            central, back = self.cuts_mm[compartment]
            number[on_side] = (first + (posterior >= central).astype(np.uint8) + (posterior >= back))[on_side]
            wider = before * np.maximum(central - posterior, 0) + behind * np.maximum(posterior - back, 0)
            strip_mm[on_side] += wider[on_side]
        in_strip = np.abs(lateral) < strip_mm
        if self.keeps_front:
            in_strip &= ~np.isin(number, (1, 4))
        number[in_strip] = 0
        return number


def names_of(number: int) -> tuple[str, str]:
    """("medial", "anterior") of number 1, and so on to 6."""
    return COMPARTMENTS[(number - 1) // 3], SUBREGIONS[(number - 1) % 3]


def tibial_compartments(surface: BoneSurface, frame: BoneFrame, rim_mm: np.ndarray) -> Compartments:
    """The compartments of a tibia.

    :param rim_mm: [n], distance of the points of the surface from the border of what is articular, positive on it.
    """
    places, areas = frame.coordinates(surface.points_lps), surface.areas_mm2 * belonging(rim_mm)
    low, high = _ends(places[:, 0], areas)
    notch = NOTCH_SHARE * (high - low)
    cuts = {}
    for compartment, sign in (("medial", -1), ("lateral", 1)):
        plateau = sign * places[:, 0] > notch
        front, back = _ends(places[plateau, 1], areas[plateau])
        cuts[compartment] = (front + (back - front) / 3, front + 2 * (back - front) / 3)
    return Compartments(frame, notch, cuts, keeps_front=False, widens=(FRONT_WIDENS, BACK_WIDENS))


def femoral_compartments(surface: BoneSurface, frame: BoneFrame, rim_mm: np.ndarray) -> Compartments:
    """The compartments of a femur; `rim_mm` as for the tibia."""
    places, areas = frame.coordinates(surface.points_lps), surface.areas_mm2
    behind = belonging(rim_mm) * (places[:, 1] > 0)
    low, high = _ends(places[:, 0], areas * behind)
    notch = NOTCH_SHARE * (high - low)
    middle = (np.abs(places[:, 0]) < notch / 2) & (places[:, 2] < 10)
    along = sagittal_directions(NOTCH_EDGE_DEG) @ places[middle].T
    # What sticks out most counts most: the single furthest point jumps about where the edge is blunt.
    weight = np.exp(along - along.max(axis=1, keepdims=True)) * areas[middle]
    edge = float(((weight @ places[middle, 1]) / weight.sum(axis=1)).mean())
    cuts = {}
    for compartment in COMPARTMENTS:
        end = float(silhouette(surface, frame, compartment).reach_towards(np.array(90.0)))
        cuts[compartment] = (edge, edge + WEIGHT_BEARING_SHARE * (end - edge))
    return Compartments(frame, notch, cuts, keeps_front=True)


def _ends(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Where an extent begins and ends: those of an even spread with the same mean and variance.

    The very ends of a surface jump about with a few of its points; its mean and variance do not.
    """
    mean = np.average(values, weights=weights)
    half = np.sqrt(3 * np.average((values - mean) ** 2, weights=weights))
    return float(mean - half), float(mean + half)
