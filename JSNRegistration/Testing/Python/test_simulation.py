"""The simulator: its physics, and that the truth it states is the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from JSNRegistrationLib.motion import apply, compose, inverse, motion_about
from JSNRegistrationLib.narrowing import space_change_px
from JSNRegistrationLib.simulation.bone_layer import make_layer
from JSNRegistrationLib.simulation.bone_shapes import metacarpal_head, phalanx_base
from JSNRegistrationLib.simulation.hand import simulate_hand, write_simulated_hand
from JSNRegistrationLib.simulation.joint import joint_motions, simulate_joint
from JSNRegistrationLib.simulation.scanner import (
    MU_BONE_PER_MM,
    MU_SOFT_PER_MM,
    Exposure,
    detected,
    transmission,
    with_noise,
)
from JSNRegistrationLib.simulation.solid import BoneSolid, EndSurface, slice_solid

SAMPLES = Path(__file__).resolve().parents[3] / "Resources" / "SampleData"
SAMPLE_LIMIT_BYTES = 300_000


@pytest.fixture(scope="module")
def joint():
    return simulate_joint(3, visits=3, spacing_mm=0.15)


@pytest.fixture(scope="module")
def hand():
    return simulate_hand(11, spacing_mm=0.3, visits=3, changes_mm={"MCP2": (-0.2, -0.4), "DIP5": (0.1, 0.3)})


def _plain_bone(**changes) -> BoneSolid:
    """A straight elliptic tube, 8 mm wide and 6 mm deep, with flat ends 16 mm apart."""
    given = {
        "knots_mm": np.array([-10.0, 0.0, 10.0]),
        "half_width_mm": np.full((3, 2), 4.0),
        "half_depth_mm": np.full(3, 3.0),
        "cortex_mm": np.full(3, 0.6),
        "flare": np.zeros((3, 2)),
        "cancellous": np.full(3, 0.2),
        "distal": EndSurface(8.0, rounding_mm=0.05, plate_mm=0.6, lip_mm=0.6),
        "proximal": EndSurface(-8.0, rounding_mm=0.05, plate_mm=0.6, lip_mm=0.6),
        "exponent": 2.0,
        "sclerosis": 0.0,
    }
    return BoneSolid(**(given | changes))


def test_the_same_seed_gives_the_same_films_and_another_seed_does_not():
    first, again = (simulate_joint(5, spacing_mm=0.2, size_px=64, difficulty="hard") for _ in range(2))
    other = simulate_joint(6, spacing_mm=0.2, size_px=64, difficulty="hard")
    for a, b in zip(first.films, again.films, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.upper_motion[1], again.upper_motion[1])
    assert not np.array_equal(first.films[0], other.films[0])


def test_a_slab_of_known_thickness_passes_what_beer_and_lambert_say():
    bone, soft = np.full((4, 4), 2.0), np.full((4, 4), 15.0)
    expected = np.exp(-2.0 * MU_BONE_PER_MM - 13.0 * MU_SOFT_PER_MM)
    np.testing.assert_allclose(transmission(bone, soft), expected)
    thicker = transmission(2 * bone, 2 * soft)
    np.testing.assert_allclose(thicker, expected**2)


def test_an_even_field_stays_even_through_scatter_blur_and_binning():
    exposure = Exposure(pedestal=0.01)
    signal = detected(np.full((80, 60), 0.4), 0.1, exposure, oversampling=2)
    assert signal.shape == (40, 30)
    np.testing.assert_allclose(signal, 0.41, rtol=1e-9)


def test_four_times_the_dose_halves_the_relative_noise():
    signal = np.full((200, 200), 0.5)
    spread = [
        np.std(with_noise(signal, 0.1, Exposure(photons=n, electronic=0.0), np.random.default_rng(1)))
        for n in (4000, 16000)
    ]
    assert spread[0] / spread[1] == pytest.approx(2.0, rel=0.03)


def test_the_outline_of_an_elliptic_tube_has_the_volume_of_the_tube():
    u, v, slabs = slice_solid(_plain_bone(), 0.1, 6)
    volume = sum(slab.outer.sum() for slab in slabs) * (u[1] - u[0]) * (v[1] - v[0])
    assert volume == pytest.approx(np.pi * 4.0 * 3.0 * 16.0, rel=0.01)


def test_the_shell_of_an_elliptic_tube_is_as_thick_as_asked_for():
    u, v, slabs = slice_solid(_plain_bone(), 0.05, 24)
    shell = np.sum([slab.shell for slab in slabs], axis=0)
    middle = shell[np.argmin(np.abs(u)), np.argmin(np.abs(v))]
    assert middle == pytest.approx(2 * 0.6, abs=0.06)


def test_trabeculae_move_mineral_about_but_add_none():
    solid = _plain_bone()
    with_texture = make_layer(solid, np.random.default_rng(2), pitch_mm=0.05)
    without = make_layer(solid, np.random.default_rng(2), pitch_mm=0.05, texture_contrast=0.0)
    u, v = np.meshgrid(np.arange(-9, 9, 0.1), np.arange(-5, 5, 0.1), indexing="ij")
    a, b = with_texture.mineral_at(u, v), without.mineral_at(u, v)
    assert a.sum() == pytest.approx(b.sum(), rel=0.03)
    assert np.std(a - b) > 0.05


def test_a_moved_bone_resampled_back_through_its_motion_is_the_bone():
    layer = make_layer(metacarpal_head(np.random.default_rng(4)), np.random.default_rng(4), pitch_mm=0.025)
    place = np.column_stack([np.array([[0.0, 1.0], [-1.0, 0.0]]) / 0.05, [200.0, 120.0]])
    motion = motion_about(np.array([200.0, 150.0]), np.radians(6.0), 1.008, np.array([7.3, -4.8]))
    y, x = np.mgrid[0:400, 0:400]
    grid = np.stack([x, y], axis=-1).astype(float)

    def path(pose):
        uv = apply(inverse(compose(pose, place)), grid)
        return layer.mineral_at(uv[..., 0], uv[..., 1])

    still, moved = path(np.eye(2, 3)), path(motion)
    at = apply(motion, grid)
    back = ndimage.map_coordinates(moved, [at[..., 1], at[..., 0]], order=5, mode="constant")
    inside = np.all((at > 8) & (at < 391), axis=-1)
    rms = np.sqrt(np.mean((back - still)[inside] ** 2)) / np.ptp(still)
    assert rms < 3e-4
    wrong = ndimage.map_coordinates(moved, [at[..., 1] + 0.2, at[..., 0]], order=5, mode="constant")
    assert np.sqrt(np.mean((wrong - still)[inside] ** 2)) / np.ptp(still) > 1e-3  # 0.01 mm off would be seen


def test_the_paths_of_a_later_film_are_those_of_the_first_moved_bone_by_bone(joint):
    """Within each bone's own mask, away from its edge and from the other bone."""
    for masks, motions in ((joint.upper_masks, joint.upper_motion), (joint.lower_masks, joint.lower_motion)):
        other = joint.lower_masks if masks is joint.upper_masks else joint.upper_masks
        own = ndimage.binary_erosion(masks[0] & ~ndimage.binary_dilation(other[0], iterations=5), iterations=4)
        rows, columns = np.nonzero(own)
        at = apply(motions[2], np.stack([columns, rows], axis=-1))
        keep = np.all((at > 6) & (at < joint.films[0].shape[0] - 7), axis=-1)
        later = ndimage.map_coordinates(joint.bone_paths_mm[2], at[keep].T[::-1], order=5)
        first = joint.bone_paths_mm[0][rows[keep], columns[keep]]
        spread = np.ptp(joint.bone_paths_mm[0])
        # at film resolution the interpolation of the test itself limits the agreement
        assert np.median(np.abs(later - first)) / spread < 5e-3
        assert np.corrcoef(later, first)[0, 1] > 0.99


