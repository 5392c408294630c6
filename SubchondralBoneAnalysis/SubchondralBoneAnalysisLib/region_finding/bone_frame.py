"""The own frame of a tibia and of a femur: an origin and three axes taken from the joint's end of the bone alone.

The axes are named by anatomy (lateral, posterior, proximal) and not by left and right, so that a knee and its mirror
image have the same coordinates in their frames.

Tibia: the origin is midway between the centres of the two plateaus and the lateral axis runs through both, as in the
anatomical tibial axis of Cobb et al., J Bone Joint Surg Br 2008;90:1032; proximal is the normal of the plane of the
plateaus. Femur: the lateral axis runs through the centres of circles fitted to the posterior silhouettes of the two
condyles (geometric centre axis; cylindrical axis of Eckhoff et al., J Bone Joint Surg Am 2005;87 Suppl 2:71) and
proximal is the direction of the shaft just above them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SubchondralBoneAnalysisLib.region_finding.bone_surface import BoneSurface

ROUNDS = 6  # of finding the halves from the axis and the axis from the halves; settled after three
ARC_DEG = np.arange(20, 101, 4)  # of the silhouette from distal (0) to posterior (90) to which a circle is fitted
CONDYLE_TOP_MM = 30.0  # above the axis; what is higher is shaft
CONDYLE_TOP_FADES_MM = 6.0
MIDLINE_FADES_MM = 6.0
CAP_MM = 1.5  # height of the cap by which a silhouette is felt
CONDYLE_RADIUS_MM = 25.0  # geometric mean of those in the sagittal and in the frontal plane
SHAFT_MM = (
    (24.0, 29.0),
    (37.0, 42.0),
)  # above the axis of the condyles: two sections whose middles the shaft joins; low
# enough that most images hold them, so that the same bone has the same frame in a short and in a long image
NO_SHAFT = "the shaft of the femur is not in the image: the axis of the tibia is taken for that of the femur"
NO_CONDYLES = "its condyles could not be found in the image"
AXES = ("lateral", "posterior", "proximal")


@dataclass(frozen=True, eq=False)
class BoneFrame:
    """Where a bone is and how it is turned.

    :param origin_lps: (x, y, z) mm.
    :param axes: 3 x 3; the rows are the unit vectors lateral, posterior and proximal in LPS. Right-handed in a left
        knee and left-handed in a right one.
    :param notes: what could not be taken from this bone, in words.
    """

    origin_lps: np.ndarray
    axes: np.ndarray
    notes: tuple[str, ...] = ()

    def coordinates(self, places_lps: np.ndarray) -> np.ndarray:
        """(lateral, posterior, proximal) in mm of places [n, 3]."""
        return (places_lps - self.origin_lps) @ self.axes.T

    def turned(self, vectors_lps: np.ndarray) -> np.ndarray:
        """(lateral, posterior, proximal) of vectors [n, 3]."""
        return vectors_lps @ self.axes.T

    def places_lps(self, coordinates: np.ndarray) -> np.ndarray:
        """Places [n, 3] in LPS of (lateral, posterior, proximal) in mm."""
        return coordinates @ self.axes + self.origin_lps


@dataclass(frozen=True)
class Silhouette:
    """How far a condyle reaches, seen from the side: its support function.

    :param angle_deg: directions in the sagittal plane: -90 anterior, 0 distal, 90 posterior, ascending.
    :param reach_mm: how far the condyle reaches from the origin of the frame in each direction.
    """

    angle_deg: np.ndarray
    reach_mm: np.ndarray

    def reach_towards(self, angle_deg: np.ndarray) -> np.ndarray:
        """Reach in mm in directions between the tabled ones."""
        return np.interp(angle_deg, self.angle_deg, self.reach_mm)


def lateral_of(side: str) -> np.ndarray:
    """Lateral of a knee in LPS as the patient's orientation has it; `side` is "left" or "right"."""
    return np.array([1.0, 0.0, 0.0]) if side == "left" else np.array([-1.0, 0.0, 0.0])


def tibia_frame(surface: BoneSurface, articular: np.ndarray, side: str) -> BoneFrame:
    """The frame of a tibia from its articular surface.

    :param articular: [n], how far the points belong to the articular surface, 0 to 1: the softer its border, the less
        the frame depends on where exactly that lies.
    """
    on = articular > 0
    points, weights = surface.points_lps[on], surface.areas_mm2[on] * articular[on]
    centre = np.average(points, axis=0, weights=weights)
    spread = (points - centre).T @ ((points - centre) * weights[:, None])
    proximal = np.linalg.eigh(spread)[1][:, 0]
    proximal *= np.sign(proximal @ np.average(surface.normals[on], axis=0, weights=weights))
    lateral = _across(np.linalg.eigh(spread)[1][:, 2], proximal)
    lateral *= np.sign(lateral @ lateral_of(side))
    origin = centre
    for _ in range(ROUNDS):
        outer = soft_half((points - origin) @ lateral)
        centres = [np.average(points, axis=0, weights=weights * half) for half in (outer, 1 - outer)]
        origin, lateral = (centres[0] + centres[1]) / 2, _across(centres[0] - centres[1], proximal)
    return BoneFrame(origin, _axes(lateral, proximal, side))


