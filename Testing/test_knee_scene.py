"""The scene of a knee result, written and opened again node by node, for two knees in one CT."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scene_bundles import ijk_to_ras, node, opened_bundle
from synthetic_knee import NUMBERS, SHAPE, write_synthetic_knee

from JointQuantLib.errors import BadInput
from JointQuantLib.knee_colors import SUBREGIONS, joint_space_ramp, plate_ramp
from JointQuantLib.knee_folder import BONE_NUMBERS, FIRST_COMPARTMENT, SUBREGION_NAMES, KneeFolder, read_knee
from JointQuantLib.scene import build_scene, rendering_available, slicer_available, write_scene, write_views
from JointQuantLib.scene.knee_labels import own_box, subregion_labels

SIDES = ("right", "left")
HALVES = {"right": np.s_[..., : SHAPE[2]], "left": np.s_[..., SHAPE[2] :]}
ORIGIN = (-60.0, 12.5, 200.0)


@pytest.fixture(scope="module", autouse=True)
def _needs_slicer():
    available, reason = slicer_available()
    if not available:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "result"
    return write_synthetic_knee(folder, SIDES, metal=True, ct_name="knee & <07>.nrrd", origin_lps=ORIGIN)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of one knee that the test may change."""
    return write_synthetic_knee(tmp_path / "result")


@pytest.fixture(scope="module")
def opened(made, tmp_path_factory):
    """An application with the bundle, moved elsewhere and opened there."""
    return opened_bundle(made, tmp_path_factory.mktemp("elsewhere"))


def voxels(folder: Path, name: str) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))


def segment_voxels(application, segmentation, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Where a segment is, on the grid of the CT; its place is taken from the segment's own matrix."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    segment_id = segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)
    image = slicer.vtkOrientedImageData()
    assert segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    kji = np.argwhere(array) + np.array(image.GetExtent()[::2])[::-1]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ras = slicer.util.arrayFromVTKMatrix(matrix) @ np.column_stack([kji[:, ::-1], np.ones(len(kji))]).T
    ijk = np.round(np.linalg.inv(ijk_to_ras(node(application, "CT (HU)"))) @ ras)[:3].astype(int)
    whole = np.zeros(shape, bool)
    whole[tuple(ijk[::-1])] = True
    return whole


def segment_names(segmentation) -> list[str]:
    segments = segmentation.GetSegmentation()
    return [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("CT (HU)", "ct.nrrd"),
        ("Subchondral plate thickness (mm)", "plate_thickness_mm.nrrd"),
        ("Joint space width (mm)", "joint_space_mm.nrrd"),
        ("Depth below the bone surface (mm)", "depth_mm.nrrd"),
    ],
)
def test_volumes_keep_every_voxel_and_lie_where_the_file_says(opened, made, name, file):
    import slicer.util

    volume = node(opened, name)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), voxels(made, file))
    image = sitk.ReadImage(str(made / file))
    for index in ((0, 0, 0), (95, 0, 0), (0, 39, 0), (0, 0, 39), (13, 30, 7)):
        lps = image.TransformIndexToPhysicalPoint(index)
        assert (ijk_to_ras(volume) @ [*index, 1.0])[:3] == pytest.approx([-lps[0], -lps[1], lps[2]], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "top", "title", "ramp"),
    [
        ("Subchondral plate thickness (mm)", 2.0, "plate\n(mm)", plate_ramp()),
        ("Joint space width (mm)", 12.0, "joint space\n(mm)", joint_space_ramp()),
    ],
)
def test_maps_are_coloured_from_zero_and_transparent_where_they_have_no_value(opened, name, top, title, ramp):
    volume = node(opened, name)
    display = volume.GetDisplayNode()
    assert [display.GetWindowLevelMin(), display.GetWindowLevelMax()] == pytest.approx([0.0, top])
    assert display.GetApplyThreshold()
    assert 0.0 < display.GetLowerThreshold() < 0.05
    assert volume.GetVoxelValueUnits().GetCodeValue() == "mm"
    function = display.GetColorNode().GetColorTransferFunction()
    drawn = np.array([function.GetColor(step) for step in np.linspace(0, 1, len(ramp))])
    assert drawn == pytest.approx(ramp, abs=1e-3)
    assert node(opened, f"{name} legend").GetTitleText() == title


def test_the_ct_is_shown_in_a_window_for_bone(opened):
    display = node(opened, "CT (HU)").GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (1800.0, 400.0)


