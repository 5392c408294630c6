"""The pictures of a knee result, looked at pixel by pixel: sides, directions, colours, lengths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from synthetic_knee import write_synthetic_knee

from JointQuantLib.knee_colors import BONES, SUBREGIONS, joint_space_ramp
from JointQuantLib.knee_folder import FIRST_COMPARTMENT, JOINT_SPACE, REGIONS, read_knee
from JointQuantLib.scene import rendering_available, write_views
from JointQuantLib.scene.body_letters import letter_of
from JointQuantLib.scene.knee_labels import subregion_labels
from JointQuantLib.scene.knee_planes import axial_map_plane, knee_planes

VIEW, HEADER = 560, 52
LABELLED = ("coronal", "sagittal_medial", "sagittal_lateral", "axial_tibia", "axial_femur")
UPRIGHT = LABELLED[:3]
NAMES = {
    *(f"bones_{plane}" for plane in (*UPRIGHT, "axial_patella", "axial_fibula")),
    *(f"{what}_{plane}" for what in ("compartments", "bands") for plane in LABELLED),
    *(f"{what}_{plane}" for what in ("plate", "joint_space") for plane in (*UPRIGHT, "axial")),
    "models_anterior",
    "models_posterior",
    "models_compartments_tibia_from_above",
    "models_compartments_femur_from_below",
    "models_plate_tibia_from_above",
    "models_plate_femur_from_below",
    "models_joint_space_tibia_from_above",
}


@pytest.fixture(scope="module", autouse=True)
def _needs_rendering():
    available, reason = rendering_available()
    if not available:
        pytest.skip(reason)


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {
        path.stem.removeprefix("view_"): np.asarray(Image.open(path).convert("RGB")).astype(float)
        for path in folder.glob("view_*.png")
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = write_synthetic_knee(tmp_path_factory.mktemp("made") / "result", ("right", "left"), metal=True)
    called = []
    paths = write_views(folder, lambda: called.append(1))
    assert len(called) == len(paths)
    assert all(path.is_file() for path in paths)
    return folder


@pytest.fixture(scope="module")
def drawn(made) -> dict[str, np.ndarray]:
    return pictures(made)


def tinted(picture: np.ndarray, color: tuple[float, float, float]) -> tuple[float, float]:
    """Mean column and row, in the view, of the pixels of an outline or a surface of this colour."""
    view = picture[HEADER:, :VIEW]
    scale = view.max(axis=2, keepdims=True) / (255 * max(color))  # surfaces are shaded
    near = (np.abs(view - 255 * np.array(color) * scale).max(axis=2) < 14) & (view.max(axis=2) > 120)
    rows, columns = np.nonzero(near)
    assert len(rows) > 20
    return columns.mean(), rows.mean()


def test_every_picture_is_drawn_for_both_knees_and_is_small(made, drawn):
    assert set(drawn) == {f"{name}_{side}" for name in NAMES for side in ("right", "left")}
    for path in made.glob("view_*.png"):
        assert path.stat().st_size < 300_000
    for picture in drawn.values():
        assert picture.shape == (VIEW + HEADER, 750, 3)
        assert picture[HEADER:, :VIEW].max(axis=2).mean() > 10  # something is seen


@pytest.mark.parametrize(("side", "sign"), [("right", 1), ("left", -1)])
@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("compartments_coronal", 1),
        ("compartments_axial_tibia", 1),
        ("models_posterior", -1),
        ("models_compartments_tibia_from_above", -1),
        ("models_compartments_femur_from_below", 1),
    ],
)
def test_the_patients_right_is_where_the_letters_say(drawn, side, sign, name, mirrored):
    """Medial of a right knee is at the patient's left, which is at the right of coronal and axial slices."""
    picture = drawn[f"{name}_{side}"]
    part = "posterior" if name == "models_posterior" else "central"
    medial, _ = tinted(picture, SUBREGIONS[f"medial {part}"])
    lateral, _ = tinted(picture, SUBREGIONS[f"lateral {part}"])
    assert sign * mirrored * (medial - lateral) > 60


@pytest.mark.parametrize("side", ["right", "left"])
def test_anterior_is_left_in_sagittal_slices_and_above_in_axial_ones(drawn, side):
    sagittal, axial = drawn[f"compartments_sagittal_medial_{side}"], drawn[f"compartments_axial_tibia_{side}"]
    for axis, picture in ((0, sagittal), (1, axial)):
        front = tinted(picture, SUBREGIONS["medial anterior"])[axis]
        back = tinted(picture, SUBREGIONS["medial posterior"])[axis]
        assert back - front > 60


def test_the_femur_is_above_the_tibia_and_the_fibula_lateral(drawn):
    assert (
        tinted(drawn["bones_coronal_right"], BONES["femur"])[1]
        < tinted(drawn["bones_coronal_right"], BONES["tibia"])[1]
    )
    for side, sign in (("right", 1), ("left", -1)):
        picture = drawn[f"bones_axial_fibula_{side}"]
        assert sign * (tinted(picture, BONES["tibia"])[0] - tinted(picture, BONES["fibula"])[0]) > 60