def femur_frame(surface: BoneSurface, tibia: BoneFrame, side: str) -> BoneFrame:
    """The frame of a femur; that of the tibia tells where to begin, and which way is up where the shaft is cut off."""
    frame = BoneFrame(tibia.origin_lps, tibia.axes)
    held = surface.inside.array > 0.02
    bone, share = surface.inside.nodes_lps(held), surface.inside.array[held]
    ends = surface.points_lps[surface.open_ends]
    for _ in range(ROUNDS):
        centres = {half: _condyle_centre(surface, frame, half) for half in ("medial", "lateral")}
        if any(centre is None for centre in centres.values()):
            return BoneFrame(frame.origin_lps, frame.axes, (NO_CONDYLES,))
        origin = (centres["medial"] + centres["lateral"]) / 2
        proximal, notes = _shaft_direction(bone, share, ends, origin, frame.axes[2], tibia.axes[2])
        lateral = centres["lateral"] - centres["medial"]
        # The lateral axis is kept, and proximal is made upright on it.
        lateral /= np.linalg.norm(lateral)
        frame = BoneFrame(origin, _axes(lateral, _across(proximal, lateral), side), notes)
    return frame


def silhouette(surface: BoneSurface, frame: BoneFrame, half: str) -> Silhouette:
    """The silhouette of the medial or lateral half of a femur, from anterior over distal to posterior."""
    angle_deg = np.arange(-110, 151, 2)
    _, reach = _support(surface, frame, half, angle_deg)
    return Silhouette(angle_deg, reach)


def sagittal_directions(angle_deg: np.ndarray) -> np.ndarray:
    """Unit vectors [n, 3] in a frame (lateral, posterior, proximal): -90 anterior, 0 distal, 90 posterior."""
    angle = np.radians(angle_deg)
    return np.stack([np.zeros_like(angle), np.sin(angle), -np.cos(angle)], axis=-1)


def _condyle_centre(surface: BoneSurface, frame: BoneFrame, half: str) -> np.ndarray | None:
    """Centre in LPS of the circle whose support function c . d + R fits the posterior silhouette of a condyle."""
    touching, reach = _support(surface, frame, half, ARC_DEG)
    if touching is None:
        return None
    directions = sagittal_directions(ARC_DEG)[:, 1:]
    (posterior, proximal, _), *_ = np.linalg.lstsq(np.c_[directions, np.ones(len(directions))], reach, rcond=None)
    return frame.places_lps(np.array([touching[:, 0].mean(), posterior, proximal]))


def _support(
    surface: BoneSurface, frame: BoneFrame, half: str, angle_deg: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    """Where [a, 3] in the frame a half of the femur touches planes that close in on it, and the distances [a].

    The furthest point alone would be that of a single voxel. The distance is h = t log(integral of exp(p . d / t) dA),
    whose weight is spread over the cap of height t; on a paraboloid of curvature radius R that is the maximum of p . d
    and t log(2 pi t R), which is taken off again.
    """
    points = frame.coordinates(surface.points_lps)
    on_side = soft_half(points[:, 0] if half == "lateral" else -points[:, 0])
    # Keeps a neighbouring leg and the shaft away.
    weight = surface.areas_mm2 * on_side * np.clip((CONDYLE_TOP_MM - points[:, 2]) / CONDYLE_TOP_FADES_MM + 0.5, 0, 1)
    weight[np.abs(points[:, 0]) > 55] = 0
    points, weight = points[weight > 0], weight[weight > 0]
    if len(points) < 100:
        return None, np.zeros(len(angle_deg))
    along = sagittal_directions(angle_deg) @ points.T
    furthest = along.max(axis=1)
    pull = np.exp((along - furthest[:, None]) / CAP_MM) * weight
    total = pull.sum(axis=1)
    reach = furthest + CAP_MM * np.log(total / (2 * np.pi * CAP_MM * CONDYLE_RADIUS_MM))
    return (pull @ points) / total[:, None], reach


def _shaft_direction(
    bone: np.ndarray,
    share: np.ndarray,
    ends: np.ndarray,
    origin: np.ndarray,
    proximal: np.ndarray,
    otherwise: np.ndarray,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Which way the shaft goes, from places [n, 3] with their share [n] of bone and `ends` [p, 3] where it is cut off.

    :param proximal: what is known of it; `otherwise` is returned where the shaft is cut off too low to tell.
    """
    height, heights = (bone - origin) @ proximal, (ends - origin) @ proximal
    low, high = SHAFT_MM[0][0], SHAFT_MM[1][1]
    if ((heights > low) & (heights < high)).any() or height.max() < high:
        return otherwise, (NO_SHAFT,)
    middles = []
    for low, high in SHAFT_MM:
        weight = share * np.clip(np.minimum(height - low, high - height) + 0.5, 0, 1)
        middles.append(np.average(bone, axis=0, weights=weight))
    return (middles[1] - middles[0]) / np.linalg.norm(middles[1] - middles[0]), ()


def soft_half(lateral_mm: np.ndarray) -> np.ndarray:
    """1 on the positive side, 0 on the other, with a ramp in between: no point changes sides at once."""
    return np.clip(lateral_mm / MIDLINE_FADES_MM + 0.5, 0, 1)


def _across(vector: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The unit part of `vector` that is perpendicular to `axis`."""
    across = vector - (vector @ axis) * axis
    return across / np.linalg.norm(across)


def _axes(lateral: np.ndarray, proximal: np.ndarray, side: str) -> np.ndarray:
    # In LPS, left x posterior = superior: lateral is left in a left knee and its opposite in a right one.
    posterior = np.cross(proximal, lateral if side == "left" else -lateral)
    return np.stack([lateral, posterior / np.linalg.norm(posterior), proximal])