@pytest.mark.parametrize("side", SIDES)
def test_bones_are_segments_of_their_own_knee(opened, made, side):
    segmentation = node(opened, f"{side.capitalize()} knee bones")
    assert segment_names(segmentation) == [f"{side} {bone}" for bone in BONE_NUMBERS]
    bones = voxels(made, "bones.nrrd")
    for bone, number in BONE_NUMBERS.items():
        expected = np.zeros(bones.shape, bool)
        expected[HALVES[side]] = bones[HALVES[side]] == number
        assert np.array_equal(segment_voxels(opened, segmentation, f"{side} {bone}", bones.shape), expected)


@pytest.mark.parametrize("side", SIDES)
def test_sub_regions_are_segments_and_coloured_by_compartment(opened, made, side):
    segmentation = node(opened, f"{side.capitalize()} knee compartments and sub-regions")
    compartments = voxels(made, "compartments.nrrd")
    for bone, first in FIRST_COMPARTMENT.items():
        for k, name in enumerate(SUBREGION_NAMES):
            expected = np.zeros(compartments.shape, bool)
            expected[HALVES[side]] = compartments[HALVES[side]] == first + k
            title = f"{side} {bone} {name}"
            assert np.array_equal(segment_voxels(opened, segmentation, title, expected.shape), expected)
            segments = segmentation.GetSegmentation()
            color = segments.GetSegment(segments.GetSegmentIdBySegmentName(title)).GetColor()
            assert color == pytest.approx(SUBREGIONS[name], abs=1e-5)


@pytest.mark.parametrize(
    ("title", "file"),
    [("from the bone surface", "bands.nrrd"), ("below the plate", "bands_below_plate.nrrd")],
)
def test_depth_bands_are_segments(opened, made, title, file):
    segmentation = node(opened, f"Left knee depth bands {title}")
    names = ["left 0 to 2.5 mm deep", "left 2.5 to 5 mm deep", "left 5 to 10 mm deep"]
    assert segment_names(segmentation) == names
    bands = voxels(made, file)
    for number, name in enumerate(names, 1):
        expected = np.zeros(bands.shape, bool)
        expected[HALVES["left"]] = bands[HALVES["left"]] == number
        assert np.array_equal(segment_voxels(opened, segmentation, name, bands.shape), expected)


def test_every_region_is_a_segment_with_bone_compartment_and_depth_in_its_name(opened, made):
    regions = voxels(made, "regions.nrrd")
    segmentation = node(opened, "Left knee regions from the bone surface")
    assert len(segment_names(segmentation)) == NUMBERS
    for region in read_knee(made).knees[1]["regions"]:
        if region["from_surface"] == "bone" and region["subregion"] == "central":
            depth = f"{region['depth_from_mm']:g}-{region['depth_to_mm']:g} mm"
            name = f"left {region['bone']} {region['compartment']} central {depth}"
            found = segment_voxels(opened, segmentation, name, regions.shape)
            assert np.array_equal(found, regions == region["number"])


