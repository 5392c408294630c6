"""Reading the loss map: the bone that was misplaced on purpose, its side, and where a bone was eaten into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_joint import AnalyticFilm, AnalyticJoint, Exposure, Pose, mirrored

from JSNRegistrationLib.bones import JointCrop
from JSNRegistrationLib.loss_reading import (
    ALIGNED,
    CHANGED,
    DIFFERS,
    NOT_ALIGNED,
    NOT_SHOWN,
    LossReading,
    read_loss,
)
from JSNRegistrationLib.misalignment import film_spline, misalignment
from JSNRegistrationLib.motion import compose, inverse, motion_about

JOINT = AnalyticJoint(1)
POSE = Pose((1.3, -0.7), 2.0, -1.0, 0.0, 0.5)
SPACING_MM = 0.15
SIDE_MM = 3.0  # across the joint, where a turned bone is to lie off itself


@pytest.fixture(scope="module")
def still() -> AnalyticFilm:
    return JOINT.film(exposure=Exposure(noise=1.5, noise_seed=1))


@pytest.fixture(scope="module")
def moved() -> AnalyticFilm:
    return JOINT.film(POSE, Exposure(gain=2.0, offset=30.0, gamma=1.1, noise=4.0, noise_seed=2))


def reading(crop: JointCrop, film: np.ndarray, motions, side: str | None = None) -> LossReading:
    return read_loss(crop, misalignment(crop, film_spline(film), *motions), side)


def turned_off(first: AnalyticFilm, motions, bone: int, to_the_right: bool, off_mm: float = 0.3):
    """The motions, one bone turned about its one side so that its other side lies off itself."""
    across = first.frame.across * (1 if to_the_right else -1)
    end = np.asarray(first.crop.origin_px) + (1 - 2 * bone) * 4.0 / SPACING_MM * np.asarray(first.crop.axis)
    pivot = end - across * SIDE_MM / SPACING_MM
    wrong = list(motions)
    wrong[bone] = compose(wrong[bone], motion_about(pivot, off_mm / (2 * SIDE_MM), 1.0, np.zeros(2)))
    return wrong


def in_mirror(motions, columns: tuple[int, int]):
    """Motions between two films that are both turned over, left for right."""
    flips = [np.array([[-1.0, 0.0, n - 1.0], [0.0, 1.0, 0.0]]) for n in columns]
    return [compose(flips[1], compose(motion, inverse(flips[0]))) for motion in motions]


def eroded(film: AnalyticFilm, right_mm: float, from_joint_mm: float, radius_mm: float = 1.3) -> np.ndarray:
    """The film with two thirds of the lower bone's brightness lost in a spot, given in the frame of that bone."""
    rows, columns = film.crop.pixels.shape
    y, x = np.mgrid[:rows, :columns]
    frame = film.frame
    at = np.stack([x, y], axis=-1) - frame.origin_px
    spot = np.hypot(at @ frame.across - right_mm / SPACING_MM, -(at @ frame.axis) - from_joint_mm / SPACING_MM)
    bite = np.exp(-((spot * SPACING_MM / radius_mm) ** 4))
    outside = float(np.percentile(film.crop.pixels, 2))
    return (film.crop.pixels - 0.66 * bite * (film.crop.pixels - outside)).astype(np.float32)


def test_true_motions_leave_both_bones_aligned(still, moved):
    found = reading(still.crop, moved.crop.pixels, still.motions_to(moved))
    assert found.sentence == "both bones aligned"
    assert {found.upper.kind, found.lower.kind} == {ALIGNED}
    assert max(found.upper.off_px, found.lower.off_px) * SPACING_MM < 0.05


@pytest.mark.parametrize("noise", [0.0, 4.0, 10.0])
def test_noise_alone_moves_no_bone(still, noise):
    other = JOINT.film(POSE, Exposure(noise=noise, noise_seed=7))
    assert reading(still.crop, other.crop.pixels, still.motions_to(other)).sentence == "both bones aligned"


@pytest.mark.parametrize("bone", [0, 1])
@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, 1.0), (-0.6, 0.8)])
def test_a_bone_shifted_off_itself_is_named_and_how_far(still, moved, bone, direction):
    motions = list(still.motions_to(moved))
    motions[bone] = compose(motions[bone], motion_about(np.zeros(2), 0.0, 1.0, 0.25 / SPACING_MM * np.array(direction)))
    found = reading(still.crop, moved.crop.pixels, motions)
    names = ("upper", "lower")
    assert found.sentence == f"{names[bone]} bone not aligned"
    assert getattr(found, names[bone]).off_px * SPACING_MM == pytest.approx(0.25, abs=0.1)
    assert getattr(found, names[1 - bone]).kind == ALIGNED


