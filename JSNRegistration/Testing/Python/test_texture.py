"""The texture of a bone is known again in another film of it, and not in that of another bone."""

from __future__ import annotations

import numpy as np
from analytic_joint import AnalyticJoint, Exposure, Pose

from JSNRegistrationLib.motion import IDENTITY
from JSNRegistrationLib.texture import texture_likeness

JOINT = AnalyticJoint()


def test_the_same_bone_is_alike_whatever_its_exposure():
    first, second = JOINT.film().crop, JOINT.film(Pose(), Exposure(1.7, 30.0)).crop
    for region in (first.upper, first.lower):
        assert texture_likeness(first, second, region, IDENTITY) > 0.999


def test_another_bone_of_like_form_is_not_alike():
    first, second = JOINT.film().crop, JOINT.film(lower_seed=5).crop
    assert texture_likeness(first, second, first.lower, IDENTITY) < 0.45
    assert texture_likeness(first, second, first.upper, IDENTITY) > 0.999


def test_a_sliver_of_bone_tells_nothing():
    crop = JOINT.film().crop
    sliver = np.zeros_like(crop.upper)
    sliver[:3] = True
    assert np.isnan(texture_likeness(crop, crop, sliver, IDENTITY))