def test_only_the_sub_regions_are_shown_over_the_ct(opened):
    shown = []
    for n in range(opened.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        segmentation = opened.scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
        if segmentation.GetDisplayNode().GetVisibility():
            shown.append(segmentation.GetName())
    assert sorted(shown) == [f"{side} knee compartments and sub-regions" for side in ("Left", "Right")]


def test_metal_is_a_segment(opened, made):
    metal = voxels(made, "metal.nrrd") > 0
    assert np.array_equal(segment_voxels(opened, node(opened, "Metal"), "metal", metal.shape), metal)


@pytest.mark.parametrize("side", SIDES)
def test_surfaces_lie_in_ras_around_their_bones_and_show_their_sub_regions(opened, made, side):
    bones = voxels(made, "bones.nrrd")
    matrix = ijk_to_ras(node(opened, "CT (HU)"))
    for bone, number in BONE_NUMBERS.items():
        inside = np.zeros(bones.shape, bool)
        inside[HALVES[side]] = bones[HALVES[side]] == number
        ras = matrix @ np.column_stack([np.argwhere(inside)[:, ::-1], np.ones(inside.sum())]).T
        low, high = ras[:3].min(axis=1), ras[:3].max(axis=1)
        bounds = np.reshape(node(opened, f"{side.capitalize()} {bone}").GetPolyData().GetBounds(), (3, 2))
        assert np.abs(bounds - np.column_stack([low, high])).max() < 2.0
        display = node(opened, f"{side.capitalize()} {bone}").GetDisplayNode()
        assert display.GetVisibility()
        assert bool(display.GetScalarVisibility()) == (bone in FIRST_COMPARTMENT)
    colors = node(opened, f"{side.capitalize()} tibia").GetDisplayNode().GetColorNode()
    assert colors.GetColorName(7) == "tibia medial anterior"


@pytest.mark.parametrize("name", ["Right tibia subchondral plate thickness (mm)", "Left tibia joint space width (mm)"])
def test_maps_on_surfaces_are_hidden_and_hold_no_nan(opened, name):
    from vtk.util.numpy_support import vtk_to_numpy

    model = node(opened, name)
    assert not model.GetDisplayNode().GetVisibility()
    assert model.GetDisplayNode().GetScalarVisibility()
    values = vtk_to_numpy(model.GetPolyData().GetPointData().GetArray(model.GetDisplayNode().GetActiveScalarName()))
    assert np.isfinite(values).all()
    assert values.max() > 1.0


@pytest.mark.parametrize(
    ("name", "file", "units"),
    [
        ("Regions", "regions.csv", {"volume_mm3": "mm^3", "hu_mean": "HU", "depth_to_mm": "mm", "bv_tv": ""}),
        ("Articular surfaces", "surfaces.csv", {"area_mm2": "mm^2", "plate_mean_mm": "mm"}),
        ("Patches", "patches.csv", {"edge_mm": "mm", "hu_sd": "HU"}),
    ],
)
def test_tables_hold_every_row_with_units(opened, made, name, file, units):
    table = node(opened, name)
    with (made / file).open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert table.GetNumberOfRows() == len(rows)
    columns = {table.GetColumnName(n): n for n in range(table.GetNumberOfColumns())}
    assert set(columns) == set(rows[0])
    for row in (0, len(rows) - 1):
        assert table.GetCellText(row, columns["side"]) == rows[row]["side"]
    for title, unit in units.items():
        assert table.GetColumnUnitLabel(title) == unit
        first = next(k for k, row in enumerate(rows) if row[title])
        assert float(table.GetCellText(first, columns[title])) == pytest.approx(float(rows[first][title]), rel=1e-5)


def test_the_nodes_lie_in_folders_by_knee(opened):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)

    def folder_of(name: str) -> str:
        return hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node(opened, name))))

    assert folder_of("CT (HU)") == "JointQuant knee: knee & <07>.nrrd"
    assert folder_of("Right knee bones") == "Right knee"
    assert folder_of("Left knee regions below the plate") == "Left knee"
    assert folder_of("Left femur") == "Bone surfaces"
    assert folder_of("Joint space width (mm)") == "Maps"
    assert folder_of("Regions") == "Tables"


def test_it_opens_with_four_views_of_the_first_knee(opened, made):
    import slicer.util

    layout = opened.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    compartments = voxels(made, "compartments.nrrd")
    to_ijk = np.linalg.inv(ijk_to_ras(node(opened, "CT (HU)")))
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        composite = opened.scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
        assert opened.scene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName() == "CT (HU)"
        view = opened.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        assert view.GetOrientation() == orientation
        i, j, k = np.round((to_ijk @ slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:, 3])[:3]).astype(int)
        cut = {"Axial": compartments[k], "Coronal": compartments[:, j], "Sagittal": compartments[..., i]}[orientation]
        assert (cut > 0).any()
        assert i < SHAPE[2]
    camera = opened.scene.GetFirstNodeByClass("vtkMRMLCameraNode")
    assert camera.GetPosition()[1] - camera.GetFocalPoint()[1] == pytest.approx(500.0)
    assert [camera.GetPosition()[axis] for axis in (0, 2)] == pytest.approx(
        [camera.GetFocalPoint()[axis] for axis in (0, 2)]
    )


def test_the_layout_has_the_views_that_slicer_gives_it():
    import slicer

    from JointQuantLib.scene.headless import headless_application
    from JointQuantLib.scene.knee_layout import four_up

    application = headless_application()
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(application.scene)
    layout = logic.GetLayoutNode()
    own = layout.GetLayoutDescription(layout.SlicerLayoutFourUpView)
    assert four_up().replace(" ", "") == own.replace(" ", "")


def test_the_scene_carries_the_result(opened, made):
    assert node(opened, "result.json").GetText() == (made / "result.json").read_text(encoding="utf-8")


def test_boxes_of_knees_that_touch_are_parted_in_the_middle():
    knees = [{"box_kji": [[0, 9], [0, 9], [0, 60]]}, {"box_kji": [[0, 9], [0, 9], [50, 100]]}]
    result = KneeFolder(Path(), {"knees": knees})
    assert [own_box(result, n)[2] for n in (0, 1)] == [slice(0, 55), slice(55, 100)]
    apart = KneeFolder(Path(), {"knees": [knees[0], {"box_kji": [[0, 9], [0, 9], [70, 100]]}]})
    assert [own_box(apart, n)[2] for n in (0, 1)] == [slice(0, 60), slice(70, 100)]