def test_a_pure_shift_along_the_axis_changes_the_space_by_that_shift():
    axis = np.array([np.sin(0.3), -np.cos(0.3)])
    common = motion_about(np.array([40.0, 60.0]), np.radians(17.0), 1.03, np.array([5.0, -3.0]))
    for change in (-4.0, 0.0, 2.5):
        lower, upper = joint_motions(common, np.array([50.0, 52.0]), axis, change, 0.0)
        assert space_change_px(upper, lower, np.array([50.0, 52.0]), axis) == pytest.approx(change, abs=1e-12)
        assert space_change_px(upper, lower, np.array([11.0, 80.0]), axis) == pytest.approx(change, abs=1e-9)


def test_a_tilt_changes_the_space_at_the_side_but_not_at_the_origin():
    origin, axis = np.array([50.0, 52.0]), np.array([0.0, -1.0])
    lower, upper = joint_motions(np.eye(2, 3), origin, axis, 0.0, np.radians(4.0))
    assert space_change_px(upper, lower, origin, axis) == pytest.approx(0.0, abs=1e-12)
    # a turn of the upper bone from x to y (downwards) lowers it on the right of the picture: the space narrows there
    expected = -30 * 2 * np.sin(np.radians(2.0))
    assert space_change_px(upper, lower, origin + np.array([30.0, 0.0]), axis) == pytest.approx(expected, abs=1e-9)