def test_the_legend_of_a_map_is_beside_the_slice(drawn):
    for name in ("joint_space_coronal_right", "joint_space_axial_left", "models_joint_space_tibia_from_above_left"):
        strip = drawn[name][:, VIEW + 4 :]
        for color in joint_space_ramp()[1:-1]:
            assert np.abs(strip - 255 * color).max(axis=2).min() < 14


def test_the_bar_has_the_length_that_it_says(made, drawn):
    """20 mm at the scale at which the regions, with 14 mm around them, fill 560 pixels."""
    result = read_knee(made)
    labels = subregion_labels(result, 0, result.array("regions.nrrd"))
    planes = knee_planes(result, result.knees[0], labels.array)
    strip = drawn["compartments_coronal_right"][-60:-20, VIEW + 4 :].min(axis=2) > 200
    longest = max(np.flatnonzero(row).size for row in strip)
    assert longest == pytest.approx(20.0 / (planes.extent_mm / VIEW), abs=2.5)


def test_the_right_knee_is_drawn_as_the_mirror_image_of_the_left(drawn):
    right, left = (drawn[f"compartments_coronal_{side}"][HEADER:, :VIEW] for side in ("right", "left"))
    middle = np.s_[80:520, 60:500]
    assert (np.abs(right - left[:, ::-1]).max(axis=2)[middle] > 60).mean() < 0.06


@pytest.mark.parametrize("name", ["compartments_coronal", "joint_space_sagittal_medial", "bands_axial_tibia"])
def test_a_turned_knee_is_drawn_along_its_own_axes(turned, name):
    same = np.abs(turned[f"{name}_right"] - turned[f"{name}_right_turned"]).max(axis=2)[HEADER + 30 : -40, 30:500]
    assert (same > 40).mean() < 0.02


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> dict[str, np.ndarray]:
    """The pictures of a knee, and of the same with its volumes turned and moved in the scanner."""
    where = tmp_path_factory.mktemp("turned")
    plain = write_synthetic_knee(where / "plain")
    write_views(plain)
    folder = write_synthetic_knee(where / "turned")
    a, b = np.deg2rad((17, 8))
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_l = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = about_s @ about_l
    origin = [33.0, -70.0, -612.0]
    for path in folder.glob("*.nrrd"):
        image = sitk.ReadImage(str(path))
        image.SetDirection(turn.ravel().tolist())
        image.SetOrigin(origin)
        sitk.WriteImage(image, str(path))
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    content["ct"] |= {"direction_lps": turn.ravel().tolist(), "origin_lps": origin}
    for frame in content["knees"][0]["frames"].values():
        axes = np.array(frame["lateral_posterior_proximal_lps"]) @ turn.T
        frame["lateral_posterior_proximal_lps"] = axes.tolist()
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    write_views(folder)
    return pictures(plain) | {f"{name}_turned": picture for name, picture in pictures(folder).items()}


def test_slices_along_the_patients_axes_are_those_of_slicer(made):
    import slicer
    import slicer.util

    from JointQuantLib.scene.headless import headless_application

    result = read_knee(made)
    regions = result.array("regions.nrrd")
    application = headless_application()
    for number, knee in enumerate(result.knees):
        planes = knee_planes(result, knee, subregion_labels(result, number, regions).array)
        for plane in planes.planes:
            view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode", f"{plane.name} {number}")
            view.SetOrientation(plane.name.split("_")[0].capitalize())
            expected = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, :3]
            assert plane.matrix[:3, :3] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("direction", "letter"),
    [
        ((1, 0, 0), "R"),
        ((-0.9, 0.3, 0.1), "L"),
        ((0.2, 0.8, 0), "A"),
        ((0, -1, 0), "P"),
        ((0, 0.1, 0.9), "S"),
        ((0, 0, -1), "I"),
    ],
)
def test_letters_name_the_nearest_axis_of_the_body(direction, letter):
    assert letter_of(np.array(direction)) == letter


def test_what_a_result_does_not_hold_is_not_drawn(tmp_path):
    folder = write_synthetic_knee(tmp_path / "result", ("left",), femur=False)
    (folder / "plate_thickness_mm.nrrd").unlink()
    names = {path.stem.removeprefix("view_").removesuffix("_left") for path in write_views(folder)}
    absent = {name for name in NAMES if "plate" in name or name.endswith("axial_femur") or "femur_from" in name}
    assert names == NAMES - absent


def test_a_tibia_whose_regions_hold_no_voxel_has_no_axial_slice_of_a_map(tmp_path):
    result = read_knee(write_synthetic_knee(tmp_path / "result", ("left",)))
    numbers = subregion_labels(result, 0, result.array(REGIONS)).array
    planes, values = knee_planes(result, result.knees[0], numbers), result.array(JOINT_SPACE)
    femur = np.where(numbers < FIRST_COMPARTMENT["tibia"], numbers, 0)
    assert len(axial_map_plane(result, result.knees[0], planes, numbers, values, "joint space")) == 1
    assert axial_map_plane(result, result.knees[0], planes, femur, values, "joint space") == ()
