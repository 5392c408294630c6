"""Where metal makes the plate and the joint space of a knee wrong, and the regions without them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from SubchondralBoneAnalysisLib.knee_image import KneeImage
from SubchondralBoneAnalysisLib.subchondral import SubchondralRegions
from SubchondralBoneAnalysisLib.volume import Volume
from SubchondralBoneAnalysisLib.voxel_index import values_at


@dataclass(frozen=True, eq=False)
class MetalPoints:
    """Which points of the surfaces lie where metal makes grey values and edges wrong.

    :param of_plate: bool [n] of the points of each bone.
    :param of_joint_space: bool [n] of the points of the tibia: there or straight across the joint.
    """

    of_plate: Mapping[str, np.ndarray]
    of_joint_space: np.ndarray

    @classmethod
    def of(cls, regions: SubchondralRegions, image: KneeImage) -> MetalPoints:
        metal = None if image.unusable is None else replace(image.ct, array=image.unusable)

        def near(places_lps: np.ndarray) -> np.ndarray:
            if metal is None:
                return np.zeros(len(places_lps), bool)
            return values_at(places_lps, metal, order=0) != 0

        surfaces = {name: bone.surface for name, bone in regions.bones.items()}
        of_plate = {name: near(surface.points_lps) for name, surface in surfaces.items()}
        across = of_plate["tibia"]
        if regions.joint_space is not None:
            width = np.nan_to_num(regions.joint_space.at_tibia_mm)[:, None]
            across = across | near(surfaces["tibia"].points_lps + width * surfaces["tibia"].normals)
        return cls(of_plate, across)

    def left_out_of(self, regions: SubchondralRegions, image: KneeImage) -> SubchondralRegions:
        """The regions with NaN for plate and joint space there, on the surfaces and in the maps."""
        if image.unusable is None:
            return regions

        def known(volume: Volume) -> Volume:
            return replace(volume, array=np.where(image.unusable, np.nan, volume.array).astype(np.float32))

        bones = {
            name: replace(
                bone,
                plate=replace(bone.plate, thickness_mm=np.where(self.of_plate[name], np.nan, bone.plate.thickness_mm)),
            )
            for name, bone in regions.bones.items()
        }
        space = regions.joint_space
        if space is not None:
            at_tibia = np.where(self.of_joint_space, np.nan, space.at_tibia_mm)
            space = replace(space, width_mm=known(space.width_mm), at_tibia_mm=at_tibia)
        return replace(regions, bones=bones, plate_mm=known(regions.plate_mm), joint_space=space)
