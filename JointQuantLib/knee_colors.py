"""The colours of a knee's bones, regions and maps: the same in the report, the slice views and on the models.

Medial is blue and lateral orange, which are told apart with every kind of colour vision; within each the sub-regions
get darker from front to back. The hues are those of M. Okabe and K. Ito's palette (Color Universal Design, 2008).
"""

from __future__ import annotations

import numpy as np

from JointQuantLib.even_colors import even_ramp, mixed
from JointQuantLib.thickness_colors import STEPS, tb_sp_ramp, tb_th_ramp

Color = tuple[float, float, float]

BARE_BONE: Color = (0.87, 0.84, 0.78)  # of a model where it has no region
METAL: Color = (0.95, 0.20, 0.60)
BONES: dict[str, Color] = {
    "femur": (0.90, 0.62, 0.00),
    "tibia": (0.34, 0.71, 0.91),
    "patella": (0.00, 0.75, 0.50),
    "fibula": (0.87, 0.55, 0.76),
}
SUBREGIONS: dict[str, Color] = {
    "medial anterior": (0.55, 0.93, 1.00),
    "medial central": (0.25, 0.62, 1.00),
    "medial posterior": (0.48, 0.40, 0.95),
    "lateral anterior": (1.00, 0.93, 0.35),
    "lateral central": (1.00, 0.62, 0.05),
    "lateral posterior": (0.90, 0.32, 0.10),
}
# CT and MR beside each other are told apart by a tint; a synthetic CT is never grey, so that nobody takes it for a CT.
CT_TINT: Color = (1.00, 0.94, 0.84)
MR_TINT: Color = (0.84, 0.94, 1.00)
SYNTHETIC_TINT: Color = (0.85, 0.68, 1.00)
# Of the colour scales: the same for every knee, so that two knees can be compared by eye.
JOINT_SPACE_TOP_MM = 12.0  # wider is no joint space
PLATE_TOP_MM = 2.0
DENSITY_TOP_HU = 1000.0


def band_colors(number: int) -> np.ndarray:
    """(number, 3) RGB colours, 0 to 1, of depth bands: light at the surface, darker and redder with depth."""
    fine = np.linspace(0.0, 1.0, 2001)
    ramp = even_ramp(STEPS, 0.95 - 0.36 * fine, 0.15 + 0.06 * fine, 105 - 145 * fine)
    return mixed(ramp, np.linspace(0.0, 1.0, number) if number > 1 else np.zeros(1))


def plate_ramp() -> np.ndarray:
    """(n, 3) RGB colours of the thickness of the subchondral plate, from 0 to the top of its scale."""
    return tb_th_ramp()


def joint_space_ramp() -> np.ndarray:
    """(n, 3) RGB colours of the joint space width: the narrower, the brighter."""
    return tb_sp_ramp()[::-1]


def depth_ramp() -> np.ndarray:
    """(n, 3) RGB colours of the depth below the surface of a bone: the deeper, the darker."""
    fine = np.linspace(0.0, 1.0, 2001)
    return even_ramp(STEPS, 0.95 - 0.62 * fine, 0.05 + 0.09 * fine, 190 + 80 * fine)


def agreement_ramp() -> np.ndarray:
    """(n, 3) RGB colours of the local agreement of CT and MR: the less, the redder and darker."""
    fine = np.linspace(0.0, 1.0, 2001)
    return even_ramp(STEPS, 0.50 + 0.45 * fine, 0.19 - 0.10 * fine, 25 + 125 * fine)


def synthetic_ramp() -> np.ndarray:
    """(n, 3) RGB colours of a synthetic CT, from air to bone."""
    return np.linspace(0.0, 1.0, STEPS + 1)[:, None] * np.array(SYNTHETIC_TINT)
