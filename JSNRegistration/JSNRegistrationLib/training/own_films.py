"""A user's own films, for the registration network to go on learning from: each joint against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from JointQuantLib.errors import BadInput
from JSNRegistrationLib.bones import JointCrop, cut_joint
from JSNRegistrationLib.halfway_pictures import compared_joint
from JSNRegistrationLib.joint_finding.joint_finder import find_hands
from JSNRegistrationLib.joints_on_films import bone_regions_of
from JSNRegistrationLib.radiograph import Radiograph, read_radiograph
from JSNRegistrationLib.similarity import Similarity
from JSNRegistrationLib.training.registration_pairs import TrueJoints

WELL_SEEN = 0.5  # confidence of a joint that is learned from


def own_joints(folder: Path, device: str = "cpu") -> TrueJoints:
    """All joints that are well seen on the films of a folder (all its files), each known not to move against itself.

    Raises BadInput for a file that is no film, and where no joint is found.
    """
    films = [read_radiograph(path) for path in sorted(Path(folder).iterdir()) if path.is_file()]
    crops = [crop for film in films for crop in _crops(film, device)]
    if not crops:
        raise BadInput(f"No finger joint was found on the films of {folder}: give films of whole hands.")
    still = Similarity(np.ones(len(crops), complex), np.zeros(len(crops), complex))
    return TrueJoints([compared_joint(crop) for crop in crops], np.arange(len(crops)), still, still)


def _crops(film: Radiograph, device: str) -> list[JointCrop]:
    crops = []
    for hand in find_hands(film, device):
        regions = bone_regions_of(film, hand.joints, device)
        crops += [cut_joint(film, joint, regions.get(joint.name)) for joint in hand.joints]
    return [crop for crop in crops if crop.confidence >= WELL_SEEN]
