"""The batched registration, with and without its network: joints drawn by a formula are found, in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose, farthest_apart
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")

from JointQuantLib.errors import BadInput  # noqa: E402
from JSNRegistrationLib import gauss_newton  # noqa: E402
from JSNRegistrationLib.bones import NETWORK as BY_NETWORK  # noqa: E402
from JSNRegistrationLib.halfway_pictures import FINE, FINE_BLUR_MM, compared_joint, halfway_pictures  # noqa: E402
from JSNRegistrationLib.motion import compose, inverse, scale_of  # noqa: E402
from JSNRegistrationLib.narrowing import JointFrame, carried, space_change_px, standard_error_px  # noqa: E402
from JSNRegistrationLib.network_registration import calibrated, guided_step, register_joints  # noqa: E402
from JSNRegistrationLib.registration import BLANK, TOO_LITTLE_SEEN, JointRegistration  # noqa: E402
from JSNRegistrationLib.registration_network import NETWORK  # noqa: E402
from JSNRegistrationLib.similarity import Similarity  # noqa: E402

JOINT = AnalyticJoint(1)
SPACING_MM = 0.15
NEAR_PX = 4.0 / SPACING_MM
POSES = [
    Pose(shift_px=(2.3, -1.7)),
    Pose(turn_deg=7.0),
    Pose(bend_deg=2.0),
    Pose(gap_px=-1.0),
    Pose(gap_px=-4.0),
    Pose(gap_px=3.0),
    Pose(aside_px=1.0),
    Pose(magnification=1.01),
    Pose((3.0, 2.0), -6.0, -2.0, 0.5, 2.0, 0.993),
]


@pytest.fixture(params=["with the network", "without"])
def network(request):
    return NETWORK.network("cpu") if request.param == "with the network" else None


def registered(pairs: list[tuple[AnalyticFilm, AnalyticFilm]], network, known: bool = True) -> list[JointRegistration]:
    return register_joints([(a.crop, b.crop) for a, b in pairs], [known] * len(pairs), network)


def change_of(found: JointRegistration, film: AnalyticFilm) -> float:
    return space_change_px(found.upper.matrix, found.lower.matrix, film.frame.origin_px, film.frame.axis)


def test_every_kind_of_motion_is_found(network):
    first = JOINT.film()
    films = [JOINT.film(pose, Exposure(1.3, 40.0)) for pose in POSES]
    for pose, film, found in zip(POSES, films, registered([(first, film) for film in films], network), strict=True):
        assert change_of(found, first) == pytest.approx(pose.gap_px, abs=0.03), pose
        for bone, truth in zip((found.upper, found.lower), first.motions_to(film), strict=True):
            assert farthest_apart(bone.matrix, truth, first.crop.origin_px, NEAR_PX) < 0.08, pose
        assert found.registered_by == BY_NETWORK


def test_noise_moves_the_answer_by_about_its_standard_error(network):
    first = JOINT.film(exposure=Exposure(noise=4.0, noise_seed=99))
    pose = Pose((1.0, 2.0), 3.0, -1.5, 0.2, 1.0)
    pairs = [(first, JOINT.film(pose, Exposure(1.2, 10.0, noise=4.0, noise_seed=seed))) for seed in range(12)]
    found = registered(pairs, network)
    errors = np.array([change_of(one, first) for one in found]) - pose.gap_px
    stated = [standard_error_px(one.covariance, first.frame.axis, SPACING_MM) for one in found]
    assert np.sqrt(np.mean(errors**2)) < 3.0 * np.median(stated)
    assert np.median(stated) < 0.3


def test_a_film_against_itself_has_not_moved(network):
    film = JOINT.film(Pose((1.3, -0.4), 20.0), Exposure(noise=4.0))
    (found,) = registered([(film, film)], network)
    for bone in (found.upper, found.lower):
        assert bone.matrix == pytest.approx(np.eye(3)[:2], abs=2e-5)
        assert bone.similarity == pytest.approx(1.0, abs=1e-4)


def test_the_way_back_is_the_inverse_of_the_way_there(network):
    first = JOINT.film(exposure=Exposure(0.8, 10.0, noise=3.0, noise_seed=4))
    second = JOINT.film(Pose((2.0, 1.0), 5.0, -1.0, 0.3, 1.5, 1.005), Exposure(1.5, 30.0, noise=3.0))
    forth, back = registered([(first, second), (second, first)], network)
    frame = carried(JointFrame(first.frame.origin_px, first.frame.axis), forth.upper.matrix, forth.lower.matrix)
    returned = space_change_px(back.upper.matrix, back.lower.matrix, frame.origin_px, frame.axis)
    assert returned / scale_of(forth.upper.matrix) == pytest.approx(-change_of(forth, first), abs=3e-3)
    for there, here in ((forth.upper, back.upper), (forth.lower, back.lower)):
        around = compose(here.matrix, there.matrix)
        assert farthest_apart(around, np.eye(2, 3), first.crop.origin_px, NEAR_PX) < 5e-3


def test_a_joint_has_the_same_answer_in_any_company(network):
    first = JOINT.film(exposure=Exposure(noise=3.0))
    films = [JOINT.film(pose, Exposure(noise=3.0, noise_seed=k)) for k, pose in enumerate(POSES)]
    together = registered([(first, film) for film in films], network)
    alone = [registered([(first, film)], network)[0] for film in films[:3]]
    for one, among in zip(alone, together, strict=False):
        assert change_of(one, first) == pytest.approx(change_of(among, first), abs=1e-3)
        assert one.covariance == pytest.approx(among.covariance, rel=2e-2, abs=1e-9)


def test_both_bones_have_one_scale_and_unknown_spacing_leaves_it_free(network):
    first, second = JOINT.film(), JOINT.film(Pose(magnification=1.03, gap_px=-1.0))
    (found,) = registered([(first, second)], network, known=False)
    assert scale_of(found.upper.matrix) == pytest.approx(scale_of(found.lower.matrix), rel=1e-9)
    assert scale_of(found.upper.matrix) == pytest.approx(1.03, rel=2e-3)


def test_films_of_different_spacing_give_the_change_in_millimetres(network):
    fine = JOINT.film(spacing_mm=0.1)
    coarse = JOINT.film(Pose((2.0, -1.0), 4.0, -0.45 / 0.15, 0.0, 1.0), Exposure(1.3, 40.0), spacing_mm=0.15)
    (found,) = registered([(fine, coarse)], network)
    assert change_of(found, fine) * 0.1 == pytest.approx(-0.45, abs=0.01)


def test_a_crop_that_cannot_be_compared_is_told_and_spoils_no_other(network):
    first, second = JOINT.film(), JOINT.film(Pose(gap_px=-1.0))
    blank = replace(second, crop=replace(second.crop, pixels=np.full_like(second.crop.pixels, 7.0)))
    boneless = replace(second, crop=replace(second.crop, lower=np.zeros_like(second.crop.lower)))
    found = registered([(first, blank), (first, second), (first, boneless)], network)
    assert found[0] == BLANK
    assert found[2] == TOO_LITTLE_SEEN
    assert change_of(found[1], first) == pytest.approx(-1.0, abs=0.03)
    assert register_joints([], [], network) == []


def test_bones_that_share_no_pixel_do_not_end_in_an_error(network):
    """Where the lower bone has left the second film its motion is anything, but the batch goes on."""
    first, gone, good = JOINT.film(), JOINT.film(Pose((0.0, -75.0))), JOINT.film(Pose(gap_px=-1.0))
    lost, kept = registered([(first, gone), (first, good)], network)
    assert isinstance(lost, str) or min(lost.upper.cover, lost.lower.cover) < 0.6
    assert change_of(kept, first) == pytest.approx(-1.0, abs=0.03)


def test_the_network_looks_at_each_film_by_itself():
    """Films are interchangeable: neither knows the other."""
    network = NETWORK.network("cpu")
    first, second = (compared_joint(JOINT.film(Pose(gap_px=gap), Exposure(noise=3.0)).crop) for gap in (0.0, -1.0))
    still = Similarity(np.ones((1, 2), complex), np.zeros((1, 2), complex))
    there, back = (
        network(torch.from_numpy(halfway_pictures([pair], still, FINE, "fine")))
        for pair in ((first, second), (second, first))
    )
    assert torch.allclose(there.first, back.second, atol=1e-5)
    assert torch.allclose(there.summary, back.summary, atol=1e-4)


def test_a_step_that_was_made_in_use_can_be_learned_through_afterwards(network):
    """What is kept from one step for the next must not be bound to inference."""
    pair = tuple(compared_joint(JOINT.film(Pose(gap_px=gap)).crop) for gap in (0.0, -1.0))
    still = Similarity(np.ones((1, 2), complex), np.zeros((1, 2), complex))
    for keep in (gauss_newton._near, gauss_newton._coordinates, gauss_newton._shading, gauss_newton._blurs):
        keep.cache_clear()
    guided_step([pair], still, np.array([0.01]), network, "cpu")
    pictures = torch.from_numpy(halfway_pictures([pair], still, FINE, "fine")).requires_grad_()
    guidance = None if network is None else network(pictures)
    step = gauss_newton.gauss_newton_step(
        guidance, pictures, FINE, FINE_BLUR_MM, torch.zeros(1), torch.full((1,), 0.01)
    )
    (slope,) = torch.autograd.grad(step.parameters.sum(), pictures)
    assert torch.isfinite(slope).all()
    assert slope.abs().max() > 0


def test_what_a_stretch_of_the_bones_may_do_is_in_the_covariance():
    """The less of the bones is seen near the joint, the more a stretch may move them; never less than without it."""
    pair = tuple(compared_joint(JOINT.film(Pose(gap_px=gap), Exposure(noise=2.0)).crop) for gap in (0.0, -0.5))
    still = Similarity(np.ones((1, 2), complex), np.zeros((1, 2), complex))
    pictures = torch.from_numpy(halfway_pictures([pair], still, FINE, "fine"))
    added = []
    for hidden_mm in (0.0, 2.0, 4.0):
        seen = pictures.clone()
        seen[:, 2, torch.from_numpy(FINE.points.imag[:, 0]) > -hidden_mm] = 0.0
        fit = gauss_newton.gauss_newton_step(None, seen, FINE, FINE_BLUR_MM, torch.zeros(1), torch.full((1,), 0.01)).fit
        covariance = calibrated(fit, np.ones(1))[0]
        assert covariance == pytest.approx(covariance.T)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12
        more = covariance - fit.covariance[0].double().numpy()
        added.append(more[4, 4] + more[1, 1] - 2 * more[1, 4])
    assert 0 < added[0] < added[1] < added[2]


def test_weights_of_another_network_are_refused(monkeypatch):
    from JSNRegistrationLib import trained_network

    monkeypatch.setattr(trained_network, "arrays_of", lambda _: {"nothing": np.zeros(1, np.float32)})
    trained_network._loaded.cache_clear()
    with pytest.raises(BadInput, match="do not fit"):
        NETWORK.network("cpu")
    trained_network._loaded.cache_clear()


# Similarities ---------------------------------------------------------------------------------------------------------

similarities = st.builds(
    lambda angle, log_scale, x, y: Similarity(np.exp(log_scale + 1j * angle), complex(x, y)),
    st.floats(-1.5, 1.5),
    st.floats(-0.2, 0.2),
    st.floats(-50, 50),
    st.floats(-50, 50),
)


@settings(derandomize=True, deadline=None)
@given(one=similarities, other=similarities, x=st.floats(-100, 100), y=st.floats(-100, 100))
def test_similarities_are_a_group(one, other, x, y):
    z = complex(x, y)
    assert one.after(other)(z) == pytest.approx(one(other(z)), abs=1e-9)
    assert one.inverse()(one(z)) == pytest.approx(z, abs=1e-9)
    assert one.half().after(one.half())(z) == pytest.approx(one(z), abs=1e-9)
    assert one.upside_down()(-z) == pytest.approx(-one(z), abs=1e-9)


@settings(derandomize=True, deadline=None)
@given(one=similarities, other=similarities)
def test_similarities_are_the_motions_of_the_rest_of_the_program(one, other):
    assert one.after(other).matrix() == pytest.approx(compose(one.matrix(), other.matrix()), abs=1e-9)
    assert one.inverse().matrix() == pytest.approx(inverse(one.matrix()), abs=1e-8)
    again = Similarity.of_matrix(one.matrix())
    assert (again.turn, again.shift) == (pytest.approx(one.turn), pytest.approx(one.shift))
    x, y, angle, log_scale = one.small_parts()
    small = Similarity.small(np.array([x, y]), angle, log_scale)
    assert small.matrix() == pytest.approx(one.matrix(), abs=1e-9)
