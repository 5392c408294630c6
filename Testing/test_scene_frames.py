"""Geometry, colours and labels of the scene: what needs no Slicer."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from JointQuantLib.even_colors import srgb_from_oklab
from JointQuantLib.loss_colors import loss_ramp
from JointQuantLib.scene import availability
from JointQuantLib.scene.frames import ras_from_pixels, ras_matrix_to_fixed, ras_points
from JointQuantLib.scene.labels import place_names, text_size
from JointQuantLib.scene.tables import column_values, unit_of


def test_pixels_go_left_and_down_as_lps_and_so_turn_their_signs_in_ras():
    assert ras_points([[10, 20]], 0.5) == pytest.approx(np.array([[-5.0, -10.0, 0.0]]))
    assert ras_from_pixels(0.5) @ [10, 20, 0, 1] == pytest.approx([-5, -10, 0, 1])


def test_a_point_of_the_later_film_lands_where_the_motion_came_from_even_with_other_spacing():
    motion = np.array([[0.8, -0.6, 12.0], [0.6, 0.8, -7.0]])
    here = np.array([31.0, 45.0])
    there = motion[:, :2] @ here + motion[:, 2]
    moving, fixed = ras_points([there], 0.2)[0], ras_points([here], 0.1)[0]
    assert ras_matrix_to_fixed(motion, 0.1, 0.2) @ [*moving, 1.0] == pytest.approx([*fixed, 1.0])


def test_the_colours_of_the_loss_are_evenly_spaced_and_grow_lighter():
    ramp = loss_ramp(20)
    assert ramp.shape == (21, 3)
    assert ramp.min() >= 0
    assert ramp.max() <= 1
    oklab = np.array([oklab_from_srgb(color) for color in ramp])
    steps = np.linalg.norm(np.diff(oklab, axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.02
    assert (np.diff(oklab[:, 0]) > 0.015).all()


def test_oklab_white_and_grey_are_grey():
    assert srgb_from_oklab(np.array([[1.0, 0.0, 0.0]]))[0] == pytest.approx([1.0, 1.0, 1.0], abs=1e-3)
    grey = srgb_from_oklab(np.array([[0.5, 0.0, 0.0]]))[0]
    assert np.ptp(grey) < 1e-3


def oklab_from_srgb(color: np.ndarray) -> np.ndarray:
    """The way back, from the published forward matrices (not the inverse of what is tested)."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ linear
    )
    return (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ cones
    )


def test_names_cover_no_joint_and_no_other_name_and_stay_in_the_film():
    rng = np.random.default_rng(3)
    shape = (1670, 1040)
    centres = [(x, y) for x in (220, 400, 580, 760) for y in (350, 560, 800)]
    square = np.array([[-55, -80], [55, -80], [55, 80], [-55, 80]])
    polygons = [[np.array(centre) + rng.uniform(-15, 15, 2) + square] for centre in centres]
    texts = [f"MCP{k}" for k in range(len(centres))]
    boxes = []
    for text, (x, y) in zip(texts, place_names(texts, polygons, shape), strict=True):
        width, height = text_size(text, shape)
        assert 0 <= x <= shape[1] - width
        assert height <= y <= shape[0]
        boxes.append((x, y - height, x + width, y))
    joints = [(*polygon[0].min(axis=0), *polygon[0].max(axis=0)) for polygon in polygons]
    for k, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in joints + boxes[:k])


def overlap(a: tuple, b: tuple) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) + 1 and min(a[3], b[3]) > max(a[1], b[1]) + 1


def test_a_name_finds_a_place_also_in_a_crop_that_one_joint_fills():
    polygon = np.array([[2.0, 2.0], [253, 2], [253, 253], [2, 253]])
    assert place_names(["JOINT"], [[polygon]], (256, 256)).shape == (1, 2)
    assert place_names(["JOINT"], [[polygon / 30]], (8, 8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("title", "unit"),
    [
        ("change_mm", "mm"),
        ("se_px", "px"),
        ("tilt_deg", "deg"),
        ("change_per_year_mm", "mm/year"),
        ("change_mm_per_year", "mm/year"),
        ("interval_mm_low", "mm"),
        ("years", "year"),
        ("change (mm)", "mm"),
        ("width [mm]", "mm"),
        ("joint", ""),
        ("from_visit", ""),
        ("reason", ""),
    ],
)
def test_the_unit_of_a_column_is_read_from_its_title(title, unit):
    assert unit_of(title) == unit


def test_a_column_holds_numbers_where_all_its_filled_cells_are_numbers():
    numbers = column_values(["1.5", "", "-2"])
    assert numbers[0] == 1.5
    assert np.isnan(numbers[1])
    assert column_values(["measured", ""]) == ["measured", ""]
    assert column_values(["", ""]) == ["", ""]


def test_importing_the_package_imports_neither_slicer_nor_vtk():
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import JointQuantLib.scene\n"
        "print([name for name in ('slicer', 'vtk', 'vtkmodules') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("printed", "importable", "drawable", "said"),
    [
        ("imported\ndrawn\n", True, True, ""),
        ("imported\n", True, False, "libegl1"),  # the child ended while drawing
        ("", False, False, "slicer-core"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, printed, importable, drawable, said):
    monkeypatch.setattr(availability, "_probe", lambda: printed)
    assert availability.slicer_available()[0] is importable
    available, reason = availability.rendering_available()
    assert available is drawable
    assert said in reason


def test_a_child_process_that_dies_is_an_answer_and_no_crash(monkeypatch):
    monkeypatch.setattr(availability, "PROBE", "print('imported', flush=True); import os; os.abort()")
    availability._probe.cache_clear()
    try:
        assert availability.slicer_available() == (True, "")
        assert availability.rendering_available()[0] is False
    finally:
        availability._probe.cache_clear()
