"""Noise and blur of a CT, estimated from the CT itself, and what can be measured with them."""

from SubchondralBoneAnalysisLib.ct_resolution.resolution import BlurEstimate, CtResolution, ct_resolution

__all__ = ["BlurEstimate", "CtResolution", "ct_resolution"]