def test_one_knee_has_no_side_in_the_names_of_its_segments(folder):
    from JointQuantLib.scene.headless import headless_application

    application = headless_application()
    nodes = build_scene(folder, application.scene)
    assert [own.title for own in nodes.knees] == ["Right knee"]
    assert segment_names(nodes.knees[0].segmentations["bones"]) == list(BONE_NUMBERS)
    assert "tibia medial central 0-2.5 mm" in segment_names(nodes.knees[0].segmentations["regions"])


def test_a_femur_without_regions_keeps_its_bone(tmp_path):
    from JointQuantLib.scene.headless import headless_application

    made = write_synthetic_knee(tmp_path / "result", ("left",), femur=False)
    application = headless_application()
    nodes = build_scene(made, application.scene)
    own = nodes.knees[0]
    assert "femur" in segment_names(own.segmentations["bones"])
    assert segment_names(own.segmentations["compartments"]) == [f"tibia {name}" for name in SUBREGION_NAMES]
    assert ("bone", "femur") in own.models
    assert write_scene(made).is_file()


@pytest.mark.parametrize(
    "missing",
    [
        ("plate_thickness_mm.nrrd", "regions_below_plate.nrrd", "bands_below_plate.nrrd"),
        ("joint_space_mm.nrrd", "depth_mm.nrrd", "patches.csv"),
    ],
)
def test_optional_files_may_be_missing(folder, missing):
    for name in missing:
        (folder / name).unlink()
    assert write_scene(folder).is_file()


def test_an_empty_table_is_left_out(folder):
    from JointQuantLib.scene.headless import headless_application

    (folder / "patches.csv").write_text("", encoding="utf-8")
    application = headless_application()
    assert set(build_scene(folder, application.scene).tables) == {"Regions", "Articular surfaces"}


@pytest.mark.parametrize("name", ["ct.nrrd", "bones.nrrd", "regions.nrrd", "surface_right_tibia.vtk"])
def test_a_needed_file_that_is_missing_is_said_in_one_sentence(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadInput, match=rf"{name.replace('.', '[.]')} is missing: run `jointquant knee` again\.$"):
        write_scene(folder)


@pytest.mark.parametrize("name", ["ct.nrrd", "joint_space_mm.nrrd", "surface_right_femur.vtk"])
def test_a_damaged_file_is_said_in_one_sentence(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:120])
    with pytest.raises(
        BadInput, match=rf"{name.replace('.', '[.]')} cannot be read as a .*run `jointquant knee` again"
    ):
        write_scene(folder)
    assert not (folder / "scene.mrb").exists()


@pytest.mark.parametrize("key", ["spacing_mm_kji", "origin_lps", "size_kji", "direction_lps"])
def test_a_volume_that_lies_elsewhere_is_refused(folder, key):
    path = folder / "result.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["ct"][key][0] += 1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=r"ct\.nrrd does not lie on the grid"):
        write_scene(folder)


def test_regions_that_are_not_there_are_refused(folder):
    image = sitk.ReadImage(str(folder / "regions.nrrd"))
    sitk.WriteImage(image * 0, str(folder / "regions.nrrd"))
    with pytest.raises(BadInput, match="holds no regions of the right knee"):
        write_scene(folder)


def test_sub_regions_are_numbered_as_in_the_compartments_file(made):
    result = read_knee(made)
    regions, compartments = voxels(made, "regions.nrrd"), voxels(made, "compartments.nrrd")
    both = sum(subregion_labels(result, n, regions).array for n in (0, 1))
    assert np.array_equal(both, compartments)


def test_nothing_is_said_on_the_terminal(folder):
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from JointQuantLib.scene import write_scene, write_views\n"
        "write_scene(sys.argv[1])\n"
        "if sys.argv[2] == 'True': write_views(sys.argv[1])"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(rendering_available()[0])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout + child.stderr == ""


@pytest.mark.parametrize("write", [write_scene, write_views])
def test_a_folder_of_another_job_is_refused_in_one_sentence(tmp_path, write):
    (tmp_path / "result.json").write_text('{"schema": "jointquant-training/1"}', encoding="utf-8")
    with pytest.raises(BadInput, match=r"jointquant-training/1.*jointquant-knee/1"):
        write(tmp_path)
