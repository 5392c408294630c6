"""The two menisci: rings open to the middle that fill the wedge between the cartilage of femur and tibia."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.implicit_shapes import ellipse
from SubchondralBoneAnalysisLib.simulation.knee_shapes import BoneShape

# (x, y) of the middle of the ring, its outer half axes, the width of its body, by which it is wider at the back, and
# the x of its horns, mm in the frame of the tibia. With these the medial one covers about half of its plateau and the
# lateral one a little more (Bloecker et al., BMC Musculoskelet Disord 2011;12:248: 50 and 58 %).
MEDIAL = ((-19.0, 4.0), (19.5, 22.5), 8.5, 3.0, -9.5)
LATERAL = ((19.0, 3.0), (19.0, 19.5), 10.0, 0.5, 10.5)
HIGHEST_MM = 7.0  # at the rim


def meniscus_ring(tibia: BoneShape, points: np.ndarray) -> np.ndarray:
    """Near to the distance [n] from the two rings seen from above, negative inside, for points of the knee frame."""
    size = tibia.size
    x, y, z = (tibia.pose.into(points) / size).T
    rings = []
    for (x0, y0), (a, b), width, wider, horns in (MEDIAL, LATERAL):
        outer = ellipse(x - x0, y - y0, a, b)
        thick = width + wider * np.clip((y - y0) / b, 0.0, 1.0)
        opening = (horns - x) if horns > 0 else (x - horns)
        rings.append(np.maximum(np.maximum(outer, -outer - thick), opening))
    # Beside the plateau a ring does not reach below it.
    return size * np.maximum(np.minimum(*rings), -tibia.form.form.above_plateau(x, y, z))


def meniscus_depth(ring: np.ndarray, femur: np.ndarray, tibia: np.ndarray) -> np.ndarray:
    """Depth in mm below the surface of the menisci, any shape.

    :param ring: as of `meniscus_ring`.
    :param femur: distance from the femur's cartilage, and `tibia` from the tibia's.
    """
    low = HIGHEST_MM - tibia
    return np.minimum(np.minimum(-ring, low), np.minimum(femur, tibia) - 0.1)
