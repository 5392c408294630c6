"""A knee CT from DICOM, NRRD, NIfTI or MHA in HU on an even grid, its metal, and bones drawn elsewhere."""

from SubchondralBoneAnalysisLib.ct_reading.bone_labels import BoneLabels, read_bone_labels
from SubchondralBoneAnalysisLib.ct_reading.bone_names import parse_bone_numbers
from SubchondralBoneAnalysisLib.ct_reading.knee_ct import KneeCt, read_ct

__all__ = ["BoneLabels", "KneeCt", "parse_bone_numbers", "read_bone_labels", "read_ct"]
