"""Pictures drawn by slice views with no screen, looked at pixel by pixel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_result import write_nrrd, write_synthetic_result

from JointQuantLib.loss_colors import loss_ramp
from JointQuantLib.scene import rendering_available, write_views

HEIGHT = 900  # of the whole film in its picture
HEADER = 32
LINE = 18  # of the reading


@pytest.fixture(scope="module", autouse=True)
def _needs_rendering():
    available, reason = rendering_available()
    if not available:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A result with its views; the loss of MCP3 is 1 before and 0 after, so that their colours are known."""
    folder = write_synthetic_result(tmp_path_factory.mktemp("views") / "result")
    for kind, value in (("before", 1.0), ("after", 0.0)):
        loss = np.full((420, 260), -1.0, np.float32)
        loss[230:300, 150:190] = value
        write_nrrd(folder / f"loss_{kind}_0_1.nrrd", loss, 0.3)
    write_views(folder)
    return folder


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def at(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Colour of a film pixel in the picture of the whole first film."""
    scale = HEIGHT / 420
    return image[HEADER + round((y + 0.5) * scale), round((x + 0.5) * scale)]


def test_every_film_every_pair_and_every_measured_joint_has_its_picture(drawn):
    assert {path.name for path in drawn.glob("view_*.png")} == {
        "view_visit_0.png",
        "view_visit_1.png",
        "view_0_1_before.png",
        "view_0_1_after.png",
        "view_MCP2_0_1.png",
        "view_PIP2_0_1.png",
        "view_MCP3_0_1.png",
    }


def test_the_film_fills_the_picture_the_right_way_round(drawn):
    image = picture(drawn / "view_visit_0.png")
    assert image.shape == (HEIGHT + HEADER, round(260 * HEIGHT / 420), 3)
    assert at(image, 78, 360).mean() > 80  # inside the second metacarpal
    assert at(image, 230, 20).mean() < 30  # air
    assert (image[HEADER:, :].max(axis=(1, 2)) > 5).all()  # no black border of the view
    # the right side of the picture is the right side of the film: only finger 3 reaches high up
    assert at(image, 171, 60).mean() > 80
    assert at(image, 89, 60).mean() < 80


def test_the_loss_is_drawn_in_the_colours_of_its_scale_over_the_film(drawn):
    film = picture(drawn / "view_visit_0.png")
    for kind, value in (("before", -1), ("after", 0)):
        image = picture(drawn / f"view_0_1_{kind}.png")
        expected = 0.55 * at(film, 170, 270) + 0.45 * 255 * loss_ramp()[value]
        assert at(image, 170, 270) == pytest.approx(expected, abs=4)


def test_outside_the_joint_regions_the_film_is_seen_as_it_is(drawn):
    film, image = picture(drawn / "view_visit_0.png"), picture(drawn / "view_0_1_before.png")
    for x, y in ((78, 380), (171, 60), (130, 200), (168, 200)):
        assert at(image, x, y) == pytest.approx(at(film, x, y), abs=1)


def test_the_legend_is_drawn_beside_the_film_with_the_whole_scale_and_text(drawn):
    image = picture(drawn / "view_0_1_after.png")
    strip = image[:, round(260 * HEIGHT / 420) :]
    assert strip.shape[1] > 100
    for color in loss_ramp(16)[1:-1]:
        assert np.abs(strip - 255 * color).max(axis=2).min() < 12
    white = (strip > 200).all(axis=2)
    assert white.any(axis=1).sum() > 150  # a title and eleven numbers, line under line
    assert not picture(drawn / "view_visit_0.png").shape[1] > round(260 * HEIGHT / 420)


@pytest.mark.parametrize("visit", [0, 1])
def test_the_outline_of_a_bone_is_drawn_around_it(drawn, visit):
    image = picture(drawn / f"view_visit_{visit}.png")
    result = json.loads((drawn / "result.json").read_text(encoding="utf-8"))
    rows = result["visits"][visit]["shape"][0]
    polygon = np.array(result["joints"][0]["visits"][visit]["upper"])
    blue = (image[..., 2] - image[..., 0] > 90) & (image[..., 2] > 180)
    middles = (polygon + np.roll(polygon, 1, axis=0)) / 2
    for x, y in middles:
        column, row = round((x + 0.5) * HEIGHT / rows), HEADER + round((y + 0.5) * HEIGHT / rows)
        assert blue[row - 3 : row + 4, column - 3 : column + 4].any()


def test_no_name_lies_over_a_joint_space(drawn):
    """The spaces between the bones are dark in these films, and names are white or bright."""
    image = picture(drawn / "view_visit_0.png")
    result = json.loads((drawn / "result.json").read_text(encoding="utf-8"))
    for joint in result["joints"]:
        x, y = joint["visits"][0]["position_px"]
        assert all(at(image, x + dx, y).max() < 200 for dx in range(-12, 13))


def test_the_header_is_drawn_anew_for_every_picture(drawn):
    headers = [picture(drawn / f"view_0_1_{kind}.png")[:HEADER] for kind in ("before", "after")]
    assert not np.array_equal(*headers)
    assert (headers[0] > 150).sum() > 500
    ratio = (headers[0] > 150).sum() / (headers[1] > 150).sum()
    assert 0.8 < ratio < 1.6  # the second is not written over the first


def test_a_joint_is_shown_before_and_after_with_its_bones_axis_and_origin(drawn):
    image = picture(drawn / "view_MCP3_0_1.png")
    size = 450
    header = image.shape[0] - size
    assert (header - HEADER) % LINE == 0
    before, after = image[header:, :size], image[header:, size : 2 * size]
    for panel in (before, after):
        spread = panel.max(axis=2) - panel.min(axis=2)
        blue = (panel[..., 2] - panel[..., 0] > 90) & (panel[..., 2] > 180)
        green = (panel[..., 1] - panel[..., 0] > 90) & (panel[..., 1] > 180) & ~blue
        assert blue.sum() > 300
        assert green.sum() > 300
        assert np.argwhere(blue)[:, 0].mean() < np.argwhere(green)[:, 0].mean()  # upper bone above, here
        assert spread.max() > 90
    middle = slice(180, 270)
    assert before[middle, middle, 0].mean() > after[middle, middle, 0].mean() + 40  # yellow against blue


def test_what_the_loss_map_says_is_written_over_the_joint_after_registration(drawn):
    image = picture(drawn / "view_MCP3_0_1.png")
    size = 450
    header = image.shape[0] - size
    result = json.loads((drawn / "result.json").read_text(encoding="utf-8"))
    reading = next(joint for joint in result["joints"] if joint["name"] == "MCP3")["pairs"][0]["reading"]
    assert len(reading) > 80  # more than a line holds
    assert header >= HEADER + 2 * LINE
    rows = [np.flatnonzero((image[:header, x : x + size] > 150).all(axis=2).any(axis=1)) for x in (0, size)]
    assert len(rows[1]) >= len(rows[0]) + 2 * 13  # two more lines
    assert rows[1].max() < header - LINE / 2  # and none over the film


def test_without_spacing_the_pictures_are_the_same_in_pixels(drawn, tmp_path):
    folder = write_synthetic_result(tmp_path / "result", spacing_mm=None)
    write_views(folder)
    known, unknown = (picture(where / "view_visit_1.png") for where in (drawn, folder))
    assert np.abs(known[HEADER:] - unknown[HEADER:]).mean() < 0.5
    assert not np.array_equal(known[:HEADER], unknown[:HEADER])


def test_a_result_without_maps_still_has_its_films(tmp_path):
    folder = write_synthetic_result(tmp_path / "result")
    for path in [*folder.glob("loss_*.nrrd"), *folder.glob("before_*.nrrd"), *folder.glob("after_*.nrrd")]:
        path.unlink()
    assert [path.name for path in write_views(folder)] == ["view_visit_0.png", "view_visit_1.png"]


def test_nothing_is_said_on_the_terminal_even_with_an_x_server_that_is_not_there(tmp_path):
    folder = write_synthetic_result(tmp_path / "result")
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from JointQuantLib.scene import write_scene, write_views\n"
        "write_views(sys.argv[1]); write_scene(sys.argv[1])"
    )
    surroundings = {name: value for name, value in os.environ.items() if name != "VTK_DEFAULT_OPENGL_WINDOW"}
    child = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env=surroundings | {"DISPLAY": ":93"},
    )
    assert child.stdout + child.stderr == ""
    assert (folder / "scene.mrb").is_file()