@pytest.mark.parametrize("bone", [0, 1])
@pytest.mark.parametrize("to_the_right", [False, True])
@pytest.mark.parametrize(
    ("side", "names"),
    [
        ("right", ("on the radial side", "on the ulnar side")),
        ("left", ("on the ulnar side", "on the radial side")),
        (None, ("on the left of the picture", "on the right of the picture")),
    ],
)
def test_the_side_of_a_turned_bone_follows_the_hand(still, moved, bone, to_the_right, side, names):
    motions = turned_off(still, still.motions_to(moved), bone, to_the_right)
    found = reading(still.crop, moved.crop.pixels, motions, side)
    assert found.sentence == f"{('upper', 'lower')[bone]} bone not aligned {names[to_the_right]}"


def test_the_other_hand_in_the_mirror_reads_the_same(still, moved):
    motions = turned_off(still, still.motions_to(moved), 1, to_the_right=True)
    plain = reading(still.crop, moved.crop.pixels, motions, "right")
    columns = tuple(film.crop.pixels.shape[1] for film in (still, moved))
    other = reading(mirrored(still), moved.crop.pixels[:, ::-1], in_mirror(motions, columns), "left")
    assert other.sentence == plain.sentence == "lower bone not aligned on the ulnar side"
    unknown = reading(mirrored(still), moved.crop.pixels[:, ::-1], in_mirror(motions, columns))
    assert unknown.sentence == "lower bone not aligned on the left of the picture"


@pytest.mark.parametrize(("right_mm", "side"), [(-5.6, "radial"), (5.6, "ulnar")])
def test_an_erosion_at_the_margin_is_found_in_an_aligned_bone(still, moved, right_mm, side):
    film = eroded(moved, right_mm, 5.0)
    found = reading(still.crop, film, still.motions_to(moved), "right")
    where = f"change inside the lower bone near the margin on the {side} side: erosion or overlap?"
    assert found.sentence == f"aligned; {where}"
    assert (found.lower.kind, found.lower.side, found.lower.along, found.lower.rim) == (CHANGED, side, "shaft", True)


def test_a_change_in_the_middle_of_a_bone_is_not_called_an_erosion(still, moved):
    found = reading(still.crop, eroded(moved, 0.0, 6.0, 1.6), still.motions_to(moved))
    assert found.lower.kind == CHANGED
    assert not found.lower.rim
    assert found.sentence.startswith("aligned; change inside the lower bone in the middle: bone itself")


def test_the_sectors_hold_the_change_where_it_is(still, moved):
    found = reading(still.crop, eroded(moved, 5.6, 5.0), still.motions_to(moved), "right")
    worst = max(found.lower.sectors, key=lambda sector: sector.mean_loss)
    assert (worst.side, worst.along) == ("ulnar", "shaft")
    assert worst.bright_share > 0.3
    assert all(0.0 <= sector.mean_loss <= 1.0 for sector in found.upper.sectors + found.lower.sectors)
    assert max(sector.mean_loss for sector in found.upper.sectors) < 0.15


def test_another_bone_does_not_fit(still):
    stranger = JOINT.film(POSE, lower_seed=9)
    found = reading(still.crop, stranger.crop.pixels, still.motions_to(stranger))
    assert found.lower.kind in (NOT_ALIGNED, DIFFERS)
    assert found.upper.kind == ALIGNED


def test_a_bone_that_the_second_film_does_not_show_is_said_to_be_missing(still):
    away = motion_about(np.zeros(2), 0.0, 1.0, np.array([1e4, 0.0]))
    found = reading(still.crop, still.crop.pixels, (away, away))
    assert found.upper.kind == found.lower.kind == NOT_SHOWN
    assert found.sentence == "upper bone not shown by both films; lower bone not shown by both films"


def test_a_blank_film_fits_nowhere(still):
    blank = np.full(still.crop.pixels.shape, 7.0, np.float32)
    identity = np.eye(2, 3)
    found = reading(replace(still.crop, side="left"), blank, (identity, identity), "left")
    assert found.sentence == "upper bone not aligned; lower bone not aligned"