def test_the_stated_change_is_the_change_of_the_stated_joint_space(joint):
    for k in (1, 2):
        stated = joint.joint_space_mm[k] - joint.joint_space_mm[0]
        assert joint.true_change(0, k) == pytest.approx(stated, abs=1e-9)


def test_changes_asked_for_are_the_true_changes():
    asked = (-0.45, 0.2)
    simulated = simulate_joint(8, spacing_mm=0.3, size_px=48, visits=3, changes_mm=asked)
    assert [simulated.true_change(0, k) for k in (1, 2)] == pytest.approx(asked, abs=1e-9)


def test_going_there_and_back_adds_up_to_no_change(joint):
    origin, axis = joint.frame(1)
    assert joint.true_change(1, 0, origin, axis) == pytest.approx(
        -joint.true_change(0, 1), abs=0.005 * abs(joint.true_change(0, 1))
    )


def test_the_visible_joint_space_changes_by_the_stated_change():
    """Read on the noise-free mineral path: where it rises from the gap into either bone, along the axis."""
    narrowed = simulate_joint(2, spacing_mm=0.1, size_px=160, changes_mm=(-0.4,))
    edges = []
    for k in range(2):
        origin, axis = (np.asarray(value) for value in narrowed.frame(k))
        t = np.arange(-2.5, 2.5, 0.01)
        line = origin[:, None] + axis[:, None] * t / narrowed.spacing_mm
        profile = ndimage.map_coordinates(narrowed.bone_paths_mm[k], line[::-1], order=3)
        bone = profile > 0.5 * np.median(profile[profile > 0.3])
        gap = np.flatnonzero(~bone & (np.abs(t) < 1.8))
        edges.append((gap[-1] - gap[0]) * 0.01)
    assert edges[1] - edges[0] == pytest.approx(-0.4, abs=0.12)


def test_a_bone_turned_out_of_the_plane_keeps_its_mineral_and_moves_by_depth_about_its_joint_surface():
    layer = make_layer(phalanx_base(np.random.default_rng(1)), np.random.default_rng(1), pitch_mm=0.05, slabs=6)
    u, v = np.meshgrid(np.arange(-5, 30, 0.05), np.arange(-10, 10, 0.05), indexing="ij")
    flexion, pronation = np.radians(4.0), np.radians(-2.0)
    for depth, slab in zip(layer.depths_mm, layer.mineral, strict=True):
        alone = replace(layer, depths_mm=(depth,), mineral=(slab,))
        flat, turned = alone.mineral_at(u, v), alone.mineral_at(u, v, (flexion, pronation))
        assert turned.sum() == pytest.approx(flat.sum(), rel=3e-3)
        for along, angle in ((u, flexion), (v, pronation)):
            before, after = ((path * along).sum() / path.sum() for path in (flat, turned))
            # a point at (u, w) is seen at u cos + w sin: the joint surface, u = w = 0, stays
            assert after == pytest.approx(before * np.cos(angle) + depth * np.sin(angle), abs=0.02)


def test_masks_cover_the_bones_and_not_the_joint_space(joint):
    for upper, lower, path in zip(joint.upper_masks, joint.lower_masks, joint.bone_paths_mm, strict=True):
        assert upper.sum() > 1000
        assert lower.sum() > 1000
        assert np.median(path[upper]) > 0.5
        x, y = (round(c) for c in joint.origin_px)
        if path is joint.bone_paths_mm[0]:
            assert not lower[y - 2 : y + 3, x].all()


