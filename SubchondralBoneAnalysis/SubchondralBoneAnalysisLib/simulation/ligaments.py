"""Tendons and ligaments of the knee as bands between two bones."""

from __future__ import annotations

import numpy as np

from SubchondralBoneAnalysisLib.simulation.implicit_shapes import ellipse
from SubchondralBoneAnalysisLib.simulation.knee_shapes import KneeShapes


def extensor_tendons(shapes: KneeShapes, points: np.ndarray) -> np.ndarray:
    """Near to the distance [n] from the patellar and quadriceps tendons, points [n, 3] of the knee frame."""
    size = shapes.patella.size
    apex, base = shapes.patella.pose.out(size * np.array([[0.0, -4.0, -18.0], [0.0, -4.0, 18.0]]))
    tuberosity = shapes.tibia.pose.out(size * np.array([[2.0, -22.0, -36.0]]))[0]
    above = shapes.femur.pose.out(size * np.array([[3.0, -36.0, 110.0]]))[0]
    return np.minimum(_band(points, apex, tuberosity, 11.0, 3.0), _band(points, base, above, 13.0, 4.0))


def ligaments(shapes: KneeShapes, points: np.ndarray) -> np.ndarray:
    """Near to the distance [n] from the cruciate and collateral ligaments, points [n, 3] of the knee frame."""
    on_femur = {
        "acl": (8.5, 17.0, 24.0),
        "pcl": (-7.5, 3.0, 15.0),
        "pcl bend": (-3.0, 19.0, 12.0),
        "mcl": (-39.5, 8.0, 30.0),
        "lcl": (39.5, 9.0, 28.0),
    }
    on_tibia = {
        "acl": (-1.0, -9.0, 1.0),
        "pcl": (0.0, 28.0, -9.0),
        "mcl bend": (-41.5, 3.0, -4.0),
        "mcl": (-23.0, -4.0, -52.0),
    }
    a = {name: shapes.femur.pose.out(shapes.femur.size * np.array([at]))[0] for name, at in on_femur.items()}
    b = {name: shapes.tibia.pose.out(shapes.tibia.size * np.array([at]))[0] for name, at in on_tibia.items()}
    head = shapes.fibula.pose.out(shapes.fibula.size * np.array([[5.0, 0.0, 8.0]]))[0]
    cords = [
        _cord(points, a["acl"], b["acl"], 4.2),
        _cord(points, a["pcl"], a["pcl bend"], 4.6),
        _cord(points, a["pcl bend"], b["pcl"], 4.6),
        _cord(points, a["lcl"], head, 2.3),
        _band(points, a["mcl"], b["mcl bend"], 1.6, 6.0),
        _band(points, b["mcl bend"], b["mcl"], 1.6, 6.0),
    ]
    return np.minimum.reduce(cords)


def popliteal_vessels(shapes: KneeShapes, points: np.ndarray) -> np.ndarray:
    """Near to the distance [n] from artery and vein behind the joint, points [n, 3] of the knee frame."""
    above, behind, below = (
        shapes.femur.pose.out(np.array([[-6.0, 28.0, 120.0]]))[0],
        shapes.femur.pose.out(shapes.femur.size * np.array([[1.0, 46.0, 24.0]]))[0],
        shapes.tibia.pose.out(np.array([[2.0, 34.0, -90.0]]))[0],
    )
    found = []
    for shift, radius in ((np.array([-2.0, 0.0, 0.0]), 3.2), (np.array([6.0, 4.0, 0.0]), 4.2)):
        found.append(_cord(points, above + shift, behind + shift, radius))
        found.append(_cord(points, behind + shift, below + shift, radius))
    return np.minimum.reduce(found)


def _cord(points: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Distance from a round cord between two points."""
    way = end - start
    part = np.clip(((points - start) @ way) / (way @ way), 0.0, 1.0)
    return np.linalg.norm(points - start - part[:, None] * way, axis=1) - radius


def _band(points: np.ndarray, start: np.ndarray, end: np.ndarray, half_width: float, half_depth: float) -> np.ndarray:
    """Near to the distance from a flat band between two points: `half_width` along x, `half_depth` across it."""
    way = end - start
    part = np.clip(((points - start) @ way) / (way @ way), 0.0, 1.0)
    x, y, z = (points - start - part[:, None] * way).T
    return ellipse(x, np.hypot(y, z), half_width, half_depth)
