"""Exact local thickness: for every voxel the diameter of the largest sphere that lies in the structure and holds it."""

from SubchondralBoneAnalysisLib.local_thickness.thickness_map import ThicknessMap, local_thickness

__all__ = ["ThicknessMap", "local_thickness"]