def test_jittered_masks_differ_from_the_true_ones_by_a_fraction_of_a_millimetre():
    true, jittered = (
        simulate_joint(8, spacing_mm=0.2, size_px=100, mask_jitter_mm=jitter).upper_masks[0] for jitter in (0.0, 0.15)
    )
    wrong = true ^ jittered
    assert 0 < wrong.sum() < 0.08 * true.sum()
    assert not (wrong & ~ndimage.binary_dilation(true, iterations=4)).any()


def test_an_unknown_difficulty_is_refused():
    with pytest.raises(ValueError, match="difficulty"):
        simulate_joint(0, difficulty="impossible")


def test_a_hand_has_fourteen_joints_in_every_film_with_unit_axes_inside_the_film(hand):
    rows, columns = hand.films[0].shape
    for joints in hand.joints:
        assert len({joint.name for joint in joints}) == 14
        for joint in joints:
            assert np.hypot(*joint.axis) == pytest.approx(1.0)
            assert 0 < joint.position_px[0] < columns
            assert 0 < joint.position_px[1] < rows


def test_joints_of_a_hand_change_as_asked_and_the_others_do_not(hand):
    for joint in hand.joints[0]:
        asked = {"MCP2": (-0.2, -0.4), "DIP5": (0.1, 0.3)}.get(joint.name, (0.0, 0.0))
        found = [hand.true_change(joint.name, 0, k) for k in (1, 2)]
        assert found == pytest.approx(asked, abs=1e-9)
        spaces = [hand.joints[k][[j.name for j in hand.joints[k]].index(joint.name)].joint_space_mm for k in range(3)]
        assert np.diff(spaces) == pytest.approx(np.diff([0.0, *asked]), abs=1e-9)


def test_the_thumb_of_a_left_hand_is_on_the_right_of_the_picture_and_of_a_right_hand_on_the_left(hand):
    def place(simulated, name):
        return next(j.position_px[0] for j in simulated.joints[0] if j.name == name)

    right = simulate_hand(11, spacing_mm=0.6, visits=1, side="right", noise=False)
    assert place(hand, "MCP1") > place(hand, "MCP5")
    assert place(right, "MCP1") < place(right, "MCP5")
    assert {j.side for j in right.joints[0]} == {"right"}


def test_bones_are_brighter_than_flesh_and_flesh_is_brighter_than_air(hand):
    film = hand.films[0]
    joint = next(j for j in hand.joints[0] if j.name == "MCP3")
    shaft = np.asarray(joint.position_px) - np.asarray(joint.axis) * 25 / hand.spacing_mm
    across = np.array([-joint.axis[1], joint.axis[0]])
    values = [film[round(p[1]), round(p[0])] for p in (shaft, shaft + across * 9.0 / hand.spacing_mm)]
    air = np.median(film[40:60, 40:60])
    assert values[0] > values[1] + 20
    assert values[1] > air + 20


def test_an_unknown_joint_of_a_hand_is_refused():
    with pytest.raises(ValueError, match="MCP9"):
        simulate_hand(1, spacing_mm=0.6, visits=2, changes_mm={"MCP9": (0.1,)})


def test_a_written_hand_has_its_truth_beside_its_films(tmp_path):
    write_simulated_hand(tmp_path, seed=3, visits=1)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["truth.json", "visit_1.png"]
    assert truth["films"] == ["visit_1.png"]
    assert len(truth["visits"][0]) == 14
    with Image.open(tmp_path / "visit_1.png") as film:
        assert film.mode == "L"


def test_the_sample_films_are_small_and_their_truth_is_beside_them():
    truth = json.loads((SAMPLES / "simulated_hand.json").read_text(encoding="utf-8"))
    changes = [change["change_mm"] for change in truth["changes"]]
    assert sum(change <= -0.3 for change in changes) == 4
    assert sum(change == 0 for change in changes) == 10
    assert len(truth["dates"]) == 2
    for name in truth["films"]:
        path = SAMPLES / name
        assert path.stat().st_size < SAMPLE_LIMIT_BYTES
        with Image.open(path) as film:
            assert film.mode == "L"
